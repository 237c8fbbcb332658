"""Placing orders and voiding them (domain.md 3): each whole or refused, on record for good, never edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import insert

from sidecar.core.calendar import format_instant, zone_of
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Instant
from sync.store import schema
from sync.store.db import Writing
from sync.store.errors import Refused
from sync.store.orderbook import Order, get_order, get_orders, list_orders
from sync.store.ordering import Judging, OrderAsk, Placed
from sync.store.placing import Deal, Item, Kind, LateStart
from sync.store.pricing import checked_note, day_of
from sync.store.recording import record, record_ends, told_ends
from sync.store.tenants import present
from sync.store.terms import Term, in_calendar
from sync.store.voiding import void

__all__ = [
    "Deal",
    "Item",
    "Order",
    "OrderAsk",
    "get_order",
    "get_orders",
    "list_orders",
    "place_order",
    "place_orders",
    "void_order",
]

O: Final = schema.orders  # noqa: E741


def place_order(
    writing: Writing,
    tenant_id: str,
    kind: Kind,
    products: Mapping[str, int | Item],
    *,
    now: Instant,
    term: Term = Term(),  # noqa: B008 - frozen
    trial: bool = False,
    edition: str | None = None,
    late_start: LateStart = LateStart.OWN_START,
    deal: Deal = Deal(),  # noqa: B008 - frozen
) -> Order:
    """Confirms an order at `now`: product id to quantity. Grants at once what it says, from when it says.

    Raises InvalidRequest, or Refused with a code of domain.md 3, or UNKNOWN_TENANT, TENANT_ARCHIVED, TENANT_ERASED,
    UNKNOWN_PRODUCT, UNKNOWN_EDITION, NOTHING_TO_DOWNGRADE.
    """
    ask = OrderAsk(
        tenant_id=tenant_id,
        kind=kind,
        products=products,
        term=term,
        trial=trial,
        edition=edition,
        late_start=late_start,
        deal=deal,
    )
    (placed,) = place_orders(writing, [ask], now=now)
    if not isinstance(placed, Order):
        raise placed
    return placed


def place_orders(writing: Writing, asks: Sequence[OrderAsk], *, now: Instant) -> list[Order | Refused | InvalidRequest]:
    """Confirms many orders, one after the other; for each the order, or why it was not placed, as `place_order`."""
    judging = Judging(writing.conn, asks)
    judged = [_judged(judging, ask, now) for ask in asks]
    placed = [each for each in judged if isinstance(each, Placed)]
    recorded = iter(record(writing, placed) if placed else ())
    return [next(recorded) if isinstance(each, Placed) else each for each in judged]


def _judged(judging: Judging, ask: OrderAsk, now: Instant) -> Placed | Refused | InvalidRequest:
    try:
        return judging.place(ask, now=now)
    except (Refused, InvalidRequest) as e:
        return e


def void_order(
    writing: Writing, order_id: int, *, now: Instant, void_at: Instant | None = None, note: str = ""
) -> Order:
    """Ends a mistaken order from an instant on, by an order of kind VOID; it restores nothing. Again only earlier.

    `void_at` None: at `now`. Raises InvalidRequest, or Refused: UNKNOWN_ORDER, TENANT_ERASED, NOT_VOIDABLE,
    ALREADY_VOID.
    """
    in_calendar("at", now)
    order = get_order(writing.conn, order_id)
    zone = zone_of(present(writing.conn, order.tenant_id).zone)
    at = now if void_at is None else void_at
    ends = void(order.id, order.kind, order.lines, order.void_at, at)
    writing.touch(order.tenant_id, subtree=True)
    values = {
        "tenant_id": order.tenant_id,
        "kind": Kind.VOID.value,
        "status": "void",
        "placed_at": now,
        "starts_at": at,
        "voids": order.id,
        "void_at": at,
        "purchased_on": day_of(now, zone),
        "note": checked_note("note", note),
        "operator": writing.by.operator,
    }
    void_id = writing.conn.scalars(insert(O).values(values).returning(O.c.id)).one()
    record_ends(writing.conn, {void_id: ends})
    writing.audit(
        "order.void",
        f"order:{order.id}",
        tenant_id=order.tenant_id,
        before={"void_at": None if order.void_at is None else format_instant(order.void_at)},
        after={"void_at": format_instant(at), "by": void_id, "note": note, "ended": told_ends(ends)},
    )
    return get_order(writing.conn, void_id)
