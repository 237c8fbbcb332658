"""A central store's file as its followers see it, written with nothing but sqlite3."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from sidecar.core.model import Grant, Record
from sidecar.records import encode
from sync import digest
from sync.sources import Position
from sync.sqlitefile import KNOWN_SCHEMA

SCHEMA = """
CREATE TABLE store (id INTEGER PRIMARY KEY CHECK (id = 1), store_id TEXT NOT NULL, schema_version INTEGER NOT NULL,
                    revision INTEGER NOT NULL, digest TEXT NOT NULL, restored INTEGER NOT NULL);
CREATE TABLE entitlement (tenant_id TEXT PRIMARY KEY, revision INTEGER NOT NULL, record BLOB NOT NULL);
CREATE TABLE change_log (revision INTEGER NOT NULL, tenant_id TEXT NOT NULL, PRIMARY KEY (revision, tenant_id));
CREATE TABLE revision_log (revision INTEGER PRIMARY KEY, digest TEXT NOT NULL);
"""


def record(tenant_id: str, revision: int, *, amount: int = 10) -> bytes:
    """A record of the shape and size that real ones have."""
    grants = tuple(
        Grant(key=key, starts_at=1_700_000_000_000_000, ends_at=1_900_000_000_000_000, amount=amount, source="order:1")
        for key in ("fixed_desk", "shared_desk", "meeting_room")
    )
    return encode(Record(tenant_id=tenant_id, revision=revision, zone="Asia/Shanghai", language="zh-CN", grants=grants))


class FakeStore:
    """A store's file. Every call opens it anew, as another process would."""

    def __init__(self, path: Path, *, store_id: str | None = None, schema_version: int = KNOWN_SCHEMA) -> None:
        self.path = path
        self.store_id = store_id or str(uuid.uuid4())
        with closing(self.connect()) as conn:
            conn.execute("PRAGMA journal_mode = WAL")
            conn.executescript(SCHEMA)
            conn.execute("INSERT INTO store VALUES (1, ?, ?, 0, ?, 0)", (self.store_id, schema_version, digest.EMPTY))
            conn.execute("INSERT INTO revision_log VALUES (0, ?)", (digest.EMPTY,))

    def connect(self) -> sqlite3.Connection:
        return self.connect_to(self.path)

    @staticmethod
    def connect_to(path: Path) -> sqlite3.Connection:
        conn = sqlite3.connect(path, isolation_level=None, timeout=10)
        conn.execute("PRAGMA synchronous = OFF")  # the store's own durability is not what is tested with it
        return conn

    def revision(self) -> int:
        return self.position().revision

    def position(self) -> Position:
        """Where its history is."""
        with closing(self.connect()) as conn:
            revision, mark = conn.execute("SELECT revision, digest FROM store").fetchone()
            return Position(store_id=self.store_id, revision=revision, mark=mark)

    def commit(self, put: Iterable[str] = (), take: Iterable[str] = (), raw: Mapping[str, bytes] | None = None) -> int:
        """One transaction that writes new records of `put`, removes those of `take`, and writes `raw` as it is."""
        with closing(self.connect()) as conn:
            return commit(conn, put, take, raw or {})

    def prune(self, before: int) -> None:
        """Forgets the changes of revisions lower than `before`."""
        for table in ("change_log", "revision_log"):
            self.execute(f"DELETE FROM {table} WHERE revision < ?", before)

    def reckon(self) -> None:
        """Makes the digests say what the rows are, after they were altered by hand."""
        with closing(self.connect()) as conn:
            reckon(conn)

    def execute(self, sql: str, *values: object) -> None:
        with closing(self.connect()) as conn:
            conn.execute(sql, values)


def commit(conn: sqlite3.Connection, put: Iterable[str], take: Iterable[str], raw: Mapping[str, bytes]) -> int:
    conn.execute("BEGIN IMMEDIATE")
    (revision,) = conn.execute("UPDATE store SET revision = revision + 1 RETURNING revision").fetchone()
    rows = {**{tenant_id: record(tenant_id, revision) for tenant_id in put}, **raw}
    taken = list(take)
    conn.executemany(
        "INSERT OR REPLACE INTO entitlement VALUES (?, ?, ?)", [(i, revision, data) for i, data in rows.items()]
    )
    conn.executemany("DELETE FROM entitlement WHERE tenant_id = ?", [(i,) for i in taken])
    conn.executemany("INSERT INTO change_log VALUES (?, ?)", [(revision, i) for i in (*rows, *taken)])
    reckon(conn)
    conn.execute("COMMIT")
    return int(revision)


def reckon(conn: sqlite3.Connection) -> None:
    held = digest_of(conn.execute("SELECT tenant_id, CAST(record AS BLOB) FROM entitlement"))
    conn.execute("UPDATE store SET digest = ?", (held,))
    conn.execute("INSERT OR REPLACE INTO revision_log SELECT revision, digest FROM store")


def digest_of(rows: Iterable[tuple[str, bytes]]) -> str:
    """The digest of a set of records, as sync.digest has it."""
    return digest.as_text(sum(digest.row_mark(tenant_id, record) for tenant_id, record in rows))


class FakeWorld:
    """Takes what is published, as the sidecar's world does: nothing of it when going through the changes fails."""

    def __init__(self) -> None:
        self.tenants: dict[str, bytes] = {}
        self.store_id = ""
        self.revisions: list[int] = []
        self.snapshots = 0

    def publish(
        self, *, store_id: str, revision: int, snapshot: bool, changes: Iterable[tuple[str, bytes | None]]
    ) -> None:
        tenants = {} if snapshot else dict(self.tenants)
        for tenant_id, data in changes:
            if data is None:
                tenants.pop(tenant_id, None)
            else:
                tenants[tenant_id] = data
        self.tenants, self.store_id = tenants, store_id
        self.revisions.append(revision)
        self.snapshots += snapshot


class Hands:
    """A clock of the machine's that stands where it is put, in nanoseconds."""

    def __init__(self, micros: int) -> None:
        self.micros = micros

    def __call__(self) -> int:
        return self.micros * 1000
