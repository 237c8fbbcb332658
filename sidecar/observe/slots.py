"""Counting at the price of a list increment: each thread counts in lists of its own, and a scrape adds them up.

`slots[i] += 1` is not atomic across threads, so no two threads share a list; none loses a count, and none takes a lock.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Final

Labels = tuple[str, ...]
OTHER: Final = "other"


class Family:
    """Counters of one name, told apart by labels. Their number is bounded: further label sets count as "other"."""

    def __init__(self, *, first: int, labels: Sequence[str], bound: int) -> None:
        """`first` is the family's first slot; it takes `bound` of them, the last being the one for "other"."""
        self.labels: Final = tuple(labels)
        self.slots: Final = range(first, first + bound)
        self._known: Final[dict[Labels, int]] = {}
        self._declared: Final[set[int]] = set()
        self._lock: Final = threading.Lock()

    def slot(self, *values: str) -> int:
        """The slot that counts these label values; the same values always have the same one."""
        found = self._known.get(values)
        return self._intern(values) if found is None else found

    def declare(self, *values: str) -> None:
        """Shows these label values from the start, at zero, so that a first increase can be seen."""
        self._declared.add(self.slot(*values))

    def read(self, totals: Sequence[int]) -> Iterator[tuple[Labels, int]]:
        """Every label set that was counted or declared, and its count."""
        with self._lock:
            known = list(self._known.items())
        known.append(((OTHER,) * len(self.labels), self.slots[-1]))
        for values, slot in known:
            if totals[slot] or slot in self._declared:
                yield values, totals[slot]

    def _intern(self, values: Labels) -> int:
        with self._lock:
            if values not in self._known and len(self._known) == len(self.slots) - 1:
                return self.slots[-1]
            return self._known.setdefault(values, self.slots[len(self._known)])


class Tally:
    """What one thread counted: slots, latencies by bucket, and their sum in seconds."""

    __slots__ = ("buckets", "counts", "seconds")

    def __init__(self, slots: int, buckets: int) -> None:
        self.counts: Final = [0] * slots
        self.buckets: Final = [0] * buckets
        self.seconds = 0.0

    def add(self, other: Tally) -> None:
        """Adds what another one counted."""
        for mine, theirs in ((self.counts, other.counts), (self.buckets, other.buckets)):
            for i, n in enumerate(theirs):
                if n:
                    mine[i] += n
        self.seconds += other.seconds


class Tallies:
    """The tallies of all threads. Those of threads that ended are folded into one, so that none is lost or kept."""

    def __init__(self, *, slots: int, bounds: Sequence[float]) -> None:
        """`bounds`: upper bounds of the latency buckets in seconds, rising; one more bucket takes what is beyond."""
        self.bounds: Final = tuple(bounds)
        self._slots: Final = slots
        self._ended: Final = self.fresh()
        self._living: list[tuple[threading.Thread, Tally]] = []
        self._lock: Final = threading.Lock()

    def fresh(self) -> Tally:
        """An empty tally that is not added up."""
        return Tally(self._slots, len(self.bounds) + 1)

    def join(self) -> Tally:
        """A tally for the calling thread, and for it alone."""
        tally = self.fresh()
        with self._lock:
            self._living.append((threading.current_thread(), tally))
        return tally

    def total(self) -> Tally:
        """All that was counted so far."""
        total = self.fresh()
        with self._lock:
            living = []
            for thread, tally in self._living:
                if thread.is_alive():
                    living.append((thread, tally))
                    total.add(tally)
                else:
                    self._ended.add(tally)
            self._living = living
            total.add(self._ended)
        return total
