"""Single tenants, fetched from the store when a question needs one that is not held, or newer than it is held.

One call at a time for each tenant and revision, however many ask; few at a time in all; and what came is kept for a
short while, also that there is no such tenant, so that a flood of questions is not a flood of calls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog
from cachetools import TTLCache

from sidecar.core.errors import DeskgateError
from sidecar.state.world import World, Worlds

AT_ONCE: Final = 8
"""Calls to the store at a time."""
KEPT: Final = 1000
"""Tenants that are kept for a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A tenant as the store had it: its record, and that of whose services it shares; none: there is no such tenant."""

    store_id: str
    revision: int
    records: tuple[tuple[str, bytes | None], ...]


class FetchFailed(DeskgateError):
    """The tenant could not be had. Nothing is known of it by that."""


class Fetch(Protocol):
    """A call to the store."""

    def __call__(self, tenant_id: str, min_revision: int, timeout: float) -> Fetched | None:
        """The tenant at `min_revision` or later, or as it is; None: it is not for us. Within `timeout` seconds.

        Raises FetchFailed.
        """


class Flight:
    """One call under way, for all who want the same."""

    def __init__(self) -> None:
        self.failure: FetchFailed | None = None
        self.found: Found | None = None
        """What came of it; None: nothing yet, or it failed."""
        self._ended: Final = threading.Event()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended by then."""
        return self._ended.wait(seconds)

    def end(self) -> None:
        """It has ended."""
        self._ended.set()


class Found:
    """What was found of a tenant, and the world to answer from, as long as the policies are the same."""

    __slots__ = ("_fetched", "_world")

    def __init__(self, fetched: Fetched | None) -> None:
        self._fetched: Final = fetched
        self._world: World | None = None

    @property
    def revision(self) -> int:
        """As of which it was found; 0: it is not for us."""
        return self._fetched.revision if self._fetched is not None else 0

    def serves(self, min_revision: int) -> bool:
        """Whether it will do for one who wants this revision: what is not for us is so at any."""
        return self._fetched is None or self._fetched.revision >= min_revision

    def world(self, current: World) -> World:
        """A world of what was found, by the current policies; the current one, if the tenant is not for us."""
        found = self._fetched
        if found is None:
            return current
        world = self._world
        if world is None or world.book is not current.book:
            world = self._world = current.of_records(found.records, store_id=found.store_id, revision=found.revision)
        return world


class Fetching:
    """Fetches tenants for whoever asks. Threads may share it."""

    def __init__(
        self,
        fetch: Fetch,
        worlds: Worlds,
        *,
        seconds: float,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        on_result: Callable[[str], None] = lambda _: None,
    ) -> None:
        """What came is kept for `seconds`; a call may take `timeout` seconds. `on_result` hears of each call how it
        ended: one of RESULTS."""
        self._fetch: Final = fetch
        self._worlds: Final = worlds
        self._timeout: Final = timeout
        self._on_result: Final = on_result
        self._lock: Final = threading.Lock()
        self._kept: Final[TTLCache[str, Found]] = TTLCache(KEPT, seconds, timer=clock)
        self._flights: Final[dict[tuple[str, int], Flight]] = {}
        self._log: Final = structlog.get_logger(component="fetch")

    def kept(self, tenant_id: str, min_revision: int) -> Found | None:
        """What was found of a tenant a short while ago, if it will do; without any call."""
        with self._lock:
            found = self._kept.get(tenant_id)
        return found if found is not None and found.serves(min_revision) else None

    def begin(self, tenant_id: str, min_revision: int) -> Flight | None:
        """The call for a tenant, begun now or under way already; None: there are too many."""
        key = (tenant_id, min_revision)
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight
            if len(self._flights) >= AT_ONCE:
                return None
            flight = self._flights[key] = Flight()
        try:
            threading.Thread(target=self._fly, args=(flight, *key), name="fetch", daemon=True).start()
        except RuntimeError as e:  # the machine has none left: the next call may have more luck
            flight.failure = FetchFailed(f"no thread is to be had: {e}")
            self._land(flight, tenant_id, min_revision, "failed")
        return flight

    def _fly(self, flight: Flight, tenant_id: str, min_revision: int) -> None:
        try:
            fetched = self._fetch(tenant_id, min_revision, self._timeout)
        except FetchFailed as e:
            flight.failure, result = e, "failed"
        except Exception:
            self._log.exception("fetching a tenant failed")
            flight.failure, result = FetchFailed("the sidecar failed: its log says more"), "failed"
        else:
            result = "denied" if fetched is None else "got" if fetched.records else "unknown"
            flight.found = Found(fetched)
        self._land(flight, tenant_id, min_revision, result)

    def _land(self, flight: Flight, tenant_id: str, min_revision: int, result: str) -> None:
        with self._lock:
            del self._flights[tenant_id, min_revision]
            if flight.found is not None:
                self._keep(tenant_id, flight.found)
        flight.end()
        self._worlds.nudge()
        self._on_result(result)

    def _keep(self, tenant_id: str, found: Found) -> None:
        before = self._kept.get(tenant_id)
        if before is None or found.revision >= before.revision:
            self._kept[tenant_id] = found


RESULTS: Final = ("got", "unknown", "denied", "failed")
