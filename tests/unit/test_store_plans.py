"""Plans, and whom they are assigned to (domain.md 3): every rule and refusal, as rows, records and audit say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER, MICROS, Basis, Grant
from sync.store import accounts, plans, schema, seeking
from sync.store.assignments import assign_plan, assigned_plan, unassign_plan
from sync.store.catalogue import put_edition, update_product
from sync.store.plandoc import MOST_SERVICES, PlanTerms, terms_of
from sync.store.plans import (
    archive_plan,
    create_plan,
    delete_plan,
    duplicate_plan,
    get_plan,
    restore_plan,
    tenants_on,
    update_plan,
)
from sync.store.products import product_of
from sync.store.tenants import archive_tenant, move_tenant
from tests.changing import Left, change, entries, plan, terms
from tests.storing import START, Shop, at, filling, months, on_every_database, per_unit, refused, until

pytestmark = on_every_database

FIRST, SECOND, THIRD = "2026-02-01", "2026-03-01", "2026-04-01"


@filling
def filled(shop: Shop) -> None:
    """A parent, a child and a tenant apart from them; the plan `team` gives ten desks and two rooms."""
    shop.product(per_unit("fd", "fixed_desk"))
    shop.product(per_unit("room", "meeting_room"))
    shop.tenant("parent")
    shop.tenant("child", parent_id="parent")
    shop.tenant("apart")
    plan(shop, "team", {"fd": 10, "room": 2})


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store.db", filled)


def assign(shop: Shop, tenant_id: str, plan_id: str, when: str = FIRST) -> Left:
    return change(shop, assign_plan, tenant_id, plan_id, now=when)


def unassign(shop: Shop, tenant_id: str, when: str) -> Left:
    return change(shop, unassign_plan, tenant_id, now=when)


def plan_of(shop: Shop, plan_id: str) -> plans.Plan:
    with shop.store.reading() as conn:
        return get_plan(conn, plan_id)


def on(shop: Shop, tenant_id: str) -> str | None:
    with shop.store.reading() as conn:
        return assigned_plan(conn, tenant_id)


# --- plans ---


def test_a_plan_is_on_record_as_given(shop: Shop) -> None:
    plan(shop, "days", {"fd": 1}, name="Days", owner_id="parent", basis="days", allowed_balance=-MICROS)
    found = plan_of(shop, "days")
    assert (found.id, found.name, found.owner_id, found.version) == ("days", "Days", "parent", 1)
    assert (found.created_at, found.archived_at) == (at(START), None)
    assert found.terms == terms({"fd": 1}, basis="days", allowed_balance=-MICROS, deferral_days=0)


def test_plans_are_listed_by_id_in_pages(shop: Shop) -> None:
    plan(shop, "solo", {"fd": 1})
    with shop.store.reading() as conn:
        assert seeking.plan_ids(conn, after="", limit=9) == ["solo", "team"]
        assert seeking.plan_ids(conn, after="solo", limit=1) == ["team"]


def test_a_plan_that_cannot_be_is_refused(shop: Shop) -> None:
    with refused("PLAN_EXISTS"):
        plan(shop, "team", {"fd": 1})
    with refused("UNKNOWN_PRODUCT"):
        plan(shop, "x", {"desk": 1})
    with refused("UNKNOWN_TENANT"):
        plan(shop, "x", {"fd": 1}, owner_id="nobody")
    change(shop, archive_tenant, "apart", now=START)
    with refused("TENANT_ARCHIVED"):
        plan(shop, "x", {"fd": 1}, owner_id="apart")
    with shop.store.reading() as conn:
        assert seeking.plan_ids(conn, after="", limit=9) == ["team"]


@pytest.mark.parametrize(("plan_id", "name", "field"), [("", "N", "id"), (" a", "N", "id"), ("a", "N\n", "name")])
def test_names_that_nobody_can_type_are_invalid(shop: Shop, plan_id: str, name: str, field: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        plan(shop, plan_id, {"fd": 1}, name=name)


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({}, "plan"),
        ({"services": []}, "plan"),
        ({"services": [{"product": "fd", "quantity": 1}] * 2}, "plan"),
        ({"services": [{"product": f"p{n}", "quantity": 1} for n in range(MOST_SERVICES + 1)]}, "services"),
        ({"services": [{"product": "fd", "quantity": 0}]}, "services.0.quantity"),
        ({"services": [{"product": "fd", "quantity": 2**31 + 1}]}, "services.0.quantity"),
        ({"services": [{"product": "fd", "quantity": "4"}]}, "services.0.quantity"),
        ({"services": [{"product": "", "quantity": 1}]}, "services.0.product"),
        ({"services": [{"product": "fd"}]}, "services.0.quantity"),
        ({"blocking": {}}, "blocking.basis"),
        ({"blocking": {"basis": 3}}, "blocking.basis"),
        ({"blocking": {"basis": "money", "deferral_days": -1}}, "blocking.deferral_days"),
        ({"blocking": {"basis": "money", "deferral_days": 36_601}}, "blocking.deferral_days"),
        ({"blocking": {"basis": "money", "allowed_balance": 10**18 + 1}}, "blocking.allowed_balance"),
        ({"blocking": {"basis": "money", "allowed_balance": 1.5}}, "blocking.allowed_balance"),
        ({"blocking": {"basis": "money"}, "price": 5}, "price"),
    ],
)
def test_what_a_plan_cannot_bring_is_told_with_its_place(document: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        terms_of(document)
    assert raised.value.field == where


def test_a_plan_is_edited_while_nobody_is_on_it(shop: Shop) -> None:
    left = change(shop, update_plan, "team", name="Team of 20", terms=terms({"fd": 20}), expected_version=1)
    found = plan_of(shop, "team")
    assert (found.name, found.version, found.terms) == ("Team of 20", 2, terms({"fd": 20}))
    (entry,) = left.entries
    assert (entry.action, entry.subject, entry.tenant_id) == ("plan.update", "plan:team", "")
    assert entry.details is not None
    assert entry.details["before"]["terms"]["services"][0] == {"product": "fd", "quantity": 10}
    assert (entry.details["after"]["name"], entry.details["after"]["version"]) == ("Team of 20", 2)


def test_an_edit_made_on_an_older_version_is_refused(shop: Shop) -> None:
    change(shop, update_plan, "team", name="One")
    for version in (1, 3):
        with refused("CONFLICT"):
            change(shop, update_plan, "team", name="Two", expected_version=version)
    change(shop, update_plan, "team", name="Two", expected_version=2)
    assert (plan_of(shop, "team").name, plan_of(shop, "team").version) == ("Two", 3)


def test_an_edit_to_an_unknown_product_is_refused(shop: Shop) -> None:
    with refused("UNKNOWN_PRODUCT"):
        change(shop, update_plan, "team", terms=terms({"desk": 1}))


def test_what_changes_nothing_writes_nothing(shop: Shop) -> None:
    assert change(shop, update_plan, "team").entries == []
    assert change(shop, update_plan, "team", name="Team", terms=terms({"fd": 10, "room": 2})).entries == []
    assert change(shop, restore_plan, "team").entries == []
    change(shop, archive_plan, "team", now=START)
    assert change(shop, archive_plan, "team", now=FIRST).entries == []
    assert (plan_of(shop, "team").archived_at, plan_of(shop, "team").version) == (at(START), 2)


def test_a_plan_that_is_assigned_keeps_what_it_brings(shop: Shop) -> None:
    assign(shop, "child", "team")
    assign(shop, "apart", "team")
    with refused("PLAN_ASSIGNED") as raised:
        change(shop, update_plan, "team", terms=terms({"fd": 11, "room": 2}))
    assert "apart, child" in raised.value.advice
    change(shop, update_plan, "team", name="Renamed", terms=terms({"fd": 10, "room": 2}))
    assert plan_of(shop, "team").name == "Renamed"
    unassign(shop, "child", SECOND)
    unassign(shop, "apart", SECOND)
    change(shop, update_plan, "team", terms=terms({"fd": 11}))
    assert plan_of(shop, "team").terms == terms({"fd": 11})


def test_a_refusal_names_ten_tenants_at_most(shop: Shop) -> None:
    for number in range(10):
        shop.tenant(f"t{number:02}")
        assign(shop, f"t{number:02}", "team")
    with refused("PLAN_ASSIGNED") as raised:
        change(shop, update_plan, "team", terms=terms({"fd": 1}))
    assert "others" not in raised.value.advice
    assign(shop, "parent", "team")
    with refused("PLAN_ASSIGNED") as raised:
        change(shop, update_plan, "team", terms=terms({"fd": 1}))
    assert "parent" in raised.value.advice
    assert "t08 and others" in raised.value.advice
    with shop.store.reading() as conn:
        assert tenants_on(conn, "team", limit=3) == ["parent", "t00", "t01"]


def test_every_call_about_an_unknown_plan_is_refused(shop: Shop) -> None:
    for make, more in (
        (update_plan, {}),
        (duplicate_plan, {"now": START}),
        (archive_plan, {"now": START}),
        (restore_plan, {}),
        (delete_plan, {}),
    ):
        with refused("UNKNOWN_PLAN"):
            change(shop, make, "nothing", **more)
    with refused("UNKNOWN_PLAN"):
        assign(shop, "parent", "nothing")


# --- duplicates ---


def test_a_duplicate_is_a_plan_of_its_own(shop: Shop) -> None:
    plan(shop, "own", {"fd": 3}, owner_id="parent", basis="money", deferral_days=3)
    assign(shop, "child", "own")
    change(shop, archive_plan, "own", now=START)
    left = change(shop, duplicate_plan, "own", now=FIRST)
    copy, original = left.answer, plan_of(shop, "own")
    assert (copy.id, copy.name, copy.owner_id) == ("own-copy", "Own (copy)", "parent")
    assert (copy.version, copy.created_at, copy.archived_at) == (1, at(FIRST), None)
    assert copy.terms == original.terms
    assert [entry.subject for entry in left.entries] == ["plan:own-copy"]
    change(shop, update_plan, "own-copy", terms=terms({"fd": 4}))
    assert plan_of(shop, "own") == original


def test_duplicates_find_free_names_or_take_the_one_given(shop: Shop) -> None:
    made = [change(shop, duplicate_plan, "team", now=START).answer.id for _ in range(3)]
    assert made == ["team-copy", "team-copy-2", "team-copy-3"]
    assert change(shop, duplicate_plan, "team", now=START, new_id="mine").answer.id == "mine"
    with refused("PLAN_EXISTS"):
        change(shop, duplicate_plan, "team", now=START, new_id="mine")
    with pytest.raises(InvalidRequest, match=r"^id: "):
        change(shop, duplicate_plan, "team", now=START, new_id="")


@pytest.mark.parametrize("letter", ["p", "é", "桌"])
def test_long_names_of_duplicates_are_cut_between_letters(shop: Shop, letter: str) -> None:
    longest = letter * (256 // len(letter.encode()))
    plan(shop, longest, {"fd": 1}, name=longest)
    for _ in range(2):
        copy = change(shop, duplicate_plan, longest, now=START).answer
        assert copy.name.removesuffix(" (copy)") == letter * ((256 - 7) // len(letter.encode()))
        assert copy.id.startswith(letter * 80)
        assert "-copy" in copy.id
        assert max(len(copy.id.encode()), len(copy.name.encode())) <= 256


def test_a_plan_of_an_archived_tenant_is_not_duplicated(shop: Shop) -> None:
    plan(shop, "own", {"fd": 3}, owner_id="apart")
    change(shop, archive_tenant, "apart", now=START)
    with refused("TENANT_ARCHIVED"):
        change(shop, duplicate_plan, "own", now=START)


# --- archived, restored, deleted ---


def test_an_archived_plan_stays_with_those_who_are_on_it_and_goes_to_nobody_else(shop: Shop) -> None:
    assign(shop, "parent", "team")
    left = change(shop, archive_plan, "team", now=SECOND)
    assert left.records == set()
    assert [entry.action for entry in left.entries] == ["plan.archive"]
    assert shop.amount("parent", "fixed_desk", THIRD) == 10
    with refused("PLAN_ARCHIVED"):
        assign(shop, "apart", "team")
    assert assign(shop, "parent", "team", THIRD).entries == []
    assert [entry.action for entry in change(shop, restore_plan, "team").entries] == ["plan.restore"]
    assign(shop, "apart", "team")
    assert on(shop, "apart") == "team"


def test_a_plan_is_deleted_when_archived_and_on_nobody(shop: Shop) -> None:
    assign(shop, "child", "team")
    with refused("PLAN_NOT_ARCHIVED"):
        change(shop, delete_plan, "team")
    change(shop, archive_plan, "team", now=SECOND)
    with refused("PLAN_ASSIGNED") as raised:
        change(shop, delete_plan, "team")
    assert "child" in raised.value.advice
    unassign(shop, "child", SECOND)
    grants = shop.record("child").grants
    (entry,) = change(shop, delete_plan, "team").entries
    assert (entry.action, entry.details and entry.details["after"]) == ("plan.delete", None)
    assert shop.record("child").grants == grants
    with refused("UNKNOWN_PLAN"):
        plan_of(shop, "team")


def test_the_id_of_a_deleted_plan_that_records_name_is_not_given_again(shop: Shop) -> None:
    plan(shop, "unused", {"fd": 1})
    assign(shop, "apart", "team")
    unassign(shop, "apart", SECOND)
    for plan_id in ("team", "unused"):
        change(shop, archive_plan, plan_id, now=SECOND)
        change(shop, delete_plan, plan_id)
    plan(shop, "unused", {"fd": 1})
    with refused("PLAN_EXISTS"):
        plan(shop, "team", {"fd": 1})


# --- assigned ---


def test_a_plan_grants_by_the_license_template_from_its_assignment_without_end(shop: Shop) -> None:
    trial = {"trial": {"count": 1, "unit": "month"}, "trial_license_template": [{"name": "designer", "users": 1}]}
    template = [{"name": "designer", "users": 2, "users_calculation": "per_qty", "amount": 5}]
    shop.product({"id": "designer", "license_template": template, "features": [{"name": "timesheet"}]} | trial)
    plan(shop, "design", {"designer": 3, "fd": 1})
    left = assign(shop, "apart", "design")
    window = {"starts_at": at(FIRST), "ends_at": FOREVER, "source": "plan:design"}
    assert shop.record("apart").grants == (
        Grant(key="designer", users=6, amount=5, **window),
        Grant(key="timesheet", **window),
        Grant(key="fixed_desk", amount=1, **window),
    )
    (entry,) = left.entries
    assert (entry.action, entry.subject, entry.tenant_id) == ("plan.assign", "tenant:apart", "apart")
    assert entry.details == {"before": {"plan": None}, "after": {"plan": "design"}}
    assert (left.answer, left.records, on(shop, "apart")) == (None, {"apart"}, "design")


def test_plans_and_orders_add_up(shop: Shop) -> None:
    shop.new("apart", {"fd": 5}, START, until("2026-06-01"))
    assign(shop, "apart", "team")
    amounts = [shop.amount("apart", "fixed_desk", when) for when in (START, FIRST, "2026-06-01")]
    assert amounts == [5, 15, 10]


def test_a_plan_pins_products_as_they_are_when_it_is_assigned(shop: Shop) -> None:
    assign(shop, "apart", "team")
    double = product_of({"id": "fd", "license_template": [{"name": "fixed_desk", "amount": 77}]})
    change(shop, update_product, double, now=SECOND)
    assign(shop, "parent", "team", SECOND)
    assert assign(shop, "apart", "team", THIRD).records == set()
    assert (shop.amount("apart", "fixed_desk", THIRD), shop.amount("parent", "fixed_desk", THIRD)) == (10, 77)


def test_the_same_plan_again_changes_nothing(shop: Shop) -> None:
    assign(shop, "apart", "team")
    left = assign(shop, "apart", "team", SECOND)
    assert (left.answer, left.records, left.entries) == (None, set(), [])
    assert shop.amount("apart", "fixed_desk", FIRST) == 10


def test_a_plan_over_another_takes_its_place_at_one_instant(shop: Shop) -> None:
    plan(shop, "solo", {"fd": 1})
    assign(shop, "apart", "team")
    left = assign(shop, "apart", "solo", SECOND)
    assert (left.answer, [entry.action for entry in left.entries]) == ("team", ["plan.assign"])
    assert left.entries[0].details == {"before": {"plan": "team"}, "after": {"plan": "solo"}}
    instant = at(SECOND)
    held = [shop.holding("apart", "fixed_desk", when) for when in (instant - 1, instant)]
    assert [[g.amount for g in grants] for grants in held] == [[10], [1]]
    assert [len(shop.holding("apart", "meeting_room", when)) for when in (instant - 1, instant)] == [1, 0]


def test_a_plan_replaced_at_its_own_first_instant_grants_nothing(shop: Shop) -> None:
    plan(shop, "solo", {"fd": 1})
    assign(shop, "apart", "team")
    assign(shop, "apart", "solo", FIRST)
    assert [(g.key, g.amount) for g in shop.record("apart").grants] == [("fixed_desk", 1)]


def test_a_plan_taken_away_ends_like_any_term(shop: Shop) -> None:
    assign(shop, "apart", "team")
    left = unassign(shop, "apart", SECOND)
    assert (left.answer, on(shop, "apart"), left.records) == ("team", None, {"apart"})
    (entry,) = left.entries
    assert (entry.action, entry.details) == ("plan.unassign", {"before": {"plan": "team"}, "after": {"plan": None}})
    assert {g.ends_at for g in shop.record("apart").grants} == {at(SECOND)}
    assert shop.amount("apart", "fixed_desk", SECOND) is None
    assign(shop, "apart", "team", THIRD)
    assert [shop.amount("apart", "fixed_desk", when) for when in (FIRST, SECOND, THIRD)] == [10, None, 10]


def test_what_is_not_there_cannot_be_taken_away(shop: Shop) -> None:
    with refused("NO_PLAN"):
        unassign(shop, "apart", FIRST)
    assign(shop, "apart", "team")
    unassign(shop, "apart", SECOND)
    with refused("NO_PLAN"):
        unassign(shop, "apart", SECOND)


def test_unknown_and_archived_tenants_are_refused(shop: Shop) -> None:
    for make in (lambda t: assign(shop, t, "team"), lambda t: unassign(shop, t, FIRST)):
        with refused("UNKNOWN_TENANT"):
            make("nobody")
    assign(shop, "apart", "team")
    change(shop, archive_tenant, "apart", now=SECOND)
    with refused("TENANT_ARCHIVED"):
        assign(shop, "apart", "team", SECOND)
    with refused("TENANT_ARCHIVED"):
        unassign(shop, "apart", SECOND)
    with shop.store.reading() as conn, refused("UNKNOWN_TENANT"):
        assigned_plan(conn, "nobody")


def test_a_plan_is_for_its_owner_and_those_below(shop: Shop) -> None:
    shop.tenant("grandchild", parent_id="child")
    plan(shop, "of-child", {"fd": 1}, owner_id="child")
    for tenant_id in ("parent", "apart"):
        with refused("PLAN_NOT_AVAILABLE"):
            assign(shop, tenant_id, "of-child")
    for tenant_id in ("child", "grandchild"):
        assign(shop, tenant_id, "of-child")
        assert on(shop, tenant_id) == "of-child"
    change(shop, move_tenant, "apart", "grandchild")
    assign(shop, "apart", "of-child")
    assert on(shop, "apart") == "of-child"


# --- editions ---


def test_a_plan_may_not_pass_the_cap_of_an_edition(shop: Shop) -> None:
    shop.product(per_unit("sd", "shared_desk"))
    change(shop, put_edition, "tiny", 12)
    shop.tenant("capped", edition="tiny")
    plan(shop, "eleven", {"fd": 6, "sd": 5})
    plan(shop, "twelve", {"fd": 7, "sd": 5, "room": 100})
    plan(shop, "thirteen", {"fd": 7, "sd": 6})
    with refused("EDITION_CAP_EXCEEDED"):
        assign(shop, "capped", "thirteen")
    assert (on(shop, "capped"), shop.record("capped").grants) == (None, ())
    assign(shop, "capped", "eleven")
    assign(shop, "capped", "twelve", SECOND)
    with refused("EDITION_CAP_EXCEEDED"):
        shop.new("capped", {"fd": 1}, SECOND, months(1))
    unassign(shop, "capped", THIRD)
    shop.new("capped", {"fd": 12}, THIRD, until("2026-05-01"))
    with refused("EDITION_CAP_EXCEEDED"):
        assign(shop, "capped", "eleven", "2026-04-30")
    assign(shop, "capped", "eleven", "2026-05-01")


def test_an_order_ahead_counts_against_the_cap(shop: Shop) -> None:
    change(shop, put_edition, "tiny", 12)
    shop.tenant("capped", edition="tiny")
    shop.new("capped", {"fd": 3}, START, until("2026-09-01", "2026-08-01"))
    with refused("EDITION_CAP_EXCEEDED") as raised:
        assign(shop, "capped", "team")
    assert "2026-08-01" in raised.value.advice


def test_a_cap_lowered_since_does_not_keep_a_tenant_from_fewer_desks(shop: Shop) -> None:
    change(shop, put_edition, "tiny", 12)
    shop.tenant("capped", edition="tiny")
    plan(shop, "eleven", {"fd": 11})
    plan(shop, "nine", {"fd": 9})
    assign(shop, "capped", "team")
    change(shop, put_edition, "tiny", 5)
    with refused("EDITION_CAP_EXCEEDED"):
        assign(shop, "capped", "eleven", SECOND)
    plan(shop, "same", {"fd": 10})
    assign(shop, "capped", "same", SECOND)
    assign(shop, "capped", "nine", SECOND)
    assert shop.amount("capped", "fixed_desk", SECOND) == 9


# --- inheritance ---


def test_a_plan_makes_a_tenant_serve_itself_and_those_below(shop: Shop) -> None:
    shop.tenant("grandchild", parent_id="child")
    shop.new("parent", {"fd": 4}, START, months(12))
    for tenant_id, units in (("parent", 1), ("child", 2), ("grandchild", 4)):
        shop.use(tenant_id, fixed_desk=units)
    assert assign(shop, "child", "team").records == {"parent", "child", "grandchild"}
    assert (shop.record("child").holder_id, shop.record("grandchild").holder_id) == ("", "child")
    assert [shop.record(t).usage["fixed_desk"].units for t in ("parent", "child")] == [1, 6]
    assert unassign(shop, "child", SECOND).records == {"parent", "child", "grandchild"}
    assert (shop.record("child").holder_id, shop.record("grandchild").holder_id) == ("parent", "parent")
    assert shop.record("parent").usage["fixed_desk"].units == 7
    assert shop.record("child").grants == ()


def test_a_plan_of_an_ancestor_serves_those_below(shop: Shop) -> None:
    shop.use("child", fixed_desk=2)
    assert assign(shop, "parent", "team").records == {"parent", "child"}
    assert (shop.record("child").holder_id, shop.record("parent").usage["fixed_desk"].units) == ("parent", 2)
    assert assign(shop, "parent", "team", SECOND).records == set()


# --- blocking settings ---


def bill(shop: Shop, tenant_id: str = "apart", **fields: Any) -> None:
    given = {"basis": Basis.DAYS, "balance": 100 * MICROS, "now": START} | fields
    change(shop, accounts.open_account, tenant_id, **given)


def test_a_plan_of_another_basis_is_refused_both_ways(shop: Shop) -> None:
    plan(shop, "money", {"fd": 1}, basis="money")
    plan(shop, "days", {"fd": 1}, basis="days")
    bill(shop)
    with refused("BASIS_MISMATCH"):
        assign(shop, "apart", "money")
    assert on(shop, "apart") is None
    assign(shop, "apart", "days")
    monthly = {"charge": MICROS, "anchor": at(START), "period": months(1).length}
    with refused("BASIS_MISMATCH"):
        change(shop, accounts.change_basis, "apart", now=SECOND, basis=Basis.MONEY, balance=0, **monthly)
    assign(shop, "parent", "money")
    with refused("BASIS_MISMATCH"):
        bill(shop, "parent")
    bill(shop, "parent", basis=Basis.MONEY, **monthly)
    assert shop.record("parent").account is not None


def test_the_basis_may_change_under_a_plan_that_says_nothing_of_it(shop: Shop) -> None:
    bill(shop)
    assign(shop, "apart", "team")
    monthly = {"charge": MICROS, "anchor": at(START), "period": months(1).length}
    change(shop, accounts.change_basis, "apart", now=SECOND, basis=Basis.MONEY, balance=7 * MICROS, **monthly)
    account = shop.record("apart").account
    assert account is not None
    assert (account.basis, account.balance) == (Basis.MONEY, 7 * MICROS)


def blocking_in_force(shop: Shop) -> tuple[int, int]:
    account = shop.record("apart").account
    assert account is not None
    return account.allowed_balance, account.deferral_days


def test_a_plans_settings_come_before_the_tenants_own_and_go_with_it(shop: Shop) -> None:
    plan(shop, "strict", {"fd": 1}, basis="days", allowed_balance=5 * MICROS, deferral_days=1)
    plan(shop, "loose", {"fd": 1}, basis="days", allowed_balance=-5 * MICROS, deferral_days=9)
    bill(shop, allowed_balance=-MICROS, deferral_days=3)
    seen = [blocking_in_force(shop)]
    for plan_id in ("strict", "loose", "team"):
        assign(shop, "apart", plan_id)
        seen.append(blocking_in_force(shop))
    assign(shop, "apart", "strict")
    change(shop, accounts.set_blocking, "apart", now=SECOND, deferral_days=4)
    seen.append(blocking_in_force(shop))
    unassign(shop, "apart", SECOND)
    seen.append(blocking_in_force(shop))
    own, strict = (-MICROS, 3), (5 * MICROS, 1)
    assert seen == [own, strict, (-5 * MICROS, 9), own, strict, (-MICROS, 4)]


def test_an_account_opened_under_a_plan_is_under_it_at_once(shop: Shop) -> None:
    plan(shop, "strict", {"fd": 1}, basis="days", allowed_balance=5 * MICROS, deferral_days=1)
    assign(shop, "apart", "strict")
    bill(shop, allowed_balance=-MICROS, deferral_days=3)
    assert blocking_in_force(shop) == (5 * MICROS, 1)


def test_an_assignment_tells_what_became_of_the_account_in_its_one_entry(shop: Shop) -> None:
    plan(shop, "loose", {"fd": 1}, basis="days", allowed_balance=-5 * MICROS)
    bill(shop, balance=0)
    (entry,) = assign(shop, "apart", "loose", "2026-01-02").entries
    assert entry.details is not None
    before, after = entry.details["before"], entry.details["after"]
    assert (before["plan"], before["account"]["balance"]) == (None, 0)
    assert (after["plan"], after["account"]["balance"], after["account"]["owed_since"]) == ("loose", -MICROS, None)


def test_a_refused_assignment_leaves_no_trace(shop: Shop) -> None:
    change(shop, put_edition, "tiny", 5)
    shop.tenant("capped", edition="tiny")
    bill(shop, "capped")
    before, trail = shop.revision(), entries(shop)
    with refused("EDITION_CAP_EXCEEDED"):
        assign(shop, "capped", "team")
    assert (shop.revision(), entries(shop)) == (before, trail)


def test_who_assigned_is_on_record(shop: Shop) -> None:
    assign(shop, "apart", "team")
    pa = schema.plan_assignment
    with shop.store.reading() as conn:
        (row,) = conn.execute(select(pa))
    assert (row.tenant_id, row.plan_id, row.starts_at, row.ends_at, row.operator) == (
        "apart",
        "team",
        at(FIRST),
        None,
        "tester",
    )


def test_a_plan_of_blocking_settings_alone_makes_a_tenant_serve_itself(shop: Shop) -> None:
    shop.new("parent", {"fd": 4}, START, months(12))
    plan(shop, "credit", basis="money", allowed_balance=-MICROS)
    assign(shop, "child", "credit")
    record = shop.record("child")
    assert (record.holder_id, record.grants) == ("", ())


def test_terms_survive_the_way_to_the_file_and_back() -> None:
    found = terms({"fd": 3, "room": 1}, basis="money", allowed_balance=-5, deferral_days=2)
    assert PlanTerms.model_validate_json(found.model_dump_json(exclude_defaults=True)) == found


def test_creating_a_plan_is_told_with_its_owner(shop: Shop) -> None:
    given = {"name": "Own", "terms": terms({"fd": 1}), "now": START}
    (entry,) = change(shop, create_plan, "own", owner_id="parent", **given).entries
    assert (entry.action, entry.tenant_id) == ("plan.create", "parent")
    assert entry.details is not None
    assert (entry.details["before"], entry.details["after"]["owner"]) == (None, "parent")
