"""`deskgate import`: tenants, usage and orders from CSV. Cut off, it is simply run again."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from sidecar.cli.backoffice.common import DEFAULT_STORE, AsJson, At, StorePath, answer, app_of, now_or, told
from sidecar.core.errors import InvalidRequest
from sync.backoffice.auth import at_this_machine
from sync.store.db import open_store
from sync.store.names import checked_name
from sync.transfer.importing import Import, Kind, Step, Summary
from sync.transfer.items import KEY, Item
from sync.transfer.kinds import KINDS
from sync.transfer.modes import STDIN, Files, Mode, run
from sync.transfer.report import Outcome, Told

app = app_of("import", "Import from CSV: good rows are taken, bad ones told by their line.")

PATIENCE: Final = 60.0
"""Seconds that a batch waits for another writer."""
SHOWN: Final = 20
"""Bad rows that are told on standard error."""
EVERY: Final = 10_000
"""Rows between two lines of progress."""
COLLECT_AFTER: Final = (50_000, 20, 20)
"""A batch makes many objects and lets them all go: looking for cycles meanwhile would be a tenth of the time."""

File = Annotated[str, typer.Argument(metavar="FILE", help="CSV in UTF-8 with a header line; - is standard input.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would come of it; nothing is changed.")]
AllOrNothing = Annotated[bool, typer.Option("--all-or-nothing", help="Take nothing if one row is bad.")]
ReportTo = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="CSV: what became of every row, and why.")
]
RejectsTo = Annotated[
    Path | None, typer.Option("--rejects", metavar="FILE", help="CSV: the bad rows, to be mended and imported again.")
]
Run = Annotated[
    str | None,
    typer.Option("--run", metavar="NAME", help="Names this import: rows that were imported under another are others."),
]
Operator = Annotated[
    str | None, typer.Option("--operator", envvar="DESKGATE_OPERATOR", help="Who you are; default: your login.")
]


def _command(kind: Kind) -> Callable[..., None]:
    def command(
        file: File,
        dry_run: DryRun = False,
        all_or_nothing: AllOrNothing = False,
        report: ReportTo = None,
        rejects: RejectsTo = None,
        run_name: Run = None,
        operator: Operator = None,
        store: StorePath = DEFAULT_STORE,
        at: At = None,
        as_json: AsJson = False,
    ) -> None:
        if dry_run and all_or_nothing:
            raise InvalidRequest("all_or_nothing", "a dry run takes nothing at all: give one of the two")
        mode = Mode.DRY_RUN if dry_run else Mode.ALL_OR_NOTHING if all_or_nothing else Mode.KEEP_GOOD
        who, now = at_this_machine(operator).name, None if at is None else now_or(at)
        named = checked_name("run", run_name) if run_name is not None else ""
        opened = open_store(store, busy_timeout=PATIENCE)
        with _collecting_seldom(), _progress(file) as step:

            def make(trial: Outcome | None) -> Import:
                return Import(kind, operator=who, now=now, clock=_machine_now, run=named, step=step, trial=trial)

            summary = run(make, opened, Files(name=file, report=report, rejects=rejects), mode, _Bad(file))
        _tell(as_json, summary, mode)
        if summary.bad:
            raise typer.Exit(1)

    columns = (*kind.shape.columns, KEY)
    command.__doc__ = f"{kind.about}\n\nColumns: {', '.join(columns)}."
    return told(command)


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _machine_now() -> int:
    return time.time_ns() // 1000


class _Bad:
    """Tells the first bad rows, and that there are more."""

    def __init__(self, name: str) -> None:
        self._name: Final = name
        self._told = 0

    def __call__(self, item: Item, told: Told) -> None:
        if told.outcome is not Outcome.BAD:
            return
        for row in item.rows:
            self._told += 1
            if self._told <= SHOWN:
                typer.echo(f"{self._name}:{row.line}: {told.code}: {told.of(item, row)}", err=True)
            elif self._told == SHOWN + 1:
                typer.echo("... and more: --report and --rejects have all of them", err=True)


@contextmanager
def _progress(name: str) -> Iterator[Step]:
    """How far it is, on standard error: a bar on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=_size(name))
        yield lambda rows, read: bar.update(task, completed=read, description=f"{rows:,} rows")


def _size(name: str) -> int | None:
    """Bytes of the file; None where that cannot be known."""
    if name == STDIN or not os.path.isfile(name):
        return None
    return os.path.getsize(name) or None


class _Lines:
    """A line whenever so many rows more are done."""

    def __init__(self) -> None:
        self._told = 0

    def __call__(self, rows: int, read: int) -> None:
        if rows < self._told:  # the file is read a second time
            self._told = 0
        if rows - self._told >= EVERY:
            self._told = rows - rows % EVERY
            typer.echo(f"{rows:,} rows", err=True)


NOTES: Final = {Mode.DRY_RUN: "; a dry run: nothing was changed", Mode.ALL_OR_NOTHING: "; nothing was imported"}


def _tell(as_json: bool, summary: Summary, mode: Mode) -> None:
    counts = {outcome.value: summary.outcomes.get(outcome, 0) for outcome in Outcome}
    seconds = round(summary.seconds, 1)
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count or name != Outcome.WITHHELD)
    nothing = mode is Mode.DRY_RUN or (summary.bad and not summary.outcomes[Outcome.DONE])
    note = NOTES.get(mode, "") if nothing else ""
    text = f"{summary.rows:,} rows in {seconds} s: {said} (revision {summary.revision}){note}"
    answer(
        as_json,
        text,
        rows=summary.rows,
        **counts,
        seconds=seconds,
        revision=summary.revision,
        dry_run=mode is Mode.DRY_RUN,
    )


for _kind in KINDS.values():
    app.command(_kind.shape.name)(_command(_kind))
