"""Tenants as rows. A parent stands in an earlier row, or is on record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sidecar.core.errors import DeskgateError
from sidecar.core.model import Instant
from sync.store.db import Writing
from sync.store.tenants import NewTenant, create_tenants
from sync.transfer.cells import Cells
from sync.transfer.items import Shape


def read(rows: Sequence[Cells]) -> NewTenant:
    """A tenant from its row. What is wrong is told to its cells."""
    (row,) = rows
    if row.text("archived_at"):
        row.problem("archived_at", "an archived tenant is not imported: leave the row out, or this cell empty")
    return NewTenant(
        id=row.needed("tenant"),
        name=row.text("name"),
        parent_id=row.text("parent") or None,
        zone=row.text("zone") or "UTC",
        language=row.text("language"),
        contacts=row.several("contacts", r"\s;"),
        tags=row.several("tags", ";"),
        edition=row.text("edition") or None,
    )


SHAPE: Final = Shape(
    name="tenants",
    columns=("tenant", "name", "parent", "zone", "language", "contacts", "tags", "edition"),
    needed=(("tenant",),),
    read=read,
    told=("created_at", "archived_at"),
)


def create(writing: Writing, asks: Sequence[NewTenant], *, now: Instant) -> list[str | DeskgateError]:
    """Adds tenants; each is named, or why it is not added."""
    failures = create_tenants(writing, asks, now=now)
    return [failed or f"tenant:{ask.id}" for ask, failed in zip(asks, failures, strict=True)]
