"""Does a reload of the policies disturb the calls that are being answered meanwhile?

Runs with a reload every half second and runs without, by turns: no call may fail, and calls over 20 ms may be no more
frequent with than without. That reloads took place is read from the answers' policy revisions.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from benchmarks import ours
from benchmarks.asking import first_right
from benchmarks.figures import Figure
from benchmarks.loadgen import Job, Outcome, run
from benchmarks.processes import CLIENT_CORE
from benchmarks.setup import CHECK, Setup, ask_all, check_ours
from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.policy.load import load

SLOW: Final = 0.020
EVERY: Final = 0.5
IN_FLIGHT: Final = 4
SECONDS: Final = 4.0
PER: Final = 100_000


class Editor:
    """Edits a policy file at a steady pace, each time to a set that has not been there before, by atomic renames."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._original = path.read_text()
        self._stop = threading.Event()
        self.edits = 0

    def __enter__(self) -> Editor:
        self._stop.clear()
        self._thread = threading.Thread(target=self._edit)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _edit(self) -> None:
        while not self._stop.wait(EVERY):
            self.edits += 1
            beside = self._path.with_suffix(".new")
            beside.write_text(f"{self._original}\n# edit {self.edits}\n")
            beside.replace(self._path)


def measure(setup: Setup) -> list[Figure]:
    """Failed calls, and slow calls in 100,000 with and without reloads."""
    folder = setup.folder / "reload"
    policies = folder / "policies"
    policies.mkdir(parents=True)
    file = policies / ours.POLICIES.name
    file.write_bytes(ours.POLICIES.read_bytes())
    requests = [q.request for q in setup.asked]
    seconds = SECONDS if setup.effort.seconds >= 1 else 1.5
    editor = Editor(file)
    quiet: list[Outcome] = []
    disturbed: list[Outcome] = []
    with ours.running(folder, setup.store(), policies=policies) as sidecar:
        check_ours(setup.asked, dict(enumerate(ask_all(sidecar.tcp, CHECK, requests))))
        job = Job(
            target=sidecar.tcp,
            path=CHECK,
            bodies=requests,
            in_flight=IN_FLIGHT,
            seconds=seconds,
            core=CLIENT_CORE,
        )
        for _ in range(setup.effort.pairs):
            quiet.append(run(job))
            with editor:
                disturbed.append(run(job))
            _settled(sidecar.tcp, requests[0], policies)
    for outcome in (*quiet, *disturbed):
        check_ours(setup.asked, outcome.answers)
    return _figures(quiet, disturbed, editor.edits)


def _settled(target: str, request: bytes, policies: Path) -> None:
    """Waits until the last edit is in the answers, so that no run without reloads has one of the run before."""
    revision = load([policies]).revision
    first_right(target, request, lambda answer: answer.policy_revision == revision, seconds=10)


def _figures(quiet: list[Outcome], disturbed: list[Outcome], edits: int) -> list[Figure]:
    revisions = {pb.CheckResponse.FromString(a).policy_revision for o in disturbed for a in o.answers.values()}
    without, with_ = [[_slow_in(o) for o in side] for side in (quiet, disturbed)]
    unit = f"calls over {SLOW * 1000:g} ms in {PER:,}"
    return [
        Figure(name="reload.failed", unit="calls", values=(float(sum(o.failed for o in (*quiet, *disturbed))),)),
        Figure(name="reload.revisions_seen", unit="sets", values=(float(len(revisions)),), note=f"{edits} edits"),
        Figure(name="reload.slow.with", unit=unit, values=tuple(with_)),
        Figure(name="reload.slow.without", unit=unit, values=tuple(without)),
        Figure(
            name="reload.slow.excess",
            unit=unit,
            values=tuple(a - b for a, b in zip(with_, without, strict=True)),
            note="with less without, pair by pair",
        ),
        Figure(name="reload.calls", unit="calls", values=tuple(float(len(o.latencies)) for o in disturbed)),
    ]


def _slow_in(outcome: Outcome) -> float:
    return sum(latency > SLOW for latency in outcome.latencies) / len(outcome.latencies) * PER
