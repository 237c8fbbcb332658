"""Connections to a PostgreSQL server that can be cut from another thread: so that nothing blocks on one for long."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from typing import Any, Final
from weakref import WeakSet

import psycopg

WATCHED_EVERY: Final = 0.25
CUT: Final = "connection failed: it was broken off here"


class Lines:
    """All connections of one source: what blocks on one of them ends when it is cut, by an interruption or because
    nothing was heard for too long.
    """

    def __init__(self, patience: float, clock: Callable[[], float]) -> None:
        self.interrupted: Final = threading.Event()
        self.overdue = ""
        """Why the lines were cut, when nothing was heard."""
        self._patience: Final = patience
        self._clock: Final = clock
        self._lock: Final = threading.Lock()
        self._open: Final[WeakSet[psycopg.Connection]] = WeakSet()
        self._coming: Future[psycopg.Connection] | None = None
        self._heard_at: float | None = None
        """When something last came over a line; None: nothing is waited for."""
        self._watchdog: threading.Thread | None = None

    def connect(self, **how: Any) -> psycopg.Connection:
        """One more. Raises psycopg.Error, at once when the lines are cut: to be connected cannot be broken off, so it
        is done by a thread that may be left to it.
        """
        coming: Future[psycopg.Connection] = Future()
        with self._lock:
            if self.interrupted.is_set() or self.overdue:
                raise psycopg.OperationalError(CUT)
            self._coming = coming
        threading.Thread(target=_connect, args=(coming, how), name="deskgate-connect", daemon=True).start()
        line = coming.result()
        with self._lock:
            self._coming = None
            self._open.add(line)
        if self.interrupted.is_set():  # it was too late for this one
            line.close()
            raise psycopg.OperationalError(CUT)
        return line

    @contextmanager
    def watched(self) -> Iterator[None]:
        """In the block something is waited for, until it is said that it is not."""
        self.overdue = ""
        self.heard()
        if self._watchdog is None:
            self._watchdog = threading.Thread(target=self._watch, name="deskgate-store-watchdog", daemon=True)
            self._watchdog.start()
        try:
            yield
        finally:
            self.rest()

    def heard(self) -> None:
        """Something came, and more is waited for."""
        self._heard_at = self._clock()

    def rest(self) -> None:
        """Nothing is waited for."""
        self._heard_at = None

    def interrupt(self) -> None:
        """Cuts all of them, for good."""
        self.interrupted.set()
        self._cut()

    def _watch(self) -> None:
        while not self.interrupted.wait(min(WATCHED_EVERY, self._patience)):
            heard_at = self._heard_at
            if heard_at is not None and self._clock() - heard_at > self._patience:
                self.overdue = f"said nothing for {self._patience:g} s"
                self._cut()

    def _cut(self) -> None:
        with self._lock:
            lines, coming = list(self._open), self._coming
        if coming is not None:
            with suppress(InvalidStateError):
                coming.set_exception(psycopg.OperationalError(CUT))
        for line in lines:
            with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(line.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)


def _connect(coming: Future[psycopg.Connection], how: dict[str, Any]) -> None:
    try:
        line = psycopg.connect(**how)
    except BaseException as e:
        with suppress(InvalidStateError):
            coming.set_exception(e)
        return
    try:
        coming.set_result(line)
    except InvalidStateError:  # nobody waits for it any more
        line.close()
