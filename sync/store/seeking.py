"""What lists ask for: ids, page by page, that filters leave. A filter that is None or "" leaves all."""

from __future__ import annotations

import json
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, exists, func, or_, select

from sidecar.core.model import Instant
from sync.store import lineage, schema

T: Final = schema.tenant
O: Final = schema.orders  # noqa: E741
L: Final = schema.order_line
P: Final = schema.payment
PLAN: Final = schema.plan
N: Final = schema.notice
_void: Final = schema.orders.alias("void")
Conditions = list[ColumnElement[bool]]


def tenant_ids(
    conn: Connection,
    *,
    after: str,
    limit: int,
    parent_id: str = "",
    tag: str = "",
    edition: str = "",
    archived: bool | None = None,
    text: str = "",
) -> list[str]:
    """Tenants by id; `text` stands in the id or the name."""
    conditions = _equal(T.c.parent_id, parent_id) + _equal(T.c.edition, edition) + _set(T.c.archived_at, archived)
    if tag:  # `like` would take vip for VIP
        conditions.append(func.replace(T.c.tags, json.dumps(tag, ensure_ascii=False), "") != T.c.tags)
    if text:
        conditions.append(or_(T.c.id.icontains(text, autoescape=True), T.c.name.icontains(text, autoescape=True)))
    return _page(conn, T.c.id, conditions, after, limit)


def order_ids(
    conn: Connection,
    *,
    after: int,
    limit: int,
    tenant_id: str = "",
    kind: str = "",
    product_id: str = "",
    placed_from: Instant | None = None,
    placed_until: Instant | None = None,
    voided: bool | None = None,
) -> list[int]:
    """Orders by number; `product_id`: those that buy it; `voided`: whether a VOID names them."""
    conditions = _equal(O.c.tenant_id, tenant_id) + _equal(O.c.kind, kind)
    if product_id:
        conditions.append(O.c.id.in_(select(L.c.order_id).where(L.c.product_id == product_id)))
    if placed_from is not None:
        conditions.append(O.c.placed_at >= placed_from)
    if placed_until is not None:
        conditions.append(O.c.placed_at < placed_until)
    if voided is not None:
        named = exists().where(_void.c.voids == O.c.id)
        conditions.append(named if voided else ~named)
    return _page(conn, O.c.id, conditions, after, limit)


def payment_ids(
    conn: Connection, *, after: int, limit: int, tenant_id: str = "", order_id: int = 0, reference: str = ""
) -> list[int]:
    """Payments by number."""
    conditions = _equal(P.c.order_id, order_id) + _equal(P.c.reference, reference)
    if tenant_id:
        conditions.append(P.c.order_id.in_(select(O.c.id).where(O.c.tenant_id == tenant_id)))
    return _page(conn, P.c.id, conditions, after, limit)


def plan_ids(
    conn: Connection,
    *,
    after: str,
    limit: int,
    owner_id: str | None = None,
    available_to: str = "",
    archived: bool | None = None,
) -> list[str]:
    """Plans by id. `owner_id` "": the installation's; `available_to`: its own, its ancestors', the installation's."""
    conditions = _set(PLAN.c.archived_at, archived)
    if owner_id is not None:
        conditions.append(PLAN.c.owner_id == owner_id if owner_id else PLAN.c.owner_id.is_(None))
    if available_to:
        owners = [available_to, *lineage.ancestors(conn, available_to)]
        conditions.append(or_(PLAN.c.owner_id.is_(None), PLAN.c.owner_id.in_(owners)))
    return _page(conn, PLAN.c.id, conditions, after, limit)


def notice_ids(
    conn: Connection, *, after: int, limit: int, tenant_id: str = "", state: str = "", kind: str = ""
) -> list[int]:
    """Notices by number."""
    conditions = _equal(N.c.tenant_id, tenant_id) + _equal(N.c.state, state) + _equal(N.c.kind, kind)
    return _page(conn, N.c.id, conditions, after, limit)


def _equal(column: Any, value: object) -> Conditions:
    return [column == value] if value else []


def _set(column: Any, wanted: bool | None) -> Conditions:
    if wanted is None:
        return []
    return [column.is_not(None) if wanted else column.is_(None)]


def _page(conn: Connection, column: Any, conditions: Conditions, after: Any, limit: int) -> list[Any]:
    query = select(column).where(column > after, *conditions).order_by(column).limit(limit)
    return list(conn.scalars(query))
