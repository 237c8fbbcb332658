"""500 watchers lose their feed server for 30 s: how do they come back?

They are real ones, the sidecar's own source, back-off and follower, 500 of each as threads of one process; their sinks
keep nothing but their position. (`python -m benchmarks.feed_herd TARGET TOKEN WATCHERS` is that process.) The server is
killed, and started again at the same address. When each came back is read from its log: "a watch begins".
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Final

from benchmarks import databases, feeds
from benchmarks.figures import Figure
from benchmarks.processes import CLIENT_CORE, ROOT, listening
from benchmarks.setup import Setup
from sidecar.address import parse_address
from sidecar.core.model import Instant
from sync.feed.backoff import HEALTHY_AFTER
from sync.feed.channel import FeedTarget
from sync.feed.client import FeedSource
from sync.follower import Follower
from sync.sources import Position, SyncFailed, Update

WATCHERS: Final = 500
AWAY: Final = 30.0
ROUNDS: Final = 3
TENANTS: Final = 10
WELL_FOR: Final = 2 * HEALTHY_AFTER + 2
"""Seconds that all are connected before the server is lost; heartbeats come every five."""
PATIENCE: Final = 180.0
BEGINS: Final = "a watch begins"
STACK: Final = 256 * 1024
"""Bytes of a thread's stack: there are many."""


class Sink:
    """Holds a position, and forgets what it is given."""

    def __init__(self) -> None:
        self._held: Position | None = None

    def position(self) -> Position | None:
        """See Sink."""
        return self._held

    def needs_snapshot(self) -> bool:
        """See Sink."""
        return self._held is None

    def apply(self, update: Update) -> None:
        """See Sink."""
        for _ in update.changes:
            pass
        self._held = update.position

    def contact(self, store_instant: Instant | None = None) -> None:
        """See Sink."""

    def failed(self, failure: SyncFailed) -> None:
        """See Sink."""


def measure(setup: Setup) -> list[Figure]:
    """Percent of the watchers, and seconds."""
    rounds = ROUNDS if setup.effort.repeats > ROUNDS else 1
    folder = setup.folder / "feed-herd"
    worst, last, first = [], [], []
    with databases.serving(setup.folder / "feed-herd-db") as database:
        url = database.url()
        store = databases.make_store(url, setup.now, 0, changing=TENANTS)
        token = databases.sidecar_token(store)
        for number in range(rounds):
            back = _round(folder / str(number), url, token)
            worst.append(most_within(back, 1.0) / WATCHERS * 100)
            first.append(back[0])
            last.append(back[-1])
    note = f"{WATCHERS} watchers, away for {AWAY:g} s"
    return [
        Figure(name="feed.herd.worst_second", unit="% of all", values=tuple(worst), note=f"any second, {note}"),
        Figure(name="feed.herd.first_back", unit="s", values=tuple(first), note="after the server was back"),
        Figure(name="feed.herd.all_back", unit="s", values=tuple(last), note="after the server was back"),
    ]


def most_within(instants: Sequence[float], seconds: float) -> int:
    """How many there are at most in any stretch of so many seconds, of instants in order."""
    most = begin = 0
    for end, instant in enumerate(instants):
        while instants[begin] <= instant - seconds:
            begin += 1
        most = max(most, end - begin + 1)
    return most


def _round(folder: Path, url: str, token: str) -> list[float]:
    """Seconds from the server's being back until each watcher was, in order."""
    feed = feeds.start(folder / "before", url)
    try:
        feed.server.wait_until(lambda: listening(feed.tcp))
        command = [sys.executable, "-m", "benchmarks.feed_herd", feed.tcp, token, str(WATCHERS)]
        herd = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT)
        try:
            _wait_for(lambda: feed.counted("deskgate_feed_watchers") == WATCHERS)
            time.sleep(WELL_FOR)
            feed.server.stop(signal.SIGKILL)
            gone = time.monotonic()
            time.sleep(AWAY - (time.monotonic() - gone))
            feed = feeds.start(folder / "after", url, tcp=feed.tcp)
            feed.server.wait_until(lambda: listening(feed.tcp))
            at = time.time()
            _wait_for(lambda: len(_begun(feed.server.log)) >= WATCHERS)
            return sorted(each - at for each in _begun(feed.server.log))[:WATCHERS]
        finally:
            herd.kill()
            herd.wait()
    finally:
        feed.server.stop(signal.SIGKILL)


def _wait_for(there: object) -> None:
    until = time.monotonic() + PATIENCE
    while not there():  # type: ignore[operator]
        if time.monotonic() > until:
            raise RuntimeError(f"the watchers are not all there after {PATIENCE:g} s")
        time.sleep(0.5)


def _begun(log: Path) -> list[float]:
    """When watches began, in seconds since 1970."""
    lines = (json.loads(line) for line in log.read_text().splitlines() if BEGINS in line)
    return [datetime.fromisoformat(line["timestamp"]).timestamp() for line in lines]


def _herd(target: str, token: str, watchers: int) -> None:
    import threading

    os.sched_setaffinity(0, {CLIENT_CORE})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    threading.stack_size(STACK)
    where = FeedTarget(addresses=(parse_address(target),), token=token)
    for number in range(watchers):
        source = FeedSource(where, instance=f"w{number}", chance=Random())
        Follower(source, Sink()).start()
        time.sleep(0.005)
    sys.stdin.read()


if __name__ == "__main__":
    _herd(sys.argv[1], sys.argv[2], int(sys.argv[3]))
