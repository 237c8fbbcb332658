"""The processes of the kill test: one that commits to a store, one that follows it and is killed.

Both know by arithmetic what a store of this history holds at any revision, so that what is found can be judged.
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from sidecar.state.applier import Applier
from sidecar.state.clock import Clock
from sidecar.state.clockfile import ClockFile
from sidecar.state.clockkeeper import ClockKeeper
from sidecar.state.copyfile import read_stamp
from sidecar.state.directory import StateDirectory
from sidecar.state.localcopy import LocalCopy
from sync.follower import Follower
from sync.opening import open_source
from tests.fakes import FakeStore, commit, record

TENANTS = 4_000
PUT = 1_200
TAKEN = 50


def altered(revision: int) -> tuple[list[str], list[str]]:
    """The tenants that a revision of the history writes, and those it takes away."""
    rng = random.Random(revision)
    chosen = [f"t{n}" for n in rng.sample(range(TENANTS), PUT + TAKEN)]
    return chosen[:PUT], chosen[PUT:]


def states(upto: int) -> Iterable[dict[str, int]]:
    """What the store holds at revisions 0 to `upto`: tenant to the revision of its record."""
    held: dict[str, int] = {}
    yield dict(held)
    for revision in range(1, upto + 1):
        put, taken = altered(revision)
        held.update(dict.fromkeys(put, revision))
        for tenant_id in taken:
            held.pop(tenant_id, None)
        yield dict(held)


def state_at(revision: int) -> dict[str, bytes]:
    """The records that the store holds at a revision."""
    *_, held = states(revision)
    return {tenant_id: record(tenant_id, written) for tenant_id, written in held.items()}


def write(path: Path, pause: float) -> None:
    """Commits revision after revision, until its standard input ends."""
    done = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
    with closing(FakeStore.connect_to(path)) as conn:
        (revision,) = conn.execute("SELECT revision FROM store").fetchone()
        while not done.wait(pause):
            revision += 1
            assert commit(conn, *altered(revision), {}) == revision


class Told(LocalCopy):
    """A local copy that says when its transactions begin and when they are about to end."""

    def _connect(self) -> None:
        super()._connect()
        assert self._conn is not None
        self._conn.set_trace_callback(lambda sql: say(sql.split()[0]) if sql.startswith(("BEGIN", "COMMIT")) else None)


def say(what: str) -> None:
    """One line to whoever kills: a single write, so it is said wholly or not at all."""
    os.write(1, f"{what} {time.monotonic_ns()}\n".encode())


def follow(store: Path, state: Path) -> None:
    """Follows until it is killed; says each revision it loaded or published, and what was on disk just then."""
    directory = StateDirectory(state)
    clock = Clock(ClockFile(directory.clock))
    ClockKeeper(clock, state).start()

    def publish(*, store_id: str, revision: int, snapshot: bool, changes: Iterable[tuple[str, bytes | None]]) -> None:
        count = sum(1 for _ in changes)
        with closing(sqlite3.connect(f"file:{directory.copy}?mode=ro", uri=True)) as other:
            stamp = read_stamp(other, directory.copy)
        assert stamp is not None
        say(f"published {revision} {stamp.revision} {int(snapshot)} {count}")

    applier = Applier(copy=Told(directory.copy), clock=clock, publish=publish)
    say(f"loaded {int(applier.load())} {applier.revision}")
    follower = Follower(open_source(f"sqlite:///{store}"), applier)
    follower.start()
    follower.join()


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(Path(sys.argv[2]), float(sys.argv[3]))
    else:
        follow(Path(sys.argv[2]), Path(sys.argv[3]))
