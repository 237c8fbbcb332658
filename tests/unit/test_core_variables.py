"""What an expression may read: every variable, of the type it is declared with (core/rules.py)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sidecar.core.book import Book
from sidecar.core.facts import NO_DETAILS, Ask, Details, glance_at, observe
from sidecar.core.model import FOREVER, UNLIMITED, Account, Basis, Block, Freshness, Grant, Limit, Record, Usage
from sidecar.core.rules import VARIABLES, PolicySet
from sidecar.core.tenant import Tenant
from sidecar.core.variables import variables
from tests.worked import instant

BOOK = Book(PolicySet(policies=(), revision="r"))
NOW = instant("2026-06-01T12:00:00")
ZERO = datetime(1970, 1, 1, tzinfo=UTC)
TYPES: dict[str, type] = {
    "timestamp": datetime,
    "string": str,
    "int": int,
    "bool": bool,
    "list<string>": list,
    "map<string, string>": dict,
}


def given(ask: Ask, details: Details = NO_DETAILS, now: int = NOW, **record: Any) -> dict[str, Any]:
    plain = {"tenant_id": "acme", "revision": 1, "zone": "Asia/Shanghai", "usage": {"desk": Usage(units=8)}}
    granted = (Grant(key="desk", starts_at=instant("2026-01-01"), ends_at=instant("2027-01-01"), amount=10),)
    own = Record(**(plain | {"grants": granted} | record))
    tenant = Tenant(own, own, BOOK)
    facts = observe(tenant, ask, glance_at(tenant, ask, now), now, Freshness.STALE)
    return dict(variables(tenant, ask, details, facts, now))


def test_every_variable_is_there_and_of_its_type() -> None:
    for ask in (Ask("acme", "booking.create", "desk"), Ask("acme", "tenant.read"), Ask("acme", "desk.dance")):
        found = given(ask)
        assert found.keys() == VARIABLES.keys()
        assert {n: type(v) for n, v in found.items()} == {n: TYPES[t] for n, t in VARIABLES.items()}


def test_a_question_in_full() -> None:
    starts_at, ends_at = instant("2026-07-01"), instant("2026-07-02")
    ask = Ask("acme", "space.create", "desk", False, 3, "u1", starts_at, ends_at)
    details = Details("u1", "d-7", {"region": "cn"}, {"floor": "2"})
    account = Account(basis=Basis.DAYS, balance=0, as_of=NOW, charge=0, owed_since=NOW, deferral_days=1)
    record = {"edition": "basic", "tags": ("a", "b"), "language": "zh-CN", "account": account}
    assert given(ask, details, **record, blocks=(Block(name="b", starts_at=0),)) == {
        "now": datetime(2026, 6, 1, 12, tzinfo=UTC),
        "action": "space.create",
        "group": "spend",
        "quantity": 3,
        "tenant.id": "acme",
        "tenant.edition": "basic",
        "tenant.tags": ["a", "b"],
        "tenant.language": "zh-CN",
        "tenant.time_zone": "Asia/Shanghai",
        "tenant.status": "SUSPENDED",
        "tenant.standing": "PAST_DUE",
        "resource.kind": "desk",
        "resource.id": "d-7",
        "resource.licensed": False,
        "resource.attributes": {"floor": "2"},
        "subject.user_id": "u1",
        "request.attributes": {"region": "cn"},
        "window.given": True,
        "window.starts_at": datetime(2026, 7, 1, tzinfo=UTC),
        "window.ends_at": datetime(2026, 7, 2, tzinfo=UTC),
        "phase": "ACTIVE",
        "freshness": "STALE",
        "term.ends": True,
        "term.ends_at": datetime(2027, 1, 1, tzinfo=UTC),
        "quota.counted": True,
        "quota.unlimited": False,
        "quota.limit": 10,
        "quota.used": 8,
        "quota.fits": 2,
        "quota.excess": 0,
    }


def test_what_is_not_there_is_empty() -> None:
    found = given(Ask("acme", "desk.dance"), grants=())
    assert (found["group"], found["window.given"], found["term.ends"]) == ("", False, False)
    assert found["window.starts_at"] == found["window.ends_at"] == found["term.ends_at"] == ZERO
    assert {v for n, v in found.items() if n.startswith("quota.")} == {0}


@pytest.mark.parametrize(
    ("limit", "units", "quota"),
    [
        (10, 8, (True, False, 10, 8, 2, 0)),
        (10, 10, (True, False, 10, 10, 0, 0)),
        (10, 13, (True, False, 10, 13, 0, 3)),
        (UNLIMITED, 13, (True, True, 0, 13, 0, 0)),
    ],
)
def test_quota(limit: Limit, units: int, quota: tuple[object, ...]) -> None:
    grants = (Grant(key="desk", starts_at=0, amount=limit),)
    found = given(Ask("acme", "space.create", "desk"), grants=grants, usage={"desk": Usage(units=units)})
    names = ("counted", "unlimited", "limit", "used", "fits", "excess")
    assert tuple(found[f"quota.{n}"] for n in names) == quota
    assert (found["term.ends"], found["term.ends_at"]) == (False, ZERO)


def test_outside_coverage_only_what_exists_is_told() -> None:
    found = given(Ask("acme", "space.create", "desk"), now=instant("2027-02-01"))
    names = ("counted", "unlimited", "limit", "used", "fits", "excess")
    assert tuple(found[f"quota.{n}"] for n in names) == (True, False, 0, 8, 0, 0)


def test_instants_past_the_calendar_are_its_ends() -> None:
    ask = Ask("acme", "booking.create", "desk", window_starts_at=-FOREVER, window_ends_at=FOREVER)
    found = given(ask)
    assert found["window.starts_at"] == datetime(1, 1, 1, tzinfo=UTC)
    assert found["window.ends_at"] == datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
