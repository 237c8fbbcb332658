"""Following a central store in an SQLite file that other processes write (the tables store, entitlement, change_log).

The file is only read. A commit is noticed by `PRAGMA data_version`, a file put in its place by device and inode. What
is read for one update is read in one transaction.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sync.sources import Change, FailureKind, Position, Sink, SyncFailed, Update

KNOWN_SCHEMA: Final = 2
"""The latest `store.schema_version` that is understood."""
TABLES: Final = frozenset({"store", "entitlement", "change_log"})
CHUNK: Final = 256
"""Rows read at a time."""

EVERYTHING: Final = "SELECT tenant_id, record FROM entitlement"
SINCE: Final = (
    "SELECT c.tenant_id, e.record FROM (SELECT DISTINCT tenant_id FROM change_log WHERE revision > ?) AS c"
    " LEFT JOIN entitlement AS e ON e.tenant_id = c.tenant_id"
)

FAILURES: Final = {
    sqlite3.SQLITE_BUSY: (FailureKind.LOCKED, "another process keeps the store {path} locked"),
    sqlite3.SQLITE_LOCKED: (FailureKind.LOCKED, "another process keeps the store {path} locked"),
    sqlite3.SQLITE_NOTADB: (FailureKind.CORRUPT, "{path} is not an SQLite file"),
    sqlite3.SQLITE_CORRUPT: (FailureKind.CORRUPT, "the store {path} is damaged ({error}): restore it from a backup"),
    sqlite3.SQLITE_CANTOPEN: (
        FailureKind.UNREADABLE,
        "the store {path} cannot be opened: see its rights and its folder's (beside it -wal and -shm must be writable)",
    ),
}

Identity = tuple[int, int]


class SqliteSource:
    """The store in one file. Steps are to be made by one thread."""

    def __init__(self, path: Path, *, interval: float = 0.025, busy_timeout: float = 0.5) -> None:
        self.interval: Final = interval
        self._path: Final = path
        self._busy_timeout: Final = busy_timeout
        self._interrupted: Final = threading.Event()
        self._conn: sqlite3.Connection | None = None
        self._identity: Identity | None = None
        self._seen: int | None = None
        """The data version up to which everything was applied; None: look again whatever it is."""
        self._doubted = True
        """The file was replaced, its history had gone back, or this process has not seen it yet: should it be past our
        revision, it may have come there another way (restored from a backup), so only the whole of it will do."""

    def step(self, sink: Sink) -> None:
        """Looks once: applies what is new and tells of the contact. Raises SyncFailed."""
        if self._interrupted.is_set():
            raise SyncFailed(FailureKind.INTERRUPTED, f"{self._path} is no longer followed")
        try:
            with _told(self._path):
                self._look(sink)
        except BaseException:
            self.close()
            raise

    def interrupt(self) -> None:
        """Makes a step under way end at its next chunk of rows, and every later one fail."""
        self._interrupted.set()

    def close(self) -> None:
        """Closes the file."""
        self._seen = None
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def _look(self, sink: Sink) -> None:
        conn = self._connected()
        (version,) = conn.execute("PRAGMA data_version").fetchone()
        if version != self._seen or sink.needs_snapshot():
            self._catch_up(conn, sink)
            self._seen = version
        sink.contact()

    def _catch_up(self, conn: sqlite3.Connection, sink: Sink) -> None:
        held = sink.position()
        conn.execute("BEGIN")
        update = self._update(conn, held, whole=held is None or sink.needs_snapshot() or self._doubted)
        if update is not None:
            sink.apply(update)
        conn.execute("ROLLBACK")
        self._doubted = False

    def _update(self, conn: sqlite3.Connection, held: Position | None, *, whole: bool) -> Update | None:
        position = self._position(conn, held)
        if held is not None and not held.precedes(position):
            self._doubted = True
            raise SyncFailed(FailureKind.HISTORY_WENT_BACK, _gone_back(self._path, held, position))
        if held is None or whole:
            return Update(position=position, snapshot=True, changes=self._rows(conn.execute(EVERYTHING)))
        if position == held:
            return None
        (oldest,) = conn.execute("SELECT min(revision) FROM change_log").fetchone()
        if oldest is None or oldest > held.revision + 1:
            return Update(position=position, snapshot=True, changes=self._rows(conn.execute(EVERYTHING)))
        changes = self._rows(conn.execute(SINCE, (held.revision,)))
        return Update(position=position, snapshot=False, changes=changes)

    def _position(self, conn: sqlite3.Connection, held: Position | None) -> Position:
        tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables >= TABLES:
            raise self._no_store(held, "an empty file" if not tables else "a database of another kind")
        row = conn.execute("SELECT store_id, schema_version, revision FROM store").fetchone()
        if row is None:
            raise self._no_store(held, "a store without its identity")
        store_id, schema, revision = row
        if not (isinstance(store_id, str) and isinstance(schema, int) and isinstance(revision, int)):
            raise SyncFailed(FailureKind.CORRUPT, f"the store {self._path} says {row!r} of itself: restore a backup")
        if schema > KNOWN_SCHEMA:
            raise SyncFailed(
                FailureKind.NEWER_SCHEMA,
                f"the store {self._path} has schema {schema}, this deskgate knows {KNOWN_SCHEMA}: update deskgate",
            )
        return Position(store_id=store_id, revision=revision)

    def _no_store(self, held: Position | None, what: str) -> SyncFailed:
        if held is None:
            return SyncFailed(FailureKind.FOREIGN, f"{self._path} is {what}, not a store")
        self._doubted = True
        return SyncFailed(
            FailureKind.HISTORY_WENT_BACK, f"{self._path} is now {what}; store {held.store_id} is served as it was"
        )

    def _rows(self, cursor: sqlite3.Cursor) -> Iterator[Change]:
        while True:
            with _told(self._path):
                rows = cursor.fetchmany(CHUNK)
            if not rows:
                return
            if self._interrupted.is_set():
                raise SyncFailed(FailureKind.INTERRUPTED, f"{self._path} is no longer followed")
            yield from rows

    def _connected(self) -> sqlite3.Connection:
        identity = self._identify()
        if self._conn is not None and identity == self._identity:
            return self._conn
        self._doubted |= self._identity not in (None, identity)
        self.close()
        self._conn = conn = self._open()
        self._identity = identity
        if self._identify() != identity:
            raise SyncFailed(FailureKind.LOCKED, f"the store {self._path} was replaced while it was being opened")
        return conn

    def _open(self) -> sqlite3.Connection:
        uri = f"file:{quote(str(self._path))}?mode=ro"
        conn = sqlite3.connect(uri, uri=True, timeout=self._busy_timeout, isolation_level=None)
        conn.execute("PRAGMA query_only = ON")
        return conn

    def _identify(self) -> Identity:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            raise SyncFailed(FailureKind.MISSING, f"there is no store at {self._path}") from None
        except OSError as e:
            raise SyncFailed(FailureKind.UNREADABLE, f"the store {self._path} cannot be read: {e}") from e
        return found.st_dev, found.st_ino


def _gone_back(path: Path, held: Position, found: Position) -> str:
    if held.store_id != found.store_id:
        return (
            f"{path} is now store {found.store_id}; what is served is of store {held.store_id}."
            " If the new one is meant, stop the sidecar and remove its local copy"
        )
    return (
        f"the store {path} was set back to revision {found.revision}; {held.revision} is served on until it gets past"
        " that. If the earlier state is meant, stop the sidecar and remove its local copy"
    )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tells the driver's errors as failures of the store."""
    try:
        yield
    except sqlite3.Error as e:
        code = getattr(e, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        kind, text = FAILURES.get(code, (FailureKind.UNREADABLE, "the store {path} cannot be read: {error}"))
        raise SyncFailed(kind, text.format(path=path, error=e)) from e
