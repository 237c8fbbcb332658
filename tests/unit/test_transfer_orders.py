"""Orders from rows: what is placed, in the tenant's own zone, and how what is refused is told."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from sidecar.core.calendar import format_instant
from sidecar.core.model import FOREVER
from sync.store import audit
from sync.store.orders import Order, list_orders
from sync.transfer.importing import Import
from sync.transfer.items import Item
from sync.transfer.kinds import KINDS
from sync.transfer.report import Told
from sync.transfer.sheet import Sheet
from tests.storing import Shop, at, on_every_database, per_unit

pytestmark = on_every_database

NOW = "2026-07-14T09:30:00Z"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("desk", "fixed_desk", trial={"count": 14, "unit": "day"}))
    shop.product(per_unit("room", "meeting_room", billing="monthly"))
    shop.tenant("acme", zone="Asia/Shanghai")
    shop.tenant("far", zone="Pacific/Niue")
    return shop


def take(shop: Shop, *lines: str, header: str) -> list[Told]:
    """Imports these rows; what became of each item."""
    found: list[Told] = []

    def tell(item: Item, told: Told) -> None:
        found.append(told)

    made = Import(KINDS["orders"], operator="local:ada", now=at(NOW), clock=lambda: at(NOW))
    made.into(shop.store, Sheet(io.BytesIO("\n".join([header, *lines]).encode()), "f"), [tell])
    return found


def orders(shop: Shop, tenant: str = "acme") -> list[Order]:
    with shop.store.reading() as conn:
        return list_orders(conn, tenant)


def terms(order: Order) -> list[tuple[str, str]]:
    return [
        (format_instant(line.starts_at), "" if line.ends_at == FOREVER else format_instant(line.ends_at))
        for line in order.lines
    ]


def test_dates_are_those_of_the_tenants_zone_and_an_end_is_inclusive(shop: Shop) -> None:
    header = "tenant,product,quantity,starts,ends,at"
    take(shop, "acme,desk,3,2026-07-01,2026-12-31,2026-06-30", "far,desk,3,2026-07-01,2026-12-31,", header=header)
    (ours,), (theirs,) = orders(shop), orders(shop, "far")
    assert terms(ours) == [("2026-06-30T16:00:00Z", "2026-12-31T16:00:00Z")]
    assert terms(theirs) == [("2026-07-01T11:00:00Z", "2027-01-01T11:00:00Z")]
    assert format_instant(ours.placed_at) == "2026-06-29T16:00:00Z"
    assert (format_instant(theirs.placed_at), theirs.operator) == (NOW, "local:ada")


def test_rows_of_one_order_are_its_lines(shop: Shop) -> None:
    header = "order,tenant,product,quantity,starts,months,unit_price,periods,currency,coupon,coupon_amount,credit,note"
    (told,) = take(
        shop,
        'x,acme,desk,2,2026-07-01,12,100.50,,CNY,SPRING,10.5,1,"two\nlines"',
        "x,acme,room,3,,,10,4,,,,,",
        header=header,
    )
    (order,) = orders(shop)
    assert told.subject == f"order:{order.id}"
    assert [(line.product.id, line.quantity, line.unit_price) for line in order.lines] == [
        ("desk", 2, 100_500_000),
        ("room", 3, 10_000_000),
    ]
    assert (order.currency, order.coupon, order.note) == ("CNY", "SPRING", "two\nlines")
    assert order.total == 2 * 100_500_000 + 3 * 4 * 10_000_000 - 11_500_000


def test_later_orders_of_a_file_build_on_earlier_ones(shop: Shop) -> None:
    header = "tenant,kind,product,quantity,months,trial,edition,at,perpetual,anchor"
    told = take(
        shop,
        "acme,NEW,desk,1,,yes,,2026-01-01,,",
        "acme,NEW,desk,2,12,,basic,2026-01-05,,",
        "acme,UPGRADE,desk,5,,,,2026-02-01,,",
        "acme,UPGRADE,,,,,flagship,2026-02-02,,",
        "acme,RENEW,desk,4,12,,,2027-03-01,,old_end",
        "acme,NEW,room,1,,,,2026-03-01,yes,",
        header=header,
    )
    assert [each.code for each in told] == [""] * 6
    found = orders(shop)
    assert [(order.kind.value, order.trial, order.edition) for order in found] == [
        ("NEW", True, None),
        ("NEW", False, "basic"),
        ("UPGRADE", False, None),
        ("UPGRADE", False, "flagship"),
        ("RENEW", False, None),
        ("NEW", False, None),
    ]
    assert terms(found[4]) == [("2027-01-04T16:00:00Z", "2028-01-04T16:00:00Z")]
    assert terms(found[5]) == [("2026-02-28T16:00:00Z", "")]


def test_what_is_refused_is_told_and_nothing_else_is(shop: Shop) -> None:
    header = "tenant,kind,product,quantity,months,starts,billing_starts,currency,unit_price"
    told = take(
        shop,
        "acme,NEW,desk,2,12,,,,",
        "acme,NEW,desk,2,12,2026-08-01,,,",
        "acme,UPGRADE,desk,1,,,,,",
        "nobody,NEW,desk,2,12,,,,",
        "acme,NEW,chair,2,12,,,,",
        "far,NEW,desk,2,,,,,",
        "far,NEW,desk,2,12,9999-12-30,,,",
        "far,NEW,room,2,12,,1970-01-01,,",
        "far,NEW,room,2,12,,,,5",
        "acme,UPGRADE,desk,3,,,,,",
        header=header,
    )
    assert [each.code for each in told] == [
        "",
        "TERM_RUNNING",
        "DOWNGRADE_NOT_ALLOWED",
        "UNKNOWN_TENANT",
        "UNKNOWN_PRODUCT",
        "INVALID",
        "INVALID",
        "INVALID",
        "INVALID",
        "",
    ]
    assert [each.message.split(":")[0] for each in told[5:9]] == ["term", "starts", "billing_starts", "currency"]
    assert [len(orders(shop, tenant)) for tenant in ("acme", "far")] == [2, 0]
    with shop.store.reading() as conn:
        placed = audit.entries(conn, audit.Sought(action="order."))
    assert [(e.action, e.operator) for e in placed] == [("order.place", "local:ada")] * 2


def test_a_date_past_the_calendar_of_the_tenants_zone_is_told(shop: Shop) -> None:
    """It can be counted in UTC: only with the tenant does it turn out to be too late."""
    (told,) = take(shop, "far,desk,1,9999-12-30,12", header="tenant,product,quantity,billing_starts,months")
    assert told.code == "INVALID"
    assert told.message.startswith("billing_starts: ")
