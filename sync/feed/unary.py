"""The feed's single calls: one tenant as the store has it now, and statements of usage passed on to the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as auth_pb
from sidecar._gen.desking.entitlements.v1 import feed_pb2 as pb
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Instant
from sync.feed.doors import refuse_other
from sync.feed.reading import look, with_holders
from sync.feed.wire import change_messages, position_message
from sync.store.db import Store
from sync.store.names import sized_name
from sync.store.operators import Operator
from sync.store.usage import Absolute, Change, Delta, SeatChange, Seats, adjust_usage

M = TypeVar("M", bound=Message)

CHANGES: Final[Mapping[str, Callable[[auth_pb.AdjustUsageRequest], Change]]] = {
    "delta": lambda request: Delta(units=request.delta),
    "absolute": lambda request: Absolute(units=request.absolute),
    "seats": lambda request: Seats(
        changes=tuple(SeatChange(user_id=each.user_id, held=each.held) for each in request.seats.changes)
    ),
}


def read_get(sidecar: Operator, data: bytes) -> pb.GetRequest:
    """A request for one tenant. Raises InvalidRequest, NotItsTenants."""
    request = _read(pb.GetRequest, data)
    sized_name("tenant_id", request.tenant_id)
    if request.min_revision < 0:
        raise InvalidRequest("min_revision", f"{request.min_revision} is below 0")
    refuse_other(sidecar, request.tenant_id)
    return request


def get(store: Store, tenant_id: str) -> bytes:
    """One tenant, and whose services it shares, in one view of the store. Raises StoreError."""
    with store.reading() as conn:
        seen = look(conn, None)
        found = with_holders(conn, [tenant_id])
    answer = pb.GetResponse(
        position=position_message(seen.head.position),
        records=change_messages(found.items()) if tenant_id in found else (),
        store_instant=seen.instant,
    )
    return answer.SerializeToString()


def read_adjustment(sidecar: Operator, data: bytes) -> auth_pb.AdjustUsageRequest:
    """A statement of usage. Raises InvalidRequest, NotItsTenants."""
    request = _read(auth_pb.AdjustUsageRequest, data)
    for field in ("tenant_id", "key", "idempotency_key"):
        sized_name(field, getattr(request, field))
    if request.WhichOneof("change") is None:
        raise InvalidRequest("change", "one of delta, absolute and seats is needed")
    refuse_other(sidecar, request.tenant_id)
    return request


def adjust(store: Store, sidecar: Operator, request: auth_pb.AdjustUsageRequest, now: Instant, store_id: str) -> bytes:
    """Writes a statement, durably, under the sidecar's name, to the store of this id ("": whichever it is).

    Raises InvalidRequest, Refused, StoreError.
    """
    done = adjust_usage(
        store,
        request.tenant_id,
        request.key,
        CHANGES[str(request.WhichOneof("change"))](request),
        idempotency_key=request.idempotency_key,
        now=now,
        operator=f"sidecar:{sidecar.name}",
        store_id=store_id,
    )
    answer = auth_pb.AdjustUsageResponse(units=done.units, seats=done.seats, revision=done.revision)
    return answer.SerializeToString()


def read_watch(data: bytes) -> pb.WatchRequest:
    """A request to follow. Raises InvalidRequest."""
    return _read(pb.WatchRequest, data)


def _read(kind: type[M], data: bytes) -> M:
    try:
        return kind.FromString(data)
    except DecodeError as e:
        raise InvalidRequest("request", f"these bytes are no {kind.__name__}: {e}") from e
