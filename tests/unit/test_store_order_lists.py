"""Orders as they are found again: page by page, filtered, each with its entry in the audit trail (domain.md 3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync.store import audit
from sync.store.orders import Deal, Item, get_order, get_orders, list_orders, void_order
from sync.store.placing import Kind
from sync.store.tenants import archive_tenant
from tests.storing import TESTER, Shop, at, months, on_every_database, per_unit, refused

pytestmark = on_every_database


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("fd", "fixed_desk"))
    shop.product(per_unit("sd", "shared_desk"))
    shop.product(per_unit("room", "meeting_room"))
    trial = {"trial": {"count": 1, "unit": "month"}, "trial_license_template": [{"name": "pod", "amount": 3}]}
    shop.product(per_unit("tried", "pod", **trial))
    shop.tenant("t")
    return shop


def test_orders_come_page_by_page_oldest_first(shop: Shop) -> None:
    made = [shop.new("t", {name: 1}, "2026-01-01", months(12)) for name in ("fd", "sd", "room")]
    with shop.store.reading() as conn:
        assert list_orders(conn) == made
        assert list_orders(conn, limit=2) == made[:2]
        assert list_orders(conn, after=made[1].id) == made[2:]
        assert get_orders(conn, [made[2].id, made[0].id, 4711]) == [made[0], made[2]]
        assert get_order(conn, made[1].id) == made[1]
        with refused("UNKNOWN_ORDER"):
            get_order(conn, 4711)


def test_orders_are_filtered(shop: Shop) -> None:
    shop.tenant("u")
    first = shop.new("t", {"fd": 1, "sd": 1}, "2026-01-01", months(12))
    theirs = shop.new("u", {"sd": 1}, "2026-02-01", months(12))
    raised = shop.upgrade("t", {"fd": 2}, "2026-03-01")
    with shop.store.writing(TESTER) as writing:
        voiding = void_order(writing, theirs.id, now=at("2026-04-01"))

    def ids(tenant_id: str = "", **sought: object) -> list[int]:
        with shop.store.reading() as conn:
            return [order.id for order in list_orders(conn, tenant_id, **sought)]  # type: ignore[arg-type]

    assert ids() == [first.id, theirs.id, raised.id, voiding.id]
    assert ids("t") == [first.id, raised.id]
    assert ids(kind=Kind.VOID) == [voiding.id]
    assert ids(kind=Kind.UPGRADE) == [raised.id]
    assert ids(product_id="sd") == [first.id, theirs.id, raised.id]
    assert ids("t", product_id="nothing") == []
    assert ids(placed_from=at("2026-02-01"), placed_until=at("2026-03-01")) == [theirs.id]
    assert ids(voided=True) == [theirs.id]
    assert ids(voided=False) == [first.id, raised.id, voiding.id]
    assert ids(voided=False, after=first.id, limit=1) == [raised.id]
    with refused("UNKNOWN_TENANT"):
        ids("nobody")


def test_an_order_has_one_entry_in_the_trail_that_says_it_all(shop: Shop) -> None:
    first = shop.new("t", {"fd": Item(quantity=2, unit_price=5)}, "2026-01-01", months(12), deal=Deal(currency="CNY"))
    raised = shop.upgrade("t", {"fd": 3}, "2026-03-01", edition="basic")
    with shop.store.reading() as conn:
        entries = audit.entries(conn, audit.Sought(action="order."))
        assert audit.verify(conn).fault == ""
    assert [(e.action, e.subject, e.tenant_id, e.operator) for e in entries] == [
        ("order.place", f"order:{order.id}", "t", "tester") for order in (first, raised)
    ]
    told = [entry.details["after"] for entry in entries if entry.details is not None]
    assert (told[0]["kind"], told[0]["total"], told[0]["currency"], told[0]["ended"]) == ("NEW", 10, "CNY", {})
    assert told[0]["lines"] == [
        {
            "line": first.lines[0].id,
            "product": "fd",
            "version": 1,
            "quantity": 2,
            "starts_at": "2026-01-01T00:00:00Z",
            "ends_at": "2027-01-01T00:00:00Z",
            "trial_until": None,
            "unit_price": 5,
            "billing_starts_at": "2026-01-01T00:00:00Z",
            "billing_periods": 1,
        }
    ]
    assert (told[1]["edition"], told[1]["ended"]) == ("basic", {str(first.lines[0].id): "2026-03-01T00:00:00Z"})


def test_nothing_is_sold_to_an_archived_tenant(shop: Shop) -> None:
    with shop.store.writing(TESTER) as writing:
        archive_tenant(writing, "t", now=at("2026-01-01"))
    with refused("TENANT_ARCHIVED"):
        shop.new("t", {"fd": 1}, "2026-01-02", months(1))
