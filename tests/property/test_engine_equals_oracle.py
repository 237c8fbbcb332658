"""At every instant the engine, with the shipped policies, decides what domain.md 4 to 7 says, word for word.

The oracle states the rules plainly; both are put the same random tenants, zones and questions, at a random instant and
at 1 us before, at and after every boundary. `next_change_at` is never later than the first change of the answer.
"""

from __future__ import annotations

import os
import random

import pytest

from tests import bridge, oracle, shipped
from tests.strategies import boundaries, random_case

CASES = 100_000 if os.environ.get("DESKGATE_SOAK") else 2_000
CHUNKS = 8
BOUNDARIES = 12


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_decisions(chunk: int) -> None:
    differing = []
    for seed in range(chunk, CASES, CHUNKS):
        differing += _differences(seed)
        assert len(differing) < 5, differing
    assert differing == []


def _differences(seed: int) -> list[object]:
    rng = random.Random(seed)
    record, ask, now, freshness = random_case(rng)
    if record is None:
        return []
    book = shipped.book()
    tenant, question = bridge.tenant(record, book), bridge.ask(ask)
    edges = boundaries(record, ask=ask)
    probed = [now, *(e + d for e in rng.sample(edges, min(BOUNDARIES, len(edges))) for d in (-1, 0, 1))]
    found: list[object] = []
    for instant in probed:
        want = oracle.decide(record, ask, instant, freshness)
        got = bridge.plain(bridge.decided(tenant, book, question, instant, freshness))
        if got != want:
            found.append((seed, instant, ask, {k: (want[k], got[k]) for k in want if want[k] != got[k]}))
    change = oracle.first_change(record, ask, now, freshness)
    promised = bridge.decided(tenant, book, question, now, freshness).next_change_at
    if change is not None and (promised is None or promised > change):
        found.append((seed, "next_change_at", promised, "later than", change))
    return found


def test_the_comparison_can_fail() -> None:
    """A rule taken out of the shipped policies is noticed."""
    book = shipped.without("over-quota")
    assert any(_differs(seed, book) for seed in range(2_000))


def _differs(seed: int, book: object) -> bool:
    record, ask, now, freshness = random_case(random.Random(seed))
    if record is None:
        return False
    got = bridge.decided(bridge.tenant(record, book), book, bridge.ask(ask), now, freshness)  # type: ignore[arg-type]
    return bridge.plain(got) != oracle.decide(record, ask, now, freshness)
