"""The store's file: made and migrated, refused when it is not ours or not reachable, never half changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, insert, select, text, update

from sync.store import schema
from sync.store.db import Store, open_store
from sync.store.errors import (
    Refused,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreLocked,
    StoreMissing,
    StoreTooNew,
    StoreTooOld,
    StoreUnavailable,
)
from sync.store.sqliteplace import SqlitePlace
from sync.store.tenants import create_tenant
from tests.storing import TESTER, Shop


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "store.db"


@pytest.fixture
def store(path: Path) -> Store:
    return open_store(path, create=True)


def set_schema_version(store: Store, version: int) -> None:
    with store.writing(TESTER) as writing:
        writing.conn.execute(update(schema.store).values(schema_version=version))


def add_tenant(store: Store, tenant_id: str) -> int:
    with store.writing(TESTER) as writing:
        create_tenant(writing, tenant_id, now=0)
    return writing.revision


def test_a_new_store_has_an_identity_no_revision_and_wal(store: Store, path: Path) -> None:
    status = store.status()
    assert (status.schema_version, status.revision, status.tenants) == (schema.SCHEMA_VERSION, 0, 0)
    assert len(status.store_id) == 36
    assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_opening_again_keeps_the_identity(store: Store, path: Path) -> None:
    add_tenant(store, "acme")
    again = open_store(f"sqlite:///{path}", create=True)
    assert again.status() == store.status()


def test_migrations_lead_to_the_tables_as_they_are_declared(store: Store) -> None:
    with store.reading() as conn:
        assert compare_metadata(MigrationContext.configure(conn), schema.metadata) == []


def test_the_connection_keeps_its_promises(store: Store) -> None:
    with store.reading() as conn:
        assert conn.scalar(text("PRAGMA foreign_keys")) == 1
        assert conn.scalar(text("PRAGMA synchronous")) == 2


def test_a_missing_file_is_not_made(path: Path) -> None:
    with pytest.raises(StoreMissing, match="store init"):
        open_store(path)
    assert not path.exists()


def test_a_file_that_goes_missing_later_is_not_made_anew(store: Store, path: Path) -> None:
    shutil.rmtree(path.parent)
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        store.status()
    assert not path.exists()


def test_a_file_that_is_replaced_is_noticed(store: Store, path: Path, tmp_path: Path) -> None:
    other = open_store(tmp_path / "other.db", create=True)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.replace(other.path, path)
    assert store.status().store_id != ""
    add_tenant(store, "acme")
    assert open_store(path).status().tenants == 1


@pytest.mark.parametrize("create", [False, True])
def test_a_newer_schema_is_refused(store: Store, path: Path, create: bool) -> None:
    set_schema_version(store, schema.SCHEMA_VERSION + 1)
    with pytest.raises(StoreTooNew, match="update deskgate"):
        open_store(path, create=create)
    with pytest.raises(StoreTooNew):
        add_tenant(store, "acme")


def test_an_older_schema_asks_to_be_migrated(store: Store, path: Path) -> None:
    set_schema_version(store, schema.SCHEMA_VERSION - 1)
    with pytest.raises(StoreTooOld, match="store migrate"):
        open_store(path)


def test_a_file_of_another_kind_is_refused(path: Path, tmp_path: Path) -> None:
    noise = tmp_path / "noise"
    noise.write_bytes(b"not a database at all, but long enough to be read as one" * 40)
    with pytest.raises(StoreForeign, match="not an SQLite file"):
        open_store(noise)
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(StoreForeign, match="not a store"):
        open_store(empty)
    other = tmp_path / "other.db"
    sqlite3.connect(other).execute("CREATE TABLE songs (name TEXT)")
    with pytest.raises(StoreForeign, match="another kind"):
        open_store(other, create=True)


def test_a_store_that_lost_a_table_is_not_to_be_made_anew(store: Store, path: Path) -> None:
    sqlite3.connect(path, isolation_level=None).execute("DROP TABLE audit")
    with pytest.raises(StoreForeign, match="restore it from a backup"):
        add_tenant(store, "acme")


def test_a_store_without_identity_is_refused(store: Store, path: Path) -> None:
    sqlite3.connect(path, isolation_level=None).execute("DELETE FROM store")
    with pytest.raises(StoreForeign, match="identity"):
        open_store(path)


def test_a_damaged_store_says_so(store: Store, path: Path) -> None:
    add_tenant(store, "acme")
    sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreForeign, match="damaged"):
        Store(SqlitePlace(path, busy_timeout=1)).status()


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(StoreUnavailable, match="postgresql://"):
        open_store("mysql://localhost/deskgate")


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="folder"):
        open_store(tmp_path / "file" / "store.db", create=True)
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        open_store(tmp_path)


def test_a_locked_store_says_so_after_the_busy_timeout(store: Store, path: Path) -> None:
    hasty = open_store(path, busy_timeout=0.05)
    with store.writing(TESTER), pytest.raises(StoreLocked, match="locked"):
        add_tenant(hasty, "acme")
    assert add_tenant(hasty, "acme") == 1


def test_readers_go_on_while_another_writes(store: Store) -> None:
    with store.writing(TESTER) as writing:
        create_tenant(writing, "acme", now=0)
        assert store.status().tenants == 0
    assert store.status().tenants == 1


def test_a_full_disk_changes_nothing(store: Store, path: Path) -> None:
    add_tenant(store, "acme")
    with pytest.raises(StoreFull, match="nothing was changed"), store.writing(TESTER) as writing:  # noqa: PT012
        pages = writing.conn.scalar(text("PRAGMA page_count"))
        writing.conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        for number in range(10_000):
            create_tenant(writing, f"tenant-{number:0200}", now=0)
    assert (store.status().tenants, store.status().revision) == (1, 1)


def test_a_store_that_may_not_be_written_says_so(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.store.sqliteplace.PRAGMAS", ("PRAGMA query_only = ON",))
    with pytest.raises(StoreUnavailable, match="may not be written"):
        add_tenant(open_store(path), "acme")


def test_an_error_that_is_not_the_files_is_not_dressed_up_as_one(store: Store) -> None:
    from sqlalchemy.exc import IntegrityError

    with pytest.raises(IntegrityError), store.writing(TESTER) as writing:
        writing.conn.execute(insert(schema.usage).values(tenant_id="nobody", key="x", units=1))


def test_a_change_that_fails_is_undone_whole(store: Store) -> None:
    with pytest.raises(Refused), store.writing(TESTER) as writing:  # noqa: PT012
        create_tenant(writing, "acme", now=0)
        create_tenant(writing, "acme", now=0)
    assert (store.status().tenants, store.status().revision) == (0, 0)


def test_two_at_once_each_get_a_revision_of_their_own(store: Store) -> None:
    seen: list[int] = []
    failures: list[StoreError] = []

    def work(prefix: str) -> None:
        try:
            own = open_store(store.path, busy_timeout=60)
            seen.extend(add_tenant(own, f"{prefix}{number}") for number in range(25))
        except StoreError as e:
            failures.append(e)

    threads = [threading.Thread(target=work, args=(prefix,)) for prefix in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert sorted(seen) == list(range(1, 51))
    assert store.status().revision == 50


def test_revisions_rise_and_the_change_log_holds_each_change(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "store.db")
    for number, tenant_id in enumerate(("a", "b", "c"), start=1):
        shop.tenant(tenant_id)
        assert (shop.revision(), shop.record(tenant_id).revision) == (number, number)
        assert shop.changed_since(number - 1) == {tenant_id}
    with shop.store.reading() as conn:
        rows = conn.execute(select(schema.entitlement.c.tenant_id, schema.entitlement.c.revision)).all()
        assert conn.scalar(select(func.count()).select_from(schema.change_log)) == 3
    assert {(row.tenant_id, row.revision) for row in rows} == {("a", 1), ("b", 2), ("c", 3)}
