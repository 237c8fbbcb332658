"""Orders as they stand on record: one, some, page by page (domain.md 3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select

from sidecar.core.model import Instant
from sync.store import schema, seeking
from sync.store.errors import Refused
from sync.store.holdings import lines_of_orders
from sync.store.lineage import chunks
from sync.store.placing import Kind
from sync.store.tenants import get_tenant
from sync.store.terms import Line

O: Final = schema.orders  # noqa: E741
_void: Final = schema.orders.alias("void")
VOID_FROM: Final = select(func.min(_void.c.void_at)).where(_void.c.voids == O.c.id).scalar_subquery()
ORDERS: Final = select(O, VOID_FROM.label("void_from"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order on record. `void_at`: of a VOID, from when on it ends the order that it `voids`; of an order that was
    voided, from when on. `starts_at` is the earliest start of its lines. `notices` say what its operator should know;
    they are told once, when it is placed. Amounts are in millionths of the currency unit.
    """

    id: int
    tenant_id: str
    kind: Kind
    trial: bool
    edition: str | None
    placed_at: Instant
    starts_at: Instant
    purchased_on: str
    currency: str
    coupon: str
    coupon_amount: int
    credit: int
    total: int
    note: str
    operator: str
    voids: int | None = None
    void_at: Instant | None = None
    lines: tuple[Line, ...] = ()
    notices: tuple[str, ...] = ()


def get_order(conn: Connection, order_id: int) -> Order:
    """An order. Refused: UNKNOWN_ORDER."""
    found = get_orders(conn, [order_id])
    if not found:
        raise Refused("UNKNOWN_ORDER", f"there is no order {order_id}: see `deskgate order list`")
    return found[0]


def get_orders(conn: Connection, ids: Iterable[int]) -> list[Order]:
    """Those of these orders that there are, oldest first."""
    asked = sorted(set(ids))
    rows = [row for chunk in chunks(asked) for row in conn.execute(ORDERS.where(O.c.id.in_(chunk)).order_by(O.c.id))]
    lines = lines_of_orders(conn, asked)
    return [_order(row, tuple(lines.get(row.id, ()))) for row in rows]


def list_orders(
    conn: Connection,
    tenant_id: str = "",
    *,
    kind: Kind | None = None,
    product_id: str = "",
    placed_from: Instant | None = None,
    placed_until: Instant | None = None,
    voided: bool | None = None,
    after: int = 0,
    limit: int = 1000,
) -> list[Order]:
    """Orders, oldest first, at most `limit`, those after a number; a filter that is left out leaves all.

    `product_id`: those that buy it; [placed_from, placed_until) holds the instant of the order; `voided`: whether a
    VOID names it. Refused: UNKNOWN_TENANT.
    """
    if tenant_id:
        get_tenant(conn, tenant_id)
    ids = seeking.order_ids(
        conn,
        after=after,
        limit=limit,
        tenant_id=tenant_id,
        kind=kind.value if kind else "",
        product_id=product_id,
        placed_from=placed_from,
        placed_until=placed_until,
        voided=voided,
    )
    return get_orders(conn, ids)


def _order(row: Row[Any], lines: tuple[Line, ...]) -> Order:
    return Order(
        id=row.id,
        tenant_id=row.tenant_id,
        kind=Kind(row.kind),
        trial=row.status == "trial",
        edition=row.edition,
        placed_at=row.placed_at,
        starts_at=row.starts_at,
        purchased_on=row.purchased_on,
        currency=row.currency,
        coupon=row.coupon,
        coupon_amount=row.coupon_amount,
        credit=row.credit,
        total=row.total,
        note=row.note,
        operator=row.operator,
        voids=row.voids,
        void_at=row.void_from if row.void_at is None else row.void_at,
        lines=lines,
    )
