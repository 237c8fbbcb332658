"""The tables are nothing of SQLite's own: a real PostgreSQL gets them by the migrations, and holds the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, insert, select

from sync.store import audit, schema
from sync.store.db import open_store
from sync.store.demo import seed_demo
from tests.postgresql import database
from tests.storing import at


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with database() as engine:
        with engine.begin() as conn:
            migrate(conn)
        yield engine


def migrate(conn: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "sync.store:migrations")
    config.attributes["connection"] = conn
    command.upgrade(config, "head")


def test_migrations_lead_to_the_tables_as_they_are_declared(engine: Engine) -> None:
    with engine.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), schema.metadata) == []
        assert conn.execute(select(schema.store.c.schema_version)).scalar_one() == schema.SCHEMA_VERSION


def test_a_store_that_is_carried_over_holds_the_same(engine: Engine, tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.db", create=True)
    seed_demo(store, at("2026-11-25T12:00:00Z"))
    with store.reading() as here, engine.begin() as there:
        for table in reversed(schema.metadata.sorted_tables):
            there.execute(table.delete())
        for table in schema.metadata.sorted_tables:
            rows = [dict(row) for row in here.execute(select(table)).mappings()]
            if rows:
                there.execute(insert(table), rows)
            assert [dict(row) for row in there.execute(select(table).order_by(*table.primary_key)).mappings()] == [
                dict(row) for row in here.execute(select(table).order_by(*table.primary_key)).mappings()
            ]
    with engine.connect() as conn:
        assert audit.verify(conn).fault == ""
