"""How soon a source is looked at again: each has a pace of its own, which is told how its steps go."""

from __future__ import annotations

from typing import Final, Protocol

SLOWEST: Final = 1.0
"""Seconds between two looks at a file at most, however long they have been failing."""


class Pace(Protocol):
    """Of one source. `now` is in seconds, of a clock that only goes forward."""

    def well(self, now: float) -> float:
        """A step went well: how many seconds to wait until the next one."""

    def failed(self, now: float) -> float:
        """A step failed: how many seconds to wait until the next one."""


class Steady:
    """Of a file on this machine: looked at every `interval` seconds; while that fails, up to `SLOWEST` apart."""

    def __init__(self, interval: float) -> None:
        self.interval: Final = interval
        self._delay = interval

    def well(self, now: float) -> float:
        """The interval."""
        self._delay = self.interval
        return self._delay

    def failed(self, now: float) -> float:
        """Twice as long as last time."""
        self._delay = min(2 * self._delay, SLOWEST)
        return self._delay
