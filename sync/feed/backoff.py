"""When to try again to reach a server that many others try to reach, too. Pure: time and chance come from outside.

A wait is drawn evenly from nothing up to the time that the server has been away, between a base and a cap, and up to
twice that once it has been away for longer than a restart takes. So after a short outage everybody is back as soon
again, and after a long one of d seconds only about 1.5 / d of those who wait come in any one second. A server that lets
in and drops at once is not well: only what has held for a while counts.
"""

from __future__ import annotations

from random import Random
from typing import Final

BASE: Final = 1.0
CAP: Final = 60.0
HEALTHY_AFTER: Final = 2.0
RESTART: Final = 10.0
"""Seconds that a server may take to come back, before those who wait for it spread further."""


class Backoff:
    """The pace (sync.pace) of a source over a network; its steps wait by themselves while all is well."""

    def __init__(self, chance: Random, *, now: float, base: float = BASE, cap: float = CAP) -> None:
        """`chance`: seeded otherwise in each process, so that those who failed together do not come back together.

        Waits are at most `base` seconds at first, `cap` at last; what goes well counts once it has done so for
        HEALTHY_AFTER seconds.
        """
        self._chance: Final = chance
        self._base: Final = base
        self._cap: Final = cap
        self._healthy_at = now
        self._since: float | None = None
        """Since when all has been well; None: it is not."""

    def well(self, now: float) -> float:
        """No wait at all. All has been well since the first of these calls after the last failure."""
        if self._since is None:
            self._since = now
        if now - self._since >= HEALTHY_AFTER:
            self._healthy_at = now
        return 0.0

    def failed(self, now: float) -> float:
        """How long to wait. What was well until now is away from now on."""
        if self._since is not None:
            self.well(now)
        self._since = None
        return self._chance.uniform(0.0, self.longest(now))

    def longest(self, now: float) -> float:
        """The longest wait after a failure at this moment."""
        away = now - self._healthy_at
        return min(self._cap, max(self._base, away if away <= RESTART else 2 * away))
