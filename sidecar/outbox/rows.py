"""The outbox's tables, and a statement as it is kept in them."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sidecar.core.errors import DeskgateError
from sidecar.core.model import Instant

FORMAT: Final = 1
"""Kept as the file's `user_version`."""
APPLICATION: Final = int.from_bytes(b"dsko", "big")
"""Kept as the file's `application_id`."""
BUSY_SECONDS: Final = 2.0
"""How long the command line and a sidecar wait for one another."""
TABLES: Final = """
CREATE TABLE statement (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    idempotency_key TEXT NOT NULL UNIQUE,
    tenant_id TEXT NOT NULL,
    key TEXT NOT NULL,
    request BLOB NOT NULL,
    at INTEGER NOT NULL,
    seal INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'refused')),
    attempts INTEGER NOT NULL DEFAULT 0,
    code TEXT NOT NULL DEFAULT '',
    why TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX in_order ON statement (id) WHERE state = 'pending';
CREATE INDEX by_lane ON statement (tenant_id, key, id) WHERE state = 'pending';
"""

Lane = tuple[str, str]
"""A tenant and an entitlement key: what is stated of them is sent in the order it was stated in."""


class State(StrEnum):
    """What a statement waits for."""

    PENDING = "pending"
    """To be sent."""
    REFUSED = "refused"
    """For an operator: the store will not take it, and nobody was there any more to be told."""


class OutboxError(DeskgateError):
    """A statement cannot be kept. Nothing was."""


class OutboxUnusable(OutboxError):
    """The file cannot be opened, read or written: its rights, its disk."""


class OutboxDamaged(OutboxError):
    """The file does not hold what it should."""


class OutboxFull(OutboxError):
    """There are as many statements as may be."""


class KeyTaken(OutboxError):
    """Another statement with this idempotency key is in the outbox."""


class NotThere(OutboxError):
    """There is no statement of this idempotency key, or no outbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A statement that is to be kept: `request` is a serialized AdjustUsageRequest, the same for the same content."""

    idempotency_key: str
    tenant_id: str
    key: str
    request: bytes

    @property
    def seal(self) -> int:
        """A checksum: a statement that the disk altered is not to be sent."""
        texts = (self.idempotency_key, self.tenant_id, self.key)
        return zlib.crc32(self.request, zlib.crc32("\0".join(texts).encode()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(Draft):
    """A statement in the outbox."""

    id: int
    """Rises in the order in which they were stated."""
    at: Instant
    kept_seal: int
    state: State
    attempts: int
    """To send it, that failed."""
    code: str
    """Of the store's refusal."""
    why: str
    """It was refused, or the last attempt failed."""

    @property
    def lane(self) -> Lane:
        """Where it stands in line."""
        return self.tenant_id, self.key

    @property
    def whole(self) -> bool:
        """Whether it is what was kept."""
        return self.seal == self.kept_seal


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much there is in the outbox."""

    pending: int = 0
    refused: int = 0
    oldest: Instant | None = None
    """When the oldest that is to be sent was stated."""


SELECT: Final = (
    "SELECT idempotency_key, tenant_id, key, request, id, at, seal, state, attempts, code, why FROM statement"
)


def statement(row: tuple[Any, ...]) -> Statement:
    """The statement in a row of SELECT."""
    idempotency_key, tenant_id, key, request, number, at, seal, state, attempts, code, why = row
    return Statement(
        idempotency_key=idempotency_key,
        tenant_id=tenant_id,
        key=key,
        request=request,
        id=number,
        at=at,
        kept_seal=seal,
        state=State(state),
        attempts=attempts,
        code=code,
        why=why,
    )


DAMAGE: Final = frozenset(
    {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_MISMATCH}
)
PROBLEMS: Final = {
    sqlite3.SQLITE_FULL: "there is no room left on the disk for the outbox {path}: free some",
    sqlite3.SQLITE_BUSY: "another process works on the outbox {path}: try again",
    sqlite3.SQLITE_LOCKED: "another process works on the outbox {path}: try again",
}


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Tells the driver's errors as OutboxUnusable or OutboxDamaged; misuse of the driver stays what it is."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.Error as e:  # without a code it is text that is not UTF-8
        code = getattr(e, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in DAMAGE:
            raise OutboxDamaged(f"the outbox {path} is damaged: {e}") from e
        problem = PROBLEMS.get(code, "the outbox {path} cannot be used: {error}")
        raise OutboxUnusable(problem.format(path=path, error=e)) from e
    except OSError as e:
        raise OutboxUnusable(f"the outbox {path} cannot be used: {e}") from e


def connect(path: Path, *, durable: bool, create: bool) -> sqlite3.Connection:
    """A connection to the outbox's file, made with `create` if there is none. What is committed on a `durable` one
    survives a power cut. Raises OutboxUnusable, or OutboxDamaged for a file that is no whole outbox."""
    with told(path):
        mode = "rwc" if create else "rw"
        conn = sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=BUSY_SECONDS,
            check_same_thread=False,
        )
        try:
            conn.execute("PRAGMA journal_mode = WAL")
            conn.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            _prepare(conn, path)
        except BaseException:
            conn.close()
            raise
        return conn


def look(path: Path) -> sqlite3.Connection:
    """A connection that only reads, of an outbox that this process has open. It waits for nobody."""
    with told(path):
        return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None, timeout=BUSY_SECONDS)


def first(conn: sqlite3.Connection, sql: str, values: Sequence[object]) -> Statement | None:
    """The statement that a query finds first."""
    row = conn.execute(sql, values).fetchone()
    return None if row is None else statement(row)


def repend(conn: sqlite3.Connection, number: int) -> None:
    """Has a refused statement sent once more, in its old place."""
    conn.execute("UPDATE statement SET state = 'pending', code = '', why = '' WHERE id = ?", (number,))


def _prepare(conn: sqlite3.Connection, path: Path) -> None:
    conn.execute("BEGIN IMMEDIATE")
    try:
        if not conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            for sql in filter(str.strip, TABLES.split(";")):
                conn.execute(sql)
            conn.execute(f"PRAGMA application_id = {APPLICATION}")
            conn.execute(f"PRAGMA user_version = {FORMAT}")
        found = tuple(conn.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    finally:
        if conn.in_transaction:
            conn.execute("COMMIT")
    if found != (APPLICATION, FORMAT):
        raise OutboxDamaged(f"{path} is no outbox of this version: its marks are {found}")


def checked(conn: sqlite3.Connection, path: Path) -> None:
    """Looks through all of the file. Raises OutboxDamaged."""
    with told(path):
        (said,) = conn.execute("PRAGMA quick_check(1)").fetchone()
        conn.execute(f"{SELECT} LIMIT 0")
    if said != "ok":
        raise OutboxDamaged(f"the outbox {path} is damaged: {said}")
