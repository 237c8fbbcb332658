"""What a feed server knows of its store, for all its watchers. To be used in the server's event loop alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from sidecar.core.model import Instant
from sync.feed.eye import LOOK_EVERY, Doors, Seen, elapsed, store_instant
from sync.feed.window import Delta, Next, Window, next_for
from sync.feed.wire import heartbeat_bytes
from sync.sources import Position
from sync.store.operators import Operator, token_digest

INTERVAL: Final = 5.0
"""Seconds between two heartbeats."""
OUT_OF_TOUCH: Final = 5 * LOOK_EVERY
"""Seconds without a look that went well, after which the store counts as out of reach."""


class Hub:
    """The store's position, its latest changes, and whether it is in touch."""

    def __init__(self, *, interval: float = INTERVAL) -> None:
        self.interval: Final = interval
        self.window: Final = Window()
        self.seen: Seen | None = None
        """The last look that went well."""
        self.problem = "it was not looked at yet"
        """Why the store is out of touch; "": it is not."""
        self.closing = False
        self.doors_at = float("-inf")
        """When it was last found out who may follow."""
        self._by_token: Doors = {}
        self._by_name: Mapping[str, Operator] = {}
        self._changed = asyncio.Event()
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
        if seen.anew:
            self._log.error("the store's history went back, or it is another one", position=seen.position)
            self.window.clear()
        if seen.delta is not None:
            self.window.put(seen.delta)
        if self.problem:
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
        self.doors_at = elapsed()
        self._by_token, self._by_name = doors, {operator.name: operator for operator in doors.values()}

    # What watchers ask

    def next_for(self, at: Position | None, *, whole: bool) -> Delta | Next:
        """What a watcher at `at` is to be sent; only once `head` is known."""
        assert self.seen is not None  # noqa: S101
        return next_for(at, self.seen.position, self.window, whole=whole)

    def heartbeat(self, at: Position | None) -> bytes:
        """The heartbeat for a watcher that was sent everything up to `at`: a contact if that was the store's position
        within the last interval.
        """
        now = elapsed()
        if not self.in_touch or self.seen is None:
            problem = self.problem or "it does not answer"
            return heartbeat_bytes(position=None, store_instant=0, interval=self.interval, problem=problem)
        if at is None or not self._current(at, now):
            return heartbeat_bytes(position=None, store_instant=0, interval=self.interval)
        return heartbeat_bytes(position=at, store_instant=store_instant(self.seen, now), interval=self.interval)

    def now(self) -> Instant:
        """What the store's clock says; only once it was seen."""
        assert self.seen is not None  # noqa: S101
        return store_instant(self.seen, elapsed())

    def _current(self, at: Position, now: float) -> bool:
        if at == self.head:
            return True
        delta = self.window.after(at)
        return delta is not None and now - delta.read_at < self.interval

    def sidecar(self, token: str) -> Operator | None:
        """Whose token it is, as far as is known here."""
        return self._by_token.get(token_digest(token)) if token else None

    def named(self, name: str) -> Operator | None:
        """The sidecar of a name, if it is let in."""
        return self._by_name.get(name)

    # Waiting

    async def change(self, seconds: float) -> None:
        """Waits until the store has moved on, or so many seconds."""
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._changed.wait()
        except TimeoutError:
            return

    async def reach(self, revision: int) -> None:
        """Waits until the store is at a revision."""
        while self.head is None or self.head.revision < revision:
            await self._changed.wait()

    def wake(self) -> None:
        """Wakes all who wait."""
        self._changed.set()
        self._changed = asyncio.Event()
