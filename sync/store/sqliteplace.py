"""A store in an SQLite file: every transaction opens the file anew, so that a replaced one is noticed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from sync.store.errors import StoreError, StoreForeign, StoreFull, StoreLocked, StoreUnavailable

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


class SqlitePlace:
    """A file. Writers take turns by SQLite's own lock, `busy_timeout` seconds at most."""

    errors: Final = (DBAPIError, sqlite3.Error)

    def __init__(self, path: Path, *, busy_timeout: float) -> None:
        self.file: Final = path
        self._busy_timeout: Final = busy_timeout
        self._engine: Final = _engine(path, busy_timeout, "rw")

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.file)

    def failure(self, error: Exception) -> StoreError | None:
        """See Place."""
        return _failure(error.orig if isinstance(error, DBAPIError) else error, self.file)

    def exists(self) -> bool:
        """Whether there is a file."""
        return self.file.exists()

    @contextmanager
    def making(self) -> Iterator[Connection]:
        """See Place. Makes the file and its folder, too. Raises StoreUnavailable where that cannot be."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise StoreUnavailable(f"the folder of {self.file} cannot be made: {e}") from e
        engine = _engine(self.file, self._busy_timeout, "rwc")
        with engine.connect() as conn:
            conn.connection.driver_connection.execute("PRAGMA journal_mode = WAL")  # type: ignore[union-attr]
        with engine.connect().execution_options(**{IMMEDIATE: True}) as conn, conn.begin():
            yield conn

    def tables(self, conn: Connection) -> set[str]:
        """See Place."""
        return set(conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())

    def made(self, conn: Connection) -> None:
        """Nothing is left to do: SQLite compares bytes by itself."""

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """See Place."""
        with self._engine.connect() as conn:
            yield conn

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """See Place: here the turn is waited for when the transaction begins."""
        with self._engine.connect().execution_options(**{IMMEDIATE: True}) as conn, conn.begin():
            yield conn

    def announce(self, conn: Connection, revision: int) -> None:
        """Nobody listens to a file: those who follow it look at it."""


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


def _failure(error: Any, path: Path) -> StoreError | None:
    if "no such table: store" in str(error):
        return StoreForeign(f"{path} is not a store: make one with `deskgate store init`, or name another path")
    if "no such table" in str(error) or "no such column" in str(error):
        return StoreForeign(f"the store {path} is not whole any more ({error}): restore it from a backup")
    if "already exists" in str(error):
        return StoreForeign(f"{path} holds a table that is none of the store's ({error}): restore it from a backup")
    kind, advice = FAILURES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, (None, ""))
    return kind(advice.format(path=path, error=error)) if kind else None
