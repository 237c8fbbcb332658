"""Events on their way from the store, which is read by tenant, to the reader, who wants them by time.

They wait in a file of SQLite's own that is gone when the process is, so that memory is bounded however many there are.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any, Final

from sidecar.core.model import UNLIMITED
from sync.forecast.events import Event, Kind
from sync.store.errors import StoreError

NAMED: Final = 5
"""Of those who share a pool, how many are named."""
UNLIMITED_JSON: Final = "unlimited"
FIELDS: Final = tuple(f.name for f in fields(Event))
TABLES: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE event (at INTEGER, tenant_id TEXT, kind TEXT, body TEXT);
CREATE TABLE sharer (holder_id TEXT, tenant_id TEXT, PRIMARY KEY (holder_id, tenant_id)) WITHOUT ROWID;
BEGIN;
"""
IN_ORDER: Final = "SELECT body FROM event ORDER BY at, tenant_id, kind, rowid"
SHARERS: Final = "SELECT tenant_id, count(*) OVER () FROM sharer WHERE holder_id = ? ORDER BY tenant_id LIMIT ?"


class SpoolFailed(StoreError):
    """There is no room to put the events in order."""

    code = "NO_ROOM"


class Spool:
    """A context that takes events in any order, and tenants that share services, and gives the events by time."""

    def __init__(self) -> None:
        self._conn: Final = sqlite3.connect("", isolation_level=None)
        with _clearly():
            self._conn.executescript(TABLES)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._conn.close()

    def add(self, events: Iterable[Event]) -> None:
        """Takes events. Raises SpoolFailed."""
        rows = ((e.at, e.tenant_id, e.kind, _packed(e)) for e in events)
        with _clearly():
            self._conn.executemany("INSERT INTO event VALUES (?, ?, ?, ?)", rows)

    def share(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Takes pairs of a pool's owner and a tenant that shares it. Raises SpoolFailed."""
        with _clearly():
            self._conn.executemany("INSERT OR IGNORE INTO sharer VALUES (?, ?)", pairs)

    def __iter__(self) -> Iterator[Event]:
        """The events by time, then by tenant and kind, with those who share the pool. Raises SpoolFailed."""
        with _clearly():
            for (body,) in self._conn.execute(IN_ORDER):
                yield self._shared(_unpacked(body))

    def _shared(self, event: Event) -> Event:
        found = self._conn.execute(SHARERS, (event.tenant_id, NAMED)).fetchall()
        if not found:
            return event
        return replace(event, sharers=found[0][1], shared_with=tuple(tenant_id for tenant_id, _ in found))


def _packed(event: Event) -> str:
    values = {name: getattr(event, name) for name in FIELDS}
    return json.dumps(values | {"limit": UNLIMITED_JSON if event.limit is UNLIMITED else event.limit})


def _unpacked(body: str) -> Event:
    values: dict[str, Any] = json.loads(body)
    limit = UNLIMITED if values["limit"] == UNLIMITED_JSON else values["limit"]
    given = {"kind": Kind(values["kind"]), "limit": limit, "blocks": tuple(values["blocks"]), "shared_with": ()}
    return Event(**(values | given))


@contextmanager
def _clearly() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as e:
        raise SpoolFailed(
            f"no room to put the events in order ({e}): free some, or name a folder that has it with SQLITE_TMPDIR"
        ) from e
