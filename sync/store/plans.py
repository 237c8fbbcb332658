"""Plans (domain.md 3): made, edited while nobody is on them, duplicated, archived, restored, deleted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from sidecar.core.calendar import format_instant
from sidecar.core.model import Instant
from sync.store import schema
from sync.store.catalogue import get_product
from sync.store.db import Writing
from sync.store.errors import Refused
from sync.store.names import LONGEST_NAME, checked_name
from sync.store.plandoc import PlanTerms, parse_terms
from sync.store.tenants import writable

P: Final = schema.plan
PA: Final = schema.plan_assignment
COPY: Final = " (copy)"
TOLD: Final = 10
"""Tenants that a refusal names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan on record. `owner_id` None: it belongs to the installation."""

    id: str
    owner_id: str | None
    name: str
    version: int
    created_at: Instant
    archived_at: Instant | None
    terms: PlanTerms


def create_plan(
    writing: Writing, plan_id: str, *, name: str, terms: PlanTerms, now: Instant, owner_id: str | None = None
) -> None:
    """Adds a plan.

    Refused: PLAN_EXISTS, UNKNOWN_PRODUCT, UNKNOWN_TENANT, TENANT_ARCHIVED, TENANT_ERASED (of its owner).
    """
    conn = writing.conn
    checked_name("id", plan_id)
    checked_name("name", name)
    if _row(conn, plan_id) is not None or _was(conn, plan_id):
        raise Refused("PLAN_EXISTS", f"there is, or was, a plan {plan_id!r}: choose another id")
    if owner_id is not None:
        writable(conn, owner_id)
    _refuse_unknown_products(conn, terms)
    values = {"id": plan_id, "owner_id": owner_id, "name": name, "version": 1, "created_at": now, "doc": _doc(terms)}
    conn.execute(insert(P).values(values))
    _audit(writing, "plan.create", plan_id, None, get_plan(conn, plan_id))


def update_plan(
    writing: Writing,
    plan_id: str,
    *,
    name: str | None = None,
    terms: PlanTerms | None = None,
    expected_version: int | None = None,
) -> None:
    """Changes its name or what it brings. While it is assigned only its name may change.

    Refused: UNKNOWN_PLAN, CONFLICT (it is at another version than expected), PLAN_ASSIGNED, UNKNOWN_PRODUCT.
    """
    before = get_plan(writing.conn, plan_id)
    if expected_version is not None and expected_version != before.version:
        raise Refused("CONFLICT", f"{plan_id} is at version {before.version} by now: read it again, then change it")
    if terms is not None and terms != before.terms:
        _refuse_assigned(writing.conn, plan_id, "duplicate it, change the copy, and assign that")
        _refuse_unknown_products(writing.conn, terms)
    values = {
        "name": before.name if name is None else checked_name("name", name),
        "doc": _doc(before.terms if terms is None else terms),
    }
    if (values["name"], terms or before.terms) != (before.name, before.terms):
        _change(writing, "plan.update", before, values | {"version": before.version + 1})


def duplicate_plan(writing: Writing, plan_id: str, *, now: Instant, new_id: str | None = None) -> Plan:
    """Adds another of it under `new_id`, or an id derived from its own; its name ends in (copy).

    Refused: UNKNOWN_PLAN, PLAN_EXISTS, TENANT_ARCHIVED, TENANT_ERASED (of its owner).
    """
    found = get_plan(writing.conn, plan_id)
    copy_id = new_id if new_id is not None else _free_id(writing.conn, plan_id)
    name = _cut(found.name, LONGEST_NAME - len(COPY)) + COPY
    create_plan(writing, copy_id, name=name, terms=found.terms, now=now, owner_id=found.owner_id)
    return get_plan(writing.conn, copy_id)


def _free_id(conn: Connection, plan_id: str) -> str:
    for number in count(1):
        tail = "-copy" if number == 1 else f"-copy-{number}"
        found = _cut(plan_id, LONGEST_NAME - len(tail)) + tail
        if _row(conn, found) is None and not _was(conn, found):
            return found
    raise AssertionError("numbers do not end")


def _cut(text: str, size: int) -> str:
    """The beginning of a text, in so many bytes of UTF-8 at most."""
    return text.encode()[:size].decode(errors="ignore").rstrip()


def archive_plan(writing: Writing, plan_id: str, *, now: Instant) -> None:
    """Lets nobody be put on it any more; those who are on it stay. Refused: UNKNOWN_PLAN."""
    before = get_plan(writing.conn, plan_id)
    if before.archived_at is None:
        _change(writing, "plan.archive", before, {"archived_at": now, "version": before.version + 1})


def restore_plan(writing: Writing, plan_id: str) -> None:
    """Takes an archiving back. Refused: UNKNOWN_PLAN."""
    before = get_plan(writing.conn, plan_id)
    if before.archived_at is not None:
        _change(writing, "plan.restore", before, {"archived_at": None, "version": before.version + 1})


def delete_plan(writing: Writing, plan_id: str) -> None:
    """Deletes a plan; what it granted stays on record. Refused: UNKNOWN_PLAN, PLAN_NOT_ARCHIVED, PLAN_ASSIGNED."""
    before = get_plan(writing.conn, plan_id)
    if before.archived_at is None:
        raise Refused("PLAN_NOT_ARCHIVED", f"{plan_id} is active: archive it first")
    _refuse_assigned(writing.conn, plan_id, "take it away from them first")
    writing.conn.execute(delete(P).where(P.c.id == plan_id))
    _audit(writing, "plan.delete", plan_id, before, None)


def _change(writing: Writing, action: str, before: Plan, values: dict[str, Any]) -> None:
    writing.conn.execute(update(P).where(P.c.id == before.id).values(values))
    _audit(writing, action, before.id, before, get_plan(writing.conn, before.id))


def _refuse_assigned(conn: Connection, plan_id: str, advice: str) -> None:
    tenants = tenants_on(conn, plan_id, limit=TOLD + 1)
    if tenants:
        named = ", ".join(tenants[:TOLD]) + (" and others" if len(tenants) > TOLD else "")
        raise Refused("PLAN_ASSIGNED", f"{plan_id} is assigned to {named}: {advice}")


def _refuse_unknown_products(conn: Connection, terms: PlanTerms) -> None:
    for service in terms.services:
        get_product(conn, service.product)


def tenants_on(conn: Connection, plan_id: str, *, limit: int = 1000) -> list[str]:
    """The tenants that a plan is assigned to, by id, at most `limit`."""
    query = select(PA.c.tenant_id).where(PA.c.plan_id == plan_id, PA.c.ends_at.is_(None))
    return list(conn.scalars(query.order_by(PA.c.tenant_id).limit(limit)))


def get_plan(conn: Connection, plan_id: str) -> Plan:
    """A plan. Refused: UNKNOWN_PLAN."""
    row = _row(conn, plan_id)
    if row is None:
        raise Refused("UNKNOWN_PLAN", f"there is no plan {plan_id!r}: see `deskgate plan list`")
    return _plan(row)


def _was(conn: Connection, plan_id: str) -> bool:
    """Whether a plan of this id, since deleted, was ever assigned: records still name it."""
    return conn.scalar(select(PA.c.id).where(PA.c.plan_id == plan_id).limit(1)) is not None


def _row(conn: Connection, plan_id: str) -> Row[Any] | None:
    return conn.execute(select(P).where(P.c.id == plan_id)).one_or_none()


def _plan(row: Row[Any]) -> Plan:
    return Plan(
        id=row.id,
        owner_id=row.owner_id,
        name=row.name,
        version=row.version,
        created_at=row.created_at,
        archived_at=row.archived_at,
        terms=parse_terms(row.doc),
    )


def _doc(terms: PlanTerms) -> str:
    return terms.model_dump_json(exclude_defaults=True)


def _audit(writing: Writing, action: str, plan_id: str, before: Plan | None, after: Plan | None) -> None:
    told = before and _told(before), after and _told(after)
    owner = (after or before).owner_id if after or before else None  # type: ignore[union-attr]
    writing.audit(action, f"plan:{plan_id}", tenant_id=owner or "", before=told[0], after=told[1])


def _told(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "owner": plan.owner_id,
        "version": plan.version,
        "archived_at": plan.archived_at and format_instant(plan.archived_at),
        "terms": json.loads(_doc(plan.terms)),
    }
