"""What does a check cost from request bytes to answer bytes, metrics counted, with no transport?

Warm: every question of the mix in turn, all of them distinct. First: each hot tenant's first question, its record still
bytes. A further run with data too old shows the one reason that a sidecar in touch with its store cannot give.

`python -m benchmarks.in_process JOB OUTCOME` is the measurement itself, in a process of its own on the server's core.
"""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.figures import Figure, percentile, repeated
from benchmarks.ours import POLICIES
from benchmarks.processes import SERVER_CORE
from benchmarks.setup import Setup, check_ours
from benchmarks.workload import Question, mix, questions
from benchmarks.world import cold_records, hot_tenants
from sidecar.core.model import Freshness
from sidecar.records import encode

if TYPE_CHECKING:
    from sidecar.serving.service import Service

MICROS: Final = 1e6
HOT_AMONG: Final = (1_000, 100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How often, and the instant around which the tenants are built."""

    repeats: int
    now: int


def measure(setup: Setup) -> list[Figure]:
    """Warm and first checks, with 1,000 tenants and with 100,000."""
    todo, done = setup.folder / "in-process.job", setup.folder / "in-process.outcome"
    todo.write_bytes(pickle.dumps(Job(repeats=setup.effort.repeats, now=setup.now)))
    command = [sys.executable, "-m", "benchmarks.in_process", str(todo), str(done)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise RuntimeError(finished.stderr.strip())
    return pickle.loads(done.read_bytes())  # type: ignore[no-any-return]


def service_of(records: Sequence[tuple[str, bytes]], freshness: Freshness = Freshness.LIVE) -> Service:
    """The service on these records and the shipped policies, with the machine's clock and no store behind it."""
    from sidecar.core.book import Book
    from sidecar.observe.metrics import Metrics
    from sidecar.policy.load import load
    from sidecar.serving.service import Service
    from sidecar.state.world import Worlds

    def refuse(adjustment: object) -> object:
        raise RuntimeError(f"there is no store for {adjustment}")

    worlds = Worlds(book=Book(load([POLICIES])), compiled_bound=10_000, on_invalid=_refuse_record)
    worlds.publish(store_id="bench", revision=1, snapshot=True, changes=records)
    return Service(
        worlds=worlds,
        now=lambda: time.time_ns() // 1000,
        freshness_of=lambda thresholds, now: freshness,
        metrics=Metrics(version="bench"),
        adjust=refuse,  # type: ignore[arg-type]
        max_waiting=64,
        instance="bench",
    )


def _refuse_record(tenant_id: str, problem: Exception) -> None:
    raise RuntimeError(f"{tenant_id}: {problem}")


def figures(job: Job) -> Iterator[Figure]:
    """The measurement."""
    hot = hot_tenants(job.now)
    asked = questions(hot, job.now)
    requests = [q.request for q in asked]
    few = [(h.record.tenant_id, encode(h.record)) for h in hot]
    many = few + [(r.tenant_id, encode(r)) for r in cold_records(HOT_AMONG[1] - HOT_AMONG[0])]
    for count, records in zip(HOT_AMONG, (few, many), strict=True):
        service = service_of(records)
        _check(service, asked)
        gc.collect()
        gc.freeze()
        note = f"{count:,} tenants held, {len(hot):,} asked about"
        yield repeated(f"in_process.warm.{count}", "us/check", job.repeats, lambda s=service: _warm(s, requests), note)
    yield from _first(job, few, asked)
    yield from _too_old(job, few)


def _check(service: Service, asked: Sequence[Question]) -> None:
    answers = (service.handle("Check", q.request, None, None) for q in asked)
    check_ours(asked, {i: answer.payload for i, answer in enumerate(answers)})


def _warm(service: Service, requests: Sequence[bytes]) -> float:
    handle = service.handle
    began = time.perf_counter()
    for request in requests:
        handle("Check", request, None, None)
    return (time.perf_counter() - began) / len(requests) * MICROS


def _first(job: Job, records: Sequence[tuple[str, bytes]], asked: Sequence[Question]) -> Iterator[Figure]:
    """Only tenants that exist and are asked about for the first time; each repeat begins with nothing compiled."""
    from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb

    firsts = {pb.CheckRequest.FromString(q.request).tenant_id: q.request for q in reversed(asked)}
    requests = [firsts[tenant] for tenant, _ in records if tenant in firsts]
    worst: list[float] = []

    def once() -> float:
        handle = service_of(records).handle
        gc.collect()
        taken = []
        for request in requests:
            began = time.perf_counter()
            handle("Check", request, None, None)
            taken.append((time.perf_counter() - began) * MICROS)
        worst.append(percentile(taken, 99))
        return sum(taken) / len(taken)

    yield repeated("in_process.first", "us/check", job.repeats, once, f"mean of {len(requests):,} tenants")
    yield Figure(name="in_process.first.p99", unit="us", values=tuple(worst))


def _too_old(job: Job, records: Sequence[tuple[str, bytes]]) -> Iterator[Figure]:
    asked = questions(hot_tenants(job.now), job.now, freshness="BLIND")
    service = service_of(records, Freshness.BLIND)
    _check(service, asked)
    requests = [q.request for q in asked]
    note = f"last contact over 24 h ago: DATA_TOO_OLD in {mix(asked)['DATA_TOO_OLD']:.0%}"
    yield repeated("in_process.warm.too_old", "us/check", job.repeats, lambda: _warm(service, requests), note)


def _main(todo: str, done: str) -> None:
    from benchmarks import in_process  # the module, not __main__: what is pickled must be found by others

    os.sched_setaffinity(0, {SERVER_CORE})
    job = pickle.loads(Path(todo).read_bytes())
    Path(done).write_bytes(pickle.dumps(list(in_process.figures(job))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
