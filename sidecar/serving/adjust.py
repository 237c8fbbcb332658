"""AdjustUsage: a statement of what now exists, read and checked, for whoever writes it to the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.core.errors import InvalidRequest
from sidecar.serving import codec


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """A statement of what now exists: exactly one of `delta`, `absolute` and `seats` (user to held) is given."""

    tenant_id: str
    key: str
    idempotency_key: str
    delta: int | None = None
    absolute: int | None = None
    seats: tuple[tuple[str, bool], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """What the store holds after an adjustment; or, `queued`, that it will be made later."""

    units: int = 0
    seats: Sequence[str] = ()
    revision: int = 0
    queued: bool = False


class UsageWriter(Protocol):
    """Where usage is stated: durable before it returns."""

    def __call__(self, adjustment: Adjustment, patience: float) -> Adjusted:
        """States it, waiting `patience` seconds for an answer where it may also be queued. Raises CannotAnswer, or
        InvalidRequest naming the field."""


def read_adjustment(message: pb.AdjustUsageRequest) -> Adjustment:
    """The adjustment in a message. Raises InvalidRequest naming the first field that is wrong."""
    for field in ("tenant_id", "key", "idempotency_key"):
        codec.check_name(field, getattr(message, field))
    change = message.WhichOneof("change")
    if change is None:
        raise InvalidRequest("change", "one of delta, absolute and seats is needed")
    return Adjustment(
        tenant_id=message.tenant_id,
        key=message.key,
        idempotency_key=message.idempotency_key,
        delta=_bounded("delta", message.delta, -codec.MAX_UNITS) if change == "delta" else None,
        absolute=_bounded("absolute", message.absolute, 0) if change == "absolute" else None,
        seats=_seats(message.seats) if change == "seats" else None,
    )


def _bounded(field: str, value: int, least: int) -> int:
    if not least <= value <= codec.MAX_UNITS:
        raise InvalidRequest(field, f"{value} is not between {least} and {codec.MAX_UNITS}")
    return value


def _seats(message: pb.SeatChanges) -> tuple[tuple[str, bool], ...]:
    if not 1 <= len(message.changes) <= codec.BATCH_ITEMS:
        raise InvalidRequest("seats.changes", f"1 to {codec.BATCH_ITEMS} are needed, got {len(message.changes)}")
    for i, change in enumerate(message.changes):
        codec.check_name(f"seats.changes[{i}].user_id", change.user_id)
    return tuple((c.user_id, c.held) for c in message.changes)
