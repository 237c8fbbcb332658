"""Tenants: who they are, whom they are below, what blocks them (domain.md 3 and 5)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select, update

from sidecar.core.calendar import format_instant, zone_of
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER, Instant
from sync.store import accounts, lineage, schema
from sync.store.catalogue import known_edition
from sync.store.db import Writing
from sync.store.errors import Refused

LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
MOST_TAGS: Final = 64

T: Final = schema.tenant
B: Final = schema.block


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A tenant on record. `edition` is what an operator set; an order that names one comes before it."""

    id: str
    parent_id: str | None
    zone: str
    language: str
    tags: tuple[str, ...]
    edition: str | None
    created_at: Instant
    archived_at: Instant | None


def sized_name(field: str, value: str) -> str:
    """`value`, when it is 1 to 256 bytes of UTF-8: what others name is taken as it is. Raises InvalidRequest."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError as e:
        raise InvalidRequest(field, "not text that UTF-8 can say") from e
    if not 1 <= size <= 256:
        raise InvalidRequest(field, f"1 to 256 bytes are needed, got {size}")
    return value


def checked_name(field: str, value: str) -> str:
    """`value`, when it is 1 to 256 bytes without blanks at its ends or control characters. Raises InvalidRequest."""
    sized_name(field, value)
    if value != value.strip() or not value.isprintable():
        raise InvalidRequest(field, f"{value!r} has blanks at its ends or characters that cannot be printed")
    return value


def _checked(language: str, tags: Sequence[str]) -> None:
    if language and not LANGUAGE.fullmatch(language):
        raise InvalidRequest("language", f"{language!r} is not a language tag such as en or zh-CN")
    if len(tags) > MOST_TAGS:
        raise InvalidRequest("tags", f"at most {MOST_TAGS}")
    for tag in tags:
        checked_name("tags", tag)


def _tags(tags: Sequence[str]) -> str:
    return json.dumps(sorted(set(tags)), ensure_ascii=False)


def create_tenant(
    writing: Writing,
    tenant_id: str,
    *,
    now: Instant,
    parent_id: str | None = None,
    zone: str = "UTC",
    language: str = "",
    tags: Sequence[str] = (),
    edition: str | None = None,
) -> None:
    """Adds a tenant. Refused: TENANT_EXISTS, UNKNOWN_TENANT (of the parent), UNKNOWN_EDITION."""
    conn = writing.conn
    checked_name("tenant_id", tenant_id)
    zone_of(zone)
    _checked(language, tags)
    if _row(conn, tenant_id) is not None:
        raise Refused("TENANT_EXISTS", f"there is a tenant {tenant_id!r} already: choose another id")
    if parent_id is not None:
        get_tenant(conn, parent_id)
    conn.execute(
        insert(T).values(
            id=tenant_id,
            parent_id=parent_id,
            zone=zone,
            language=language,
            tags=_tags(tags),
            edition=known_edition(conn, edition),
            created_at=now,
        )
    )
    writing.touch(tenant_id)
    _audit(writing, "tenant.create", None, get_tenant(conn, tenant_id))


def update_tenant(
    writing: Writing,
    tenant_id: str,
    *,
    now: Instant,
    zone: str | None = None,
    language: str | None = None,
    tags: Sequence[str] | None = None,
    edition: str | None = None,
) -> None:
    """Changes what is given. A new zone moves no stored instant; an account is settled under the old one first.

    An empty edition takes the operator's setting away. Refused: UNKNOWN_TENANT, UNKNOWN_EDITION.
    """
    before = get_tenant(writing.conn, tenant_id)
    _checked(language or "", tags or ())
    values: dict[str, Any] = {}
    if zone is not None:
        values["zone"] = zone_of(zone).key
        accounts.settle_account(writing, tenant_id, now=now)
    if language is not None:
        values["language"] = language
    if tags is not None:
        values["tags"] = _tags(tags)
    if edition is not None:
        values["edition"] = known_edition(writing.conn, edition or None)
    if values:
        writing.touch(tenant_id, subtree=edition is not None)
        writing.conn.execute(update(T).where(T.c.id == tenant_id).values(values))
        _audit(writing, "tenant.update", before, get_tenant(writing.conn, tenant_id))


def move_tenant(writing: Writing, tenant_id: str, parent_id: str | None) -> None:
    """Puts a tenant, and all below it, under another parent or none. Refused: UNKNOWN_TENANT, PARENT_CYCLE."""
    conn = writing.conn
    before = get_tenant(conn, tenant_id)
    if parent_id is not None:
        get_tenant(conn, parent_id)
        if parent_id == tenant_id or tenant_id in lineage.ancestors(conn, parent_id):
            raise Refused("PARENT_CYCLE", f"{parent_id} is {tenant_id} itself or below it: choose another parent")
    writing.touch(tenant_id, subtree=True)
    conn.execute(update(T).where(T.c.id == tenant_id).values(parent_id=parent_id))
    _audit(writing, "tenant.move", before, get_tenant(conn, tenant_id))


def archive_tenant(writing: Writing, tenant_id: str, *, now: Instant) -> None:
    """Deletes a tenant as the back office means it: nothing is erased, its usage leaves its pool."""
    _archive(writing, tenant_id, now)


def restore_tenant(writing: Writing, tenant_id: str) -> None:
    """Takes an archiving back. Refused: UNKNOWN_TENANT."""
    _archive(writing, tenant_id, None)


def _archive(writing: Writing, tenant_id: str, at: Instant | None) -> None:
    before = get_tenant(writing.conn, tenant_id)
    if (before.archived_at is None) == (at is None):
        return
    writing.touch(tenant_id)
    writing.conn.execute(update(T).where(T.c.id == tenant_id).values(archived_at=at))
    action = "tenant.restore" if at is None else "tenant.archive"
    _audit(writing, action, before, get_tenant(writing.conn, tenant_id))


def block_tenant(
    writing: Writing,
    tenant_id: str,
    name: str,
    *,
    starts_at: Instant,
    ends_at: Instant = FOREVER,
    cascade: bool = False,
) -> None:
    """Sets the block of this name, in place of what it was; other names' blocks stay. Refused: UNKNOWN_TENANT."""
    get_tenant(writing.conn, tenant_id)
    checked_name("name", name)
    if ends_at <= starts_at:
        raise InvalidRequest("until", "a block ends after it starts")
    writing.touch(tenant_id, subtree=True)
    writing.conn.execute(delete(B).where(B.c.tenant_id == tenant_id, B.c.name == name))
    end = None if ends_at == FOREVER else ends_at
    writing.conn.execute(
        insert(B).values(tenant_id=tenant_id, name=name, starts_at=starts_at, ends_at=end, cascade=cascade)
    )
    after = {"name": name, "from": format_instant(starts_at), "until": end and format_instant(end), "cascade": cascade}
    writing.audit("tenant.block", f"tenant:{tenant_id}", tenant_id=tenant_id, after=after)


def unblock_tenant(writing: Writing, tenant_id: str, name: str) -> None:
    """Lifts the block of this name and no other. Refused: UNKNOWN_TENANT, UNKNOWN_BLOCK."""
    get_tenant(writing.conn, tenant_id)
    writing.touch(tenant_id, subtree=True)
    done = writing.conn.execute(delete(B).where(B.c.tenant_id == tenant_id, B.c.name == name))
    if not done.rowcount:
        raise Refused("UNKNOWN_BLOCK", f"{tenant_id} has no block {name!r} of its own: see `deskgate tenant show`")
    writing.audit("tenant.unblock", f"tenant:{tenant_id}", tenant_id=tenant_id, before={"name": name})


def get_tenant(conn: Connection, tenant_id: str) -> Tenant:
    """A tenant. Refused: UNKNOWN_TENANT."""
    row = _row(conn, tenant_id)
    if row is None:
        raise Refused("UNKNOWN_TENANT", f"there is no tenant {tenant_id!r}: see `deskgate tenant list`")
    return _tenant(row)


def list_tenants(conn: Connection, *, after: str = "", limit: int = 1000) -> list[Tenant]:
    """Tenants by id, at most `limit`, those after an id."""
    return [_tenant(row) for row in conn.execute(select(T).where(T.c.id > after).order_by(T.c.id).limit(limit))]


def _row(conn: Connection, tenant_id: str) -> Row[Any] | None:
    return conn.execute(select(T).where(T.c.id == tenant_id)).one_or_none()


def _tenant(row: Row[Any]) -> Tenant:
    return Tenant(
        id=row.id,
        parent_id=row.parent_id,
        zone=row.zone,
        language=row.language,
        tags=tuple(json.loads(row.tags)),
        edition=row.edition,
        created_at=row.created_at,
        archived_at=row.archived_at,
    )


def _audit(writing: Writing, action: str, before: Tenant | None, after: Tenant) -> None:
    told = before and _told(before), _told(after)
    writing.audit(action, f"tenant:{after.id}", tenant_id=after.id, before=told[0], after=told[1])


def _told(tenant: Tenant) -> dict[str, object]:
    return asdict(tenant)
