"""A feed server of the test's choosing: Get and AdjustUsage answered as a store would, or however a test wants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as auth
from sidecar._gen.desking.entitlements.v1 import feed_pb2 as pb
from sidecar.address import Address
from sync.feed.channel import CODE, SERVICE

STATUS = {
    "UNKNOWN_TENANT": grpc.StatusCode.NOT_FOUND,
    "IDEMPOTENCY_CONFLICT": grpc.StatusCode.ALREADY_EXISTS,
    "USAGE_BELOW_ZERO": grpc.StatusCode.FAILED_PRECONDITION,
}
MARK = "0" * 64


class Refusal(Exception):
    """Ends a call with a status, and with a code of the store's if there is one."""

    def __init__(self, status: grpc.StatusCode, text: str = "", code: str = "") -> None:
        super().__init__(text)
        self.status, self.text, self.code = status, text, code


def refusal(code: str, text: str = "no") -> Refusal:
    """One of the store's own."""
    return Refusal(STATUS[code], text, code)


class UsageBook:
    """A store's usage in memory: units by tenant and key, each idempotency key done once. It knows all it was told."""

    def __init__(self, *tenants: str) -> None:
        self.tenants = set(tenants)
        self.units: dict[tuple[str, str], int] = {}
        self.revision = 1
        self.told: list[auth.AdjustUsageRequest] = []
        """Every statement that came, in order, repeated ones as well."""
        self.done: dict[str, tuple[bytes, auth.AdjustUsageResponse]] = {}
        """Idempotency key to what was asked and answered, in the order it was done."""
        self._lock = threading.Lock()

    def __call__(self, request: auth.AdjustUsageRequest) -> auth.AdjustUsageResponse:
        with self._lock:
            self.told.append(request)
            asked = request.SerializeToString(deterministic=True)
            known = self.done.get(request.idempotency_key)
            if known is not None:
                if known[0] != asked:
                    raise refusal("IDEMPOTENCY_CONFLICT")
                return known[1]
            if self.tenants and request.tenant_id not in self.tenants:
                raise refusal("UNKNOWN_TENANT", f"no tenant {request.tenant_id}")
            place = (request.tenant_id, request.key)
            before = self.units.get(place, 0)
            units = request.absolute if request.WhichOneof("change") == "absolute" else before + request.delta
            if units < 0:
                raise refusal("USAGE_BELOW_ZERO", f"there are {before}")
            self.units[place] = units
            self.revision += 1
            answer = auth.AdjustUsageResponse(units=units, revision=self.revision)
            self.done[request.idempotency_key] = (asked, answer)
            return answer

    @property
    def keys(self) -> list[str]:
        """The idempotency keys, in the order in which they were done."""
        return list(self.done)


def nothing_got(request: pb.GetRequest) -> pb.GetResponse:
    """An answer that holds no record."""
    position = pb.FeedPosition(store_id="store", revision=max(1, request.min_revision), mark=MARK)
    return pb.GetResponse(position=position, store_instant=1)


class FeedStub:
    """A gRPC server on loopback; `get` and `adjust` may be replaced at any time. Port 0: any free one."""

    def __init__(
        self,
        *,
        get: Callable[[pb.GetRequest], pb.GetResponse] = nothing_got,
        adjust: Callable[[auth.AdjustUsageRequest], auth.AdjustUsageResponse] | None = None,
        port: int = 0,
        watch: Address | None = None,
    ) -> None:
        """`watch`: where a real server is, which Watch is passed on to."""
        self.get = get
        self.adjust = adjust or UsageBook()
        self.asked: list[pb.GetRequest] = []
        self.metadata: list[dict[str, Any]] = []
        handlers = {
            "Get": self._unary(pb.GetRequest, self._get),
            "AdjustUsage": self._unary(auth.AdjustUsageRequest, lambda request: self.adjust(request)),
        }
        self._real = grpc.insecure_channel(str(watch)) if watch is not None else None
        if self._real is not None:
            handlers["Watch"] = grpc.unary_stream_rpc_method_handler(self._watch)
        self._server = grpc.server(ThreadPoolExecutor(max_workers=32), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self._server.start()

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.port)

    def stop(self) -> None:
        if self._real is not None:
            self._real.close()
        self._server.stop(None).wait()

    def __enter__(self) -> FeedStub:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _get(self, request: pb.GetRequest) -> pb.GetResponse:
        self.asked.append(request)
        return self.get(request)

    def _watch(self, data: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        assert self._real is not None
        sent = [(key, value) for key, value in context.invocation_metadata() if key == "authorization"]
        events = self._real.unary_stream(f"/{SERVICE}/Watch")(data, metadata=sent)
        context.add_callback(events.cancel)
        try:
            yield from events
        except grpc.RpcError:
            return

    def _unary(self, kind: Any, behavior: Callable[[Any], Any]) -> Any:
        def answer(data: bytes, context: grpc.ServicerContext) -> bytes:
            self.metadata.append(dict(context.invocation_metadata()))
            try:
                made = behavior(kind.FromString(data))
                return made if isinstance(made, bytes) else made.SerializeToString()
            except Refusal as e:
                if e.code:
                    context.set_trailing_metadata(((CODE, e.code),))
                context.abort(e.status, e.text)
                raise

        return grpc.unary_unary_rpc_method_handler(answer)
