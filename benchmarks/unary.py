"""How many unary checks a second, and how fast each, against the peer in the same run?

Ten interleaved pairs for each transport and number in flight; every answer of both is compared with the one due before
the clock runs, and again those of the timed runs afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from benchmarks import ours, peer
from benchmarks.figures import Figure, calibrate, percentile, ratios
from benchmarks.loadgen import Job, Outcome, run
from benchmarks.processes import CLIENT_CORE, responder
from benchmarks.setup import CHECK, Setup, ask_all, check_ours, check_outcome, check_theirs
from benchmarks.workload import questions

IN_FLIGHT: Final = (1, 16, 64)
MICROS: Final = 1e6


def measure(setup: Setup) -> list[Figure]:
    """Ratios and absolute figures, over TCP and over a Unix socket."""
    return [figure for unix in (False, True) for figure in _transport(setup, unix=unix)]


def _transport(setup: Setup, *, unix: bool) -> Iterator[Figure]:
    name = "unix" if unix else "tcp"
    asked, singles = setup.asked, [[question] for question in setup.asked]
    requests, theirs = [q.request for q in asked], [peer.encode(one) for one in singles]
    folder = setup.folder / f"unary-{name}"
    with ours.running(folder, setup.store()) as sidecar, peer.running(folder, unix=unix) as (target, _):
        check_ours(asked, dict(enumerate(ask_all(sidecar.target(unix=unix), CHECK, requests))))
        check_theirs(singles, dict(enumerate(ask_all(target, peer.PATH, theirs))))
        if not unix:
            _agree_on_old_data(setup, target)
            yield _size("unary.bytes.ours", requests)
            yield _size("unary.bytes.peer", theirs)
        fastest: dict[int, float] = {}
        for in_flight in IN_FLIGHT:
            pairs = interleaved(
                setup.effort.pairs,
                lambda k=in_flight: _run(setup, sidecar.target(unix=unix), CHECK, requests, k, check_ours, asked),
                lambda k=in_flight: _run(setup, target, peer.PATH, theirs, k, check_theirs, singles),
            )
            yield from compare(f"unary.{name}.{in_flight}", pairs)
            fastest[in_flight] = max(o.calls_per_second for pair in pairs for o in pair[:2])
    yield from _ceiling(setup, name, requests, fastest, unix=unix)


def _agree_on_old_data(setup: Setup, target: str) -> None:
    """The peer's effects on data too old: a sidecar in touch with its store cannot say so."""
    asked = [[question] for question in questions(setup.hot, setup.now, freshness="BLIND")]
    check_theirs(asked, dict(enumerate(ask_all(target, peer.PATH, [peer.encode(one) for one in asked]))))


def _run(
    setup: Setup, target: str, path: str, bodies: list[bytes], in_flight: int, check: object, asked: object
) -> Outcome:
    seconds = setup.effort.seconds
    job = Job(target=target, path=path, bodies=bodies, in_flight=in_flight, seconds=seconds, core=CLIENT_CORE)
    return check_outcome(run(job), check, asked)


T = TypeVar("T")
Pair = tuple[Outcome, Outcome, float]
"""Ours, theirs, and the calibration loop's milliseconds."""


def interleaved(pairs: int, ours_: Callable[[], T], theirs: Callable[[], T]) -> list[tuple[T, T, float]]:
    """Both by turns, each first as often as the other, so that a slow stretch of the machine falls on both."""
    done: list[tuple[T, T, float]] = []
    for number in range(pairs):
        loop = calibrate()
        if number % 2:
            second, first = theirs(), ours_()
        else:
            first, second = ours_(), theirs()
        done.append((first, second, loop))
    return done


def compare(name: str, pairs: list[Pair], per_call: int = 1) -> Iterator[Figure]:
    """Ratios of rate, p50 and p99, and our own absolute figures and theirs."""
    mine, theirs = [p[0] for p in pairs], [p[1] for p in pairs]
    loop = percentile([p[2] for p in pairs], 50)
    rate = [[o.calls_per_second * per_call for o in side] for side in (mine, theirs)]
    unit = "checks/s"
    yield ratios(f"{name}.rate_ratio", *rate)
    for percent in (50, 99):
        both = [[percentile(o.latencies, percent) * MICROS for o in side] for side in (mine, theirs)]
        yield ratios(f"{name}.p{percent}_ratio", *both)
        for who, values in zip(("ours", "peer"), both, strict=True):
            yield Figure(name=f"{name}.p{percent}.{who}", unit="us", values=tuple(values), calibration_ms=loop)
    for who, rates in zip(("ours", "peer"), rate, strict=True):
        yield Figure(name=f"{name}.rate.{who}", unit=unit, values=tuple(rates), calibration_ms=loop)


def _ceiling(
    setup: Setup, name: str, bodies: list[bytes], fastest: dict[int, float], *, unix: bool
) -> Iterator[Figure]:
    with responder(setup.folder, unix=unix) as target:
        for in_flight, rate in fastest.items():
            job = Job(
                target=target,
                path=CHECK,
                bodies=bodies,
                in_flight=in_flight,
                seconds=setup.effort.seconds,
                core=CLIENT_CORE,
            )
            reached = [run(job).calls_per_second / rate for _ in range(setup.effort.pairs)]
            yield Figure(
                name=f"unary.{name}.{in_flight}.generator_ratio",
                unit="x",
                values=tuple(reached),
                note="what the generator reaches against a server that does nothing, over the fastest run measured",
            )


def _size(name: str, bodies: list[bytes]) -> Figure:
    return Figure(name=name, unit="B/request", values=(sum(map(len, bodies)) / len(bodies),))
