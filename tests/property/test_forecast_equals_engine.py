"""What is forecast is what the decision engine says when it is asked: at every boundary in the window, a microsecond
before and at it, a phase, standing, status or excess differs if and only if an event tells so, with the same figures;
and replayed day by day, the events give what the engine answers on each day.

A tenant that is passed over as quiet has no event. What is read from a store is what each of its tenants has.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
from sqlalchemy import select

from sidecar import records
from sidecar.core.book import Book
from sidecar.core.facts import Ask
from sidecar.core.model import DAY, Effect, Group, Instant, Period, Phase, Status
from sidecar.core.rules import AppliesTo, Policy, PolicySet, Rule, Used
from sidecar.core.tenant import Tenant
from sync.forecast.events import PHASES, STANDINGS, STATUSES, Event, Kind, events, quiet
from sync.forecast.reading import Question, forecast
from sync.store import schema
from sync.store.bulk import seed_many
from sync.store.db import Store, open_store
from tests import bridge, oracle, shipped
from tests.storing import stored
from tests.strategies import boundaries, random_case

CASES = 50_000 if os.environ.get("DESKGATE_SOAK") else 1_600
CHUNKS = 8
OVER = "OVER_QUOTA"
DESKS = ("fixed_desk", "shared_desk")
OWN_STATUS = frozenset(STATUSES.values())
NOW = 1_790_000_000_000_000


@dataclass(frozen=True, slots=True)
class World:
    """Policies, the oracle's terms for them, and whether desks are judged together."""

    book: Book
    terms: dict[str, Any]
    grouped: bool = False


@cache
def worlds() -> tuple[World, ...]:
    """The shipped policies; with grace and overage of some tenants' own; and one rule alone, that judges by a group."""
    general = shipped.book().policy_set.policies
    applies = AppliesTo(tenants=frozenset({"acme", "parent"}))
    own = Policy(name="own", applies_to=applies, grace=Period(days=14), overage=50)
    over = Rule(
        policy="together",
        id="over",
        actions=("booking.create",),
        usage=frozenset({Used.OVER}),
        judge_by="desks",
        effect=Effect.DENY,
        reason=OVER,
    )
    allow = Rule(policy="together", id="allow", action_groups=frozenset(Group), effect=Effect.ALLOW)
    together = Policy(name="together", key_groups={"desks": DESKS}, rules=(over, allow))
    return (
        World(shipped.book(), oracle.DEFAULT),
        World(
            Book(PolicySet(policies=(*general, own), revision="own")),
            oracle.DEFAULT | {"grace": {"days": 14}, "overage": 50},
        ),
        World(Book(PolicySet(policies=(together,), revision="together")), oracle.DEFAULT, grouped=True),
    )


Fact = tuple[str, str, bool]
"""One thing that can change: "status", "standing", "phase" of a key, "quota" of a key or a group, in seats or not."""
STATUS, STANDING = ("status", "", False), ("standing", "", False)
Seen = Mapping[Fact, tuple[str, int]]
"""What the engine says of each; of a quota, where usage is against it and how many are too many."""


def seen(world: World, tenant: Tenant, now: Instant) -> Seen:
    """What decisions show at an instant."""
    whole = _asked(world, tenant, "tenant.read", "", now).state
    found: dict[Fact, tuple[str, int]] = {STATUS: (whole.status, 0), STANDING: (whole.standing, 0)}
    for key in tenant.keys:
        booking = _asked(world, tenant, "booking.create", key, now)
        found["phase", key, False] = (booking.state.phase, 0)
        if not (world.grouped and key in DESKS):
            found["quota", key, False] = _quota([booking], booking.figures.excess)
            assert (OVER in _reasons(booking)) is (booking.figures.excess > 0)
        if key in tenant.per_user:
            found["quota", key, True] = _seats(world, tenant, key, now)
    if world.grouped and tenant.keys.intersection(DESKS):
        desks = [_asked(world, tenant, "booking.create", key, now) for key in DESKS]
        found["quota", "desks", False] = _quota(desks, max(d.figures.excess if d.reason else 0 for d in desks))
    return found


def _asked(world: World, tenant: Tenant, action: str, key: str, now: Instant, user: str = "") -> Any:
    question = Ask(tenant.record.tenant_id, action, key, user_id=user)
    return bridge.decided(tenant, world.book, question, now, "LIVE")


def _reasons(decision: Any) -> set[str]:
    return {decision.reason.code, *decision.also} if decision.reason else set()


def _quota(decisions: Sequence[Any], excess: int) -> tuple[str, int]:
    counted = any(d.state.phase in (Phase.ACTIVE, Phase.TRIAL) for d in decisions)
    return (Used.OVER if excess else Used.WITHIN if counted else Used.UNCOUNTED), excess


def _seats(world: World, tenant: Tenant, key: str, now: Instant) -> tuple[str, int]:
    using = _asked(world, tenant, "feature.use", key, now, "nobody")
    usage = tenant.holder.usage.get(key)
    if usage and usage.seats and not world.grouped:
        last = usage.seats[-1]
        if (last.tenant_id or tenant.holder.tenant_id) == tenant.record.tenant_id:
            denied = OVER in _reasons(_asked(world, tenant, "feature.use", key, now, last.user_id))
            assert denied is (using.figures.excess > 0)
    return _quota([using], using.figures.excess)


Told = tuple[Kind, str, bool, str, str, int]


def due(before: Seen, after: Seen) -> Iterator[Told]:
    """The events that two looks at a tenant call for."""
    for fact, (now, excess) in after.items():
        (what, key, seats), (was, had) = fact, before[fact]
        if what == "quota" and (excess > had or (had and now == Used.WITHIN)):
            yield (Kind.OVER_QUOTA if excess else Kind.WITHIN_QUOTA), key, seats, was, now, excess
        elif what != "quota" and was != now:
            yield _kind(what, was, now), key, False, was, now, 0


def _kind(what: str, was: str, now: str) -> Kind:
    kinds: Mapping[Any, Kind] = {"status": STATUSES, "standing": STANDINGS, "phase": PHASES}[what]
    return kinds[(was, now) if what == "phase" else now]


def told(event: Event) -> Told:
    return event.kind, event.key, event.seats, event.before, event.after, event.excess or 0


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_at_every_boundary_and_on_every_day(chunk: int) -> None:
    for seed in range(chunk, CASES, CHUNKS):
        for world, tenant, edges, (since, until) in _subjects(seed):
            found = list(events(tenant, since, until))
            assert _not_due(world, tenant, [e for e in edges if since <= e < until], found) == [], seed
            assert _not_so(world, tenant, found, since, until) == [], seed


def _subjects(seed: int) -> Iterator[tuple[World, Tenant, list[Instant], tuple[Instant, Instant]]]:
    """The tenant of a case, and the one whose services it shares, with a window near its boundaries."""
    rng = random.Random(seed)
    record, *_ = random_case(rng)
    if record is None:
        return
    world = rng.choice(worlds())
    edges = boundaries(record, world.terms)
    since = (rng.choice(edges) if edges else 0) + rng.choice([0, 1, -1, -DAY, rng.randint(-40, 10) * DAY])
    window = since, since + rng.choice([1, DAY, 30 * DAY, 90 * DAY])
    yield world, bridge.tenant(record, world.book), edges, window
    if record["holder"] is not None:
        yield world, bridge.tenant(record["holder"], world.book), edges, window


def _not_due(world: World, tenant: Tenant, edges: Sequence[Instant], found: Sequence[Event]) -> list[object]:
    """What is told and not due, or due and not told, at each instant at which something may change or is told to."""
    differing: list[object] = []
    for instant in {*edges, *(e.at for e in found)}:
        given = Counter(told(e) for e in found if e.at == instant)
        want = Counter(_due_at(world, tenant, instant))
        if given != want:
            differing.append((tenant.record.tenant_id, instant, given - want, want - given))
    return differing


def _due_at(world: World, tenant: Tenant, instant: Instant) -> list[Told]:
    before, after = seen(world, tenant, instant - 1), seen(world, tenant, instant)
    if after[STATUS][0] == Status.ARCHIVED:
        return []
    if tenant.record is tenant.holder:
        return list(due(before, after))
    holder = Tenant(tenant.holder, tenant.holder, world.book)
    told_there = seen(world, holder, instant - 1)[STATUS] != seen(world, holder, instant)[STATUS]
    return [one for one in due(before, after) if one[0] in OWN_STATUS and not told_there]


def _not_so(
    world: World, tenant: Tenant, found: Sequence[Event], since: Instant, until: Instant
) -> list[tuple[Instant, Fact]]:
    """The days on which the engine answers otherwise than what held before the window and was told since comes to."""
    if tenant.record is not tenant.holder or tenant.record.archived:
        return []
    now = {fact: value for fact, (value, _) in seen(world, tenant, since - 1).items()}
    days = range(since, until, DAY)
    differing: list[tuple[Instant, Fact]] = []
    for instant in sorted({*days, *(e.at for e in found)}):
        for event in (e for e in found if e.at == instant):
            _apply(event, now)
        now.update(dict.fromkeys(_uncounted(now), Used.UNCOUNTED))
        if instant in days:
            answered = seen(world, tenant, instant)
            differing += [(instant, fact) for fact, value in now.items() if not _alike(value, answered[fact][0])]
    return differing


def _apply(event: Event, now: dict[Fact, str]) -> None:
    if event.kind in OWN_STATUS:
        now[STATUS] = event.after
    elif event.kind in STANDINGS.values():
        now[STANDING] = event.after
    else:
        now["phase" if event.kind in PHASES.values() else "quota", event.key, event.seats] = event.after


def _uncounted(now: Mapping[Fact, str]) -> Iterator[Fact]:
    """Where coverage has ended, nothing is counted any more: no other event says so."""
    for what, name, seats in now:
        keys = DESKS if name == "desks" else (name,)
        if what == "quota" and not any(now.get(("phase", key, False)) in ("ACTIVE", "TRIAL") for key in keys):
            yield what, name, seats


def _alike(value: str, answered: str) -> bool:
    """No event says that usage begins to be counted and is within: that a term starts does."""
    return value == answered or (value, answered) == (Used.UNCOUNTED, Used.WITHIN)


@pytest.mark.timeout(3600)
def test_nothing_comes_about_for_those_passed_over() -> None:
    passed, kinds = 0, Counter[Kind]()
    for seed in range(CASES):
        for world, tenant, _, (since, until) in _subjects(seed):
            found = list(events(tenant, since, until))
            if quiet(tenant.record, world.book.applied(tenant.record).terms, since, until):
                assert found == [], seed
                passed += 1
            kinds.update(event.kind for event in found)
    assert passed > CASES // 10
    assert kinds.keys() == set(Kind)


@pytest.fixture(scope="module")
def store(each_place: str, tmp_path_factory: pytest.TempPathFactory) -> Store:
    opened = open_store(stored(tmp_path_factory.mktemp("forecast") / "store.db"))
    seed_many(opened, 300, NOW, seed=5)
    return opened


def _tenants(store: Store, book: Book) -> list[Tenant]:
    e = schema.entitlement
    with store.reading() as conn:
        held = {row.tenant_id: records.decode(row.record) for row in conn.execute(select(e))}
    return [Tenant(record, held[record.holder_id or record.tenant_id], book) for record in held.values()]


@pytest.mark.parametrize("days", [10, 40, 400])
def test_a_store_is_forecast_as_its_tenants_are(store: Store, days: int) -> None:
    book = shipped.book()
    tenants = _tenants(store, book)
    with forecast(store, Question(book=book, since=NOW, until=NOW + days * DAY)) as found:
        given = [replace(event, sharers=0, shared_with=()) for event in found]
    want = [event for tenant in tenants for event in events(tenant, NOW, NOW + days * DAY)]
    assert Counter(given) == Counter(want)
    assert [e.at for e in given] == sorted(e.at for e in given)
    assert given


def test_a_small_store_day_by_day(store: Store) -> None:
    world = worlds()[0]
    until = NOW + 45 * DAY
    with forecast(store, Question(book=world.book, since=NOW, until=until)) as found:
        by_tenant: dict[str, list[Event]] = {}
        for event in found:
            by_tenant.setdefault(event.tenant_id, []).append(event)
    for tenant in _tenants(store, world.book):
        own = by_tenant.pop(tenant.record.tenant_id, [])
        assert _not_so(world, tenant, own, NOW, until) == [], tenant.record.tenant_id
    assert by_tenant == {}


def test_the_comparison_can_fail() -> None:
    """An event left out, or put elsewhere, is noticed; on the days after it too."""
    noticed = Counter[str]()
    for seed in range(200):
        for world, tenant, edges, (since, until) in _subjects(seed):
            first, *others = [*events(tenant, since, until), None]
            if first is None or tenant.record is not tenant.holder or until - since < 30 * DAY:
                continue
            kept = [event for event in others if event is not None]
            moved = [*kept, replace(first, at=first.at + 1)]
            within = [e for e in edges if since <= e < until]
            noticed["out"] += bool(_not_due(world, tenant, within, kept))
            noticed["moved"] += bool(_not_due(world, tenant, within, moved))
            noticed["days"] += bool(_not_so(world, tenant, kept, since, until))
            noticed["all"] += 1
    assert noticed["all"] == noticed["out"] == noticed["moved"] > 20
    assert noticed["days"] > noticed["all"] // 2
