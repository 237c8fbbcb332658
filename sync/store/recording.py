"""Writing accepted orders down, many at once, with what they end and their entries in the audit trail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Table, insert

from sidecar.core.calendar import format_instant
from sidecar.core.model import FOREVER, Instant
from sync.store import schema
from sync.store.db import Writing
from sync.store.orderbook import Order
from sync.store.ordering import Placed
from sync.store.terms import Line

O: Final = schema.orders  # noqa: E741


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbers:
    """Numbers on record of the orders and lines of a batch, in which they had -1, -2, -3..."""

    orders: Sequence[int]
    lines: Sequence[int]

    def order(self, order_id: int) -> int:
        return order_id if order_id > 0 else self.orders[-order_id - 1]

    def line(self, line_id: int) -> int:
        return line_id if line_id > 0 else self.lines[-line_id - 1]


def record(writing: Writing, placed: Sequence[Placed]) -> list[Order]:
    """Puts orders on record, in this order."""
    _touch(writing, placed)
    orders = _insert(writing.conn, O, [_order_row(each, writing.by.operator) for each in placed])
    numbered = list(zip(orders, placed, strict=True))
    rows = [_line_row(line, order_id) for order_id, each in numbered for line in each.outcome.lines]
    numbers = _Numbers(orders=orders, lines=_insert(writing.conn, schema.order_line, rows))
    ended = [{numbers.line(line_id): at for line_id, at in each.outcome.ends.items()} for each in placed]
    record_ends(writing.conn, dict(zip(orders, ended, strict=True)))
    lines = iter(numbers.lines)
    recorded = [_order(order_id, each, lines, numbers, writing.by.operator) for order_id, each in numbered]
    for order, ends in zip(recorded, ended, strict=True):
        writing.audit("order.place", f"order:{order.id}", tenant_id=order.tenant_id, after=told(order, ends))
    return recorded


def _touch(writing: Writing, placed: Sequence[Placed]) -> None:
    """Marks whose records change: the tenants, whose services they shared until now, and all below some of them."""
    writing.touch_only(i for each in placed for i in (each.tenant_id, each.holder_id) if i is not None)
    writing.touch_below(sorted({each.tenant_id for each in placed if each.beyond}))


def _insert(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> Sequence[int]:
    """The rows' numbers, in the order in which the rows come.

    SQLite numbers them so by itself, but tells them in any order; PostgreSQL has to be asked to.
    """
    asked = conn.dialect.name == "postgresql"
    return sorted(conn.scalars(insert(table).returning(table.c.id, sort_by_parameter_order=asked), rows))


def record_ends(conn: Connection, ended: Mapping[int, Mapping[int, Instant]]) -> None:
    """Writes which order ended which lines, and when."""
    rows = [
        {"line_id": line_id, "order_id": order_id, "at": at}
        for order_id, ends in ended.items()
        for line_id, at in ends.items()
    ]
    if rows:
        conn.execute(insert(schema.line_end), rows)


def _order_row(placed: Placed, operator: str) -> dict[str, Any]:
    ask, deal = placed.ask, placed.ask.deal
    return {
        "tenant_id": placed.tenant_id,
        "kind": ask.kind.value,
        "status": "trial" if ask.trial else "paid",
        "edition": ask.edition,
        "placed_at": placed.at,
        "starts_at": min(line.starts_at for line in placed.outcome.lines),
        "purchased_on": placed.purchased_on,
        "currency": deal.currency,
        "coupon": deal.coupon,
        "coupon_amount": deal.coupon_amount,
        "credit": deal.credit,
        "total": placed.outcome.total,
        "note": deal.note,
        "operator": operator,
    }


def _line_row(line: Line, order_id: int) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "product_id": line.product.id,
        "product_version": line.product_version,
        "quantity": line.quantity,
        "starts_at": line.starts_at,
        "ends_at": _stored(line.ends_at),
        "anchor": line.anchor,
        "trial_until": line.trial_until,
        "unit_price": line.unit_price,
        "billing_starts_at": line.billing_starts_at,
        "billing_ends_at": _stored(line.billing_ends_at),
        "billing_periods": line.billing_periods,
    }


def _stored(end: Instant | None) -> Instant | None:
    return None if end == FOREVER else end


def _order(order_id: int, placed: Placed, lines: Iterator[int], numbers: _Numbers, operator: str) -> Order:
    ask, deal, outcome = placed.ask, placed.ask.deal, placed.outcome
    source = f"order:{order_id}"
    return Order(
        id=order_id,
        tenant_id=placed.tenant_id,
        kind=ask.kind,
        trial=ask.trial,
        edition=ask.edition,
        placed_at=placed.at,
        starts_at=min(line.starts_at for line in outcome.lines),
        purchased_on=placed.purchased_on,
        currency=deal.currency,
        coupon=deal.coupon,
        coupon_amount=deal.coupon_amount,
        credit=deal.credit,
        total=outcome.total,
        note=deal.note,
        operator=operator,
        lines=tuple(replace(x, id=next(lines), order_id=order_id, source=source) for x in outcome.lines),
        notices=tuple(_queued(line, numbers) for line in outcome.queued),
    )


def _queued(line: Line, numbers: _Numbers) -> str:
    start = format_instant(line.starts_at)
    order_id = numbers.order(line.order_id)
    return f"order {order_id} keeps its quantity {line.quantity} of {line.product.id} from {start} on"


def told(order: Order, ends: Mapping[int, Instant]) -> dict[str, Any]:
    """An order in the audit trail, and the lines that it ended."""
    return {
        "kind": order.kind.value,
        "trial": order.trial,
        "edition": order.edition,
        "placed_at": _told_instant(order.placed_at),
        "purchased_on": order.purchased_on,
        "currency": order.currency,
        "coupon": order.coupon,
        "coupon_amount": order.coupon_amount,
        "credit": order.credit,
        "total": order.total,
        "note": order.note,
        "lines": [_told_line(line) for line in order.lines],
        "ended": told_ends(ends),
    }


def told_ends(ends: Mapping[int, Instant]) -> dict[str, str]:
    """Ended lines in the audit trail."""
    return {str(line_id): format_instant(at) for line_id, at in ends.items()}


def _told_line(line: Line) -> dict[str, Any]:
    return {
        "line": line.id,
        "product": line.product.id,
        "version": line.product_version,
        "quantity": line.quantity,
        "starts_at": _told_instant(line.starts_at),
        "ends_at": _told_instant(line.ends_at),
        "trial_until": _told_instant(line.trial_until),
        "unit_price": line.unit_price,
        "billing_starts_at": _told_instant(line.billing_starts_at),
        "billing_periods": line.billing_periods,
    }


@lru_cache(maxsize=4096)
def _told_instant(instant: Instant | None) -> str | None:
    return None if instant is None or instant == FOREVER else format_instant(instant)
