"""Products and editions as data (domain.md 3)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.errors import InvalidRequest
from sync.store import audit
from sync.store.audit import Entry
from sync.store.catalogue import (
    Edition,
    edition_caps,
    get_product,
    list_editions,
    put_edition,
    update_product,
)
from sync.store.orders import Deal, list_orders
from sync.store.prices import MOST_AMOUNT, Price
from sync.store.products import product_of
from tests.storing import TESTER, Shop, at, months, on_every_database, per_unit, refused

pytestmark = on_every_database

DESK = Price(currency="CNY", key="fixed_desk", from_quantity=1, unit_price=100)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store.db")


def put(shop: Shop, name: str, cap: int, *prices: Price) -> Edition:
    with shop.store.writing(TESTER) as writing:
        return put_edition(writing, name, cap, prices)


def editions(shop: Shop, **page: Any) -> list[Edition]:
    with shop.store.reading() as conn:
        return list_editions(conn, **page)


def trail(shop: Shop, subject: str) -> list[Entry]:
    with shop.store.reading() as conn:
        return audit.entries(conn, audit.Sought(subject=subject))


# --- editions ---


def test_editions_are_shipped_with_their_caps(shop: Shop) -> None:
    assert [(edition.name, edition.cap, edition.prices) for edition in editions(shop)] == [
        ("advanced", 50_000, ()),
        ("basic", 10_000, ()),
        ("flagship", 100_000, ()),
        ("trial", 100, ()),
    ]


def test_an_edition_is_added_and_changed_as_a_whole(shop: Shop) -> None:
    more = [
        Price(currency="EUR", key="room", from_quantity=10, unit_price=3),
        Price(currency="CNY", key="fixed_desk", from_quantity=50, unit_price=80),
        DESK,
    ]
    made = put(shop, "starter", 7, *more)
    assert made == Edition(name="starter", cap=7, prices=(DESK, more[1], more[0]))
    with shop.store.reading() as conn:
        assert made in list_editions(conn)
        assert edition_caps(conn)["starter"] == 7
    changed = put(shop, "starter", 8, DESK)
    with shop.store.reading() as conn:
        assert changed == Edition(name="starter", cap=8, prices=(DESK,))
        assert [each for each in list_editions(conn) if each.name == "starter"] == [changed]


def test_editions_come_page_by_page(shop: Shop) -> None:
    put(shop, "basic", 10_000, DESK)
    assert [edition.name for edition in editions(shop, limit=2)] == ["advanced", "basic"]
    assert [edition.name for edition in editions(shop, after="basic", limit=1)] == ["flagship"]
    assert editions(shop, after="advanced", limit=1)[0].prices == (DESK,)


def test_the_trail_says_what_an_edition_was_and_is(shop: Shop) -> None:
    first = put(shop, "starter", 7, DESK)
    put(shop, "starter", 7, DESK)
    second = put(shop, "starter", 7)
    entries = trail(shop, "edition:starter")
    assert [entry.action for entry in entries] == ["edition.put", "edition.put"]
    assert [entry.details for entry in entries] == [
        {"before": None, "after": asdict(first) | {"prices": [asdict(DESK)]}},
        {"before": asdict(first) | {"prices": [asdict(DESK)]}, "after": asdict(second) | {"prices": []}},
    ]


def test_prices_that_change_leave_orders_as_they_were_bought(shop: Shop) -> None:
    shop.product(per_unit("fd", "fixed_desk"))
    shop.tenant("t")
    put(shop, "basic", 10_000, DESK)
    shop.new("t", {"fd": 10}, "2026-01-01", months(12), deal=Deal(currency="CNY"), edition="basic")
    put(shop, "basic", 10_000)
    with shop.store.reading() as conn:
        assert [(order.total, order.lines[0].unit_price) for order in list_orders(conn)] == [(1000, 100)]


@pytest.mark.parametrize(
    ("field", "name", "cap", "prices"),
    [
        ("name", "", 1, ()),
        ("name", " x", 1, ()),
        ("cap", "x", -1, ()),
        ("cap", "x", 2**53 + 1, ()),
        ("prices", "x", 1, (DESK, DESK)),
        ("prices", "x", 1, (DESK, Price(currency="CNY", key="fixed_desk", from_quantity=1, unit_price=5))),
    ],
)
def test_an_edition_names_what_is_wrong(shop: Shop, field: str, name: str, cap: int, prices: tuple[Price, ...]) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        put(shop, name, cap, *prices)
    assert len(editions(shop)) == 4


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("currency", "cny"),
        ("currency", ""),
        ("key", ""),
        ("key", "x" * 257),
        ("from_quantity", 0),
        ("from_quantity", 2**53 + 1),
        ("unit_price", -1),
        ("unit_price", MOST_AMOUNT + 1),
    ],
)
def test_a_price_names_what_is_wrong(field: str, wrong: Any) -> None:
    with pytest.raises(InvalidRequest, match=rf"^prices\.{field}: "):
        Price(**asdict(DESK) | {field: wrong})


# --- products ---


def test_a_product_is_kept_in_versions_with_their_entries(shop: Shop) -> None:
    shop.product(per_unit("fd", "fixed_desk"))
    marked = product_of(per_unit("fd", "fixed_desk", downgrade="at_end", billing="quarterly"))
    with shop.store.writing(TESTER) as writing:
        assert update_product(writing, marked, now=at("2026-02-01")) == 2
        assert update_product(writing, marked, now=at("2026-02-02")) == 2
    with shop.store.reading() as conn:
        assert get_product(conn, "fd") == (marked, 2)
        with refused("UNKNOWN_PRODUCT"):
            get_product(conn, "nothing")
    entries = trail(shop, "product:fd")
    assert [entry.action for entry in entries] == ["product.create", "product.update"]
    details = entries[1].details
    assert details is not None
    assert (details["before"].get("downgrade"), details["after"]["downgrade"]) == (None, "at_end")


@pytest.mark.parametrize("place", ["license_template", "trial_license_template", "features"])
def test_a_key_is_no_longer_than_a_record_can_say(place: str) -> None:
    named = {"trial": {"count": 1, "unit": "day"}, "features": [{"name": "x"}]}
    product_of({"id": "p"} | named | {place: [{"name": "桌" * 85}]})
    with pytest.raises(InvalidRequest, match="256 bytes"):
        product_of({"id": "p"} | named | {place: [{"name": "桌" * 86}]})


def test_a_downgrade_is_refused_unless_it_is_said_how(shop: Shop) -> None:
    assert product_of(per_unit("fd", "fixed_desk")).downgrade == "refused"
    with pytest.raises(InvalidRequest, match="downgrade"):
        product_of(per_unit("fd", "fixed_desk", downgrade="soon"))


@pytest.mark.parametrize(("billing", "count"), [("monthly", 1), ("quarterly", 3), ("annual", 12)])
def test_billing_periods_are_of_so_many_months(billing: str, count: int) -> None:
    assert product_of(per_unit("fd", "fixed_desk", billing=billing)).billing_months == count
