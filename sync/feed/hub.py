"""What a feed server knows of its store, for all its watchers. To be used in the server's event loop alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from sync.feed.errors import Stopping
from sync.feed.eye import LOOK_EVERY, Doors, Seen, elapsed, store_instant
from sync.feed.window import MOST_BYTES, Delta, Next, Window, next_for
from sync.feed.wire import heartbeat_bytes
from sync.sources import Position
from sync.store.operators import Operator, token_digest

INTERVAL: Final = 5.0
"""Seconds between two heartbeats."""
OUT_OF_TOUCH: Final = 5 * LOOK_EVERY
"""Seconds without a look that went well, after which the store counts as out of reach."""


class Hub:
    """The store's position, its latest changes, and whether it is in touch."""

    def __init__(self, *, interval: float = INTERVAL, window_bytes: int = MOST_BYTES) -> None:
        self.interval: Final = interval
        self.window: Final = Window(window_bytes)
        self.seen: Seen | None = None
        """The last look that went well."""
        self.problem = ""
        """Why the last look failed; "": it did not."""
        self._looking_since: Final = elapsed()
        self.history = 0
        """How often the store's history has changed, so that what was read before is of no use any more."""
        self.closing = False
        self.changed = asyncio.Event()
        """Set when there is news, and then replaced: who takes it before looking misses none."""
        self._doors = Doors()
        self._by_name: Mapping[str, Operator] = {}
        self._log: Final = structlog.get_logger(component="feed")

    @property
    def head(self) -> Position | None:
        """Where the store is; None: not known yet."""
        return self.seen.position if self.seen else None

    @property
    def in_touch(self) -> bool:
        """Whether the store answered lately."""
        return self.seen is not None and elapsed() - self.seen.at <= OUT_OF_TOUCH

    # What the eye tells

    def take(self, seen: Seen) -> None:
        """A look went well."""
        before = self.head
        if seen.broken:
            self._log.error("the store has another history now", revision=seen.position.revision, problem=seen.broken)
            self.window.clear()
            self.history += 1
        if seen.delta is not None:
            self.window.put(seen.delta)
        if self.problem or before is None:
            self._log.info("the store is in touch", revision=seen.position.revision)
        self.seen, self.problem = seen, ""
        if seen.position != before:
            self.wake()

    def trouble(self, problem: str) -> None:
        """A look failed."""
        if not self.problem:
            self._log.error("the store cannot be read", problem=problem)
        self.problem = problem

    def doors(self, doors: Doors) -> None:
        """Who may follow."""
        before, self._doors = self._doors, doors
        self._by_name = {operator.name: operator for operator in doors.by_token.values()}
        if doors.by_token != before.by_token:
            self.wake()

    # What watchers ask

    def next_for(self, at: Position | None) -> Delta | Next:
        """What a watcher at `at` is to be sent."""
        return next_for(at, self.head, self.window) if self.head else Next.NOTHING

    def knows(self, at: Position) -> bool:
        """Whether a position is known, without asking the store, to be one of its history."""
        return at == self.head or self.window.after(at) is not None

    def heartbeat(self, at: Position | None) -> bytes:
        """The heartbeat for a watcher that was sent everything up to `at`: a contact if that was the store's position
        within the last interval.
        """
        now = elapsed()
        if now - (self.seen.at if self.seen else self._looking_since) > OUT_OF_TOUCH:
            problem = self.problem or "it does not answer"
            return heartbeat_bytes(position=None, store_instant=0, interval=self.interval, problem=problem)
        if at is None or self.seen is None or not self._current(at, now):
            return heartbeat_bytes(position=None, store_instant=0, interval=self.interval)
        return heartbeat_bytes(position=at, store_instant=store_instant(self.seen, now), interval=self.interval)

    def _current(self, at: Position, now: float) -> bool:
        if at == self.head:
            return True
        delta = self.window.after(at)
        return delta is not None and now - delta.left_at < self.interval

    def sidecar(self, token: str) -> Operator | None:
        """Whose token it is, as far as is known here."""
        return self._doors.by_token.get(token_digest(token)) if token else None

    def named(self, name: str) -> Operator | None:
        """The sidecar of a name, if it is let in."""
        return self._by_name.get(name)

    @property
    def doors_at(self) -> float:
        """When it was last found out who is let in, in seconds as `elapsed` has them."""
        return self._doors.at

    # Waiting

    async def news(self, changed: asyncio.Event, seconds: float) -> None:
        """Waits until `changed`, which was this hub's, is set: the store has moved on, say. Or so many seconds."""
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await changed.wait()
        except TimeoutError:
            return

    async def reach(self, revision: int) -> None:
        """Waits until the store is at a revision. Raises Stopping."""
        while self.head is None or self.head.revision < revision:
            if self.closing:
                raise Stopping("this replica is stopping")
            await self.changed.wait()

    def close(self) -> None:
        """Has all who wait come to an end."""
        self.closing = True
        self.wake()

    def wake(self) -> None:
        """Wakes all who wait."""
        self.changed.set()
        self.changed = asyncio.Event()
