"""Values of the core: frozen, without room for more, named when made, and none that breaks its own rules."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any

import pytest

import sidecar.core
from sidecar.core.errors import InvalidRecord, InvalidRequest
from sidecar.core.model import (
    DAY,
    FOREVER,
    MICROS,
    SECOND,
    SINCE_EVER,
    UNLIMITED,
    Account,
    Basis,
    Block,
    Grant,
    Period,
    Record,
    Seat,
    Usage,
)
from sidecar.core.rules import Policy, Rule, Terms, Thresholds

MODULES = [importlib.import_module(f"sidecar.core.{m.name}") for m in pkgutil.iter_modules(sidecar.core.__path__)]
VALUES = [
    found
    for module in MODULES
    for _, found in inspect.getmembers(module, inspect.isclass)
    if is_dataclass(found) and found.__module__ == module.__name__
]
BY_PLACE = {"Seat", "Table", "Segment", "Timeline", "Run"}
MONEY: dict[str, Any] = {"basis": Basis.MONEY, "balance": 0, "as_of": 0, "charge": 1, "period": Period(months=1)}


@pytest.mark.parametrize("value", VALUES, ids=lambda v: v.__name__)
def test_values_are_frozen_and_hold_nothing_more(value: type[Any]) -> None:
    assert value.__dataclass_params__.frozen
    assert "__slots__" in vars(value)
    assert "__dict__" not in dir(value)
    assert all(f.kw_only for f in fields(value)) is (value.__name__ not in BY_PLACE)
    one = object.__new__(value)
    with pytest.raises(FrozenInstanceError):
        setattr(one, fields(value)[0].name, 1)


def test_units() -> None:
    assert (SECOND, DAY, MICROS) == (1_000_000, 86_400_000_000, 1_000_000)
    assert (SINCE_EVER, FOREVER) == (-9_223_372_036_854_775_808, 9_223_372_036_854_775_807)


@pytest.mark.parametrize("name", ["x", "x" * 256, "桌" * 85, "\U0001f4ba" * 64])
def test_names_of_1_to_256_bytes(name: str) -> None:
    assert Grant(key=name, starts_at=0).key == name
    assert Record(tenant_id=name, revision=1, zone="UTC").tenant_id == name


@pytest.mark.parametrize(("name", "size"), [("", 0), ("x" * 257, 257), ("桌" * 86, 258)])
def test_names_too_short_or_too_long(name: str, size: int) -> None:
    with pytest.raises(InvalidRecord, match=rf"grant\.key: 1 to 256 bytes are needed, got {size}"):
        Grant(key=name, starts_at=0)
    with pytest.raises(InvalidRecord, match=rf"tenant_id: 1 to 256 bytes are needed, got {size}"):
        Record(tenant_id=name, revision=1, zone="UTC")


@pytest.mark.parametrize("limit", [0, 1, 9_007_199_254_740_992, UNLIMITED, None])
def test_limits(limit: Any) -> None:
    grant = Grant(key="desk", starts_at=0, amount=limit, users=limit)
    assert (grant.amount, grant.users) == (limit, limit)


@pytest.mark.parametrize("limit", [-1, 9_007_199_254_740_993])
@pytest.mark.parametrize("name", ["amount", "users"])
def test_limits_out_of_range(name: str, limit: int) -> None:
    with pytest.raises(InvalidRecord, match=rf"grant desk: {name} must be 0 to 2\^53, got {limit}"):
        Grant(key="desk", starts_at=0, **{name: limit})


def test_usage_is_never_negative() -> None:
    assert Usage(units=0).units == 0
    with pytest.raises(InvalidRecord, match="units must be 0 or more, got -1"):
        Usage(units=-1)


@pytest.mark.parametrize(
    "given",
    [
        {"charge": 0},
        {"charge": 1, "owed_charge": 0},
        {"owed_charge": 5},
        {"deferral_days": 0},
        {"period": Period(months=1)},
        {"period": Period(days=1)},
        {"basis": Basis.DAYS, "period": Period()},
    ],
)
def test_accounts(given: dict[str, Any]) -> None:
    Account(**(MONEY | given))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"charge": -1}, "a charge must be 0 or more"),
        ({"owed_charge": -1}, "a charge must be 0 or more"),
        ({"charge": -1, "owed_charge": -1}, "a charge must be 0 or more"),
        ({"deferral_days": -1}, "deferral_days must be 0 or more"),
        ({"period": Period()}, "a number of months or of days above 0"),
        ({"period": Period(months=1, days=1)}, "a number of months or of days above 0"),
        ({"period": Period(months=-1)}, "a number of months or of days above 0"),
        ({"period": Period(days=-1)}, "a number of months or of days above 0"),
        ({"period": Period(months=1, days=-1)}, "a number of months or of days above 0"),
        ({"period": Period(months=-1, days=1)}, "a number of months or of days above 0"),
        ({"period": Period(months=1, micros=1)}, "a number of months or of days above 0"),
        ({"period": Period(days=1, micros=-1)}, "a number of months or of days above 0"),
    ],
)
def test_accounts_that_cannot_be(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidRecord, match=problem):
        Account(**(MONEY | given))


def test_records() -> None:
    own = Grant(key="desk", starts_at=0)
    assert Record(tenant_id="a", revision=1, zone="UTC", grants=(own,)).grants == (own,)
    assert Record(tenant_id="a", revision=1, zone="UTC", holder_id="b").holder_id == "b"
    assert Record(tenant_id="a", revision=2**63, zone="UTC").revision == 2**63


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"revision": 0}, "record a: revision must be 1 or more, got 0"),
        ({"revision": -1}, "record a: revision must be 1 or more, got -1"),
        ({"holder_id": "a"}, "record a: it cannot share its own services"),
        ({"holder_id": "b", "grants": (Grant(key="d", starts_at=0),)}, "record a: .* belong to b"),
        ({"holder_id": "b", "usage": {"d": Usage()}}, "record a: .* belong to b"),
        ({"holder_id": "b", "account": Account(**MONEY)}, "record a: .* belong to b"),
    ],
)
def test_records_that_cannot_be(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidRecord, match=problem):
        Record(**({"tenant_id": "a", "revision": 1, "zone": "UTC"} | given))


def test_what_is_not_said_is_the_least() -> None:
    grant = Grant(key="desk", starts_at=0)
    assert (grant.ends_at, grant.trial, grant.amount, grant.users, grant.source) == (FOREVER, False, None, None, "")
    assert Block(name="fraud", starts_at=0).ends_at == FOREVER
    assert Usage() == Usage(units=0, seats=())
    assert Period() == Period(months=0, days=0, micros=0)
    account = Account(**MONEY)
    assert (account.owed_since, account.owed_charge, account.anchor) == (None, 0, 0)
    assert (account.allowed_balance, account.deferral_days) == (0, 0)
    record = Record(tenant_id="a", revision=1, zone="UTC")
    assert (record.language, record.edition, record.tags, record.archived) == ("", "", (), False)
    assert (record.blocks, record.holder_id, record.grants, record.account) == ((), "", (), None)
    assert dict(record.usage) == {}
    assert Seat("a", "u") == Seat(tenant_id="a", user_id="u")


def test_what_policies_say_when_they_do_not_say() -> None:
    terms = Terms()
    assert (terms.grace, terms.expiring_soon) == (Period(months=3), Period(days=30))
    assert (terms.near_quota, terms.overage) == (90, 0)
    assert (Thresholds().stale_after, Thresholds().blind_after) == (300_000_000, 86_400_000_000)
    rule = Rule(policy="p", id="r")
    left = {f.name: getattr(rule, f.name) for f in fields(Rule)}
    assert {n for n, v in left.items() if v is None} == {
        *("keys", "status", "phase", "standing", "licensed", "seat", "usage", "room", "window", "freshness"),
        *("expiring_soon", "near_quota", "judge_by", "when", "effect", "reason", "remedies"),
    }
    assert (rule.actions, rule.action_groups, rule.warnings, rule.line) == ((), frozenset(), (), 0)
    assert (dict(rule.cuts), dict(rule.message)) == ({}, {})
    policy = Policy(name="p")
    assert policy.applies_to.layer == 0
    assert (policy.rules, policy.overrides) == ((), frozenset())
    assert (dict(policy.key_groups), dict(policy.cuts), dict(policy.reasons)) == ({}, {}, {})


def test_an_invalid_request_names_its_field() -> None:
    error = InvalidRequest("quantity", "must be 1 or more")
    assert (str(error), error.field, error.problem) == ("quantity: must be 1 or more", "quantity", "must be 1 or more")
