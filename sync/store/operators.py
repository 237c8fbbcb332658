"""Operators: who may change what (domain.md 3). A token is told once and kept as its digest alone."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from sidecar.core.calendar import format_instant
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Instant
from sync.store import schema
from sync.store.db import Writing
from sync.store.errors import Refused
from sync.store.names import checked_name, sized_name

O: Final = schema.operator  # noqa: E741
TOKEN_BYTES: Final = 32
SHOWN: Final = 12
"""Hexadecimal digits of a token's digest that the audit trail shows, so that a token that got out can be traced."""
NOBODY: Final = "0" * 64


class Role(IntEnum):
    """What an operator may do; each role may all that those before it may, but for what sidecars do."""

    SIDECAR = 0
    """Follows the store over the feed and states usage; may nothing at the back office."""
    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator on record."""

    name: str
    role: Role
    created_at: Instant
    disabled_at: Instant | None
    tenants: frozenset[str] | None = None
    """Of a sidecar: the only tenants that it may follow; None: every one."""


MOST_TENANTS: Final = 10_000


def add_operator(
    writing: Writing, name: str, role: Role, *, now: Instant, tenants: Collection[str] | None = None
) -> str:
    """Adds an operator, and returns its token, which nothing can tell again. A sidecar can be limited to some tenants,
    1 to 10,000, on record or not yet.

    Raises InvalidRequest, or Refused: OPERATOR_EXISTS.
    """
    checked_name("name", name)
    limited = None if tenants is None else _checked_tenants(role, tenants)
    if ":" in name:
        raise InvalidRequest("name", "no colons: the audit trail tells people at the store's own machine by them")
    if _row(writing.conn, name) is not None:
        raise Refused("OPERATOR_EXISTS", f"there is an operator {name!r} already: change its role, or choose a name")
    token = secrets.token_urlsafe(TOKEN_BYTES)
    values = {"name": name, "role": role.name, "token_hash": token_digest(token), "created_at": now}
    writing.conn.execute(insert(O).values(values | {"tenants": limited}))
    _audit(writing, "operator.add", None, _needed(writing.conn, name))
    return token


def _checked_tenants(role: Role, tenants: Collection[str]) -> str:
    if role is not Role.SIDECAR:
        raise InvalidRequest("tenants", "only a sidecar is limited to tenants")
    if not 1 <= len(tenants) <= MOST_TENANTS:
        raise InvalidRequest("tenants", f"1 to {MOST_TENANTS}, got {len(tenants)}")
    for tenant_id in tenants:
        sized_name("tenants", tenant_id)
    return json.dumps(sorted(set(tenants)))


def set_role(writing: Writing, name: str, role: Role) -> None:
    """Changes what an operator may do. Refused: UNKNOWN_OPERATOR, ROLE_FIXED (a sidecar is no person, and stays so)."""
    if (Role.SIDECAR is role) != (Role.SIDECAR is get_operator(writing.conn, name).role):
        raise Refused(
            "ROLE_FIXED", f"{name} cannot become {role.name.lower()}: add another operator, and disable this one"
        )
    _change(writing, "operator.set_role", name, role=role.name)


def rotate_token(writing: Writing, name: str) -> str:
    """Gives an operator another token, and returns it; the old one is void at once. Refused: UNKNOWN_OPERATOR."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    _change(writing, "operator.rotate_token", name, token_hash=token_digest(token))
    return token


def disable_operator(writing: Writing, name: str, *, now: Instant) -> None:
    """Lets an operator in no more. Refused: UNKNOWN_OPERATOR."""
    if _needed(writing.conn, name).disabled_at is None:
        _change(writing, "operator.disable", name, disabled_at=now)


def enable_operator(writing: Writing, name: str) -> None:
    """Lets a disabled operator in again, with the token that it had. Refused: UNKNOWN_OPERATOR."""
    _change(writing, "operator.enable", name, disabled_at=None)


def get_operator(conn: Connection, name: str) -> Operator:
    """An operator. Refused: UNKNOWN_OPERATOR."""
    return _operator(_needed(conn, name))


def list_operators(conn: Connection, *, after: str = "", limit: int = 1000) -> list[Operator]:
    """Operators by name, at most `limit`, those after a name."""
    query = select(O).where(O.c.name > after).order_by(O.c.name).limit(limit)
    return [_operator(row) for row in conn.execute(query)]


def authenticate(conn: Connection, token: str) -> Operator | None:
    """Whose token it is; None when it is nobody's, or of one who is disabled.

    Does the same work whatever the token is. It is looked for by its digest, which nobody can steer towards a known
    one, so how long that takes tells nothing either.
    """
    digest = token_digest(token)
    row = conn.execute(select(O).where(O.c.token_hash == digest)).one_or_none()
    same = hmac.compare_digest(digest, row.token_hash if row else NOBODY)
    return _operator(row) if row and same and row.disabled_at is None else None


def sidecars(conn: Connection) -> dict[str, Operator]:
    """The sidecars that are let in, by the digest of their token."""
    rows = conn.execute(select(O).where(O.c.role == Role.SIDECAR.name, O.c.disabled_at.is_(None)))
    return {row.token_hash: _operator(row) for row in rows}


def token_digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _change(writing: Writing, action: str, name: str, **values: Any) -> None:
    before = _needed(writing.conn, name)
    writing.conn.execute(update(O).where(O.c.name == name).values(values))
    after = _needed(writing.conn, name)
    if after != before:
        _audit(writing, action, before, after)


def _audit(writing: Writing, action: str, before: Row[Any] | None, after: Row[Any]) -> None:
    writing.audit(action, f"operator:{after.name}", before=before and _told(before), after=_told(after))


def _told(row: Row[Any]) -> dict[str, object]:
    disabled_at = None if row.disabled_at is None else format_instant(row.disabled_at)
    told = {"role": row.role, "token": row.token_hash[:SHOWN], "disabled_at": disabled_at}
    return told if row.tenants is None else told | {"tenants": json.loads(row.tenants)}


def _row(conn: Connection, name: str) -> Row[Any] | None:
    return conn.execute(select(O).where(O.c.name == name)).one_or_none()


def _needed(conn: Connection, name: str) -> Row[Any]:
    row = _row(conn, name)
    if row is None:
        raise Refused("UNKNOWN_OPERATOR", f"there is no operator {name!r}: see `deskgate operator list`")
    return row


def _operator(row: Row[Any]) -> Operator:
    return Operator(
        name=row.name,
        role=Role[row.role],
        created_at=row.created_at,
        disabled_at=row.disabled_at,
        tenants=None if row.tenants is None else frozenset(json.loads(row.tenants)),
    )
