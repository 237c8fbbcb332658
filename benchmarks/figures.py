"""Figures: what was measured, how it is written down, and the thresholds it is held against."""

from __future__ import annotations

import json
import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.processes import SERVER_CORE

THRESHOLDS: Final = Path(__file__).parent / "thresholds.json"
LOOPS: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Something measured several times; absolute figures have the fixed loop's time, measured then, beside them."""

    name: str
    unit: str
    values: tuple[float, ...]
    calibration_ms: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        """The middle value: the one that thresholds are about."""
        return statistics.median(self.values)

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "low": min(self.values),
            "high": max(self.values),
            "values": list(self.values),
            "calibration_ms": self.calibration_ms,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A limit on a figure's median."""

    at_least: float | None = None
    at_most: float | None = None

    def holds(self, value: float) -> bool:
        """Whether a median is within it."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


def thresholds(path: Path = THRESHOLDS) -> dict[str, Threshold]:
    """The thresholds by figure. Raises TypeError or ValueError when the file is not well formed."""
    return {name: Threshold(**limits) for name, limits in json.loads(path.read_text()).items()}


def calibrate() -> float:
    """Milliseconds that a fixed loop takes now on the servers' core: dictionary and integer work, as in a check."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        return _loop()
    finally:
        os.sched_setaffinity(0, cores)


def _loop() -> float:
    table = {n: n for n in range(64)}
    total = 0
    began = time.perf_counter()
    for n in range(LOOPS):
        total += table[n & 63]
    return (time.perf_counter() - began) * 1000


def repeated(name: str, unit: str, times: int, measure: Callable[[], float], note: str = "") -> Figure:
    """An absolute figure, measured `times` times with the calibration loop before each."""
    loops, values = [], []
    for _ in range(times):
        loops.append(calibrate())
        values.append(measure())
    return Figure(name=name, unit=unit, values=tuple(values), calibration_ms=statistics.median(loops), note=note)


def ratios(name: str, ours: Sequence[float], theirs: Sequence[float], note: str = "") -> Figure:
    """Ours over theirs, pair by pair."""
    return Figure(name=name, unit="x", values=tuple(a / b for a, b in zip(ours, theirs, strict=True)), note=note)


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that at least `percent` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
