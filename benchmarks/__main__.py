"""`python -m benchmarks [QUESTION...] [--quick]`: measures, prints tables, writes JSON; 1: a limit is missed."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import report
from benchmarks.figures import thresholds
from benchmarks.setup import FULL, QUICK, Setup

QUESTIONS: Final = (
    "unary",
    "batch",
    "in_process",
    "memory",
    "restart",
    "change_to_answer",
    "reload_under_load",
    "importing",
    "forecast",
)
QUIET: Final = 1.2
"""By how much the fixed loop may vary over a run whose absolute figures mean something."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 when every threshold holds, 1 when one is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures what deskgate costs.")
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=f"of {', '.join(QUESTIONS)}; none: all")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, to see that all is well")
    options = parser.parse_args(arguments)
    unknown = set(options.questions) - set(QUESTIONS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    console, limits = Console(), thresholds()
    missed: list[str] = []
    loops: list[float] = []
    with tempfile.TemporaryDirectory(prefix="deskgate-bench-") as folder:
        setup = Setup(Path(folder), QUICK if options.quick else FULL)
        for name in options.questions or QUESTIONS:
            question = importlib.import_module(f"benchmarks.{name}")
            console.print(f"measuring {name} ...", style="dim")
            figures = question.measure(setup)
            loops += [f.calibration_ms for f in figures if f.calibration_ms is not None]
            missed += report.show(question.__doc__.partition("\n")[0], figures, limits, console)
            report.write(name, figures, effort="quick" if options.quick else "full")
    if len(loops) > 1 and max(loops) > QUIET * min(loops):
        console.print(
            f"[yellow]the machine was not quiet[/]: the fixed loop took {min(loops):.1f} to {max(loops):.1f} ms"
        )
    for name in missed:
        console.print(f"[red]missed[/] {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
