"""The file of the local copy: its tables, what it says of itself, and how its failures are told."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sidecar.core.errors import DeskgateError
from sidecar.core.model import Instant
from sync.sources import Position

FORMAT: Final = 2
"""Kept as the file's `user_version`. A copy of another format is rebuilt, not converted."""
APPLICATION: Final = int.from_bytes(b"dskg", "big")
"""Kept as the file's `application_id`."""
PRAGMAS: Final = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL")
"""FULL: a revision that answers rest on survives a power cut."""


class CopyKind(StrEnum):
    """What failed about the copy; stable, and few enough to be counted apart."""

    DAMAGED = "damaged"
    """It does not hold what it should. Set aside."""
    FOREIGN = "foreign"
    """Another program's file, or one of a format that this version does not read. Set aside."""
    LOST = "lost"
    """It was removed or replaced while it was in use. Rebuilt."""
    FULL = "full"
    """No room on the disk."""
    LOCKED = "locked"
    """Another process works on it."""
    UNWRITABLE = "unwritable"
    """It cannot be opened, read or written: rights, or the disk."""
    GOES_BACK = "goes_back"
    """An update to another store or an earlier revision was refused."""


class CopyFailed(DeskgateError):
    """The copy could not be opened, read or changed. What it held it holds, unless it is damaged."""

    def __init__(self, kind: CopyKind, problem: str) -> None:
        super().__init__(f"{kind}: {problem}")
        self.kind = kind
        self.problem = problem


WORTHLESS: Final = frozenset({CopyKind.DAMAGED, CopyKind.FOREIGN})
"""Nothing can be served from such a copy: it is set aside, and a new one begun."""

KINDS: Final = {
    sqlite3.SQLITE_ERROR: (CopyKind.DAMAGED, "the local copy {path} is damaged: {error}"),  # tables that are not ours
    sqlite3.SQLITE_FULL: (CopyKind.FULL, "no room left on the disk for the local copy {path}: free some"),
    sqlite3.SQLITE_NOTADB: (CopyKind.FOREIGN, "{path} is no database"),
    sqlite3.SQLITE_CORRUPT: (CopyKind.DAMAGED, "the local copy {path} is damaged: {error}"),
    sqlite3.SQLITE_BUSY: (CopyKind.LOCKED, "another process works on the local copy {path}"),
    sqlite3.SQLITE_LOCKED: (CopyKind.LOCKED, "another process works on the local copy {path}"),
}


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Tells the driver's errors as failures of the copy; misuse of the driver stays what it is."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.Error as e:  # without a code it is text that is not UTF-8
        code = getattr(e, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        kind, text = KINDS.get(code, (CopyKind.UNWRITABLE, "the local copy {path} cannot be used: {error}"))
        raise CopyFailed(kind, text.format(path=path, error=e)) from e
    except OSError as e:
        raise CopyFailed(CopyKind.UNWRITABLE, f"the local copy {path} cannot be used: {e}") from e


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the copy says it holds: `tenants` rows of this digest (sync.digest), as of a point in a store's history."""

    store_id: str
    revision: int
    mark: str
    tenants: int
    digest: str
    applied_at: Instant

    @property
    def position(self) -> Position:
        """The point in the store's history."""
        return Position(store_id=self.store_id, revision=self.revision, mark=self.mark)

    @property
    def seal(self) -> int:
        """A checksum of the stamp itself."""
        return zlib.crc32(repr(astuple(self)).encode())


COLUMNS: Final = ", ".join(field.name for field in fields(Stamp))


def connect(path: Path) -> sqlite3.Connection:
    """Opens the copy's file, or makes an empty one. Raises CopyFailed, with DAMAGED or FOREIGN if it is worthless."""
    with told(path):
        conn = sqlite3.connect(
            f"file:{quote(str(path))}?mode=rwc", uri=True, isolation_level=None, timeout=1.0, check_same_thread=False
        )
        try:
            _prepare(conn, path)
        except BaseException:
            conn.close()
            raise
        return conn


def _prepare(conn: sqlite3.Connection, path: Path) -> None:
    tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables:
        _refuse_foreign(conn, path)
    for pragma in PRAGMAS:
        conn.execute(pragma)
    if not tables:
        _create(conn)


def _refuse_foreign(conn: sqlite3.Connection, path: Path) -> None:
    (application,) = conn.execute("PRAGMA application_id").fetchone()
    (version,) = conn.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION:
        raise CopyFailed(CopyKind.FOREIGN, f"{path} is a database of another kind")
    if version != FORMAT:
        raise CopyFailed(CopyKind.FOREIGN, f"the local copy {path} has format {version}, this deskgate reads {FORMAT}")


def _create(conn: sqlite3.Connection) -> None:
    from sqlite_utils import Database  # 0.1 s, needed for a new copy only

    database = Database(conn)
    conn.execute("BEGIN IMMEDIATE")
    database.table("tenant").create({"id": str, "record": bytes}, pk="id", not_null={"record"})
    texts = dict.fromkeys(("store_id", "mark", "digest"), str)
    numbers = dict.fromkeys(("revision", "tenants", "applied_at", "seal"), int)
    database.table("stamp").create({"id": int, **texts, **numbers}, pk="id")
    conn.execute(f"PRAGMA application_id = {APPLICATION}")
    conn.execute(f"PRAGMA user_version = {FORMAT}")
    conn.execute("COMMIT")


def read_stamp(conn: sqlite3.Connection, path: Path) -> Stamp | None:
    """What the copy says it holds; None: nothing yet. Raises CopyFailed, DAMAGED when that cannot be trusted."""
    with told(path):
        row = conn.execute(f"SELECT {COLUMNS}, seal FROM stamp").fetchone()  # noqa: S608
    if row is None:
        return None
    stamp = Stamp(*row[:-1])
    if stamp.seal != row[-1]:
        raise CopyFailed(CopyKind.DAMAGED, f"the local copy {path} is damaged: its stamp is not as it was sealed")
    return stamp


def write_stamp(conn: sqlite3.Connection, stamp: Stamp) -> None:
    """Replaces what the copy says it holds; within a transaction."""
    conn.execute(
        f"INSERT OR REPLACE INTO stamp (id, {COLUMNS}, seal) VALUES (1, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (*astuple(stamp), stamp.seal),
    )


def inspect(path: Path) -> dict[str, object]:
    """What is in a copy's file, for people; the sidecar may be running. Raises CopyFailed."""
    from sqlite_utils import Database

    with told(path):
        conn = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
        try:
            database = Database(conn)
            return {
                "format": conn.execute("PRAGMA user_version").fetchone()[0],
                "tables": {name: database.table(name).count for name in database.table_names()},
                "columns": {name: list(database.table(name).columns_dict) for name in database.table_names()},
                "stamp": next(iter(database.query("SELECT * FROM stamp")), None),
                "structure": [problem for (problem,) in conn.execute("PRAGMA quick_check")],
            }
        finally:
            conn.close()
