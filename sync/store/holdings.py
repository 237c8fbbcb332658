"""What tenants hold: order lines, pooled usage, accounts and blocks, loaded set by set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from sqlalchemy import BigInteger, BindParameter, Connection, Row, bindparam, cast, func, literal, select

from sidecar.core.model import FOREVER, Account, Basis, Block, Instant, Period, Seat, Usage
from sync.store import schema
from sync.store.lineage import chunks, serves
from sync.store.plandoc import Blocking, blocking_of, parse_terms, under
from sync.store.products import parse_product
from sync.store.terms import Line

T: Final = schema.tenant
A: Final = schema.account
B: Final = schema.block
U: Final = schema.usage
S: Final = schema.seat
O: Final = schema.orders  # noqa: E741
L: Final = schema.order_line
V: Final = schema.product_version
E: Final = schema.line_end
P: Final = schema.plan
PA: Final = schema.plan_assignment
PL: Final = schema.plan_line

_ids: BindParameter[Any] = bindparam("ids", expanding=True)
_LINES: Final = (
    select(
        L,
        O.c.tenant_id,
        O.c.status,
        V.c.doc,
        select(func.min(E.c.at)).where(E.c.line_id == L.c.id).scalar_subquery().label("ended_at"),
    )
    .join(O, O.c.id == L.c.order_id)
    .join(V, (V.c.product_id == L.c.product_id) & (V.c.version == L.c.product_version))
    .order_by(L.c.id)
)
LINES: Final = _LINES.where(O.c.tenant_id.in_(_ids))
LINES_OF_ORDERS: Final = _LINES.where(L.c.order_id.in_(_ids))
ACCOUNTS: Final = select(A).where(A.c.tenant_id.in_(_ids))
PLAN_LINES: Final = (
    select(PL, PA.c.tenant_id, PA.c.plan_id, PA.c.starts_at, PA.c.ends_at, V.c.doc)
    .join(PA, PA.c.id == PL.c.assignment_id)
    .join(V, (V.c.product_id == PL.c.product_id) & (V.c.version == PL.c.product_version))
    .where(PA.c.tenant_id.in_(_ids))
    .order_by(PL.c.id)
)
PLANS: Final = (
    select(PA.c.tenant_id, PA.c.plan_id, P.c.doc)
    .join(P, P.c.id == PA.c.plan_id)
    .where(PA.c.tenant_id.in_(_ids), PA.c.ends_at.is_(None))
)
BLOCKS: Final = select(B).where(B.c.tenant_id.in_(_ids)).order_by(B.c.tenant_id, B.c.name)

_owner = (
    select(T.c.id.label("owner"), T.c.id.label("member"), serves().label("open"))
    .where(T.c.id.in_(_ids))
    .cte("pool", recursive=True)
)
_POOL: Final = _owner.union_all(
    select(_owner.c.owner, T.c.id, literal(True))
    .join(_owner, (T.c.parent_id == _owner.c.member) & _owner.c.open)
    .where(~serves())
)
"""(owner, member) of every pool. A tenant without services is a pool of its own, whoever is below it."""
_present = _POOL.join(T, (T.c.id == _POOL.c.member) & T.c.archived_at.is_(None))
UNITS: Final = (
    select(_POOL.c.owner, U.c.key, cast(func.sum(U.c.units), BigInteger).label("units"))
    .select_from(_present.join(U, U.c.tenant_id == _POOL.c.member))
    .group_by(_POOL.c.owner, U.c.key)
)
SEATS: Final = (
    select(_POOL.c.owner, S.c.key, S.c.tenant_id, S.c.user_id)
    .select_from(_present.join(S, S.c.tenant_id == _POOL.c.member))
    .order_by(S.c.id)
)


def end(instant: int | None) -> Instant:
    """An end as it is stored: no number is no end."""
    return FOREVER if instant is None else instant


def blocks(conn: Connection, ids: Iterable[str]) -> Mapping[str, list[tuple[Block, bool]]]:
    """Tenant to its own blocks by name, and whether each cascades."""
    found: dict[str, list[tuple[Block, bool]]] = defaultdict(list)
    for chunk in chunks(ids):
        for row in conn.execute(BLOCKS, {"ids": chunk}):
            block = Block(name=row.name, starts_at=row.starts_at, ends_at=end(row.ends_at))
            found[row.tenant_id].append((block, row.cascade))
    return found


def lines_of(conn: Connection, tenant_id: str) -> tuple[Line, ...]:
    """Every order line of a tenant, oldest first."""
    return tuple(lines(conn, [tenant_id]).get(tenant_id, ()))


def lines(conn: Connection, ids: Collection[str]) -> Mapping[str, list[Line]]:
    """Tenant to its order lines, oldest first."""
    found: dict[str, list[Line]] = defaultdict(list)
    for row in conn.execute(LINES, {"ids": ids}):
        found[row.tenant_id].append(_line(row))
    return found


def lines_of_orders(conn: Connection, ids: Iterable[int]) -> Mapping[int, list[Line]]:
    """Order to its lines, oldest first."""
    found: dict[int, list[Line]] = defaultdict(list)
    for chunk in chunks(ids):
        for row in conn.execute(LINES_OF_ORDERS, {"ids": chunk}):
            found[row.order_id].append(_line(row))
    return found


def _line(row: Row[Any]) -> Line:
    return Line(
        id=row.id,
        order_id=row.order_id,
        product=parse_product(row.doc),
        product_version=row.product_version,
        quantity=row.quantity,
        starts_at=row.starts_at,
        ends_at=end(row.ends_at),
        anchor=row.anchor,
        trial_until=row.trial_until,
        paid=row.status == "paid",
        ended_at=end(row.ended_at),
        source=f"order:{row.order_id}",
        unit_price=row.unit_price,
        billing_starts_at=row.billing_starts_at,
        billing_ends_at=end(row.billing_ends_at),
        billing_periods=row.billing_periods,
    )


def pooled(conn: Connection, owners: Collection[str]) -> Mapping[str, dict[str, Usage]]:
    """Owner to what exists in its pool by key: units added up, seats in order of assignment. Archived ones apart."""
    units = {(row.owner, row.key): row.units for row in conn.execute(UNITS, {"ids": owners})}
    seats: dict[tuple[str, str], list[Seat]] = defaultdict(list)
    for row in conn.execute(SEATS, {"ids": owners}):
        seats[row.owner, row.key].append(Seat("" if row.tenant_id == row.owner else row.tenant_id, row.user_id))
    found: dict[str, dict[str, Usage]] = defaultdict(dict)
    for owner, key in sorted({*units, *seats}):
        usage = Usage(units=units.get((owner, key), 0), seats=tuple(seats.get((owner, key), ())))
        if usage.units or usage.seats:
            found[owner][key] = usage
    return found


def plan_lines(conn: Connection, ids: Collection[str]) -> Mapping[str, list[Line]]:
    """Tenant to what plans granted and grant it, each service a line from its assignment on, oldest first."""
    found: dict[str, list[Line]] = defaultdict(list)
    for row in conn.execute(PLAN_LINES, {"ids": ids}):
        found[row.tenant_id].append(_plan_line(row))
    return found


def _plan_line(row: Row[Any]) -> Line:
    return Line(
        id=-row.id,
        order_id=0,
        product=parse_product(row.doc),
        product_version=row.product_version,
        quantity=row.quantity,
        starts_at=row.starts_at,
        ends_at=end(row.ends_at),
        anchor=row.starts_at,
        source=f"plan:{row.plan_id}",
    )


def blocking(conn: Connection, ids: Collection[str]) -> Mapping[str, tuple[str, Blocking]]:
    """Tenant to the plan in force whose blocking settings come before its own, and those settings."""
    found = {}
    for row in conn.execute(PLANS, {"ids": ids}):
        settings = blocking_of(parse_terms(row.doc))
        if settings is not None:
            found[row.tenant_id] = (row.plan_id, settings)
    return found


def accounts(conn: Connection, ids: Collection[str]) -> Mapping[str, Account]:
    """Tenant to its account as last settled, under the blocking settings in force."""
    found = own_accounts(conn, ids)
    before = blocking(conn, found) if found else {}
    return {i: under(account, before[i][1] if i in before else None) for i, account in found.items()}


def own_accounts(conn: Connection, ids: Collection[str]) -> Mapping[str, Account]:
    """Tenant to its account as last settled, with its own blocking settings."""
    return {row.tenant_id: _account(row) for row in conn.execute(ACCOUNTS, {"ids": ids})}


def _account(row: Row[Any]) -> Account:
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
