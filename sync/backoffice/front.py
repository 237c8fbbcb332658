"""The gRPC front of the back office: TLS, or loopback alone; it only translates.

A caller is known before its message is waited for, so nobody without a token can keep a thread that answers calls; and
once more when it has come, so that a token is void at once also for calls that were begun before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import quote

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from sidecar.address import Address
from sidecar.core.errors import InvalidRequest
from sync.backoffice.auth import Identity, bearer, identify
from sync.backoffice.contract import CODE, FIELD, MOST_BYTES, SERVICE
from sync.backoffice.errors import DeskError, DeskFailed, NotAllowed, NotAuthenticated, Overloaded
from sync.backoffice.methods import METHODS
from sync.backoffice.service import TYPED, BackOffice
from sync.listening import ServerTls, listen
from sync.store.db import Store
from sync.store.errors import Refused, StoreError

THREADS: Final = 8
MOST_WAITING: Final = 256
"""Calls in hand, waiting or at work, beyond which further ones are refused."""
BESIDE: Final = 2
"""Threads each for health and for reflection: streams that are left open take none of those that answer calls."""
DETAIL_BYTES: Final = 3000
"""Of an error's detail as it is escaped on the wire, within what clients take as metadata."""
OPTIONS: Final = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MOST_BYTES + 1024),
    ("grpc.max_concurrent_streams", 128),
    ("grpc.max_connection_age_ms", 15 * 60 * 1000),
    ("grpc.max_connection_age_grace_ms", 2 * 60 * 1000),
)
Behavior = Callable[[Any, grpc.ServicerContext], Any]
INVALID: Final = "INVALID"
STATUS: Final = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    StoreError: grpc.StatusCode.UNAVAILABLE,
    NotAuthenticated: grpc.StatusCode.UNAUTHENTICATED,
    NotAllowed: grpc.StatusCode.PERMISSION_DENIED,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DeskFailed: grpc.StatusCode.INTERNAL,
}
REFUSED: Final = {
    "IDEMPOTENCY_CONFLICT": grpc.StatusCode.ALREADY_EXISTS,
    "CONFLICT": grpc.StatusCode.ABORTED,
}
"""Refusals with a status of their own; UNKNOWN_... and ..._EXISTS have one by their names."""
_log: Final = structlog.get_logger(__name__)


class BackOfficeFront:
    """Serves a back office with grpcio's threaded server."""

    def __init__(self, store: Store, address: Address, tls: ServerTls | None = None) -> None:
        """`address` may have port 0, for any. Raises CannotServe."""
        self._pool: Final = _Bounded(THREADS)
        self._beside: Final = tuple(ThreadPoolExecutor(BESIDE, thread_name_prefix="beside") for _ in range(2))
        self._server: Final = grpc.server(self._pool, options=OPTIONS)
        self._health: Final = _Health(self._beside[0])
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._reflection: Final = _Reflection(self._beside[1])
        servicer = reflection_pb2_grpc.ServerReflectionServicer()
        servicer.ServerReflectionInfo = self._reflection  # type: ignore[method-assign]
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, self._server)  # type: ignore[no-untyped-call]
        handler = _Handler(BackOffice(store), store, self._pool, self._beside[0])
        self._server.add_generic_rpc_handlers((handler,))
        self.address: Final = listen(self._server, address, tls)

    def start(self) -> None:
        """Begins to take calls."""
        self._server.start()
        self._health.serving = True

    @property
    def serving(self) -> bool:
        """Whether calls are taken."""
        return self._health.serving

    @property
    def in_hand(self) -> int:
        """Calls waiting or at work."""
        return self._pool.in_hand

    def stop(self, grace: float) -> None:
        """Takes no more calls, lets those begun end within `grace` seconds, then cuts off what is left."""
        self._health.serving = False
        stopped = self._server.stop(grace)
        self._reflection.end()
        stopped.wait()
        for pool in (self._pool, *self._beside):
            pool.shutdown(wait=False, cancel_futures=True)


class _Bounded(ThreadPoolExecutor):
    """A thread pool that knows how much it has in hand."""

    def __init__(self, threads: int) -> None:
        super().__init__(max_workers=threads, thread_name_prefix="desk")
        self._pending: Final[set[Future[Any]]] = set()

    @property
    def in_hand(self) -> int:
        return len(self._pending)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = super().submit(fn, *args, **kwargs)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future


class _Beside:
    """A behavior that grpcio runs on the pool it names, so that it takes no thread of the calls'."""

    def __init__(self, behavior: Behavior, pool: ThreadPoolExecutor) -> None:
        self._behavior: Final = behavior
        self.experimental_thread_pool: Final = pool

    def __call__(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._behavior(request, context)


class _Reflection(_Beside):
    """Streams in which tools ask for the contract, and which they may leave open."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        servicer = reflection.ReflectionServicer((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME))
        super().__init__(servicer.ServerReflectionInfo, pool)
        self._open: Final[set[Any]] = set()

    def __call__(self, request: Any, context: Any) -> Iterator[Any]:
        self._open.add(context)
        try:
            yield from self._behavior(request, context)
        finally:
            self._open.discard(context)

    def end(self) -> None:
        """Ends those that are open."""
        for context in tuple(self._open):
            context.cancel()


class _Health(health_pb2_grpc.HealthServicer):
    """Says by the standard protocol whether calls are answered. There is no Watch: it would hold up the end."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.serving = False
        self.Check = _Beside(self._check, pool)  # type: ignore[method-assign]

    def _check(self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext) -> Any:
        if request.service not in ("", SERVICE):
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service here")
        states = health_pb2.HealthCheckResponse
        return states(status=states.SERVING if self.serving else states.NOT_SERVING)


class _Handler(grpc.GenericRpcHandler):
    """Finds a call's behavior. On the wire calls are unary; here the message is a stream of one, read when wanted."""

    def __init__(self, office: BackOffice, store: Store, pool: _Bounded, beside: ThreadPoolExecutor) -> None:
        self._pool: Final = pool
        self._refusal: Final[Any] = grpc.stream_unary_rpc_method_handler(_Beside(_refuse, beside))
        self._handlers: Final[Mapping[str, Any]] = {
            f"/{SERVICE}/{name}": grpc.stream_unary_rpc_method_handler(_behavior(office, store, name))
            for name in METHODS
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        found = self._handlers.get(handler_call_details.method)
        return self._refusal if found is not None and self._pool.in_hand >= MOST_WAITING else found


def _refuse(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
    return _fail(context, Overloaded("too many calls wait: try again later"))


def _behavior(office: BackOffice, store: Store, method: str) -> Behavior:
    def known(context: grpc.ServicerContext) -> Identity | None:
        """Who calls; None: the call has been ended."""
        try:
            return identify(store, bearer(context.invocation_metadata()))
        except (DeskError, StoreError) as e:
            _log.warning("a call was not let in", method=method, peer=context.peer(), code=e.code)
            _fail(context, e)
        except Exception:
            _unexpected(context, method)
        return None

    def answer(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        if known(context) is None:
            return b""
        request = next(messages, b"")
        identity = known(context)
        if identity is None:
            return b""
        try:
            done: bytes = office.handle(method, request, identity).SerializeToString()
        except TYPED as e:
            return _fail(context, e)
        except Exception:
            return _unexpected(context, method)
        return done

    return answer


def _unexpected(context: grpc.ServicerContext, method: str) -> bytes:
    _log.exception("call failed", method=method)
    return _fail(context, DeskFailed("the back office failed; its log says more"))


def _fail(context: grpc.ServicerContext, error: Refused | InvalidRequest | StoreError | DeskError) -> bytes:
    """Ends a call as the contract says: a status, the code beside it, and what to do."""
    field = error.field if isinstance(error, InvalidRequest) else ""
    code = INVALID if isinstance(error, InvalidRequest) else error.code
    advice = str(error) if isinstance(error, InvalidRequest) else error.advice
    context.set_code(_status(error, code))
    context.set_details(_fitting(f"{code}: {advice}"))
    context.set_trailing_metadata(((CODE, code), *(((FIELD, quote(field, safe="[]")),) if field else ())))
    return b""


def _status(error: Exception, code: str) -> grpc.StatusCode:
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            return status
    if code.startswith("UNKNOWN_"):
        return grpc.StatusCode.NOT_FOUND
    if code.endswith("_EXISTS"):
        return grpc.StatusCode.ALREADY_EXISTS
    return REFUSED.get(code, grpc.StatusCode.FAILED_PRECONDITION)


def _fitting(detail: str) -> str:
    """A detail that clients take, cut where it is too long: on the wire it is percent-encoded."""
    if len(quote(detail)) <= DETAIL_BYTES:
        return detail
    room, kept = DETAIL_BYTES - 3, []
    for character in detail:
        room -= len(quote(character))
        if room < 0:
            break
        kept.append(character)
    return "".join(kept) + "..."
