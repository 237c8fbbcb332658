"""The grpcio front: TCP on loopback and a Unix socket, health and reflection beside the service. It only translates."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from sidecar.core.errors import DeskgateError
from sidecar.observe.metrics import Metrics
from sidecar.serving.answers import Code
from sidecar.serving.codec import BATCH_BYTES
from sidecar.serving.fronts.inline import STATUS, InlinePool, MessageFirst, Prompted, usable
from sidecar.serving.health import Health
from sidecar.serving.limits import BoundedPool
from sidecar.serving.reflection import Reflection
from sidecar.serving.service import SERVICE, Service

EXPLAINERS: Final = 2
"""Threads that explain."""
REFLECTED: Final = 4
"""Reflection streams served at a time; further ones wait."""
BESIDE: Final = 2
"""Threads for health and refusals, which take no time."""
WRITERS: Final = 2
"""Threads that state usage: they wait for the store's disk and for other writers, and no check waits for them."""
STREAMS: Final = 4096
"""Calls that one connection may have open, unanswered or with an answer that it does not read."""
OPTIONS: Final = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", BATCH_BYTES),
    ("grpc.max_concurrent_streams", STREAMS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
)
Behavior = Callable[[bytes, grpc.ServicerContext], bytes]


class CannotListen(DeskgateError):
    """An address or socket cannot be listened on."""


class GrpcioFront:
    """Serves a `Service` with grpcio's threaded server."""

    def __init__(
        self,
        *,
        service: Service,
        metrics: Metrics,
        address: str | None,
        socket_path: Path | None,
        socket_mode: int,
        threads: int,
        max_in_flight: int,
        inline: bool,
        writers: int = WRITERS,
    ) -> None:
        """`address` is host:port, port 0 for any; `threads` work on checks at a time, `writers` on statements of usage;
        beyond `max_in_flight` calls are refused.
        With `inline`, checks are answered on the thread that takes calls, where grpcio's version allows it.

        Raises CannotListen when an address or the socket cannot be had.
        """
        self.inline: Final = inline and usable()
        pool = MessageFirst if usable() else BoundedPool
        checks = InlinePool if self.inline else pool
        self._checks: Final = checks(threads=threads, bound=max_in_flight, metrics=metrics)
        self._pool: Final = pool(threads=EXPLAINERS, bound=max_in_flight, metrics=metrics)
        self._writing: Final = pool(threads=writers, bound=max_in_flight, metrics=metrics)
        self._beside: Final = pool(threads=BESIDE, bound=max_in_flight, metrics=metrics)
        self._health: Final = Health(self._beside)
        self._health.Check = _Beside(self._health.Check, self._beside)  # type: ignore[method-assign]
        self._server: Final = grpc.server(self._pool, options=OPTIONS)
        self._threads: tuple[threading.Thread, ...] = ()
        if isinstance(self._checks, InlinePool):
            self._checks.attach(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._reflecting: Final = ThreadPoolExecutor(max_workers=REFLECTED, thread_name_prefix="reflection")
        self._reflection: Final = Reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME))
        self._reflection.ServerReflectionInfo = _Beside(  # type: ignore[assignment, method-assign]
            self._reflection.ServerReflectionInfo, self._reflecting
        )
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]
            self._reflection, self._server
        )
        pools = {
            "Check": self._checks,
            "CheckBatch": self._checks,
            "Explain": self._pool,
            "AdjustUsage": self._writing,
        }
        self._server.add_generic_rpc_handlers((_Handler(service, pools, self._beside),))
        self.port: Final = self._listen(address) if address else None
        self._socket_path: Final = socket_path
        if socket_path is not None:
            self._listen_on_socket(socket_path, socket_mode)
        self.serving(False)

    @property
    def in_flight(self) -> int:
        """Calls waiting or at work."""
        return self._checks.in_flight + self._pool.in_flight + self._writing.in_flight

    def serving(self, ready: bool) -> None:
        """Says by the health protocol whether calls are answered, of the whole server and of the service."""
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", SERVICE):
            self._health.set(name, status)

    def start(self) -> None:
        """Begins to take calls."""
        before = set(threading.enumerate())
        self._server.start()
        self._threads = tuple(t for t in threading.enumerate() if t not in before and "_serve" in t.name)

    @property
    def alive(self) -> bool:
        """Whether the thread that takes calls, once started, goes on; if not, no call is ever answered again."""
        return all(thread.is_alive() for thread in self._threads)

    def stop(self, grace: float) -> None:
        """Takes no more calls, lets those begun end within `grace` seconds, then cuts off what is left."""
        stopped = self._server.stop(grace)
        self._health.shut_down()
        self._reflection.shut_down()
        stopped.wait()
        for pool in (self._checks, self._pool, self._writing, self._beside, self._reflecting):
            pool.shutdown(wait=False, cancel_futures=True)
        if self._socket_path is not None:
            self._socket_path.unlink(missing_ok=True)

    def _listen(self, address: str) -> int:
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError as e:
            raise CannotListen(f"grpc_address: {address} cannot be listened on: is it in use? ({e})") from e

    def _listen_on_socket(self, path: Path, mode: int) -> None:
        _clear_stale(path)
        try:
            with _umask(0o777 & ~mode):
                self._server.add_insecure_port(f"unix:{path}")
            path.chmod(mode)
        except (RuntimeError, OSError) as e:
            raise CannotListen(f"grpc_socket: {path} cannot be listened on: {e}") from e


class _Handler(grpc.GenericRpcHandler):
    """Finds a method's handler; when too much is in flight, one that refuses, on threads of its own."""

    def __init__(self, service: Service, pools: Mapping[str, BoundedPool], beside: ThreadPoolExecutor) -> None:
        self._handlers: Final = {
            f"/{SERVICE}/{method}": (_unary(_behavior(service, method, pool)), pool) for method, pool in pools.items()
        }
        self._refusal: Final = _unary(_Beside(_refuse, beside))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        handler, pool = self._handlers.get(handler_call_details.method, (None, None))
        return self._refusal if pool is not None and pool.full() else handler


def _unary(behavior: Behavior) -> Any:
    return grpc.unary_unary_rpc_method_handler(behavior)


def _behavior(service: Service, method: str, pool: BoundedPool) -> Behavior:
    handle = service.handle

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        code, payload, detail = handle(method, request, context.invocation_metadata(), context.time_remaining())
        if code is not Code.OK:
            context.set_code(STATUS[code])
            context.set_details(detail)
        return payload

    if isinstance(pool, InlinePool):
        return Prompted(prompt=partial(service.prompt, method), patient=answer, pool=pool)
    return _Beside(answer, pool)


class _Beside:
    """A behavior that grpcio runs on the pool it names, so that it does not wait behind the calls in flight."""

    def __init__(self, behavior: Callable[[Any, grpc.ServicerContext], Any], pool: ThreadPoolExecutor) -> None:
        self._behavior: Final = behavior
        self.experimental_thread_pool: Final = pool

    def __call__(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._behavior(request, context)


def _refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
    context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
    context.set_details("too many calls in flight: try again with backoff")
    return b""


def _clear_stale(path: Path) -> None:
    """Removes a socket that nobody listens on any more; refuses to touch anything else."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise CannotListen(f"grpc_socket: {path} is there and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise CannotListen(f"grpc_socket: another process listens on {path}")
    path.unlink()


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
