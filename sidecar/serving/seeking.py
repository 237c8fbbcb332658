"""The world that a question is answered from: the current one, as nearly always; or one that is waited for, or fetched.

Whoever waits is bounded: in time by his deadline and LONGEST_WAIT, and in number, apart from calls that need not wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.core.errors import InvalidRequest
from sidecar.serving.answers import CannotAnswer, Code
from sidecar.serving.codec import read_ask
from sidecar.serving.fetching import AT_ONCE, Fetching, Flight
from sidecar.state.world import World, Worlds

LONGEST_WAIT: Final = 2.0
"""Seconds that a question may wait for its min_revision or its tenant, and a statement for a store over a network."""
MARGIN: Final = 0.05
"""Seconds before the caller's deadline at which waiting ends, so that the answer still arrives."""
HEAD_START: Final = 0.05
"""Seconds that the feed has to bring a revision before the tenant is fetched: it nearly always does."""
NO_PATIENCE: Final = -1.0
"""Instead of the seconds to a deadline: waiting is out of the question."""
BATCH_FETCHES: Final = 16
"""Tenants that may be fetched for one batch."""


class WouldWait(Exception):
    """A call that must be answered at once would have to wait, or takes too long."""


def patience(remaining: float | None) -> float:
    """How many seconds a call may wait, given those to its deadline; None: it has none."""
    return LONGEST_WAIT if remaining is None else max(0.0, min(LONGEST_WAIT, remaining - MARGIN))


def less(remaining: float | None, seconds: float) -> float:
    """What is left to a call of `remaining` that has waited so many seconds."""
    if remaining == NO_PATIENCE:
        return NO_PATIENCE
    return max(0.0, (LONGEST_WAIT + MARGIN if remaining is None else remaining) - seconds)


class Seeker:
    """Finds worlds. Threads may share it. `remaining` is the seconds to the caller's deadline, None, or NO_PATIENCE."""

    def __init__(self, worlds: Worlds, *, max_waiting: int, fetching: Fetching | None, partial: bool) -> None:
        """`partial`: the worlds hold some of the store's tenants only; the others are fetched."""
        self.partial: Final = partial and fetching is not None
        self._worlds: Final = worlds
        self._fetching: Final = fetching
        self._waiting: Final = threading.BoundedSemaphore(max_waiting)

    def world(self, message: pb.CheckRequest, size: int, remaining: float | None) -> World:
        """For a question of `size` bytes: at its min_revision if there is one by then, and with its tenant in it.

        Raises CannotAnswer, InvalidRequest or WouldWait.
        """
        tenant_id, min_revision, world = message.tenant_id, message.min_revision, self._complete(message.min_revision)
        if self.partial and not world.holds(tenant_id):
            read_ask(message, size)  # one that cannot be judged is not worth a call
            return self._fetched(world, tenant_id, min_revision, remaining)
        if world.revision < min_revision:
            return self._reached(world, min_revision, remaining, tenant_id)
        return world

    def reached(self, min_revision: int, remaining: float | None) -> World:
        """The current world, or, once a wait for `min_revision` is over, what there is by then. Raises as `world`."""
        world = self._complete(min_revision)
        return world if world.revision >= min_revision else self._reached(world, min_revision, remaining, "")

    def others(
        self, world: World, asked: Iterable[str], min_revision: int, remaining: float | None
    ) -> Mapping[str, World | CannotAnswer]:
        """Of the tenants asked about, those that this world does not hold, each with a world that tells of it, or why
        there is none. Raises CannotAnswer, when too many wait already, or WouldWait."""
        found: dict[str, World | CannotAnswer] = {}
        wanted = []
        for tenant_id in dict.fromkeys(asked):
            if not world.holds(tenant_id) and self._fetching is not None:
                kept = self._fetching.kept(tenant_id, min_revision)
                if kept is None:
                    wanted.append(tenant_id)
                else:
                    found[tenant_id] = kept.world(world)
        if wanted:
            if remaining == NO_PATIENCE:
                raise WouldWait
            too_many = f"a batch may ask about {BATCH_FETCHES} tenants that are not held here"
            found |= {t: CannotAnswer(Code.RESOURCE_EXHAUSTED, too_many) for t in wanted[BATCH_FETCHES:]}
            with self._turn("a tenant to be fetched"):
                found |= self._fetched_all(wanted[:BATCH_FETCHES], min_revision, patience(remaining))
        return found

    def _complete(self, min_revision: int) -> World:
        if min_revision < 0:
            raise InvalidRequest("min_revision", f"{min_revision} is below 0")
        world = self._worlds.current
        if world is None:
            raise CannotAnswer(Code.UNAVAILABLE, "no complete entitlement data is in place yet")
        return world

    def _reached(self, world: World, min_revision: int, remaining: float | None, tenant_id: str) -> World:
        """The world as it comes, or the tenant alone, whichever is there first; late at the end of the wait."""
        fetching = self._fetching if tenant_id else None
        kept = fetching.kept(tenant_id, min_revision) if fetching is not None else None
        if kept is not None and kept.revision >= min_revision:
            return kept.world(world)
        if remaining == NO_PATIENCE:
            raise WouldWait
        seconds = patience(remaining)
        with self._turn("a min_revision"):
            now = self._worlds.wait_for(min_revision, min(seconds, HEAD_START)) or world
            flight = None
            if now.revision < min_revision and fetching is not None and seconds > HEAD_START:
                flight = fetching.begin(tenant_id, min_revision)

            def fetched() -> bool:
                found = flight.found if flight is not None else None
                return found is not None and found.revision >= min_revision

            now = self._worlds.wait_for(min_revision, max(0.0, seconds - HEAD_START), fetched) or now
        if now.revision < min_revision and flight is not None and flight.found is not None and fetched():
            return flight.found.world(now)
        return now

    def _fetched(self, world: World, tenant_id: str, min_revision: int, remaining: float | None) -> World:
        """A world with a tenant that is not held."""
        fetching = self._fetching
        if fetching is None:
            return world
        kept = fetching.kept(tenant_id, min_revision)
        if kept is not None:
            return kept.world(world)
        if remaining == NO_PATIENCE:
            raise WouldWait
        with self._turn("a tenant to be fetched"):
            found = self._fetched_all([tenant_id], min_revision, patience(remaining))[tenant_id]
        if isinstance(found, CannotAnswer):
            raise found
        return found

    def _fetched_all(
        self, tenant_ids: Iterable[str], min_revision: int, seconds: float
    ) -> dict[str, World | CannotAnswer]:
        """Each tenant's world, or why there is none, within so many seconds. Only where there is `fetching`."""
        deadline = time.monotonic() + seconds
        flights: dict[str, Flight | None] = {}
        for tenant_id in tenant_ids:
            flights[tenant_id] = self._begun(tenant_id, min_revision, flights, deadline)
        return {tenant_id: self._landed(tenant_id, flight, deadline) for tenant_id, flight in flights.items()}

    def _begun(
        self, tenant_id: str, min_revision: int, before: Mapping[str, Flight | None], deadline: float
    ) -> Flight | None:
        """A call, begun once those before it make room."""
        if self._fetching is None:
            return None
        flight = self._fetching.begin(tenant_id, min_revision)
        for earlier in before.values():
            if flight is not None:
                break
            if earlier is not None:
                earlier.wait(max(0.0, deadline - time.monotonic()))
            flight = self._fetching.begin(tenant_id, min_revision)
        return flight

    def _landed(self, tenant_id: str, flight: Flight | None, deadline: float) -> World | CannotAnswer:
        if flight is None:
            return CannotAnswer(Code.RESOURCE_EXHAUSTED, f"{AT_ONCE} tenants are being fetched already: try again")
        flight.wait(max(0.0, deadline - time.monotonic()))
        world = self._worlds.current
        if flight.found is not None and world is not None:
            return flight.found.world(world)
        why = flight.failure or "the store did not answer in time"
        return CannotAnswer(Code.UNAVAILABLE, f"{tenant_id} is not held here, and could not be fetched: {why}")

    @contextmanager
    def _turn(self, what: str) -> Iterator[None]:
        """A place among those who wait."""
        if not self._waiting.acquire(blocking=False):
            raise CannotAnswer(Code.RESOURCE_EXHAUSTED, f"too many calls are waiting for {what}")
        try:
            yield
        finally:
            self._waiting.release()
