"""What does a store in PostgreSQL take in, against one in an SQLite file, and how long does it take to catch up?

Statements of usage, each by a process of its own through the store's own interface, durable when it returns: from one
process, and from four at once, by turns in the one and in the other. Then a source that was away for 10,000 changes of
as many tenants takes them in, from each. The database has core 0, the writers core 1.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Final

import psycopg
from sqlalchemy import update

from benchmarks import databases
from benchmarks.committing import Committing
from benchmarks.figures import Figure, calibrate, ratios
from benchmarks.processes import SERVER_CORE
from benchmarks.setup import Setup
from sidecar.core.model import Instant
from sync.opening import open_source
from sync.sources import Position, SyncFailed, Update
from sync.store import schema
from sync.store.audit import By
from sync.store.bulk import seed_many
from sync.store.db import Store, open_store

WRITERS: Final = (1, 4)
TENANTS: Final = 100
BEHIND: Final = 10_000
LONGER: Final = 2
"""As long as others measure: a process needs a while to get going."""
GROWING: Final = ("change_log", "revision_log", "audit", "idempotency")
KINDS: Final = ("postgresql", "sqlite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A store of each kind, to write to and to fall behind."""

    url: str
    many: Store


class Sink:
    """Holds what it is given, as bytes."""

    def __init__(self) -> None:
        self.held: Position | None = None
        self.rows: dict[str, bytes | None] = {}
        self.snapshots = 0

    def position(self) -> Position | None:
        """See Sink."""
        return self.held

    def needs_snapshot(self) -> bool:
        """See Sink."""
        return self.held is None

    def apply(self, update: Update) -> None:
        """See Sink."""
        self.rows.update(update.changes)
        self.snapshots += update.snapshot
        self.held = update.position

    def contact(self, store_instant: Instant | None = None) -> None:
        """See Sink."""

    def failed(self, failure: SyncFailed) -> None:
        """See Sink. Raises it."""
        raise failure


def measure(setup: Setup) -> list[Figure]:
    """Writes a second, seconds, ratios."""
    folder = setup.folder / "store-postgresql"
    folder.mkdir()
    with databases.serving(setup.folder / "store-postgresql-db", core=SERVER_CORE) as database:
        kept = {
            "postgresql": _kept(database.url(), database.url(), setup.now),
            "sqlite": _kept(str(folder / "few.db"), str(folder / "many.db"), setup.now),
        }
        return [*_writes(kept, setup), *_sizes(kept["postgresql"].url), *_behind(kept, setup)]


def _kept(few: str, many: str, now: Instant) -> Kept:
    databases.make_store(few, now, 0, changing=TENANTS)
    store = open_store(many, create=True)
    seed_many(store, BEHIND, now)
    return Kept(url=few, many=store)


def _writes(kept: dict[str, Kept], setup: Setup) -> list[Figure]:
    figures = []
    for writers in WRITERS:
        loops, rates = [], {kind: list[float]() for kind in KINDS}
        for number in range(setup.effort.pairs):
            for kind in KINDS if number % 2 else reversed(KINDS):
                loops.append(calibrate())
                rates[kind].append(_rate(kept[kind].url, writers, setup.effort.seconds * LONGER))
        loop = statistics.median(loops)
        each = [
            Figure(name=f"store.{kind}.writes.{writers}", unit="writes/s", values=tuple(values), calibration_ms=loop)
            for kind, values in rates.items()
        ]
        over = ratios(f"store.writes.{writers}.ratio", rates["postgresql"], rates["sqlite"], "PostgreSQL over SQLite")
        figures += [*each, over]
    return figures


def _rate(url: str, writers: int, seconds: float) -> float:
    """Writes a second, of as many processes."""
    started = [Committing(url, tenants=TENANTS, seconds=seconds) for _ in range(writers)]
    for writer in started:
        writer.go()
    done = [commit for writer in started for commit in writer.finish()]
    return len(done) / (max(commit.after for commit in done) - min(commit.before for commit in done))


def _sizes(url: str) -> list[Figure]:
    """Bytes on disk that a statement of usage leaves in each table that grows, its indexes counted."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("VACUUM FULL")
        found = {}
        for table in GROWING:
            row = conn.execute(f"SELECT pg_total_relation_size('{table}')::float / count(*) FROM {table}").fetchone()
            assert row is not None
            found[table] = row[0]
    return [
        Figure(name=f"store.postgresql.bytes.{table}", unit="bytes", values=(size,), note="a row, of many")
        for table, size in found.items()
    ]


def _behind(kept: dict[str, Kept], setup: Setup) -> list[Figure]:
    sinks = {kind: _followed(kept[kind].many, Sink())[1] for kind in KINDS}
    took, loops = {kind: list[float]() for kind in KINDS}, []
    for number in range(max(2, setup.effort.repeats // 2)):
        for kind in KINDS:
            _change_all(kept[kind].many, number)
            loops.append(calibrate())
            before = sinks[kind].snapshots
            took[kind].append(_followed(kept[kind].many, sinks[kind])[0])
            if sinks[kind].snapshots != before:
                raise RuntimeError(f"{kind}: everything came anew instead of the changes")
    loop = statistics.median(loops)
    return [
        Figure(
            name=f"store.{kind}.catch_up.{BEHIND}",
            unit="s",
            values=tuple(values),
            calibration_ms=loop,
            note="to memory",
        )
        for kind, values in took.items()
    ]


def _followed(store: Store, sink: Sink) -> tuple[float, Sink]:
    """Seconds until a sink holds all that a store has."""
    revision = store.status().revision
    source = open_source(store.name)
    try:
        began = time.perf_counter()
        while sink.held is None or sink.held.revision < revision:
            source.step(sink)
        return time.perf_counter() - began, sink
    finally:
        source.close()


def _change_all(store: Store, number: int) -> None:
    """Has every tenant's record change, 100 of them at a revision."""
    ids = [f"t{n:06}" for n in range(BEHIND)]
    for first in range(0, BEHIND, 100):
        some = ids[first : first + 100]
        with store.writing(By(operator="benchmark", at=time.time_ns() // 1000)) as writing:
            zone = "UTC" if number % 2 else "Asia/Tokyo"
            writing.conn.execute(update(schema.tenant).where(schema.tenant.c.id.in_(some)).values(zone=zone))
            writing.audit("benchmark", "store", after={"tenants": len(some)})
            writing.touch_only(some)
