"""When to try again to reach a server that many others try to reach, too. Pure: time and chance come from outside.

A wait is drawn evenly from nothing up to twice the time since all was last well, between a base and a cap. So after an
outage of d seconds everybody is back 2 d seconds later, or within the base, and of those who wait only so many come in
any one second as the server had time to rest: about 1.5 / d of them. A server that lets in and drops at once is not
well: only what has held for a while counts.
"""

from __future__ import annotations

from random import Random
from typing import Final

BASE: Final = 1.0
CAP: Final = 60.0
HEALTHY_AFTER: Final = 5.0


class Backoff:
    """The pace (sync.pace) of a source over a network; its steps wait by themselves while all is well."""

    def __init__(
        self,
        chance: Random,
        *,
        now: float,
        base: float = BASE,
        cap: float = CAP,
        healthy_after: float = HEALTHY_AFTER,
    ) -> None:
        """`chance`: seeded otherwise in each process, so that those who failed together do not come back together.

        Waits are at most `base` seconds at first, `cap` at last; what goes well counts once it has done so for
        `healthy_after` seconds.
        """
        self._chance: Final = chance
        self._base: Final = base
        self._cap: Final = cap
        self._healthy_after: Final = healthy_after
        self._healthy_at = now
        self._since: float | None = None
        """Since when all has been well; None: it is not."""

    def well(self, now: float) -> float:
        """No wait at all. All has been well since the first of these calls after the last failure."""
        if self._since is None:
            self._since = now
        if now - self._since >= self._healthy_after:
            self._healthy_at = now
        return 0.0

    def failed(self, now: float) -> float:
        """How long to wait."""
        self._since = None
        return self._chance.uniform(0.0, self.longest(now))

    def longest(self, now: float) -> float:
        """The longest wait after a failure at this moment."""
        return min(self._cap, max(self._base, 2 * (now - self._healthy_at)))
