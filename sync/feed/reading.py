"""Where a store is, and the records in it, for those who follow it or feed others from it: the same for every database.

All is read in one view, `Store.reading()`. Rows come as they are asked for: no answer is held in memory as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, LargeBinary, Select, bindparam, cast, func, null, select

from sidecar.core.model import Instant
from sync.feed.protocol import holder_of
from sync.history import Head
from sync.sources import Change, Position
from sync.store import schema
from sync.store.lineage import chunks

ROWS: Final = 256
"""Rows fetched at a time."""
STREAMED: Final = {"stream_results": True, "yield_per": ROWS}

S: Final = schema.store
E: Final = schema.entitlement
C: Final = schema.change_log
R: Final = schema.revision_log

_logged = select(R.c.digest).where(R.c.revision == bindparam("held")).scalar_subquery()
HEAD: Final = select(S.c.store_id, S.c.revision, S.c.digest, S.c.restored, _logged.label("logged"))
HEAD_ALONE: Final = select(S.c.store_id, S.c.revision, S.c.digest, S.c.restored, null().label("logged"))
SERVER_CLOCK: Final = select(cast(func.extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger))
_record = cast(E.c.record, LargeBinary)
"""Where a file's row holds text, it comes as its bytes."""
EVERYTHING: Final = select(E.c.tenant_id, _record).order_by(E.c.tenant_id)
OF: Final = select(E.c.tenant_id, _record).where(E.c.tenant_id.in_(bindparam("ids", expanding=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Where the store is, and what its clock says: a server's own, or this machine's for a file."""

    head: Head
    instant: Instant


def look(conn: Connection, held: Position | None) -> Seen:
    """Where the store is in this view, and what it knows of the revision that is held."""
    found = conn.execute(HEAD_ALONE) if held is None else conn.execute(HEAD, {"held": held.revision})
    row = found.one()
    position = Position(store_id=row.store_id, revision=row.revision, mark=row.digest)
    return Seen(head=Head(position=position, logged=row.logged, restored=row.restored), instant=store_clock(conn))


def store_clock(conn: Connection) -> Instant:
    """What the store's clock says at this moment, however old the view is."""
    if conn.dialect.name == "postgresql":
        return int(conn.execute(SERVER_CLOCK).scalar_one())
    return time.time_ns() // 1000


def changes_since(conn: Connection, revision: int) -> Iterator[Change]:
    """The tenants that changed after a revision, each once, with its record as it is now; None: it has none any more.

    In no particular order.
    """
    changed = select(C.c.tenant_id).where(C.c.revision > revision).distinct().subquery()
    joined = changed.outerjoin(E, E.c.tenant_id == changed.c.tenant_id)
    return _streamed(conn, select(changed.c.tenant_id, _record).select_from(joined))


def everything(conn: Connection) -> Iterator[Change]:
    """All records, in the order of their tenants' ids."""
    return _streamed(conn, EVERYTHING)


def records_of(conn: Connection, ids: Collection[str]) -> dict[str, bytes]:
    """These tenants' records, by id; ids that have none are left out."""
    found: dict[str, bytes] = {}
    for chunk in chunks(ids):
        found.update(dict(conn.execute(OF, {"ids": chunk}).all()))
    return found


def with_holders(conn: Connection, ids: Collection[str]) -> dict[str, bytes]:
    """These tenants' records, by id, and those of the tenants whose services they share: what it takes to decide about
    them. Ids that have none are left out.
    """
    found = records_of(conn, ids)
    return records_of(conn, {name for record in found.values() if (name := holder_of(record))} - found.keys()) | found


def _streamed(conn: Connection, query: Select[Any]) -> Iterator[Change]:
    with conn.execute(query, execution_options=STREAMED) as rows:
        yield from ((tenant_id, record) for tenant_id, record in rows)
