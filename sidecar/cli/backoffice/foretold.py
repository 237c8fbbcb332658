"""An event of a forecast as a row of CSV or JSON, and a forecast as a table for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import Any, Final

from sidecar.cli.backoffice.common import amount, limit, moment
from sidecar.core.calendar import format_instant
from sync.forecast.events import Event, Kind
from sync.transfer.formats import Out

HEADER: Final = ("AT", "TENANT", "WHAT", "KEY", "DETAILS")
COLUMNS: Final = (
    "at",
    "tenant",
    "kind",
    "key",
    "before",
    "after",
    "term_ends_at",
    "grace_ends_at",
    "counted",
    "limit",
    "used",
    "excess",
    "top_up",
    "blocks",
    "shares_services_of",
    "shared_by",
    "shared_with",
)
NUMBERS: Final = frozenset({"top_up"})
"""Columns whose texts are numbers."""


def plain(event: Event) -> dict[str, Any]:
    """An event by column: None where nothing is to be said."""
    counted = None if event.used is None else "seats" if event.seats else "units"
    values = (
        moment(event.at),
        event.tenant_id,
        event.kind.value,
        event.key or None,
        event.before,
        event.after,
        moment(event.term_ends_at),
        moment(event.grace_ends_at),
        counted,
        limit(event.limit),
        event.used,
        event.excess,
        None if event.top_up is None else amount(event.top_up),
        list(event.blocks),
        event.holder_id or None,
        event.sharers,
        list(event.shared_with),
    )
    return dict(zip(COLUMNS, values, strict=True))


def write_table(out: Out, events: Iterable[Event]) -> None:
    """Columns as wide as they need to be; keys to which the same comes about stand together. Reads the events twice."""
    widths = [0] * len(HEADER)
    for row in _rows(events):
        widths = [max(pair) for pair in zip(widths, map(len, row), strict=True)]
    if not any(widths):
        out.write("nothing comes about by itself in that time\n")
        return
    widths = [max(width, len(cell)) for width, cell in zip(widths, HEADER, strict=True)]
    for row in chain([HEADER], _rows(events)):
        out.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")


def _rows(events: Iterable[Event]) -> Iterator[Sequence[str]]:
    for (at, tenant, kind, details), same in groupby(events, _told):
        keys = ", ".join(event.key for event in same)
        yield tuple(map(_printable, (format_instant(at), tenant, kind, keys or "-", details)))


def _told(event: Event) -> tuple[int, str, str, str]:
    return event.at, event.tenant_id, event.kind, "; ".join(_details(event))


def _details(event: Event) -> Iterator[str]:
    yield DETAILS[event.kind](event)
    if event.holder_id:
        yield f"shares the services of {event.holder_id}"
    if event.sharers:
        more = ", ..." if event.sharers > len(event.shared_with) else ""
        yield f"shared by {event.sharers}: {', '.join(event.shared_with)}{more}"


def _turns(event: Event) -> str:
    return f"{event.before} -> {event.after}"


def _covered(event: Event) -> str:
    return f"{_turns(event)}, ends {_when(event.term_ends_at)}"


def _ended(event: Event) -> str:
    return f"{_turns(event)}, grace ends {_when(event.grace_ends_at)}"


def _when(instant: int | None) -> str:
    return moment(instant) or "never"


def _quota(event: Event) -> str:
    over = f": {event.excess} too many" if event.excess else ""
    return f"{event.used} {'seats' if event.seats else 'units'} used of {limit(event.limit)}{over}"


def _owing(event: Event) -> str:
    return f"{_turns(event)}, top up {amount(event.top_up or 0)}"


def _blocked(event: Event) -> str:
    return f"{_turns(event)}: {', '.join(event.blocks)}"


DETAILS: Final[Mapping[Kind, Callable[[Event], str]]] = {
    Kind.STARTS: _covered,
    Kind.TRIAL_TO_PAID: _covered,
    Kind.PAID_TO_TRIAL: _covered,
    Kind.RENEWED: _covered,
    Kind.COVERAGE_ENDS: _ended,
    Kind.GRACE_ENDS: _turns,
    Kind.OVER_QUOTA: _quota,
    Kind.WITHIN_QUOTA: _quota,
    Kind.PAST_DUE: _owing,
    Kind.BLOCKED: _owing,
    Kind.SUSPENDED: _blocked,
    Kind.UNSUSPENDED: _blocked,
}


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
