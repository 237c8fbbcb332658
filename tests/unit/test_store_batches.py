"""Many orders at once are the same as one by one, and one that is refused leaves the others alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, event, select

from sidecar.core.errors import InvalidRequest
from sidecar.core.model import DAY, Period
from sync.store import audit, entitlements, schema
from sync.store.catalogue import put_edition
from sync.store.db import Store
from sync.store.errors import Refused
from sync.store.orders import Deal, Item, Order, OrderAsk, place_order, place_orders, void_order
from sync.store.placing import Kind, LateStart
from sync.store.prices import Price
from sync.store.tenants import NewTenant, archive_tenant, create_tenants
from sync.store.terms import Term
from tests.storing import TESTER, Shop, at, months, on_every_database, per_unit, until

pytestmark = on_every_database

NOW = at("2026-01-31")
TENANTS = ("a", "b", "child", "other", "gone", "nobody")
PRODUCTS = ("fd", "sd", "room", "at_once", "at_end", "nothing")
TABLES = (schema.orders, schema.order_line, schema.line_end, schema.entitlement)


def stocked(path: Path) -> Shop:
    shop = Shop(path)
    shop.product(per_unit("fd", "fixed_desk", billing="monthly"))
    shop.product(per_unit("sd", "shared_desk", billing="quarterly"))
    trial = {"trial": {"count": 2, "unit": "week"}, "trial_license_template": [{"name": "room", "amount": 3}]}
    shop.product(per_unit("room", "room", **trial))
    shop.product(per_unit("at_once", "pod", downgrade="at_once"))
    shop.product(per_unit("at_end", "locker", downgrade="at_end"))
    for tenant_id, parent in (("a", None), ("b", "a"), ("child", "b"), ("other", None), ("gone", None)):
        shop.tenant(tenant_id, parent_id=parent, zone="Asia/Shanghai" if parent else "UTC")
    with shop.store.writing(TESTER) as writing:
        archive_tenant(writing, "gone", now=NOW)
        prices = [Price(currency="CNY", key="fixed_desk", from_quantity=n, unit_price=100 - n) for n in (1, 5, 9)]
        put_edition(writing, "basic", 30, prices)
    return shop


def asked(r: random.Random) -> OrderAsk:
    kind = r.choice([Kind.NEW, Kind.NEW, Kind.RENEW, Kind.RENEW, Kind.UPGRADE, Kind.UPGRADE, Kind.DOWNGRADE])
    sold = PRODUCTS[3:5] if kind is Kind.DOWNGRADE else PRODUCTS[:5]
    few = {Kind.NEW: 6, Kind.UPGRADE: 15, Kind.DOWNGRADE: 3}.get(kind, 9)
    products: dict[str, int | Item] = {}
    for product in r.sample(sold, r.choice([1, 1, 1, 2])):
        quantity = few + r.randint(-2, 2)
        stated = Item(quantity=quantity, unit_price=r.choice([None, 5]), billing_periods=r.choice([None, 2]))
        products[product] = r.choice([quantity, stated])
    if r.random() < 0.1:
        products |= r.choice([{"nothing": 1}, {"fd": 0}, {"sd": 99}])
    trial = kind is Kind.NEW and "room" in products and r.random() < 0.5
    terms = [Term(length=Period(months=r.randint(1, 5))), Term(length=Period(days=20)), until("2027-03-31")]
    return OrderAsk(
        tenant_id=r.choice(TENANTS) if r.random() < 0.15 else r.choice(TENANTS[:4]),
        kind=kind,
        products={"room": 1} if trial else products,
        term=Term() if trial or kind is Kind.UPGRADE or "at_once" in products else r.choice(terms),
        trial=trial,
        edition=r.choice(["basic", "advanced", "deluxe"]) if r.random() < 0.15 else None,
        late_start=r.choice(list(LateStart)),
        deal=Deal(currency=r.choice(["CNY", "CNY", "CNY", ""]), coupon_amount=r.choice([0, 3])),
        at=r.choice([None, None, NOW + r.randrange(100) * DAY]),
    )


def singly(store: Store, asks: Sequence[OrderAsk]) -> list[Order | Refused | InvalidRequest]:
    out: list[Order | Refused | InvalidRequest] = []
    for ask in asks:
        try:
            with store.writing(TESTER) as writing:
                out.append(
                    place_order(
                        writing,
                        ask.tenant_id,
                        ask.kind,
                        ask.products,
                        now=NOW if ask.at is None else ask.at,
                        term=ask.term,
                        trial=ask.trial,
                        edition=ask.edition,
                        late_start=ask.late_start,
                        deal=ask.deal,
                    )
                )
        except (Refused, InvalidRequest) as e:
            out.append(e)
    return out


def rows(store: Store, table: Table) -> list[dict[str, Any]]:
    with store.reading() as conn:
        found = [dict(row._mapping) for row in conn.execute(select(table).order_by(*table.primary_key))]
    return [{k: v for k, v in row.items() if k not in ("revision", "record")} for row in found]


def records(store: Store) -> list[Any]:
    with store.reading() as conn:
        ids = list(conn.scalars(select(schema.tenant.c.id)))
        return [replace(record, revision=1) for record in entitlements.project(conn, ids, 1)]


def told(store: Store) -> list[tuple[str, str, Any]]:
    with store.reading() as conn:
        assert audit.verify(conn).fault == ""
        found = audit.entries(conn, audit.Sought(action="order."))
        return [(entry.subject, entry.tenant_id, entry.details) for entry in found]


@pytest.mark.parametrize("seed", range(5))
def test_a_batch_is_the_same_as_one_by_one(tmp_path: Path, seed: int) -> None:
    r = random.Random(seed)
    one, many = stocked(tmp_path / "one.db"), stocked(tmp_path / "many.db")
    kinds: list[Kind] = []
    for size in (80, 1, 100, 9):
        asks = [asked(r) for _ in range(size)]
        expected = singly(one.store, asks)
        with many.store.writing(TESTER) as writing:
            found = place_orders(writing, asks, now=NOW)
        assert [each if isinstance(each, Order) else str(each) for each in found] == [
            each if isinstance(each, Order) else str(each) for each in expected
        ]
        kinds += [each.kind for each in found if isinstance(each, Order)]
        if size == 100:
            some = next(each.id for each in found if isinstance(each, Order))
            for shop in (one, many):
                with shop.store.writing(TESTER) as writing:
                    void_order(writing, some, now=NOW, void_at=NOW)
    for table in TABLES:
        assert rows(many.store, table) == rows(one.store, table)
    assert records(many.store) == records(one.store)
    assert told(many.store) == told(one.store)
    assert len(kinds) >= 12
    assert {Kind.NEW, Kind.RENEW, Kind.UPGRADE} <= set(kinds)


def test_records_of_a_batch_are_those_of_the_rows(tmp_path: Path) -> None:
    shop = stocked(tmp_path / "store.db")
    r = random.Random(7)
    for _ in range(4):
        with shop.store.writing(TESTER) as writing:
            place_orders(writing, [asked(r) for _ in range(25)], now=NOW)
        held = [replace(shop.record(each.tenant_id), revision=1) for each in records(shop.store)]
        assert held == records(shop.store)


def test_a_child_that_buys_within_a_batch_leaves_the_pool(tmp_path: Path) -> None:
    shop = stocked(tmp_path / "store.db")
    shop.new("a", {"fd": 5}, "2026-01-31", months(12))
    shop.use("child", fixed_desk=2)
    assert shop.record("a").usage["fixed_desk"].units == 2
    asks = [OrderAsk(tenant_id=i, kind=Kind.NEW, products={"fd": 1}, term=months(1)) for i in ("b", "other")]
    with shop.store.writing(TESTER) as writing:
        place_orders(writing, asks, now=NOW)
    assert (shop.record("b").holder_id, shop.record("child").holder_id) == ("", "b")
    assert "fixed_desk" not in shop.record("a").usage
    assert shop.record("b").usage["fixed_desk"].units == 2


def test_what_the_operator_should_know_names_orders_as_they_are_on_record(tmp_path: Path) -> None:
    shop = stocked(tmp_path / "store.db")
    shop.new("other", {"sd": 1}, "2026-01-31", months(12))
    base = OrderAsk(tenant_id="a", kind=Kind.NEW, products={"fd": 5}, term=months(1))
    asks = [
        base,
        replace(base, kind=Kind.RENEW),
        replace(base, kind=Kind.UPGRADE, products={"fd": 6}, term=Term()),
    ]
    with shop.store.writing(TESTER) as writing:
        placed = place_orders(writing, asks, now=NOW)
    assert [each.id for each in placed if isinstance(each, Order)] == [2, 3, 4]
    assert isinstance(placed[2], Order)
    assert placed[2].notices == ("order 3 keeps its quantity 5 of fd from 2026-02-28T00:00:00Z on",)


def test_an_empty_batch_and_one_of_refusals_write_nothing(tmp_path: Path) -> None:
    shop = stocked(tmp_path / "store.db")
    before = shop.revision(), told(shop.store)
    wrong = OrderAsk(tenant_id="nobody", kind=Kind.NEW, products={"fd": 5}, term=months(1))
    with shop.store.writing(TESTER) as writing:
        assert place_orders(writing, [], now=NOW) == []
        (refusal,) = place_orders(writing, [wrong], now=NOW)
    assert isinstance(refusal, Refused)
    assert refusal.code == "UNKNOWN_TENANT"
    assert (shop.revision(), told(shop.store)) == before


def test_queries_do_not_grow_with_the_batch(tmp_path: Path) -> None:
    shop = stocked(tmp_path / "store.db")
    with shop.store.writing(TESTER) as writing:
        create_tenants(writing, [NewTenant(id=f"t{number}") for number in range(200)], now=NOW)
    counts = []
    for ids in (range(100), range(100, 200)):
        asks = [
            OrderAsk(
                tenant_id=f"t{n}", kind=Kind.NEW, products={"fd": 1, "sd": 2}, term=months(1), deal=Deal(currency="CNY")
            )
            for n in ids
        ]
        statements: list[str] = []
        with shop.store.writing(TESTER) as writing:
            event.listen(writing.conn, "before_cursor_execute", lambda *args, seen=statements: seen.append(args[2]))
            place_orders(writing, asks if ids.start else asks[:10], now=NOW)
        counts.append(len(statements))
    assert counts[1] <= counts[0] + 2
