"""Following a central store in a PostgreSQL database directly, as feed servers and single sidecars near it do.

What is read for one update is read in one view of the store. Its clock is the server's: it settles what `now` is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from sync.feed.backoff import Backoff
from sync.feed.bell import DatabaseBell
from sync.feed.reading import changes_since, everything, look, store_clock
from sync.history import Way, way
from sync.lines import Lines
from sync.sources import Change, FailureKind, Position, Sink, SyncFailed, Update
from sync.store.db import Store
from sync.store.errors import (
    StoreDenied,
    StoreError,
    StoreForeign,
    StoreLocked,
    StoreMissing,
    StoreTooNew,
    StoreTooOld,
    StoreUnavailable,
)
from sync.store.postgresplace import PostgresPlace

LOOK_EVERY: Final = 0.75
"""Seconds between two looks, should no word of a change come."""
PATIENCE: Final = 30.0
"""Seconds without a row or an answer after which a connection is given up."""
PROMPT: Final = 0.5
"""Seconds that it may have taken to be told the server's instant, for it to settle what `now` is."""

KINDS: Final = (
    (StoreTooNew, FailureKind.NEWER_SCHEMA),
    (StoreTooOld, FailureKind.OLDER_SCHEMA),
    (StoreDenied, FailureKind.DENIED),
    (StoreUnavailable, FailureKind.UNREACHABLE),
    (StoreLocked, FailureKind.LOCKED),
    (StoreMissing, FailureKind.MISSING),
    (StoreForeign, FailureKind.FOREIGN),
)
"""The first that fits."""
DAMAGED: Final = ("XX001", "XX002")
NO_TABLE: Final = "42P01"
"""SQLSTATEs."""


class PostgresSource:
    """The store in one database. Steps are to be made by one thread; each waits first until there may be news."""

    def __init__(
        self,
        url: str,
        *,
        look_every: float = LOOK_EVERY,
        patience: float = PATIENCE,
        chance: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`chance` is seeded by the operating system unless it is given; `clock`: in seconds, never set back.

        Nothing is opened yet. Raises StoreUnavailable for a text that is no URL of a database.
        """
        self.pace: Final = Backoff(chance or Random(), now=clock())  # noqa: S311 - it spreads a fleet, no more
        self._lines: Final = Lines(patience, clock)
        self._store: Final = Store(PostgresPlace(url, busy_timeout=5.0, connect=self._lines.connect))
        self._bell: Final = DatabaseBell(self._store)
        self._look_every: Final = look_every
        self._caught_up = False

    def step(self, sink: Sink) -> None:
        """Waits for news for a moment, unless there may be some; applies what is new and tells of the contact.

        Raises SyncFailed.
        """
        held = sink.position()
        try:
            if self._caught_up:
                with self._lines.watched():
                    self._bell.wait(self._look_every)
            self._look(sink, held)
        except StoreError as e:
            self._give_up()
            raise self._meant(e, held) from e
        except BaseException:
            self._give_up()
            raise

    def interrupt(self) -> None:
        """Ends a step under way, and has every later one fail."""
        self._lines.interrupt()
        self._bell.interrupt()

    def close(self) -> None:
        """Lets go of the connections."""
        self.interrupt()
        self._give_up()

    def _give_up(self) -> None:
        self._caught_up = False
        self._bell.close()

    def _look(self, sink: Sink, held: Position | None) -> None:
        self._refuse_interrupted()
        with self._lines.watched(), self._store.reading() as conn:
            asked = _elapsed()
            seen = look(conn, held)
            self._lines.heard()
            at, instant = seen.head.position, seen.instant
            found = way(held, seen.head, whole=sink.needs_snapshot(), name=self._store.name)
            if found is not Way.NOWHERE:
                since = None if found is Way.WHOLE or held is None else held.revision
                rows = everything(conn) if since is None else changes_since(conn, since)
                sink.apply(Update(position=at, snapshot=since is None, changes=self._rows(rows), digest=at.mark))
                asked, instant = _elapsed(), store_clock(conn)
            self._lines.rest()
            self._caught_up = found is not Way.WHOLE
            if self._caught_up:  # else much may have come meanwhile: the next step looks at once
                sink.contact(instant if _elapsed() - asked <= PROMPT else None)

    def _rows(self, rows: Iterator[Change]) -> Iterator[Change]:
        for change in rows:
            self._lines.rest()
            self._refuse_interrupted()
            yield change
            self._lines.heard()
        self._lines.rest()

    def _refuse_interrupted(self) -> None:
        if self._lines.interrupted.is_set():
            raise SyncFailed(FailureKind.INTERRUPTED, f"the store {self._store.name} is no longer followed")

    def _meant(self, error: StoreError, held: Position | None) -> SyncFailed:
        self._refuse_interrupted()
        name, state = self._store.name, _state(error)
        if self._lines.overdue:
            return SyncFailed(FailureKind.UNREACHABLE, f"the store {name} {self._lines.overdue}")
        if state in DAMAGED:
            return SyncFailed(FailureKind.CORRUPT, error.advice)
        emptied = isinstance(error, StoreForeign) or (isinstance(error, StoreMissing) and state == NO_TABLE)
        if held is not None and emptied:
            return SyncFailed(
                FailureKind.HISTORY_WENT_BACK, f"{error.advice}; store {held.store_id} is served as it was"
            )
        kind = next((kind for of, kind in KINDS if isinstance(error, of)), FailureKind.UNREADABLE)
        return SyncFailed(kind, error.advice)


def _state(error: StoreError) -> str:
    """The SQLSTATE that the server gave; "": none."""
    cause = error.__cause__
    return str(getattr(getattr(cause, "orig", cause), "sqlstate", None) or "")


def _elapsed() -> float:
    """Seconds since some instant, time asleep counted."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
