"""What the store's commands share: their options, how they answer, and how they say no."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Annotated, Final, ParamSpec

import typer

from sidecar.core.calendar import format_instant, parse_instant
from sidecar.core.errors import DeskgateError
from sidecar.core.model import FOREVER, MICROS, UNLIMITED, Instant, Limit
from sync.backoffice.errors import DeskError
from sync.store.errors import Refused, StoreError
from sync.store.terms import in_calendar

P = ParamSpec("P")

DEFAULT_STORE: Final = "var/run/store.db"

StorePath = Annotated[
    str, typer.Option("--store", envvar="DESKGATE_STORE", help="The store: a path, or a postgresql:// URL.")
]
At = Annotated[
    str | None, typer.Option("--at", help="The instant of the change, such as 2026-01-31T09:00:00Z; default: now.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
BELOW_ZERO: Final = {"ignore_unknown_options": True}
"""Settings of a command that takes a number below 0 as an argument, which looks like an option."""
TenantId = Annotated[str, typer.Argument(metavar="TENANT", help="Id of the tenant.")]


def app_of(name: str, about: str) -> typer.Typer:
    """A sub-command of `deskgate`."""
    return typer.Typer(name=name, help=about, no_args_is_help=True, add_completion=False)


def told(command: Callable[P, None]) -> Callable[P, None]:
    """Says no as people expect: a refusal or a failing store exits 1 with its code, bad usage exits 2."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except (Refused, StoreError, DeskError) as e:
            raise _exit(e.code, e.advice, 1, kwargs.get("as_json")) from e
        except DeskgateError as e:
            raise _exit("INVALID", str(e), 2, kwargs.get("as_json")) from e

    return run


def _exit(code: str, advice: str, status: int, as_json: object) -> typer.Exit:
    error = {"error": {"code": code, "message": advice}}
    typer.echo(json.dumps(error, ensure_ascii=False) if as_json else f"{code}: {advice}", err=True)
    return typer.Exit(status)


def now_or(at: str | None) -> Instant:
    """The instant of a change: what `--at` says, else the clock's."""
    instant = time.time_ns() // 1000 if at is None else parse_instant(at)
    in_calendar("at", instant)
    return instant


def answer(as_json: bool, text: str, **value: object) -> None:
    """Prints a command's answer: a sentence or a table for people, or the value."""
    typer.echo(json.dumps(value, ensure_ascii=False) if as_json else text)


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Columns as wide as they need to be."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)


def moment(instant: Instant | None) -> str | None:
    """An instant in JSON: RFC 3339, or null where there is none."""
    return None if instant is None or instant == FOREVER else format_instant(instant)


def amount(micros: int) -> str:
    """Millionths as a decimal number."""
    return format((Decimal(micros) / MICROS).normalize(), "f")


def limit(value: Limit | None) -> int | str | None:
    """A limit in JSON."""
    return "unlimited" if value is UNLIMITED else value
