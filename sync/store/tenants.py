"""Tenants: who they are and whom they are below (domain.md 1, 3 and 5)."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from sidecar.core.calendar import format_instant, zone_of
from sidecar.core.errors import DeskgateError, InvalidRequest
from sidecar.core.model import DAY, Instant
from sync.store import billing, lineage, schema
from sync.store.catalogue import edition_caps, known_edition, unknown_edition
from sync.store.db import Writing
from sync.store.errors import Refused, archived_tenant, erased_tenant, unknown_tenant
from sync.store.names import (
    checked_contacts,
    checked_language,
    checked_name,
    checked_tags,
    checked_title,
    sized_name,
)
from sync.store.terms import in_calendar

RETENTION_DAYS: Final = 365
LONGEST_RETENTION: Final = 36_600

T: Final = schema.tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A tenant on record. `edition` is what an operator set; an order that names one comes before it."""

    id: str
    parent_id: str | None
    name: str
    zone: str
    language: str
    contacts: tuple[str, ...]
    tags: tuple[str, ...]
    edition: str | None
    version: int
    created_at: Instant
    archived_at: Instant | None
    erase_after: Instant | None
    erased_at: Instant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTenant:
    """A tenant as it is asked for."""

    id: str
    parent_id: str | None = None
    name: str = ""
    zone: str = "UTC"
    language: str = ""
    contacts: Sequence[str] = ()
    tags: Sequence[str] = ()
    edition: str | None = None


def create_tenant(writing: Writing, tenant_id: str, *, now: Instant, **fields: Any) -> None:
    """Adds a tenant, with the fields of NewTenant.

    Raises InvalidRequest, or Refused: TENANT_EXISTS, UNKNOWN_TENANT (of the parent), TENANT_ERASED, UNKNOWN_EDITION.
    """
    (failed,) = create_tenants(writing, [NewTenant(id=tenant_id, **fields)], now=now)
    if failed is not None:
        raise failed


def create_tenants(writing: Writing, asks: Sequence[NewTenant], *, now: Instant) -> list[DeskgateError | None]:
    """Adds many at once, a parent before its children; for each None, or why it was not added, as `create_tenant`."""
    conn = writing.conn
    misnamed = [_misnamed(ask) for ask in asks]
    named = [ask for ask, problem in zip(asks, misnamed, strict=True) if problem is None]
    sought = sorted({ask.id for ask in named} | {ask.parent_id for ask in named if ask.parent_id is not None})
    known = {row.id: row.erased_at for chunk in lineage.chunks(sought) for row in _erased(conn, chunk)}
    editions = edition_caps(conn)
    rows: list[dict[str, Any]] = []
    outcomes: list[DeskgateError | None] = []
    for ask, problem in zip(asks, misnamed, strict=True):
        made = problem if problem is not None else _new_row(ask, known, editions, now)
        if isinstance(made, DeskgateError):
            outcomes.append(made)
            continue
        rows.append(made)
        known[ask.id] = None
        outcomes.append(None)
    if rows:
        conn.execute(insert(T), rows)
        writing.touch_only(row["id"] for row in rows)
    for row in rows:
        writing.audit("tenant.create", f"tenant:{row['id']}", tenant_id=row["id"], after=_told_row(row))
    return outcomes


def _erased(conn: Connection, ids: Collection[str]) -> Iterable[Row[Any]]:
    return conn.execute(select(T.c.id, T.c.erased_at).where(T.c.id.in_(ids)))


def _misnamed(ask: NewTenant) -> DeskgateError | None:
    try:
        checked_name("tenant_id", ask.id)
        if ask.parent_id is not None:
            sized_name("parent_id", ask.parent_id)
    except InvalidRequest as e:
        return e
    return None


def _new_row(
    ask: NewTenant, known: Mapping[str, Instant | None], editions: Collection[str], now: Instant
) -> dict[str, Any] | DeskgateError:
    if ask.id in known:
        return Refused("TENANT_EXISTS", f"there is a tenant {ask.id!r} already: choose another id")
    if ask.parent_id is not None and ask.parent_id not in known:
        return unknown_tenant(ask.parent_id)
    if ask.parent_id is not None and known[ask.parent_id] is not None:
        return erased_tenant(ask.parent_id)
    if ask.edition is not None and ask.edition not in editions:
        return unknown_edition(ask.edition, editions)
    try:
        return {
            "id": ask.id,
            "parent_id": ask.parent_id,
            "name": checked_title("name", ask.name),
            "zone": zone_of(ask.zone).key,
            "language": checked_language(ask.language),
            "contacts": _text(checked_contacts(ask.contacts)),
            "tags": _text(checked_tags(ask.tags)),
            "edition": ask.edition,
            "created_at": now,
        }
    except DeskgateError as e:
        return e


def update_tenant(
    writing: Writing,
    tenant_id: str,
    *,
    now: Instant,
    expected_version: int | None = None,
    name: str | None = None,
    zone: str | None = None,
    language: str | None = None,
    contacts: Sequence[str] | None = None,
    tags: Sequence[str] | None = None,
    edition: str | None = None,
) -> None:
    """Changes what is given. A new zone moves no stored instant; an account is settled under the old one first.

    An empty edition takes the operator's setting away. Refused: UNKNOWN_TENANT, TENANT_ERASED, UNKNOWN_EDITION,
    CONFLICT (it is at another version than expected).
    """
    before = present(writing.conn, tenant_id)
    if expected_version is not None and expected_version != before.version:
        raise Refused("CONFLICT", f"{tenant_id} is at version {before.version} by now: read it again, then change it")
    given = {
        "name": None if name is None else checked_title("name", name),
        "zone": None if zone is None else zone_of(zone).key,
        "language": None if language is None else checked_language(language),
        "contacts": None if contacts is None else _text(checked_contacts(contacts)),
        "tags": None if tags is None else _text(checked_tags(tags)),
    }
    values: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    if edition is not None:
        values["edition"] = known_edition(writing.conn, edition or None)
    old = _row(writing.conn, tenant_id)._mapping  # type: ignore[union-attr]
    changed = {field: value for field, value in values.items() if value != old[field]}
    if not changed:
        return
    account = billing.settle_within(writing, tenant_id, now=now) if "zone" in changed else ({}, {})
    writing.touch(tenant_id, subtree="edition" in changed)
    _change(writing, "tenant.update", before, changed, account)


def move_tenant(writing: Writing, tenant_id: str, parent_id: str | None) -> None:
    """Puts a tenant, and all below it, under another parent or none.

    Refused: UNKNOWN_TENANT, TENANT_ERASED, PARENT_CYCLE.
    """
    conn = writing.conn
    before = present(conn, tenant_id)
    if parent_id is not None:
        present(conn, parent_id)
        if parent_id == tenant_id or tenant_id in lineage.ancestors(conn, parent_id):
            raise Refused("PARENT_CYCLE", f"{parent_id} is {tenant_id} itself or below it: choose another parent")
    if before.parent_id == parent_id:
        return
    writing.touch(tenant_id, subtree=True)
    _change(writing, "tenant.move", before, {"parent_id": parent_id})


def archive_tenant(writing: Writing, tenant_id: str, *, now: Instant, retention_days: int = RETENTION_DAYS) -> None:
    """Deletes a tenant as the back office means it: its usage leaves its pool, nothing is erased before the retention
    (0 to 36,600 days of 24 h) ends. One that is archived already stays as it is.

    Refused: UNKNOWN_TENANT, TENANT_ERASED.
    """
    if not 0 <= retention_days <= LONGEST_RETENTION:
        raise InvalidRequest("retention_days", f"0 to {LONGEST_RETENTION}, got {retention_days}")
    before = present(writing.conn, tenant_id)
    if before.archived_at is None:
        erase_after = now + retention_days * DAY
        in_calendar("retention_days", erase_after)
        writing.touch(tenant_id)
        _change(writing, "tenant.archive", before, {"archived_at": now, "erase_after": erase_after})


def restore_tenant(writing: Writing, tenant_id: str) -> None:
    """Takes an archiving back. Refused: UNKNOWN_TENANT, TENANT_ERASED."""
    before = present(writing.conn, tenant_id)
    if before.archived_at is not None:
        writing.touch(tenant_id)
        _change(writing, "tenant.restore", before, {"archived_at": None, "erase_after": None})


def _change(
    writing: Writing, action: str, before: Tenant, values: dict[str, Any], account: billing.Told = ({}, {})
) -> None:
    writing.conn.execute(update(T).where(T.c.id == before.id).values(values | {"version": before.version + 1}))
    told = _told(before) | account[0], _told(get_tenant(writing.conn, before.id)) | account[1]
    writing.audit(action, f"tenant:{before.id}", tenant_id=before.id, before=told[0], after=told[1])


def get_tenant(conn: Connection, tenant_id: str) -> Tenant:
    """A tenant. Refused: UNKNOWN_TENANT."""
    row = _row(conn, tenant_id)
    if row is None:
        raise unknown_tenant(tenant_id)
    return _tenant(row)


def present(conn: Connection, tenant_id: str) -> Tenant:
    """A tenant that is not erased. Refused: UNKNOWN_TENANT, TENANT_ERASED."""
    tenant = get_tenant(conn, tenant_id)
    if tenant.erased_at is not None:
        raise erased_tenant(tenant_id)
    return tenant


def writable(conn: Connection, tenant_id: str) -> Tenant:
    """A tenant that can be sold to. Refused: UNKNOWN_TENANT, TENANT_ERASED, TENANT_ARCHIVED."""
    tenant = present(conn, tenant_id)
    if tenant.archived_at is not None:
        raise archived_tenant(tenant_id)
    return tenant


def _row(conn: Connection, tenant_id: str) -> Row[Any] | None:
    return conn.execute(select(T).where(T.c.id == tenant_id)).one_or_none()


def _tenant(row: Row[Any]) -> Tenant:
    return Tenant(
        id=row.id,
        parent_id=row.parent_id,
        name=row.name,
        zone=row.zone,
        language=row.language,
        contacts=tuple(json.loads(row.contacts)),
        tags=tuple(json.loads(row.tags)),
        edition=row.edition,
        version=row.version,
        created_at=row.created_at,
        archived_at=row.archived_at,
        erase_after=row.erase_after,
        erased_at=row.erased_at,
    )


def _text(values: Sequence[str]) -> str:
    return json.dumps(values, ensure_ascii=False)


def _told_row(row: dict[str, Any]) -> dict[str, Any]:
    lists = {name: json.loads(row[name]) for name in ("contacts", "tags")}
    return row | lists | {"created_at": format_instant(row["created_at"])}


def _told(tenant: Tenant) -> dict[str, Any]:
    """A tenant in the audit trail."""
    instants = ("created_at", "archived_at", "erase_after", "erased_at")
    values = asdict(tenant)
    return values | {name: values[name] and format_instant(values[name]) for name in instants}
