"""Facts: what a question and a tenant's state come to, before any rule is looked at (domain.md 2, 5 and 7)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from sidecar.core.book import Book
from sidecar.core.facts import NO_DETAILS, SHAPES, UNKNOWN_SHAPE, Ask, Facts, Judged, Shape, glance_at, judge, observe
from sidecar.core.model import UNLIMITED, Effect, Freshness, Grant, Group, Limit, Record, Seat, Usage
from sidecar.core.rules import Booked, Policy, PolicySet, Room, Rule, Seated, Used
from sidecar.core.tenant import Tenant
from tests.worked import instant

NOW = instant("2026-06-01")
START, END = instant("2026-01-01"), instant("2027-01-01")
BOOK = Book(PolicySet(policies=(), revision="r"))


def acme(**given: Any) -> Record:
    grants = (
        Grant(key="desk", starts_at=START, ends_at=END, amount=10),
        Grant(key="designer", starts_at=START, ends_at=END, users=2),
        Grant(key="sso", starts_at=START, ends_at=END),
    )
    seats = tuple(Seat("", user) for user in ("u1", "u2", "u3"))
    usage = {"desk": Usage(units=8), "designer": Usage(seats=seats)}
    return Record(**({"tenant_id": "acme", "revision": 1, "zone": "UTC", "grants": grants, "usage": usage} | given))


def facts(ask: Ask, record: Record | None = None, now: int = NOW, book: Book = BOOK) -> Facts:
    own = record or acme()
    tenant = Tenant(own, own, book)
    return observe(tenant, ask, glance_at(tenant, ask, now), now, Freshness.LIVE)


@pytest.mark.parametrize(
    ("limit", "used", "n", "usage", "room", "near"),
    [
        (10, 8, 0, Used.WITHIN, Room.FITS, False),
        (10, 9, 1, Used.WITHIN, Room.FITS, True),
        (10, 8, 1, Used.WITHIN, Room.FITS, True),  # exactly 90 percent
        (10, 7, 1, Used.WITHIN, Room.FITS, False),
        (10, 10, 0, Used.WITHIN, Room.FITS, False),  # at the limit is within, and nothing consumed fits
        (10, 10, 1, Used.WITHIN, Room.EXCEEDS, True),
        (10, 8, 3, Used.WITHIN, Room.EXCEEDS, True),
        (10, 11, 0, Used.OVER, Room.FITS, False),
        (10, 11, 1, Used.OVER, Room.EXCEEDS, True),
        (0, 0, 0, Used.WITHIN, Room.FITS, False),
        (0, 0, 1, Used.WITHIN, Room.EXCEEDS, True),
        (UNLIMITED, 99, 5, Used.WITHIN, Room.FITS, False),
    ],
)
def test_usage_against_a_limit(limit: Limit, used: int, n: int, usage: Used, room: Room, near: bool) -> None:
    assert judge(limit, used, n, covered=True, near_quota=90) == Judged(limit, used, usage, room, near)


@pytest.mark.parametrize(("n", "room"), [(0, Room.FITS), (1, Room.EXCEEDS)])
def test_outside_coverage_nothing_is_counted(n: int, room: Room) -> None:
    assert judge(10, 3, n, covered=False, near_quota=90) == Judged(0, 3, Used.UNCOUNTED, room, False)


@pytest.mark.parametrize(
    ("action", "shape"),
    [
        ("space.create", Shape(Group.SPEND, spends=True, free_unlicensed=True)),
        ("space.convert", Shape(Group.SPEND, spends=True, free_unlicensed=True)),
        ("space.license", Shape(Group.SPEND, spends=True)),
        ("license.assign", Shape(Group.SPEND, spends=True, seats=True, names_user=True, assigns=True)),
        ("license.revoke", Shape(Group.UNDO, seats=True, names_user=True)),
        ("feature.use", Shape(Group.USE, feature=True, names_user=True)),
        ("booking.create", Shape(Group.USE)),
        ("booking.check_in", Shape(Group.ATTEND)),
        ("booking.cancel", Shape(Group.UNDO)),
        ("tenant.read", Shape(Group.READ, reads=True)),
        ("tenant.export", Shape(Group.READ, reads=True)),
    ],
)
def test_what_an_action_says_about_itself(action: str, shape: Shape) -> None:
    assert SHAPES[action] == shape


def test_an_unknown_action_says_nothing_and_consumes_nothing() -> None:
    assert not any(UNKNOWN_SHAPE)
    seen = facts(Ask("acme", "desk.dance", "desk"))
    assert (seen.shape, seen.own, seen.n) == (UNKNOWN_SHAPE, None, 0)


@pytest.mark.parametrize(
    ("ask", "n"),
    [
        (Ask("acme", "space.create", "desk"), 1),
        (Ask("acme", "space.create", "desk", quantity=7), 7),
        (Ask("acme", "space.create", "desk", licensed=False, quantity=7), 0),
        (Ask("acme", "space.convert", "desk", licensed=False), 0),
        (Ask("acme", "space.license", "desk", licensed=False, quantity=2), 2),
        (Ask("acme", "license.assign", "designer", user_id="u9"), 1),
        (Ask("acme", "license.assign", "designer", user_id="u1"), 0),  # holds a seat already
        (Ask("acme", "license.assign", "designer", user_id="u3"), 0),  # one beyond the limit too
        (Ask("acme", "license.revoke", "designer", user_id="u1"), 0),
        (Ask("acme", "booking.create", "desk", quantity=7), 0),
        (Ask("acme", "tenant.read", quantity=7), 0),
    ],
)
def test_how_many_a_question_really_takes(ask: Ask, n: int) -> None:
    assert facts(ask).n == n


@pytest.mark.parametrize(
    ("action", "kind", "user", "seat"),
    [
        ("license.assign", "designer", "u1", Seated.HELD),
        ("license.assign", "designer", "u2", Seated.HELD),
        ("license.assign", "designer", "u3", Seated.EXCESS),
        ("license.assign", "designer", "u9", Seated.NONE),
        ("license.assign", "desk", "u1", Seated.NONE),
        ("license.revoke", "designer", "u1", Seated.HELD),
        ("feature.use", "designer", "u2", Seated.HELD),
        ("feature.use", "designer", "u3", Seated.EXCESS),
        ("feature.use", "designer", "", Seated.NONE),
        ("feature.use", "sso", "u1", Seated.UNSEATED),  # a feature, not a license per user
        ("booking.create", "designer", "u1", Seated.UNSEATED),
    ],
)
def test_where_the_user_stands_among_the_seats(action: str, kind: str, user: str, seat: Seated) -> None:
    assert facts(Ask("acme", action, kind, user_id=user)).seat is seat


@pytest.mark.parametrize(("now", "seat"), [(END - 1, Seated.EXCESS), (END, Seated.HELD)])
def test_outside_coverage_no_seat_is_in_excess(now: int, seat: Seated) -> None:
    assert facts(Ask("acme", "feature.use", "designer", user_id="u3"), now=now).seat is seat


def test_of_unlimited_seats_none_is_in_excess() -> None:
    record = acme(grants=(Grant(key="designer", starts_at=START, users=UNLIMITED),))
    assert facts(Ask("acme", "feature.use", "designer", user_id="u3"), record).seat is Seated.HELD


@pytest.mark.parametrize(
    ("action", "kind", "limit", "used"),
    [
        ("space.create", "desk", 10, 8),
        ("booking.create", "desk", 10, 8),
        ("booking.create", "designer", 0, 0),  # units of a key that grants seats alone
        ("license.assign", "designer", 2, 3),
        ("license.revoke", "designer", 2, 3),
        ("license.assign", "desk", 0, 0),
        ("feature.use", "designer", 2, 3),
        ("booking.create", "parking", 0, 0),
    ],
)
def test_what_a_question_is_counted_by(action: str, kind: str, limit: int, used: int) -> None:
    own = facts(Ask("acme", action, kind)).own
    assert own is not None
    assert (own.limit, own.used) == (limit, used)


@pytest.mark.parametrize(
    "ask",
    [
        Ask("acme", "feature.use", "sso"),
        Ask("acme", "tenant.read"),
        Ask("acme", "tenant.read", "desk"),
        Ask("acme", "booking.cancel"),
        Ask("acme", "desk.dance", "desk"),
    ],
)
def test_what_is_not_counted(ask: Ask) -> None:
    assert facts(ask).own is None


def test_reading_is_about_no_key() -> None:
    assert facts(Ask("acme", "tenant.export", "desk")).kind == ""
    assert facts(Ask("acme", "booking.cancel", "desk")).kind == "desk"


@pytest.mark.parametrize(
    ("window_ends_at", "now", "window"),
    [
        (None, NOW, Booked.NONE),
        (END - 1, NOW, Booked.INSIDE),
        (END, NOW, Booked.INSIDE),
        (END + 1, NOW, Booked.BEYOND),
        (END + 1, END, Booked.NONE),
        (END + 1, START - 1, Booked.NONE),
    ],
)
def test_a_booking_against_the_coverage_end(window_ends_at: int | None, now: int, window: Booked) -> None:
    ask = Ask("acme", "booking.create", "desk", window_starts_at=NOW, window_ends_at=window_ends_at)
    assert facts(ask, now=now).window is window


def test_a_booking_within_a_term_without_end_is_inside() -> None:
    record = acme(grants=(Grant(key="desk", starts_at=START, amount=1),))
    ask = Ask("acme", "booking.create", "desk", window_starts_at=NOW, window_ends_at=END * 2)
    assert facts(ask, record).window is Booked.INSIDE


@pytest.mark.parametrize(
    ("action", "licensed", "counts_as"),
    [
        ("booking.create", True, True),
        ("booking.create", False, False),
        ("space.license", False, True),  # it is being licensed
        ("space.create", False, False),
    ],
)
def test_licensed(action: str, licensed: bool, counts_as: bool) -> None:
    assert facts(Ask("acme", action, "desk", licensed)).licensed is counts_as


def test_a_question_that_says_no_more_is_of_one_licensed_unit() -> None:
    assert tuple(Ask("acme", "tenant.read")) == ("acme", "tenant.read", "", True, 1, "", None, None)
    assert tuple(NO_DETAILS) == ("", "", {}, {})


def test_groups_are_judged_over_their_keys_and_change_with_the_first_of_them() -> None:
    rule = Rule(policy="p", id="r", actions=("*",), effect=Effect.ALLOW, judge_by="rooms")
    groups = {"rooms": ("desk", "room"), "unjudged": ("desk",), "elsewhere": ("room",)}
    policy = Policy(name="p", key_groups=MappingProxyType(groups), rules=(rule,))
    room = Grant(key="room", starts_at=START, ends_at=NOW + 5, amount=3, users=1)
    record = acme(grants=(*acme().grants, room), usage={"desk": Usage(units=8), "room": Usage(units=4)})
    book = Book(PolicySet(policies=(policy,), revision="r"))
    seen = facts(Ask("acme", "space.create", "desk"), record, book=book)
    assert seen.pools == (("rooms", Judged(13, 12, Used.WITHIN, Room.FITS, True), NOW + 5),)
    assert facts(Ask("acme", "space.create", "sso"), record, book=book).pools == ()
    seats = facts(Ask("acme", "license.assign", "room"), record, book=book)
    assert seats.pools == (("rooms", Judged(1, 0, Used.WITHIN, Room.FITS, True), NOW + 5),)


def test_a_group_none_of_whose_keys_is_covered_is_not_counted() -> None:
    rule = Rule(policy="p", id="r", actions=("*",), effect=Effect.ALLOW, judge_by="rooms")
    policy = Policy(name="p", key_groups=MappingProxyType({"rooms": ("x", "y")}), rules=(rule,))
    seen = facts(Ask("acme", "space.create", "x"), book=Book(PolicySet(policies=(policy,), revision="r")))
    assert seen.pools[0][1] == Judged(0, 0, Used.UNCOUNTED, Room.EXCEEDS, False)
