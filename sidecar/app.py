"""A whole sidecar, put together from its settings: what it is made of, in what order it starts and stops."""

from __future__ import annotations

import gc
import os
import secrets
import signal
import sys
from collections.abc import Iterable, Sequence
from queue import SimpleQueue
from types import FrameType
from typing import Final, NoReturn

from sidecar.core.book import Book
from sidecar.core.errors import InvalidRecord
from sidecar.inforce import PoliciesInForce
from sidecar.observe.logs import log
from sidecar.observe.metrics import Metrics
from sidecar.policy.reload import load_or_last_good
from sidecar.reach import reach_of
from sidecar.serving.fronts.grpcio import GrpcioFront
from sidecar.serving.http import HttpFront, Probes
from sidecar.serving.service import Service
from sidecar.settings import Settings
from sidecar.state.applier import Applier
from sidecar.state.clock import Clock
from sidecar.state.clockfile import ClockFile
from sidecar.state.clockkeeper import ClockKeeper
from sidecar.state.copyfile import CopyKind
from sidecar.state.directory import StateDirectory
from sidecar.state.localcopy import LocalCopy
from sidecar.state.world import Worlds
from sidecar.telling import Telling
from sidecar.version import VERSION
from sync.follower import Follower
from sync.opening import open_source
from sync.sources import Change, FailureKind

COLLECT_AFTER: Final = (10_000, 20, 100)
"""Garbage in cycles is rare here, and looking through all that is compiled takes longer than a thousand checks."""
UNFOLLOW_SECONDS: Final = 2.0
"""How long a step that was given up may take to end: one that waits for a server to answer its first word takes nothing
in any more, and ends with the process."""
SWITCH_SECONDS: Final = 0.0005
"""How long a thread at work (reading policies, taking in a store) may keep checks waiting; Python's own is 5 ms."""

_log = log("sidecar")


class Sidecar:
    """One sidecar. `start`, then `stop`, once each."""

    def __init__(self, settings: Settings) -> None:
        """Takes the state directory, reads the policies and the local copy, and listens; nothing is answered yet.

        Raises DeskgateError, saying why, when any of that cannot be had; bad policies only without a last good set.
        """
        self.settings: Final = settings
        self.draining = False
        self._following = False
        self.metrics: Final = Metrics(version=VERSION)
        for kind in FailureKind:
            self.metrics.declare("sync_failures_total", kind.value)
        for copy_kind in CopyKind:
            self.metrics.declare("local_copy_failures_total", copy_kind.value)
        self.state: Final = StateDirectory(settings.state_dir)
        loaded = load_or_last_good(settings.policies, settings.state_dir)
        self.worlds: Final = Worlds(
            book=Book(loaded.policy_set),
            compiled_bound=settings.compiled_tenants,
            on_invalid=self._invalid,
        )
        self.clock: Final = Clock(ClockFile(self.state.clock))
        self.keeper: Final = ClockKeeper(self.clock, settings.state_dir, self.metrics.clock_failure)
        self.applier: Final = Applier(
            copy=LocalCopy(self.state.copy),
            clock=self.clock,
            publish=self._publish,
            on_sync_failure=lambda kind: self.metrics.sync_failure(kind.value),
            on_copy_failure=lambda kind: self.metrics.local_copy_failure(kind.value),
            on_followed=lambda: self.reach.wake(),
        )
        self.follower: Final = Follower(open_source(settings.store, settings.source_options), self.applier)
        self.policies: Final = PoliciesInForce(
            paths=settings.policies,
            loaded=loaded,
            adopt=self.worlds.adopt,
            metrics=self.metrics,
            machine=lambda: self.clock.machine,
            state_dir=settings.state_dir,
            poll_seconds=settings.policy_poll_seconds,
        )
        self.reach: Final = reach_of(
            settings,
            path=self.state.outbox,
            applier=self.applier,
            clock=self.clock,
            metrics=self.metrics,
            unfollowed=self._unfollowed,
        )
        service = Service(
            worlds=self.worlds,
            now=self.clock.now,
            freshness_of=self.applier.freshness_of,
            metrics=self.metrics,
            adjust=self.reach.adjust,
            max_waiting=settings.max_waiting,
            instance=secrets.token_hex(4),
            fetch=self.reach.fetch,
            fetched_seconds=settings.fetched_seconds,
            partial=bool(settings.only_tenants),
        )
        self.front: Final = GrpcioFront(
            service=service,
            metrics=self.metrics,
            address=str(settings.grpc_address) if settings.grpc_address else None,
            socket_path=settings.grpc_socket,
            socket_mode=settings.socket_mode,
            threads=settings.threads,
            writers=self.reach.writers,
            max_in_flight=settings.max_in_flight,
            inline=settings.inline,
        )
        telling = Telling(self)
        telling.measure()
        probes = Probes(live=self.live, unready=self.unready, status=telling.status)
        self.http: Final = (
            HttpFront(address=settings.http_address, metrics=self.metrics, probes=probes)
            if settings.http_address
            else None
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where gRPC and HTTP are served, with the ports that were got."""
        settings, found = self.settings, []
        if settings.grpc_address:
            found.append(f"grpc {settings.grpc_address.host}:{self.front.port}")
        if settings.grpc_socket:
            found.append(f"grpc unix:{settings.grpc_socket}")
        if self.http:
            found.append(f"http {self.http.address}")
        return tuple(found)

    def start(self) -> None:
        """Serves the local copy at once, if there is a whole one, and follows the store from there."""
        if self.http:
            self.http.start()
        self.applier.load()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT_AFTER)
        self.reach.start()
        self.front.start()
        self.follower.start()
        self._following = True
        self.policies.start()
        self.keeper.start()
        _log.info("serving", addresses=self.addresses, revision=self.applier.revision, ready=not self.unready())

    def stop(self) -> None:
        """Says that it does not serve, lets started calls end within the drain budget, and leaves all of it durable."""
        self.draining = True
        self.front.serving(False)
        _log.info("draining", seconds=self.settings.drain_seconds, in_flight=self.front.in_flight)
        self.front.stop(self.settings.drain_seconds)
        self.reach.stop()
        self.policies.stop()
        self.follower.stop()
        if self.follower.join(UNFOLLOW_SECONDS):
            self.applier.close()
        self.keeper.stop()
        if self.http:
            self.http.stop()
        self.state.close()
        _log.info("stopped")

    def live(self) -> bool:
        """Whether the threads that take calls and follow the store go on; if not only a restart can help."""
        return self.front.alive and not (self._following and self.follower.join(0.0))

    def unready(self) -> Sequence[str]:
        """Why calls are not answered now; empty: they are."""
        reasons = []
        if self.worlds.current is None:
            failing = self.applier.failing
            why = f" ({failing.problem})" if failing else ""
            reasons.append(f"no complete entitlement data is in place yet{why}")
        if self.draining:
            reasons.append("draining")
        return reasons

    def _publish(self, *, store_id: str, revision: int, snapshot: bool, changes: Iterable[Change]) -> None:
        first = self.worlds.current is None
        self.worlds.publish(store_id=store_id, revision=revision, snapshot=snapshot, changes=changes)
        if first:
            self.front.serving(True)

    def _unfollowed(self) -> str:
        failing = self.applier.failing
        return failing.problem if failing and self.applier.history_gone_back else ""

    def _invalid(self, tenant_id: str, error: InvalidRecord) -> None:
        self.metrics.record_invalid()
        _log.error("a record cannot be used; nothing is decided from it", tenant=tenant_id, problem=str(error))


def run(settings: Settings) -> None:
    """Runs a sidecar until SIGTERM or SIGINT, then drains. Raises DeskgateError when it cannot start."""
    sys.setswitchinterval(SWITCH_SECONDS)
    stopping: SimpleQueue[int] = SimpleQueue()  # an Event would deadlock: its `set` may interrupt its own `wait`

    def stop(number: int, _frame: FrameType | None) -> None:
        stopping.put(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    sidecar = Sidecar(settings)
    sidecar.start()
    stopping.get()
    sidecar.stop()
    if sidecar.front.in_flight:
        _leave()


def _leave() -> NoReturn:
    """Ends the process at once, all being durable: its usual end waits for the threads of calls that were cut off."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)
