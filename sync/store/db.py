"""Opening the store's SQLite file, and its transactions. A change and the records it alters are one transaction."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from sync.store import audit, entitlements, lineage, schema
from sync.store.audit import By
from sync.store.errors import (
    StoreError,
    StoreForeign,
    StoreFull,
    StoreLocked,
    StoreMissing,
    StoreTooNew,
    StoreTooOld,
    StoreUnavailable,
)

BUSY_TIMEOUT: Final = 5.0
"""Seconds that a transaction waits for another writer."""
IMMEDIATE: Final = "deskgate_immediate"
PRAGMAS: Final = ("PRAGMA foreign_keys = ON", "PRAGMA synchronous = FULL", "PRAGMA secure_delete = ON")
"""FULL: what was acknowledged survives a power cut. Secure: of what is erased no byte is left in the file."""

FAILURES: Final[dict[int, tuple[type[StoreError], str]]] = {
    sqlite3.SQLITE_BUSY: (StoreLocked, "another process keeps the store {path} locked; try again when it is done"),
    sqlite3.SQLITE_LOCKED: (StoreLocked, "another process keeps the store {path} locked; try again when it is done"),
    sqlite3.SQLITE_FULL: (StoreFull, "no room left to write the store {path}; nothing was changed: free some space"),
    sqlite3.SQLITE_NOTADB: (StoreForeign, "{path} is not an SQLite file: give the path of a store"),
    sqlite3.SQLITE_CORRUPT: (StoreForeign, "the store {path} is damaged: restore it from a backup"),
    sqlite3.SQLITE_READONLY: (StoreUnavailable, "the store {path} may not be written by this user"),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailable, "the store {path} cannot be opened: see its and its folder's rights"),
    sqlite3.SQLITE_IOERR: (StoreUnavailable, "reading or writing the store {path} failed: {error}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    """What a store says of itself."""

    store_id: str
    schema_version: int
    revision: int
    tenants: int


class Writing:
    """One change on its way: a connection inside BEGIN IMMEDIATE, who makes it, and what it alters.

    After it is committed `revision` is the one at which its effect can be seen.
    """

    def __init__(self, conn: Connection, revision: int, by: By) -> None:
        self.conn = conn
        self.revision = revision
        self.by = by
        self._touched: set[str] = set()
        self._unwritten: list[audit.Change] = []
        self._audited = False

    def audit(
        self, action: str, subject: str, *, tenant_id: str = "", before: object = None, after: object = None
    ) -> None:
        """Says in the audit trail what is changed: JSON-like values, None where there is nothing before or after."""
        self._unwritten.append(
            audit.Change(by=self.by, action=action, tenant_id=tenant_id, subject=subject, before=before, after=after)
        )

    def touch(self, tenant_id: str, *, subtree: bool = False) -> None:
        """Marks a tenant before its rows change: its record, that of its pool's owner, with `subtree` all below it."""
        self._touched |= {tenant_id} | lineage.holders(self.conn, [tenant_id])
        if subtree:
            self._touched |= lineage.descendants(self.conn, tenant_id)

    def touch_many(self, tenant_ids: Iterable[str]) -> None:
        """Marks tenants, and their pools' owners, set by set."""
        for chunk in lineage.chunks(tenant_ids):
            self._touched.update(chunk, lineage.holders(self.conn, chunk))

    def touch_only(self, tenant_ids: Iterable[str]) -> None:
        """Marks these tenants alone: new ones, or by one who knows whose pools they leave."""
        self._touched.update(tenant_ids)

    def touch_below(self, tenant_ids: Iterable[str]) -> None:
        """Marks all below some tenants."""
        for chunk in lineage.chunks(tenant_ids):
            self._touched |= lineage.below(self.conn, chunk)

    def finish(self) -> None:
        """Writes the audit entries so far, and the records that really changed, with the next revision."""
        if self._unwritten:
            audit.append(self.conn, [(change, secrets.token_hex(8)) for change in self._unwritten])
            self._unwritten.clear()
            self._audited = True
        if self._touched:
            before, self.revision = (
                self.revision,
                entitlements.write_changed(self.conn, self._touched, self.revision, self.by.at),
            )
            self._touched.clear()
            if self.revision != before and not self._audited:
                raise RuntimeError("records were changed without an entry in the audit trail")


class Store:
    """An open store. Threads may share it: every transaction opens the file anew, so a replaced file is noticed."""

    def __init__(self, path: Path, *, busy_timeout: float = BUSY_TIMEOUT) -> None:
        self.path = path
        self._engine = _engine(path, busy_timeout, "rw")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view. Raises StoreError."""
        with _clearly(self.path), self._engine.connect() as conn:
            _checked_revision(conn, self.path)
            yield conn

    @contextmanager
    def writing(self, by: By | Callable[[], By]) -> Iterator[Writing]:
        """One change: committed with its records and audit entries when the block ends, undone when it raises.

        A `by` that is called says it once the change's turn has come: of two writers the later one has the later
        instant. Raises StoreError.
        """
        with _clearly(self.path), self._engine.connect().execution_options(**{IMMEDIATE: True}) as conn, conn.begin():
            writing = Writing(conn, _checked_revision(conn, self.path), by() if callable(by) else by)
            yield writing
            writing.finish()

    def status(self) -> StoreStatus:
        """Identity, schema and revision."""
        with self.reading() as conn:
            row = conn.execute(select(schema.store)).one()
            tenants = conn.scalar(select(func.count()).select_from(schema.tenant))
            return StoreStatus(
                store_id=row.store_id,
                schema_version=row.schema_version,
                revision=row.revision,
                tenants=tenants or 0,
            )


def open_store(url_or_path: str | Path, *, create: bool = False, busy_timeout: float = BUSY_TIMEOUT) -> Store:
    """The store in a file; with `create` it is made, or migrated to this version's schema, where needed.

    Takes a path or an `sqlite:///` URL. Raises StoreMissing, StoreTooNew, StoreTooOld or another StoreError.
    """
    path = path_of(url_or_path)
    if create:
        _make(path, busy_timeout)
    elif not path.exists():
        raise StoreMissing(f"there is no store at {path}: make one with `deskgate store init --store {path}`")
    store = Store(path, busy_timeout=busy_timeout)
    with store.reading():
        return store


def path_of(url_or_path: str | Path) -> Path:
    """The file meant. Raises StoreUnavailable for a kind of database that this version does not serve."""
    text = str(url_or_path)
    if text.startswith("sqlite:///"):
        return Path(text.removeprefix("sqlite:///"))
    if "://" in text:
        raise StoreUnavailable(f"{text.split('://')[0]}: this version keeps its store in an SQLite file; give a path")
    return Path(text)


def _make(path: Path, busy_timeout: float) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise StoreUnavailable(f"the folder of {path} cannot be made: {e}") from e
    engine = _engine(path, busy_timeout, "rwc")
    with _clearly(path):
        with engine.connect() as conn:
            conn.connection.driver_connection.execute("PRAGMA journal_mode = WAL")  # type: ignore[union-attr]
        with engine.connect().execution_options(**{IMMEDIATE: True}) as conn, conn.begin():
            _refuse_foreign(conn, path)
            _migrate(conn)


def _refuse_foreign(conn: Connection, path: Path) -> None:
    tables = set(conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    if tables and "store" not in tables:
        raise StoreForeign(f"{path} is a database of another kind: give the path of a store, or of a new file")
    if tables:
        _refuse_newer(_version(conn, path), path)


def _migrate(conn: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "sync.store:migrations")
    config.attributes["connection"] = conn
    command.upgrade(config, "head")


def _version(conn: Connection, path: Path) -> int:
    version = conn.scalar(select(schema.store.c.schema_version))
    if version is None:
        raise StoreForeign(f"the store {path} has lost its identity: restore it from a backup")
    return int(version)


def _refuse_newer(version: int, path: Path) -> None:
    if version > schema.SCHEMA_VERSION:
        raise StoreTooNew(
            f"the store {path} has schema {version}, this deskgate knows {schema.SCHEMA_VERSION}: update deskgate"
        )


def _checked_revision(conn: Connection, path: Path) -> int:
    """The store's revision, once its schema is known to be ours."""
    version = _version(conn, path)
    _refuse_newer(version, path)
    if version < schema.SCHEMA_VERSION:
        raise StoreTooOld(f"the store {path} has schema {version}: run `deskgate store migrate --store {path}`")
    return int(conn.scalars(select(schema.store.c.revision)).one())


def _engine(path: Path, busy_timeout: float, mode: str) -> Engine:
    uri = f"file:{quote(str(path))}?mode={mode}"

    def connect() -> sqlite3.Connection:
        conn = sqlite3.connect(uri, uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False)
        for pragma in PRAGMAS:
            conn.execute(pragma)
        return conn

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(conn: Connection) -> None:
    conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get(IMMEDIATE) else "BEGIN")


@contextmanager
def _clearly(path: Path) -> Iterator[None]:
    """Turns the driver's errors into ones that say what to do."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as e:
        failure = _failure(e.orig if isinstance(e, DBAPIError) else e, path)
        if failure is None:
            raise
        raise failure from e


def _failure(error: Any, path: Path) -> StoreError | None:
    if "no such table: store" in str(error):
        return StoreForeign(f"{path} is not a store: make one with `deskgate store init`, or name another path")
    if "no such table" in str(error) or "no such column" in str(error):
        return StoreForeign(f"the store {path} is not whole any more ({error}): restore it from a backup")
    if "already exists" in str(error):
        return StoreForeign(f"{path} holds a table that is none of the store's ({error}): restore it from a backup")
    kind, advice = FAILURES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, (None, ""))
    return kind(advice.format(path=path, error=error)) if kind else None
