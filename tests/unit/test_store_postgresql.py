"""The tables are nothing of SQLite's own: a real PostgreSQL gets them by the migrations, and holds the same rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Table, Text, insert, select, text

from sync.store import audit, schema
from sync.store.db import Store, open_store
from sync.store.demo import seed_demo
from sync.store.postgresplace import SORTED_OTHERWISE
from tests import postgresql
from tests.storing import at

BYTEWISE = text("""
    SELECT attrelid::regclass::text, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND attcollation = '"C"'::regcollation
""")


@pytest.fixture
def store() -> Store:
    return open_store(postgresql.url(postgresql.empty()), create=True)


def test_migrations_lead_to_the_tables_as_they_are_declared(store: Store) -> None:
    with store.reading() as conn:
        assert compare_metadata(MigrationContext.configure(conn), schema.metadata) == []
    assert store.status().schema_version == schema.SCHEMA_VERSION


def test_texts_are_compared_by_their_bytes_whatever_the_database_does(store: Store) -> None:
    with store.reading() as conn:
        assert conn.execute(SORTED_OTHERWISE, {"names": list(schema.metadata.tables)}).all() == []
        sorted_so = conn.execute(BYTEWISE).all()
    texts = {(t.name, c.name) for t in schema.metadata.sorted_tables for c in t.c if isinstance(c.type, Text)}
    assert texts == {tuple(row) for row in sorted_so}


def test_a_store_that_is_carried_over_holds_the_same(store: Store, tmp_path: Path) -> None:
    file = open_store(tmp_path / "store.db", create=True)
    seed_demo(file, at("2026-11-25T12:00:00Z"))
    with file.reading() as here, store.place.writing() as there:
        for table in reversed(schema.metadata.sorted_tables):
            there.execute(table.delete())
        for table in schema.metadata.sorted_tables:
            if rows := held(here, table):
                there.execute(insert(table), rows)
            assert held(there, table) == held(here, table)
    with store.reading() as conn:
        assert audit.verify(conn).fault == ""


def held(conn: Connection, table: Table) -> list[dict[str, object]]:
    return [dict(row) for row in conn.execute(select(table).order_by(*table.primary_key)).mappings()]
