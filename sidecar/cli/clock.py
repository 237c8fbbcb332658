"""`deskgate clock`: the instant that a sidecar decides by (domain.md 4)."""

from __future__ import annotations

import getpass
import json
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.core.calendar import format_instant
from sidecar.core.model import SECOND, Instant

if TYPE_CHECKING:
    from sidecar.settings import Settings
    from sidecar.state.clock import Settlement

app = typer.Typer(no_args_is_help=True, help="Show and settle the instant that a sidecar decides by.")

StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", metavar="PATH", help="The sidecar's state directory; else as its settings say."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@app.command()
def show(state_dir: StateDir = None, as_json: AsJson = False) -> None:
    """Print the floor, the machine's clock and the last contact, as last kept on disk; the sidecar may be running."""
    from sidecar.state.clockfile import ClockFile
    from sidecar.state.directory import CLOCK

    file = ClockFile(_state(state_dir) / CLOCK)
    remembered = file.read()
    if remembered is None:
        typer.echo(f"{file.path}: {'damaged' if file.damaged else 'nothing is kept there yet'}", err=True)
        raise typer.Exit(1)
    machine = time.time_ns() // 1000
    behind = max(0, remembered.floor - machine) / SECOND
    told = {
        "floor": format_instant(remembered.floor),
        "machine": format_instant(machine),
        "machine_behind_seconds": behind,
        "last_contact": None if remembered.last_contact is None else format_instant(remembered.last_contact),
    }
    typer.echo(json.dumps(told) if as_json else "\n".join(f"{name:<24}{value}" for name, value in told.items()))


@app.command()
def settle(
    state_dir: StateDir = None,
    by: Annotated[str, typer.Option("--by", help="Who says so; else the user at the terminal.")] = "",
    store: Annotated[
        str | None, typer.Option("--store", help="The store whose audit trail tells of it; else as the settings say.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take the machine's clock as right, after it was wrong and has been corrected.

    The instant that is decided by falls to it, if it is ahead. For a stopped sidecar and for a running one.
    """
    from sidecar.observe.logs import configure
    from sidecar.state.settling import settle

    configure(log_format="console", level="warning")
    settings = _settings(state_dir, store)
    done = settle(settings.state_dir, by=by or _user())
    if done.after < done.before and (problem := _audit(settings, done)):
        typer.echo(f"the audit trail does not tell of it, only the state directory's log does: {problem}", err=True)
    if as_json:
        told = {"before": format_instant(done.before), "after": format_instant(done.after), "by": done.by}
        typer.echo(json.dumps(told))
        return
    typer.echo(_told(done.before, done.after))


def _told(before: Instant, after: Instant) -> str:
    if after >= before:
        return f"nothing to settle: the machine's clock is not behind; now is {format_instant(after)}"
    return f"settled: it was {format_instant(before)}, now is {format_instant(after)}"


def _audit(settings: Settings, done: Settlement) -> str:
    """Tells the store's audit trail of a settlement; why it could not be, or nothing."""
    from sidecar.core.errors import DeskgateError
    from sync.store.audit import By
    from sync.store.db import open_store

    told = ({"now": format_instant(instant)} for instant in (done.before, done.after))
    if settings.written_store is None:
        return f"the store behind {settings.store_name} takes no entries over a feed"
    try:
        with open_store(settings.written_store).writing(By(operator=f"local:{done.by}", at=done.after)) as writing:
            writing.audit("clock.settle", f"sidecar:{platform.node()}", before=next(told), after=next(told))
    except DeskgateError as e:
        return str(e)
    return ""


def _state(given: Path | None) -> Path:
    return _settings(given, None).state_dir


def _settings(state_dir: Path | None, store: str | None) -> Settings:
    from sidecar.settings import load

    given = {"state_dir": str(state_dir) if state_dir else None, "store": store}
    return load(flags={name: value for name, value in given.items() if value}, environ=os.environ).settings


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user needs no name
        return f"uid {os.getuid()}"
