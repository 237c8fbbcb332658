"""What a VOID comes to (domain.md 3): a mistaken order is ended by a record of its own, and nothing restored. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sidecar.core.calendar import format_instant
from sidecar.core.model import Instant
from sync.store.errors import Refused
from sync.store.placing import Kind
from sync.store.terms import Line, in_calendar


def void(
    order_id: int, kind: Kind, lines: Iterable[Line], void_at: Instant | None, at: Instant
) -> Mapping[int, Instant]:
    """The lines of an order that end at `at`. `void_at`: from when on it is void already; it can only get earlier.

    Raises InvalidRequest, or Refused: NOT_VOIDABLE, ALREADY_VOID.
    """
    in_calendar("void_at", at)
    if kind is Kind.VOID:
        raise Refused("NOT_VOIDABLE", f"order {order_id} is a VOID, which stays: place a NEW order for what it ended")
    if void_at is not None and at >= void_at:
        raise Refused(
            "ALREADY_VOID", f"order {order_id} is void from {format_instant(void_at)} on: give an earlier instant"
        )
    return {line.id: at for line in lines if line.end > at}
