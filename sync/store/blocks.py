"""Blocks: set on a tenant by name and by independent parties; lifting one never lifts another (domain.md 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, select

from sidecar.core.calendar import format_instant
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER, Instant
from sync.store import schema
from sync.store.db import Writing
from sync.store.errors import Refused
from sync.store.names import checked_name
from sync.store.tenants import present
from sync.store.terms import in_calendar

B: Final = schema.block
MOST_BLOCKS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantBlock:
    """A block on record: it holds during [starts_at, ends_at); with `cascade` for every descendant too."""

    name: str
    starts_at: Instant
    ends_at: Instant = FOREVER
    cascade: bool = False


def block_tenant(
    writing: Writing,
    tenant_id: str,
    name: str,
    *,
    starts_at: Instant,
    ends_at: Instant = FOREVER,
    cascade: bool = False,
) -> None:
    """Sets the block of this name, in place of what it was; other names' blocks stay.

    Raises InvalidRequest, or Refused: UNKNOWN_TENANT, TENANT_ERASED, TOO_MANY_BLOCKS.
    """
    present(writing.conn, tenant_id)
    block = TenantBlock(name=checked_name("name", name), starts_at=starts_at, ends_at=ends_at, cascade=cascade)
    in_calendar("from", starts_at)
    in_calendar("until", None if ends_at == FOREVER else ends_at)
    if ends_at <= starts_at:
        raise InvalidRequest("until", "a block ends after it starts")
    blocks = {each.name: each for each in list_blocks(writing.conn, tenant_id)}
    before = blocks.get(name)
    if before == block:
        return
    if before is None and len(blocks) >= MOST_BLOCKS:
        raise Refused("TOO_MANY_BLOCKS", f"{tenant_id} has {len(blocks)} blocks: lift some, `deskgate tenant unblock`")
    writing.touch(tenant_id, subtree=True)
    _remove(writing, tenant_id, name)
    end = None if ends_at == FOREVER else ends_at
    writing.conn.execute(
        insert(B).values(tenant_id=tenant_id, name=name, starts_at=starts_at, ends_at=end, cascade=cascade)
    )
    _audit(writing, "tenant.block", tenant_id, before, block)


def unblock_tenant(writing: Writing, tenant_id: str, name: str) -> None:
    """Lifts the block of this name and no other. Refused: UNKNOWN_TENANT, TENANT_ERASED, UNKNOWN_BLOCK."""
    present(writing.conn, tenant_id)
    before = next((block for block in list_blocks(writing.conn, tenant_id) if block.name == name), None)
    if before is None:
        raise Refused("UNKNOWN_BLOCK", f"{tenant_id} has no block {name!r} of its own: see `deskgate tenant show`")
    writing.touch(tenant_id, subtree=True)
    _remove(writing, tenant_id, name)
    _audit(writing, "tenant.unblock", tenant_id, before, None)


def list_blocks(conn: Connection, tenant_id: str) -> list[TenantBlock]:
    """A tenant's own blocks, by name."""
    return [_block(row) for row in conn.execute(select(B).where(B.c.tenant_id == tenant_id).order_by(B.c.name))]


def _remove(writing: Writing, tenant_id: str, name: str) -> None:
    writing.conn.execute(delete(B).where(B.c.tenant_id == tenant_id, B.c.name == name))


def _block(row: Row[Any]) -> TenantBlock:
    ends_at = FOREVER if row.ends_at is None else row.ends_at
    return TenantBlock(name=row.name, starts_at=row.starts_at, ends_at=ends_at, cascade=row.cascade)


def _audit(
    writing: Writing, action: str, tenant_id: str, before: TenantBlock | None, after: TenantBlock | None
) -> None:
    told = before and _told(before), after and _told(after)
    writing.audit(action, f"tenant:{tenant_id}", tenant_id=tenant_id, before=told[0], after=told[1])


def _told(block: TenantBlock) -> dict[str, Any]:
    until = None if block.ends_at == FOREVER else format_instant(block.ends_at)
    return {"name": block.name, "from": format_instant(block.starts_at), "until": until, "cascade": block.cascade}
