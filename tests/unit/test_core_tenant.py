"""A tenant under a book: its keys, seats, usage and timelines, its own or its holder's."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from sidecar.core.book import Book
from sidecar.core.model import DAY, Effect, Grant, Phase, Record, Seat, Usage
from sidecar.core.rules import Policy, PolicySet, Rule
from sidecar.core.tenant import Tenant
from tests.worked import instant

START, END = instant("2026-01-01"), instant("2027-01-01")
BOOK = Book(PolicySet(policies=(), revision="r"))
GRANTS = (
    Grant(key="desk", starts_at=START, ends_at=END, amount=10),
    Grant(key="designer", starts_at=START, ends_at=END, users=2),
    Grant(key="designer", starts_at=END, amount=2),
    Grant(key="empty", starts_at=END, ends_at=END, users=1),
    Grant(key="backwards", starts_at=END, ends_at=START, users=1),
)
SEATS = (Seat("", "u1"), Seat("child", "u1"), Seat("acme", "u2"))
USAGE = {"desk": Usage(units=8), "designer": Usage(units=1, seats=SEATS)}
ACME = Record(tenant_id="acme", revision=1, zone="UTC", grants=GRANTS, usage=USAGE)
CHILD = Record(tenant_id="child", revision=1, zone="Asia/Shanghai", holder_id="acme")


def tenant(**given: Any) -> Tenant:
    return Tenant(ACME, ACME, given.get("book", BOOK))


def test_an_empty_window_is_no_grant() -> None:
    assert tenant().keys == {"desk", "designer"}
    assert tenant().per_user == {"designer"}
    assert tenant().segment("empty", END).state.phase is Phase.UNLICENSED


@pytest.mark.parametrize(
    ("record", "kind", "user", "place"),
    [
        (ACME, "designer", "u1", 0),
        (ACME, "designer", "u2", 2),
        (CHILD, "designer", "u1", 1),
        (CHILD, "designer", "u2", None),
        (ACME, "designer", "u9", None),
        (ACME, "desk", "u1", None),
        (ACME, "unused", "u1", None),
    ],
)
def test_seats_in_order_of_assignment(record: Record, kind: str, user: str, place: int | None) -> None:
    held = Tenant(record, ACME, BOOK)
    assert held.seat(kind, user) == place
    assert held.seat(kind, user) == place  # remembered


@pytest.mark.parametrize(
    ("kind", "seated", "used"),
    [("desk", False, 8), ("desk", True, 0), ("designer", False, 1), ("designer", True, 3), ("unused", False, 0)],
)
def test_used(kind: str, seated: bool, used: int) -> None:
    assert tenant().used(kind, seated) == used


def test_segments_are_found_again_as_time_goes_on_and_back() -> None:
    held = tenant()
    first = held.segment("desk", START)
    assert held.segment("desk", END - 31 * DAY) is first
    later = held.segment("desk", END)
    assert later.state.phase is Phase.GRACE
    assert held.segment("desk", later.ends_at - 1) is later
    assert held.segment("desk", later.ends_at).state.phase is Phase.EXPIRED
    assert held.segment("desk", later.starts_at) is later
    assert held.segment("desk", START - 1).state.phase is Phase.PENDING
    assert held.segment("desk", START) is first


def test_keys_that_are_not_granted_share_one_segment() -> None:
    held = tenant()
    assert held.segment("x", START) is held.segment("y", START)
    assert held.segment("x", START).state.phase is Phase.UNLICENSED
    assert held.segment("", START).state.phase is Phase.ACTIVE


def test_timelines_of_keys_that_are_not_granted_are_not_kept() -> None:
    held = tenant()
    assert held.timeline("x") is not held.timeline("x")
    assert held.timeline("x") == held.timeline("y")
    for kept in ("desk", "", "\0"):
        assert held.timeline(kept) is held.timeline(kept)


def test_of_a_holder_its_zone_grants_and_status_count_beside_the_tenants_own_status() -> None:
    child = Tenant(CHILD, ACME, BOOK)
    assert child.context.zone.key == "UTC"
    assert child.context.records == (CHILD, ACME)
    assert child.keys == {"desk", "designer"}
    assert tenant().context.records == (ACME,)


def test_what_tells_one_state_of_a_group_from_another() -> None:
    rule = Rule(policy="p", id="r", actions=("*",), effect=Effect.ALLOW, judge_by="both")
    groups = {"both": ("desk", "designer"), "unjudged": ("desk",)}
    policy = Policy(name="p", key_groups=MappingProxyType(groups), rules=(rule,))
    held = tenant(book=Book(PolicySet(policies=(policy,), revision="r")))
    soon = instant("2026-12-02")
    assert held.epoch("desk", START) == (START, START)
    assert held.epoch("desk", soon) == (soon, START)  # designer goes on after its term
    assert held.epoch("other", START) == ()
    assert tenant().epoch("desk", START) == ()
