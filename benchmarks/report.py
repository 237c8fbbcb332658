"""Figures as a table for people and as JSON for machines, held against the thresholds."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Threshold

RESULTS: Final = Path(__file__).parent / "results"


def show(question: str, figures: Sequence[Figure], limits: dict[str, Threshold], console: Console) -> list[str]:
    """Prints a question's figures; returns the names of those that miss their threshold."""
    table = Table(title=question, title_justify="left", title_style="bold")
    for heading in ("figure", "median", "low", "high", "unit", "loop ms", "limit", ""):
        right = heading in ("median", "low", "high", "loop ms")
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading == "figure")
    missed = []
    for figure in figures:
        limit = limits.get(figure.name)
        held = limit is None or limit.holds(figure.median)
        if not held:
            missed.append(figure.name)
        loop = "" if figure.calibration_ms is None else f"{figure.calibration_ms:.1f}"
        verdict = "" if limit is None else "[green]holds[/]" if held else "[red]missed[/]"
        numbers = [_number(n) for n in (figure.median, min(figure.values), max(figure.values))]
        table.add_row(figure.name, *numbers, figure.unit, loop, str(limit or ""), verdict)
    console.print(table)
    return missed


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def write(question: str, figures: Sequence[Figure], *, effort: str, folder: Path = RESULTS) -> Path:
    """Writes a question's figures, and what they were measured on."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{question}.json"
    document = {
        "question": question,
        "effort": effort,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "kernel": platform.release()},
        "figures": [figure.to_json() for figure in figures],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
