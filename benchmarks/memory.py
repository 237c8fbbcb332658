"""What do 100,000 tenants cost: in memory, and per check against 1,000, the same 1,000 being asked about?"""

from __future__ import annotations

from benchmarks import ours
from benchmarks.figures import Figure, ratios
from benchmarks.loadgen import Job, Outcome, run
from benchmarks.processes import CLIENT_CORE
from benchmarks.setup import CHECK, TENANTS, Setup, ask_all, check_ours, check_outcome
from benchmarks.unary import interleaved
from benchmarks.world import HOT

IN_FLIGHT = 16


def measure(setup: Setup) -> list[Figure]:
    """Resident memory after every question was asked, and the ratio of rates."""
    requests = [q.request for q in setup.asked]
    few_at, many_at = setup.folder / "memory-few", setup.folder / "memory-many"
    with (
        ours.running(few_at, setup.store(HOT)) as few,
        ours.running(many_at, setup.store(TENANTS)) as many,
    ):
        for sidecar in (few, many):
            check_ours(setup.asked, dict(enumerate(ask_all(sidecar.tcp, CHECK, requests))))

        def one(sidecar: ours.Sidecar) -> Outcome:
            job = Job(
                target=sidecar.tcp,
                path=CHECK,
                bodies=requests,
                in_flight=IN_FLIGHT,
                seconds=setup.effort.seconds,
                core=CLIENT_CORE,
            )
            return check_outcome(run(job), check_ours, setup.asked)

        pairs = interleaved(setup.effort.pairs, lambda: one(many), lambda: one(few))
        rates = [[pair[side].calls_per_second for pair in pairs] for side in (0, 1)]
        return [
            ratios("memory.cost_ratio", rates[1], rates[0], f"cost per check, {TENANTS:,} tenants over {HOT:,}"),
            Figure(name=f"memory.resident.{TENANTS}", unit="MB", values=(many.server.resident_mb(),)),
            Figure(name=f"memory.peak.{TENANTS}", unit="MB", values=(many.server.peak_mb(),)),
            Figure(name=f"memory.resident.{HOT}", unit="MB", values=(few.server.resident_mb(),)),
        ]
