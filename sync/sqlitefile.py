"""Following a central store in an SQLite file that other processes write (the tables store, entitlement, change_log and
revision_log).

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

from sync.history import Head, Way, way
from sync.pace import Steady
from sync.sources import Change, FailureKind, Position, Sink, SyncFailed, Update

KNOWN_SCHEMA: Final = 3
"""The latest `store.schema_version` that is understood."""
TABLES: Final = frozenset({"store", "entitlement", "change_log", "revision_log"})
CHUNK: Final = 256
"""Rows read at a time."""

EVERYTHING: Final = "SELECT tenant_id, CAST(record AS BLOB) FROM entitlement"
SINCE: Final = (
    "SELECT c.tenant_id, CAST(e.record AS BLOB)"
    " FROM (SELECT DISTINCT tenant_id FROM change_log WHERE revision > ?) AS c"
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
        self.pace: Final = Steady(interval)
        self._path: Final = path
        self._busy_timeout: Final = busy_timeout
        self._interrupted: Final = threading.Event()
        self._conn: sqlite3.Connection | None = None
        self._identity: Identity | None = None
        self._seen: int | None = None
        """The data version up to which everything was applied; None: look again whatever it is."""

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
        head = self._head(conn, held)
        found = way(held, head, whole=sink.needs_snapshot(), name=str(self._path))
        if found is not Way.NOWHERE:
            at, whole = head.position, found is Way.WHOLE
            rows = conn.execute(EVERYTHING) if whole or held is None else conn.execute(SINCE, (held.revision,))
            sink.apply(Update(position=at, snapshot=whole, changes=self._rows(rows), digest=at.mark))
        conn.execute("ROLLBACK")

    def _logged(self, conn: sqlite3.Connection, held: Position | None) -> str | None:
        if held is None:
            return None
        row = conn.execute("SELECT digest FROM revision_log WHERE revision = ?", (held.revision,)).fetchone()
        return None if row is None else str(row[0])

    def _head(self, conn: sqlite3.Connection, held: Position | None) -> Head:
        tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "store" in tables:
            self._refuse_schema(conn, held)
        if not tables >= TABLES:
            raise self._no_store(held, "an empty file" if not tables else "a database of another kind")
        row = conn.execute("SELECT store_id, revision, digest, restored FROM store").fetchone()
        if tuple(map(type, row)) != (str, int, str, int):
            raise self._senseless(row)
        store_id, revision, mark, restored = row
        at = Position(store_id=store_id, revision=revision, mark=mark)
        return Head(position=at, logged=self._logged(conn, held), restored=restored)

    def _refuse_schema(self, conn: sqlite3.Connection, held: Position | None) -> None:
        columns = {name for (name,) in conn.execute("SELECT name FROM pragma_table_info('store')")}
        if "schema_version" not in columns:
            return
        row = conn.execute("SELECT schema_version FROM store").fetchone()
        if row is None:
            raise self._no_store(held, "a store without its identity")
        if not isinstance(row[0], int):
            raise self._senseless(row)
        if row[0] > KNOWN_SCHEMA:
            raise SyncFailed(
                FailureKind.NEWER_SCHEMA,
                f"the store {self._path} has schema {row[0]}, this deskgate knows {KNOWN_SCHEMA}: update deskgate",
            )
        if row[0] < KNOWN_SCHEMA:
            raise SyncFailed(
                FailureKind.OLDER_SCHEMA,
                f"the store {self._path} has schema {row[0]}: run `deskgate store migrate --store {self._path}`",
            )

    def _senseless(self, row: object) -> SyncFailed:
        return SyncFailed(FailureKind.CORRUPT, f"the store {self._path} says {row!r} of itself: restore a backup")

    def _no_store(self, held: Position | None, what: str) -> SyncFailed:
        if held is None:
            return SyncFailed(FailureKind.FOREIGN, f"{self._path} is {what}, not a store")
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


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tells the driver's errors as failures of the store."""
    try:
        yield
    except sqlite3.Error as e:
        code = getattr(e, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        kind, text = FAILURES.get(code, (FailureKind.UNREADABLE, "the store {path} cannot be read: {error}"))
        raise SyncFailed(kind, text.format(path=path, error=e)) from e
