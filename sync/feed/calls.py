"""Single calls to feed servers: one tenant, or a statement of usage. They go from server to server for an answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from sidecar._gen.desking.entitlements.v1 import feed_pb2 as pb
from sidecar._gen.desking.entitlements.v1.authorization_pb2 import AdjustUsageRequest, AdjustUsageResponse
from sidecar.address import Address
from sidecar.core.errors import DeskgateError
from sidecar.core.model import Instant
from sync.feed.channel import CODE, SERVICE, STORE, FeedTarget, open_channel
from sync.feed.wire import read_changes, read_position
from sync.sources import Change, Position

INVALID: Final = "INVALID"
"""The code of a refusal for a request that makes no sense to the store."""
OTHERS: Final = "NOT_ITS_TENANTS"
"""The code of a feed that knows us, and has this tenant for others."""
Status = grpc.StatusCode
REFUSALS: Final = frozenset(
    {Status.INVALID_ARGUMENT, Status.NOT_FOUND, Status.ALREADY_EXISTS, Status.FAILED_PRECONDITION}
)
"""With a code of the store's they are its refusal of this request: no other server would say anything else."""
M = TypeVar("M", bound=Message)
Metadata = tuple[tuple[str, str], ...]


class FeedError(DeskgateError):
    """A call that brought no answer. `problem` says why, for people."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class FeedUnreachable(FeedError):
    """No server answered in time. Whether one of them did what was asked is not known."""


class FeedFailed(FeedUnreachable):
    """A server is there, and failed over this request, or does not know it: another request may well be answered."""


class FeedRefused(FeedError):
    """The store will not do this, now or later. `code` is its own, UNKNOWN_TENANT for one; or INVALID."""

    def __init__(self, code: str, problem: str) -> None:
        super().__init__(problem)
        self.code = code


class FeedDenied(FeedError):
    """The feed does not let us in; or, `known`, it does, though not to this tenant."""

    def __init__(self, problem: str, *, known: bool) -> None:
        super().__init__(problem)
        self.known = known


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """One tenant as the store has it at `position`: its record, and that of the tenant whose services it shares."""

    position: Position
    records: tuple[Change, ...]
    """Empty: there is no such tenant."""
    store_instant: Instant
    """The store's clock then."""


class _Line:
    """A connection to one server, closed when it was dropped and nobody speaks on it any more."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel: Final = channel
        self.speaking = 0
        self.dropped = False
        self.proven = False
        """Whether a server answered on it, so that what it is asked is worth waiting for."""


class FeedCalls:
    """Calls to the servers of a target, one after the other, beginning with the one that answered last. Threads may
    share it."""

    def __init__(self, target: FeedTarget, *, now: Callable[[], float] = time.monotonic) -> None:
        self._target: Final = target
        self._now: Final = now
        self._lines: Final[dict[Address, _Line]] = {}
        self._lock: Final = threading.Lock()
        self._first = 0
        self._closed = False

    def get(self, tenant_id: str, min_revision: int, timeout: float) -> Got:
        """A tenant at `min_revision` or later, within `timeout` seconds.

        Raises FeedUnreachable, FeedRefused or FeedDenied.
        """
        request = pb.GetRequest(tenant_id=tenant_id, min_revision=min_revision)
        answer = self._call("Get", request, pb.GetResponse, timeout)
        try:
            position, records = read_position(answer.position), read_changes(answer.records)
        except ValueError as e:
            raise FeedFailed(f"what came makes no sense: {e}") from e
        return Got(position=position, records=records, store_instant=answer.store_instant)

    def adjust(self, request: AdjustUsageRequest, timeout: float, store_id: str = "") -> AdjustUsageResponse:
        """States usage to the store of this id, "" being any, within `timeout` seconds; durable when it returns.

        Raises FeedUnreachable (it may have been done all the same: repeat it with the same key), FeedRefused or
        FeedDenied.
        """
        meant = ((STORE, store_id),) if store_id else ()
        return self._call("AdjustUsage", request, AdjustUsageResponse, timeout, meant)

    def close(self) -> None:
        """Cuts off calls under way, and fails every later one."""
        with self._lock:
            self._closed = True
            lines = list(self._lines.values())
            self._lines.clear()
        for line in lines:
            line.channel.close()

    def _call(self, method: str, request: Message, kind: type[M], timeout: float, more: Metadata = ()) -> M:
        deadline = self._now() + timeout
        addresses = self._target.addresses
        failure: FeedUnreachable | None = None
        first = self._first
        for tried in range(len(addresses)):
            number = (first + tried) % len(addresses)
            address, left = addresses[number], deadline - self._now()
            if left <= 0:
                break
            try:
                with self._line(address) as line:
                    share = left if line.proven else left / (len(addresses) - tried)
                    answer = self._asked(line, method, request, kind, share, more)
            except FeedUnreachable as e:
                # What a server says of this request tells more than that another one is not there.
                failure = failure if isinstance(failure, FeedFailed) else type(e)(f"{address}: {e.problem}")
                continue
            finally:
                self._first = number
            return answer
        self._first = (first + 1) % len(addresses)
        raise failure or FeedUnreachable("no time was left to ask")

    def _asked(self, line: _Line, method: str, request: Message, kind: type[M], timeout: float, more: Metadata) -> M:
        stub: grpc.UnaryUnaryMultiCallable[bytes, bytes] = line.channel.unary_unary(f"/{SERVICE}/{method}")
        try:
            data = stub(request.SerializeToString(), timeout=timeout, metadata=(*self._target.metadata, *more))
        except grpc.RpcError as e:
            self._settle(line, e)
            raise _told(e) from e
        except ValueError as e:  # what grpc says of a channel that was closed
            line.dropped = True
            raise FeedUnreachable("the connection was closed") from e
        line.proven = True
        try:
            return kind.FromString(data)
        except DecodeError as e:
            raise FeedFailed(f"what came is no {kind.__name__}") from e

    @staticmethod
    def _settle(line: _Line, error: grpc.RpcError) -> None:
        """A line that broke is not kept; one on which nothing came in time is not waited for as before."""
        status = error.code()
        line.dropped |= status in (Status.UNAVAILABLE, Status.CANCELLED)
        line.proven = status not in (Status.UNAVAILABLE, Status.CANCELLED, Status.DEADLINE_EXCEEDED)

    @contextmanager
    def _line(self, address: Address) -> Iterator[_Line]:
        with self._lock:
            if self._closed:
                raise FeedUnreachable("this end was closed")
            line = self._lines.get(address)
            if line is None:
                line = self._lines[address] = _Line(open_channel(self._target, address))
            line.speaking += 1
        try:
            yield line
        finally:
            with self._lock:
                line.speaking -= 1
                if line.dropped and self._lines.get(address) is line:
                    del self._lines[address]
                last = line.dropped and not line.speaking
            if last:
                line.channel.close()


def _told(error: grpc.RpcError) -> FeedError:
    status, text = error.code(), error.details() or ""
    code = _code(error)
    if status is Status.UNAUTHENTICATED:
        return FeedDenied(text or "the feed does not know who we are", known=False)
    if status is Status.PERMISSION_DENIED:  # a proxy that forbids the way says so without a code: that tells nothing
        return FeedDenied(text or "the feed does not let us have this tenant", known=code == OTHERS)
    if status is Status.INVALID_ARGUMENT:
        return FeedRefused(code or INVALID, text)
    if status in REFUSALS and code:
        return FeedRefused(code, text)
    if status in (Status.UNAVAILABLE, Status.CANCELLED, Status.DEADLINE_EXCEEDED, Status.RESOURCE_EXHAUSTED):
        return FeedUnreachable(f"{status.name}: {text}")
    return FeedFailed(f"{status.name}: {text}")


def _code(error: grpc.RpcError) -> str:
    """The store's own code, or nothing."""
    for entry in error.trailing_metadata() or ():
        if entry.key == CODE:
            return entry.value.decode(errors="replace") if isinstance(entry.value, bytes) else entry.value
    return ""
