"""A feed server: FeedService over one store, by grpc.aio. It keeps nothing: any number of replicas may stand by it.

The event loop answers; everything that reads or writes the store is done by threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from sidecar.address import Address
from sidecar.core.errors import InvalidRequest
from sync.feed.bell import Bell
from sync.feed.channel import KEEPALIVE_PATIENCE, KEEPALIVE_SECONDS, SERVICE, STORE, keepalive_options
from sync.feed.doors import Guest, common_name, narrowed, on_record, token_of
from sync.feed.errors import NotLetIn, Stopping, told, trailing
from sync.feed.eye import Eye, elapsed
from sync.feed.hub import INTERVAL, Hub
from sync.feed.metrics import FeedMetrics
from sync.feed.streams import Streams
from sync.feed.unary import adjust, get, read_adjustment, read_get, read_watch
from sync.feed.window import MOST_BYTES
from sync.feed.wire import numbered, read_position
from sync.listening import ServerTls, listen
from sync.sources import Position
from sync.store.db import Store
from sync.store.operators import Operator

THREADS: Final = 8
REQUEST_BYTES: Final = 4 * 1024 * 1024
LONGEST_GET: Final = 10.0
"""Seconds that a `Get` may wait for its revision, should the caller set no deadline."""
MOST_STREAMS: Final = 10_000
"""Of one connection; a sidecar needs one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedTuning:
    """Seconds: between heartbeats, between pings of an idle line, and until a ping that is not answered ends it. Bytes
    of memory for the latest changes.
    """

    interval: float = INTERVAL
    keepalive: float = KEEPALIVE_SECONDS
    keepalive_patience: float = KEEPALIVE_PATIENCE
    window_bytes: int = MOST_BYTES


class FeedServer:
    """One replica. `start`, then `stop`, once each, in the event loop that it is made in."""

    def __init__(
        self,
        store: Store,
        bell: Bell,
        address: Address,
        *,
        tls: ServerTls | None = None,
        tuning: FeedTuning = FeedTuning(),
    ) -> None:
        """Listens; `address` may have port 0, for any. Raises CannotServe."""
        loop = asyncio.get_running_loop()
        self.hub: Final = Hub(interval=tuning.interval, window_bytes=tuning.window_bytes)
        self._store: Final = store
        self._pool: Final = ThreadPoolExecutor(THREADS, thread_name_prefix="feed")
        self._watches: Final[set[grpc.aio.ServicerContext[Any, Any]]] = set()
        self.metrics: Final = FeedMetrics(self.hub, lambda: len(self._watches))
        self._streams: Final = Streams(store, self.hub, self._pool, self.metrics.snapshots.inc)
        self._eye: Final = Eye(
            store,
            bell,
            on_seen=lambda seen: _soon(loop, self.hub.take, seen),
            on_trouble=lambda problem: _soon(loop, self.hub.trouble, problem),
            on_doors=lambda doors: _soon(loop, self.hub.doors, doors),
        )
        self._log: Final = structlog.get_logger(component="feed")
        options = [
            *keepalive_options(tuning.keepalive, tuning.keepalive_patience),
            ("grpc.http2.min_ping_interval_without_data_ms", int(tuning.keepalive * 500)),
            ("grpc.http2.max_ping_strikes", 0),
            ("grpc.max_receive_message_length", REQUEST_BYTES),
            ("grpc.max_concurrent_streams", MOST_STREAMS),
            ("grpc.so_reuseport", 0),
        ]
        self._server: Final = grpc.aio.server(options=options)
        self._health: Final = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._server.add_generic_rpc_handlers((self._handler(),))
        self.address: Final = listen(self._server, address, tls)

    async def start(self) -> None:
        """Begins to take calls."""
        self._eye.start()
        await self._server.start()
        for name in ("", SERVICE):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace: float) -> bool:
        """Ends watches, lets single calls end within `grace` seconds, then cuts off what is left. False: some of it
        hangs at a store that does not answer, and ends with the process.
        """
        await self._health.enter_graceful_shutdown()
        self.hub.close()
        await self._server.stop(grace)
        ended = await asyncio.get_running_loop().run_in_executor(None, self._eye.stop)
        self._pool.shutdown(wait=False, cancel_futures=True)
        return ended

    # The calls

    async def _watch(self, data: bytes, context: Any) -> None:
        guest, asked_at = await self._let_in(context), elapsed()
        sidecar, request = guest.sidecar, read_watch(data)
        only, since = narrowed(sidecar, request.tenants), _since(request)

        looked_at = asked_at

        def still() -> None:  # once for what was found out, not for every event
            nonlocal looked_at
            if self.hub.doors_at <= looked_at:
                return
            looked_at = self.hub.doors_at
            if self._known(guest.token, guest.name) != sidecar:
                raise NotLetIn(f"{sidecar.name} is let in no more, or otherwise than when it came")

        if only is None:
            stream = self._streams.all(since, whole=request.whole, still=still)
        else:
            stream = self._streams.some(only, since, still=still)
        self._log.info("a watch begins", sidecar=sidecar.name, instance=request.instance[:256], since=since)
        number = 0
        self._watches.add(context)
        try:
            async with aclosing(stream) as events:
                async for event in events:
                    number += 1
                    message = numbered(number, event)
                    await context.write(message)
                    self.metrics.events.inc()
                    self.metrics.bytes.inc(len(message))
        finally:
            self._watches.discard(context)
            self._log.info("a watch ended", sidecar=sidecar.name, events=number)
        raise Stopping("this replica is stopping")

    async def _get(self, data: bytes, context: Any) -> bytes:
        guest = await self._let_in(context)
        request = read_get(guest.sidecar, data)
        if request.min_revision:
            await self._reach(request.min_revision, context.time_remaining())
        answer: bytes = await self._work(lambda: get(self._store, request.tenant_id))
        return answer

    async def _reach(self, revision: int, remaining: float | None) -> None:
        try:
            async with asyncio.timeout(LONGEST_GET if remaining is None else min(LONGEST_GET, remaining)):
                await self.hub.reach(revision)
        except TimeoutError:
            raise TimeoutError(f"the store did not come to revision {revision} in time") from None

    async def _adjust(self, data: bytes, context: Any) -> bytes:
        sidecar = (await self._let_in(context)).sidecar
        request = read_adjustment(sidecar, data)
        meant = str(dict(context.invocation_metadata() or ()).get(STORE, ""))
        now = time.time_ns() // 1000
        answer: bytes = await self._work(lambda: adjust(self._store, sidecar, request, now, meant))
        return answer

    async def _let_in(self, context: Any) -> Guest:
        """Who calls. What is known here does, so that a fleet can come back while the store is away; who is not known
        is looked up.
        """
        if self.hub.closing:
            raise Stopping("this replica is stopping")
        token = token_of(context.invocation_metadata() or ())
        name = "" if token else common_name(context.auth_context())
        known = self._known(token, name) or await self._work(lambda: on_record(self._store, token, name))
        return Guest(sidecar=known, token=token, name=name)

    def _known(self, token: str, name: str) -> Operator | None:
        return self.hub.sidecar(token) if token else self.hub.named(name)

    async def _work(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    # Between calls and gRPC

    def _handler(self) -> grpc.GenericRpcHandler:
        unary = {"Get": self._get, "AdjustUsage": self._adjust}
        handlers: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(self._answering(name, call)) for name, call in unary.items()
        }
        handlers["Watch"] = grpc.unary_stream_rpc_method_handler(self._streaming)
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _answering(self, method: str, call: Callable[[bytes, Any], Any]) -> Callable[[bytes, Any], Any]:
        async def answer(data: bytes, context: Any) -> bytes:
            try:
                done: bytes = await call(data, context)
            except Exception as e:
                await self._fail(method, context, e)
                raise
            self.metrics.calls.labels(method, "OK").inc()
            return done

        return answer

    async def _streaming(self, data: bytes, context: Any) -> None:
        try:
            await self._watch(data, context)
        except Exception as e:
            await self._fail("Watch", context, e)

    async def _fail(self, method: str, context: Any, error: Exception) -> None:
        """Ends a call by a status; does not return."""
        found = told(error)
        if found is None:
            self._log.error("call failed", method=method, exc_info=error)
            found = grpc.StatusCode.INTERNAL, "the feed server failed: its log says more", "FAULT"
        status, text, code = found
        self.metrics.calls.labels(method, status.name).inc()
        if status in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            self._log.warning("a call was not let in", method=method, peer=context.peer(), problem=text)
        await context.abort(status, text, trailing(code))


def _since(request: Any) -> Position | None:
    if not request.HasField("since"):
        return None
    try:
        return read_position(request.since)
    except ValueError as e:
        raise InvalidRequest("since", str(e)) from e


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[Any], None], value: Any) -> None:
    """Has the loop call it; once the loop has ended nobody needs it any more."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call, value)
