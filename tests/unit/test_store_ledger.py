"""The ledger: every movement of every balance, and accounts under plans (domain.md 6 and 8, cases 19, 20, 23, 29).

Random operations on an account are held against a walk along its due instants, one by one (tests/oracle.py).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sidecar.core.calendar import format_instant, zone_of
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import DAY, MICROS, Account, Basis, Period, Standing
from sidecar.core.standing import outlook
from sync.store import accounts, ledger
from sync.store.assignments import assign_plan, unassign_plan
from sync.store.audit import By
from sync.store.ledger import Kind
from sync.store.tenants import update_tenant
from tests import oracle
from tests.changing import change, movements, plan
from tests.storing import Shop, at, for_a_while, on_every_database, per_unit, refused

pytestmark = on_every_database

OPENED, JANUARY, DUE = "2025-12-15", "2026-01-01", "2026-02-01"
MONTHLY: dict[str, Any] = {"charge": 60 * MICROS, "anchor": at(JANUARY), "period": Period(months=1)}
ZONE = "Asia/Shanghai"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("fd", "fixed_desk"))
    shop.tenant("t")
    return shop


def money(shop: Shop, balance: int = 100, *, now: str = OPENED, **fields: Any) -> None:
    given = MONTHLY | fields
    change(shop, accounts.open_account, "t", basis=Basis.MONEY, balance=balance * MICROS, now=now, **given)


def days(shop: Shop, balance: int, *, now: str = JANUARY, **fields: Any) -> None:
    change(shop, accounts.open_account, "t", basis=Basis.DAYS, balance=balance * MICROS, now=now, **fields)


def do(shop: Shop, make: Callable[..., Any], *args: Any, now: str, **fields: Any) -> Any:
    return change(shop, make, "t", *args, now=now, **fields).answer


def told(shop: Shop) -> list[tuple[str, str, int, int, int]]:
    """Kind, day, amount, balance and count of every movement, in units."""
    found = movements(shop, "t")
    assert not any(m.amount % MICROS or m.balance % MICROS for m in found)
    return [(m.kind.value, format_instant(m.at)[:10], m.amount // MICROS, m.balance // MICROS, m.count) for m in found]


def account(shop: Shop) -> Account:
    found = shop.record("t").account
    assert found is not None
    return found


def standing(shop: Shop, instant: int) -> Standing:
    return outlook(shop.record("t").account, zone_of("UTC")).at(instant)


# --- the worked cases, with their entries ---


def test_case_19_a_charge_taken_and_one_that_could_not_be(shop: Shop) -> None:
    money(shop)
    do(shop, accounts.settle_account, now=JANUARY)
    assert told(shop) == [("OPENED", OPENED, 100, 100, 0), ("CHARGES", JANUARY, -60, 40, 1)]
    do(shop, accounts.settle_account, now=DUE)
    assert len(told(shop)) == 2
    assert (account(shop).balance, account(shop).owed_since) == (40 * MICROS, at(DUE))
    assert [standing(shop, at(DUE) - 1), standing(shop, at(DUE))] == [Standing.GOOD, Standing.BLOCKED]


def test_case_20_a_top_up_too_small_is_kept_and_one_that_is_enough_pays(shop: Shop) -> None:
    money(shop, deferral_days=5)
    do(shop, accounts.top_up, 10 * MICROS, now="2026-02-07", reference="wire 1")
    assert [standing(shop, at(DUE) + 5 * DAY - 1), standing(shop, at("2026-02-07"))] == [
        Standing.PAST_DUE,
        Standing.BLOCKED,
    ]
    do(shop, accounts.top_up, 10 * MICROS, now="2026-02-09")
    assert standing(shop, at("2026-02-09")) is Standing.GOOD
    assert told(shop)[1:] == [
        ("CHARGES", "2026-02-07", -60, 40, 1),
        ("TOP_UP", "2026-02-07", 10, 50, 0),
        ("TOP_UP", "2026-02-09", 10, 60, 0),
        ("OWED", "2026-02-09", -60, 0, 1),
    ]
    assert [m.reference for m in movements(shop, "t")] == ["", "", "wire 1", "", ""]


def test_case_23_a_plan_taken_away_brings_the_tenants_own_credit_back(shop: Shop) -> None:
    plan(shop, "strict", {"fd": 1}, basis="money", allowed_balance=0, deferral_days=0)
    fields = {"charge": 40 * MICROS, "anchor": at("2026-03-01"), "allowed_balance": -50 * MICROS}
    money(shop, 10, now="2026-02-01", **fields)
    do(shop, assign_plan, "strict", now="2026-02-10")
    assert standing(shop, at("2026-03-01") - 1) is Standing.GOOD
    assert standing(shop, at("2026-03-02")) is Standing.BLOCKED
    do(shop, unassign_plan, now="2026-03-03")
    assert standing(shop, at("2026-03-03")) is Standing.GOOD
    assert told(shop) == [("OPENED", "2026-02-01", 10, 10, 0), ("OWED", "2026-03-03", -40, -30, 1)]
    assert account(shop).balance == -30 * MICROS


def test_case_29_days(shop: Shop) -> None:
    days(shop, 2)
    do(shop, accounts.settle_account, now="2026-01-03")
    assert standing(shop, at("2026-01-04") - 1) is Standing.GOOD
    do(shop, accounts.settle_account, now="2026-01-09")
    assert standing(shop, at("2026-01-04")) is Standing.BLOCKED
    assert told(shop) == [("OPENED", JANUARY, 2, 2, 0), ("CHARGES", "2026-01-03", -2, 0, 2)]


# --- each kind of movement ---


def test_charges_taken_since_the_last_change_are_one_movement(shop: Shop) -> None:
    days(shop, 100)
    do(shop, accounts.top_up, MICROS, now="2026-01-11")
    assert told(shop)[1:] == [("CHARGES", "2026-01-11", -10, 90, 10), ("TOP_UP", "2026-01-11", 1, 91, 0)]


def test_a_correction_goes_either_way_and_below_what_is_allowed(shop: Shop) -> None:
    days(shop, 5)
    do(shop, accounts.correct_balance, -8 * MICROS, now=JANUARY, reason="counted twice")
    do(shop, accounts.correct_balance, MICROS, now=JANUARY, reason="one too many")
    assert told(shop)[1:] == [("CORRECTED", JANUARY, -8, -3, 0), ("CORRECTED", JANUARY, 1, -2, 0)]
    assert [m.reference for m in movements(shop, "t")] == ["", "counted twice", "one too many"]
    assert standing(shop, at("2026-01-02")) is Standing.BLOCKED


def test_a_correction_settles_first_and_takes_what_is_owed(shop: Shop) -> None:
    money(shop)
    do(shop, accounts.correct_balance, 20 * MICROS, now="2026-02-03", reason="forgotten")
    assert told(shop)[1:] == [
        ("CHARGES", "2026-02-03", -60, 40, 1),
        ("CORRECTED", "2026-02-03", 20, 60, 0),
        ("OWED", "2026-02-03", -60, 0, 1),
    ]


def test_another_basis_states_the_balance_anew_and_forgets_what_was_owed(shop: Shop) -> None:
    money(shop, deferral_days=3)
    do(shop, accounts.change_basis, now="2026-02-03", basis=Basis.DAYS, balance=30 * MICROS)
    assert told(shop)[1:] == [("CHARGES", "2026-02-03", -60, 40, 1), ("CONVERTED", "2026-02-03", -10, 30, 0)]
    with shop.store.reading() as conn:
        bases = [entry.basis for entry in ledger.list_ledger(conn, tenant_id="t")]
    assert bases == [Basis.MONEY, Basis.MONEY, Basis.DAYS]
    found = account(shop)
    assert (found.basis, found.owed_since, found.owed_charge, found.charge) == (Basis.DAYS, None, 0, MICROS)
    assert (found.as_of, found.allowed_balance, found.deferral_days) == (at("2026-02-03"), 0, 3)
    do(shop, accounts.change_basis, now="2026-02-05", basis=Basis.MONEY, balance=MICROS, deferral_days=1, **MONTHLY)
    assert told(shop)[3:] == [("CHARGES", "2026-02-05", -2, 28, 2), ("CONVERTED", "2026-02-05", -27, 1, 0)]
    assert (account(shop).charge, account(shop).deferral_days) == (60 * MICROS, 1)
    with pytest.raises(InvalidRequest, match="basis"):
        do(shop, accounts.change_basis, now="2026-02-05", basis=Basis.MONEY, balance=0, **MONTHLY)


def test_a_closed_account_leaves_nothing_and_another_can_be_opened(shop: Shop) -> None:
    days(shop, 10)
    assert do(shop, accounts.close_account, now="2026-01-04", reason="moved to invoices") == 7 * MICROS
    assert shop.record("t").account is None
    with refused("NO_ACCOUNT"):
        do(shop, accounts.top_up, 1, now="2026-01-04")
    with refused("NO_ACCOUNT"):
        do(shop, accounts.close_account, now="2026-01-04", reason="again")
    days(shop, 4, now="2026-02-01")
    assert told(shop) == [
        ("OPENED", JANUARY, 10, 10, 0),
        ("CHARGES", "2026-01-04", -3, 7, 3),
        ("CLOSED", "2026-01-04", -7, 0, 0),
        ("OPENED", "2026-02-01", 4, 4, 0),
    ]
    assert [m.reference for m in movements(shop, "t")][2] == "moved to invoices"


def test_reasons_and_amounts_must_be_given(shop: Shop) -> None:
    days(shop, 10)
    with pytest.raises(InvalidRequest, match="amount"):
        do(shop, accounts.correct_balance, 0, now=JANUARY, reason="none")
    with pytest.raises(InvalidRequest, match="reason"):
        do(shop, accounts.correct_balance, 1, now=JANUARY, reason="")
    with pytest.raises(InvalidRequest, match="reason"):
        do(shop, accounts.close_account, now=JANUARY, reason="")
    with pytest.raises(InvalidRequest, match="balance"):
        do(shop, accounts.correct_balance, -(10**18) - 11 * MICROS, now=JANUARY, reason="too much")
    assert told(shop) == [("OPENED", JANUARY, 10, 10, 0)]


def test_the_ledger_is_read_in_pages_with_who_wrote_it(shop: Shop) -> None:
    shop.tenant("other")
    days(shop, 10)
    change(shop, accounts.open_account, "other", basis=Basis.DAYS, balance=MICROS, now=JANUARY)
    ada = By(operator="ada", at=at(JANUARY))
    change(shop, accounts.top_up, "t", MICROS, now=JANUARY, by=ada)
    with shop.store.reading() as conn:
        assert [(e.tenant_id, e.operator) for e in ledger.list_ledger(conn)] == [
            ("t", "tester"),
            ("other", "tester"),
            ("t", "ada"),
        ]
        (first,) = ledger.list_ledger(conn, tenant_id="t", limit=1)
        (last,) = ledger.list_ledger(conn, tenant_id="t", after=first.id)
    assert [first.movement.kind, last.movement.kind] == [Kind.OPENED, Kind.TOP_UP]


def test_what_is_owed_is_not_taken_before_it_was_due(shop: Shop) -> None:
    """A change dated before the last settlement moves nothing back."""
    money(shop)
    do(shop, accounts.settle_account, now="2026-02-03")
    do(shop, accounts.top_up, 20 * MICROS, now="2026-01-15")
    kind, day, amount, _, _ = told(shop)[-1]
    assert (kind, day, amount) == ("OWED", "2026-02-03", -60)


# --- under plans ---


def test_a_charge_due_at_the_instant_of_an_assignment_is_judged_by_the_settings_before_it(shop: Shop) -> None:
    plan(shop, "strict", {"fd": 1}, basis="money", allowed_balance=0)
    money(shop, 0, allowed_balance=-60 * MICROS)
    do(shop, assign_plan, "strict", now=JANUARY)
    assert (account(shop).balance, account(shop).owed_since) == (-60 * MICROS, None)
    assert standing(shop, at(DUE)) is Standing.BLOCKED


def test_a_charge_due_as_a_plan_ends_is_owed_by_it_and_taken_by_the_tenants_own_at_once(shop: Shop) -> None:
    plan(shop, "strict", {"fd": 1}, basis="money", allowed_balance=0)
    money(shop, 0, allowed_balance=-60 * MICROS)
    do(shop, assign_plan, "strict", now=OPENED)
    do(shop, unassign_plan, now=JANUARY)
    assert told(shop) == [("OPENED", OPENED, 0, 0, 0), ("OWED", JANUARY, -60, -60, 1)]


def test_a_plan_without_blocking_settings_over_one_with_them_brings_the_tenants_own_back(shop: Shop) -> None:
    plan(shop, "strict", {"fd": 1}, basis="money", allowed_balance=0)
    plan(shop, "plain", {"fd": 2})
    money(shop, 0, allowed_balance=-60 * MICROS)
    do(shop, assign_plan, "strict", now=OPENED)
    do(shop, assign_plan, "plain", now="2026-01-05")
    assert told(shop)[1:] == [("OWED", "2026-01-05", -60, -60, 1)]
    assert account(shop).allowed_balance == -60 * MICROS


def test_one_plan_over_another_pays_what_was_owed_under_the_new_one(shop: Shop) -> None:
    plan(shop, "strict", {"fd": 1}, basis="money", allowed_balance=0)
    plan(shop, "loose", {"fd": 1}, basis="money", allowed_balance=-60 * MICROS)
    money(shop, 0)
    do(shop, assign_plan, "strict", now=OPENED)
    do(shop, assign_plan, "loose", now="2026-01-05")
    assert told(shop)[1:] == [("OWED", "2026-01-05", -60, -60, 1)]


def test_a_tenants_own_settings_under_a_plan_are_kept_for_later(shop: Shop) -> None:
    plan(shop, "strict", {"fd": 1}, basis="money", allowed_balance=0)
    money(shop, 0)
    do(shop, assign_plan, "strict", now=OPENED)
    do(shop, accounts.set_blocking, now="2026-01-05", allowed_balance=-60 * MICROS)
    assert told(shop) == [("OPENED", OPENED, 0, 0, 0)]
    assert (account(shop).owed_since, account(shop).allowed_balance) == (at(JANUARY), 0)
    do(shop, unassign_plan, now="2026-01-06")
    assert told(shop)[1:] == [("OWED", "2026-01-06", -60, -60, 1)]


def test_setting_what_is_set_already_writes_nothing(shop: Shop) -> None:
    money(shop)
    for make, fields in (
        (accounts.set_blocking, {"allowed_balance": 0, "deferral_days": 0}),
        (accounts.set_blocking, {}),
        (accounts.set_charge, MONTHLY),
    ):
        left = change(shop, make, "t", now=OPENED, **fields)
        assert (left.records, left.entries) == (set(), [])
    assert len(told(shop)) == 1


# --- any operations in any order ---

DAYS = st.integers(0, 40)
AMOUNTS = st.integers(-80, 200).map(lambda units: units * MICROS // 2)
OPERATIONS = st.one_of(
    st.tuples(st.just("top_up"), AMOUNTS),
    st.tuples(st.just("correct"), AMOUNTS),
    st.tuples(st.just("charge"), st.integers(0, 60).map(lambda units: units * MICROS)),
    st.tuples(st.just("anchor"), st.integers(0, 200)),
    st.tuples(st.just("allow"), AMOUNTS),
    st.tuples(st.just("assign"), st.sampled_from(["strict", "loose", "plain"])),
    st.tuples(st.just("unassign"), st.none()),
    st.tuples(st.just("zone"), st.sampled_from(["UTC", ZONE, "Australia/Lord_Howe"])),
    st.tuples(st.just("settle"), st.none()),
)
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""Every example is a store in a file: making a failing one smaller takes minutes."""
BLOCKING = {"strict": (20 * MICROS, 2), "loose": (-90 * MICROS, 0)}


class Plainly:
    """The account as the oracle walks it, the tenant's own settings apart from those in force."""

    def __init__(self, basis: Basis, balance: int, start: int) -> None:
        money = basis is Basis.MONEY
        self.zone = ZONE
        self.own = (0, 3)
        self.plan = ""
        self.account: dict[str, Any] = {
            "basis": basis.name.lower(),
            "balance": balance,
            "as_of": start,
            "owed_since": None,
            "owed_charge": None,
            "charge": 30 * MICROS if money else MICROS,
            "anchor": start + 3 * DAY if money else 0,
            "period": {"months": 0, "days": 7 if money else 0},
            "allowed_balance": 0,
            "deferral_days": 3,
        }

    def change(self, instant: int, top_up: int = 0, zone: str = "", **settings: Any) -> None:
        allowed, deferral = BLOCKING.get(self.plan, self.own)
        given = settings | {"allowed_balance": allowed, "deferral_days": deferral}
        self.account = oracle.change(self.account, self.zone, instant, top_up, **given)
        self.zone = zone or self.zone


def apply(shop: Shop, plainly: Plainly, name: str, value: Any, instant: int) -> None:
    """One operation, to both."""
    money = plainly.account["basis"] == "money"
    if name == "top_up" and value > 0:
        change(shop, accounts.top_up, "t", value, now=instant)
        plainly.change(instant, value)
    elif name == "correct" and value:
        change(shop, accounts.correct_balance, "t", value, now=instant, reason="chance")
        plainly.change(instant, value)
    elif name == "charge" and money:
        change(shop, accounts.set_charge, "t", now=instant, charge=value, anchor=None, period=None)
        plainly.change(instant, charge=value)
    elif name == "anchor" and money:
        anchor = at(JANUARY) + value * DAY
        charge = plainly.account["charge"]
        change(shop, accounts.set_charge, "t", now=instant, charge=charge, anchor=anchor, period=None)
        plainly.change(instant, anchor=anchor)
    elif name == "allow":
        change(shop, accounts.set_blocking, "t", now=instant, allowed_balance=value)
        plainly.own = (value, plainly.own[1])
        plainly.change(instant)
    elif name in {"assign", "unassign"}:
        assign(shop, plainly, value or "", instant)
    elif name == "zone":
        change(shop, update_tenant, "t", now=instant, zone=value)
        if value != plainly.zone:
            plainly.change(instant, zone=value)
    elif name == "settle":
        change(shop, accounts.settle_account, "t", now=instant)
        plainly.change(instant)


def assign(shop: Shop, plainly: Plainly, plan_id: str, instant: int) -> None:
    before = plainly.plan
    if plan_id:
        change(shop, assign_plan, "t", plan_id, now=instant)
    elif before:
        change(shop, unassign_plan, "t", now=instant)
    else:
        with refused("NO_PLAN"):
            change(shop, unassign_plan, "t", now=instant)
    plainly.plan = plan_id
    if before != plan_id:
        plainly.change(instant)


def check(shop: Shop, plainly: Plainly, instant: int) -> None:
    """The ledger adds up, and the account is where the walk along its due instants ends."""
    found = movements(shop, "t")
    balance = 0
    for movement in found:
        balance += movement.amount
        assert movement.balance == balance
    held = account(shop)
    assert held.balance == balance
    with shop.store.reading() as conn:
        now = accounts.account_at(conn, "t", instant)
    walked = oracle.settle(plainly.account, plainly.zone, instant)
    assert (now.balance, now.owed_since, now.owed_charge) == (
        walked["balance"],
        walked["owed_since"],
        walked["owed_charge"] or 0,
    )
    assert (held.allowed_balance, held.deferral_days) == BLOCKING.get(plainly.plan, plainly.own)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=WITHOUT_SHRINKING)
@given(
    basis=st.sampled_from(Basis),
    balance=AMOUNTS,
    steps=st.lists(st.tuples(DAYS, st.sampled_from([0, 1, -1, DAY // 2]), OPERATIONS), min_size=1, max_size=8),
)
def test_whatever_is_done_the_ledger_adds_up_and_the_account_is_as_walked(
    basis: Basis, balance: int, steps: list[tuple[int, int, tuple[str, Any]]]
) -> None:
    start = at(JANUARY)
    plainly = Plainly(basis, balance, start)
    with for_a_while() as folder:
        shop = Shop(folder / "store.db")
        shop.product(per_unit("fd", "fixed_desk"))
        shop.tenant("t", zone=ZONE)
        name = basis.name.lower()
        plan(shop, "plain", {"fd": 1})
        for plan_id, (allowed, deferral) in BLOCKING.items():
            plan(shop, plan_id, {"fd": 1}, basis=name, allowed_balance=allowed, deferral_days=deferral)
        fields = {"charge": 30 * MICROS, "anchor": start + 3 * DAY, "period": Period(days=7)}
        given = fields if basis is Basis.MONEY else {}
        change(shop, accounts.open_account, "t", basis=basis, balance=balance, now=start, deferral_days=3, **given)
        instant = start
        for more, off, (operation, value) in steps:
            instant = max(instant, instant + more * DAY + off)
            apply(shop, plainly, operation, value, instant)
            check(shop, plainly, instant)
        check(shop, plainly, instant + 40 * DAY)
