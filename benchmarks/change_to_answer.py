"""How soon after another process has committed a change is it in the answers, with an embedded store?

The other process states usage through the store's own interface, by turns at the limit and one below it, and notes the
instant at which its commit had returned. `python -m benchmarks.change_to_answer STORE TIMES` is that process.
"""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks import ours
from benchmarks.asking import Asker
from benchmarks.figures import Figure, calibrate, percentile
from benchmarks.setup import TENANTS, Setup
from benchmarks.world import SPACES, write_store
from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.core.model import Period
from sync.store.audit import By
from sync.store.catalogue import create_product
from sync.store.db import open_store
from sync.store.orders import place_order
from sync.store.placing import Kind
from sync.store.products import Product, TemplateEntry
from sync.store.tenants import create_tenant
from sync.store.terms import Term
from sync.store.usage import Absolute, adjust_usage

TENANT: Final = "changing"
LIMIT: Final = 10
MILLIS: Final = 1000
CHANGES_A_REPEAT: Final = 5


def measure(setup: Setup) -> list[Figure]:
    """Milliseconds from commit to answer."""
    folder = setup.folder / "change"
    folder.mkdir()
    store = folder / "store.db"
    _make(store, setup.now)
    times = setup.effort.repeats * CHANGES_A_REPEAT
    request = pb.CheckRequest(tenant_id=TENANT, action="space.create", resource=pb.Resource(kind=SPACES[0]))
    loop = calibrate()
    with ours.running(folder, store) as sidecar:
        asker = Asker(sidecar.tcp, request.SerializeToString())
        delays = tuple(_delays(asker, store, times))
        asker.close()
    note = f"{times} commits by another process"
    return [
        Figure(name="change.to_answer", unit="ms", values=delays, calibration_ms=loop, note=note),
        Figure(name="change.to_answer.p99", unit="ms", values=(percentile(delays, 99),), calibration_ms=loop),
    ]


def _delays(asker: Asker, store: Path, times: int) -> Iterator[float]:
    command = [sys.executable, "-m", "benchmarks.change_to_answer", str(store), str(times)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        for number in range(times):
            full = number % 2 == 0
            writer.stdin.write("go\n")
            seen = _until(asker, "QUOTA_REACHED" if full else "")
            yield (seen - float(writer.stdout.readline())) * MILLIS
        writer.stdin.close()


def _until(asker: Asker, reason: str) -> float:
    deadline = time.perf_counter() + 30
    while time.perf_counter() < deadline:
        answer = asker.ask()
        if answer is not None and answer.reason == reason:
            return time.perf_counter()
    raise RuntimeError(f"a change that makes the reason {reason!r} was not seen within 30 s")


def _make(path: Path, now: int) -> None:
    """A full store, and in it one tenant that bought LIMIT desks through the back office's own interface."""
    write_store(path, now, TENANTS)
    product = Product(
        id="desks", license_template=(TemplateEntry(name=SPACES[0], amount=1, amount_calculation="per_qty"),)
    )
    store = open_store(path)
    with store.writing(By(operator="benchmark", at=time.time_ns() // 1000)) as writing:
        create_product(writing, product, now=now)
        create_tenant(writing, TENANT, now=now)
        place_order(writing, TENANT, Kind.NEW, {product.id: LIMIT}, now=now, term=Term(length=Period(months=12)))


def _write(path: Path, times: int) -> None:
    store = open_store(path)
    for number in range(times):
        sys.stdin.readline()
        units = Absolute(units=LIMIT - number % 2)
        now = time.time_ns() // 1000
        adjust_usage(store, TENANT, SPACES[0], units, idempotency_key=uuid.uuid4().hex, now=now)
        print(time.perf_counter(), flush=True)


if __name__ == "__main__":
    _write(Path(sys.argv[1]), int(sys.argv[2]))
