"""`deskgate forecast`: what will come about by itself, so that somebody can do something about it in time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from sidecar.cli.backoffice.common import DEFAULT_STORE, StorePath, now_or, told
from sidecar.cli.backoffice.foretold import COLUMNS, NUMBERS, plain, write_table
from sidecar.core.book import Book
from sidecar.core.calendar import parse_instant
from sidecar.core.errors import DeskgateError, InvalidRequest
from sidecar.core.model import DAY, Instant
from sidecar.policy.load import load
from sync.forecast.events import Kind
from sync.forecast.reading import Question, Seen
from sync.forecast.reading import forecast as forecast_of
from sync.store.db import open_store
from sync.store.terms import in_calendar
from sync.transfer.drafts import draft
from sync.transfer.formats import WRITERS, Format, Out

MOST_DAYS: Final = 3660

Days = Annotated[int, typer.Option(min=1, max=MOST_DAYS, help="How far to look, in days of 24 hours.")]
Since = Annotated[str | None, typer.Option("--from", help="First instant, such as 2026-01-31T09:00:00Z; default: now.")]
Kinds = Annotated[list[Kind] | None, typer.Option("--kind", help="Only this; may be repeated.")]
Tenants = Annotated[
    list[str] | None,
    typer.Option("--tenant", help="Only this tenant, and the pool that it shares; may be repeated."),
]
Policies = Annotated[
    str,
    typer.Option(envvar="DESKGATE_POLICIES", help="Policy files, and folders of them, separated by commas."),
]
How = Annotated[
    Literal["table", "csv", "json"],
    typer.Option("--format", help="A table for people; CSV has one header line; JSON is one array, amounts as texts."),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="Written whole or not at all; default: standard output."),
]


@told
def forecast(
    days: Days = 30,
    since: Since = None,
    kind: Kinds = None,
    tenant: Tenants = None,
    policies: Policies = "policies",
    form: How = "table",
    output: Output = None,
    store: StorePath = DEFAULT_STORE,
) -> None:
    """Tell who will start, expire, leave grace, be over quota, owe, be blocked or suspended, by the very timelines and
    policies that decisions rest on.

    Usage is taken as it is now; nobody is assumed to do anything. What comes about in a pool is told of the tenant
    whose services are shared. Archived tenants are left out.
    """
    first = _first(since)
    book = Book(load([Path(name.strip()) for name in policies.split(",") if name.strip()]))
    question = Question(
        book=book, since=first, until=first + days * DAY, kinds=kind or tuple(Kind), tenants=tenant or None
    )
    with _writing(output) as out, ExitStack() as stack:
        with _progress(shown=tenant is None) as seen:
            events = stack.enter_context(forecast_of(open_store(store), question, seen))
        if form == "table":
            write_table(out, events)
        else:
            WRITERS[Format(form)](out, COLUMNS, NUMBERS, map(plain, events))


def _first(since: str | None) -> Instant:
    if since is None:
        return now_or(None)
    try:
        first = parse_instant(since)
    except DeskgateError as e:
        raise InvalidRequest("from", str(e)) from e
    in_calendar("from", first)
    return first


@contextmanager
def _writing(output: Path | None) -> Iterator[Out]:
    """Where the forecast goes. It is seen before the work begins whether a file can be written."""
    if output is None:
        yield typer.get_text_stream("stdout", encoding="utf-8")
        return
    with draft(output) as one:
        yield one


@contextmanager
def _progress(*, shown: bool) -> Iterator[Seen]:
    """How far it is, for those who look at a terminal."""
    hidden = not (shown and sys.stderr.isatty())
    with typer.progressbar(length=1, label="forecast", file=sys.stderr, hidden=hidden) as bar:

        def seen(done: int, count: int) -> None:
            bar.length = count
            bar.update(done - bar.pos)

        yield seen
