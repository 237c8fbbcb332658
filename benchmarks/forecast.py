"""How long does the forecast of 30 days for 100,000 tenants take, from the start of the command to the whole file?

Beside it, in the same run, a process that reads every record once and does nothing with it: what a forecast cannot do
without. `python -m benchmarks.forecast STORE` is that process. The file cache is warm.
"""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import select

from benchmarks.figures import Figure, ratios
from benchmarks.ours import POLICIES
from benchmarks.processes import ROOT, SERVER_CORE
from benchmarks.setup import TENANTS, Setup
from benchmarks.unary import interleaved
from sidecar.records import decode
from sync.store import schema
from sync.store.bulk import seed_many
from sync.store.db import open_store

DAYS: Final = 30
CHUNK: Final = 500


class Spent(NamedTuple):
    """What a process took."""

    seconds: float
    peak_mb: float


def measure(setup: Setup) -> list[Figure]:
    """Seconds, memory, and the ratio to reading alone."""
    folder = setup.folder / "forecast"
    folder.mkdir()
    store, written = folder / "store.db", folder / "forecast.csv"
    seed_many(open_store(store, create=True), TENANTS, setup.now)
    command = [sys.executable, "-m", "sidecar", "forecast", "--store", str(store), "--policies", str(POLICIES)]
    command += ["--days", str(DAYS), "--format", "csv", "--output", str(written)]
    pairs = interleaved(
        setup.effort.pairs,
        lambda: _run(command),
        lambda: _run([sys.executable, "-m", "benchmarks.forecast", str(store)]),
    )
    ours, reading, loops = zip(*pairs, strict=True)
    with written.open(newline="") as file:
        told = sum(1 for _ in csv.DictReader(file))
    if not TENANTS // 100 < told < TENANTS:
        raise RuntimeError(f"{told} events were told of {TENANTS} tenants")
    note = f"{told:,} events of {TENANTS:,} tenants within {DAYS} days"
    seconds = tuple(spent.seconds for spent in ours)
    return [
        Figure(
            name=f"forecast.{TENANTS}", unit="s", values=seconds, calibration_ms=statistics.median(loops), note=note
        ),
        ratios("forecast.reading_ratio", seconds, [spent.seconds for spent in reading], "time, over reading alone"),
        Figure(name=f"forecast.peak.{TENANTS}", unit="MB", values=tuple(spent.peak_mb for spent in ours)),
    ]


def _run(command: Sequence[str]) -> Spent:
    """Runs a process on the servers' core to its end. Raises RuntimeError when it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Spent(time.perf_counter() - began, usage.ru_maxrss / 1024)


def _read(store: str) -> None:
    with open_store(Path(store)).reading() as conn:
        for chunk in conn.execute(select(schema.entitlement.c.record)).scalars().partitions(CHUNK):
            for record in chunk:
                decode(record)


if __name__ == "__main__":
    _read(sys.argv[1])
