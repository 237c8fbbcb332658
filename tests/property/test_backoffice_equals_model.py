"""The store does what the model of the back office says, whatever is done to it in whatever order.

Random sequences of operations, at instants that mostly rise and like the edges of terms, months and zones, are put to
tests/model and to a real store. After each step: both accepted or both refused, for a reason that applies; every
tenant's record is as the model has it; no order but a VOID lowered what paid license templates grant, unless it names a
product marked for that; every ledger adds up to its balance, orders to their totals; the revision has not fallen, and
the audit trail grew by exactly one entry when any row changed, else by none. At probed instants the engine decides on
the store's records what the oracle decides on the model's, and the audit trail holds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.model import bench, real
from tests.model.bench import Difference
from tests.model.state import Plain

SEQUENCES = {"sqlite": 90, "postgresql": 24}
SOAKED = {"sqlite": 6_000, "postgresql": 600}
"""How many by where the store is kept: a server takes longer over each transaction."""
STEPS = 25
CHUNKS = 6


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_sequences(each_place: str, chunk: int) -> None:
    accepted, sequences = 0, (SOAKED if os.environ.get("DESKGATE_SOAK") else SEQUENCES)[each_place]
    for seed in range(chunk, sequences, CHUNKS):
        try:
            accepted += bench.run(seed, STEPS)
        except Difference as e:
            pytest.fail(f"seed {seed}: {bench.told(e)}")
    assert accepted > sequences // CHUNKS * STEPS // 2


def wrong(op: str, **changed: Any) -> dict[str, Callable[[Any, Plain], object]]:
    """An operation that the store is given otherwise than it was asked for."""
    right = real.DOERS[op]
    return {op: lambda writing, asked: right(writing, asked | changed)}


def without(op: str, *names: str) -> dict[str, Callable[[Any, Plain], object]]:
    right = real.DOERS[op]
    return {op: lambda writing, asked: right(writing, {k: v for k, v in asked.items() if k not in names})}


MISTAKES = {
    "a block that should cascade does not": wrong("tenant.block", cascade=False),
    "a late renewal never begins at the old end": without("order.place", "late_start"),
    "an order is voided from now on, whatever is said": without("order.void", "void_at"),
    "credit is forgotten": without("order.place", "credit"),
    "a stated price is forgotten": without("order.place", "money"),
    "a renewal names no edition": without("order.place", "edition"),
    "a plan blocks nobody": wrong("plan.create", blocking=None),
    "a new zone is not taken": without("tenant.update", "zone"),
    "a charge moves and its first instant does not": without("account.set_charge", "anchor"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_comparison_can_fail(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these mistakes is noticed within some sequences."""
    monkeypatch.setattr(real, "DOERS", {**real.DOERS, **MISTAKES[mistake]})
    assert first_difference() is not None


def test_a_difference_is_told_by_a_short_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real, "DOERS", {**real.DOERS, **MISTAKES["a block that should cascade does not"]})
    found = first_difference()
    assert found is not None
    lines = bench.told(found).splitlines()
    steps = lines[lines.index("after:") + 1 :]
    assert ".blocks: the model has" in lines[1]
    assert any("tenant.block" in step for step in steps)
    assert len(steps) < len(found.ops) / 2


def first_difference() -> Difference | None:
    return next(filter(None, (_difference(seed) for seed in range(200))), None)


def _difference(seed: int) -> Difference | None:
    try:
        bench.run(seed, STEPS)
    except Difference as e:
        return e
    return None
