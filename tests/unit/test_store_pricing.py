"""What orders cost: exact totals, billing windows and periods, price lists (domain.md 3)."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.calendar import format_instant, zone_of
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER, MICROS
from sync.store.catalogue import put_edition
from sync.store.orders import Deal, Item, get_order, place_order
from sync.store.placing import Kind
from sync.store.prices import MOST_AMOUNT, Price, PriceList
from sync.store.pricing import day_of, periods_begun
from sync.store.terms import Line
from tests.storing import TESTER, Shop, at, months, on_every_database, per_unit, refused, until

pytestmark = on_every_database

CNY = Deal(currency="CNY")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("fd", "fixed_desk"))
    shop.product(per_unit("sd", "shared_desk"))
    shop.product(per_unit("monthly", "room", billing="monthly"))
    shop.product(per_unit("quarterly", "locker", billing="quarterly"))
    trial = {"trial": {"count": 1, "unit": "month"}, "trial_license_template": [{"name": "pod", "amount": 1}]}
    shop.product(per_unit("tried", "pod", billing="monthly", **trial))
    shop.tenant("t")
    return shop


def money(text: str) -> int:
    """Millionths."""
    return int(Decimal(text) * MICROS)


def each(key: str, amount: int) -> dict[str, Any]:
    """A template entry for every unit of quantity."""
    return {"name": key, "amount": amount, "amount_calculation": "per_qty"}


def billed(line: Line) -> tuple[str, str, int]:
    assert line.billing_starts_at is not None
    assert line.billing_ends_at is not None
    return format_instant(line.billing_starts_at)[:10], format_instant(line.billing_ends_at)[:10], line.billing_periods


# --- totals ---


def test_the_example_of_fifteen_thousand(shop: Shop) -> None:
    items = {"fd": Item(quantity=2, unit_price=money("5000")), "sd": Item(quantity=10, unit_price=money("500"))}
    order = shop.new("t", items, "2026-01-01", months(12), deal=CNY)
    assert order.total == money("15000")
    assert [line.unit_price for line in order.lines] == [money("5000"), money("500")]


def test_coupon_and_credit_are_taken_off(shop: Shop) -> None:
    deal = Deal(
        currency="EUR", coupon="WELCOME", coupon_amount=money("0.1"), credit=money("0.000001"), note="see\nmail"
    )
    order = shop.new("t", {"fd": Item(quantity=3, unit_price=money("0.1"))}, "2026-01-01", months(12), deal=deal)
    assert order.total == money("0.199999")
    assert (order.currency, order.coupon, order.coupon_amount, order.credit, order.note) == (
        "EUR",
        "WELCOME",
        100_000,
        1,
        "see\nmail",
    )


def test_a_total_is_never_below_zero(shop: Shop) -> None:
    deal = Deal(currency="EUR", coupon_amount=MOST_AMOUNT, credit=MOST_AMOUNT)
    order = shop.new("t", {"fd": Item(quantity=1, unit_price=1)}, "2026-01-01", months(12), deal=deal)
    assert order.total == 0


def test_what_is_free_needs_no_currency_and_what_is_not_does(shop: Shop) -> None:
    assert shop.new("t", {"fd": 1}, "2026-01-01", months(12)).total == 0
    with pytest.raises(InvalidRequest, match="currency"):
        shop.new("t", {"sd": Item(quantity=1, unit_price=1)}, "2026-01-01", months(12))


def test_totals_have_a_bound(shop: Shop) -> None:
    at_most = Item(quantity=1, unit_price=MOST_AMOUNT)
    assert shop.new("t", {"fd": at_most}, "2026-01-01", months(12), deal=CNY).total == MOST_AMOUNT
    with pytest.raises(InvalidRequest, match="total"):
        shop.new("t", {"monthly": at_most}, "2026-01-01", months(2), deal=CNY)
    large = Deal(currency="CNY", credit=MOST_AMOUNT)
    assert shop.new("t", {"monthly": at_most}, "2026-01-01", months(2), deal=large).total == MOST_AMOUNT


def test_an_order_is_on_record_with_all_that_was_agreed(shop: Shop) -> None:
    item = Item(quantity=4, unit_price=money("12.5"), billing_starts_at=at("2026-02-01"), billing_periods=3)
    deal = Deal(currency="USD", purchased_on="2025-12-24", coupon="X", coupon_amount=5, credit=7, note="n")
    placed = shop.new("t", {"monthly": item}, "2026-01-01", months(12), deal=deal, edition="basic")
    with shop.store.reading() as conn:
        assert get_order(conn, placed.id) == placed
    assert (placed.operator, placed.purchased_on, placed.total) == ("tester", "2025-12-24", money("150") - 12)
    assert (placed.starts_at, placed.edition) == (at("2026-01-01"), "basic")


def test_the_date_of_the_purchase_is_that_of_the_tenants_zone(shop: Shop) -> None:
    shop.tenant("shanghai", zone="Asia/Shanghai")
    assert shop.new("shanghai", {"fd": 1}, "2026-06-30T15:59:59Z", months(1)).purchased_on == "2026-06-30"
    assert shop.new("shanghai", {"sd": 1}, "2026-06-30T16:00:00Z", months(1)).purchased_on == "2026-07-01"
    assert day_of(at("2026-01-01T04:59:59Z"), zone_of("America/New_York")) == "2025-12-31"


# --- billing windows ---


@pytest.mark.parametrize(
    ("product", "term", "periods"),
    [
        ("monthly", 1, 1),
        ("monthly", 12, 12),
        ("quarterly", 3, 1),
        ("quarterly", 4, 2),
        ("fd", 12, 1),
        ("fd", 13, 2),
        ("fd", 1, 1),
    ],
)
def test_periods_are_those_begun_in_the_term(shop: Shop, product: str, term: int, periods: int) -> None:
    order = shop.new("t", {product: Item(quantity=1, unit_price=10)}, "2026-01-31", months(term), deal=CNY)
    assert (order.lines[0].billing_periods, order.total) == (periods, 10 * periods)


def test_a_perpetual_term_is_paid_once(shop: Shop) -> None:
    order = shop.new("t", {"monthly": Item(quantity=2, unit_price=10)}, "2026-01-01", until("never"), deal=CNY)
    assert (billed(order.lines[0]), order.total) == (("2026-01-01", "never", 1), 20)


def test_billing_begins_after_the_trial(shop: Shop) -> None:
    order = shop.new("t", {"tried": Item(quantity=1, unit_price=10)}, "2026-01-31", months(3), deal=CNY)
    assert billed(order.lines[0]) == ("2026-02-28", "2026-04-30", 3)
    shop.tenant("other")
    short = shop.new("other", {"tried": Item(quantity=1, unit_price=10)}, "2026-01-01", until("2026-01-20"), deal=CNY)
    line = short.lines[0]
    assert (line.billing_starts_at, line.billing_periods, short.total) == (None, 0, 0)


def test_billing_may_be_said_to_begin_later_within_the_term(shop: Shop) -> None:
    item = Item(quantity=1, unit_price=10, billing_starts_at=at("2026-03-31"))
    order = shop.new("t", {"monthly": item}, "2026-01-31", months(6), deal=CNY)
    assert billed(order.lines[0]) == ("2026-03-31", "2026-07-31", 4)
    for outside in ("2026-01-30T23:59:59.999999Z", "2026-07-31T00:00:00.000001Z"):
        with pytest.raises(InvalidRequest, match="billing_starts_at"):
            shop.new("t", {"sd": Item(quantity=1, billing_starts_at=at(outside))}, "2026-01-31", months(6))
    edge = shop.new("t", {"sd": Item(quantity=1, billing_starts_at=at("2026-07-31"))}, "2026-01-31", months(6))
    assert edge.lines[0].billing_periods == 0


def test_periods_may_be_stated(shop: Shop) -> None:
    five, none = (Item(quantity=2, unit_price=10, billing_periods=count) for count in (5, 0))
    order = shop.new("t", {"monthly": five}, "2026-01-01", months(12), deal=CNY)
    assert (order.lines[0].billing_periods, order.total) == (5, 100)
    free = shop.renew("t", {"monthly": none}, "2026-02-01", months(12), deal=CNY)
    assert (billed(free.lines[0]), free.total) == (("2027-01-01", "2028-01-01", 0), 0)


def test_a_trial_order_costs_nothing_unless_it_says_so(shop: Shop) -> None:
    order = shop.order("NEW", "t", {"tried": Item(quantity=1, unit_price=10)}, "2026-01-01", trial=True, deal=CNY)
    assert (order.lines[0].billing_starts_at, order.lines[0].billing_periods, order.total) == (None, 0, 0)
    shop.tenant("other")
    item = Item(quantity=1, unit_price=10, billing_periods=1)
    paid = shop.order("NEW", "other", {"tried": item}, "2026-01-01", trial=True, deal=CNY)
    assert paid.total == 10


def test_each_line_of_a_renewal_is_billed_over_its_own_term(shop: Shop) -> None:
    shop.new("t", {"monthly": 1}, "2026-01-01", until("2026-03-01"))
    shop.new("t", {"quarterly": 1}, "2026-01-01", until("2026-04-01"))
    items = {name: Item(quantity=1, unit_price=1) for name in ("monthly", "quarterly")}
    order = shop.renew("t", items, "2026-02-01", until("2026-09-01"), deal=CNY)
    assert [billed(line) for line in order.lines] == [
        ("2026-03-01", "2026-09-01", 6),
        ("2026-04-01", "2026-09-01", 2),
    ]


def test_an_upgrade_is_billed_from_its_instant_and_what_it_keeps_is_not(shop: Shop) -> None:
    shop.new("t", {"monthly": Item(quantity=1, unit_price=7), "fd": 1}, "2026-01-01", months(12), deal=CNY)
    order = shop.upgrade("t", {"monthly": Item(quantity=2, unit_price=7)}, "2026-06-15", deal=CNY)
    raised, kept = order.lines
    assert (billed(raised), order.total) == (("2026-06-15", "2027-01-01", 7), 2 * 7 * 7)
    assert (kept.unit_price, kept.billing_starts_at, kept.billing_periods) == (0, None, 0)


@pytest.mark.parametrize(
    ("start", "end", "count", "zone", "periods"),
    [
        ("2026-01-31", "2026-02-28", 1, "UTC", 1),
        ("2026-01-31", "2026-02-28T00:00:00.000001Z", 1, "UTC", 2),
        ("2024-02-29", "2025-02-28", 12, "UTC", 1),
        ("2024-02-29", "2028-02-29", 12, "UTC", 4),
        ("2024-02-29", "2028-02-29T00:00:00.000001Z", 12, "UTC", 5),
        ("2026-01-31T16:00:00Z", "2026-02-28T16:00:00Z", 1, "Asia/Shanghai", 1),
        ("2026-01-31T16:00:00Z", "2026-02-28T16:00:00.000001Z", 1, "Asia/Shanghai", 2),
        ("2026-02-08T10:00:00Z", "2026-03-08T10:00:00Z", 1, "America/New_York", 2),
        ("2026-02-08T10:00:00Z", "2026-03-08T09:00:00Z", 1, "America/New_York", 1),
        ("2026-02-28T07:30:00Z", "2026-03-28T06:30:00Z", 1, "America/New_York", 1),
        ("2011-11-30T10:00:00Z", "2011-12-30T10:00:00Z", 1, "Pacific/Apia", 1),
        ("2026-01-01", "2026-01-01", 1, "UTC", 0),
        ("2026-01-02", "2026-01-01", 1, "UTC", 0),
        ("1970-01-01", "9999-12-30", 1, "UTC", 8029 * 12 + 12),
    ],
)
def test_periods_at_the_edges_of_months_and_zones(start: str, end: str, count: int, zone: str, periods: int) -> None:
    assert periods_begun(at(start), at(end), count, zone_of(zone)) == periods
    assert periods_begun(at(start), FOREVER, count, zone_of(zone)) == 1


# --- price lists ---

TIERS = [
    Price(currency="CNY", key="fixed_desk", from_quantity=1, unit_price=money("100")),
    Price(currency="CNY", key="fixed_desk", from_quantity=50, unit_price=money("80")),
    Price(currency="CNY", key="fixed_desk", from_quantity=200, unit_price=money("50.5")),
    Price(currency="EUR", key="fixed_desk", from_quantity=10, unit_price=money("12")),
    Price(currency="CNY", key="room", from_quantity=1, unit_price=money("9")),
]


def list_prices(shop: Shop, edition: str, *prices: Price) -> None:
    with shop.store.writing(TESTER) as writing:
        put_edition(writing, edition, 10_000, prices)


@pytest.mark.parametrize(
    ("quantity", "price"), [(1, "100"), (49, "100"), (50, "80"), (199, "80"), (200, "50.5"), (10_000, "50.5")]
)
def test_a_price_is_that_of_the_tier_of_all_that_is_bought(shop: Shop, quantity: int, price: str) -> None:
    list_prices(shop, "basic", *TIERS)
    order = shop.new("t", {"fd": quantity}, "2026-01-01", months(12), deal=CNY, edition="basic")
    assert order.lines[0].unit_price == money(price)
    assert order.total == quantity * money(price)


def test_tiers_are_of_what_is_granted(shop: Shop) -> None:
    shop.product({"id": "five", "license_template": [each("fixed_desk", 5)]})
    list_prices(shop, "basic", *TIERS)
    order = shop.new("t", {"five": 10}, "2026-01-01", months(12), deal=CNY, edition="basic")
    assert order.lines[0].unit_price == 5 * money("80")


def test_what_one_product_grants_adds_up_and_fixed_numbers_are_free(shop: Shop) -> None:
    entries = [
        {"name": "fixed_desk", "amount": 1, "amount_calculation": "per_qty"},
        {"name": "room", "amount": 2, "amount_calculation": "per_qty"},
        {"name": "room", "amount": 40},
        {"name": "fixed_desk", "amount": "unlimited", "amount_calculation": "per_qty"},
        {"name": "room", "users": 3, "users_calculation": "per_qty"},
    ]
    shop.product({"id": "both", "license_template": entries})
    list_prices(shop, "basic", *TIERS)
    shop.new("t", {"sd": 1}, "2026-01-01", months(12), edition="basic")
    with refused("EDITION_CAP_EXCEEDED"):
        shop.new("t", {"both": 1}, "2026-01-01", months(12), deal=CNY)
    shop.product({"id": "rooms", "license_template": [entries[0], *entries[1:3], entries[4]]})
    order = shop.new("t", {"rooms": 1}, "2026-01-01", months(12), deal=CNY)
    assert order.lines[0].unit_price == money("118")


def test_the_list_is_that_of_the_orders_edition_else_the_tenants_in_the_orders_currency(shop: Shop) -> None:
    list_prices(shop, "basic", *TIERS)
    list_prices(shop, "advanced", Price(currency="CNY", key="fixed_desk", from_quantity=1, unit_price=1))
    shop.tenant("named", edition="basic")
    assert shop.new("named", {"fd": 10}, "2026-01-01", months(12), deal=CNY).total == money("1000")
    euro = shop.renew("named", {"fd": 10}, "2026-01-02", months(12), deal=Deal(currency="EUR"))
    assert euro.total == money("120")
    for deal in (Deal(currency="USD"), Deal()):
        with pytest.raises(InvalidRequest, match="currency: fd is listed in CNY, EUR: give that currency, or a price"):
            shop.renew("named", {"fd": 10}, "2026-01-03", months(12), deal=deal)
    given = {"fd": Item(quantity=10, unit_price=0)}
    assert shop.renew("named", given, "2026-01-03", months(12), deal=Deal()).total == 0
    other = shop.renew("named", {"fd": 10}, "2026-01-05", months(12), deal=CNY, edition="advanced")
    assert other.total == 10
    assert shop.new("t", {"fd": 10}, "2026-01-01", months(12), deal=CNY).total == 0


def test_what_is_stated_comes_before_the_list(shop: Shop) -> None:
    list_prices(shop, "basic", *TIERS)
    free = Item(quantity=10, unit_price=0)
    assert shop.new("t", {"fd": free}, "2026-01-01", months(12), deal=CNY, edition="basic").total == 0


def test_a_listed_price_beyond_all_bounds_is_refused(shop: Shop) -> None:
    shop.product({"id": "huge", "license_template": [each("room", 2**20)]})
    list_prices(shop, "basic", Price(currency="CNY", key="room", from_quantity=1, unit_price=MOST_AMOUNT))
    with pytest.raises(InvalidRequest, match="unit_price"):
        shop.new("t", {"huge": 1}, "2026-01-01", months(12), deal=CNY, edition="basic")


def test_a_list_without_the_key_is_free() -> None:
    prices = PriceList(TIERS)
    assert [prices.unit_price("EUR", "fixed_desk", n) for n in (9, 10)] == [0, money("12")]
    assert prices.unit_price("CNY", "nothing", 5) == 0


# --- nonsense ---


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("quantity", {"quantity": 0}),
        ("quantity", {"quantity": 2**31 + 1}),
        ("unit_price", {"unit_price": -1}),
        ("unit_price", {"unit_price": MOST_AMOUNT + 1}),
        ("billing_periods", {"billing_periods": -1}),
        ("billing_periods", {"billing_periods": 12_001}),
        ("billing_starts_at", {"billing_starts_at": -1}),
        ("billing_starts_at", {"billing_starts_at": FOREVER}),
    ],
)
def test_an_item_names_the_field_that_is_wrong(field: str, wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        Item(**{"quantity": 1} | wrong)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("currency", {"currency": "cny"}),
        ("currency", {"currency": "CNYX"}),
        ("purchased_on", {"purchased_on": "2026-02-30"}),
        ("purchased_on", {"purchased_on": "20260228"}),
        ("purchased_on", {"purchased_on": "2026-02-28T00:00"}),
        ("coupon", {"coupon": "x" * 257}),
        ("coupon", {"coupon": " x"}),
        ("coupon_amount", {"coupon_amount": -1}),
        ("coupon_amount", {"coupon_amount": MOST_AMOUNT + 1}),
        ("credit", {"credit": -1}),
        ("note", {"note": "x" * 4097}),
        ("note", {"note": "\x00"}),
        ("note", {"note": "\ud800"}),
    ],
)
def test_a_deal_names_the_field_that_is_wrong(field: str, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        Deal(**wrong)  # type: ignore[arg-type]


def test_no_order_grants_more_than_a_record_can_say(shop: Shop) -> None:
    shop.product({"id": "big", "license_template": [each("room", 2**40)]})
    shop.new("t", {"big": 2**13}, "2026-01-01", months(1))
    with pytest.raises(InvalidRequest, match="more than 2\\^53"):
        shop.upgrade("t", {"big": 2**13 + 1}, "2026-01-02")


@pytest.mark.parametrize("start", ["9999-12-01", "9999-12-30"])
def test_a_length_past_the_calendar_is_refused(shop: Shop, start: str) -> None:
    with pytest.raises(InvalidRequest, match="perpetual"):
        shop.new("t", {"fd": 1}, "2026-01-01", months(1, start))
    with pytest.raises(InvalidRequest, match="past the year 9999"):
        shop.order("NEW", "t", {"tried": 1}, start, trial=True)


def test_an_instant_beyond_the_calendar_is_refused(shop: Shop) -> None:
    with shop.store.writing(TESTER) as writing, pytest.raises(InvalidRequest, match=r"^at: "):
        place_order(writing, "t", Kind.NEW, {"fd": 1}, now=-1, term=months(1))
