"""Following a store over the change feed: the driver of protocol.Watcher, by grpcio, in the follower's one thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

import grpc
import structlog

from sidecar._gen.desking.entitlements.v1 import feed_pb2 as pb
from sync.feed.backoff import Backoff
from sync.feed.channel import CODE, SERVICE, FeedTarget, open_channel
from sync.feed.protocol import Action, Begin, Contact, Heartbeat, More, OutOfTouch, Watcher
from sync.feed.wire import position_message, read_event
from sync.sources import Change, FailureKind, Position, Sink, SyncFailed, Update

FIRST_PATIENCE: Final = 15.0
"""Seconds to wait for the first word of a server."""
MISSED: Final = 3
"""Heartbeats that may be missing before a stream is given up."""
WATCH_EVERY: Final = 0.25
PROMPT: Final = 0.5
"""Seconds that an instant of the store's clock may have waited here to be read, and still settle what `now` is."""
EMPTY: Final = 0.05
"""Seconds of waiting for an event, by which nothing can have been waiting for us, however busy the machine."""

KINDS: Final = {
    grpc.StatusCode.UNAUTHENTICATED: FailureKind.DENIED,
    grpc.StatusCode.PERMISSION_DENIED: FailureKind.DENIED,
    grpc.StatusCode.INVALID_ARGUMENT: FailureKind.GARBAGE,
    grpc.StatusCode.RESOURCE_EXHAUSTED: FailureKind.GARBAGE,
    grpc.StatusCode.INTERNAL: FailureKind.GARBAGE,
    grpc.StatusCode.UNKNOWN: FailureKind.GARBAGE,
    grpc.StatusCode.UNIMPLEMENTED: FailureKind.FOREIGN,
}
"""What a status at a stream's end means; any other: nobody answers, or the way there broke."""


class FeedSource:
    """The store behind one or more feed servers. A step takes one event in, waiting for it."""

    def __init__(
        self,
        target: FeedTarget,
        *,
        only: tuple[str, ...] = (),
        instance: str = "",
        chance: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`only`: the tenants to follow, none: all; `instance`: our name for the servers' logs; `chance` is seeded by
        the operating system unless it is given; `clock`: in seconds, never set back.
        """
        chance = chance or Random()  # noqa: S311 - it spreads a fleet, and keeps no secret
        self.pace: Final = Backoff(chance, now=clock())
        self._target: Final = target
        self._only: Final = only
        self._instance: Final = instance
        self._clock: Final = clock
        self._watcher: Final = Watcher(only)
        self._next_address = chance.randrange(len(target.addresses))
        self._address = ""
        self._interrupted = threading.Event()
        self._call: Any = None
        self._channel: grpc.Channel | None = None
        self._whole = False
        """The stream was asked for everything, and that has not come yet."""
        self._first = True
        self._patience = FIRST_PATIENCE
        self._waits_until: float | None = None
        self._silent = False
        self._empty_at = clock()
        """When nothing was waiting here to be read."""
        self._watchdog: threading.Thread | None = None
        self._log: Final = structlog.get_logger(component="sync")

    def step(self, sink: Sink) -> None:
        """Takes in one event, or opens the stream first. Raises SyncFailed; the stream is gone then."""
        try:
            held, whole = sink.position(), sink.needs_snapshot()
            if self._call is None or (whole and not self._whole):
                self._open(held, whole=whole or (self._first and bool(self._only)))
            self._do(self._received(), sink)
        except BaseException:
            self._drop()
            raise

    def interrupt(self) -> None:
        """Ends a step under way, and has every later one fail."""
        self._interrupted.set()
        call = self._call
        if call is not None:
            call.cancel()

    def close(self) -> None:
        """Closes the connection."""
        self._interrupted.set()
        self._drop()

    def _open(self, held: Position | None, *, whole: bool) -> None:
        self._drop()
        self._refuse_interrupted()
        address = self._target.addresses[self._next_address % len(self._target.addresses)]
        self._next_address += 1
        self._address = str(address)
        self._channel = open_channel(self._target, address)
        watch: Any = self._channel.unary_stream(f"/{SERVICE}/Watch", pb.WatchRequest.SerializeToString)
        request = pb.WatchRequest(
            since=None if held is None else position_message(held),
            whole=whole,
            tenants=self._only,
            instance=self._instance,
        )
        self._call = watch(request, metadata=self._target.metadata)
        self._watcher.opened(held)
        self._refuse_interrupted()  # the call may have begun too late for who interrupts to see it
        self._whole, self._first, self._patience = whole, False, FIRST_PATIENCE
        self._empty_at = self._clock()
        if self._watchdog is None:
            self._watchdog = threading.Thread(target=self._watch, name="deskgate-feed-watchdog", daemon=True)
            self._watchdog.start()

    def _received(self) -> Action:
        """What the next event asks for. Raises SyncFailed."""
        data = self._next()
        try:
            event = read_event(data)
            if isinstance(event, Heartbeat):
                self._patience = MISSED * event.interval
            return self._watcher.received(event)
        except SyncFailed as e:
            raise SyncFailed(e.kind, f"the feed server {self._address}: {e.problem}") from e

    def _next(self) -> bytes:
        began = self._clock()
        self._silent, self._waits_until = False, began + self._patience
        try:
            data: bytes = next(self._call)
        except StopIteration:
            raise SyncFailed(FailureKind.UNREACHABLE, f"the feed server {self._address} ended the feed") from None
        except grpc.RpcError as e:
            raise self._meant(e) from e
        finally:
            self._waits_until = None
        if self._clock() - began > EMPTY:
            self._empty_at = self._clock()
        self._refuse_interrupted()
        return data

    def _do(self, action: Action, sink: Sink) -> None:
        match action:
            case Begin():
                update = Update(
                    position=action.position,
                    snapshot=action.snapshot,
                    changes=self._changes(action),
                    digest=action.digest,
                )
                sink.apply(update)
                self._whole &= not action.snapshot
            case Contact():
                prompt = self._clock() - self._empty_at <= PROMPT
                sink.contact(action.store_instant if prompt else None)
            case OutOfTouch():
                failure = SyncFailed(
                    FailureKind.UNREACHABLE,
                    f"the feed server {self._address} is out of touch with its store: {action.problem}",
                )
                if len(self._target.addresses) > 1:
                    raise failure
                sink.failed(failure)

    def _changes(self, begun: Begin) -> Iterator[Change]:
        yield from begun.changes
        last = begun.last
        while not last:
            action = self._received()
            if isinstance(action, More):
                yield from action.changes
                last = action.last

    def _refuse_interrupted(self) -> None:
        if self._interrupted.is_set():
            raise SyncFailed(FailureKind.INTERRUPTED, "the feed is no longer followed")

    def _meant(self, error: Any) -> SyncFailed:
        self._refuse_interrupted()
        if self._silent:
            return SyncFailed(
                FailureKind.UNREACHABLE, f"the feed server {self._address} fell silent for {self._patience:g} s"
            )
        status, detail = error.code(), error.details() or ""
        code = dict(error.trailing_metadata() or ()).get(CODE, "")
        kind = KINDS.get(status, FailureKind.UNREACHABLE)
        if code == FailureKind.HISTORY_WENT_BACK.name:
            kind = FailureKind.HISTORY_WENT_BACK
        return SyncFailed(kind, f"the feed server {self._address}: {detail or status.name}")

    def _drop(self) -> None:
        self._watcher.closed()
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _watch(self) -> None:
        """Ends a wait that lasts too long: a server may be alive and say nothing."""
        while not self._interrupted.wait(WATCH_EVERY):
            until, call = self._waits_until, self._call
            if until is not None and call is not None and self._clock() > until:
                self._silent = True
                call.cancel()
