"""Waiting until something may have been committed to a store, instead of asking it all the time.

A bell never fails: where it cannot listen it lets the time pass, so that whoever waits looks at the store all the same.
One thread waits; `interrupt` may come from any.
"""

from __future__ import annotations

import select
import socket
import sqlite3
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast
from urllib.parse import quote

from sync.store.db import Store

if TYPE_CHECKING:
    import psycopg

LOOKED_AT_EVERY: Final = 0.025
"""Seconds between two glances at a file."""
TRIED_EVERY: Final = 5.0
"""Seconds between two attempts to listen to a server, at least."""


class Bell(Protocol):
    """Of one store."""

    def wait(self, timeout: float) -> bool:
        """Until something may have been committed since the last wait began, or so many seconds have passed. True: the
        former, as always at first.
        """

    def interrupt(self) -> None:
        """Ends a wait under way, and every later one at once."""

    def close(self) -> None:
        """Lets go of what it listens by. A later wait listens anew."""


def bell_of(store: Store) -> Bell:
    """The bell of an open store."""
    return DatabaseBell(store) if store.file is None else FileBell(store.file)


class FileBell:
    """Of an SQLite file: another process' commit shows in `PRAGMA data_version`, another file by device and inode."""

    def __init__(self, path: Path) -> None:
        self._uri: Final = f"file:{quote(str(path))}?mode=ro"
        self._path: Final = path
        self._interrupted: Final = threading.Event()
        self._conn: sqlite3.Connection | None = None
        self._seen: tuple[int, int, int] | None = None

    def wait(self, timeout: float) -> bool:
        """See Bell."""
        until = time.monotonic() + timeout
        while not self._rang():
            left = until - time.monotonic()
            if left <= 0 or self._interrupted.wait(min(left, LOOKED_AT_EVERY)):
                return False
        return True

    def interrupt(self) -> None:
        """See Bell."""
        self._interrupted.set()

    def close(self) -> None:
        """See Bell."""
        self._seen = None
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def _rang(self) -> bool:
        try:
            now = self._look()
        except (OSError, sqlite3.Error):
            self.close()
            return False
        rang, self._seen = now != self._seen, now
        return rang

    def _look(self) -> tuple[int, int, int]:
        found = self._path.stat()
        identity = found.st_dev, found.st_ino
        if self._conn is None or self._seen is None or self._seen[:2] != identity:
            self.close()
            self._conn = sqlite3.connect(self._uri, uri=True, timeout=0.0, check_same_thread=False)
        (version,) = self._conn.execute("PRAGMA data_version").fetchone()
        return *identity, version


class DatabaseBell:
    """Of a PostgreSQL database: its writers notify of each revision."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self._open = ExitStack()
        self._conn: psycopg.Connection | None = None
        self._tried_at = float("-inf")
        self._ringing, self._rung = socket.socketpair()
        self._ringing.setblocking(False)

    def wait(self, timeout: float) -> bool:
        """See Bell."""
        until, errors = time.monotonic() + timeout, self._store.place.errors
        try:
            return self._listen() or self._heard(until)
        except errors:
            self.close()
            self._pass(until)
            return False

    def interrupt(self) -> None:
        """See Bell."""
        with suppress(OSError):  # full: it rings already
            self._ringing.send(b"!")

    def close(self) -> None:
        """See Bell."""
        self._conn = None
        self._open.close()

    def _listen(self) -> bool:
        """Whether it has begun to listen only now: what was committed before is not told."""
        from sync.store.postgresplace import CHANNEL  # 0.1 s, needed only there

        if self._conn is not None or time.monotonic() - self._tried_at < TRIED_EVERY:
            return False
        self._tried_at = time.monotonic()
        conn = self._open.enter_context(self._store.place.reading())
        raw = cast("psycopg.Connection", conn.connection.driver_connection)
        conn.detach()  # it goes back to no pool
        raw.autocommit = True
        raw.execute(f"LISTEN {CHANNEL}")
        self._conn = raw
        return True

    def _heard(self, until: float) -> bool:
        conn = self._conn
        if conn is None:
            self._pass(until)
            return False
        while not any(list(conn.notifies(timeout=0))):
            if self._pass(until, conn.fileno()):
                return False
        return True

    def _pass(self, until: float, *heard: int) -> bool:
        """Lets the time pass until something is to be heard. True: it is over, or it was interrupted."""
        poll = select.poll()
        for descriptor in (self._rung.fileno(), *heard):
            poll.register(descriptor, select.POLLIN)
        ready = poll.poll(max(0.0, until - time.monotonic()) * 1000)
        return not ready or self._rung.fileno() in dict(ready)
