"""Which reminder holds at an instant (domain.md 3): cases by hand, and against an oracle that walks the days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.book import Book
from sidecar.core.calendar import format_instant, parse_instant, zone_of
from sidecar.core.model import FOREVER, Block, Grant, Period, Record
from sidecar.core.rules import AppliesTo, Policy, PolicySet
from sidecar.core.tenant import Tenant
from sync.notices.planning import OFFSETS, Reminder, quiet, reminders, still
from tests import oracle
from tests.strategies import ODD_DAYS

MONTHS_3 = Period(months=3)


def book(grace: Period = MONTHS_3) -> Book:
    own = Policy(name="own", applies_to=AppliesTo(tenants=frozenset({"short"})), grace=Period(days=2))
    return Book(PolicySet(policies=(Policy(name="all", grace=grace), own), revision="r"))


def term(start: str, end: str, key: str = "desk", zone: str = "UTC", **more: Any) -> Grant:
    """A grant between instants, or local times, of a zone."""
    edges = [FOREVER if text == "never" else parse_instant(text, zone_of(zone)) for text in (start, end)]
    return Grant(key=key, starts_at=edges[0], ends_at=edges[1], amount=1, **{"source": "order:1", **more})


def record(*grants: Grant, **fields: Any) -> Record:
    return Record(**{"tenant_id": "acme", "revision": 1, "zone": "UTC", "grants": grants, **fields})


def held(of: Record, when: str, grace: Period = MONTHS_3, offsets: tuple[int, ...] = OFFSETS) -> list[Reminder]:
    now = parse_instant(when)
    found = reminders(Tenant(of, of, book(grace)), offsets, now)
    assert not (found and quiet(of, book(grace).applied(of).terms, offsets, now)), "what holds was passed over"
    return found


def said(of: Record, when: str, **more: Any) -> list[str]:
    return [f"{r.kind} {r.count} {format_instant(r.at)}" for r in held(of, when, **more)]


YEAR = record(term("2026-01-01", "2027-01-01"))
SHANGHAI = record(term("2026-01-01", "2026-07-01", zone="Asia/Shanghai"), zone="Asia/Shanghai")
NEW_YORK = record(term("2026-01-15 02:30", "2026-03-15 02:30", zone="America/New_York"), zone="America/New_York")
JANUARY = record(term("2025-01-31", "2026-01-31"))


@pytest.mark.parametrize(
    ("of", "when", "expected"),
    [
        (YEAR, "2026-11-01T23:59:59.999999Z", []),
        (YEAR, "2026-11-02", ["expiring 60 2026-11-02T00:00:00Z"]),
        (YEAR, "2026-12-01T23:59:59Z", ["expiring 60 2026-11-02T00:00:00Z"]),
        (YEAR, "2026-12-02", ["expiring 30 2026-12-02T00:00:00Z"]),
        (YEAR, "2026-12-18", ["expiring 14 2026-12-18T00:00:00Z"]),
        (YEAR, "2026-12-25", ["expiring 7 2026-12-25T00:00:00Z"]),
        (YEAR, "2026-12-29", ["expiring 3 2026-12-29T00:00:00Z"]),
        (YEAR, "2026-12-31", ["expiring 1 2026-12-31T00:00:00Z"]),
        (YEAR, "2026-12-31T23:59:59.999999Z", ["expiring 1 2026-12-31T00:00:00Z"]),
        (YEAR, "2027-01-01", ["ended 0 2027-01-01T00:00:00Z"]),
        (YEAR, "2027-01-31T23:59:59Z", ["ended 0 2027-01-01T00:00:00Z"]),
        (YEAR, "2027-02-01", ["grace_monthly 1 2027-02-01T00:00:00Z"]),
        (YEAR, "2027-03-31T23:59:59.999999Z", ["grace_monthly 2 2027-03-01T00:00:00Z"]),
        (YEAR, "2027-04-01", []),
        (SHANGHAI, "2026-06-23T15:59:59Z", ["expiring 14 2026-06-16T16:00:00Z"]),
        (SHANGHAI, "2026-06-23T16:00:00Z", ["expiring 7 2026-06-23T16:00:00Z"]),
        (SHANGHAI, "2026-06-30T16:00:00Z", ["ended 0 2026-06-30T16:00:00Z"]),
        (NEW_YORK, "2026-03-08T06:59:59Z", ["expiring 14 2026-03-01T07:30:00Z"]),
        (NEW_YORK, "2026-03-08T07:00:00Z", ["expiring 7 2026-03-08T07:00:00Z"]),  # 02:30 is missing that day
        (NEW_YORK, "2026-04-15T06:30:00Z", ["grace_monthly 1 2026-04-15T06:30:00Z"]),
        (JANUARY, "2026-02-27T23:59:59Z", ["ended 0 2026-01-31T00:00:00Z"]),
        (JANUARY, "2026-02-28", ["grace_monthly 1 2026-02-28T00:00:00Z"]),
        (JANUARY, "2026-03-31", ["grace_monthly 2 2026-03-31T00:00:00Z"]),
        (JANUARY, "2026-04-30", []),
    ],
)
def test_reminders_follow_the_tenants_calendar(of: Record, when: str, expected: list[str]) -> None:
    assert said(of, when) == expected


def test_offsets_longer_than_the_term_are_left_out() -> None:
    month = record(term("2026-06-01", "2026-07-01"))
    assert said(month, "2026-06-01") == ["expiring 30 2026-06-01T00:00:00Z"]
    week = record(term("2026-06-01T00:00:01Z", "2026-06-08"))
    assert said(week, "2026-06-01T12:00:00Z") == []
    assert said(week, "2026-06-05") == ["expiring 3 2026-06-05T00:00:00Z"]


def test_the_term_is_that_of_the_order_that_makes_the_end() -> None:
    renewed = record(term("2026-01-01", "2026-06-01"), term("2026-06-01", "2026-07-01", source="order:2"))
    assert said(renewed, "2026-05-20") == []  # 60 days before the end that a renewal by a month has just moved
    assert said(renewed, "2026-06-01") == ["expiring 30 2026-06-01T00:00:00Z"]
    trial = record(term("2026-05-28", "2026-06-11", trial=True), term("2026-06-11", "2026-07-01"))
    assert said(trial, "2026-06-02") == ["expiring 30 2026-06-01T00:00:00Z"]  # the trial is part of the order's term
    again = record(term("2026-01-01", "2026-02-01"), term("2026-06-21", "2026-07-01"))
    assert said(again, "2026-06-22") == []  # it is no term across a gap


def test_what_was_missed_is_told_by_the_latest_alone() -> None:
    (only,) = held(YEAR, "2026-12-26")
    assert (only.count, only.at) == (7, parse_instant("2026-12-25"))
    tenant = Tenant(YEAR, YEAR, book())
    now = parse_instant("2026-12-26")
    assert reminders(tenant, OFFSETS, now, since=only.at - 1) == [only]
    assert reminders(tenant, OFFSETS, now, since=only.at) == []


def test_a_renewal_ends_the_reminders_of_the_old_end() -> None:
    renewed = record(term("2026-01-01", "2027-01-01"), term("2027-01-01", "2028-01-01", source="order:2"))
    for when in ("2026-12-18", "2027-01-01", "2027-02-01"):
        assert said(renewed, when) == []
    late = record(term("2026-01-01", "2027-01-01"), term("2027-01-20", "2028-01-20", source="order:2"))
    assert said(late, "2027-01-19") == ["ended 0 2027-01-01T00:00:00Z"]
    assert said(late, "2027-01-20") == []
    assert said(late, "2027-02-01") == []


def test_one_reminder_for_all_that_ends_together() -> None:
    both = record(
        term("2026-01-01", "2027-01-01", "room"),
        term("2026-01-01", "2027-01-01", "desk", trial=True),
        term("2026-06-01", "2027-01-01", "room", trial=True),
        term("2026-12-20", "2027-01-01", "late", source="order:2"),
        term("2026-01-01", "2026-12-28", "early", source="order:3"),
        term("2026-01-01", "never", "always", source="order:4"),
    )
    early, together = held(both, "2026-12-26")
    assert (early.keys, early.count, early.ends_at) == (("early",), 3, parse_instant("2026-12-28"))
    assert (together.keys, together.trials, together.count) == (("desk", "late", "room"), ("desk",), 7)
    assert held(both, "2026-12-23")[1].keys == ("desk", "room"), "14 days are longer than what began on the 20th"


def test_who_is_told_nothing() -> None:
    when = "2026-12-26"
    assert said(record(term("2026-01-01", "2027-01-01"), archived=True), when) == []
    shared = record(tenant_id="child", holder_id="acme", grants=())
    assert reminders(Tenant(shared, YEAR, book()), OFFSETS, parse_instant(when)) == []
    assert quiet(shared, book().applied(YEAR).terms, OFFSETS, parse_instant(when))
    assert said(record(term("2026-01-01", "never")), when) == []
    assert said(record(), when) == []
    assert said(record(term("2027-01-01", "2028-01-01")), when) == []
    blocked = record(term("2026-01-01", "2027-01-01"), blocks=(Block(name="fraud", starts_at=0),))
    assert len(said(blocked, when)) == 1, "a block moves no end"


def test_grace_is_the_policies_and_the_end_is_told_however_short_it_is() -> None:
    short = record(term("2026-01-01", "2027-01-01"), tenant_id="short")
    assert held(short, "2027-01-01")[0].grace_ends_at == parse_instant("2027-01-03")
    assert said(short, "2027-01-07T23:59:59Z") == ["ended 0 2027-01-01T00:00:00Z"]
    assert said(short, "2027-01-08") == []
    assert said(YEAR, "2027-01-05", grace=Period()) == ["ended 0 2027-01-01T00:00:00Z"]
    assert said(YEAR, "2027-02-01", grace=Period(months=1)) == []
    assert said(YEAR, "2027-02-01", grace=Period(months=1, days=1)) == ["grace_monthly 1 2027-02-01T00:00:00Z"]


def test_a_reminder_is_named_by_tenant_end_and_offset() -> None:
    (one,) = held(YEAR, "2026-12-26")
    assert one.dedupe == f"reminder:{one.ends_at}:expiring:7:acme"
    tenant = Tenant(YEAR, YEAR, book())
    now = parse_instant("2026-12-26")
    assert still(tenant, OFFSETS, one.dedupe, one.count, now) == one
    assert still(tenant, (60,), one.dedupe, one.count, now) == one, "another runner's offsets do not undo it"
    assert still(tenant, OFFSETS, one.dedupe, one.count, parse_instant("2026-12-29")) is None
    (ended,) = held(YEAR, "2027-01-02")
    assert still(tenant, OFFSETS, ended.dedupe, 0, parse_instant("2027-01-02")) == ended
    assert still(tenant, OFFSETS, ended.dedupe, 0, parse_instant("2027-02-02")) is None


# --- the oracle: each day, which reminders fall on it ---


@dataclass(frozen=True, slots=True)
class World:
    """A tenant as the oracle sees it, with the source of each grant beside."""

    record: dict[str, Any]
    offsets: tuple[int, ...]
    terms: dict[str, Any]

    @property
    def zone(self) -> str:
        return str(self.record["zone"])

    @property
    def keys(self) -> set[str]:
        return {g["key"] for g in oracle.grants_of(self.record)}


@dataclass(frozen=True, slots=True, order=True)
class Due:
    at: int
    rank: int
    """Of two at one instant the one nearer to the end, or after it."""
    kind: str
    count: int
    end: int
    key: str


def days(world: World) -> Iterator[date]:
    edges = [g[name] for g in world.record["grants"] for name in ("starts_at", "ends_at") if g[name] is not None]
    first, last = (oracle.wall(edge, world.zone).date() for edge in (min(edges), max(edges)))
    return (first + timedelta(days=n) for n in range(-70, (last - first).days + 200))


def due_on(world: World, day: date) -> Iterator[Due]:
    """What falls on a day for each key and each end of it, if it is true at that moment."""
    for key in sorted(world.keys):
        for end in {g["ends_at"] for g in oracle.grants_of(world.record, key)} - {None}:
            clock = oracle.wall(end, world.zone)
            at = oracle.local_to_instant(datetime.combine(day, clock.time()), world.zone)
            before = (clock.date() - day).days
            months = (day.year - clock.year) * 12 + day.month - clock.month
            last = oracle.days_in_month(day.year, day.month)
            if before in world.offsets and ahead(world, key, at, end):
                yield Due(at, -before, "expiring", before, end, key)
            if before == 0 and behind(world, key, end, end):
                yield Due(end, 0, "ended", 0, end, key)
            in_grace = behind(world, key, at, end) and at < oracle.grace_end(world.record, end, world.terms)
            if months > 0 and day.day == min(clock.day, last) and in_grace:
                yield Due(at, months, "grace_monthly", months, end, key)


def ahead(world: World, key: str, t: int, end: int) -> bool:
    """Whether the key is covered until `end`, by a term that has begun."""
    if not oracle.covered(world.record, key, t) or oracle.coverage_end(world.record, key, t) != end:
        return False
    grants = oracle.grants_of(world.record, key)
    sources = {g["source"] for g in grants if g["ends_at"] == end}
    return any(g["starts_at"] <= t for g in grants if g["source"] in sources)


def behind(world: World, key: str, t: int, end: int) -> bool:
    return not oracle.covered(world.record, key, t) and oracle.latest_past_end(world.record, key, t) == end


def true_at(world: World, due: Due, t: int) -> bool:
    """Whether what was told at its moment is still true later on."""
    if due.kind == "expiring":
        return oracle.covered(world.record, due.key, t) and oracle.coverage_end(world.record, due.key, t) == due.end
    if not behind(world, due.key, t, due.end):
        return False
    within = t < oracle.grace_end(world.record, due.end, world.terms)
    return within or (due.kind == "ended" and t < oracle.add_period(due.end, world.zone, 0, 7))


def expected(world: World, dues: list[Due], t: int) -> dict[int, tuple[Any, ...]]:
    """By end, what was told last of it, if that is true, and of which keys."""
    found = {}
    for end in {d.end for d in dues}:
        told = [d for d in dues if d.end == end and d.at <= t and true_at(world, d, t)]
        if told:
            last = max(told, key=lambda d: (d.at, d.rank))
            keys = tuple(sorted(d.key for d in told if (d.kind, d.count) == (last.kind, last.count)))
            found[end] = (last.kind, last.count, last.at, keys)
    return found


@st.composite
def worlds(draw: st.DrawFn) -> World:
    zone = draw(st.sampled_from(sorted(ODD_DAYS)))
    center = datetime.fromisoformat(draw(st.sampled_from(ODD_DAYS[zone])))
    clock = st.sampled_from([(0, 0), (0, 0), (0, 30), (1, 30), (2, 30), (23, 30), (23, 59), (12, 0)])
    edges = []
    for _ in range(draw(st.integers(2, 5))):
        hour, minute = draw(clock)
        local = center + timedelta(days=draw(st.integers(-70, 70)), hours=hour, minutes=minute)
        edges.append(oracle.local_to_instant(local, zone))
    grants = []
    for _ in range(draw(st.integers(1, 4))):
        pair = sorted(draw(st.tuples(st.sampled_from(edges), st.sampled_from(edges))))
        forever = draw(st.integers(0, 9)) == 0
        grants.append(
            {
                "key": draw(st.sampled_from(["a", "b"])),
                "starts_at": pair[0],
                "ends_at": None if forever else pair[1],
                "trial": draw(st.booleans()),
                "amount": 1,
                "users": None,
                "source": draw(st.sampled_from(["order:1", "order:2"])),
            }
        )
    record = {"tenant_id": "acme", "zone": zone, "archived": False, "blocks": [], "holder": None, "grants": grants}
    offsets = draw(st.sets(st.sampled_from([1, 2, 3, 5, 7, 14, 30, 31, 60]), max_size=6))
    grace = draw(st.sampled_from([(0, 0), (0, 1), (0, 10), (1, 0), (3, 0), (2, 5)]))
    return World(record, tuple(sorted(offsets)), {"grace": {"months": grace[0], "days": grace[1]}})


def tenant_of(world: World) -> Tenant:
    grants = tuple(
        Grant(**{**g, "ends_at": FOREVER if g["ends_at"] is None else g["ends_at"]}) for g in world.record["grants"]
    )
    record = Record(tenant_id="acme", revision=1, zone=world.zone, grants=grants)
    return Tenant(record, record, book(Period(**world.terms["grace"])))


@settings(deadline=None, max_examples=120)
@given(worlds(), st.lists(st.integers(0, 400 * 24), max_size=12))
def test_each_day_has_the_reminders_that_fall_on_it(world: World, hours: list[int]) -> None:
    dues = sorted(due for day in days(world) for due in due_on(world, day)) if world.keys else []
    tenant = tenant_of(world)
    start = min(g["starts_at"] for g in world.record["grants"]) - 40 * oracle.DAY
    probes = {start + n * oracle.HOUR for n in hours} | {d.at + step for d in dues for step in (-1, 0, 1)}
    probes |= {
        edge for d in dues for edge in (oracle.grace_end(world.record, d.end, world.terms), d.end + 7 * oracle.DAY)
    }
    for t in sorted(probes):
        found = reminders(tenant, world.offsets, t)
        assert {r.ends_at: (r.kind, r.count, r.at, r.keys) for r in found} == expected(world, dues, t)
        assert len({r.ends_at for r in found}) == len(found)
        terms = tenant.applied.terms
        assert not (found and quiet(tenant.record, terms, world.offsets, t)), "what holds was passed over"


@settings(deadline=None, max_examples=60)
@given(worlds(), st.integers(1, 71))
def test_a_runner_that_looks_now_and_then_sends_each_once_and_no_burst(world: World, hours: int) -> None:
    dues = sorted(due for day in days(world) for due in due_on(world, day)) if world.keys else []
    tenant, sent = tenant_of(world), set[str]()
    start = min(g["starts_at"] for g in world.record["grants"])
    last = max((d.at for d in dues), default=start)
    for t in (start + n * hours * oracle.HOUR for n in count()):
        fresh = [r for r in reminders(tenant, world.offsets, t) if r.dedupe not in sent]
        sent |= {r.dedupe for r in fresh}
        for reminder in fresh:
            since = t - hours * oracle.HOUR
            told = {(d.end, d.kind, d.count) for d in dues if since < d.at <= t}
            assert (reminder.ends_at, reminder.kind, reminder.count) in told or t == start, "sent late, or again"
        if t > last:
            break
