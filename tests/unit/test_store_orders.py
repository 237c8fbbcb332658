"""Orders, and the grants that they come to (domain.md 3, 4 and 8)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.core.calendar import format_instant, zone_of
from sidecar.core.errors import DeskgateError, InvalidRequest
from sidecar.core.model import DAY, FOREVER, UNLIMITED, Period
from sync.store import catalogue
from sync.store.orders import list_orders
from sync.store.placing import LateStart
from sync.store.products import product_of
from sync.store.tenants import update_tenant
from sync.store.terms import Term, end_of, start_of
from tests.storing import TESTER, Shop, at, months, on_every_database, per_unit, refused, until

pytestmark = on_every_database

TRIED = {"trial": {"count": 14, "unit": "day"}, "trial_license_template": [{"name": "room", "amount": 3}]}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("fd", "fixed_desk"))
    shop.product(per_unit("sd", "shared_desk"))
    shop.product(per_unit("tried", "room", **TRIED))
    shop.tenant("t")
    return shop


def windows(shop: Shop, key: str) -> list[tuple[str, str, object, bool]]:
    grants = [g for g in shop.record("t").grants if g.key == key]
    return [(format_instant(g.starts_at)[:10], format_instant(g.ends_at)[:10], g.amount, g.trial) for g in grants]


# --- NEW ---


def test_a_new_order_grants_its_quantity_over_its_term(shop: Shop) -> None:
    order = shop.new("t", {"fd": 10}, "2026-01-05", months(12, "2026-02-01"))
    assert windows(shop, "fixed_desk") == [("2026-02-01", "2027-02-01", 10, False)]
    assert shop.record("t").grants[0].source == f"order:{order.id}"


def test_an_order_without_a_start_begins_when_it_is_confirmed(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-05", Term(length=Period(days=10)))
    assert windows(shop, "fixed_desk") == [("2026-01-05", "2026-01-15", 10, False)]


def test_a_perpetual_order_has_no_end(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-05", until("never"))
    assert shop.record("t").grants[0].ends_at == FOREVER


def test_case_16_per_qty_and_fixed(shop: Shop) -> None:
    projects = {"name": "projects", "users": 1, "users_calculation": "per_qty", "amount": 5}
    shop.product({"id": "p", "license_template": [projects]})
    shop.new("t", {"p": 4}, "2026-01-01", months(1))
    grant = shop.record("t").grants[0]
    assert (grant.users, grant.amount) == (4, 5)


def test_unlimited_stays_unlimited_and_absent_stays_absent(shop: Shop) -> None:
    endless = {"name": "room", "amount": "unlimited", "amount_calculation": "per_qty"}
    shop.product({"id": "p", "license_template": [endless], "features": [{"name": "timesheet"}]})
    shop.new("t", {"p": 4}, "2026-01-01", months(1))
    room, switch = shop.record("t").grants
    assert (room.amount, room.users) == (UNLIMITED, None)
    assert (switch.key, switch.amount, switch.users) == ("timesheet", None, None)


def test_case_15_trial_then_license(shop: Shop) -> None:
    shop.product(
        {
            "id": "designer",
            "trial": {"count": 2, "unit": "week"},
            "trial_license_template": [{"name": "designer", "users": 3}],
            "license_template": [{"name": "designer", "users": 1}],
        }
    )
    shop.new("t", {"designer": 1}, "2026-01-01", months(12))
    for day, users, trial in (("2026-01-14", 3, True), ("2026-01-15", 1, False)):
        assert shop.amount("t", "designer", day, users=True) == users
        assert shop.trialing("t", "designer", day) is trial


def test_features_hold_in_the_trial_and_after(shop: Shop) -> None:
    shop.product(
        {"id": "p", "trial": {"count": 1, "unit": "month"}, "features": [{"name": "timesheet"}], "license_template": []}
    )
    shop.new("t", {"p": 1}, "2026-01-31", months(12))
    assert windows(shop, "timesheet") == [
        ("2026-01-31", "2026-02-28", None, True),
        ("2026-02-28", "2027-01-31", None, False),
    ]


def test_a_term_shorter_than_its_trial_is_all_trial(shop: Shop) -> None:
    shop.new("t", {"tried": 5}, "2026-01-01", Term(length=Period(days=3)))
    assert windows(shop, "room") == [("2026-01-01", "2026-01-04", 3, True)]


def test_a_trial_order_ends_with_the_trial_period(shop: Shop) -> None:
    shop.trial("t", {"tried": 5}, "2026-01-01")
    assert windows(shop, "room") == [("2026-01-01", "2026-01-15", 3, True)]


def test_case_32_a_paid_order_ends_a_running_trial(shop: Shop) -> None:
    shop.product(
        per_unit("long", "desk", trial={"count": 1, "unit": "month"}, trial_license_template=[{"name": "desk"}])
    )
    shop.trial("t", {"long": 5}, "2026-06-01")
    shop.new("t", {"long": 5}, "2026-06-20", months(12))
    assert shop.trialing("t", "desk", "2026-06-19") is True
    assert shop.trialing("t", "desk", "2026-06-20") is False
    assert windows(shop, "desk")[0] == ("2026-06-01", "2026-06-20", None, True)


def test_a_second_purchase_brings_no_second_trial(shop: Shop) -> None:
    shop.trial("t", {"tried": 5}, "2026-01-01")
    shop.new("t", {"tried": 5}, "2026-03-01", months(1))
    assert windows(shop, "room")[1:] == [("2026-03-01", "2026-04-01", 5, False)]


def test_case_30_products_add_up(shop: Shop) -> None:
    shop.product(per_unit("fd2", "fixed_desk"))
    shop.new("t", {"fd": 5}, "2026-01-01", until("2026-06-01"))
    shop.new("t", {"fd2": 5}, "2026-01-01", until("2026-09-01", "2026-05-01"))
    assert [shop.amount("t", "fixed_desk", day) for day in ("2026-04-15", "2026-05-15", "2026-06-15")] == [5, 10, 5]


def test_case_25_dates_are_inclusive_in_the_tenants_zone() -> None:
    shanghai = zone_of("Asia/Shanghai")
    assert format_instant(end_of("2026-06-30", shanghai)) == "2026-06-30T16:00:00Z"
    assert format_instant(end_of("2026-02-27", shanghai)) == "2026-02-27T16:00:00Z"
    assert format_instant(start_of("2026-06-30", shanghai)) == "2026-06-29T16:00:00Z"
    assert format_instant(end_of("2026-06-30T09:00:00Z", shanghai)) == "2026-06-30T09:00:00Z"


def test_a_date_past_the_calendar_is_no_end() -> None:
    with pytest.raises(InvalidRequest, match="perpetual"):
        end_of("9999-12-31", zone_of("UTC"))
    with pytest.raises(DeskgateError):
        end_of("31.12.2026", zone_of("UTC"))


def test_terms_are_counted_in_the_tenants_zone_and_stay_when_it_moves(shop: Shop) -> None:
    shop.tenant("ny", zone="America/New_York")
    start = start_of("2026-01-31", zone_of("America/New_York"))
    shop.new("ny", {"fd": 1}, "2026-01-01", Term(starts_at=start, length=Period(months=2)))
    ends_at = shop.record("ny").grants[0].ends_at
    assert format_instant(ends_at) == "2026-03-31T04:00:00Z"
    with shop.store.writing(TESTER) as writing:
        update_tenant(writing, "ny", now=at("2026-02-01"), zone="Asia/Tokyo")
    assert shop.record("ny").grants[0].ends_at == ends_at
    assert shop.record("ny").zone == "Asia/Tokyo"


def test_editing_a_product_changes_no_running_term(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-01", months(1))
    double = product_of({"id": "fd", "license_template": [{"name": "fixed_desk", "amount": 99}]})
    with shop.store.writing(TESTER) as writing:
        assert catalogue.update_product(writing, double, now=0) == 2
        assert catalogue.update_product(writing, double, now=0) == 2
    assert shop.amount("t", "fixed_desk", "2026-01-15") == 10
    shop.renew("t", {"fd": 10}, "2026-01-15", months(1))
    assert shop.amount("t", "fixed_desk", "2026-02-15") == 99


# --- RENEW ---


@pytest.mark.parametrize("quantity", [8, 10, 12])
def test_a_renewal_in_time_begins_at_the_old_end(shop: Shop, quantity: int) -> None:
    shop.new("t", {"fd": 10}, "2026-01-01", months(12))
    shop.renew("t", {"fd": quantity}, "2026-12-01", months(12))
    assert windows(shop, "fixed_desk") == [
        ("2026-01-01", "2027-01-01", 10, False),
        ("2027-01-01", "2028-01-01", quantity, False),
    ]


def test_renewals_in_time_keep_the_anchor(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-31", months(1))
    shop.renew("t", {"fd": 10}, "2026-02-01", months(1))
    shop.renew("t", {"fd": 10}, "2026-03-01", months(1))
    ends = [end for _, end, _, _ in windows(shop, "fixed_desk")]
    assert ends == ["2026-02-28", "2026-03-31", "2026-04-30"]


def test_a_renewal_whose_old_end_is_off_the_anchor_counts_from_the_old_end(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-31", until("2026-03-10"))
    shop.renew("t", {"fd": 10}, "2026-02-01", months(1))
    assert windows(shop, "fixed_desk")[1][:2] == ("2026-03-10", "2026-04-10")


def test_case_14_a_late_renewal_begins_when_it_is_confirmed(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-01", until("2026-01-31"))
    shop.renew("t", {"fd": 10}, "2026-03-15", months(1))
    assert shop.amount("t", "fixed_desk", "2026-03-14") is None
    assert shop.amount("t", "fixed_desk", "2026-03-15") == 10
    assert windows(shop, "fixed_desk")[1][:2] == ("2026-03-15", "2026-04-15")


def test_a_late_renewal_may_be_anchored_at_the_old_end(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-01", until("2026-01-31"))
    shop.renew("t", {"fd": 10}, "2026-03-15", months(6), late_start=LateStart.OLD_END)
    assert windows(shop, "fixed_desk")[1][:2] == ("2026-01-31", "2026-07-31")


def test_a_late_renewal_never_begins_before_the_old_end(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-01", until("2026-01-31"))
    shop.renew("t", {"fd": 10}, "2026-03-15", months(6, "2026-01-10"))
    assert windows(shop, "fixed_desk")[1][:2] == ("2026-01-31", "2026-07-31")


def test_each_line_of_a_renewal_begins_at_its_own_old_end(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-01", until("2026-03-01"))
    shop.new("t", {"sd": 10}, "2026-01-01", until("2026-04-01"))
    shop.renew("t", {"fd": 1, "sd": 2}, "2026-02-01", months(1))
    assert windows(shop, "fixed_desk")[1][:2] == ("2026-03-01", "2026-04-01")
    assert windows(shop, "shared_desk")[1][:2] == ("2026-04-01", "2026-05-01")


# --- UPGRADE ---


def test_case_17_an_upgrade_supersedes(shop: Shop) -> None:
    templates = [{"name": "fixed_desk", "amount": 1, "amount_calculation": "per_qty"}, {"name": "room", "amount": 5}]
    shop.product({"id": "p", "license_template": templates})
    shop.new("t", {"p": 10}, "2026-01-01", months(12))
    shop.upgrade("t", {"p": 15}, "2026-07-01")
    assert [shop.amount("t", "fixed_desk", day) for day in ("2026-06-30", "2026-07-01")] == [10, 15]
    assert [shop.amount("t", "room", day) for day in ("2026-06-30", "2026-07-01")] == [5, 5]
    assert windows(shop, "fixed_desk")[-1][:2] == ("2026-07-01", "2027-01-01")


def test_an_upgrade_keeps_what_it_does_not_name_and_ends_the_orders_trials(shop: Shop) -> None:
    shop.new("t", {"fd": 10, "tried": 7}, "2026-01-01", months(12))
    shop.upgrade("t", {"fd": 11}, "2026-01-05")
    assert windows(shop, "room") == [
        ("2026-01-01", "2026-01-05", 3, True),
        ("2026-01-05", "2027-01-01", 7, False),
    ]


def test_an_upgrade_leaves_other_orders_alone(shop: Shop) -> None:
    shop.new("t", {"sd": 10}, "2026-01-01", months(12))
    shop.new("t", {"fd": 10}, "2026-01-01", months(12))
    shop.upgrade("t", {"fd": 11}, "2026-03-01")
    assert windows(shop, "shared_desk") == [("2026-01-01", "2027-01-01", 10, False)]


def test_a_queued_renewal_keeps_its_quantity_and_the_operator_is_told(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-01", months(12))
    renewal = shop.renew("t", {"fd": 8}, "2026-06-01", months(12))
    order = shop.upgrade("t", {"fd": 20}, "2026-07-01")
    assert order.notices == (f"order {renewal.id} keeps its quantity 8 of fd from 2027-01-01T00:00:00Z on",)
    assert [shop.amount("t", "fixed_desk", day) for day in ("2026-12-31", "2027-01-01")] == [20, 8]


def test_a_renewal_after_an_upgrade_keeps_the_first_anchor(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-31", months(1))
    shop.upgrade("t", {"fd": 11}, "2026-02-10")
    shop.renew("t", {"fd": 11}, "2026-02-11", months(1))
    assert windows(shop, "fixed_desk")[-1][:2] == ("2026-02-28", "2026-03-31")


def test_an_upgrade_of_the_edition_alone_keeps_the_quantities(shop: Shop) -> None:
    shop.new("t", {"fd": 10, "sd": 5}, "2026-01-01", months(12), edition="basic")
    shop.upgrade("t", {}, "2026-02-01", edition="advanced")
    assert shop.record("t").edition == "advanced"
    assert [shop.amount("t", key, "2026-03-01") for key in ("fixed_desk", "shared_desk")] == [10, 5]


def test_orders_are_kept_as_they_were_placed(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-01", months(12), edition="basic")
    shop.upgrade("t", {"fd": 15}, "2026-07-01")
    with shop.store.reading() as conn:
        first, second = list_orders(conn, "t")
    assert (first.kind, first.edition, first.lines[0].quantity) == ("NEW", "basic", 10)
    assert format_instant(first.lines[0].ends_at)[:10] == "2027-01-01"
    assert format_instant(first.lines[0].ended_at)[:10] == "2026-07-01"
    assert (second.kind, second.placed_at, second.lines[0].quantity) == ("UPGRADE", at("2026-07-01"), 15)


# --- refusals ---


def test_a_new_order_is_refused_while_a_paid_term_runs_or_is_ahead(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-01", months(12, "2026-03-01"))
    for when, start in (
        ("2026-02-01", None),
        ("2026-04-01", None),
        ("2026-04-01", "2028-01-01"),
        ("2028-01-01", "2026-12-01"),
    ):
        with refused("TERM_RUNNING"):
            shop.new("t", {"fd": 10}, when, months(1, start))
    with refused("TERM_RUNNING"):
        shop.trial("t", {"fd": 10}, "2026-04-01")
    shop.new("t", {"fd": 10}, "2027-03-01", months(1))


def test_a_perpetual_term_runs_on(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-01", until("never"))
    with refused("TERM_RUNNING"):
        shop.new("t", {"fd": 10}, "2040-01-01", months(1))
    with refused("END_NOT_LATER"):
        shop.renew("t", {"fd": 10}, "2040-01-01", months(1))
    shop.upgrade("t", {"fd": 11}, "2040-01-01")


def test_one_trial_per_product_and_tenant(shop: Shop) -> None:
    shop.trial("t", {"tried": 1}, "2026-01-01")
    with refused("TRIAL_USED"):
        shop.trial("t", {"tried": 1}, "2026-06-01")
    shop.tenant("other")
    shop.trial("other", {"tried": 1}, "2026-06-01")


def test_the_trial_in_a_paid_order_is_the_one_trial(shop: Shop) -> None:
    shop.new("t", {"tried": 1}, "2026-01-01", months(1))
    with refused("TRIAL_USED"):
        shop.trial("t", {"tried": 1}, "2026-06-01")


def test_a_product_without_trial_cannot_be_tried(shop: Shop) -> None:
    with refused("EMPTY_TERM"):
        shop.trial("t", {"fd": 1}, "2026-01-01")


def test_a_renewal_must_end_later(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-01", months(12))
    with refused("END_NOT_LATER"):
        shop.renew("t", {"fd": 8}, "2026-06-01", until("2027-01-01"))


def test_a_renewal_needs_something_to_renew(shop: Shop) -> None:
    shop.trial("t", {"tried": 1}, "2026-01-01")
    for product in ("fd", "tried"):
        with refused("NOTHING_TO_RENEW"):
            shop.renew("t", {product: 1}, "2026-01-02", months(1))


def test_an_upgrade_needs_something_that_runs(shop: Shop) -> None:
    shop.trial("t", {"tried": 1}, "2026-01-01")
    shop.new("t", {"fd": 1}, "2026-01-01", months(1))
    for products, when in (({"tried": 2}, "2026-01-02"), ({"fd": 2}, "2026-02-01"), ({"fd": 2, "sd": 1}, "2026-01-02")):
        with refused("NOTHING_RUNNING"):
            shop.upgrade("t", products, when)
    with refused("NOTHING_RUNNING"):
        shop.upgrade("t", {}, "2026-02-01", edition="flagship")


def test_an_upgrade_must_raise_something(shop: Shop) -> None:
    shop.new("t", {"fd": 10, "sd": 5}, "2026-01-01", months(12), edition="advanced")
    with refused("NOTHING_TO_UPGRADE"):
        shop.upgrade("t", {"fd": 10}, "2026-02-01", edition="advanced")


def test_case_18_fewer_with_the_same_end_is_refused(shop: Shop) -> None:
    shop.new("t", {"fd": 10, "sd": 5}, "2026-01-01", months(12), edition="advanced")
    with refused("DOWNGRADE_NOT_ALLOWED"):
        shop.order("DOWNGRADE", "t", {"fd": 8}, "2026-02-01")
    with refused("DOWNGRADE_NOT_ALLOWED"):
        shop.upgrade("t", {"fd": 8, "sd": 6}, "2026-02-01")
    with refused("DOWNGRADE_NOT_ALLOWED"):
        shop.upgrade("t", {"fd": 12}, "2026-02-01", edition="basic")


def test_an_empty_term_is_refused(shop: Shop) -> None:
    with refused("EMPTY_TERM"):
        shop.new("t", {"fd": 1}, "2026-01-01", until("2026-01-01"))
    shop.new("t", {"fd": 1}, "2026-01-01", until("2026-02-01"))
    with refused("EMPTY_TERM"):
        shop.renew("t", {"fd": 1}, "2026-06-01", until("2026-05-01"))


def test_the_editions_cap_holds_at_every_instant(shop: Shop) -> None:
    shop.new("t", {"fd": 60}, "2026-01-01", months(12), edition="trial")
    shop.new("t", {"sd": 40}, "2026-01-01", months(6))
    shop.renew("t", {"sd": 30}, "2026-01-02", months(12))
    with refused("EDITION_CAP_EXCEEDED"):
        shop.upgrade("t", {"sd": 41}, "2026-02-01")
    with refused("EDITION_CAP_EXCEEDED"):
        shop.upgrade("t", {"fd": 71}, "2026-08-01")
    shop.upgrade("t", {"fd": 70}, "2026-08-01")
    shop.upgrade("t", {"fd": 71}, "2026-08-01", edition="basic")


def test_a_renewal_cannot_bring_a_smaller_edition_over_the_desks_that_run(shop: Shop) -> None:
    shop.new("t", {"fd": 200}, "2026-01-01", months(12), edition="basic")
    with refused("EDITION_CAP_EXCEEDED"):
        shop.renew("t", {"fd": 50}, "2026-02-01", months(12), edition="trial")
    shop.renew("t", {"fd": 50}, "2026-02-01", months(12))
    assert shop.record("t").edition == "basic"


def test_an_unlimited_number_of_desks_is_over_any_cap(shop: Shop) -> None:
    shop.product({"id": "all", "license_template": [{"name": "shared_desk", "amount": "unlimited"}]})
    shop.tenant("capped", edition="flagship")
    with refused("EDITION_CAP_EXCEEDED"):
        shop.new("capped", {"all": 1}, "2026-01-01", months(1))
    shop.new("t", {"all": 1}, "2026-01-01", months(1))


def test_a_cap_does_not_stand_in_the_way_of_what_is_no_desk(shop: Shop) -> None:
    shop.new("t", {"fd": 200}, "2026-01-01", months(12))
    with shop.store.writing(TESTER) as writing:
        update_tenant(writing, "t", now=0, edition="trial")
    shop.new("t", {"tried": 10}, "2026-01-01", months(12))
    with refused("EDITION_CAP_EXCEEDED"):
        shop.new("t", {"sd": 1}, "2026-01-01", months(12))


def test_a_refused_order_leaves_no_trace(shop: Shop) -> None:
    before = shop.revision()
    with refused("EDITION_CAP_EXCEEDED"):
        shop.new("t", {"fd": 101}, "2026-01-01", months(12), edition="trial")
    assert (shop.revision(), shop.record("t").grants) == (before, ())


@pytest.mark.parametrize(
    ("code", "tenant", "product", "edition"),
    [
        ("UNKNOWN_TENANT", "nobody", "fd", None),
        ("UNKNOWN_PRODUCT", "t", "nothing", None),
        ("UNKNOWN_EDITION", "t", "fd", "deluxe"),
    ],
)
def test_unknown_names_are_refused(shop: Shop, code: str, tenant: str, product: str, edition: str | None) -> None:
    with refused(code):
        shop.new(tenant, {product: 1}, "2026-01-01", months(1), edition=edition)


def test_nonsense_is_invalid(shop: Shop) -> None:
    for term in (Term(), Term(starts_at=0)):
        with pytest.raises(InvalidRequest, match="perpetual"):
            shop.new("t", {"fd": 1}, "2026-01-01", term)
    for quantity in (0, -1, 2**31 + 1):
        with pytest.raises(InvalidRequest, match="quantity"):
            shop.new("t", {"fd": quantity}, "2026-01-01", months(1))
    with pytest.raises(InvalidRequest, match="lines"):
        shop.new("t", {}, "2026-01-01", months(1))
    with pytest.raises(InvalidRequest, match="only a NEW order"):
        shop.renew("t", {"fd": 1}, "2026-01-01", months(1), trial=True)
    with pytest.raises(InvalidRequest, match="trial period"):
        shop.new("t", {"tried": 1}, "2026-01-01", months(1), trial=True)
    shop.new("t", {"fd": 1}, "2026-01-01", months(1))
    with pytest.raises(InvalidRequest, match="keeps its term"):
        shop.order("UPGRADE", "t", {"fd": 2}, "2026-01-02", months(1))
    with pytest.raises(InvalidRequest, match="in time"):
        shop.renew("t", {"fd": 1}, "2026-01-02", months(1, "2026-05-01"))


@pytest.mark.parametrize(
    "length", [Period(), Period(months=1, days=1), Period(months=-1), Period(months=1201), Period(micros=DAY)]
)
def test_a_length_is_a_number_of_months_or_of_days(length: Period) -> None:
    with pytest.raises(InvalidRequest, match="length"):
        Term(length=length)


@pytest.mark.parametrize("instant", [-1, FOREVER - 1])
def test_a_term_lies_within_the_calendar(instant: int) -> None:
    with pytest.raises(InvalidRequest, match="9999"):
        Term(starts_at=instant)
    with pytest.raises(InvalidRequest, match="9999"):
        Term(ends_at=instant)


def test_a_term_has_a_length_or_an_end() -> None:
    with pytest.raises(InvalidRequest, match="not both"):
        Term(length=Period(months=1), ends_at=0)


# --- products ---


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"id": "p"}, "grant nothing"),
        ({"id": " p", "features": [{"name": "x"}]}, "id"),
        ({"id": "p", "features": [{"name": "x"}], "prize": 1}, "prize"),
        ({"id": "p", "license_template": [{"name": "x", "amount": 1.5}]}, "amount"),
        ({"id": "p", "license_template": [{"name": "x", "amount": True}]}, "amount"),
        ({"id": "p", "license_template": [{"name": "x", "amount": -1}]}, "amount"),
        ({"id": "p", "license_template": [{"name": "x", "amount_calculation": "twice"}]}, "amount_calculation"),
        ({"id": "p", "features": [{"name": "x"}], "trial_license_template": [{"name": "x"}]}, "trial period"),
        ({"id": "p", "features": [{"name": "x"}], "trial": {"count": 0, "unit": "day"}}, "trial.count"),
        ([], "dict"),
    ],
)
def test_a_product_that_makes_no_sense_is_refused_by_field(document: object, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        product_of(document)


def test_products_are_unique_and_listed_as_sold_now(shop: Shop) -> None:
    with refused("PRODUCT_EXISTS"):
        shop.product(per_unit("fd", "fixed_desk"))
    with refused("UNKNOWN_PRODUCT"), shop.store.writing(TESTER) as writing:
        catalogue.update_product(writing, product_of(per_unit("new", "x")), now=0)
    with shop.store.reading() as conn:
        assert [(product.id, version) for product, version in catalogue.list_products(conn)] == [
            ("fd", 1),
            ("sd", 1),
            ("tried", 1),
        ]
