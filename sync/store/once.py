"""Writes that are done once by a caller-given key: the same key with the same content is answered as it was then."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from sidecar.core.model import Instant
from sync.store import schema
from sync.store.errors import Refused

I: Final = schema.idempotency  # noqa: E741


def digest_of(content: object) -> str:
    """The digest of a JSON-like content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def answered(conn: Connection, key: str, content: str) -> Any | None:
    """What was answered to this key with this content; None: the key is new. Refused: IDEMPOTENCY_CONFLICT."""
    return answers(conn, {key: content}).get(key)


def answers(conn: Connection, contents: Mapping[str, str]) -> dict[str, Any]:
    """Key to what was answered, of those keys that are known. Refused: IDEMPOTENCY_CONFLICT."""
    found = {}
    for key, (content, answer) in kept(conn, contents).items():
        if content != contents[key]:
            raise Refused("IDEMPOTENCY_CONFLICT", f"{key!r} was used with another content: take a new key")
        found[key] = answer
    return found


def kept(conn: Connection, keys: Collection[str]) -> dict[str, tuple[str, Any]]:
    """Key to the content it came with and what was answered, of those keys that are known."""
    rows = conn.execute(select(I).where(I.c.key.in_(keys)))
    return {row.key: (row.content, json.loads(row.answer)) for row in rows}


def remember(conn: Connection, done: Collection[tuple[str, str, object]], *, at: Instant, tenant_id: str = "") -> None:
    """Keeps (key, content, answer) of writes just done, in the same transaction. `tenant_id`: whom they are about."""
    same = {"at": at, "tenant_id": tenant_id}
    rows = [same | {"key": key, "content": content, "answer": json.dumps(answer)} for key, content, answer in done]
    conn.execute(insert(I), rows)
