"""The outbox's file: one row a statement, durable before `put` returns. A damaged file is set aside, never removed."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

import structlog

from sidecar.core.model import Instant
from sidecar.outbox import rows
from sidecar.outbox.rows import (
    Counts,
    Draft,
    KeyTaken,
    Lane,
    OutboxDamaged,
    OutboxFull,
    State,
    Statement,
)

ASIDE: Final = ".aside-"
ADD: Final = "INSERT INTO statement (idempotency_key, tenant_id, key, request, at, seal) VALUES (?, ?, ?, ?, ?, ?)"
BY_KEY: Final = rows.SELECT + " WHERE idempotency_key = ?"
BEFORE: Final = """SELECT 1 FROM statement before WHERE before.state = 'pending' AND before.id < statement.id
    AND before.tenant_id = statement.tenant_id AND before.key = statement.key"""
NEXT_IN_LINE: Final = f"{BY_KEY} AND state = 'pending' AND NOT EXISTS ({BEFORE})"
LANE: Final = "hex(tenant_id) || '/' || hex(key)"
COUNT: Final = "SELECT count(*) FROM statement"
REFUSE: Final = (
    "UPDATE statement SET state = 'refused', attempts = attempts + 1, code = ?, why = ?"
    " WHERE id = ? AND idempotency_key = ?"
)
FAIL: Final = "UPDATE statement SET attempts = attempts + 1, why = ? WHERE id = ? AND idempotency_key = ?"
REMOVE: Final = "DELETE FROM statement WHERE id = ? AND idempotency_key = ?"
"""Not by the number alone: that begins anew in a new file."""
T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Outbox:
    """Statements in order. Threads may share it; other processes may look at it and change it meanwhile.

    Every method raises OutboxUnusable when the file cannot be used; a later call tries anew.
    """

    def __init__(self, path: Path, *, limit: int) -> None:
        """At most `limit` statements are kept. Nothing is opened yet."""
        self.path: Final = path
        self._limit: Final = limit
        self._lock: Final = threading.RLock()
        self._conns: tuple[sqlite3.Connection, ...] = ()
        """Two, or none: the first for what must survive a power cut, the second for what is done once more, and comes
        to the same, should one undo it."""
        self._identity: tuple[int, int] | None = None
        self._count = 0
        self._log: Final = structlog.get_logger(component="outbox")

    def open(self) -> None:
        """Opens the file, or begins one. One that is damaged is set aside, and a new one begun."""
        with self._lock:
            try:
                self._open()
            except OutboxDamaged as e:
                self._set_aside(str(e))

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            conns, self._conns = self._conns, ()
            for conn in conns:
                conn.close()

    def put(self, draft: Draft, at: Instant) -> None:
        """Keeps a statement durably. The same one again is not kept twice; one that was refused is to be sent once
        more. Raises OutboxFull or KeyTaken."""
        self._done(lambda conn: self._put(conn, draft, at), durable=True)

    def oldest(self, *, but: Collection[Lane] = ()) -> Statement | None:
        """The first statement that is to be sent, of all lanes but those named."""
        where = "state = 'pending'"
        if but:
            where += f" AND {LANE} NOT IN ({','.join('?' * len(but))})"
        lanes = [_lane_name(lane) for lane in but]
        return self._done(lambda conn: rows.first(conn, f"{rows.SELECT} WHERE {where} ORDER BY id LIMIT 1", lanes))

    def next_in_line(self, idempotency_key: str) -> Statement | None:
        """The statement of this key, if it is to be sent and the first of its lane."""
        return self._done(lambda conn: rows.first(conn, NEXT_IN_LINE, [idempotency_key]))

    def holds(self, idempotency_key: str) -> bool:
        """Whether there is a statement of this key."""
        return self._done(lambda conn: rows.first(conn, BY_KEY, [idempotency_key])) is not None

    def remove(self, statement: Statement) -> None:
        """It goes: the store has it, or whoever stated it was told of the refusal."""
        self._done(lambda conn: self._remove(conn, statement))

    def refused(self, statement: Statement, code: str, why: str) -> None:
        """The store will not take it: it is kept for an operator."""
        self._done(lambda conn: conn.execute(REFUSE, (code, why, *_this(statement))))

    def failed(self, statement: Statement, why: str) -> None:
        """An attempt to send it failed."""
        self._done(lambda conn: conn.execute(FAIL, (why, *_this(statement))))

    def counts(self) -> Counts:
        """How much there is now. It waits for nobody who writes."""
        with closing(rows.look(self.path)) as conn, rows.told(self.path):
            pending, oldest = conn.execute("SELECT count(*), min(at) FROM statement WHERE state = 'pending'").fetchone()
            (refused,) = conn.execute("SELECT count(*) FROM statement WHERE state = 'refused'").fetchone()
        return Counts(pending=pending, refused=refused, oldest=oldest)

    def aside(self) -> Sequence[Path]:
        """Damaged files that were set aside, and are still there."""
        return sorted(p for p in self.path.parent.glob(f"{self.path.name}{ASIDE}*") if p.name[-1:].isdigit())

    def _put(self, conn: sqlite3.Connection, draft: Draft, at: Instant) -> None:
        known = rows.first(conn, BY_KEY, [draft.idempotency_key])
        if known is None:
            self._make_room(conn)
            values = (draft.idempotency_key, draft.tenant_id, draft.key, draft.request, at, draft.seal)
            conn.execute(ADD, values)
            self._count += 1
        elif known.request != draft.request:
            raise KeyTaken(f"{draft.idempotency_key!r} is in the outbox with another content: take a new key")
        elif known.state is State.REFUSED:
            rows.repend(conn, known.id)

    def _make_room(self, conn: sqlite3.Connection) -> None:
        if self._count >= self._limit:
            (self._count,) = conn.execute(COUNT).fetchone()  # an operator may have dropped some
        if self._count >= self._limit:
            raise OutboxFull(f"the outbox is full: the store has yet to take {self._count} statements")

    def _remove(self, conn: sqlite3.Connection, statement: Statement) -> None:
        self._count -= conn.execute(REMOVE, _this(statement)).rowcount

    def _done(self, work: Work[T], *, durable: bool = False) -> T:
        """One transaction; once more in a new file when this one proves damaged."""
        with self._lock:
            try:
                return self._in_transaction(work, durable)
            except OutboxDamaged as e:
                self._set_aside(str(e))
                return self._in_transaction(work, durable)

    def _in_transaction(self, work: Work[T], durable: bool) -> T:
        conn, count = self._opened(durable), self._count
        with rows.told(self.path):
            conn.execute("BEGIN IMMEDIATE")
            try:
                done = work(conn)
                conn.execute("COMMIT")
            except BaseException:
                self._count = count
                if conn.in_transaction:
                    conn.execute("ROLLBACK")
                raise
        return done

    def _opened(self, durable: bool) -> sqlite3.Connection:
        if self._conns and self._identify() != self._identity:
            self._log.error("the outbox was removed or replaced in use: what it held is lost", path=str(self.path))
            self.close()
        if not self._conns:
            self._open()
        return self._conns[0 if durable else 1]

    def _open(self) -> None:
        self.close()
        conns = [rows.connect(self.path, durable=True, create=True)]
        try:
            rows.checked(conns[0], self.path)
            conns.append(rows.connect(self.path, durable=False, create=False))
            with rows.told(self.path):
                (self._count,) = conns[0].execute(COUNT).fetchone()
        except BaseException:
            for conn in conns:
                conn.close()
            raise
        self._conns, self._identity = tuple(conns), self._identify()

    def _identify(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _set_aside(self, reason: str) -> None:
        """Renames the file, with what belongs to it, and begins a new one."""
        self.close()
        number = 1 + max((int(p.name.rpartition("-")[2]) for p in self.aside()), default=0)
        aside = self.path.with_name(f"{self.path.name}{ASIDE}{number}")
        with rows.told(self.path):
            for sign in ("-wal", "-shm", ""):
                part = Path(f"{self.path}{sign}")
                if part.exists():
                    part.rename(f"{aside}{sign}")
        self._log.error("the outbox was set aside: statements in it are not sent", reason=reason, aside=str(aside))
        self._open()


def _lane_name(lane: Lane) -> str:
    return "/".join(part.encode().hex().upper() for part in lane)


def _this(statement: Statement) -> tuple[int, str]:
    return statement.id, statement.idempotency_key
