"""Who is below whom, and whose services a tenant shares (domain.md 3, inheritance)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, exists, or_, select

from sync.store import schema

Id = TypeVar("Id", str, int)

CHUNK: Final = 500
"""Tenants that one query names."""

T: Final = schema.tenant
O: Final = schema.orders  # noqa: E741
P: Final = schema.plan_assignment


_void = schema.orders.alias("void")


def counts() -> ColumnElement[bool]:
    """SQL: whether the order of the enclosing query counts: it is no VOID, and was not voided from its start."""
    voided = exists().where(_void.c.voids == O.c.id, _void.c.void_at <= O.c.starts_at)
    return and_(O.c.kind != "VOID", ~voided)


def serves() -> ColumnElement[bool]:
    """SQL: whether the tenant of the enclosing query has a plan, or an order on record that counts."""
    assigned = exists().where(P.c.tenant_id == T.c.id, P.c.ends_at.is_(None))
    return or_(assigned, exists().where(O.c.tenant_id == T.c.id, counts()))


_start = select(T.c.id, T.c.parent_id).where(T.c.id.in_(bindparam("ids", expanding=True))).cte("up", recursive=True)
_UP: Final = _start.union(select(T.c.id, T.c.parent_id).join(_start, T.c.id == _start.c.parent_id))
"""Tenants and all their ancestors."""
NODES: Final = select(T, serves().label("serves")).where(T.c.id.in_(select(_UP.c.id)))
EDITIONS: Final = (
    select(O.c.tenant_id, O.c.edition)
    .where(O.c.tenant_id.in_(select(_UP.c.id)), O.c.edition.is_not(None), counts())
    .order_by(O.c.id)
)
_below = select(T.c.id).where(T.c.parent_id.in_(bindparam("ids", expanding=True))).cte("down", recursive=True)
_DOWN: Final = _below.union(select(T.c.id).join(_below, T.c.parent_id == _below.c.id))
DESCENDANTS: Final = select(_DOWN.c.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A tenant among its ancestors. `serves`: it has a plan or an order on record, so it shares nobody's services.

    `edition` is its own: of its latest order that names one, else what an operator set; "" for none.
    """

    id: str
    parent_id: str | None
    zone: str
    language: str
    tags: tuple[str, ...]
    edition: str
    archived: bool
    serves: bool


Nodes = Mapping[str, Node]


def chunks(ids: Iterable[Id]) -> Iterator[list[Id]]:
    """Ids, so many at a time as one query may name."""
    rest = iter(ids)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def lineage(conn: Connection, ids: Collection[str]) -> Nodes:
    """These tenants and all their ancestors, by id; unknown ids are left out."""
    bought = {row.tenant_id: row.edition for row in conn.execute(EDITIONS, {"ids": ids})}
    return {row.id: _node(row, bought.get(row.id)) for row in conn.execute(NODES, {"ids": ids})}


def _node(row: Row[Any], bought: str | None) -> Node:
    return Node(
        id=row.id,
        parent_id=row.parent_id,
        zone=row.zone,
        language=row.language,
        tags=tuple(json.loads(row.tags)),
        edition=bought or row.edition or "",
        archived=row.archived_at is not None,
        serves=row.serves,
    )


def above(nodes: Nodes, node: Node) -> Iterator[Node]:
    """A node's ancestors, nearest first."""
    while node.parent_id is not None:
        node = nodes[node.parent_id]
        yield node


def holder(nodes: Nodes, tenant_id: str) -> Node | None:
    """The ancestor whose services a tenant shares; None when it has its own, or there are none to share."""
    node = nodes.get(tenant_id)
    if node is None or node.serves:
        return None
    return next((ancestor for ancestor in above(nodes, node) if ancestor.serves), None)


def holders(conn: Connection, ids: Collection[str]) -> set[str]:
    """The ancestors whose services some of these tenants share."""
    nodes = lineage(conn, ids)
    return {found.id for found in (holder(nodes, i) for i in ids) if found}


def ancestors(conn: Connection, tenant_id: str) -> list[str]:
    """A known tenant's ancestors, nearest first."""
    nodes = lineage(conn, [tenant_id])
    return [node.id for node in above(nodes, nodes[tenant_id])]


def descendants(conn: Connection, tenant_id: str) -> set[str]:
    """Everyone below a tenant."""
    return below(conn, [tenant_id])


def below(conn: Connection, ids: Collection[str]) -> set[str]:
    """Everyone below some of these tenants."""
    return set(conn.scalars(DESCENDANTS, {"ids": ids}))


def edition_of(conn: Connection, tenant_id: str) -> str | None:
    """A known tenant's own edition."""
    return lineage(conn, [tenant_id])[tenant_id].edition or None
