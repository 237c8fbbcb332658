"""`python -m benchmarks [QUESTION|GROUP...] [--quick]`: measures, prints tables, writes JSON; 1: a limit is missed."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from benchmarks import report
from benchmarks.figures import thresholds
from benchmarks.setup import FULL, QUICK, Setup

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "sidecar": ("unary", "batch", "in_process", "memory", "restart", "change_to_answer", "reload_under_load"),
    "back_office": ("importing", "forecast"),
    "feed": ("feed_latency", "feed_capacity", "feed_snapshot", "feed_herd", "feed_standby", "store_postgresql"),
}
QUESTIONS: Final = tuple(question for group in GROUPS.values() for question in group)
QUIET: Final = 1.2
"""By how much the fixed loop may vary over a run whose absolute figures mean something."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 when every threshold holds, 1 when one is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures what deskgate costs.")
    parser.add_argument(
        "questions",
        nargs="*",
        metavar="QUESTION",
        help=f"of {', '.join(QUESTIONS)}; or a group of them: {', '.join(GROUPS)}; none: all",
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, to see that all is well")
    options = parser.parse_args(arguments)
    unknown = set(options.questions) - set(QUESTIONS) - set(GROUPS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    console, limits = Console(), thresholds()
    missed: list[str] = []
    loops: list[float] = []
    with tempfile.TemporaryDirectory(prefix="deskgate-bench-") as folder:
        setup = Setup(Path(folder), QUICK if options.quick else FULL)
        for name in asked(options.questions):
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


def asked(names: Sequence[str]) -> tuple[str, ...]:
    """The questions meant by questions and groups, each once; by none of them: all."""
    meant = [question for name in names for question in GROUPS.get(name, (name,))]
    return tuple(dict.fromkeys(meant or QUESTIONS))


if __name__ == "__main__":
    sys.exit(main())
