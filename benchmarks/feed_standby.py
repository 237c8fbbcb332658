"""How far behind is a feed server that stands by a hot standby, where LISTEN does not work and it must look?

A real standby follows the primary by streaming replication. One feed server has the primary for its store, another the
standby; the same writer's changes are timed to 50 watchers of each, by turns.
"""

from __future__ import annotations

import statistics
import time
from typing import Final

import psycopg

from benchmarks import databases, feeds
from benchmarks.committing import commit_all
from benchmarks.figures import Figure, calibrate, percentile
from benchmarks.setup import Setup
from benchmarks.watching import Job, Watching
from benchmarks.world import HOT

WATCHERS: Final = 50
RATE: Final = 3.0
CHANGES: Final = 60
MILLIS: Final = 1000


def measure(setup: Setup) -> list[Figure]:
    """Milliseconds from just before COMMIT at the primary to the watchers."""
    folder = setup.folder / "feed-standby"
    rounds = 3 if setup.effort.repeats > 3 else 1
    delays: dict[str, list[list[float]]] = {"primary": [], "standby": []}
    loops = []
    with databases.serving(setup.folder / "feed-standby-db") as primary:
        url = primary.url()
        store = databases.make_store(url, setup.now, HOT)
        token = databases.sidecar_token(store)
        with databases.standing_by(primary, setup.folder / "feed-standby-copy") as standby:
            urls = {"primary": url, "standby": standby.named(url.rpartition("/")[2])}
            deaf = _deaf(urls["standby"])
            for number in range(rounds):
                for kind, at in urls.items():
                    loops.append(calibrate())
                    with feeds.running(folder / kind, at) as feed:
                        held = feeds.position_of(store)
                        job = Job(target=feed.tcp, token=token, watchers=WATCHERS, held=held)
                        with Watching(folder / f"{kind}-{number}", job) as watching:
                            commits = commit_all(url, tenants=1, count=CHANGES, rate=RATE)
                            time.sleep(2.5)
                            outcome = watching.finish()
                    outcome.check(held)
                    delays[kind].append([d * MILLIS for c in commits for d in outcome.delays(c.revision, c.before)])
    loop = statistics.median(loops)
    return [
        *(
            Figure(
                name=f"feed.at_{kind}.{what}",
                unit="ms",
                values=tuple(percentile(each, percent) for each in rows),
                calibration_ms=loop,
                note=f"{WATCHERS} watchers",
            )
            for kind, rows in delays.items()
            for what, percent in (("p50", 50), ("p99", 99))
        ),
        Figure(name="feed.at_standby.deaf", unit="1: LISTEN fails there", values=(float(deaf),)),
    ]


def _deaf(url: str) -> bool:
    with psycopg.connect(url, autocommit=True) as conn:
        try:
            conn.execute("LISTEN deskgate")
        except psycopg.errors.ReadOnlySqlTransaction:
            return True
        return False
