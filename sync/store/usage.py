"""What exists (domain.md 1): units and seats, as Desking states them after its own commit. Never refused for quota."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select

from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Instant
from sync.store import once, schema, upsert
from sync.store.audit import By
from sync.store.db import Store, Writing
from sync.store.errors import Refused
from sync.store.names import sized_name, whole_text
from sync.store.tenants import get_tenant, present

MOST: Final = 2**53
ANOTHER_STORE: Final = "ANOTHER_STORE"
MOST_SEATS: Final = 1000
"""Seat changes that one call may carry."""

U: Final = schema.usage
S: Final = schema.seat


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """So many units more, or, negative, fewer."""

    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Absolute:
    """So many units, as counted: 0 to 2^53."""

    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatChange:
    """A user assigned (`held`) or revoked. One who holds a seat keeps its place; one revoked anew goes to the end."""

    user_id: str
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seats:
    """Changes of seats, 1 to 1,000, in order."""

    changes: tuple[SeatChange, ...]


Change = Delta | Absolute | Seats


Told = dict[str, Any]
"""What the audit trail is told."""
Done = tuple[Told, Told] | None
"""What is told of a change: before and after; None when there was nothing to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What exists of a key at a tenant itself, not in its pool; `revision`: where it can be seen in an answer."""

    units: int
    seats: tuple[str, ...]
    revision: int


def adjust_usage(
    store: Store,
    tenant_id: str,
    key: str,
    change: Change,
    *,
    idempotency_key: str,
    now: Instant,
    operator: str = "desking",
    store_id: str = "",
) -> Used:
    """States a change of what exists; durable when it returns. The same idempotency key with the same content is done
    once, and answered as it was then. `store_id`: of the store that it is meant for; "": whichever this is.

    Raises InvalidRequest, StoreError, or Refused: UNKNOWN_TENANT, USAGE_BELOW_ZERO, IDEMPOTENCY_CONFLICT (the key was
    used with another content), ANOTHER_STORE.
    """
    sized_name("idempotency_key", idempotency_key)
    content = _digest(tenant_id, key, change)
    with store.writing(By(operator=operator, at=now, key=idempotency_key)) as writing:
        if store_id:
            _refuse_another(writing.conn, store_id)
        known = once.answered(writing.conn, idempotency_key, content)
        if known is not None:
            return Used(units=known["units"], seats=tuple(known["seats"]), revision=known["revision"])
        change_usage(writing, tenant_id, key, change)
        writing.finish()
        used = usage_of(writing.conn, tenant_id, key, revision=writing.revision)
        once.remember(writing.conn, [(idempotency_key, content, asdict(used))], at=now, tenant_id=tenant_id)
    return used


def _refuse_another(conn: Connection, meant: str) -> None:
    found = conn.scalars(select(schema.store.c.store_id)).one()
    if found != meant:
        raise Refused(
            ANOTHER_STORE, f"it is meant for store {meant}, and this is {found}: see where the sidecar's leads"
        )


def _digest(tenant_id: str, key: str, change: Change) -> str:
    content = json.dumps([tenant_id, key, type(change).__name__, asdict(change)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def change_usage(writing: Writing, tenant_id: str, key: str, change: Change) -> None:
    """Changes units or seats within a change of the caller's.

    Raises InvalidRequest, or Refused: UNKNOWN_TENANT, TENANT_ERASED, USAGE_BELOW_ZERO.
    """
    sized_name("key", key)
    present(writing.conn, whole_text("tenant_id", tenant_id))
    writing.touch(tenant_id)
    done = CHANGERS[type(change)](writing.conn, tenant_id, key, change)
    if done is not None:
        audit_usage(writing, tenant_id, key, *done)


def audit_usage(writing: Writing, tenant_id: str, key: str, before: Told, after: Told) -> None:
    """Says what changed of a key: units, or how many seats, and whose."""
    told = {"key": key} | before, {"key": key} | after
    writing.audit("usage.adjust", f"tenant:{tenant_id}", tenant_id=tenant_id, before=told[0], after=told[1])


def _add(conn: Connection, tenant_id: str, key: str, change: Delta) -> Done:
    units = _units(conn, tenant_id, key) + change.units
    if units < 0:
        raise Refused(
            "USAGE_BELOW_ZERO", f"{tenant_id} has {units - change.units} of {key}: set what is counted instead"
        )
    return _set(conn, tenant_id, key, Absolute(units=units))


def _set(conn: Connection, tenant_id: str, key: str, change: Absolute) -> Done:
    checked_units(change.units)
    before = _units(conn, tenant_id, key)
    if change.units == before:
        return None
    write_units(conn, [{"tenant_id": tenant_id, "key": key, "units": change.units}])
    return {"units": before}, {"units": change.units}


def checked_units(units: int) -> int:
    """A count of units: 0 to 2^53. Raises InvalidRequest."""
    if not 0 <= units <= MOST:
        raise InvalidRequest("units", f"0 to 2^53, got {units}")
    return units


def write_units(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Sets units: rows of tenant_id, key and units."""
    conn.execute(upsert.replacing(conn, U, "tenant_id", "key"), rows)


def _seat(conn: Connection, tenant_id: str, key: str, change: Seats) -> Done:
    if not 1 <= len(change.changes) <= MOST_SEATS:
        raise InvalidRequest("seats", f"1 to {MOST_SEATS} changes, got {len(change.changes)}")
    for seat in change.changes:
        sized_name("user_id", seat.user_id)
    held = _seats(conn, tenant_id, key)
    done = [(seat, (_assign if seat.held else _revoke)(conn, tenant_id, key, seat.user_id)) for seat in change.changes]
    revoked = [seat.user_id for seat, changed in done if changed and not seat.held]
    assigned = [seat.user_id for seat, changed in done if changed and seat.held]
    return told_seats(held, assigned, revoked) if revoked or assigned else None


def told_seats(held: int, assigned: Sequence[str], revoked: Sequence[str]) -> tuple[Told, Told]:
    """What is told of users without and with a seat of a key of which `held` were held."""
    after = held + len(assigned) - len(revoked)
    return {"seats": held}, {"seats": after, "assigned": list(assigned), "revoked": list(revoked)}


def _seats(conn: Connection, tenant_id: str, key: str) -> int:
    held = select(func.count()).select_from(S).where(S.c.tenant_id == tenant_id, S.c.key == key)
    return conn.scalar(held) or 0


def _assign(conn: Connection, tenant_id: str, key: str, user_id: str) -> bool:
    put = upsert.adding(conn, S).values(tenant_id=tenant_id, key=key, user_id=user_id).returning(S.c.id)
    return conn.scalar(put) is not None


def _revoke(conn: Connection, tenant_id: str, key: str, user_id: str) -> bool:
    gone = delete(S).where(S.c.tenant_id == tenant_id, S.c.key == key, S.c.user_id == user_id)
    return conn.execute(gone).rowcount > 0


CHANGERS: Final[Mapping[type, Callable[[Connection, str, str, Any], Done]]] = {
    Delta: _add,
    Absolute: _set,
    Seats: _seat,
}


def usage_of(conn: Connection, tenant_id: str, key: str, *, revision: int = 0) -> Used:
    """What exists of a key at a tenant itself."""
    seats = select(S.c.user_id).where(S.c.tenant_id == tenant_id, S.c.key == key).order_by(S.c.id)
    return Used(units=_units(conn, tenant_id, key), seats=tuple(conn.scalars(seats)), revision=revision)


def list_usage(conn: Connection, tenant_id: str) -> dict[str, Used]:
    """Key to what exists of it at a tenant itself. Refused: UNKNOWN_TENANT."""
    get_tenant(conn, tenant_id)
    keys = select(U.c.key).where(U.c.tenant_id == tenant_id).union(select(S.c.key).where(S.c.tenant_id == tenant_id))
    return {key: usage_of(conn, tenant_id, key) for key in sorted(conn.scalars(keys))}


def _units(conn: Connection, tenant_id: str, key: str) -> int:
    return conn.scalar(select(U.c.units).where(U.c.tenant_id == tenant_id, U.c.key == key)) or 0
