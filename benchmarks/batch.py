"""How many decisions a second in batches of 50, against the peer's 50 resources a call?"""

from __future__ import annotations

from typing import Final

from benchmarks import ours, peer
from benchmarks.figures import Figure
from benchmarks.loadgen import Job, Outcome, run
from benchmarks.processes import CLIENT_CORE
from benchmarks.setup import (
    BATCH,
    CHECK_BATCH,
    Setup,
    ask_all,
    check_our_batches,
    check_outcome,
    check_theirs,
    chunks,
)
from benchmarks.unary import compare, interleaved
from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb

IN_FLIGHT: Final = (1, 4)


def measure(setup: Setup) -> list[Figure]:
    """Ratios and absolute figures over TCP."""
    batches = chunks(setup.asked)
    requests = [
        b"".join(pb.CheckBatchRequest(items=[pb.CheckRequest.FromString(q.request)]).SerializeToString() for q in batch)
        for batch in batches
    ]
    theirs = [peer.encode(batch) for batch in batches]
    folder = setup.folder / "batch"
    figures: list[Figure] = [
        Figure(name=f"batch.bytes.{who}", unit="B/request", values=(sum(map(len, bodies)) / len(bodies),))
        for who, bodies in (("ours", requests), ("peer", theirs))
    ]
    with ours.running(folder, setup.store()) as sidecar, peer.running(folder, unix=False) as (target, _):
        check_our_batches(batches, dict(enumerate(ask_all(sidecar.tcp, CHECK_BATCH, requests))))
        check_theirs(batches, dict(enumerate(ask_all(target, peer.PATH, theirs))))

        def one(target: str, path: str, bodies: list[bytes], in_flight: int, check: object) -> Outcome:
            job = Job(
                target=target,
                path=path,
                bodies=bodies,
                in_flight=in_flight,
                seconds=setup.effort.seconds,
                core=CLIENT_CORE,
            )
            return check_outcome(run(job), check, batches)

        for in_flight in IN_FLIGHT:
            pairs = interleaved(
                setup.effort.pairs,
                lambda k=in_flight: one(sidecar.tcp, CHECK_BATCH, requests, k, check_our_batches),
                lambda k=in_flight: one(target, peer.PATH, theirs, k, check_theirs),
            )
            figures.extend(compare(f"batch.{in_flight}", pairs, BATCH))
    return figures
