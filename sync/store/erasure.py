"""Erasing tenants once their retention is over (domain.md 3): people and notes go, orders and money stay on record."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Table, delete, or_, select, update

from sidecar.core.calendar import format_instant
from sidecar.core.model import Instant
from sync.store import audit, schema
from sync.store.assignments import assigned_plan, take_away
from sync.store.db import Writing
from sync.store.errors import Refused
from sync.store.tenants import Tenant, present

T: Final = schema.tenant
O: Final = schema.orders  # noqa: E741
A: Final = schema.audit
I: Final = schema.idempotency  # noqa: E741
REMOVED: Final[tuple[Table, ...]] = (schema.seat, schema.usage, schema.block)
"""Tables whose rows of the tenant go."""
EMPTIED: Final[dict[Table, dict[str, Any]]] = {
    schema.notice: {"facts": "{}", "recipients": "[]", "error": ""},
    O: {"note": ""},
}
"""Tables whose rows of the tenant stay, without these texts."""
ON_ORDERS: Final[tuple[Table, ...]] = (schema.payment, schema.provisioning)
"""Tables whose rows of the tenant's orders stay, without their notes."""


def erase_tenant(writing: Writing, tenant_id: str, *, now: Instant) -> None:
    """Erases an archived tenant, for good: seats, usage, blocks, name, contacts, tags, notes, texts of notices, answers
    kept for idempotency keys, and what the audit trail says of it, which still holds together. Whoever comes with such
    a key again is refused TENANT_ERASED. Its plan is taken away.

    Refused: UNKNOWN_TENANT, TENANT_ERASED, NOT_ARCHIVED, RETENTION_RUNNING.
    """
    tenant = present(writing.conn, tenant_id)
    _refuse_kept(tenant, now)
    writing.finish()
    plan = assigned_plan(writing.conn, tenant_id)
    if plan is not None:
        take_away(writing, tenant_id, now=now)
    writing.touch(tenant_id, subtree=True)
    _remove(writing.conn, tenant_id)
    plain = {"name": "", "contacts": "[]", "tags": "[]", "language": "", "erased_at": now}
    writing.conn.execute(update(T).where(T.c.id == tenant_id).values(plain | {"version": tenant.version + 1}))
    audit.erase(writing.conn, tenant_id)
    after = {"erased_at": format_instant(now)} | ({} if plan is None else {"plan_taken_away": plan})
    writing.audit("tenant.erase", f"tenant:{tenant_id}", tenant_id=tenant_id, after=after)


def erase_due(writing: Writing, *, now: Instant, limit: int = 1000) -> list[str]:
    """Erases archived tenants whose retention is over, at most `limit`, and returns them."""
    due = list_erasable(writing.conn, now, limit=limit)
    for tenant_id in due:
        erase_tenant(writing, tenant_id, now=now)
    return due


def _refuse_kept(tenant: Tenant, now: Instant) -> None:
    if tenant.archived_at is None or tenant.erase_after is None:
        raise Refused("NOT_ARCHIVED", f"{tenant.id} is in use: archive it first, and wait for its retention to end")
    if now < tenant.erase_after:
        until = format_instant(tenant.erase_after)
        raise Refused("RETENTION_RUNNING", f"{tenant.id} is kept until {until}: erase it then")


def _remove(conn: Connection, tenant_id: str) -> None:
    for table in REMOVED:
        conn.execute(delete(table).where(table.c.tenant_id == tenant_id))
    for table, values in EMPTIED.items():
        conn.execute(update(table).where(table.c.tenant_id == tenant_id).values(values))
    orders = select(O.c.id).where(O.c.tenant_id == tenant_id)
    for table in ON_ORDERS:
        conn.execute(update(table).where(table.c.order_id.in_(orders)).values(note=""))
    keys = select(A.c.idempotency_key).where(A.c.tenant_id == tenant_id, A.c.subject.not_like("plan:%"))
    conn.execute(delete(I).where(or_(I.c.tenant_id == tenant_id, I.c.key.in_(keys))))


def list_erasable(conn: Connection, now: Instant, *, limit: int = 1000) -> list[str]:
    """Archived tenants whose retention is over, by id, at most `limit`."""
    due = select(T.c.id).where(T.c.erase_after <= now, T.c.erased_at.is_(None), T.c.archived_at.is_not(None))
    return list(conn.scalars(due.order_by(T.c.id).limit(limit)))
