"""What does one feed server carry on one core: memory a watcher, processor time an event, events a second?

Memory is read with so many watchers in turn on a server just started. Processor time is that of the server's process
at a modest rate, less what it takes with the same watchers and no changes. The ceiling is what is sent while a process
writes as fast as it can: changes that come faster than they can be sent go out together, several in one event.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from benchmarks import databases, feeds
from benchmarks.committing import Committing, commit_all
from benchmarks.databases import Database
from benchmarks.figures import Figure, calibrate, percentile
from benchmarks.setup import Setup
from benchmarks.watching import Job, Watching
from benchmarks.world import HOT
from sync.store.db import Store

COUNTS: Final = (0, 100, 500, 1000)
RATED: Final = 500
"""Watchers at which events are counted."""
RATE: Final = 10.0
CHANGES: Final = 100
TENANTS: Final = 100
"""That change by turns."""
FOLLOWED: Final = 10
"""Tenants that a watcher of some follows."""
IDLE: Final = 10.0
FLAT_OUT: Final = 10.0
"""Seconds."""
ROUNDS: Final = 3
MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of a stretch: processor seconds of the server, events sent, and the time it took."""

    cpu: float
    events: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What every stretch needs."""

    folder: Path
    url: str
    store: Store
    token: str

    def watching(self, feed: feeds.Feed, watchers: int, tenants: Sequence[str] = ()) -> Watching:
        """Watchers at the store's position, of these tenants alone or of all."""
        held = feeds.position_of(self.store)
        job = Job(target=feed.tcp, token=self.token, watchers=watchers, held=held, tenants=tenants)
        return Watching(self.folder / "watch", job)


def measure(setup: Setup) -> list[Figure]:
    """Megabytes, microseconds, events a second, bytes."""
    folder = setup.folder / "feed-capacity"
    rounds = ROUNDS if setup.effort.repeats > ROUNDS else 1
    with databases.serving(setup.folder / "feed-capacity-db") as database:
        place = _place(folder, database, setup.now)
        connections = _connections(place)
        few = [hot.record.tenant_id for hot in setup.hot[:FOLLOWED]]
        costs = [*_cost(place, rounds), *_cost(place, rounds, few, ".filtered")]
        return [*_memory(place), connections, *costs, *_ceiling(place, rounds)]


def _place(folder: Path, database: Database, now: int) -> Place:
    url = database.url()
    store = databases.make_store(url, now, HOT, changing=TENANTS)
    return Place(folder=folder, url=url, store=store, token=databases.sidecar_token(store))


def _memory(place: Place) -> list[Figure]:
    resident = {}
    for count in COUNTS:
        with feeds.running(place.folder / "feed", place.url) as feed:
            if not count:
                time.sleep(1.0)
                resident[count] = feed.server.resident_mb()
                continue
            with place.watching(feed, count):
                commit_all(place.url, tenants=TENANTS, count=10, rate=RATE)
                time.sleep(1.0)
                resident[count] = feed.server.resident_mb()
    figures = [Figure(name=f"feed.resident.{n}", unit="MB", values=(mb,)) for n, mb in resident.items()]
    each = (resident[COUNTS[-1]] - resident[0]) / COUNTS[-1] * 1024
    return [*figures, Figure(name="feed.resident.watcher", unit="KB", values=(each,), note="each, of 1,000")]


def _connections(place: Place) -> Figure:
    """Of a replica to its database, once watchers, a snapshot and changes have been through it."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(place.url) as conn, feeds.running(place.folder / "feed", place.url) as feed:
        before = conn.execute(count).fetchone()
        with place.watching(feed, RATED, ["changing-0"]):
            commit_all(place.url, tenants=TENANTS, count=CHANGES, rate=RATE)
            conn.rollback()
            found = conn.execute(count).fetchone()
    assert before is not None
    assert found is not None
    of_this = float(found[0] - before[0])
    return Figure(
        name="feed.connections", unit="connections", values=(of_this,), note=f"{RATED} watchers of one tenant"
    )


def _cost(place: Place, rounds: int, tenants: Sequence[str] = (), name: str = "") -> list[Figure]:
    """Of an event: to watchers of everything, or of some tenants none of which changes."""
    each, idle, sizes, ready, loops = [], [], [], [], []
    with feeds.running(place.folder / "feed", place.url) as feed:
        for _ in range(rounds):
            loops.append(calibrate())
            with place.watching(feed, RATED, tenants) as watching:
                resting = _spent(feed, lambda: time.sleep(IDLE))
                busy = _spent(feed, lambda: commit_all(place.url, tenants=TENANTS, count=CHANGES, rate=RATE))
                outcome = watching.finish()
            sizes.append(statistics.median(outcome.sizes))
            ready.append(outcome.ready_seconds)
            idle.append(resting.cpu / resting.seconds * 100)
            changes = busy.events - resting.events * busy.seconds / resting.seconds
            each.append((busy.cpu - resting.cpu * busy.seconds / resting.seconds) / changes * MICROS)
    loop = statistics.median(loops)
    what = f"of {len(tenants)} other tenants, " if tenants else ""
    note = f"{RATED} watchers {what or 'of all, '}{RATE:g} changes a second"
    return [
        Figure(name=f"feed.event{name}.cpu", unit="us", values=tuple(each), calibration_ms=loop, note=note),
        Figure(name=f"feed.event{name}.bytes", unit="bytes", values=tuple(sizes), note=note),
        Figure(name=f"feed.idle{name}.cpu", unit="% of a core", values=tuple(idle), calibration_ms=loop, note=note),
        Figure(
            name=f"feed.begin{name}.{RATED}", unit="s", values=tuple(ready), calibration_ms=loop, note="all at once"
        ),
    ]


def _spent(feed: feeds.Feed, stretch: object) -> Cost:
    cpu, events, began = feed.server.cpu_seconds(), feed.counted("deskgate_feed_events_total"), time.perf_counter()
    stretch()  # type: ignore[operator]
    return Cost(
        cpu=feed.server.cpu_seconds() - cpu,
        events=feed.counted("deskgate_feed_events_total") - events,
        seconds=time.perf_counter() - began,
    )


def _ceiling(place: Place, rounds: int) -> list[Figure]:
    rates, written, delays, loops = [], [], [], []
    with feeds.running(place.folder / "feed", place.url) as feed:
        for _ in range(rounds):
            loops.append(calibrate())
            with place.watching(feed, RATED) as watching:
                writer = Committing(place.url, tenants=TENANTS, seconds=FLAT_OUT)
                began = feed.counted("deskgate_feed_events_total")
                writer.go()
                commits = writer.finish()
                sent = feed.counted("deskgate_feed_events_total") - began
                time.sleep(2.0)
                outcome = watching.finish()
            seconds = commits[-1].after - commits[0].before
            rates.append(sent / seconds)
            written.append(len(commits) / seconds)
            delays.append(percentile(outcome.delays(commits[-1].revision, commits[-1].before), 99) * 1000)
    loop = statistics.median(loops)
    note = f"{RATED} watchers, one process writing as fast as it can"
    return [
        Figure(name="feed.ceiling.events", unit="events/s", values=tuple(rates), calibration_ms=loop, note=note),
        Figure(name="feed.ceiling.changes", unit="changes/s", values=tuple(written), calibration_ms=loop, note=note),
        Figure(name="feed.ceiling.behind", unit="ms", values=tuple(delays), note="the last change, p99"),
    ]
