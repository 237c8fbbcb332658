"""How soon is a change in PostgreSQL held by each of 500 watchers of one feed server, and in a sidecar's answer?

Another process states usage five times a second, by turns beyond the tenant's limit and below it, and notes the instant
just before each COMMIT. The feed server has core 0; the database, the writer, the watchers and a real sidecar, which is
asked all the time, share core 1. What COMMIT itself took is a part of it, and shown beside it.
"""

from __future__ import annotations

import statistics
import threading
import time
from typing import Final

from benchmarks import databases, feeds, ours
from benchmarks.asking import Asker
from benchmarks.committing import Commit, commit_all, full
from benchmarks.databases import KEY, changing_tenant
from benchmarks.figures import Figure, calibrate, percentile
from benchmarks.setup import Setup
from benchmarks.watching import Job, Watching
from benchmarks.world import HOT
from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb

WATCHERS: Final = 500
RATE: Final = 5.0
"""Changes a second."""
CHANGES: Final = 100
ROUNDS: Final = 3
BETWEEN: Final = 0.002
"""Seconds between two questions to the sidecar."""
MILLIS: Final = 1000
REQUEST: Final = pb.CheckRequest(
    tenant_id=changing_tenant(0), action="space.create", resource=pb.Resource(kind=KEY)
).SerializeToString()


class Asking:
    """A thread that asks a sidecar all the time, and notes when an answer first rested on each revision."""

    def __init__(self, target: str) -> None:
        self._asker = Asker(target, REQUEST)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.first: list[tuple[int, float, str]] = []
        """Revision, instant, reason."""

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._asker.close()

    def _ask(self) -> None:
        while not self._ended.wait(BETWEEN):
            answer = self._asker.ask()
            now = time.perf_counter()
            if answer is not None and (not self.first or answer.entitlement_revision > self.first[-1][0]):
                self.first.append((answer.entitlement_revision, now, answer.reason))

    def delay(self, number: int, commit: Commit) -> float:
        """Seconds from a commit to the first answer that shows it. Raises RuntimeError when none did so rightly."""
        for revision, at, reason in self.first:
            if revision == commit.revision and bool(reason) is not full(number, 1):
                raise RuntimeError(f"at revision {revision} the answer was {reason!r}")
            if revision >= commit.revision:
                return at - commit.before
        raise RuntimeError(f"no answer ever rested on revision {commit.revision}")


def measure(setup: Setup) -> list[Figure]:
    """Milliseconds from just before COMMIT to the watchers, and to the answer."""
    folder = setup.folder / "feed-latency"
    rounds = ROUNDS if setup.effort.repeats > ROUNDS else 1
    watched: list[list[float]] = []
    answered: list[list[float]] = []
    committed: list[list[float]] = []
    loops = []
    with databases.serving(folder.with_name("feed-latency-db")) as database:
        url = database.url()
        store = databases.make_store(url, setup.now, HOT)
        token = databases.sidecar_token(store)
        with (
            feeds.running(folder / "feed", url) as feed,
            ours.following(folder / "sidecar", feed.tcp, token) as sidecar,
        ):
            for number in range(rounds):
                loops.append(calibrate())
                held = feeds.position_of(store)
                job = Job(target=feed.tcp, token=token, watchers=WATCHERS - 1, held=held)
                with Watching(folder / f"watch-{number}", job) as watching, Asking(sidecar.tcp) as asking:
                    commits = commit_all(url, tenants=1, count=CHANGES, rate=RATE)
                    time.sleep(1.0)
                    outcome = watching.finish()
                outcome.check(held)
                watched.append([d * MILLIS for c in commits for d in outcome.delays(c.revision, c.before)])
                committed.append([(c.after - c.before) * MILLIS for c in commits])
                answered.append([asking.delay(n, c) * MILLIS for n, c in enumerate(commits)])
    loop = statistics.median(loops)
    note = f"{rounds} rounds of {CHANGES} changes, {WATCHERS} watchers"
    return [
        Figure(
            name=f"feed.{name}.{what}",
            unit="ms",
            values=tuple(percentile(each, percent) for each in rows),
            calibration_ms=loop,
            note=note,
        )
        for name, rows in (("to_watchers", watched), ("to_answer", answered), ("commit", committed))
        for what, percent in (("p50", 50), ("p99", 99), ("max", 100))
    ]
