"""The index of masks picks exactly the rules that, taken one by one, match: for random rules of every matcher.

Random rules and the facts of random tenants at random instants, key groups and cuts included.
"""

from __future__ import annotations

import random
from types import MappingProxyType
from typing import Any

import pytest

from sidecar.core.actions import ACTIONS
from sidecar.core.book import Book
from sidecar.core.facts import glance_at, observe
from sidecar.core.model import Effect, Freshness, Group, Period, Phase, Standing, Status
from sidecar.core.rules import Booked, Cut, CutFrom, Policy, PolicySet, Room, Rule, Seated, Used
from sidecar.core.table import mismatches
from tests import bridge
from tests.strategies import boundaries, random_case

ENUMS: dict[str, type[Any]] = {
    "status": Status,
    "phase": Phase,
    "standing": Standing,
    "seat": Seated,
    "usage": Used,
    "room": Room,
    "window": Booked,
    "freshness": Freshness,
}
GLOBS = ("*", "booking.*", "*.create", "space.[cl]*", "frobnicate", "license.?ssign")
KEYS = ("*", "fixed_desk", "*_desk", "meeting_room", "t*")
GROUPS = {"desks": ("fixed_desk", "shared_desk"), "rooms": ("meeting_room", "fixed_desk"), "idle": ("x",)}
CUTS = {
    name: Cut(name=name, from_=CutFrom(from_), length=length)
    for name, from_, length in (
        ("early_grace", "term_end", Period(days=14)),
        ("last_month", "term_end", Period(months=-1)),
        ("honeymoon", "term_start", Period(days=10)),
        ("after_grace", "grace_end", Period(micros=3_600_000_000)),
    )
}


def random_rule(rng: random.Random, number: int) -> Rule:
    given: dict[str, Any] = {
        name: frozenset(rng.sample(list(enum), rng.randint(1, len(enum))))
        for name, enum in ENUMS.items()
        if rng.random() < 0.2
    }
    for name in ("licensed", "expiring_soon", "near_quota"):
        if rng.random() < 0.15:
            given[name] = rng.random() < 0.5
    if rng.random() < 0.3:
        given["keys"] = tuple(rng.sample(KEYS, rng.randint(1, 2)))
    if rng.random() < 0.3:
        given["cuts"] = MappingProxyType({c: rng.random() < 0.5 for c in rng.sample(sorted(CUTS), rng.randint(1, 2))})
    if rng.random() < 0.4:
        given["judge_by"] = rng.choice(sorted(GROUPS))
    if rng.random() < 0.7:
        given["action_groups"] = frozenset(rng.sample(list(Group), rng.randint(1, 4)))
    if rng.random() < 0.5 or "action_groups" not in given:
        given["actions"] = tuple(rng.sample((*GLOBS, *ACTIONS), rng.randint(1, 3)))
    return Rule(policy="p", id=str(number), effect=Effect.ALLOW, **given)


def random_book(rng: random.Random) -> Book:
    rules = tuple(random_rule(rng, i) for i in range(rng.randint(1, 40)))
    policy = Policy(name="p", rules=rules, cuts=MappingProxyType(CUTS), key_groups=MappingProxyType(GROUPS))
    return Book(PolicySet(policies=(policy,), revision="r"))


@pytest.mark.parametrize("seed", range(300))
def test_match(seed: int) -> None:
    rng = random.Random(seed)
    book = random_book(rng)
    record, ask, now, freshness = random_case(rng)
    if record is None:
        return
    tenant, question = bridge.tenant(record, book), bridge.ask(ask)
    edges = boundaries(record)
    for instant in (now, *rng.sample(edges, min(6, len(edges)))):
        facts = observe(tenant, question, glance_at(tenant, question, instant), instant, Freshness(freshness))
        table = tenant.applied.table
        plainly = tuple(rule for rule in table.rules if not mismatches(rule, facts))
        assert table.match(facts) == plainly


def test_the_comparison_is_not_idle() -> None:
    matched = unmatched = 0
    for seed in range(100):
        rng = random.Random(seed)
        book = random_book(rng)
        record, ask, now, freshness = random_case(rng)
        if record is not None:
            tenant, question = bridge.tenant(record, book), bridge.ask(ask)
            facts = observe(tenant, question, glance_at(tenant, question, now), now, Freshness(freshness))
            matches = len(tenant.applied.table.match(facts))
            matched += matches
            unmatched += len(tenant.applied.table.rules) - matches
    assert matched > 100
    assert unmatched > 100
