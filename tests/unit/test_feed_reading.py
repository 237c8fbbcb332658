"""Where a store is and what it holds, read the same way from a file and from a database, as it was at one moment."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, insert

from sidecar import records
from sync import digest
from sync.feed import reading
from sync.feed.reading import changes_since, everything, look, records_of, with_holders
from sync.sources import Change, Position
from sync.store import schema
from sync.store.db import Store
from tests.storing import Shop, months, on_every_database, per_unit

pytestmark = on_every_database
DESKS = per_unit("desks", "fixed_desk")


def fill(store: Store) -> None:
    """Nothing: its own template."""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db", fill)
    shop.product(DESKS)
    for tenant_id in ("b", "a", "C"):
        shop.tenant(tenant_id)
    return shop


def taken(shop: Shop, tenant_id: str) -> None:
    """A tenant's record is taken away by hand, as no command does it yet."""
    with shop.store.place.writing() as conn:
        conn.execute(delete(schema.entitlement).where(schema.entitlement.c.tenant_id == tenant_id))


def rows(conn: Connection) -> list[Change]:
    return list(everything(conn))


def test_where_the_store_is_and_what_it_knows_of_the_revision_held(shop: Shop) -> None:
    with shop.store.reading() as conn:
        early = look(conn, None)
    assert (early.head.position.revision, early.head.logged, early.head.restored) == (3, None, 0)
    shop.use("a", fixed_desk=1)
    with shop.store.reading() as conn:
        later = look(conn, early.head.position)
        held = digest.as_text(sum(digest.row_mark(i, record or b"") for i, record in rows(conn)))
    assert later.head.logged == early.head.position.mark
    assert later.head.position == Position(store_id=shop.store.status().store_id, revision=4, mark=held)
    with shop.store.place.writing() as conn:
        conn.execute(delete(schema.revision_log).where(schema.revision_log.c.revision <= 3))
    with shop.store.reading() as conn:
        assert look(conn, early.head.position).head.logged is None


def test_the_stores_clock_goes_on_while_the_view_stands(shop: Shop) -> None:
    with shop.store.reading() as conn:
        first = look(conn, None).instant
        assert abs(first - time.time_ns() // 1000) < 5_000_000
        second = reading.store_clock(conn)
        while second == first:
            second = reading.store_clock(conn)
        assert second > first


def test_what_changed_comes_once_as_it_is_now(shop: Shop) -> None:
    shop.use("a", fixed_desk=1)
    shop.use("a", fixed_desk=2)
    shop.use("b", fixed_desk=2)
    taken(shop, "b")
    with shop.store.reading() as conn:
        found = dict(changes_since(conn, 3))
        assert found == {"a": dict(rows(conn))["a"], "b": None}
        assert len(list(changes_since(conn, 3))) == 2
        assert list(changes_since(conn, 6)) == []
        assert records.decode(found["a"] or b"").usage["fixed_desk"].units == 2


def test_everything_comes_in_the_order_of_bytes_and_of_one_moment(shop: Shop) -> None:
    many = [{"tenant_id": f"t{n:05d}", "revision": 1, "record": b"r" * 300} for n in range(3 * reading.ROWS)]
    with shop.store.place.writing() as conn:
        conn.execute(insert(schema.entitlement), many)
    with shop.store.reading() as conn:
        coming = everything(conn)
        first = next(coming)
        shop.tenant("zz")
        rest = list(coming)
    assert [i for i, _ in (first, *rest)] == ["C", "a", "b", *(row["tenant_id"] for row in many)]
    assert {record for i, record in rest if i.startswith("t")} == {b"r" * 300}


def test_some_tenants_with_those_whose_services_they_share(shop: Shop) -> None:
    shop.tenant("child", parent_id="a")
    shop.new("a", {"desks": 3}, "2026-02-01", months(12))
    with shop.store.reading() as conn:
        all_of_them = dict(rows(conn))
        assert records_of(conn, ["child", "nobody"]) == {"child": all_of_them["child"]}
        assert with_holders(conn, ["child", "b", "nobody"]) == {i: all_of_them[i] for i in ("child", "a", "b")}
        assert with_holders(conn, ["child", "a"]) == {i: all_of_them[i] for i in ("child", "a")}
        assert with_holders(conn, []) == {}
        assert len(records_of(conn, [*(f"x{n}" for n in range(1_200)), "a", "b"])) == 2


def test_a_record_that_is_none_shares_nobodys(shop: Shop) -> None:
    with shop.store.place.writing() as conn:
        conn.execute(insert(schema.entitlement), [{"tenant_id": "odd", "revision": 9, "record": b"\xff\xff"}])
    with shop.store.reading() as conn:
        assert with_holders(conn, {"odd"}) == {"odd": b"\xff\xff"}
