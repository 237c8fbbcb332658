"""The one look at the store for all watchers of a feed server: where it is, what changed, and who may follow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

import structlog

from sidecar.core.model import SECOND, Instant
from sync.feed.bell import Bell
from sync.feed.reading import changes_since, look
from sync.feed.window import Delta
from sync.feed.wire import batch_bytes
from sync.history import Head, Way, way
from sync.sources import Change, Position, SyncFailed
from sync.store.db import Store
from sync.store.errors import StoreError
from sync.store.operators import Operator, sidecars

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the store, should no word of a change come."""
AFTER_TROUBLE: Final = 0.5
DOORS_EVERY: Final = 5.0
"""Seconds between two readings of who may follow: so long a token that is void may still do."""
MOST_ROWS: Final = 2_000
MOST_BYTES: Final = 1024 * 1024
"""Of a delta that all watchers share: what changed more goes to each from the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look found. `delta` leads to it from what was found before, where that is at hand."""

    position: Position
    instant: Instant
    """By the store's clock, when the reader's own said `at`."""
    at: float
    """Seconds, time asleep counted."""
    delta: Delta | None = None
    anew: bool = False
    """The history that was followed so far is not the store's any more."""


Doors = Mapping[str, Operator]
"""The sidecars that are let in, by their token's digest."""


def elapsed() -> float:
    """Seconds since some instant, time asleep counted."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Eye:
    """A thread that looks, and tells. What it tells is told in order."""

    def __init__(
        self,
        store: Store,
        bell: Bell,
        *,
        on_seen: Callable[[Seen], None],
        on_trouble: Callable[[str], None],
        on_doors: Callable[[Doors], None],
    ) -> None:
        self._store: Final = store
        self._bell: Final = bell
        self._on_seen: Final = on_seen
        self._on_trouble: Final = on_trouble
        self._on_doors: Final = on_doors
        self._held: Position | None = None
        self._doors_at = float("-inf")
        self._stopping: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="deskgate-eye", daemon=True)
        self._log: Final = structlog.get_logger(component="feed")

    def start(self) -> None:
        """Begins to look. Once only."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._stopping.set()
        self._bell.interrupt()
        if self._thread.ident is not None:
            self._thread.join()
        self._bell.close()

    @property
    def alive(self) -> bool:
        """Whether it looks."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self.look():
                self._bell.wait(LOOK_EVERY)
            else:
                self._stopping.wait(AFTER_TROUBLE)

    def look(self) -> bool:
        """Looks once. Never raises: what fails is told."""
        try:
            self._on_seen(self._seen())
        except StoreError as e:
            self._on_trouble(str(e))
            return False
        except Exception as e:
            self._log.exception("looking at the store failed unexpectedly")
            self._on_trouble(f"{type(e).__name__}: {e}")
            return False
        return True

    def _seen(self) -> Seen:
        with self._store.reading() as conn:
            if elapsed() - self._doors_at >= DOORS_EVERY:
                self._on_doors(sidecars(conn))
                self._doors_at = elapsed()
            seen, at, held = look(conn, self._held), elapsed(), self._held
            found, anew = self._way(held, seen.head)
            position = seen.head.position
            delta = None
            if found is Way.BY_CHANGES and held is not None:
                changes = tuple(islice(changes_since(conn, held.revision), MOST_ROWS + 1))
                if len(changes) <= MOST_ROWS:
                    delta = delta_of(held, position, changes, at)
        self._held = position
        return Seen(position=position, instant=seen.instant, at=at, delta=delta, anew=anew)

    def _way(self, held: Position | None, head: Head) -> tuple[Way, bool]:
        try:
            return way(held, head, whole=False, name=self._store.name), False
        except SyncFailed:
            return Way.WHOLE, True


def delta_of(since: Position, position: Position, changes: tuple[Change, ...], at: float) -> Delta | None:
    """What leads from one position to the next for everyone; None where it is too much to be kept at hand."""
    if sum(len(record or b"") for _, record in changes) > MOST_BYTES:
        return None
    batch = batch_bytes(
        position=position,
        snapshot=False,
        since_revision=since.revision,
        changes=changes,
        more=False,
        digest=position.mark,
    )
    return Delta(since=since, position=position, changes=changes, batch=batch, read_at=at)


def store_instant(seen: Seen, at: float) -> Instant:
    """What the store's clock says when the reader's own says `at`."""
    return seen.instant + int((at - seen.at) * SECOND)
