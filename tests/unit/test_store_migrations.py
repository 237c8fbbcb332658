"""Stores of earlier versions are taken along, whole: tests/data/store_v1.sql is the demo as the first cut wrote it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, select

from sidecar import records
from sync.store import audit, entitlements, schema, seeking
from sync.store.db import Store, open_store
from sync.store.errors import StoreError, StoreTooOld
from sync.store.orders import list_orders, place_order
from sync.store.placing import Kind
from sync.store.tenants import get_tenant
from sync.store.usage import Delta, adjust_usage
from tests.storing import TESTER, at

FIRST_CUT = Path(__file__).parent.parent / "data" / "store_v1.sql"
THEN = "2026-11-25T12:00:00Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(FIRST_CUT.read_text("utf-8"))
    return path


@pytest.fixture
def store(path: Path) -> Store:
    return open_store(path, create=True)


def held(path: Path) -> list[tuple[str, int, bytes]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute("SELECT tenant_id, revision, record FROM entitlement ORDER BY tenant_id").fetchall()


def test_a_store_of_the_first_cut_asks_to_be_migrated(path: Path) -> None:
    with pytest.raises(StoreTooOld, match="store migrate"):
        open_store(path)


def test_it_gets_the_tables_as_they_are_declared_and_keeps_what_sidecars_follow(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn:
        before = held(path), conn.execute("SELECT store_id, revision FROM store").fetchone()
    status = open_store(path, create=True).status()
    assert (held(path), (status.store_id, status.revision)) == before
    assert status.schema_version == schema.SCHEMA_VERSION
    with open_store(path).reading() as conn:
        assert compare_metadata(MigrationContext.configure(conn), schema.metadata) == []


def test_its_records_follow_from_its_rows_as_before(path: Path, store: Store) -> None:
    with store.reading() as conn:
        for tenant_id, revision, record in held(path):
            (made,) = entitlements.project(conn, [tenant_id], revision)
            assert records.encode(replace(made, revision=revision)) == record


def test_its_orders_know_when_they_begin(store: Store) -> None:
    o, line = schema.orders, schema.order_line
    first = select(func.min(line.c.starts_at)).where(line.c.order_id == o.c.id).scalar_subquery()
    with store.reading() as conn:
        found = conn.execute(select(o.c.starts_at, first.label("first"))).all()
    assert len(found) > 10
    assert all(row.starts_at == row.first for row in found)


def test_its_balances_are_where_the_ledger_begins(store: Store) -> None:
    a, ledger = schema.account, schema.ledger
    with store.reading() as conn:
        balances = {row.tenant_id: row.balance for row in conn.execute(select(a))}
        entries = {row.tenant_id: row.amount for row in conn.execute(select(ledger))}
    assert balances == entries
    assert len(balances) == 3


def test_work_goes_on_in_it(store: Store) -> None:
    answered = adjust_usage(store, "acme", "fixed_desk", Delta(units=1), idempotency_key="first-cut-1", now=at(THEN))
    assert (answered.units, answered.revision) == (26, 2)
    with store.writing(TESTER) as writing:
        order = place_order(writing, "acme", Kind.UPGRADE, {"shared-desk": 80}, now=at(THEN))
    assert writing.revision == 3
    with store.reading() as conn:
        assert order.id in {found.id for found in list_orders(conn, "acme")}
        assert seeking.tenant_ids(conn, after="", limit=99, archived=True) == ["tyrell"]
        assert get_tenant(conn, "tyrell").erase_after == at("2027-11-24T12:00:00Z")
        assert audit.verify(conn).fault == ""


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("CREATE TABLE ledger (in_the_way INTEGER)")
    with closing(sqlite3.connect(path)) as conn:
        before = list(conn.iterdump())
    with pytest.raises(StoreError, match="ledger"):
        open_store(path, create=True)
    with closing(sqlite3.connect(path)) as conn:
        assert list(conn.iterdump()) == before
