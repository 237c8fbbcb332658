"""The model of the back office (tests/model) says what domain.md says: its worked cases, and the edges of orders."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.core.calendar import parse_instant as at
from tests import oracle
from tests.model import records
from tests.model.state import NEVER, Office, Order, Ruling
from tests.model.tenants import judge

MONEY = 1_000_000
DAY = 86_400 * MONEY


class Desk:
    """Does operations on a model, by dates as text."""

    def __init__(self) -> None:
        self.office = Office()
        self.office.editions = {"small": {"cap": 12, "prices": {}}, "large": {"cap": 50, "prices": {}}}
        self.tenant("acme")

    def product(self, product: str, *entries: dict[str, Any], **more: Any) -> None:
        doc = {"id": product, "billing": "monthly", "license_template": list(entries)} | more
        self.done("product.update" if product in self.office.products else "product.create", "2026-01-01", doc=doc)

    def tenant(self, tenant: str, parent: str | None = None, zone: str = "UTC") -> None:
        self.done("tenant.create", "2026-01-01", tenant=tenant, parent=parent, zone=zone, edition=None)

    def ruling(self, op: str, when: str, **more: Any) -> Ruling:
        fields = {k: at(v) if k in {"starts_at", "ends_at", "void_at"} and v != NEVER else v for k, v in more.items()}
        return judge(self.office, {"op": op, "at": at(when)} | fields)

    def done(self, op: str, when: str, **more: Any) -> Any:
        ruling = self.ruling(op, when, **more)
        assert ruling.must == set()
        return ruling.do()

    def order(self, kind: str, when: str, products: dict[str, int], tenant: str = "acme", **more: Any) -> Order:
        placed: Order = self.done("order.place", when, kind=kind, tenant=tenant, products=products, **more)
        return placed

    def refused(self, kind: str, when: str, products: dict[str, int], **more: Any) -> set[str]:
        return self.ruling("order.place", when, kind=kind, tenant="acme", products=products, **more).must

    def limit(self, key: str, when: str, dimension: str = "amount", tenant: str = "acme") -> Any:
        return oracle.limit_of(records.record(self.office, tenant), key, at(when), dimension)

    def end(self, order: Order, index: int = 0) -> int:
        return order.lines[index].end()


def per_unit(key: str) -> dict[str, Any]:
    return {"name": key, "amount": 1, "amount_calculation": "per_qty"}


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.product("fd", per_unit("fixed_desk"), {"name": "timeslots", "amount": 5})
    return desk


YEAR = {"months": 12}
MONTH = {"months": 1}


def test_a_trial_gives_way_to_the_license_template(desk: Desk) -> None:
    trial = [{"name": "layout_designer", "users": 3}]
    desk.product(
        "ld",
        {"name": "layout_designer", "users": 1},
        trial={"count": 14, "unit": "day"},
        trial_license_template=trial,
    )
    desk.order("NEW", "2026-03-01", {"ld": 1}, length=YEAR)
    assert desk.limit("layout_designer", "2026-03-14", "users") == 3
    assert desk.limit("layout_designer", "2026-03-15", "users") == 1


def test_numbers_by_quantity_and_fixed(desk: Desk) -> None:
    entry = {"name": "projects", "users": 1, "users_calculation": "per_qty", "amount": 5, "amount_calculation": "fixed"}
    desk.product("p", entry)
    desk.order("NEW", "2026-03-01", {"p": 4}, length=YEAR)
    assert (desk.limit("projects", "2026-04-01", "users"), desk.limit("projects", "2026-04-01")) == (4, 5)


def test_an_upgrade_supersedes_and_keeps_the_end(desk: Desk) -> None:
    first = desk.order("NEW", "2026-01-01", {"fd": 10}, length=YEAR)
    second = desk.order("UPGRADE", "2026-05-01", {"fd": 15})
    assert desk.limit("fixed_desk", "2026-04-30") == 10
    assert desk.limit("fixed_desk", "2026-05-01") == 15
    assert desk.limit("timeslots", "2026-04-30") == desk.limit("timeslots", "2026-05-01") == 5
    assert (desk.end(first), desk.end(second)) == (at("2026-05-01"), at("2027-01-01"))


def test_what_an_upgrade_may_not_do(desk: Desk) -> None:
    assert "NOTHING_RUNNING" in desk.refused("UPGRADE", "2026-01-01", {"fd": 1})
    desk.order("NEW", "2026-01-01", {"fd": 10}, length=YEAR)
    assert desk.refused("UPGRADE", "2026-02-01", {"fd": 10}) == {"NOTHING_TO_UPGRADE"}
    assert "DOWNGRADE_NOT_ALLOWED" in desk.refused("UPGRADE", "2026-02-01", {"fd": 9})
    desk.product("fd", per_unit("fixed_desk"))  # no time slots any more: an upgrade would take them away
    assert desk.refused("UPGRADE", "2026-02-01", {"fd": 20}) == {"DOWNGRADE_NOT_ALLOWED"}
    assert desk.refused("UPGRADE", "2026-02-01", {}, edition="small") == set()


def test_downgrades(desk: Desk) -> None:
    desk.order("NEW", "2026-01-01", {"fd": 10}, length=YEAR)
    assert desk.refused("DOWNGRADE", "2026-02-01", {"fd": 8}) == {"DOWNGRADE_NOT_ALLOWED"}
    desk.product("now", per_unit("meeting_room"), downgrade="at_once")
    desk.product("then", per_unit("shared_desk"), downgrade="at_end")
    desk.order("NEW", "2026-01-01", {"now": 10, "then": 10}, length=YEAR)
    desk.order("DOWNGRADE", "2026-02-01", {"now": 8})
    assert (desk.limit("meeting_room", "2026-01-31"), desk.limit("meeting_room", "2026-02-01")) == (10, 8)
    assert desk.limit("shared_desk", "2026-02-01") == 10
    assert desk.refused("DOWNGRADE", "2026-02-01", {"then": 8}) == {"INVALID"}
    desk.order("DOWNGRADE", "2026-02-01", {"then": 8}, length=YEAR)
    assert (desk.limit("shared_desk", "2026-12-31"), desk.limit("shared_desk", "2027-01-01")) == (10, 8)
    desk.order("DOWNGRADE", "2026-02-01", {"then": 7})  # in place of what is queued
    assert (desk.limit("shared_desk", "2026-12-31"), desk.limit("shared_desk", "2027-01-01")) == (10, 7)


def test_renewals_in_time_keep_the_anchor(desk: Desk) -> None:
    first = desk.order("NEW", "2026-01-31", {"fd": 10}, length=MONTH)
    second = desk.order("RENEW", "2026-02-10", {"fd": 8}, length=MONTH)
    assert (desk.end(first), desk.end(second)) == (at("2026-02-28"), at("2026-03-31"))
    assert (desk.limit("fixed_desk", "2026-02-27"), desk.limit("fixed_desk", "2026-02-28")) == (10, 8)


def test_late_renewals(desk: Desk) -> None:
    desk.order("NEW", "2026-01-31", {"fd": 10}, length=MONTH)
    late = {"length": MONTH}
    own = desk.ruling("order.place", "2026-03-15", tenant="acme", kind="RENEW", products={"fd": 3}, **late).do()
    assert (own.lines[0].starts_at, own.lines[0].ends_at) == (at("2026-03-15"), at("2026-04-15"))
    other = Desk()
    other.product("fd", per_unit("fixed_desk"))
    other.order("NEW", "2026-01-31", {"fd": 10}, length=MONTH)
    old_end = other.order("RENEW", "2026-03-15", {"fd": 3}, late_start="old_end", **late)
    assert (old_end.lines[0].starts_at, old_end.lines[0].ends_at) == (at("2026-02-28"), at("2026-03-28"))


def test_what_a_renewal_may_not_do(desk: Desk) -> None:
    assert desk.refused("RENEW", "2026-01-01", {"fd": 1}, length=YEAR) == {"NOTHING_TO_RENEW"}
    desk.order("NEW", "2026-01-01", {"fd": 10}, length=YEAR)
    assert "END_NOT_LATER" in desk.refused("RENEW", "2026-02-01", {"fd": 9}, ends_at="2027-01-01")
    assert desk.refused("NEW", "2026-02-01", {"fd": 9}, length=YEAR) == {"TERM_RUNNING"}


def test_a_paid_order_ends_the_trial_and_there_is_no_second(desk: Desk) -> None:
    desk.product("t", per_unit("shared_desk"), trial={"count": 1, "unit": "month"})
    trial = desk.order("NEW", "2026-06-01", {"t": 1}, trial=True)
    assert desk.end(trial) == at("2026-07-01")
    paid = desk.order("NEW", "2026-06-19", {"t": 1}, starts_at="2026-06-20", length=YEAR)
    assert (desk.end(trial), paid.lines[0].trial_until) == (at("2026-06-20"), None)
    assert desk.refused("NEW", "2028-01-01", {"t": 1}, trial=True) == {"TRIAL_USED"}


def test_voids(desk: Desk) -> None:
    first = desk.order("NEW", "2026-01-01", {"fd": 10}, length=YEAR)
    second = desk.order("UPGRADE", "2026-03-01", {"fd": 15})
    desk.done("order.void", "2026-04-01", order=second.id)
    assert desk.limit("fixed_desk", "2026-03-15") == 15
    assert desk.limit("fixed_desk", "2026-04-01") == 0  # nothing is restored
    assert desk.ruling("order.void", "2026-05-01", order=second.id).must == {"ALREADY_VOID"}
    desk.done("order.void", "2026-05-01", order=first.id, void_at="2026-01-01")
    desk.done("order.void", "2026-05-01", order=second.id, void_at="2026-03-01")
    assert records.record(desk.office, "acme")["grants"] == []
    assert not [o for o in desk.office.orders if o.kind == "NEW" and o.lines[0].runs(at("2026-01-01"))]


def test_caps(desk: Desk) -> None:
    assert desk.refused("NEW", "2026-01-01", {"fd": 13}, length=YEAR, edition="small") == {"EDITION_CAP_EXCEEDED"}
    desk.order("NEW", "2026-01-01", {"fd": 12}, length=YEAR, edition="small")
    assert desk.refused("UPGRADE", "2026-02-01", {"fd": 13}) == {"EDITION_CAP_EXCEEDED"}
    assert desk.refused("UPGRADE", "2026-02-01", {"fd": 13}, edition="large") == set()


def test_totals(desk: Desk) -> None:
    desk.product("room", per_unit("meeting_room"))
    stated = {"fd": {"unit_price": 5000 * MONEY, "periods": 1}, "room": {"unit_price": 500 * MONEY, "periods": 1}}
    both = {"currency": "CNY", "money": stated, "length": MONTH}
    assert desk.order("NEW", "2026-01-01", {"fd": 2, "room": 10}, **both).total == 15_000 * MONEY
    listed = Desk()
    listed.office.editions["small"]["prices"] = {("CNY", "fixed_desk"): [(1, 100), (3, 70)]}
    listed.product("fd", {"name": "fixed_desk", "amount": 2, "amount_calculation": "per_qty"})
    order = listed.order("NEW", "2026-01-01", {"fd": 2}, edition="small", currency="CNY", length={"months": 3})
    assert order.total == 2 * (2 * 70) * 3


def test_charges(desk: Desk) -> None:
    desk.done(
        "account.open",
        "2025-12-15",
        tenant="acme",
        basis="money",
        balance=100 * MONEY,
        charge=60 * MONEY,
        anchor=at("2026-01-01"),
        period=MONTH,
        allowed_balance=0,
        deferral_days=5,
    )

    def standing(when: str) -> tuple[str, int]:
        record = records.record(desk.office, "acme")
        return oracle.standing_of(record, at(when)), oracle.settle(record["account"], "UTC", at(when))["balance"]

    assert standing("2026-01-01") == ("GOOD", 40 * MONEY)
    assert standing("2026-02-01") == ("PAST_DUE", 40 * MONEY)
    assert standing("2026-02-06") == ("BLOCKED", 40 * MONEY)
    desk.done("account.top_up", "2026-02-07", tenant="acme", amount=10 * MONEY)
    assert standing("2026-02-07") == ("BLOCKED", 50 * MONEY)
    desk.done("account.top_up", "2026-02-07", tenant="acme", amount=10 * MONEY)
    assert standing("2026-02-07") == ("GOOD", 0)
    assert sum(amount for _, amount in desk.office.tenants["acme"].ledger) == 0


def test_a_plan_replaces_the_blocking_settings_while_it_lasts(desk: Desk) -> None:
    desk.done(
        "account.open",
        "2026-02-01",
        tenant="acme",
        basis="money",
        balance=10 * MONEY,
        charge=40 * MONEY,
        anchor=at("2026-03-01"),
        period=MONTH,
        allowed_balance=-50 * MONEY,
        deferral_days=0,
    )
    blocking = {"basis": "money", "allowed_balance": 0, "deferral_days": 0}
    plan = {"plan": "p", "owner": None, "name": "P", "services": [("fd", 3)], "blocking": blocking}
    desk.done("plan.create", "2026-02-01", **plan)
    desk.done("plan.assign", "2026-02-01", tenant="acme", plan="p")
    assert oracle.standing_of(records.record(desk.office, "acme"), at("2026-03-02")) == "BLOCKED"
    assert desk.limit("fixed_desk", "2026-03-02") == 3
    desk.done("plan.unassign", "2026-03-03", tenant="acme")
    record = records.record(desk.office, "acme")
    assert oracle.standing_of(record, at("2026-03-03")) == "GOOD"
    assert record["account"]["balance"] == -30 * MONEY
    assert desk.limit("fixed_desk", "2026-03-03") == 0


def test_what_stands_against_a_plan(desk: Desk) -> None:
    desk.tenant("branch", "acme")
    desk.tenant("other")
    plan = {"plan": "p", "owner": "acme", "name": "P", "services": [("fd", 3)], "blocking": None}
    desk.done("plan.create", "2026-02-01", **plan)
    assert desk.ruling("plan.assign", "2026-02-01", tenant="other", plan="p").must == {"PLAN_NOT_AVAILABLE"}
    desk.done("plan.assign", "2026-02-01", tenant="branch", plan="p")
    assert desk.ruling("plan.update", "2026-02-01", plan="p", services=[("fd", 4)]).must == {"PLAN_ASSIGNED"}
    assert desk.ruling("plan.delete", "2026-02-01", plan="p").must == {"PLAN_ASSIGNED", "PLAN_NOT_ARCHIVED"}
    desk.done("plan.archive", "2026-02-01", plan="p")
    assert desk.ruling("plan.assign", "2026-02-01", tenant="acme", plan="p").must == {"PLAN_ARCHIVED"}


def test_a_child_without_services_shares_those_above(desk: Desk) -> None:
    desk.tenant("branch", "acme")
    desk.order("NEW", "2026-01-01", {"fd": 10}, length=YEAR)
    desk.done("usage.change", "2026-01-02", tenant="acme", key="fixed_desk", absolute=6)
    desk.done("usage.change", "2026-01-02", tenant="branch", key="fixed_desk", delta=3)
    record = records.record(desk.office, "branch")
    assert record["holder"]["usage"] == {"fixed_desk": {"units": 9, "seats": []}}
    assert (record["grants"], record["usage"]) == ([], {})
    block = {"tenant": "acme", "name": "operator", "from": at("2026-02-01"), "until": NEVER, "cascade": False}
    desk.done("tenant.block", "2026-02-01", **block)
    assert oracle.status_of(records.record(desk.office, "branch"), at("2026-02-01")) == "SUSPENDED"
    own = desk.order("NEW", "2026-01-03", {"fd": 2}, tenant="branch", length=YEAR)
    record = records.record(desk.office, "branch")
    assert (record["holder"], record["usage"]["fixed_desk"]["units"]) == (None, 3)
    assert oracle.status_of(record, at("2026-02-01")) == "OPEN"
    desk.done("tenant.block", "2026-02-01", **block | {"cascade": True})
    assert oracle.status_of(records.record(desk.office, "branch"), at("2026-02-01")) == "SUSPENDED"
    desk.done("order.void", "2026-01-04", order=own.id, void_at="2026-01-03")
    assert records.record(desk.office, "branch")["holder"]["tenant_id"] == "acme"
