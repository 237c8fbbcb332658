"""VOID: a mistaken order is ended by a record of its own, and nothing restored (domain.md 3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.core.calendar import format_instant
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER
from sync.store import audit
from sync.store.erasure import erase_tenant
from sync.store.orders import Order, get_order, list_orders, void_order
from sync.store.placing import Kind
from sync.store.tenants import archive_tenant
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


def void(shop: Shop, order: Order | int, when: str, start: str | None = None, note: str = "") -> Order:
    order_id = order if isinstance(order, int) else order.id
    with shop.store.writing(TESTER) as writing:
        void_at = None if start is None else at(start)
        return void_order(writing, order_id, now=at(when), void_at=void_at, note=note)


def windows(shop: Shop, key: str, tenant_id: str = "t") -> list[tuple[str, str, object]]:
    grants = [g for g in shop.record(tenant_id).grants if g.key == key]
    return [(format_instant(g.starts_at)[:10], format_instant(g.ends_at)[:10], g.amount) for g in grants]


def test_a_void_ends_an_order_from_an_instant_on(shop: Shop) -> None:
    order = shop.new("t", {"fd": 10, "sd": 2}, "2026-01-01", months(12))
    kept = shop.new("t", {"tried": 1}, "2026-01-01", months(12))
    voiding = void(shop, order, "2026-03-01", note="a slip")
    assert windows(shop, "fixed_desk") == [("2026-01-01", "2026-03-01", 10)]
    assert windows(shop, "shared_desk") == [("2026-01-01", "2026-03-01", 2)]
    assert windows(shop, "room")[-1][1] == "2027-01-01"
    assert (voiding.kind, voiding.voids, voiding.void_at) == (Kind.VOID, order.id, at("2026-03-01"))
    assert (voiding.note, voiding.operator, voiding.lines, voiding.total) == ("a slip", "tester", (), 0)
    with shop.store.reading() as conn:
        assert get_order(conn, order.id).void_at == at("2026-03-01")
        assert get_order(conn, kept.id).void_at is None
        assert [o.kind for o in list_orders(conn, "t")] == ["NEW", "NEW", "VOID"]


@pytest.mark.parametrize("start", ["2026-02-01", "2026-01-15", "1970-01-01"])
def test_an_order_voided_from_its_start_grants_nothing_and_does_not_count(shop: Shop, start: str) -> None:
    order = shop.new("t", {"tried": 5}, "2026-01-01", months(12, "2026-02-01"), edition="basic")
    assert shop.record("t").edition == "basic"
    void(shop, order, "2026-05-01", start)
    assert (shop.record("t").grants, shop.record("t").edition) == ((), "")
    assert shop.trial("t", {"tried": 1}, "2026-05-02").lines[0].trial_until == at("2026-05-16")


def test_one_voided_later_than_its_start_counts(shop: Shop) -> None:
    order = shop.new("t", {"tried": 5}, "2026-01-01", months(12, "2026-02-01"), edition="basic")
    void(shop, order, "2026-05-01", "2026-02-01T00:00:00.000001Z")
    assert shop.record("t").edition == "basic"
    with refused("TRIAL_USED"):
        shop.trial("t", {"tried": 1}, "2026-05-02")


def test_an_order_voided_from_its_start_leaves_the_edition_to_the_one_before(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-01", months(12), edition="basic")
    order = shop.upgrade("t", {"fd": 20}, "2026-02-01", edition="flagship")
    void(shop, order, "2026-03-01", "2026-02-01")
    assert shop.record("t").edition == "basic"


def test_a_void_frees_a_new_purchase_and_its_trial(shop: Shop) -> None:
    order = shop.new("t", {"tried": 5}, "2026-01-01", months(12))
    with refused("TERM_RUNNING"):
        shop.new("t", {"tried": 5}, "2026-01-02", months(1))
    void(shop, order, "2026-01-02", "2026-01-01")
    again = shop.new("t", {"tried": 6}, "2026-01-02", months(1))
    assert again.lines[0].trial_until == at("2026-01-16")


def test_a_void_midway_frees_a_new_purchase_without_a_trial(shop: Shop) -> None:
    order = shop.new("t", {"tried": 5}, "2026-01-01", months(12))
    void(shop, order, "2026-01-05")
    again = shop.new("t", {"tried": 6}, "2026-01-05", months(1))
    assert again.lines[0].trial_until is None
    assert windows(shop, "room") == [("2026-01-01", "2026-01-05", 3), ("2026-01-05", "2026-02-05", 6)]


def test_a_void_of_an_upgrade_restores_nothing(shop: Shop) -> None:
    shop.new("t", {"fd": 10}, "2026-01-01", months(12))
    order = shop.upgrade("t", {"fd": 15}, "2026-02-01")
    void(shop, order, "2026-03-01", "2026-02-01")
    assert windows(shop, "fixed_desk") == [("2026-01-01", "2026-02-01", 10)]


def test_a_void_of_a_purchase_restores_no_trial_that_it_ended(shop: Shop) -> None:
    shop.trial("t", {"tried": 1}, "2026-01-01")
    order = shop.new("t", {"tried": 5}, "2026-01-05", months(1))
    void(shop, order, "2026-01-06", "2026-01-05")
    assert windows(shop, "room") == [("2026-01-01", "2026-01-05", 3)]
    with refused("TRIAL_USED"):
        shop.trial("t", {"tried": 1}, "2026-01-06")


def test_a_void_of_what_an_upgrade_superseded_leaves_the_upgrade(shop: Shop) -> None:
    order = shop.new("t", {"fd": 10}, "2026-01-01", months(12))
    shop.upgrade("t", {"fd": 15}, "2026-02-01")
    void(shop, order, "2026-01-10")
    assert windows(shop, "fixed_desk") == [("2026-01-01", "2026-01-10", 10), ("2026-02-01", "2027-01-01", 15)]


def test_a_void_leaves_what_is_queued(shop: Shop) -> None:
    order = shop.new("t", {"fd": 10}, "2026-01-01", months(1))
    shop.renew("t", {"fd": 8}, "2026-01-02", months(1))
    void(shop, order, "2026-01-10")
    assert windows(shop, "fixed_desk") == [("2026-01-01", "2026-01-10", 10), ("2026-02-01", "2026-03-01", 8)]


def test_a_renewal_of_a_voided_term_is_measured_from_the_void_instant(shop: Shop) -> None:
    order = shop.new("t", {"fd": 10}, "2026-01-31", months(12))
    void(shop, order, "2026-03-10")
    shop.renew("t", {"fd": 10}, "2026-03-10", months(1))
    assert windows(shop, "fixed_desk")[1][:2] == ("2026-03-10", "2026-04-10")
    void(shop, 1, "2026-03-20", "2026-03-05")
    assert windows(shop, "fixed_desk")[0][:2] == ("2026-01-31", "2026-03-05")


def test_a_renewal_after_the_void_instant_is_late(shop: Shop) -> None:
    order = shop.new("t", {"fd": 10}, "2026-01-31", months(12))
    void(shop, order, "2026-03-10")
    shop.renew("t", {"fd": 10}, "2026-04-15", months(1))
    assert windows(shop, "fixed_desk")[1][:2] == ("2026-04-15", "2026-05-15")


def test_nothing_is_left_to_renew_or_upgrade_of_what_was_voided_from_its_start(shop: Shop) -> None:
    order = shop.new("t", {"fd": 10}, "2026-01-01", months(12))
    void(shop, order, "2026-02-01", "2026-01-01")
    with refused("NOTHING_TO_RENEW"):
        shop.renew("t", {"fd": 10}, "2026-02-02", months(1))
    with refused("NOTHING_RUNNING"):
        shop.upgrade("t", {"fd": 11}, "2026-02-02")


def test_a_perpetual_term_ends_by_a_void(shop: Shop) -> None:
    order = shop.new("t", {"fd": 10}, "2026-01-01", until("never"))
    void(shop, order, "2026-06-01", "2026-07-01")
    assert windows(shop, "fixed_desk") == [("2026-01-01", "2026-07-01", 10)]
    shop.renew("t", {"fd": 10}, "2026-06-02", until("never"))
    assert shop.record("t").grants[-1].ends_at == FOREVER


def test_one_of_two_orders_that_overlap_is_voided(shop: Shop) -> None:
    shop.product(per_unit("fd2", "fixed_desk"))
    first = shop.new("t", {"fd": 5}, "2026-01-01", until("2026-06-01"))
    shop.new("t", {"fd2": 5}, "2026-01-01", until("2026-09-01", "2026-05-01"))
    void(shop, first, "2026-05-20")
    days = ("2026-04-15", "2026-05-15", "2026-05-20", "2026-06-15")
    assert [shop.amount("t", "fixed_desk", day) for day in days] == [5, 10, 5, 5]


# --- inheritance ---


def test_a_void_from_the_start_gives_inheritance_back(shop: Shop) -> None:
    for child, parent in (("child", "t"), ("grandchild", "child")):
        shop.tenant(child, parent_id=parent)
    shop.new("t", {"fd": 10}, "2026-01-01", months(12), edition="basic")
    order = shop.new("child", {"fd": 2}, "2026-01-01", months(12))
    assert (shop.record("child").holder_id, shop.record("grandchild").holder_id) == ("", "child")
    void(shop, order, "2026-01-02", "2026-01-01")
    assert (shop.record("child").holder_id, shop.record("grandchild").holder_id) == ("t", "t")
    assert shop.record("child").edition == "basic"
    shop.new("child", {"fd": 3}, "2026-01-03", months(12))
    assert (shop.record("child").holder_id, shop.record("grandchild").holder_id) == ("", "child")


def test_a_void_midway_does_not(shop: Shop) -> None:
    shop.tenant("child", parent_id="t")
    shop.new("t", {"fd": 10}, "2026-01-01", months(12))
    order = shop.new("child", {"fd": 2}, "2026-01-01", months(12))
    void(shop, order, "2026-01-02")
    assert shop.record("child").holder_id == ""


# --- again, and refusals ---


def test_a_void_can_only_be_brought_forward(shop: Shop) -> None:
    order = shop.new("t", {"fd": 10}, "2026-01-01", months(12))
    void(shop, order, "2026-06-01")
    for start in ("2026-06-01", "2026-07-01", None):
        with refused("ALREADY_VOID"):
            void(shop, order, "2026-06-02", start)
    void(shop, order, "2026-06-02", "2026-05-01")
    with shop.store.reading() as conn:
        assert get_order(conn, order.id).void_at == at("2026-05-01")
    assert windows(shop, "fixed_desk") == [("2026-01-01", "2026-05-01", 10)]
    void(shop, order, "2026-06-03", "2026-01-01")
    assert shop.record("t").grants == ()
    with refused("ALREADY_VOID"):
        void(shop, order, "2026-06-04", "2026-01-01")


def test_a_void_is_no_order_to_void_nor_to_place(shop: Shop) -> None:
    order = shop.new("t", {"fd": 10}, "2026-01-01", months(12))
    voiding = void(shop, order, "2026-02-01")
    with refused("NOT_VOIDABLE"):
        void(shop, voiding, "2026-02-02")
    with pytest.raises(InvalidRequest, match="kind"):
        shop.order("VOID", "t", {"fd": 1}, "2026-02-01")


def test_an_order_that_has_ended_by_itself_can_be_void_on_record(shop: Shop) -> None:
    order = shop.new("t", {"fd": 10}, "2026-01-01", months(1))
    before = shop.record("t")
    void(shop, order, "2026-06-01")
    assert shop.record("t") == before
    with shop.store.reading() as conn:
        assert get_order(conn, order.id).lines[0].ended_at == FOREVER


def test_unknown_orders_and_nonsense(shop: Shop) -> None:
    with refused("UNKNOWN_ORDER"):
        void(shop, 4711, "2026-01-01")
    order = shop.new("t", {"fd": 10}, "2026-01-01", months(1))
    with shop.store.writing(TESTER) as writing, pytest.raises(InvalidRequest, match="void_at"):
        void_order(writing, order.id, now=at("2026-01-02"), void_at=-1)
    with pytest.raises(InvalidRequest, match="note"):
        void(shop, order, "2026-01-02", note="x" * 4097)


def test_an_archived_tenants_orders_can_be_voided_and_an_erased_ones_not(shop: Shop) -> None:
    order = shop.new("t", {"fd": 10}, "2026-01-01", months(12))
    with shop.store.writing(TESTER) as writing:
        archive_tenant(writing, "t", now=at("2026-02-01"), retention_days=0)
    with refused("TENANT_ARCHIVED"):
        shop.new("t", {"sd": 1}, "2026-02-01", months(1))
    void(shop, order, "2026-02-02")
    with shop.store.writing(TESTER) as writing:
        erase_tenant(writing, "t", now=at("2026-03-01"))
    with refused("TENANT_ERASED"):
        void(shop, order, "2026-03-02", "2026-01-15")
    with refused("TENANT_ERASED"):
        shop.new("t", {"sd": 1}, "2026-03-02", months(1))


def test_the_trail_says_what_was_voided(shop: Shop) -> None:
    order = shop.new("t", {"fd": 10}, "2026-01-01", months(12))
    void(shop, order, "2026-06-01")
    void(shop, order, "2026-06-02", "2026-05-01", note="earlier")
    with shop.store.reading() as conn:
        entries = audit.entries(conn, audit.Sought(subject=f"order:{order.id}"))
        assert audit.verify(conn).fault == ""
    assert [entry.action for entry in entries] == ["order.place", "order.void", "order.void"]
    details = entries[-1].details
    assert details is not None
    assert details["before"] == {"void_at": "2026-06-01T00:00:00Z"}
    line = order.lines[0].id
    told = {"void_at": "2026-05-01T00:00:00Z", "by": 3, "note": "earlier", "ended": {str(line): "2026-05-01T00:00:00Z"}}
    assert details["after"] == told
