"""The sidecar's copy of all entitlements on disk, from which a restart serves at once (architecture 2.11).

An update is one durable transaction, and refused when what there would be then is not what the store says that it
holds. The copy knows what it should hold: a digest of all rows, kept up with every change and compared whenever all are
read. A copy that is not whole is set aside, and a new one begun.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import structlog

from sidecar.core.model import Instant
from sidecar.state import copyfile
from sidecar.state.copyfile import WORTHLESS, CopyFailed, CopyKind, Stamp, told
from sync.digest import EMPTY, as_number, as_text, row_mark
from sync.sources import Change, FailureKind, Position, SyncFailed, Update

CHUNK: Final = 256
"""Rows read, or written, at a time."""
FILES: Final = ("", "-wal", "-shm")
KEPT: Final = 3
"""How many of the copies set aside stay on disk: the latest."""

PUT: Final = "INSERT INTO tenant (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record"
Tally = tuple[int, str]
"""Rows, and their digest."""
NOTHING: Final[Tally] = (0, EMPTY)


class LocalCopy:
    """The copy in one file, in a directory that is this process' own. To be used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.stamp: Stamp | None = None
        """What it holds; None: nothing whole, or not open."""
        self.set_aside_because = ""
        """Why an earlier copy was last set aside, by this process; for people."""
        self._conn: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._log: Final = structlog.get_logger(component="local copy")

    @property
    def is_open(self) -> bool:
        """Whether it can be read and changed."""
        return self._conn is not None

    @property
    def position(self) -> Position | None:
        """How far it reaches in the store's history; None: it is empty, or not open."""
        return self.stamp.position if self.stamp else None

    def open(self) -> CopyFailed | None:
        """Opens the file. One that is worthless is set aside, an empty one begun, and its failure returned.

        Raises CopyFailed.
        """
        try:
            self._connect()
        except CopyFailed as e:
            if e.kind not in WORTHLESS:
                raise
            self.set_aside(e.problem)
            return e
        return None

    def close(self) -> None:
        """Closes the file."""
        self.stamp = None
        if self._conn is not None:
            conn, self._conn = self._conn, None
            conn.close()

    def rows(self) -> Iterator[tuple[str, bytes]]:
        """Every tenant's record. Raises CopyFailed, at the end with DAMAGED if these are not all, or not as written."""
        conn, stamp = self._opened(), self.stamp
        count, total = 0, 0
        with told(self.path):
            cursor = conn.execute("SELECT id, record FROM tenant")
        while chunk := self._fetch(cursor):
            count, total = count + len(chunk), total + self._sum(chunk)
            yield from chunk
        held, expected = (count, as_text(total)), (stamp.tenants, stamp.digest) if stamp else NOTHING
        if held != expected:
            raise self._damaged("{} tenants of digest {}, it should be {} of {}".format(*held, *expected))

    def apply(self, update: Update, *, at: Instant) -> None:
        """Brings the copy to where the update leads, durably or not at all. A snapshot replaces everything.

        Raises CopyFailed, SyncFailed (WRONG_DIGEST), and whatever going through the changes raises.
        """
        position = update.position
        conn = self._opened()
        self._refuse(position)
        try:
            with told(self.path):
                conn.execute("BEGIN IMMEDIATE")
            tenants, held = self._write(conn, update.snapshot, update.changes)
            _refuse_other(held, update)
            stamp = Stamp(position.store_id, position.revision, position.mark, tenants, held, at)
            with told(self.path):
                copyfile.write_stamp(conn, stamp)
                conn.execute("COMMIT")
                if update.snapshot:
                    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except BaseException:
            self.close()  # undoes what was begun; opened again, the file says what it holds
            raise
        self.stamp = stamp

    def set_aside(self, reason: str) -> None:
        """Renames a file that cannot be trusted and begins an empty copy; keeps the latest few. Raises CopyFailed."""
        self.close()
        with told(self.path):
            aside = self._rename()
        self.set_aside_because = reason
        self._log.error("the local copy was set aside, and is rebuilt from the store", reason=reason, aside=str(aside))
        self._connect()

    def _connect(self) -> None:
        conn = copyfile.connect(self.path)
        try:
            self.stamp = copyfile.read_stamp(conn, self.path)
            self._identity = self._identify()
        except BaseException:
            conn.close()
            raise
        self._conn = conn

    def _opened(self) -> sqlite3.Connection:
        if self._conn is None:
            raise CopyFailed(CopyKind.UNWRITABLE, f"the local copy {self.path} is not open")
        if self._identify() != self._identity:
            self.close()
            raise CopyFailed(CopyKind.LOST, f"the local copy {self.path} was removed or replaced; it is rebuilt")
        return self._conn

    def _identify(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _refuse(self, position: Position) -> None:
        if self.position is not None and not self.position.precedes(position):
            raise CopyFailed(
                CopyKind.GOES_BACK, f"the local copy {self.path} is at {self.position}, it is not taken to {position}"
            )

    def _write(self, conn: sqlite3.Connection, snapshot: bool, changes: Iterable[Change]) -> Tally:
        tenants, held = (self.stamp.tenants, self.stamp.digest) if self.stamp and not snapshot else NOTHING
        total = as_number(held)
        if snapshot:
            with told(self.path):
                conn.execute("DELETE FROM tenant")
        changes = iter(changes)
        while chunk := list(islice(changes, CHUNK)):
            with told(self.path):
                old = () if snapshot else self._old(conn, chunk)
                put = [(tenant_id, record) for tenant_id, record in chunk if record is not None]
                conn.executemany("DELETE FROM tenant WHERE id = ?", [(i,) for i, record in chunk if record is None])
                conn.executemany(PUT, put)
            tenants += len(put) - len(old)
            total += self._sum(put) - self._sum(old)
        return tenants, as_text(total)

    def _old(self, conn: sqlite3.Connection, chunk: Sequence[Change]) -> list[tuple[str, bytes]]:
        holes = ",".join("?" * len(chunk))
        return conn.execute(f"SELECT id, record FROM tenant WHERE id IN ({holes})", [i for i, _ in chunk]).fetchall()  # noqa: S608

    def _fetch(self, cursor: sqlite3.Cursor) -> list[tuple[str, bytes]]:
        with told(self.path):
            return cursor.fetchmany(CHUNK)

    def _sum(self, rows: Iterable[tuple[str, bytes]]) -> int:
        try:
            return sum(row_mark(tenant_id, record) for tenant_id, record in rows)
        except (AttributeError, TypeError) as e:  # the file's types are not what was written
            raise self._damaged(str(e)) from e

    def _damaged(self, what: str) -> CopyFailed:
        return CopyFailed(CopyKind.DAMAGED, f"the local copy {self.path} is damaged: {what}")

    def _rename(self) -> Path:
        numbers = sorted(
            int(p.name.rpartition("-")[2]) for p in self.path.parent.glob(f"{self.path.name}.aside-*[0-9]")
        )
        for number in numbers[: max(0, len(numbers) - KEPT + 1)]:
            for sign in FILES:
                Path(f"{self.path}.aside-{number}{sign}").unlink(missing_ok=True)
        aside = f"{self.path}.aside-{numbers[-1] + 1 if numbers else 1}"
        for sign in FILES:
            if os.path.lexists(f"{self.path}{sign}"):
                os.replace(f"{self.path}{sign}", f"{aside}{sign}")
        return Path(aside)


def _refuse_other(held: str, update: Update) -> None:
    if held != update.digest:
        raise SyncFailed(
            FailureKind.WRONG_DIGEST,
            f"with what came the digest would be {held[:16]}, at revision {update.position.revision} the store says"
            f" {update.digest[:16]}: nothing was changed, and everything is asked for anew",
        )
