"""What a feed server has at hand of the store's latest changes, and what a watcher is to be sent next. Pure.

Watchers pull: nothing is queued for any of them. One that falls behind the window is brought up from the store, by the
changes since or by the whole of it, so a slow one costs no memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from sync.sources import Change, Position

MOST_BYTES: Final = 32 * 1024 * 1024
"""Of changes that the window holds."""
ROW_BYTES: Final = 200
"""Of a change, beside its record: what it takes in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What leads from one position to a later one; `batch` is the same as it goes over the wire, its number apart."""

    since: Position
    position: Position
    changes: tuple[Change, ...]
    batch: bytes
    left_at: float
    """When the store was last seen at `since`, in seconds of the reader's own; -inf: that is not known."""

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return 2 * len(self.batch) + ROW_BYTES * len(self.changes)


class Window:
    """The latest deltas, each found by where it begins. Those first put in are the first to go."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most: Final = most_bytes
        self._order: Final[deque[Delta]] = deque()
        self._found: Final[dict[Position, Delta]] = {}
        self.size = 0
        """Bytes that it holds."""

    def put(self, delta: Delta) -> None:
        """Takes a delta in, and lets go of the oldest beyond the bound."""
        self._order.append(delta)
        self._found[delta.since] = delta
        self.size += delta.size
        while self.size > self._most:
            oldest = self._order.popleft()
            self.size -= oldest.size
            if self._found.get(oldest.since) is oldest:
                del self._found[oldest.since]

    def clear(self) -> None:
        """Lets go of everything: the history that it was of is not the store's any more."""
        self._order.clear()
        self._found.clear()
        self.size = 0

    def after(self, position: Position) -> Delta | None:
        """What leads on from a position, if it is at hand."""
        return self._found.get(position)


class Next(Enum):
    """What a watcher is to be sent, where it is no delta of the window's."""

    NOTHING = auto()
    """It is where the store is."""
    CHANGES = auto()
    """The changes since its position, from the store."""
    WHOLE = auto()
    """Everything."""


def next_for(at: Position | None, head: Position, window: Window) -> Delta | Next:
    """What comes next for a watcher that is at `at`, None: nowhere, while the store is at `head`."""
    if at is None:
        return Next.WHOLE
    if at == head:
        return Next.NOTHING
    return window.after(at) or Next.CHANGES


def weight(tenant_id: str, record: bytes | None) -> int:
    """About how many bytes a change is, on its way."""
    return len(tenant_id) + len(record or b"")


def split(changes: Iterable[Change], *, most_bytes: int, most_rows: int) -> Iterable[tuple[list[Change], bool]]:
    """Changes, so many at a time that no message gets large (one record may be larger), and whether more follow.

    There is always at least one part, even an empty one.
    """
    part: list[Change] = []
    size = 0
    for tenant_id, record in changes:
        more = weight(tenant_id, record)
        if part and (size + more > most_bytes or len(part) >= most_rows):
            yield part, True
            part, size = [], 0
        part.append((tenant_id, record))
        size += more
    yield part, False
