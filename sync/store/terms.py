"""Order lines and what they grant (domain.md 3 and 4). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from sidecar.core.calendar import LATEST, add_period, parse_instant, to_instant, to_local
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER, UNLIMITED, Grant, Instant, Limit, Period
from sync.store.products import Product, TemplateEntry

DATE_LENGTH: Final = len("2026-06-30")
MOST_GRANTED: Final = 2**53
LONGEST: Final = 1200
"""Months, and a hundred times as many days: a term of a century at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of an order, or of an assigned plan: `quantity` of a product as it was, over [starts_at, ends_at).

    Until `trial_until` the trial template holds, from then on the license template. `ended_at` is the instant at which
    a later order ended what remained of it. Months are counted from `anchor`. `source` names the order or plan.
    `unit_price`, in millionths, is for each of the `billing_periods` of [billing_starts_at, billing_ends_at).
    """

    id: int
    order_id: int
    product: Product
    product_version: int
    quantity: int
    starts_at: Instant
    ends_at: Instant = FOREVER
    anchor: Instant
    trial_until: Instant | None = None
    paid: bool = True
    ended_at: Instant = FOREVER
    source: str = ""
    unit_price: int = 0
    billing_starts_at: Instant | None = None
    billing_ends_at: Instant | None = None
    billing_periods: int = 0

    @property
    def end(self) -> Instant:
        """Where it really ends."""
        return min(self.ends_at, self.ended_at)

    def holds(self, instant: Instant) -> bool:
        """Whether its term holds at an instant."""
        return self.starts_at <= instant < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """The term asked for: a length counted from its start, or an end (FOREVER: a perpetual one).

    `starts_at` None: at once, or where the kind of order says.
    """

    starts_at: Instant | None = None
    length: Period | None = None
    ends_at: Instant | None = None

    def __post_init__(self) -> None:
        in_calendar("starts", self.starts_at)
        in_calendar("ends", None if self.ends_at == FOREVER else self.ends_at)
        if self.length is not None and self.ends_at is not None:
            raise InvalidRequest("term", "give a length or an end, not both")
        if self.length is not None and not _sensible(self.length):
            raise InvalidRequest("term", f"a length is 1 to {LONGEST} months, or 1 to {LONGEST * 30} days")


def in_calendar(field: str, instant: Instant | None) -> None:
    """Raises InvalidRequest when an instant lies outside the years 1970 to 9999."""
    if instant is not None and not 0 <= instant <= LATEST:
        raise InvalidRequest(field, "the years 1970 to 9999 can be counted in")


def _sensible(length: Period) -> bool:
    if length.micros or (length.months and length.days):
        return False
    return 1 <= length.months <= LONGEST or 1 <= length.days <= LONGEST * 30


def start_of(text: str, zone: ZoneInfo) -> Instant:
    """The instant that a date (its first instant in the zone) or an RFC 3339 time means as a start."""
    return parse_instant(text, zone)


def end_of(text: str, zone: ZoneInfo) -> Instant:
    """The instant that an end means: a date is inclusive, to the next local midnight; a time is exclusive."""
    instant = parse_instant(text, zone)
    if len(text) > DATE_LENGTH:
        return instant
    try:
        return to_instant(datetime.fromisoformat(text) + timedelta(days=1), zone)
    except OverflowError as e:
        raise InvalidRequest("ends", f"{text} is past the calendar: say that the term is perpetual") from e


@lru_cache(maxsize=4096)
def counted_from(start: Instant, anchor: Instant, length: Period, zone: ZoneInfo) -> Instant:
    """The end of a term of `length` that begins at `start`, counted from its anchor.

    Raises InvalidRequest where it would pass the calendar's end.
    """
    months = _months_between(anchor, start, zone) or 0
    end = add_period(anchor, Period(months=months + length.months, days=length.days), zone)
    if end > LATEST:
        raise InvalidRequest("term", "it would end past the year 9999: say that it is perpetual")
    return end


def anchor_of(start: Instant, anchor: Instant, zone: ZoneInfo) -> Instant:
    """The anchor of a term: `anchor` if `start` is some months after it, else `start` itself."""
    return start if _months_between(anchor, start, zone) is None else anchor


def _months_between(anchor: Instant, start: Instant, zone: ZoneInfo) -> int | None:
    """k, where `start` is `anchor` + k months."""
    if start == anchor:
        return 0
    begun, first = to_local(start, zone), to_local(anchor, zone)
    near = (begun.year - first.year) * 12 + begun.month - first.month
    for k in (near, near - 1, near + 1):
        if k >= 0 and add_period(anchor, Period(months=k), zone) == start:
            return k
    return None


def grants_of(lines: Iterable[Line]) -> tuple[Grant, ...]:
    """What lines grant, in their order. A grant whose window is empty is none."""
    return tuple(grant for line in lines for grant in _grants(line))


def _grants(line: Line) -> Iterator[Grant]:
    switch = line.starts_at if line.trial_until is None else line.trial_until
    product = line.product
    yield from _window(line, product.trial_license_template, line.starts_at, min(switch, line.end), trial=True)
    yield from _window(line, product.license_template, switch, line.end, trial=False)


def _window(
    line: Line, template: tuple[TemplateEntry, ...], start: Instant, end: Instant, *, trial: bool
) -> Iterator[Grant]:
    if start >= end:
        return
    for entry in template:
        yield Grant(
            key=entry.name,
            starts_at=start,
            ends_at=end,
            trial=trial,
            amount=limit_of(entry.amount, entry.amount_calculation, line.quantity),
            users=limit_of(entry.users, entry.users_calculation, line.quantity),
            source=line.source,
        )
    for feature in line.product.features:
        yield Grant(key=feature.name, starts_at=start, ends_at=end, trial=trial, source=line.source)


def limit_of(number: int | str | None, calculation: str, quantity: int) -> Limit | None:
    """A template's number as granted for a quantity."""
    if number is None:
        return None
    if isinstance(number, str):
        return UNLIMITED
    return number * quantity if calculation == "per_qty" else number


def check_sizes(lines: Iterable[Line]) -> None:
    """Raises InvalidRequest where a line would grant more of a key than a record can say."""
    for line in lines:
        for entry in (*line.product.license_template, *line.product.trial_license_template):
            amount = limit_of(entry.amount, entry.amount_calculation, line.quantity)
            users = limit_of(entry.users, entry.users_calculation, line.quantity)
            if any(isinstance(granted, int) and granted > MOST_GRANTED for granted in (amount, users)):
                problem = f"{line.quantity} of {line.product.id} would grant more than 2^53 of {entry.name}"
                raise InvalidRequest("quantity", problem)
