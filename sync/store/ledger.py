"""The ledger: every movement of every balance (domain.md 6). A tenant's amounts add up to its balance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from sidecar.core.model import Basis, Instant
from sync.store import schema
from sync.store.db import Writing

L: Final = schema.ledger


class Kind(StrEnum):
    """What moved a balance."""

    OPENED = "OPENED"
    TOP_UP = "TOP_UP"
    CHARGES = "CHARGES"
    """Charges taken at their due instants; `count` says how many."""
    OWED = "OWED"
    """A charge that was owed, taken once it could be."""
    CORRECTED = "CORRECTED"
    CONVERTED = "CONVERTED"
    """The basis was changed and the balance stated anew."""
    CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """What a balance moved by, in millionths, and what it then was."""

    kind: Kind
    at: Instant
    amount: int
    balance: int
    count: int = 0
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """A movement on record."""

    id: int
    tenant_id: str
    basis: Basis
    movement: Movement
    operator: str


def write(writing: Writing, tenant_id: str, basis: Basis, movements: Iterable[Movement]) -> None:
    """Adds movements, in order."""
    rows = [
        {
            "tenant_id": tenant_id,
            "at": each.at,
            "kind": each.kind.value,
            "basis": int(basis),
            "amount": each.amount,
            "balance": each.balance,
            "count": each.count,
            "reference": each.reference,
            "operator": writing.by.operator,
        }
        for each in movements
    ]
    if rows:
        writing.conn.execute(insert(L), rows)


def list_ledger(
    conn: Connection, *, tenant_id: str | None = None, after: int = 0, limit: int = 1000
) -> list[LedgerEntry]:
    """Movements, oldest first, at most `limit`, those after a number; of one tenant, or of all."""
    query = select(L).where(L.c.id > after).order_by(L.c.id).limit(limit)
    if tenant_id is not None:
        query = query.where(L.c.tenant_id == tenant_id)
    return [_entry(row) for row in conn.execute(query)]


def _entry(row: Row[Any]) -> LedgerEntry:
    movement = Movement(
        kind=Kind(row.kind),
        at=row.at,
        amount=row.amount,
        balance=row.balance,
        count=row._mapping["count"],
        reference=row.reference,
    )
    return LedgerEntry(
        id=row.id, tenant_id=row.tenant_id, basis=Basis(row.basis), movement=movement, operator=row.operator
    )
