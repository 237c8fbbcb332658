"""Calls about what exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.core.errors import InvalidRequest
from sync.backoffice import codec
from sync.backoffice.method import Change, View, reads, writes
from sync.store import counting, usage
from sync.store.counting import Count, Difference
from sync.store.usage import MOST, MOST_SEATS, Absolute, Delta, SeatChange, Seats, Used

MOST_KEYS: Final = 1000


def _message(key: str, used: Used) -> pb.UsageState:
    return pb.UsageState(key=key, units=used.units, seats=used.seats)


def _seats(request: pb.ChangeUsageRequest) -> Seats:
    changes = codec.few("seats.changes", request.seats.changes, MOST_SEATS)
    if not changes:
        raise InvalidRequest("seats.changes", "at least one is needed")
    return Seats(
        changes=tuple(
            SeatChange(user_id=codec.as_it_is(f"seats.changes[{i}].user_id", each.user_id), held=each.held)
            for i, each in enumerate(changes)
        )
    )


CHANGES: Final[Mapping[str, Callable[[pb.ChangeUsageRequest], usage.Change]]] = {
    "delta": lambda request: Delta(units=codec.number("delta", request.delta, -MOST, MOST)),
    "absolute": lambda request: Absolute(units=codec.number("absolute", request.absolute, 0, MOST)),
    "seats": _seats,
}


def _change(change: Change, request: pb.ChangeUsageRequest) -> pb.ChangeUsageResponse:
    tenant_id, key = codec.name("tenant_id", request.tenant_id), codec.as_it_is("key", request.key)
    which = request.WhichOneof("change")
    if which is None:
        raise InvalidRequest("delta", "one of delta, absolute and seats is needed")
    try:
        usage.change_usage(change.writing, tenant_id, key, CHANGES[which](request))
    except InvalidRequest as e:  # what it would come to
        raise InvalidRequest(e.field if e.field.startswith(which) else which, e.problem) from e
    return pb.ChangeUsageResponse(usage=_message(key, usage.usage_of(change.conn, tenant_id, key)))


def _count(field: str, count: pb.UsageCount) -> Count:
    seats = codec.few(f"{field}.seats", count.seats, counting.MOST_USERS)
    if len(set(seats)) < len(seats):
        raise InvalidRequest(f"{field}.seats", "a user may stand once only")
    return Count(
        key=codec.as_it_is(f"{field}.key", count.key),
        units=codec.number(f"{field}.units", count.units, 0, MOST),
        seats=tuple(codec.as_it_is(f"{field}.seats[{i}]", user) for i, user in enumerate(seats)),
    )


def _difference(found: Difference) -> pb.UsageDifference:
    return pb.UsageDifference(
        key=found.key,
        units_before=found.units_before,
        units_after=found.units_after,
        seats_removed=found.removed,
        seats_added=found.added,
    )


def _reconcile(change: Change, request: pb.ReconcileUsageRequest) -> pb.ReconcileUsageResponse:
    tenant_id = codec.name("tenant_id", request.tenant_id)
    counts = [_count(f"counts[{i}]", each) for i, each in enumerate(codec.few("counts", request.counts, MOST_KEYS))]
    found = counting.reconcile_usage(change.writing, tenant_id, counts, complete=request.complete)
    return pb.ReconcileUsageResponse(differences=[_difference(each) for each in found])


def _get(view: View, request: pb.GetUsageRequest) -> pb.GetUsageResponse:
    found: Mapping[str, Any] = usage.list_usage(view.conn, codec.name("tenant_id", request.tenant_id))
    return pb.GetUsageResponse(usage=[_message(key, used) for key, used in found.items()])


METHODS: Final = (
    writes("ChangeUsage", _change),
    writes("ReconcileUsage", _reconcile),
    reads("GetUsage", _get),
)
