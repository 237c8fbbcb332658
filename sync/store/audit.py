"""The audit trail (domain.md 3): who changed what, when, before and after. Append-only, and chained by hashes.

An entry's hash covers the entry and the hash before it; the store's row names the last one. So no entry can be changed,
taken out, put in or cut off at the end without showing. What an entry says of a tenant it covers by a digest: when a
tenant is erased that text goes, and the chain still holds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from sidecar.core.model import Instant
from sync.store import schema

A: Final = schema.audit
S: Final = schema.store
STEP: Final = 1000
"""Entries that are read at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who makes a change, when it is recorded, and the idempotency key it came with ("": none)."""

    operator: str
    at: Instant
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry on its way: `action` such as tenant.block, on `subject` (tenant:acme, order:7), before and after.

    `tenant_id` is the tenant that it is about; "" when there is none.
    """

    by: By
    action: str
    tenant_id: str
    subject: str
    before: object
    after: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry on record. `details` has `before` and `after`; None once the tenant was erased."""

    seq: int
    recorded_at: Instant
    operator: str
    action: str
    tenant_id: str
    subject: str
    idempotency_key: str
    details: dict[str, Any] | None
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a look at the whole trail found. `fault`: what is wrong first, at entry `at`; "" when all holds."""

    entries: int
    erased: int
    head: str
    fault: str = ""
    at: int = 0


def append(conn: Connection, changes: Sequence[tuple[Change, str]]) -> None:
    """Writes entries in order, each with a salt that keeps the digest of erased details from being guessed."""
    last, previous = conn.execute(select(S.c.audit_seq, S.c.audit_hash)).one()
    rows: list[dict[str, Any]] = []
    for seq, (change, salt) in enumerate(changes, last + 1):
        details = _canonical({"before": change.before, "after": change.after, "salt": salt})
        row: dict[str, Any] = {
            "seq": seq,
            "recorded_at": change.by.at,
            "operator": change.by.operator,
            "action": change.action,
            "tenant_id": change.tenant_id,
            "subject": change.subject,
            "idempotency_key": change.by.key,
            "details": details,
            "digest": _digest(details),
        }
        previous = _chained(previous, row)
        rows.append(row | {"hash": previous})
    conn.execute(insert(A), rows)
    conn.execute(update(S).values(audit_seq=last + len(rows), audit_hash=previous))


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


COVERED: Final = ("seq", "recorded_at", "operator", "action", "tenant_id", "subject", "idempotency_key", "digest")


def _chained(previous: str, row: Any) -> str:
    return _digest(_canonical([previous, *(row[name] for name in COVERED)]))


def erase(conn: Connection, tenant_id: str) -> None:
    """Takes away what entries say of a tenant; that they were made, by whom and when stays."""
    conn.execute(update(A).where(A.c.tenant_id == tenant_id).values(details=None))


def verify(conn: Connection) -> Verdict:
    """Looks at every entry. A text that is missing is a fault unless its tenant was erased."""
    head = conn.execute(select(S.c.audit_seq, S.c.audit_hash)).one()
    t = schema.tenant
    gone = set(conn.scalars(select(t.c.id).where(t.c.erased_at.is_not(None))))
    seq, previous, erased = 0, "", 0
    for row in _all(conn):
        fault = _fault(row, seq + 1, previous, gone)
        if fault:
            return Verdict(entries=seq, erased=erased, head=previous, fault=fault, at=seq + 1)
        seq, previous, erased = row.seq, row.hash, erased + (row.details is None)
    if (seq, previous) != tuple(head):
        fault = f"the trail ends at entry {seq}, the store says that it ends at {head.audit_seq}, with another hash"
        return Verdict(entries=seq, erased=erased, head=previous, fault=fault, at=seq + 1)
    return Verdict(entries=seq, erased=erased, head=previous)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which entries are asked for; what is "" or None does not matter. The `action` "order." means every one of it."""

    tenant_id: str = ""
    operator: str = ""
    action: str = ""
    subject: str = ""
    recorded_from: Instant | None = None
    recorded_until: Instant | None = None


def entries(conn: Connection, sought: Sought, *, after: int = 0, limit: int = 1000) -> list[Entry]:
    """Entries in order, at most `limit`, those after a number."""
    query = select(A).where(A.c.seq > after).order_by(A.c.seq).limit(limit)
    for name in ("tenant_id", "operator", "subject"):
        if value := getattr(sought, name):
            query = query.where(A.c[name] == value)
    if sought.action:
        same = A.c.action.startswith(sought.action, autoescape=True)
        query = query.where(same if sought.action.endswith(".") else A.c.action == sought.action)
    if sought.recorded_from is not None:
        query = query.where(A.c.recorded_at >= sought.recorded_from)
    if sought.recorded_until is not None:
        query = query.where(A.c.recorded_at < sought.recorded_until)
    return [entry_of(row) for row in conn.execute(query)]


def _all(conn: Connection) -> Iterator[Row[Any]]:
    query = select(A).order_by(A.c.seq).limit(STEP)
    rows = conn.execute(query).all()
    while rows:
        yield from rows
        rows = conn.execute(query.where(A.c.seq > rows[-1].seq)).all()


def _fault(row: Row[Any], seq: int, previous: str, gone: set[str]) -> str:
    if row.seq != seq:
        return f"entry {seq} is missing: the next one is {row.seq}"
    if row.details is None and row.tenant_id not in gone:
        return f"entry {seq} has lost its details, though its tenant {row.tenant_id!r} was not erased"
    try:
        altered = row.details is not None and _digest(row.details) != row.digest
        altered = altered or _chained(previous, row._mapping) != row.hash
    except (TypeError, AttributeError):  # a column holds bytes or a number where text was written
        altered = True
    return f"entry {seq} is not as it was written" if altered else ""


def entry_of(row: Row[Any]) -> Entry:
    """An entry from its row."""
    details = None if row.details is None else {k: v for k, v in json.loads(row.details).items() if k != "salt"}
    return Entry(
        seq=row.seq,
        recorded_at=row.recorded_at,
        operator=row.operator,
        action=row.action,
        tenant_id=row.tenant_id,
        subject=row.subject,
        idempotency_key=row.idempotency_key,
        details=details,
        hash=row.hash,
    )
