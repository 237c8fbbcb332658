"""A process that asks a sidecar at a steady, modest rate, one question at a time, and notes how long each answer took.

`python -m benchmarks.pacing JOB OUTCOME` is the process: it says "ready" when the first answer has come, and ends when
its input does. It spins while it waits for an answer, and sleeps in between.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import subprocess
import sys
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import loadgen
from benchmarks.loadgen import Loop
from benchmarks.processes import CLIENT_CORE, ROOT
from benchmarks.setup import CHECK
from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb

FIRST: Final = 200
"""Questions asked before anything is noted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to ask, and how many seconds apart."""

    target: str
    bodies: Sequence[bytes]
    every: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of each answered question: when it was asked, by perf_counter, and the seconds until its answer."""

    asked: array[float]
    took: array[float]
    revisions: array[int]
    """Of the store, that each answer rested on."""
    failed: int

    def reached(self, revision: int) -> float:
        """When an answer first rested on a revision. Raises RuntimeError when none did."""
        for asked, took, at in zip(self.asked, self.took, self.revisions, strict=True):
            if at >= revision:
                return asked + took
        raise RuntimeError(f"no answer ever rested on revision {revision}")

    def within(self, since: float, until: float) -> list[float]:
        """The seconds of those asked in a stretch."""
        return [took for asked, took in zip(self.asked, self.took, strict=True) if since <= asked < until]


class Pacing:
    """The process, which asks until `finish`."""

    def __init__(self, folder: Path, job: Job) -> None:
        self._job, self._outcome = folder / "pace.job", folder / "pace.outcome"
        self._job.write_bytes(pickle.dumps(job))
        command = [sys.executable, "-m", "benchmarks.pacing", str(self._job), str(self._outcome)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "ready":
            self.stop()
            raise RuntimeError(f"the asker ended with {self._process.returncode}")

    def finish(self) -> Outcome:
        """Ends it; what was noted. Raises RuntimeError when it failed."""
        self._process.communicate(timeout=60)
        if self._process.returncode:
            raise RuntimeError(f"the asker ended with {self._process.returncode}")
        return pickle.loads(self._outcome.read_bytes())  # type: ignore[no-any-return]

    def stop(self) -> None:
        """Ends it, whatever it does."""
        self._process.kill()
        self._process.wait()


def _pace(job: Job) -> Outcome:
    loop = Loop(loadgen.Job(target=job.target, path=CHECK, bodies=job.bodies, in_flight=1, seconds=0, core=CLIENT_CORE))
    for _ in range(FIRST):
        loop.run_one()
    loop.reset()
    print("ready", flush=True)
    asked: array[float] = array("d")
    answers: list[bytes] = []
    told = select.poll()
    told.register(sys.stdin.fileno(), select.POLLIN | select.POLLHUP)
    due = time.perf_counter()
    while not told.poll(0):
        time.sleep(max(0.0, due - time.perf_counter()))
        due = max(due + job.every, time.perf_counter())
        answered = len(loop.latencies)
        now = time.perf_counter()
        loop.run_one()
        if len(loop.latencies) > answered:
            asked.append(now)
            answers.append(loop.answers[loop.indices[-1]])
    revisions = array("l", (pb.CheckResponse.FromString(answer[5:]).entitlement_revision for answer in answers))
    return Outcome(asked=asked, took=loop.latencies, revisions=revisions, failed=loop.failed)


def _main(todo: str, done: str) -> None:
    from benchmarks import pacing  # the module, not __main__, so that the outcome can be read where it was asked for

    os.sched_setaffinity(0, {CLIENT_CORE})
    gc.disable()
    Path(done).write_bytes(pickle.dumps(pacing._pace(pickle.loads(Path(todo).read_bytes()))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
