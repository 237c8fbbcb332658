"""Exports that can be imported into an empty store: tenants, what they use, what they bought."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, func, literal, select

from sidecar.core.model import FOREVER
from sync.backoffice.codec import amount
from sync.store import schema
from sync.store.placing import Kind
from sync.transfer.formats import Values
from sync.transfer.sought import Export, Sought, moment, pages

T: Final = schema.tenant
U: Final = schema.usage
S: Final = schema.seat
O: Final = schema.orders  # noqa: E741
L: Final = schema.order_line
E: Final = schema.line_end

_root = select(T.c.id, literal(0).label("depth")).where(T.c.parent_id.is_(None)).cte("tree", recursive=True)
_TREE: Final = _root.union_all(select(T.c.id, _root.c.depth + 1).join(_root, T.c.parent_id == _root.c.id))
TENANTS: Final = select(T).join(_TREE, _TREE.c.id == T.c.id).order_by(_TREE.c.depth, T.c.id)
"""Parents come before those below them."""
UNITS: Final = select(U).order_by(U.c.tenant_id, U.c.key)
SEATS: Final = select(S).order_by(S.c.id)
"""In order of assignment over all tenants: pools keep theirs."""
ORDERS: Final = select(O).order_by(O.c.id)
LINES: Final = select(
    L, select(func.min(E.c.at)).where(E.c.line_id == L.c.id).scalar_subquery().label("ended_at")
).order_by(L.c.id)
KEEP_TERM: Final = (Kind.UPGRADE.value, Kind.DOWNGRADE.value)
"""Kinds whose term is that of what they change: none is stated."""
NO_LINE: Final[dict[str, Any]] = dict.fromkeys(
    ("product", "quantity", "starts", "ends", "perpetual", "unit_price", "billing_starts", "periods", "until")
)


def _tenants(conn: Connection, sought: Sought) -> Iterator[Values]:
    for page in pages(conn, sought.narrow(TENANTS, tenant=T.c.id, at=T.c.created_at)):
        for row in page:
            yield {
                "tenant": row.id,
                "name": row.name,
                "parent": row.parent_id,
                "zone": row.zone,
                "language": row.language,
                "contacts": json.loads(row.contacts),
                "tags": json.loads(row.tags),
                "edition": row.edition,
                "created_at": moment(row.created_at),
                "archived_at": moment(row.archived_at),
            }


def _usage(conn: Connection, sought: Sought) -> Iterator[Values]:
    for page in pages(conn, sought.narrow(UNITS, tenant=U.c.tenant_id)):
        for row in page:
            yield {"tenant": row.tenant_id, "key": row.key, "units": row.units, "user": None}
    for page in pages(conn, sought.narrow(SEATS, tenant=S.c.tenant_id)):
        for row in page:
            yield {"tenant": row.tenant_id, "key": row.key, "units": None, "user": row.user_id}


def _orders(conn: Connection, sought: Sought) -> Iterator[Values]:
    for page in pages(conn, sought.narrow(ORDERS, tenant=O.c.tenant_id, at=O.c.placed_at)):
        lines = _lines(conn, [row.id for row in page])
        for row in page:
            order = _order(row)
            for line in lines.get(row.id, [NO_LINE]):
                yield order | line | _term(row)


def _order(row: Row[Any]) -> dict[str, Any]:
    return {
        "order": row.id,
        "tenant": row.tenant_id,
        "kind": row.kind,
        "trial": row.status == "trial",
        "edition": row.edition,
        "currency": row.currency,
        "coupon": row.coupon,
        "coupon_amount": amount(row.coupon_amount),
        "credit": amount(row.credit),
        "purchased_on": row.purchased_on,
        "note": row.note,
        "at": moment(row.placed_at),
        "total": amount(row.total),
        "operator": row.operator,
        "voids": row.voids,
        "void_at": moment(row.void_at),
    }


def _lines(conn: Connection, ids: Sequence[int]) -> Mapping[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in conn.execute(LINES.where(L.c.order_id.in_(ids))):
        end = FOREVER if row.ends_at is None else row.ends_at
        until = end if row.ended_at is None else min(end, row.ended_at)
        found[row.order_id].append(
            {
                "product": row.product_id,
                "quantity": row.quantity,
                "starts": moment(row.starts_at),
                "ends": moment(row.ends_at),
                "perpetual": row.ends_at is None,
                "unit_price": amount(row.unit_price),
                "billing_starts": moment(row.billing_starts_at),
                "periods": row.billing_periods,
                "until": None if until == FOREVER else moment(until),
            }
        )
    return found


def _term(order: Row[Any]) -> dict[str, Any]:
    """What is stated of the term: nothing that follows from the kind, or from the product's trial."""
    if order.kind in KEEP_TERM:
        return {"starts": None, "ends": None, "perpetual": False}
    return {"ends": None} if order.status == "trial" else {}


EXPORTS: Final = (
    Export(
        name="tenants",
        about="Tenants, parents first.",
        columns=(
            "tenant",
            "name",
            "parent",
            "zone",
            "language",
            "contacts",
            "tags",
            "edition",
            "created_at",
            "archived_at",
        ),
        rows=_tenants,
    ),
    Export(
        name="usage",
        about="Units, then seats in their order of assignment.",
        columns=("tenant", "key", "units", "user"),
        rows=_usage,
    ),
    Export(
        name="orders",
        about="Orders, oldest first, a row for each line.",
        columns=(
            "order",
            "tenant",
            "kind",
            "product",
            "quantity",
            "starts",
            "ends",
            "perpetual",
            "trial",
            "edition",
            "unit_price",
            "currency",
            "coupon",
            "coupon_amount",
            "credit",
            "purchased_on",
            "billing_starts",
            "periods",
            "note",
            "at",
            "total",
            "until",
            "operator",
            "voids",
            "void_at",
        ),
        rows=_orders,
        numbers=frozenset({"unit_price", "coupon_amount", "credit", "total"}),
    ),
)
