"""What does a snapshot of 100,000 tenants take over the feed: time, bytes, memory at both ends, and patience of checks?

Everybody is made to take everything anew by the operator's word that an earlier state of the store is meant. First a
sidecar by itself, with memory read at both ends, of 10,000 tenants and of 100,000; then 32 light watchers at once; then
a sidecar that answers checks at a modest rate meanwhile. There the sidecar has core 0, and the asker, the database and
the feed server, which gives way to both, share core 1.
"""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import databases, feeds, ours
from benchmarks.databases import Database
from benchmarks.figures import Figure, calibrate, percentile
from benchmarks.pacing import Job as Asked
from benchmarks.pacing import Outcome, Pacing
from benchmarks.processes import CLIENT_CORE, SERVER_CORE, Server
from benchmarks.setup import TENANTS, Setup
from benchmarks.watching import Job, Watching
from sync.feed.reading import everything
from sync.store.audit import By
from sync.store.db import Store
from sync.store.revisions import mean_restored

FEW: Final = 10_000
MANY: Final = TENANTS
AT_ONCE: Final = 32
ROUNDS: Final = 5
EVERY: Final = 0.005
"""Seconds between two questions."""
BEFORE: Final = 6.0
"""Seconds of questions before each snapshot."""
REST: Final = 2.0
MEGA: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A store in a database, and what lets a sidecar in; `mb` are all ids and records, in MB of 2^20 bytes."""

    folder: Path
    url: str
    store: Store
    token: str
    mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How many MB beyond its resting size a process had resident at most."""

    resting: float
    peak: float

    @property
    def mb(self) -> float:
        """The difference."""
        return self.peak - self.resting


def measure(setup: Setup) -> list[Figure]:
    """Seconds, megabytes, ratios."""
    rounds = ROUNDS if setup.effort.repeats >= ROUNDS else 2
    with databases.serving(setup.folder / "feed-snapshot-db") as database:
        few, many = (_place(setup, database, total) for total in (FEW, MANY))
        figures = [*_memory(few, FEW, rounds), *_memory(many, MANY, rounds), *_at_once(many, rounds)]
        return [*figures, *_checks(setup, many, rounds)]


def _place(setup: Setup, database: Database, total: int) -> Place:
    url = database.url()
    store = databases.make_store(url, setup.now, total)
    with store.reading() as conn:
        size = sum(len(tenant_id) + len(record or b"") for tenant_id, record in everything(conn))
    folder = setup.folder / f"feed-snapshot-{total}"
    return Place(folder=folder, url=url, store=store, token=databases.sidecar_token(store), mb=size / MEGA)


def _anew(place: Place) -> int:
    """Has everybody take everything anew; the revision at which they have."""
    with place.store.writing(By(operator="benchmark", at=time.time_ns() // 1000)) as writing:
        return mean_restored(writing, writing.revision)


def _memory(place: Place, total: int, rounds: int) -> list[Figure]:
    """Of a sidecar that begins with nothing, then takes everything anew; and of its server."""
    seconds, loops, grown, disk = [], [], [], []
    with feeds.running(place.folder / "feed", place.url) as feed:
        for number in range(rounds):
            loops.append(calibrate())
            resting = feed.server.resident_mb()
            feed.server.forget_peak()
            with ours.following(place.folder / f"sidecar-{number}", feed.tcp, place.token) as sidecar:
                seconds.append(time.perf_counter() - sidecar.server.started_at)
                first = Growth(resting=resting, peak=feed.server.peak_mb())
                time.sleep(REST)
                grown.append((first, *_again(place, feed.server, sidecar)))
                state = place.folder / f"sidecar-{number}" / "state"
                disk.append(sum(file.stat().st_size for file in state.iterdir() if file.is_file()) / MEGA)
    loop, note = statistics.median(loops), f"{total:,} tenants, {place.mb:.1f} MB of records"
    ends = {"server": [max(a.mb, b.mb) for a, b, _ in grown], "sidecar": [c.mb for _, _, c in grown]}
    return [
        Figure(
            name=f"feed.snapshot.{total}.first",
            unit="s",
            values=tuple(seconds),
            calibration_ms=loop,
            note=f"start of an empty sidecar until it is ready, {note}",
        ),
        Figure(name=f"feed.snapshot.{total}.disk", unit="MB", values=tuple(disk), note="the sidecar's state"),
        Figure(name=f"feed.snapshot.{total}.resting", unit="MB", values=tuple(c.resting for *_, c in grown)),
        *(
            Figure(name=f"feed.snapshot.{total}.{end}.growth", unit="MB", values=tuple(mb), note=note)
            for end, mb in ends.items()
        ),
        *(
            Figure(
                name=f"feed.snapshot.{total}.{end}.ratio",
                unit="x",
                values=tuple(each / place.mb for each in mb),
                note="its growth over the records' size",
            )
            for end, mb in ends.items()
        ),
    ]


def _again(place: Place, server: Server, sidecar: ours.Sidecar) -> tuple[Growth, Growth]:
    """How the server and the sidecar grow while everything is taken anew."""
    resting = [each.resident_mb() for each in (server, sidecar.server)]
    for each in (server, sidecar.server):
        each.forget_peak()
    revision = _anew(place)
    _wait_for(sidecar, revision)
    peaks = [each.peak_mb() for each in (server, sidecar.server)]
    of_server, of_sidecar = (Growth(resting=a, peak=b) for a, b in zip(resting, peaks, strict=True))
    return of_server, of_sidecar


def _wait_for(sidecar: ours.Sidecar, revision: int) -> None:
    sidecar.server.wait_until(lambda: sidecar.counted("deskgate_sync_revision") >= revision, every=0.25)


def _at_once(place: Place, rounds: int) -> list[Figure]:
    """Light watchers that begin with nothing: seconds until all have everything, bytes of one, the server's growth."""
    alone, together, sizes, grown, loops = [], [], [], [], []
    with feeds.running(place.folder / "feed", place.url) as feed:
        for _ in range(rounds):
            for watchers, seconds in ((1, alone), (AT_ONCE, together)):
                loops.append(calibrate())
                _anew(place)  # a file that was made before does not do any more
                resting = feed.server.resident_mb()
                feed.server.forget_peak()
                job = Job(target=feed.tcp, token=place.token, watchers=watchers, held=None, kept=False)
                with Watching(place.folder / "watch", job) as watching:
                    outcome = watching.finish()
                seconds.append(outcome.ready_seconds)
                sizes.append(outcome.received_bytes / watchers / MEGA)
            grown.append(feed.server.peak_mb() - resting)
    loop = statistics.median(loops)
    return [
        Figure(name="feed.snapshot.one", unit="s", values=tuple(alone), calibration_ms=loop, note="to a light watcher"),
        Figure(name=f"feed.snapshot.{AT_ONCE}", unit="s", values=tuple(together), calibration_ms=loop, note="at once"),
        Figure(name="feed.snapshot.size", unit="MB", values=tuple(sizes), note=f"{place.mb:.1f} MB of records"),
        Figure(name=f"feed.snapshot.{AT_ONCE}.server.growth", unit="MB", values=tuple(grown)),
    ]


def _checks(setup: Setup, place: Place, rounds: int) -> list[Figure]:
    """p99 of checks while a snapshot is taken, over that just before."""
    before, during, seconds = [], [], []
    with (
        feeds.running(place.folder / "feed", place.url, core=CLIENT_CORE) as feed,
        ours.following(place.folder / "asked", feed.tcp, place.token, core=SERVER_CORE) as sidecar,
    ):
        os.setpriority(os.PRIO_PROCESS, feed.server.pid, 19)
        job = Asked(target=sidecar.tcp, bodies=[q.request for q in setup.asked], every=EVERY)
        for number in range(rounds):
            folder = place.folder / f"asked-{number}"
            folder.mkdir()
            asking = Pacing(folder, job)
            try:
                time.sleep(BEFORE)
                began = time.perf_counter()
                revision = _anew(place)
                _wait_for(sidecar, revision)
                time.sleep(REST)
                outcome = asking.finish()
            finally:
                asking.stop()
            ended = outcome.reached(revision)
            seconds.append(ended - began)
            before.append(_p99(outcome, began - BEFORE, began))
            during.append(_p99(outcome, began, ended))
    ratio = tuple(b / a for a, b in zip(before, during, strict=True))
    note = f"{MANY:,} tenants, {1 / EVERY:g} checks a second"
    return [
        Figure(name="feed.snapshot.anew", unit="s", values=tuple(seconds), note=f"by a sidecar that answers, {note}"),
        Figure(name="feed.snapshot.check.p99.before", unit="us", values=tuple(before), note=note),
        Figure(name="feed.snapshot.check.p99.during", unit="us", values=tuple(during), note=note),
        Figure(name="feed.snapshot.check.p99_ratio", unit="x", values=ratio, note=note),
    ]


def _p99(outcome: Outcome, since: float, until: float) -> float:
    if outcome.failed:
        raise RuntimeError(f"{outcome.failed} checks failed")
    return percentile(outcome.within(since, until), 99) * 1_000_000
