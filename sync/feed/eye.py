"""The one look at the store for all watchers of a feed server: where it is, what changed, and who may follow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import structlog
from sqlalchemy import Connection

from sidecar.core.model import SECOND, Instant
from sync.feed.bell import Bell
from sync.feed.reading import changes_since, look
from sync.feed.window import Delta, weight
from sync.feed.wire import batch_bytes
from sync.history import Way, way
from sync.sources import Change, Position, SyncFailed
from sync.store.db import Store
from sync.store.errors import StoreError
from sync.store.operators import Operator, sidecars

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the store, should no word of a change come."""
AFTER_TROUBLE: Final = 0.5
STOP_SECONDS: Final = 2.0
"""How long a look under way may take to end once it is not wanted any more."""
DOORS_EVERY: Final = 5.0
"""Seconds between two readings of who may follow: so long a token that is void may still do."""
MOST_BYTES: Final = 1024 * 1024
"""Of the changes in a delta: who is behind by more is sent the whole store, from the file that all share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look found. `delta` leads to it from what was found before, where that is at hand."""

    position: Position
    instant: Instant
    """By the store's clock, when the reader's own said `at`."""
    at: float
    """Seconds, time asleep counted."""
    delta: Delta | None = None
    broken: str = ""
    """Why this is not a later state of what was found before; "": it is, or nothing was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The sidecars that are let in, by their token's digest, as the store had it at `at` or later."""

    at: float = float("-inf")
    by_token: Mapping[str, Operator] = field(default_factory=lambda: MappingProxyType({}))


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
        self._last: Seen | None = None
        self._doors_at = float("-inf")
        self._stopping: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="deskgate-eye", daemon=True)
        self._log: Final = structlog.get_logger(component="feed")

    def start(self) -> None:
        """Begins to look. Once only."""
        self._thread.start()

    def stop(self) -> bool:
        """Ends it. False: it hangs at a store that does not answer, and ends with the process."""
        self._stopping.set()
        self._bell.interrupt()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            return False
        self._bell.close()
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._look()
                self._bell.wait(LOOK_EVERY)
            except Exception as e:  # whatever it is, it must go on looking
                self._tell(e)
                self._stopping.wait(AFTER_TROUBLE)

    def _tell(self, error: Exception) -> None:
        if not isinstance(error, StoreError):
            self._log.error("looking at the store failed unexpectedly", exc_info=error)
        self._on_trouble(str(error) if isinstance(error, StoreError) else type(error).__name__)

    def _look(self) -> None:
        began = elapsed()
        with self._store.reading() as conn:
            if began - self._doors_at >= DOORS_EVERY:
                self._on_doors(Doors(at=began, by_token=sidecars(conn)))
                self._doors_at = began
            seen = self._seen(conn, self._last)
        self._last = seen
        self._on_seen(seen)

    def _seen(self, conn: Connection, last: Seen | None) -> Seen:
        held = last.position if last else None
        seen, at = look(conn, held), elapsed()
        position, delta, broken = seen.head.position, None, ""
        if last is not None:
            try:
                found = way(held, seen.head, whole=False, name=self._store.name)
            except SyncFailed as e:
                found, broken = Way.WHOLE, e.problem
            if found is Way.BY_CHANGES:
                delta = delta_of(conn, last.position, position, left_at=last.at)
            elif not broken and last.position.revision < seen.head.restored:
                broken = "an operator said that its present state is meant"
        return Seen(position=position, instant=seen.instant, at=at, delta=delta, broken=broken)


def delta_of(conn: Connection, since: Position, position: Position, *, left_at: float) -> Delta | None:
    """What leads from one position to where this view of the store is; None: too much for one message."""
    changes: list[Change] = []
    size = 0
    for change in changes_since(conn, since.revision):
        changes.append(change)
        size += weight(*change)
        if size > MOST_BYTES:
            return None
    return delta_with(since, position, tuple(changes), left_at=left_at)


def delta_with(since: Position, position: Position, changes: tuple[Change, ...], *, left_at: float) -> Delta:
    """What leads from one position to a later one by these changes."""
    batch = batch_bytes(
        position=position,
        snapshot=False,
        since_revision=since.revision,
        changes=changes,
        more=False,
        digest=position.mark,
    )
    return Delta(since=since, position=position, changes=changes, batch=batch, left_at=left_at)


def store_instant(seen: Seen, at: float) -> Instant:
    """What the store's clock says when the reader's own says `at`."""
    return seen.instant + int((at - seen.at) * SECOND)
