"""Orders, payments, plans and accounts through the back office: exact to the millionth, by the tenant's calendar."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar._gen.desking.entitlements.v1.authorization_pb2 import STANDING_BLOCKED, STANDING_GOOD, STANDING_PAST_DUE
from sidecar._gen.desking.entitlements.v1.entitlement_pb2 import BASIS_DAYS, BASIS_MONEY, Limit
from sidecar.core.errors import InvalidRequest
from sync.backoffice.desk import Desk
from sync.store.db import Store, open_store
from sync.store.operators import Role
from tests.desks import MONTH, NEW, RENEW, UPGRADE, YEAR, ask, desks, furnished
from tests.storing import at, on_every_database, refused, stored

pytestmark = on_every_database

DOWNGRADE = pb.ORDER_KIND_DOWNGRADE


@pytest.fixture(params=["here", "over grpc"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    store: Store = open_store(stored(tmp_path / "store.db", furnished))
    with desks(store, remote=request.param == "over grpc") as desk_for:
        yield desk_for(Role.ADMIN)


def stamp(text: str) -> Timestamp:
    return Timestamp(seconds=at(text) // 1_000_000)


def desks_of(quantity: int, **more: Any) -> list[pb.OrderItem]:
    return [pb.OrderItem(product_id="fixed_desk-sku", quantity=quantity, **more)]


def rooms(quantity: int) -> list[pb.OrderItem]:
    return [pb.OrderItem(product_id="meeting_room-sku", quantity=quantity)]


def test_an_order_is_as_it_was_stated_and_costs_what_it_says(desk: Desk) -> None:
    fields = {
        "tenant_id": "beta",
        "kind": NEW,
        "items": desks_of(3, unit_price="33.333333", billing_starts="2026-07-01", billing_periods=2),
        "starts": "2026-06-30",
        "ends": "2027-06-29",
        "edition": "basic",
        "currency": "EUR",
        "purchased_on": "2026-06-01",
        "coupon": "SUMMER",
        "coupon_amount": "0.000001",
        "credit": "99",
        "note": "as\ntold",
    }
    order = ask(desk, "PlaceOrder", **fields).order
    assert Decimal(order.total) == 3 * Decimal("33.333333") * 2 - Decimal("99.000001")
    assert (order.kind, order.edition, order.currency, order.purchased_on) == (NEW, "basic", "EUR", "2026-06-01")
    assert (order.coupon, order.coupon_amount, order.credit, order.note) == ("SUMMER", "0.000001", "99", "as\ntold")
    assert order.operator == "admin"
    (line,) = order.lines
    assert (line.starts_at, line.ends_at) == (stamp("2026-06-30"), stamp("2027-06-30"))
    assert (line.billing_starts_at, line.billing_periods) == (stamp("2026-07-01"), 2)
    assert (line.trial_until, line.unit_price) == (stamp("2026-07-14"), "33.333333")
    assert ask(desk, "GetOrder", id=order.id).order == order
    assert order in ask(desk, "ListOrders", tenant_id="beta").orders


def test_a_quote_is_what_the_order_comes_to(desk: Desk) -> None:
    fields = {"tenant_id": "gamma", "kind": NEW, "items": desks_of(7, unit_price="0.1"), "length": YEAR}
    fields |= {"currency": "EUR", "at": stamp("2026-02-01")}
    quoted = ask(desk, "PlaceOrder", **fields, dry_run=True, idempotency_key="")
    assert (quoted.order.id, quoted.order.lines[0].id, quoted.order.total) == (0, 0, "0.7")
    with refused("UNKNOWN_ORDER"):
        ask(desk, "GetOrder", id=quoted.order.id)
    placed = ask(desk, "PlaceOrder", **fields).order
    placed.id = placed.lines[0].id = 0
    assert placed == quoted.order


def test_prices_that_are_not_stated_come_from_the_editions_list(desk: Desk) -> None:
    fields = {"tenant_id": "beta", "kind": NEW, "items": desks_of(10), "length": YEAR, "edition": "basic"}
    assert ask(desk, "PlaceOrder", **fields, currency="CNY", dry_run=True).order.total == "125"
    for currency in ("EUR", ""):
        with pytest.raises(InvalidRequest, match="is listed in CNY: give that currency, or a price"):
            ask(desk, "PlaceOrder", **fields, currency=currency, dry_run=True)


def test_a_term_is_counted_in_the_tenants_zone(desk: Desk) -> None:
    ask(desk, "UpdateTenant", id="beta", zone="Asia/Shanghai")
    fields = {"tenant_id": "beta", "kind": NEW, "items": desks_of(1), "starts": "2026-01-31"}
    dated = ask(desk, "PlaceOrder", **fields, ends="2026-06-30", dry_run=True).order.lines[0]
    assert (dated.starts_at, dated.ends_at) == (stamp("2026-01-30T16:00:00Z"), stamp("2026-06-30T16:00:00Z"))
    counted = ask(desk, "PlaceOrder", **fields, length=MONTH, dry_run=True).order.lines[0]
    assert counted.ends_at == stamp("2026-02-27T16:00:00Z")
    assert not ask(desk, "PlaceOrder", **fields, perpetual=True, dry_run=True).order.lines[0].HasField("ends_at")


def test_an_order_is_renewed_raised_and_not_lowered(desk: Desk) -> None:
    begun = stamp("2026-03-01")
    ask(desk, "PlaceOrder", tenant_id="child", kind=NEW, items=desks_of(10), length=YEAR, at=begun)
    for kind in (NEW, DOWNGRADE):
        with refused("TERM_RUNNING" if kind == NEW else "DOWNGRADE_NOT_ALLOWED"):
            ask(desk, "PlaceOrder", tenant_id="child", kind=kind, items=desks_of(8), length=YEAR, at=begun)
    renewed = ask(desk, "PlaceOrder", tenant_id="child", kind=RENEW, items=desks_of(8), length=YEAR, at=begun).order
    assert renewed.lines[0].starts_at == stamp("2027-03-01")
    raised = ask(desk, "PlaceOrder", tenant_id="child", kind=UPGRADE, items=desks_of(12), at=stamp("2026-04-01"))
    assert (raised.order.lines[0].ends_at, len(raised.notices)) == (stamp("2027-03-01"), 1)
    late = {"tenant_id": "child", "kind": RENEW, "items": desks_of(8), "length": YEAR, "at": stamp("2028-04-01")}
    own = ask(desk, "PlaceOrder", **late, dry_run=True).order.lines[0]
    old = ask(desk, "PlaceOrder", **late, late_start=pb.LATE_START_OLD_END, dry_run=True).order.lines[0]
    assert (own.starts_at, old.starts_at) == (stamp("2028-04-01"), stamp("2028-03-01"))


def test_a_product_that_allows_it_is_lowered(desk: Desk) -> None:
    order = ask(desk, "PlaceOrder", tenant_id="beta", kind=DOWNGRADE, items=rooms(3)).order
    assert (order.kind, order.lines[0].quantity) == (DOWNGRADE, 3)
    with refused("NOTHING_TO_DOWNGRADE"):
        ask(desk, "PlaceOrder", tenant_id="beta", kind=DOWNGRADE, items=rooms(3))


def test_a_trial_is_had_once(desk: Desk) -> None:
    fields = {"tenant_id": "beta", "kind": NEW, "items": desks_of(1), "trial": True, "at": stamp("2026-03-01")}
    order = ask(desk, "PlaceOrder", **fields).order
    assert (order.trial, order.lines[0].ends_at, order.total) == (True, stamp("2026-03-15"), "0")
    with refused("TRIAL_USED"):
        ask(desk, "PlaceOrder", **fields)
    void = ask(desk, "VoidOrder", order_id=order.id, void_from="2026-03-01", note="mistaken").order
    assert (void.kind, void.voids, void.void_at, void.note) == (
        pb.ORDER_KIND_VOID,
        order.id,
        stamp("2026-03-01"),
        "mistaken",
    )
    assert ask(desk, "GetOrder", id=order.id).order.void_at == stamp("2026-03-01")
    with refused("ALREADY_VOID"):
        ask(desk, "VoidOrder", order_id=order.id, void_from="2026-03-01")
    with refused("NOT_VOIDABLE"):
        ask(desk, "VoidOrder", order_id=void.id)
    assert ask(desk, "PlaceOrder", **fields).order.trial


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": pb.ORDER_KIND_VOID}, "kind"),
        ({"kind": 0}, "kind"),
        ({"items": []}, "items"),
        ({"items": desks_of(1) * 2}, "items[1].product_id"),
        ({"items": desks_of(0)}, "items[0].quantity"),
        ({"items": desks_of(1, unit_price="-1")}, "items[0].unit_price"),
        ({"items": desks_of(1, unit_price="1")}, "currency"),
        ({"items": desks_of(2**31, unit_price="999999999999"), "currency": "EUR"}, "items"),
        ({"items": desks_of(1, billing_starts="2020-01-01")}, "items"),
        ({"items": desks_of(1, billing_periods=12_001)}, "items[0].billing_periods"),
        ({"length": None}, "length"),
        ({"length": pb.Length(count=101, unit=pb.LENGTH_UNIT_YEAR)}, "length.count"),
        ({"length": pb.Length(count=1)}, "length.unit"),
        ({"ends": "2026-02-30"}, "ends"),
        ({"perpetual": False}, "perpetual"),
        ({"starts": "tomorrow"}, "starts"),
        ({"starts": "1969-12-31"}, "starts"),
        ({"kind": RENEW, "trial": True}, "trial"),
        ({"late_start": 3}, "late_start"),
        ({"currency": "eur"}, "currency"),
        ({"purchased_on": "2026-02-29"}, "purchased_on"),
        ({"coupon_amount": "1e2"}, "coupon_amount"),
        ({"credit": "-0.5"}, "credit"),
        ({"note": "x" * 4097}, "note"),
        ({"note": "\x07"}, "note"),
    ],
)
def test_what_is_wrong_with_an_order_is_named(desk: Desk, fields: dict[str, Any], field: str) -> None:
    given = {"tenant_id": "beta", "kind": NEW, "items": desks_of(1), "length": YEAR} | fields
    with pytest.raises(InvalidRequest) as caught:
        ask(desk, "PlaceOrder", **given)
    assert caught.value.field == field


def test_payments_are_recorded_corrected_and_told(desk: Desk) -> None:
    with pytest.raises(InvalidRequest, match=r"^amount: "):
        ask(desk, "RecordPayment", order_id=1, amount="0")
    paid = ask(desk, "RecordPayment", order_id=1, amount="24.750001", reference="bank 2", paid_on="2026-06-30")
    assert (paid.payment.amount, paid.payment.paid_on, paid.due) == ("24.750001", "2026-06-30", "-0.000001")
    wrong = {"order_id": 1, "corrects": paid.payment.id}
    with refused("CORRECTION_TOO_LARGE"):
        ask(desk, "RecordPayment", **wrong, amount="-24.750002")
    taken = ask(desk, "RecordPayment", **wrong, amount="-0.000001")
    assert (taken.payment.corrects, taken.due) == (paid.payment.id, "0")
    ready = ask(desk, "RecordProvisioning", order_id=1, provisioned="2026-06-30", reference="job 7").provisioning
    assert (ready.provisioned_at, ready.reference) == (stamp("2026-06-29T16:00:00Z"), "job 7")
    (bought,) = ask(desk, "GetPurchaseHistory", tenant_id="acme").purchases
    assert (bought.order.total, bought.paid, bought.due) == ("125", "125", "0")
    assert [p.amount for p in bought.payments] == ["100.25", "24.750001", "-0.000001"]
    assert list(bought.provisionings) == [ready]
    assert ("fixed_desk", Limit(count=10)) in [(g.key, g.amount) for g in bought.grants]
    assert [p.reference for p in ask(desk, "ListPayments", tenant_id="acme").payments] == ["bank 1", "bank 2", ""]
    assert [p.id for p in ask(desk, "ListPayments", reference="bank 2").payments] == [paid.payment.id]
    assert len(ask(desk, "ListNotices", tenant_id="acme", state="pending").notices) == 4


def test_a_plan_is_as_it_was_stated_and_lives_by_its_rules(desk: Desk) -> None:
    services = [pb.PlanService(product_id="meeting_room-sku", quantity=3)]
    blocking = pb.PlanBlocking(basis=BASIS_MONEY, allowed_balance="-50.5", deferral_days=3)
    fields = {"id": "gold", "name": "Gold", "owner_id": "acme", "services": services, "blocking": blocking}
    plan = ask(desk, "CreatePlan", **fields).plan
    assert (plan.name, plan.owner_id, plan.version) == ("Gold", "acme", 1)
    assert (list(plan.services), plan.blocking) == (services, blocking)
    with refused("PLAN_NOT_AVAILABLE"):
        ask(desk, "AssignPlan", tenant_id="beta", plan_id="gold")
    assert ask(desk, "AssignPlan", tenant_id="child", plan_id="gold").replaced_plan_id == ""
    with refused("PLAN_ASSIGNED") as caught:
        ask(desk, "UpdatePlan", id="gold", terms=pb.PlanTerms(services=services))
    assert "child" in caught.value.advice
    assert ask(desk, "UpdatePlan", id="gold", name="Golden", expected_version=1).plan.version == 2
    with refused("CONFLICT"):
        ask(desk, "UpdatePlan", id="gold", name="Goldest", expected_version=1)
    copy = ask(desk, "DuplicatePlan", id="gold").plan
    assert (copy.name, list(copy.services), copy.blocking) == ("Golden (copy)", services, blocking)
    shown = ask(desk, "GetPlan", id="gold")
    assert list(shown.tenant_ids) == ["child"]
    with refused("PLAN_NOT_ARCHIVED"):
        ask(desk, "DeletePlan", id=copy.id)
    ask(desk, "ArchivePlan", id=copy.id)
    with refused("PLAN_ARCHIVED"):
        ask(desk, "AssignPlan", tenant_id="child", plan_id=copy.id)
    ask(desk, "DeletePlan", id=copy.id)
    assert ask(desk, "AssignPlan", tenant_id="child", plan_id="spare").replaced_plan_id == "gold"
    assert ask(desk, "UnassignPlan", tenant_id="child").plan_id == "spare"
    with refused("NO_PLAN"):
        ask(desk, "UnassignPlan", tenant_id="child")


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["gold", "old", "spare", "standard"]),
        ({"owner_id": ""}, ["old", "spare", "standard"]),
        ({"owner_id": "acme"}, ["gold"]),
        ({"available_to": "child"}, ["gold", "old", "spare", "standard"]),
        ({"available_to": "beta"}, ["old", "spare", "standard"]),
        ({"archived": True}, ["old"]),
        ({"archived": False, "owner_id": ""}, ["spare", "standard"]),
    ],
)
def test_plans_are_sought(desk: Desk, filters: dict[str, Any], found: list[str]) -> None:
    services = [pb.PlanService(product_id="meeting_room-sku", quantity=1)]
    ask(desk, "CreatePlan", id="gold", name="Gold", owner_id="acme", services=services)
    assert [plan.id for plan in ask(desk, "ListPlans", **filters).plans] == found


def opened(desk: Desk, tenant_id: str = "acme", **more: Any) -> pb.AccountState:
    """domain.md 8, case 19: balance 100, charge 60 on the 1st; in the zone of the tenant."""
    fields = {"basis": BASIS_MONEY, "balance": "100", "charge": "60", "first_due": "2026-02-01", "period": MONTH}
    answer = ask(desk, "OpenAccount", tenant_id=tenant_id, at=stamp("2026-01-15"), **fields | more)
    return answer.account  # type: ignore[no-any-return]


def test_an_account_is_as_it_was_stated_and_moves_by_rule(desk: Desk) -> None:
    account = opened(desk, deferral_days=5)
    assert (account.balance, account.charge, account.deferral_days) == ("100", "60", 5)
    assert account.first_due == stamp("2026-01-31T16:00:00Z")
    assert (account.period, account.standing) == (MONTH, STANDING_GOOD)
    due = stamp("2026-02-28T16:00:00Z")
    ahead = ask(desk, "GetAccount", tenant_id="acme", at=stamp("2026-02-02"))
    assert (ahead.account.balance, ahead.account.as_of, ahead.owed_from) == ("40", stamp("2026-02-02"), due)
    assert ahead.blocked_from == stamp("2026-03-05T16:00:00Z")
    later = ask(desk, "GetAccount", tenant_id="acme", at=stamp("2026-03-04")).account
    assert (later.balance, later.owed_since, later.owed_charge, later.standing) == ("40", due, "60", STANDING_PAST_DUE)
    blocked = ask(desk, "GetAccount", tenant_id="acme", at=stamp("2026-03-06")).account
    assert blocked.standing == STANDING_BLOCKED
    topped = ask(desk, "TopUpAccount", tenant_id="acme", amount="20", reference="bank 9", at=stamp("2026-03-06"))
    assert (topped.account.balance, topped.account.standing) == ("0", STANDING_GOOD)
    ledger = ask(desk, "ListLedger", tenant_id="acme").entries
    assert [(e.kind, e.amount, e.balance) for e in ledger] == [
        ("OPENED", "100", "100"),
        ("CHARGES", "-60", "40"),
        ("TOP_UP", "20", "60"),
        ("OWED", "-60", "0"),
    ]
    assert sum(Decimal(e.amount) for e in ledger) == Decimal(topped.account.balance)
    assert (ledger[2].reference, ledger[2].operator) == ("bank 9", "admin")


def test_an_account_is_charged_limited_corrected_converted_and_closed(desk: Desk) -> None:
    opened(desk)
    when = stamp("2026-01-16")
    charged = ask(desk, "SetAccountCharge", tenant_id="acme", charge="70.5", at=when).account
    assert (charged.charge, charged.period) == ("70.5", MONTH)
    limited = ask(desk, "SetAccountBlocking", tenant_id="acme", allowed_balance="-10", at=when).account
    assert (limited.allowed_balance, limited.deferral_days) == ("-10", 0)
    corrected = ask(desk, "CorrectAccountBalance", tenant_id="acme", amount="-0.5", reason="twice", at=when).account
    assert corrected.balance == "99.5"
    days = ask(desk, "ChangeAccountBasis", tenant_id="acme", basis=BASIS_DAYS, balance="30", at=when).account
    assert (days.basis, days.balance, days.charge, days.allowed_balance) == (BASIS_DAYS, "30", "1", "0")
    assert not (days.HasField("period"))
    assert not (days.HasField("first_due"))
    with refused("BASIS_MISMATCH"):
        ask(desk, "SetAccountCharge", tenant_id="acme", charge="1")
    assert ask(desk, "CloseAccount", tenant_id="acme", reason="left", at=when).balance == "30"
    with refused("NO_ACCOUNT"):
        ask(desk, "GetAccount", tenant_id="acme")
    assert [e.amount for e in ask(desk, "ListLedger", tenant_id="acme").entries] == ["100", "-0.5", "-69.5", "-30"]


def test_a_plans_blocking_settings_come_before_the_tenants_own(desk: Desk) -> None:
    blocking = pb.PlanBlocking(basis=BASIS_MONEY, allowed_balance="7", deferral_days=9)
    ask(desk, "CreatePlan", id="strict", name="Strict", blocking=blocking)
    ask(desk, "AssignPlan", tenant_id="delta", plan_id="strict")
    under = ask(desk, "SetAccountBlocking", tenant_id="delta", allowed_balance="-50").account
    assert (under.blocking_plan_id, under.allowed_balance, under.deferral_days) == ("strict", "-50", 0)
    assert (under.effective_allowed_balance, under.effective_deferral_days) == ("7", 9)
    ask(desk, "UnassignPlan", tenant_id="delta")
    own = ask(desk, "GetAccount", tenant_id="delta").account
    assert (own.blocking_plan_id, own.effective_allowed_balance, own.effective_deferral_days) == ("", "-50", 0)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"basis": 0}, "basis"),
        ({"basis": BASIS_DAYS}, "charge"),
        ({"basis": BASIS_DAYS, "charge": ""}, "first_due"),
        ({"basis": BASIS_DAYS, "charge": "", "first_due": ""}, "period"),
        ({"charge": ""}, "charge"),
        ({"first_due": ""}, "first_due"),
        ({"period": None}, "period"),
        ({"balance": "1000000000000.000001"}, "balance"),
        ({"allowed_balance": "--1"}, "allowed_balance"),
        ({"deferral_days": -1}, "deferral_days"),
    ],
)
def test_what_is_wrong_with_an_account_is_named(desk: Desk, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        opened(desk, **fields)
    assert caught.value.field == field
