"""How soon after its process starts does a sidecar with 100,000 tenants answer, from its local copy, the store gone?

The file cache is warm. Every repeat asks another question of the mix and takes its first right answer.
"""

from __future__ import annotations

import os

from benchmarks import ours
from benchmarks.asking import first_right
from benchmarks.figures import Figure, repeated
from benchmarks.processes import CLIENT_CORE
from benchmarks.setup import TENANTS, Setup

ASKED_FOR = "OVER_QUOTA"
"""The question asked is one that only a tenant's own record can answer so."""


def measure(setup: Setup) -> list[Figure]:
    """Seconds from the start of the process."""
    folder = setup.folder / "restart"
    state = folder / "state"
    with ours.running(folder, setup.store(TENANTS), state=state):
        pass
    asked = iter([q for q in setup.asked if q.reason == ASKED_FOR])

    def once() -> float:
        question = next(asked)
        sidecar = ours.start(folder, folder / "gone.db", state=state)
        try:
            due = question.reason
            return first_right(sidecar.tcp, question.request, lambda a: a.reason == due) - sidecar.server.started_at
        finally:
            sidecar.server.stop()

    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {CLIENT_CORE})
    try:
        return [repeated("restart.first_answer", "s", setup.effort.repeats, once, f"{TENANTS:,} tenants")]
    finally:
        os.sched_setaffinity(0, cores)
