"""Plans assigned to tenants (domain.md 3): granted from the assignment on, without end, until they are taken away."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, insert, select, update

from sidecar.core.model import Instant
from sync.store import billing, lineage, schema
from sync.store.caps import refuse_over_cap
from sync.store.catalogue import edition_caps, get_product
from sync.store.db import Writing
from sync.store.errors import Refused
from sync.store.holdings import lines_of, plan_lines
from sync.store.plandoc import PlanTerms, blocking_of
from sync.store.plans import Plan, get_plan
from sync.store.tenants import get_tenant, writable
from sync.store.terms import Line, check_sizes

PA: Final = schema.plan_assignment
PL: Final = schema.plan_line


def assign_plan(writing: Writing, tenant_id: str, plan_id: str, *, now: Instant) -> str | None:
    """Puts a tenant on a plan, in place of the one that it is on, and returns that one. The same again changes nothing.

    Raises InvalidRequest where it would grant more than a record can say, or Refused: UNKNOWN_TENANT, TENANT_ARCHIVED,
    TENANT_ERASED, UNKNOWN_PLAN, PLAN_ARCHIVED, PLAN_NOT_AVAILABLE, BASIS_MISMATCH, EDITION_CAP_EXCEEDED.
    """
    conn = writing.conn
    writable(conn, tenant_id)
    plan = get_plan(conn, plan_id)
    current = assigned_plan(conn, tenant_id)
    if current == plan_id:
        return None
    _refuse_unassignable(conn, tenant_id, plan)
    before = _lines(conn, tenant_id)
    writing.touch(tenant_id, subtree=True)
    account = billing.put_under(writing, tenant_id, blocking_of(plan.terms), now=now)
    if current is not None:
        _end(writing, tenant_id, now)
    _begin(writing, tenant_id, plan, now)
    check_sizes(plan_lines(conn, [tenant_id]).get(tenant_id, ()))
    _refuse_passing_cap(conn, tenant_id, before, now)
    _audit(writing, "plan.assign", tenant_id, current, plan_id, account)
    return current


def unassign_plan(writing: Writing, tenant_id: str, *, now: Instant) -> str:
    """Takes a tenant's plan away, and returns it; the tenant's own blocking settings come back.

    Refused: UNKNOWN_TENANT, TENANT_ERASED, TENANT_ARCHIVED, NO_PLAN.
    """
    writable(writing.conn, tenant_id)
    current = assigned_plan(writing.conn, tenant_id)
    if current is None:
        raise Refused("NO_PLAN", f"{tenant_id} is on no plan: there is nothing to take away")
    account = take_away(writing, tenant_id, now=now)
    _audit(writing, "plan.unassign", tenant_id, current, None, account)
    return current


def take_away(writing: Writing, tenant_id: str, *, now: Instant) -> billing.Told:
    """Ends the assignment in force within a change that tells of it, and of what became of the account."""
    writing.touch(tenant_id, subtree=True)
    account = billing.put_under(writing, tenant_id, None, now=now)
    _end(writing, tenant_id, now)
    return account


def assigned_plan(conn: Connection, tenant_id: str) -> str | None:
    """The plan in force of a tenant. Refused: UNKNOWN_TENANT."""
    get_tenant(conn, tenant_id)
    return conn.scalar(select(PA.c.plan_id).where(PA.c.tenant_id == tenant_id, PA.c.ends_at.is_(None)))


def _refuse_unassignable(conn: Connection, tenant_id: str, plan: Plan) -> None:
    if plan.archived_at is not None:
        raise Refused("PLAN_ARCHIVED", f"{plan.id} is archived: restore it, or assign another")
    if plan.owner_id not in {None, tenant_id, *lineage.ancestors(conn, tenant_id)}:
        raise Refused(
            "PLAN_NOT_AVAILABLE",
            f"{plan.id} belongs to {plan.owner_id}: only it and tenants below it can be assigned that plan",
        )


def _begin(writing: Writing, tenant_id: str, plan: Plan, now: Instant) -> None:
    values = {"tenant_id": tenant_id, "plan_id": plan.id, "starts_at": now, "operator": writing.by.operator}
    assignment = writing.conn.scalars(insert(PA).values(values).returning(PA.c.id)).one()
    rows = [
        {"assignment_id": assignment, "product_id": product, "product_version": version, "quantity": quantity}
        for product, version, quantity in _pinned(writing.conn, plan.terms)
    ]
    if rows:
        writing.conn.execute(insert(PL), rows)


def _pinned(conn: Connection, terms: PlanTerms) -> list[tuple[str, int, int]]:
    return [(each.product, get_product(conn, each.product)[1], each.quantity) for each in terms.services]


def _end(writing: Writing, tenant_id: str, now: Instant) -> None:
    writing.conn.execute(update(PA).where(PA.c.tenant_id == tenant_id, PA.c.ends_at.is_(None)).values(ends_at=now))


def _lines(conn: Connection, tenant_id: str) -> tuple[Line, ...]:
    return (*lines_of(conn, tenant_id), *plan_lines(conn, [tenant_id]).get(tenant_id, ()))


def _refuse_passing_cap(conn: Connection, tenant_id: str, before: tuple[Line, ...], now: Instant) -> None:
    edition = lineage.edition_of(conn, tenant_id)
    if edition is not None:
        refuse_over_cap(edition, edition_caps(conn)[edition], _lines(conn, tenant_id), now, before=before)


def _audit(
    writing: Writing, action: str, tenant_id: str, before: str | None, after: str | None, account: billing.Told
) -> None:
    told = {"plan": before} | account[0], {"plan": after} | account[1]
    writing.audit(action, f"tenant:{tenant_id}", tenant_id=tenant_id, before=told[0], after=told[1])
