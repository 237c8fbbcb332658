"""A sidecar killed at any moment while it is syncing: every restart loads a whole copy, equal to some revision that the
store had committed; a revision is on disk before it is published; and it never goes back.

`DESKGATE_SOAK=1` kills 50 times instead of 5.
"""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sidecar.state.copyfile import inspect
from sidecar.state.localcopy import LocalCopy
from tests.fakes import FakeStore
from tests.faults.following import state_at
from tests.serving import ROOT, wait_for

SOAK = os.environ.get("DESKGATE_SOAK") == "1"
KILLS = 50 if SOAK else 5
SHOWN = 10 if SOAK else 1
"""Kills that must be shown to have come in the middle of a transaction."""
PATIENCE = 30.0


@contextmanager
def process(*args: object) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.faults.following", *map(str, args)]
    started = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


class Victim:
    """The following process, heard line by line."""

    def __init__(self, running: subprocess.Popen[bytes]) -> None:
        assert running.stdout is not None
        self.running = running
        self.out = running.stdout.fileno()
        self.lines: list[list[str]] = []
        self._rest = b""

    def hear(self, seconds: float) -> None:
        """Takes in what it says within a time, until it says something or ends."""
        ready, _, _ = select.select([self.out], [], [], seconds)
        if ready:
            self._take(os.read(self.out, 65_536))

    def hear_of(self, *words: str) -> None:
        """Waits until it says one of these."""
        until, seen = time.monotonic() + PATIENCE, len(self.lines)
        while not any(line[0] in words for line in self.lines[seen:]):
            assert time.monotonic() < until, f"not heard of {words}: {self.lines[-5:]}"
            assert self.running.poll() is None, "it ended by itself"
            self.hear(0.1)

    def kill(self) -> None:
        """Kills it, and takes in all that it had said before."""
        self.running.send_signal(signal.SIGKILL)
        self.running.wait(PATIENCE)
        while chunk := os.read(self.out, 65_536):
            self._take(chunk)

    def said(self, word: str) -> list[list[str]]:
        return [line for line in self.lines if line[0] == word]

    @property
    def in_transaction(self) -> bool:
        """Whether the last it said of transactions is that one began: its end had not even been asked for."""
        marks = [line[0] for line in self.lines if line[0] in ("BEGIN", "COMMIT")]
        return bool(marks) and marks[-1] == "BEGIN"

    def _take(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self.lines += [line.decode().split() for line in lines]


def strike(victim: Victim, rng: random.Random, number: int) -> None:
    """Odd kills at any moment, even ones a little after a transaction has begun."""
    victim.hear_of("loaded")
    if number % 2:
        until = time.monotonic() + rng.uniform(0, 0.4)
        while (left := until - time.monotonic()) > 0:
            victim.hear(left)
    else:
        for _ in range(rng.randrange(1, 3)):
            victim.hear_of("BEGIN")
        time.sleep(rng.uniform(0, 0.005))
    victim.kill()


@pytest.mark.timeout(900)
def test_killed_while_syncing(tmp_path: Path) -> None:
    store = FakeStore(tmp_path / "store.db")
    state, rng = tmp_path / "state", random.Random(20_261_124)
    on_disk, shown, snapshots = 0, 0, 0
    with process("write", store.path, 0.03) as writer:
        wait_for(lambda: store.revision() > 3)
        for number in range(KILLS):
            if number % 3 == 1:
                store.prune(store.revision() + 1)  # what comes next must be everything
            with process("follow", store.path, state) as running:
                victim = Victim(running)
                strike(victim, rng, number)
            shown += victim.in_transaction
            snapshots += sum(line[3] == "1" for line in victim.said("published"))
            on_disk = judge(victim, state, on_disk, whole_before=number > 0 and on_disk > 0)
        assert writer.poll() is None
    told = f"{KILLS} kills, {shown} shown to be in a transaction, {snapshots} snapshots; at revision {on_disk}"
    print(told)  # noqa: T201
    assert shown >= SHOWN


def judge(victim: Victim, state: Path, before: int, *, whole_before: bool) -> int:
    """Holds one life of the victim, and what it left on disk, against what must be; returns the revision left."""
    ((_, whole, loaded, _),) = victim.said("loaded")
    assert (int(whole), int(loaded)) == (int(whole_before), before), "a restart did not load the whole copy"
    published = [int(line[1]) for line in victim.said("published")]
    assert published == sorted(published), "what is served went back"
    assert all(int(line[2]) >= int(line[1]) for line in victim.said("published")), "served before it was on disk"
    assert not list(state.glob("*.aside-*")), "the copy was not whole"
    copy = LocalCopy(state / "entitlements.db")
    assert copy.open() is None
    assert (copy.position.revision if copy.position else 0) >= max([before, *published])
    left = copy.position.revision if copy.position else 0
    assert dict(copy.rows()) == state_at(left), f"what is on disk is not revision {left} of the store"
    copy.close()
    assert inspect(copy.path)["structure"] == ["ok"]
    return left
