"""From the store's rows to entitlement records, and writing those that really changed (domain.md 3, inheritance).

`record_of` is the pure heart; everything around it loads what it needs, set by set, so that a hundred thousand tenants
cost a few hundred queries.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import CTE, Connection, Row, Select, exists, func, insert, literal, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from sidecar import records
from sidecar.core.model import FOREVER, Account, Basis, Block, Instant, Period, Record, Seat, Usage
from sync.store import schema
from sync.store.products import parse_product
from sync.store.terms import Line, grants_of

CHUNK: Final = 500
"""Tenants that one query names."""

T: Final = schema.tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A tenant as the projection sees it. `serves`: it has an order on record, so it shares nobody's services."""

    id: str
    parent_id: str | None
    zone: str
    language: str
    tags: tuple[str, ...]
    edition: str
    archived: bool
    serves: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a tenant's record is made of. `lines`, `usage` and `account` are its own pool's; empty for a sharer."""

    node: Node
    holder: Node | None
    blocks: tuple[Block, ...]
    lines: tuple[Line, ...] = ()
    usage: Mapping[str, Usage]
    account: Account | None


def record_of(facts: Facts, revision: int) -> Record:
    """The record. Pure."""
    node, holder = facts.node, facts.holder
    return Record(
        tenant_id=node.id,
        revision=revision,
        zone=node.zone,
        language=node.language,
        edition=node.edition or (holder.edition if holder else ""),
        tags=node.tags,
        archived=node.archived,
        blocks=facts.blocks,
        holder_id=holder.id if holder else "",
        grants=grants_of(facts.lines),
        usage=facts.usage,
        account=facts.account,
    )


def write_changed(conn: Connection, touched: Iterable[str], revision: int) -> int:
    """Writes the records of `touched` tenants and of their pools' owners that are not as they were.

    Returns the revision at which the change can be seen: the next one, or `revision` when no record changed.
    """
    ids = sorted({*touched, *(holder for chunk in _chunks(touched) for holder in _holders(conn, chunk))})
    following = revision + 1
    changed = 0
    for chunk in _chunks(ids):
        changed += _write(conn, list(_changed(conn, chunk, following)), following)
    if not changed:
        return revision
    conn.execute(update(schema.store).values(revision=following))
    return following


def _write(conn: Connection, rows: list[dict[str, Any]], revision: int) -> int:
    if rows:
        put = upsert(schema.entitlement)
        conn.execute(
            put.on_conflict_do_update(
                index_elements=["tenant_id"], set_={"revision": put.excluded.revision, "record": put.excluded.record}
            ),
            rows,
        )
        conn.execute(insert(schema.change_log), [{"revision": revision, "tenant_id": r["tenant_id"]} for r in rows])
    return len(rows)


def _changed(conn: Connection, ids: Collection[str], revision: int) -> Iterator[dict[str, Any]]:
    e = schema.entitlement
    held = {row.tenant_id: row for row in conn.execute(select(e).where(e.c.tenant_id.in_(ids)))}
    for record in project(conn, ids, revision):
        old = held.get(record.tenant_id)
        if old is None or records.encode(replace(record, revision=old.revision)) != old.record:
            yield {"tenant_id": record.tenant_id, "revision": revision, "record": records.encode(record)}


def project(conn: Connection, ids: Collection[str], revision: int) -> Iterator[Record]:
    """The records of these tenants as the rows stand now."""
    nodes = _lineage(conn, ids)
    holders = {i: _holder(nodes, i) for i in ids}
    owners = [i for i in ids if holders[i] is None]
    blocks = _blocks(conn, nodes)
    lines = _lines(conn, owners)
    usage = _pooled(conn, owners)
    accounts = _accounts(conn, owners)
    for i in ids:
        facts = Facts(
            node=nodes[i],
            holder=holders[i],
            blocks=tuple(_blocks_on(i, nodes, blocks)),
            lines=tuple(lines[i]),
            usage=MappingProxyType(usage[i]),
            account=accounts.get(i),
        )
        yield record_of(facts, revision)


def holder_of(conn: Connection, tenant_id: str) -> str | None:
    """The ancestor whose services a tenant shares; None when it has its own, or there are none."""
    nodes = _lineage(conn, [tenant_id])
    holder = _holder(nodes, tenant_id) if tenant_id in nodes else None
    return holder.id if holder else None


def _holders(conn: Connection, ids: Collection[str]) -> set[str]:
    nodes = _lineage(conn, ids)
    found = (_holder(nodes, i) for i in ids)
    return {holder.id for holder in found if holder}


def _holder(nodes: Mapping[str, Node], tenant_id: str) -> Node | None:
    node = nodes[tenant_id]
    if node.serves:
        return None
    return next((ancestor for ancestor in _ancestors(nodes, node) if ancestor.serves), None)


def _ancestors(nodes: Mapping[str, Node], node: Node) -> Iterator[Node]:
    while node.parent_id is not None:
        node = nodes[node.parent_id]
        yield node


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def serves() -> Any:
    """SQL: whether a tenant has an order on record."""
    return exists().where(schema.orders.c.tenant_id == T.c.id)


def _up(ids: Collection[str]) -> CTE:
    """SQL: these tenants and all their ancestors."""
    up = select(T.c.id, T.c.parent_id).where(T.c.id.in_(ids)).cte("up", recursive=True)
    return up.union(select(T.c.id, T.c.parent_id).join(up, T.c.id == up.c.parent_id))


def _lineage(conn: Connection, ids: Collection[str]) -> dict[str, Node]:
    up = _up(ids)
    rows = conn.execute(select(T, serves().label("serves")).where(T.c.id.in_(select(up.c.id)))).all()
    named = _editions(conn, select(up.c.id))
    return {row.id: _node(row, named.get(row.id)) for row in rows}


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


def _editions(conn: Connection, ids: Select[Any]) -> dict[str, str]:
    """Tenant to the edition of its latest order that names one."""
    o = schema.orders
    query = select(o.c.tenant_id, o.c.edition).where(o.c.tenant_id.in_(ids), o.c.edition.is_not(None)).order_by(o.c.id)
    return {row.tenant_id: row.edition for row in conn.execute(query)}


def edition_of(conn: Connection, tenant_id: str) -> str | None:
    """A tenant's own edition: that of its latest order that names one, else what an operator set."""
    return _lineage(conn, [tenant_id])[tenant_id].edition or None


def _blocks(conn: Connection, ids: Iterable[str]) -> dict[str, list[tuple[Block, bool]]]:
    """Tenant to its own blocks, and whether each cascades."""
    b = schema.block
    found = defaultdict(list)
    for chunk in _chunks(ids):
        for row in conn.execute(select(b).where(b.c.tenant_id.in_(chunk)).order_by(b.c.tenant_id, b.c.name)):
            block = Block(name=row.name, starts_at=row.starts_at, ends_at=_end(row.ends_at))
            found[row.tenant_id].append((block, row.cascade))
    return found


def _blocks_on(
    tenant_id: str, nodes: Mapping[str, Node], blocks: Mapping[str, list[tuple[Block, bool]]]
) -> Iterator[Block]:
    yield from (block for block, _ in blocks.get(tenant_id, ()))
    for ancestor in _ancestors(nodes, nodes[tenant_id]):
        yield from (block for block, cascade in blocks.get(ancestor.id, ()) if cascade)


def _end(instant: int | None) -> Instant:
    return FOREVER if instant is None else instant


def lines_of(conn: Connection, tenant_id: str) -> tuple[Line, ...]:
    """Every order line of a tenant, oldest first."""
    return tuple(_lines(conn, [tenant_id])[tenant_id])


def _lines(conn: Connection, ids: Collection[str]) -> dict[str, list[Line]]:
    o, x, v, e = schema.orders, schema.order_line, schema.product_version, schema.line_end
    ended = select(func.min(e.c.at)).where(e.c.line_id == x.c.id).scalar_subquery()
    query = (
        select(x, o.c.tenant_id, o.c.status, v.c.doc, ended.label("ended_at"))
        .join(o, o.c.id == x.c.order_id)
        .join(v, (v.c.product_id == x.c.product_id) & (v.c.version == x.c.product_version))
        .where(o.c.tenant_id.in_(ids))
        .order_by(x.c.id)
    )
    found: dict[str, list[Line]] = defaultdict(list)
    for row in conn.execute(query):
        found[row.tenant_id].append(_line(row))
    return found


def _line(row: Row[Any]) -> Line:
    return Line(
        id=row.id,
        order_id=row.order_id,
        product=parse_product(row.doc),
        product_version=row.product_version,
        quantity=row.quantity,
        starts_at=row.starts_at,
        ends_at=_end(row.ends_at),
        anchor=row.anchor,
        trial_until=row.trial_until,
        paid=row.status == "paid",
        ended_at=_end(row.ended_at),
    )


def _pool(owners: Collection[str]) -> CTE:
    """SQL: (owner, member) of every pool. One without services is a pool of its own, whoever is below it."""
    alone = select(T.c.id.label("owner"), T.c.id.label("member"), serves().label("open"))
    pool = alone.where(T.c.id.in_(owners)).cte("pool", recursive=True)
    sharers = (
        select(pool.c.owner, T.c.id, literal(True))
        .join(pool, (T.c.parent_id == pool.c.member) & pool.c.open)
        .where(~serves())
    )
    return pool.union_all(sharers)


def _pooled(conn: Connection, owners: Collection[str]) -> dict[str, dict[str, Usage]]:
    """Owner to what exists in its pool, by key: units added up, seats in one order of assignment."""
    pool = _pool(owners)
    u, s = schema.usage, schema.seat
    present = pool.join(T, (T.c.id == pool.c.member) & T.c.archived_at.is_(None))
    units = (
        select(pool.c.owner, u.c.key, func.sum(u.c.units).label("units"))
        .select_from(present.join(u, u.c.tenant_id == pool.c.member))
        .group_by(pool.c.owner, u.c.key)
    )
    seats = (
        select(pool.c.owner, s.c.key, s.c.tenant_id, s.c.user_id)
        .select_from(present.join(s, s.c.tenant_id == pool.c.member))
        .order_by(s.c.id)
    )
    counted = {(row.owner, row.key): row.units for row in conn.execute(units)}
    held: dict[tuple[str, str], list[Seat]] = defaultdict(list)
    for row in conn.execute(seats):
        held[row.owner, row.key].append(Seat("" if row.tenant_id == row.owner else row.tenant_id, row.user_id))
    return _by_owner(counted, held)


def _by_owner(
    counted: Mapping[tuple[str, str], int], held: Mapping[tuple[str, str], list[Seat]]
) -> dict[str, dict[str, Usage]]:
    found: dict[str, dict[str, Usage]] = defaultdict(dict)
    for owner, key in sorted({*counted, *held}):
        usage = Usage(units=counted.get((owner, key), 0), seats=tuple(held.get((owner, key), ())))
        if usage.units or usage.seats:
            found[owner][key] = usage
    return found


def _accounts(conn: Connection, ids: Collection[str]) -> dict[str, Account]:
    a = schema.account
    return {row.tenant_id: account_of(row) for row in conn.execute(select(a).where(a.c.tenant_id.in_(ids)))}


def account_of(row: Row[Any]) -> Account:
    """An account from its row."""
    return Account(
        basis=Basis(row.basis),
        balance=row.balance,
        as_of=row.as_of,
        charge=row.charge,
        owed_since=row.owed_since,
        owed_charge=row.owed_charge,
        anchor=row.anchor,
        period=Period(months=row.period_months, days=row.period_days),
        allowed_balance=row.allowed_balance,
        deferral_days=row.deferral_days,
    )


def descendants(conn: Connection, tenant_id: str) -> set[str]:
    """Everyone below a tenant."""
    down = select(T.c.id).where(T.c.parent_id == tenant_id).cte("down", recursive=True)
    down = down.union(select(T.c.id).join(down, T.c.parent_id == down.c.id))
    return set(conn.scalars(select(down.c.id)))


def ancestors(conn: Connection, tenant_id: str) -> list[str]:
    """A tenant's ancestors, nearest first."""
    nodes = _lineage(conn, [tenant_id])
    return [node.id for node in _ancestors(nodes, nodes[tenant_id])] if tenant_id in nodes else []
