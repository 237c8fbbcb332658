"""More or fewer within a running term: no road leads to less but those that a product is marked for (domain.md 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sidecar.core.calendar import format_instant
from sidecar.core.errors import InvalidRequest
from sync.store.catalogue import put_edition, update_product
from sync.store.orders import get_order
from sync.store.products import product_of
from sync.store.tenants import update_tenant
from sync.store.terms import Term
from tests.storing import TESTER, Shop, at, months, on_every_database, per_unit, refused, until

pytestmark = on_every_database


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("fd", "fixed_desk"))
    shop.product(per_unit("sd", "shared_desk"))
    shop.product(per_unit("now", "room", downgrade="at_once"))
    shop.product(per_unit("then", "locker", downgrade="at_end"))
    shop.tenant("t")
    return shop


def sell(shop: Shop, document: dict[str, Any]) -> None:
    """The product as it is sold from now on."""
    with shop.store.writing(TESTER) as writing:
        update_product(writing, product_of(document), now=at("2026-01-01"))


def windows(shop: Shop, key: str) -> list[tuple[str, str, object]]:
    grants = [g for g in shop.record("t").grants if g.key == key]
    return [(format_instant(g.starts_at)[:10], format_instant(g.ends_at)[:10], g.amount) for g in grants]


# --- UPGRADE: nothing gets less ---

DESKS = {"name": "desk", "amount": 2, "amount_calculation": "per_qty"}
SEATS = {"name": "seat", "users": 3}
RICH = {"id": "rich", "license_template": [DESKS, SEATS], "features": [{"name": "timesheet"}]}


@pytest.mark.parametrize(
    ("less", "key"),
    [
        ({"license_template": [DESKS | {"amount": 1}, SEATS]}, "desk"),
        ({"license_template": [{"name": "desk", "amount": 21}, SEATS]}, "desk"),
        ({"license_template": [DESKS, SEATS | {"users": 2}]}, "seat"),
        ({"license_template": [DESKS, {"name": "seat", "amount": 3}]}, "seat"),
        ({"license_template": [DESKS]}, "seat"),
        ({"features": []}, "timesheet"),
    ],
)
def test_an_upgrade_to_a_product_that_grants_less_is_a_downgrade(shop: Shop, less: dict[str, Any], key: str) -> None:
    shop.product(RICH)
    shop.new("t", {"rich": 11}, "2026-01-01", months(12))
    sell(shop, RICH | less)
    before = shop.record("t")
    with refused("DOWNGRADE_NOT_ALLOWED") as caught:
        shop.upgrade("t", {"rich": 12}, "2026-02-01")
    assert key in caught.value.advice
    assert shop.record("t") == before


def test_fewer_a_unit_may_still_be_more_in_all(shop: Shop) -> None:
    shop.product(RICH)
    shop.new("t", {"rich": 10}, "2026-01-01", months(12))
    sell(shop, RICH | {"license_template": [DESKS | {"amount": 1}, SEATS | {"users": 4}]})
    shop.upgrade("t", {"rich": 20}, "2026-02-01")
    assert windows(shop, "desk")[-1] == ("2026-02-01", "2027-01-01", 20)


def test_unlimited_can_only_stay_unlimited(shop: Shop) -> None:
    shop.product({"id": "endless", "license_template": [{"name": "desk", "amount": "unlimited"}]})
    shop.new("t", {"endless": 1}, "2026-01-01", months(12))
    sell(shop, {"id": "endless", "license_template": [{"name": "desk", "amount": 2**53}]})
    with refused("DOWNGRADE_NOT_ALLOWED"):
        shop.upgrade("t", {"endless": 2}, "2026-02-01")
    sell(shop, {"id": "endless", "license_template": [{"name": "desk", "amount": "unlimited"}, SEATS]})
    shop.upgrade("t", {"endless": 2}, "2026-02-01")


def test_what_two_entries_grant_of_a_key_counts_together(shop: Shop) -> None:
    shop.product({"id": "two", "license_template": [{"name": "desk", "amount": 4}, {"name": "desk", "amount": 5}]})
    shop.new("t", {"two": 1}, "2026-01-01", months(12))
    sell(shop, {"id": "two", "license_template": [{"name": "desk", "amount": 8}]})
    with refused("DOWNGRADE_NOT_ALLOWED"):
        shop.upgrade("t", {"two": 2}, "2026-02-01")
    sell(shop, {"id": "two", "license_template": [{"name": "desk", "amount": 9}]})
    shop.upgrade("t", {"two": 2}, "2026-02-01")


def test_a_line_that_is_not_named_keeps_the_product_as_it_was(shop: Shop) -> None:
    shop.product(RICH)
    shop.new("t", {"rich": 5, "fd": 5}, "2026-01-01", months(12))
    sell(shop, RICH | {"license_template": [SEATS]})
    order = shop.upgrade("t", {"fd": 6}, "2026-02-01")
    assert shop.amount("t", "desk", "2026-02-01") == 10
    assert [(line.product.id, line.product_version) for line in order.lines] == [("rich", 1), ("fd", 1)]


def test_an_upgrade_ends_a_trial_though_it_granted_more(shop: Shop) -> None:
    shop.product(
        per_unit(
            "tried", "pod", trial={"count": 1, "unit": "month"}, trial_license_template=[{"name": "pod", "amount": 99}]
        )
    )
    shop.new("t", {"tried": 5}, "2026-01-01", months(12))
    shop.upgrade("t", {"tried": 6}, "2026-01-10")
    assert windows(shop, "pod") == [("2026-01-01", "2026-01-10", 99), ("2026-01-10", "2027-01-01", 6)]


def test_an_edition_of_the_same_size_is_no_rise(shop: Shop) -> None:
    with shop.store.writing(TESTER) as writing:
        put_edition(writing, "other", 10_000)
    shop.new("t", {"fd": 10}, "2026-01-01", months(12), edition="basic")
    with refused("NOTHING_TO_UPGRADE"):
        shop.upgrade("t", {}, "2026-02-01", edition="other")
    shop.upgrade("t", {"fd": 11}, "2026-02-01", edition="other")
    assert shop.record("t").edition == "other"


def test_an_upgrade_at_the_first_instant_replaces_the_whole_term(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-01", months(12))
    shop.upgrade("t", {"fd": 15}, "2026-01-01")
    assert windows(shop, "fixed_desk") == [("2026-01-01", "2027-01-01", 15)]
    with refused("TERM_RUNNING"):
        shop.new("t", {"fd": 1}, "2026-01-01", months(1))


def test_an_upgrade_placed_as_of_an_earlier_instant_leaves_the_later_one(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-01", months(12))
    shop.upgrade("t", {"fd": 20}, "2026-07-01")
    shop.upgrade("t", {"fd": 12}, "2026-03-01")
    assert windows(shop, "fixed_desk") == [
        ("2026-01-01", "2026-03-01", 10),
        ("2026-07-01", "2027-01-01", 20),
        ("2026-03-01", "2026-07-01", 12),
    ]


# --- DOWNGRADE at once ---


def test_a_product_that_allows_it_is_lowered_at_once_to_the_same_end(shop: Shop) -> None:
    shop.new("t", {"now": 10, "fd": 7}, "2026-01-01", months(12))
    order = shop.order("DOWNGRADE", "t", {"now": 4}, "2026-03-01")
    assert windows(shop, "room") == [("2026-01-01", "2026-03-01", 10), ("2026-03-01", "2027-01-01", 4)]
    assert windows(shop, "fixed_desk") == [("2026-01-01", "2026-03-01", 7), ("2026-03-01", "2027-01-01", 7)]
    assert [(line.product.id, line.billing_periods) for line in order.lines] == [("now", 1), ("fd", 0)]


def test_a_lowered_term_is_renewed_as_any_other(shop: Shop) -> None:
    shop.new("t", {"now": 10}, "2026-01-31", months(1))
    shop.order("DOWNGRADE", "t", {"now": 4}, "2026-02-10")
    shop.renew("t", {"now": 4}, "2026-02-20", months(1))
    assert windows(shop, "room")[-1] == ("2026-02-28", "2026-03-31", 4)


def test_what_counts_is_the_product_as_it_was_bought(shop: Shop) -> None:
    shop.new("t", {"now": 10, "fd": 10}, "2026-01-01", months(12))
    sell(shop, per_unit("now", "room"))
    sell(shop, per_unit("fd", "fixed_desk", downgrade="at_once"))
    with refused("DOWNGRADE_NOT_ALLOWED"):
        shop.order("DOWNGRADE", "t", {"fd": 5}, "2026-02-01")
    shop.order("DOWNGRADE", "t", {"now": 5}, "2026-02-01")
    with refused("DOWNGRADE_NOT_ALLOWED"):
        shop.order("DOWNGRADE", "t", {"now": 4}, "2026-03-01")


def test_every_product_of_a_downgrade_must_allow_it(shop: Shop) -> None:
    shop.new("t", {"now": 10, "fd": 10}, "2026-01-01", months(12))
    with refused("DOWNGRADE_NOT_ALLOWED"):
        shop.order("DOWNGRADE", "t", {"now": 5, "fd": 5}, "2026-02-01")


@pytest.mark.parametrize("quantity", [10, 11])
def test_a_downgrade_must_lower_something(shop: Shop, quantity: int) -> None:
    shop.new("t", {"now": 10, "then": 10}, "2026-01-01", months(12))
    for product in ("now", "then"):
        with refused("NOTHING_TO_DOWNGRADE"):
            shop.order("DOWNGRADE", "t", {product: quantity}, "2026-02-01", months(1))


def test_a_downgrade_needs_something_that_runs(shop: Shop) -> None:
    shop.new("t", {"now": 10}, "2026-01-01", months(1))
    for when in ("2026-02-01", "2025-12-31"):
        with refused("NOTHING_RUNNING"):
            shop.order("DOWNGRADE", "t", {"now": 5}, when)


def test_a_downgrade_at_once_keeps_its_term(shop: Shop) -> None:
    shop.new("t", {"now": 10}, "2026-01-01", months(12))
    with pytest.raises(InvalidRequest, match="term"):
        shop.order("DOWNGRADE", "t", {"now": 5}, "2026-02-01", months(1))


def test_a_downgrade_names_products(shop: Shop) -> None:
    shop.new("t", {"now": 10}, "2026-01-01", months(12), edition="advanced")
    with pytest.raises(InvalidRequest, match="at least one product"):
        shop.order("DOWNGRADE", "t", {}, "2026-02-01", edition="basic")


def test_the_two_ways_of_lowering_do_not_go_into_one_order(shop: Shop) -> None:
    shop.new("t", {"now": 10, "then": 10}, "2026-01-01", months(12))
    with pytest.raises(InvalidRequest, match="two orders"):
        shop.order("DOWNGRADE", "t", {"now": 5, "then": 5}, "2026-02-01", months(12))


# --- DOWNGRADE at the term's end ---


def test_at_the_end_it_is_a_renewal_with_fewer(shop: Shop) -> None:
    shop.new("t", {"then": 10}, "2026-01-31", months(1))
    shop.order("DOWNGRADE", "t", {"then": 4}, "2026-02-10", months(1))
    assert windows(shop, "locker") == [("2026-01-31", "2026-02-28", 10), ("2026-02-28", "2026-03-31", 4)]


def test_at_the_end_it_takes_the_place_of_what_is_queued(shop: Shop) -> None:
    shop.new("t", {"then": 10, "fd": 1}, "2026-01-01", months(12))
    queued = shop.renew("t", {"then": 9, "fd": 2}, "2026-02-01", months(6))
    order = shop.order("DOWNGRADE", "t", {"then": 4}, "2026-03-01")
    assert windows(shop, "locker") == [("2026-01-01", "2027-01-01", 10), ("2027-01-01", "2027-07-01", 4)]
    assert windows(shop, "fixed_desk")[-1] == ("2027-01-01", "2027-07-01", 2)
    with shop.store.reading() as conn:
        ended = {line.product.id: line.end for line in get_order(conn, queued.id).lines}
    assert (ended["then"], order.starts_at) == (at("2027-01-01"), at("2027-01-01"))


def test_all_that_is_queued_is_lowered(shop: Shop) -> None:
    shop.new("t", {"then": 10}, "2026-01-01", months(1))
    shop.renew("t", {"then": 9}, "2026-01-02", months(1))
    shop.renew("t", {"then": 8}, "2026-01-03", months(1))
    with refused("NOTHING_TO_DOWNGRADE"):
        shop.order("DOWNGRADE", "t", {"then": 8}, "2026-01-10")
    order = shop.order("DOWNGRADE", "t", {"then": 7}, "2026-01-10")
    assert [line.quantity for line in order.lines] == [7, 7]
    assert windows(shop, "locker") == [
        ("2026-01-01", "2026-02-01", 10),
        ("2026-02-01", "2026-03-01", 7),
        ("2026-03-01", "2026-04-01", 7),
    ]


def test_what_is_queued_keeps_its_end(shop: Shop) -> None:
    shop.new("t", {"then": 10}, "2026-01-01", months(1))
    shop.renew("t", {"then": 9}, "2026-01-02", months(1))
    with pytest.raises(InvalidRequest, match="term ahead"):
        shop.order("DOWNGRADE", "t", {"then": 4}, "2026-01-10", months(1))


def test_at_the_end_a_length_or_an_end_is_needed(shop: Shop) -> None:
    shop.new("t", {"then": 10}, "2026-01-01", months(1))
    with pytest.raises(InvalidRequest, match="give a length"):
        shop.order("DOWNGRADE", "t", {"then": 4}, "2026-01-10")
    with refused("END_NOT_LATER"):
        shop.order("DOWNGRADE", "t", {"then": 4}, "2026-01-10", until("2026-02-01"))
    with pytest.raises(InvalidRequest, match="in time"):
        shop.order("DOWNGRADE", "t", {"then": 4}, "2026-01-10", months(1, "2026-03-01"))


def test_a_perpetual_term_has_no_end_to_lower_at(shop: Shop) -> None:
    shop.new("t", {"then": 10, "now": 10}, "2026-01-01", until("never"))
    with refused("END_NOT_LATER"):
        shop.order("DOWNGRADE", "t", {"then": 4}, "2026-01-10", months(1))
    shop.order("DOWNGRADE", "t", {"now": 4}, "2026-01-10")
    assert windows(shop, "room")[-1] == ("2026-01-10", "never", 4)


# --- caps ---


def test_a_lowered_cap_touches_no_running_term_and_no_order_that_adds_no_desk(shop: Shop) -> None:
    shop.new("t", {"fd": 90, "now": 1}, "2026-01-01", months(12), edition="trial")
    before = shop.record("t")
    with shop.store.writing(TESTER) as writing:
        put_edition(writing, "trial", 50)
    assert shop.record("t") == before
    shop.upgrade("t", {"now": 2}, "2026-02-01")
    assert shop.amount("t", "fixed_desk", "2026-03-01") == 90
    with refused("EDITION_CAP_EXCEEDED"):
        shop.upgrade("t", {"fd": 91}, "2026-03-01")
    with refused("EDITION_CAP_EXCEEDED"):
        shop.renew("t", {"fd": 51}, "2026-03-01", months(12))
    shop.renew("t", {"fd": 50}, "2026-03-01", months(12))


def test_an_edition_that_an_order_names_must_hold_all_desks(shop: Shop) -> None:
    shop.new("t", {"fd": 200}, "2026-01-01", months(12), edition="basic")
    with refused("EDITION_CAP_EXCEEDED"):
        shop.new("t", {"now": 1}, "2026-02-01", months(12), edition="trial")
    shop.new("t", {"now": 1}, "2027-01-01", months(12), edition="trial")


def test_desks_of_the_past_do_not_count(shop: Shop) -> None:
    shop.new("t", {"fd": 200}, "2026-01-01", months(1))
    with shop.store.writing(TESTER) as writing:
        update_tenant(writing, "t", now=at("2026-02-01"), edition="trial")
    shop.renew("t", {"fd": 100}, "2026-02-01", months(1))
    with refused("EDITION_CAP_EXCEEDED"):
        shop.new("t", {"sd": 1}, "2026-02-02", Term(length=months(1).length))
