"""Payments, provisionings and the history of purchases (domain.md 3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sidecar.core.errors import InvalidRequest
from sidecar.core.model import MICROS
from sync.store import audit, schema
from sync.store.audit import By
from sync.store.erasure import erase_tenant
from sync.store.orders import Deal, Item, Order, void_order
from sync.store.payments import (
    Payment,
    Provisioning,
    due_of,
    list_payments,
    record_payment,
    record_provisioning,
)
from sync.store.prices import MOST_AMOUNT
from sync.store.purchases import Purchase, purchase_history
from sync.store.tenants import archive_tenant
from tests.storing import TESTER, Shop, at, months, on_every_database, per_unit, refused

pytestmark = on_every_database

NOW = at("2026-01-10")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("fd", "fixed_desk"))
    shop.product(per_unit("sd", "shared_desk"))
    shop.tenant("t", zone="Asia/Shanghai", contacts=["ada@acme.example"])
    return shop


@pytest.fixture
def order(shop: Shop) -> Order:
    item = Item(quantity=10, unit_price=100 * MICROS)
    return shop.new("t", {"fd": item}, "2026-01-01", months(12), deal=Deal(currency="CNY"))


def pay(shop: Shop, order: Order | int, amount: int, **more: Any) -> Payment:
    order_id = order if isinstance(order, int) else order.id
    with shop.store.writing(TESTER) as writing:
        return record_payment(writing, order_id, amount, **{"now": NOW} | more)


def provision(shop: Shop, order: Order | int, **more: Any) -> Provisioning:
    order_id = order if isinstance(order, int) else order.id
    with shop.store.writing(TESTER) as writing:
        return record_provisioning(writing, order_id, **{"now": NOW} | more)


def due(shop: Shop, order: Order) -> int:
    with shop.store.reading() as conn:
        return due_of(conn, order.id)


def history(shop: Shop, **page: int) -> list[Purchase]:
    with shop.store.reading() as conn:
        return purchase_history(conn, "t", **page)


def notices(shop: Shop) -> list[tuple[str, str, dict[str, Any]]]:
    with shop.store.reading() as conn:
        rows = conn.execute(select(schema.notice).order_by(schema.notice.c.id)).all()
    return [(row.kind, row.tenant_id, json.loads(row.facts)) for row in rows]


# --- payments ---


def test_a_payment_is_on_record_as_it_was_made(shop: Shop, order: Order) -> None:
    by = By(operator="ada", at=at("2026-01-11"))
    with shop.store.writing(by) as writing:
        paid = record_payment(
            writing, order.id, 400 * MICROS, now=NOW, paid_on="2025-12-31", reference="bank 7", note="thanks"
        )
    assert (paid.order_id, paid.amount, paid.paid_on, paid.reference) == (
        order.id,
        400 * MICROS,
        "2025-12-31",
        "bank 7",
    )
    assert (paid.corrects, paid.note, paid.operator, paid.recorded_at) == (None, "thanks", "ada", by.at)
    with shop.store.reading() as conn:
        assert list_payments(conn) == [paid]
    assert due(shop, order) == 600 * MICROS


def test_a_payment_without_a_date_is_of_today_in_the_tenants_zone(shop: Shop, order: Order) -> None:
    assert pay(shop, order, 1, now=at("2026-01-10T15:59:59Z")).paid_on == "2026-01-10"
    assert pay(shop, order, 1, now=at("2026-01-10T16:00:00Z")).paid_on == "2026-01-11"


def test_too_much_may_be_paid(shop: Shop, order: Order) -> None:
    pay(shop, order, 1_000 * MICROS)
    pay(shop, order, 5)
    assert due(shop, order) == -5


def test_a_payment_changes_no_record(shop: Shop, order: Order) -> None:
    before = shop.revision()
    pay(shop, order, 5)
    provision(shop, order)
    assert shop.revision() == before


def test_a_correction_takes_back_at_most_what_is_left(shop: Shop, order: Order) -> None:
    first, other = pay(shop, order, 100), pay(shop, order, 50)
    assert pay(shop, order, -30, corrects=first.id).corrects == first.id
    with refused("CORRECTION_TOO_LARGE"):
        pay(shop, order, -71, corrects=first.id)
    pay(shop, order, -70, corrects=first.id)
    with refused("CORRECTION_TOO_LARGE"):
        pay(shop, order, -1, corrects=first.id)
    pay(shop, order, -50, corrects=other.id)
    assert due(shop, order) == order.total


def test_a_correction_is_of_a_payment_of_the_same_order(shop: Shop, order: Order) -> None:
    another = shop.new("t", {"sd": 1}, "2026-01-01", months(12))
    paid = pay(shop, order, 100)
    with refused("UNKNOWN_PAYMENT"):
        pay(shop, another, -1, corrects=paid.id)
    with refused("UNKNOWN_PAYMENT"):
        pay(shop, order, -1, corrects=4711)
    back = pay(shop, order, -1, corrects=paid.id)
    with pytest.raises(InvalidRequest, match=r"^corrects: "):
        pay(shop, order, -1, corrects=back.id)


@pytest.mark.parametrize(
    ("amount", "corrects"), [(0, False), (-1, False), (MOST_AMOUNT + 1, False), (0, True), (1, True)]
)
def test_amounts_are_above_zero_and_corrections_below(shop: Shop, order: Order, amount: int, corrects: bool) -> None:
    paid = pay(shop, order, 100)
    with pytest.raises(InvalidRequest, match=r"^amount: "):
        pay(shop, order, amount, corrects=paid.id if corrects else None)
    with pytest.raises(InvalidRequest, match=r"^amount: "):
        pay(shop, order, -MOST_AMOUNT - 1, corrects=paid.id)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("paid_on", {"paid_on": "2026-02-30"}),
        ("reference", {"reference": "x" * 257}),
        ("note", {"note": "x" * 4097}),
        ("at", {"now": -1}),
    ],
)
def test_nonsense_names_its_field(shop: Shop, order: Order, field: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        pay(shop, order, 5, **wrong)
    if field != "paid_on":
        with pytest.raises(InvalidRequest, match=f"^{field}: "):
            provision(shop, order, **wrong)


def test_only_what_was_bought_is_paid_for_and_made_ready(shop: Shop, order: Order) -> None:
    for record in (lambda i: pay(shop, i, 1), lambda i: provision(shop, i)):
        with refused("UNKNOWN_ORDER"):
            record(4711)
    with shop.store.writing(TESTER) as writing:
        voiding = void_order(writing, order.id, now=NOW)
    for record in (lambda i: pay(shop, i, 1), lambda i: provision(shop, i)):
        with pytest.raises(InvalidRequest, match=r"^order_id: "):
            record(voiding.id)
    pay(shop, order, 1)


def test_payments_go_on_while_archived_and_end_when_erased(shop: Shop, order: Order) -> None:
    with shop.store.writing(TESTER) as writing:
        archive_tenant(writing, "t", now=NOW, retention_days=0)
    paid = pay(shop, order, 5)
    with shop.store.writing(TESTER) as writing:
        erase_tenant(writing, "t", now=NOW)
    for record in (lambda: pay(shop, order, 5), lambda: provision(shop, order)):
        with refused("TENANT_ERASED"):
            record()
    with shop.store.reading() as conn:
        assert [each.id for each in list_payments(conn, "t")] == [paid.id]


def test_payments_are_listed_page_by_page_and_filtered(shop: Shop, order: Order) -> None:
    shop.tenant("u")
    theirs = shop.new("u", {"fd": 1}, "2026-01-01", months(12))
    another = shop.new("t", {"sd": 1}, "2026-01-01", months(12))
    made = [pay(shop, o, n, reference=f"r{n % 2}") for n, o in enumerate((order, theirs, another, order), start=1)]
    with shop.store.reading() as conn:
        assert list_payments(conn, limit=3) == made[:3]
        assert list_payments(conn, after=made[2].id) == made[3:]
        assert list_payments(conn, "t") == [made[0], *made[2:]]
        assert list_payments(conn, "t", after=made[0].id, limit=1) == [made[2]]
        assert list_payments(conn, order_id=order.id) == [made[0], made[3]]
        assert list_payments(conn, reference="r0") == [made[1], made[3]]
        with refused("UNKNOWN_TENANT"):
            list_payments(conn, "nobody")
        with refused("UNKNOWN_ORDER"):
            list_payments(conn, order_id=4711)
        with refused("UNKNOWN_ORDER"):
            due_of(conn, 4711)


# --- provisionings ---


def test_a_provisioning_is_on_record(shop: Shop, order: Order) -> None:
    made = provision(shop, order, provisioned_at=at("2026-01-09"), reference="rack 3", note="all of it")
    assert (made.provisioned_at, made.reference, made.note, made.operator) == (
        at("2026-01-09"),
        "rack 3",
        "all of it",
        "tester",
    )
    assert provision(shop, order).provisioned_at == NOW
    with pytest.raises(InvalidRequest, match=r"^provisioned_at: "):
        provision(shop, order, provisioned_at=-1)


# --- told ---


def test_the_contacts_are_told_of_payments_and_provisionings(shop: Shop, order: Order) -> None:
    paid = pay(shop, order, 500_000, reference="bank 7", paid_on="2026-01-09")
    pay(shop, order, -1, corrects=paid.id)
    provision(shop, order, provisioned_at=at("2026-01-09"), reference="rack 3")
    facts = {"order_id": order.id, "currency": "CNY"}
    assert notices(shop) == [
        ("payment_recorded", "t", facts | {"amount": 500_000, "paid_on": "2026-01-09", "reference": "bank 7"}),
        ("payment_recorded", "t", facts | {"amount": -1, "paid_on": "2026-01-10", "reference": ""}),
        (
            "provisioned",
            "t",
            {"order_id": order.id, "provisioned_at": at("2026-01-09"), "reference": "rack 3"},
        ),
    ]


def test_each_has_one_entry_in_the_trail(shop: Shop, order: Order) -> None:
    paid = pay(shop, order, 500_000, reference="bank 7")
    made = provision(shop, order)
    with shop.store.reading() as conn:
        entries = audit.entries(conn, audit.Sought(subject=f"order:{order.id}"))
        assert audit.verify(conn).fault == ""
    assert [entry.action for entry in entries] == ["order.place", "payment.record", "provisioning.record"]
    told = [entry.details["after"] for entry in entries[1:] if entry.details is not None]
    assert (told[0]["id"], told[0]["amount"], told[0]["reference"]) == (paid.id, 500_000, "bank 7")
    assert (told[1]["id"], told[1]["provisioned_at"]) == (made.id, "2026-01-10T00:00:00Z")


# --- the history of purchases ---


def test_a_history_has_orders_payments_provisionings_and_grants(shop: Shop, order: Order) -> None:
    raised = shop.upgrade("t", {"fd": Item(quantity=15, unit_price=7)}, "2026-03-01", deal=Deal(currency="CNY"))
    first, second = pay(shop, order, 300), pay(shop, order, 200)
    made = provision(shop, raised)
    with shop.store.writing(TESTER) as writing:
        voiding = void_order(writing, raised.id, now=at("2026-05-01"))
    bought, upgraded, voided = history(shop)
    assert (bought.order.id, upgraded.order.id, voided.order.id) == (order.id, raised.id, voiding.id)
    assert (bought.payments, bought.provisionings) == ((first, second), ())
    assert (bought.paid, bought.due) == (500, order.total - 500)
    assert (upgraded.provisionings, upgraded.due) == ((made,), 15 * 7)
    assert (voided.payments, voided.due, voided.grants) == ((), 0, ())
    assert [(g.amount, g.starts_at, g.ends_at) for g in bought.grants] == [(10, at("2026-01-01"), at("2026-03-01"))]
    assert [(g.amount, g.starts_at, g.ends_at) for g in upgraded.grants] == [(15, at("2026-03-01"), at("2026-05-01"))]
    assert upgraded.order.void_at == at("2026-05-01")
    assert [g for each in history(shop) for g in each.grants] == list(shop.record("t").grants)


def test_a_history_comes_page_by_page(shop: Shop) -> None:
    orders = [shop.new("t", {"fd": 1}, f"2026-0{n}-01", months(1)) for n in (1, 3, 5)]
    assert [each.order.id for each in history(shop, limit=2)] == [o.id for o in orders[:2]]
    assert [each.order.id for each in history(shop, after=orders[1].id)] == [orders[2].id]
    with shop.store.reading() as conn, refused("UNKNOWN_TENANT"):
        purchase_history(conn, "nobody")
