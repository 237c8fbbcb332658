"""Erasing tenants: not before their retention ends; then people and notes go, orders and money stay (domain.md 3)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sidecar.core.errors import InvalidRequest
from sidecar.core.model import DAY, MICROS, Basis
from sync.backoffice.desk import LocalDesk
from sync.store import accounts, assignments, blocks, counting, notices, orders, payments, schema, tenants, usage
from sync.store.audit import By
from sync.store.erasure import erase_due, erase_tenant, list_erasable
from sync.store.placing import Deal
from sync.store.plans import archive_plan, create_plan, delete_plan
from sync.store.tenants import LONGEST_RETENTION, RETENTION_DAYS, archive_tenant, restore_tenant
from sync.store.usage import Absolute, Delta, SeatChange, Seats, adjust_usage
from tests.changing import Left, change, entries, movements, plan, terms, verdict
from tests.desks import ask
from tests.storing import START, Shop, at, everything, filling, months, on_every_database, on_sqlite, per_unit, refused

pytestmark = on_every_database

ENDED, OVER = "2026-03-01", "2026-03-31"
PERSONAL = ("Ada", "lovelace", "Analytical", "zh-CN")
"""What stands in the fixture's texts, and must stand nowhere in the file in the end."""


@filling
def filled(shop: Shop) -> None:
    """`acme`, with everything that a tenant can have, archived for thirty days; `globex`, with the same, in use."""
    shop.product(per_unit("fd", "fixed_desk"))
    plan(shop, "loose", basis="money", allowed_balance=-50 * MICROS)
    for tenant_id in ("acme", "globex"):
        furnish(shop, tenant_id)
    change(shop, archive_tenant, "acme", now=ENDED, retention_days=30)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store.db", filled)


def furnish(shop: Shop, tenant_id: str) -> None:
    contacts = [f"ada.lovelace@{tenant_id}.example"]
    shop.tenant(tenant_id, name="Analytical Engines", contacts=contacts, tags=("Ada",), language="zh-CN")
    shop.tenant(f"{tenant_id}-lab", parent_id=tenant_id)
    order = place(shop, tenant_id)
    by = By(operator="tester", at=at(START), key=f"pay-{tenant_id}")
    change(shop, payments.record_payment, order.id, 5 * MICROS, now=START, by=by, note="from Ada", reference="INV-7")
    change(shop, payments.record_provisioning, order.id, now=START, note="told Ada", reference="R-1")
    change(shop, blocks.block_tenant, tenant_id, "legal", starts_at=at(START), cascade=True)
    monthly = {"charge": 60 * MICROS, "anchor": at("2026-02-01"), "period": months(1).length}
    change(shop, accounts.open_account, tenant_id, basis=Basis.MONEY, balance=20 * MICROS, now=START, **monthly)
    for number in range(2):  # the second changes nothing
        seats = Seats(changes=(SeatChange(user_id="ada.lovelace", held=True),))
        adjust_usage(shop.store, tenant_id, "designer", seats, idempotency_key=f"{tenant_id}-{number}", now=at(START))
    shop.use(tenant_id, fixed_desk=3)
    change(shop, assignments.assign_plan, tenant_id, "loose", now="2026-01-15")


def place(shop: Shop, tenant_id: str) -> orders.Order:
    deal = Deal(note="Ada asked for it")
    return shop.order("NEW", tenant_id, {"fd": 4}, START, months(12), deal=deal)


def erase(shop: Shop, tenant_id: str = "acme", when: str = OVER) -> Left:
    return change(shop, erase_tenant, tenant_id, now=when)


def rows(shop: Shop, table: Any, *owner: Any) -> list[Any]:
    with shop.store.reading() as conn:
        return list(conn.execute(select(table).where(*owner)))


# --- retention ---


def test_nothing_is_erased_before_the_retention_ends(shop: Shop) -> None:
    with refused("NOT_ARCHIVED"):
        erase(shop, "globex")
    for when in (at(ENDED), at(OVER) - 1):
        with refused("RETENTION_RUNNING") as raised:
            change(shop, erase_tenant, "acme", now=when)
        assert OVER in raised.value.advice
    with shop.store.reading() as conn:
        assert usage.list_usage(conn, "acme")["designer"].seats == ("ada.lovelace",)
    erase(shop)
    with shop.store.reading() as conn:
        assert usage.list_usage(conn, "acme") == {}
    for when in ("2026-04-01", "2036-01-01"):
        with refused("TENANT_ERASED"):
            erase(shop, when=when)
    with refused("UNKNOWN_TENANT"):
        erase(shop, "nobody")


def test_a_tenant_restored_and_archived_again_is_kept_anew(shop: Shop) -> None:
    change(shop, restore_tenant, "acme")
    with refused("NOT_ARCHIVED"):
        erase(shop)
    change(shop, archive_tenant, "acme", now=OVER)
    with shop.store.reading() as conn:
        assert tenants.get_tenant(conn, "acme").erase_after == at(OVER) + RETENTION_DAYS * DAY
    with refused("RETENTION_RUNNING"):
        erase(shop, when="2026-12-01")


@pytest.mark.parametrize("days", [-1, LONGEST_RETENTION + 1])
def test_a_retention_is_a_number_of_days(shop: Shop, days: int) -> None:
    with pytest.raises(InvalidRequest, match="retention_days"):
        change(shop, archive_tenant, "globex", now=ENDED, retention_days=days)


def test_a_retention_ends_within_the_calendar(shop: Shop) -> None:
    with pytest.raises(InvalidRequest, match="retention_days"):
        change(shop, archive_tenant, "globex", now="9990-01-01", retention_days=LONGEST_RETENTION)


def test_no_retention_lets_a_tenant_be_erased_at_once(shop: Shop) -> None:
    change(shop, archive_tenant, "globex", now=ENDED, retention_days=0)
    erase(shop, "globex", ENDED)
    assert shop.record("globex").usage == {}


def test_tenants_whose_retention_is_over_are_found_and_erased_together(shop: Shop) -> None:
    change(shop, archive_tenant, "globex", now=ENDED, retention_days=29)
    change(shop, archive_tenant, "acme-lab", now=ENDED, retention_days=31)
    with shop.store.reading() as conn:
        found = [list_erasable(conn, at(when)) for when in ("2026-03-29", "2026-03-30", OVER)]
        assert list_erasable(conn, at(OVER), limit=1) == ["acme"]
    assert found == [[], ["globex"], ["acme", "globex"]]
    left = change(shop, erase_due, now=OVER)
    assert left.answer == ["acme", "globex"]
    assert [(entry.action, entry.tenant_id) for entry in left.entries] == [
        ("tenant.erase", "acme"),
        ("tenant.erase", "globex"),
    ]
    with shop.store.reading() as conn:
        assert list_erasable(conn, at(OVER)) == []


# --- what goes ---


def test_no_word_of_theirs_is_left_in_the_store(shop: Shop) -> None:
    change(shop, archive_tenant, "globex", now=ENDED, retention_days=0)
    desk = LocalDesk(shop.store)
    for key in ("k1", "k2"):  # the second changes nothing, and its answer says the same
        ask(desk, "UpdateTenant", id="acme", name="Ada Lovelace & Co", idempotency_key=key)
    erase(shop)
    erase(shop, "globex")
    text = everything(shop.store)
    assert "globex-lab" in text
    assert [word for word in PERSONAL if word in text] == []


def test_what_is_said_of_others_stays(shop: Shop) -> None:
    before = shop.record("globex"), shop.record("globex-lab")
    erase(shop)
    assert (shop.record("globex"), shop.record("globex-lab")) == before
    with shop.store.reading() as conn:
        found = tenants.get_tenant(conn, "globex")
        assert (found.name, found.contacts) == ("Analytical Engines", ("ada.lovelace@globex.example",))
        (order,) = orders.list_orders(conn, "globex")
        assert order.note == "Ada asked for it"
    assert all(entry.details for entry in entries(shop) if entry.tenant_id != "acme")


def test_the_record_is_of_a_tenant_that_is_gone(shop: Shop) -> None:
    left = erase(shop)
    assert left.records == {"acme", "acme-lab"}
    record = shop.record("acme")
    assert (record.archived, record.usage, record.blocks, record.tags, record.language) == (True, {}, (), (), "")
    assert [(g.key, g.amount) for g in record.grants] == [("fixed_desk", 4)]
    assert shop.record("acme-lab").blocks == ()


def test_the_order_the_money_and_the_ledger_stay_without_their_notes(shop: Shop) -> None:
    erase(shop)
    with shop.store.reading() as conn:
        (order,) = orders.list_orders(conn, "acme")
        (payment,) = payments.list_payments(conn, "acme")
        (provisioning,) = payments.provisionings_of(conn, [order.id])[order.id]
    assert (order.note, [line.quantity for line in order.lines]) == ("", [4])
    assert (payment.note, payment.amount, payment.reference) == ("", 5 * MICROS, "INV-7")
    assert (provisioning.note, provisioning.reference) == ("", "R-1")
    (account,) = rows(shop, schema.account, schema.account.c.tenant_id == "acme")
    assert sum(m.amount for m in movements(shop, "acme")) == account.balance


def test_notices_keep_their_occasion_and_nothing_else(shop: Shop) -> None:
    erase(shop)
    n = schema.notice
    assert {(row.kind, row.facts, row.recipients, row.error) for row in rows(shop, n, n.c.tenant_id == "acme")} == {
        ("payment_recorded", "{}", "[]", ""),
        ("provisioned", "{}", "[]", ""),
    }
    with shop.store.reading() as conn:
        assert all(notice.facts for notice in notices.list_notices(conn, tenant_id="globex"))


def test_the_trail_holds_without_its_details(shop: Shop) -> None:
    made = [entry for entry in entries(shop) if entry.tenant_id == "acme"]
    (entry,) = erase(shop).entries
    found = verdict(shop)
    assert (found.fault, found.erased) == ("", len(made))
    assert entry.details == {
        "before": None,
        "after": {"erased_at": "2026-03-31T00:00:00Z", "plan_taken_away": "loose"},
    }
    after = [entry for entry in entries(shop) if entry.tenant_id == "acme"]
    assert [(e.seq, e.action, e.operator) for e in made] == [(e.seq, e.action, e.operator) for e in after[:-1]]
    assert [entry.details for entry in after[:-1]] == [None] * len(made)


def test_what_was_changed_in_the_same_transaction_is_erased_too(shop: Shop) -> None:
    def both(writing: Any) -> None:
        tenants.update_tenant(writing, "acme", now=at(OVER), name="Ada again")
        erase_tenant(writing, "acme", now=at(OVER))

    left = change(shop, both)
    assert [(entry.action, entry.details is None) for entry in left.entries] == [
        ("tenant.update", True),
        ("tenant.erase", False),
    ]
    assert verdict(shop).fault == ""


def test_a_key_whose_answer_went_with_the_tenant_is_refused(shop: Shop) -> None:
    seats = Seats(changes=(SeatChange(user_id="ada.lovelace", held=True),))
    known = adjust_usage(shop.store, "acme", "designer", seats, idempotency_key="acme-0", now=at(OVER))
    assert known.seats == ("ada.lovelace",)
    erase(shop)
    i = schema.idempotency
    assert rows(shop, i, i.c.tenant_id == "acme") == []
    for key in ("acme-0", "acme-1", "new"):
        with refused("TENANT_ERASED"):
            adjust_usage(shop.store, "acme", "designer", seats, idempotency_key=key, now=at(OVER))
    again = adjust_usage(shop.store, "globex", "designer", seats, idempotency_key="globex-0", now=at(OVER))
    assert again.seats == ("ada.lovelace",)


# --- its plan ---


def test_its_plan_is_taken_away_and_can_be_deleted(shop: Shop) -> None:
    change(shop, assignments.unassign_plan, "globex", now=ENDED)
    change(shop, archive_plan, "loose", now=ENDED)
    with refused("PLAN_ASSIGNED"):
        change(shop, delete_plan, "loose")
    erase(shop)
    change(shop, delete_plan, "loose")
    held = {row.tenant_id: row for row in rows(shop, schema.account)}["acme"]
    assert (held.as_of, held.balance) == (at(OVER), -40 * MICROS)
    assert held.owed_since == at(ENDED)
    account = shop.record("acme").account
    assert account is not None
    assert account.allowed_balance == 0


# --- for good ---

AFTER: dict[str, Callable[[Shop], object]] = {
    "restore": lambda s: change(s, restore_tenant, "acme"),
    "archive": lambda s: change(s, archive_tenant, "acme", now=OVER),
    "update": lambda s: change(s, tenants.update_tenant, "acme", now=at(OVER), name="Ada"),
    "move": lambda s: change(s, tenants.move_tenant, "acme", None),
    "move below": lambda s: change(s, tenants.move_tenant, "globex", "acme"),
    "create below": lambda s: s.tenant("new", parent_id="acme"),
    "block": lambda s: change(s, blocks.block_tenant, "acme", "x", starts_at=1),
    "unblock": lambda s: change(s, blocks.unblock_tenant, "acme", "legal"),
    "order": lambda s: s.new("acme", {"fd": 1}, OVER, months(1)),
    "renew": lambda s: s.order("RENEW", "acme", {"fd": 1}, OVER, months(24)),
    "void": lambda s: change(s, orders.void_order, 1, now=OVER),
    "pay": lambda s: change(s, payments.record_payment, 1, MICROS, now=OVER),
    "provision": lambda s: change(s, payments.record_provisioning, 1, now=OVER),
    "plan of its own": lambda s: change(
        s, create_plan, "p", name="P", terms=terms({"fd": 1}), now=at(OVER), owner_id="acme"
    ),
    "assign": lambda s: change(s, assignments.assign_plan, "acme", "loose", now=OVER),
    "unassign": lambda s: change(s, assignments.unassign_plan, "acme", now=OVER),
    "open": lambda s: change(s, accounts.open_account, "acme", basis=Basis.DAYS, balance=1, now=OVER),
    "top up": lambda s: change(s, accounts.top_up, "acme", 1, now=OVER),
    "correct": lambda s: change(s, accounts.correct_balance, "acme", 1, now=OVER, reason="x"),
    "charge": lambda s: change(s, accounts.set_charge, "acme", charge=1, anchor=None, period=None, now=OVER),
    "blocking": lambda s: change(s, accounts.set_blocking, "acme", deferral_days=1, now=OVER),
    "basis": lambda s: change(s, accounts.change_basis, "acme", basis=Basis.DAYS, balance=1, now=OVER),
    "close": lambda s: change(s, accounts.close_account, "acme", now=OVER, reason="x"),
    "use": lambda s: change(s, usage.change_usage, "acme", "fixed_desk", Absolute(units=1)),
    "adjust": lambda s: adjust_usage(s.store, "acme", "k", Delta(units=1), idempotency_key="z", now=at(OVER)),
    "reconcile": lambda s: change(s, counting.reconcile_usage, "acme", [counting.Count(key="k", units=1)]),
}


@pytest.mark.parametrize("name", AFTER)
def test_nothing_is_done_with_an_erased_tenant(shop: Shop, name: str) -> None:
    erase(shop)
    before = shop.revision(), len(entries(shop))
    with refused("TENANT_ERASED"):
        AFTER[name](shop)
    assert (shop.revision(), len(entries(shop))) == before


def test_those_below_can_be_taken_elsewhere(shop: Shop) -> None:
    erase(shop)
    change(shop, tenants.move_tenant, "acme-lab", "globex")
    assert shop.record("acme-lab").holder_id == "globex"


@on_sqlite
def test_no_byte_of_theirs_is_left_in_the_file(shop: Shop) -> None:
    change(shop, archive_tenant, "globex", now=ENDED, retention_days=0)
    erase(shop)
    erase(shop, "globex")
    with closing(sqlite3.connect(shop.store.path)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    held = shop.store.path.read_bytes()
    assert [word for word in PERSONAL if word.encode() in held] == []
