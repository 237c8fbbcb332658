"""A process that states usage in a store, at a steady pace or as fast as it can, and notes when each commit was made.

`python -m benchmarks.committing URL TENANTS COUNT RATE SECONDS` is the process. Statement n is of tenant n modulo
TENANTS.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.databases import KEY, LIMIT, changing_tenant
from benchmarks.processes import CLIENT_CORE, ROOT
from sync.store.db import open_store
from sync.store.usage import Absolute, adjust_usage

STATES: Final = 2
"""A tenant is by turns at its limit or beyond it, and below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A statement's revision, and instants by perf_counter: just before COMMIT was sent, and when the call returned."""

    revision: int
    before: float
    after: float


def full(number: int, tenants: int) -> bool:
    """Whether statement `number` takes its tenant to its limit or beyond."""
    return number // tenants % STATES == 0


def units(number: int, tenants: int, writer: int) -> int:
    """What statement `number` of a writer says there is: no other writer's would say the same, and change nothing."""
    apart = writer % (LIMIT // 2)
    return LIMIT + apart if full(number, tenants) else LIMIT - 1 - apart


class Committing:
    """The process, which has begun. It waits for `go`."""

    def __init__(
        self, url: str, *, tenants: int, count: int = sys.maxsize, rate: float = 0.0, seconds: float = math.inf
    ) -> None:
        """`count` statements, `rate` a second (0: as fast as it can), for `seconds` at most."""
        command = [sys.executable, "-m", "benchmarks.committing", url, *map(str, (tenants, count, rate, seconds))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "ready":
            self.stop()
            raise RuntimeError(f"the writer ended with {self._process.returncode}")

    def go(self) -> None:
        """Lets it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def finish(self) -> list[Commit]:
        """Waits for its end; what it committed, in order."""
        out, _ = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"the writer ended with {self._process.returncode}")
        return [Commit(revision=r, before=b, after=a) for r, b, a in json.loads(out)]

    def stop(self) -> None:
        """Ends it, whatever it does."""
        self._process.kill()
        self._process.wait()


def commit_all(url: str, *, tenants: int, count: int, rate: float) -> list[Commit]:
    """States usage `count` times, `rate` times a second, in a process of its own."""
    writer = Committing(url, tenants=tenants, count=count, rate=rate)
    writer.go()
    return writer.finish()


def _main(url: str, tenants: int, count: int, rate: float, seconds: float) -> None:
    from sqlalchemy import Engine, event

    os.sched_setaffinity(0, {CLIENT_CORE})
    store, before = open_store(url), [0.0]

    def committing(_: Any) -> None:
        before[0] = time.perf_counter()

    event.listen(Engine, "commit", committing)
    print("ready", flush=True)
    sys.stdin.readline()
    done, due = [], time.perf_counter()
    until = due + seconds
    for number in range(count):
        if time.perf_counter() >= until:
            break
        if rate:
            time.sleep(max(0.0, due - time.perf_counter()))
            due += 1 / rate
        change = Absolute(units=units(number, tenants, os.getpid()))
        now, tenant = time.time_ns() // 1000, changing_tenant(number % tenants)
        made = adjust_usage(store, tenant, KEY, change, idempotency_key=uuid.uuid4().hex, now=now)
        done.append((made.revision, before[0], time.perf_counter()))
    print(json.dumps(done))


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
