"""Between messages and values: what is read is checked, and what is wrong is named by its field's path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar._gen.desking.entitlements.v1 import entitlement_pb2 as records_pb
from sidecar.core.calendar import LATEST
from sidecar.core.errors import DeskgateError, InvalidRequest
from sidecar.core.model import FOREVER, MICROS, SECOND, SINCE_EVER, UNLIMITED, Instant, Limit, Period
from sync.store.names import checked_name, sized_name
from sync.store.terms import LONGEST, end_of, start_of

T = TypeVar("T")
V = TypeVar("V")
M = TypeVar("M", bound=Message)

NANOS: Final = 1_000_000_000
AMOUNT: Final = re.compile(r"-?[0-9]{1,13}(\.[0-9]{1,6})?")
DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MOST: Final = 10**12 * MICROS
"""Bound on amounts, either way."""
NOTE_BYTES: Final = 4096
PAGE: Final = 100
LARGEST_PAGE: Final = 1000
PAGE_BYTES: Final = 2 * 1024 * 1024
"""A page ends once it is so large: what is left comes with the next one, within what clients take by default."""
NUMBER: Final = re.compile(r"[0-9]{1,18}")


def name(field: str, text: str) -> str:
    """A name or id. Raises InvalidRequest."""
    return checked_name(field, text)


def name_or_none(field: str, text: str) -> str | None:
    """A name or id; empty: None."""
    return checked_name(field, text) if text else None


def as_it_is(field: str, text: str) -> str:
    """What Desking has named, taken as AdjustUsage takes it."""
    return sized_name(field, text)


def short(field: str, text: str) -> str:
    """A text of one line; may be empty."""
    return checked_name(field, text) if text else ""


def note(field: str, text: str) -> str:
    """A text of several lines; may be empty."""
    if len(text.encode()) > NOTE_BYTES:
        raise InvalidRequest(field, f"at most {NOTE_BYTES} bytes are taken, got {len(text.encode())}")
    if not all(c.isprintable() or c in "\n\t" for c in text):
        raise InvalidRequest(field, "it has characters that cannot be printed")
    return text


def number(field: str, value: int, least: int, most: int) -> int:
    """A number within bounds."""
    if not least <= value <= most:
        raise InvalidRequest(field, f"{value} is not between {least} and {most}")
    return value


def few(field: str, values: Iterable[V], most: int) -> list[V]:
    """At most so many."""
    found = list(values)
    if len(found) > most:
        raise InvalidRequest(field, f"at most {most} are taken, got {len(found)}")
    return found


def choice(field: str, value: int, choices: Mapping[int, T]) -> T:
    """What a value of an enumeration means."""
    if value not in choices:
        raise InvalidRequest(field, f"{value} is none of the values that are taken here")
    return choices[value]


def millionths(field: str, text: str, *, least: int = -MOST, most: int = MOST) -> int:
    """An exact amount."""
    if not AMOUNT.fullmatch(text):
        raise InvalidRequest(field, f"{text[:40]!r} is not an amount such as 12.50, with at most six decimals")
    micros = int(Decimal(text) * MICROS)
    if not least <= micros <= most:
        raise InvalidRequest(field, f"{text} is not between {amount(least)} and {amount(most)}")
    return micros


def millionths_or(field: str, text: str, default: int, *, least: int = -MOST) -> int:
    """An exact amount; empty: `default`."""
    return millionths(field, text, least=least) if text else default


def amount(micros: int) -> str:
    """Millionths as a decimal text, without zeros at its end."""
    whole, part = divmod(abs(micros), MICROS)
    return f"{'-' if micros < 0 else ''}{whole}.{part:06d}".rstrip("0").rstrip(".")


def day(field: str, text: str) -> str:
    """A date, as it was written."""
    try:
        if not DATE.fullmatch(text):
            raise ValueError("not of this form")
        date.fromisoformat(text)
    except ValueError as e:
        raise InvalidRequest(field, f"{text[:40]!r} is not a date such as 2026-06-30: {e}") from e
    return text


def start(field: str, text: str, zone: ZoneInfo) -> Instant:
    """The instant that a date-time text means as a start."""
    return _moment(field, text, zone, start_of)


def end(field: str, text: str, zone: ZoneInfo) -> Instant:
    """The instant that a date-time text means as an end."""
    return _moment(field, text, zone, end_of)


def _moment(field: str, text: str, zone: ZoneInfo, read: Callable[[str, ZoneInfo], Instant]) -> Instant:
    try:
        found = read(text[:40], zone)
    except InvalidRequest as e:
        raise InvalidRequest(field, e.problem) from e
    except (DeskgateError, OverflowError) as e:
        raise InvalidRequest(field, str(e)) from e
    if not 0 <= found <= LATEST:
        raise InvalidRequest(field, "the years 1970 to 9999 can be counted in")
    return found


UNITS: Final[Mapping[int, tuple[int, int]]] = {
    pb.LENGTH_UNIT_DAY: (0, 1),
    pb.LENGTH_UNIT_WEEK: (0, 7),
    pb.LENGTH_UNIT_MONTH: (1, 0),
    pb.LENGTH_UNIT_YEAR: (12, 0),
}
"""Months and days of each."""


def period(field: str, length: pb.Length) -> Period:
    """A length as a calendar period."""
    months, days = choice(f"{field}.unit", length.unit, UNITS)
    number(f"{field}.count", length.count, 1, LONGEST // months if months else LONGEST * 30 // days)
    return Period(months=months * length.count, days=days * length.count)


def length_of(value: Period) -> pb.Length | None:
    """A calendar period; None for an empty one."""
    if not value.months and not value.days:
        return None
    if value.months:
        return pb.Length(count=value.months, unit=pb.LENGTH_UNIT_MONTH)
    return pb.Length(count=value.days, unit=pb.LENGTH_UNIT_DAY)


def instant(field: str, stamp: Timestamp) -> Instant:
    """An instant, to the microsecond."""
    found = stamp.seconds * SECOND + stamp.nanos // 1000
    if not (0 <= found <= LATEST and 0 <= stamp.nanos < NANOS):
        raise InvalidRequest(field, "an instant of the years 1970 to 9999 is needed")
    return found


def instant_or_none(field: str, request: Any) -> Instant | None:
    """An instant of a request's own field; None where it is left out."""
    return instant(field, getattr(request, field)) if request.HasField(field) else None


def stamp_of(value: Instant | None) -> Timestamp | None:
    """An instant in an answer; None where there is none, and at either end of time."""
    if value is None or value in (SINCE_EVER, FOREVER):
        return None
    seconds, micros = divmod(value, SECOND)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def limit_of(value: Limit | None) -> records_pb.Limit | None:
    """A limit in an answer; None: not granted."""
    if value is None:
        return None
    return records_pb.Limit(unlimited=True) if value is UNLIMITED else records_pb.Limit(count=value)


def page_size(request: Any) -> int:
    """How many a page may have."""
    return number("page_size", request.page_size, 1, LARGEST_PAGE) if request.page_size else PAGE


def after_name(request: Any) -> str:
    """The name that a page begins after."""
    return short("page_token", request.page_token)


def after_number(request: Any) -> int:
    """The number that a page begins after."""
    if request.page_token and not NUMBER.fullmatch(request.page_token):
        raise InvalidRequest("page_token", "it is not one that a page before gave")
    return int(request.page_token or 0)


def fill_page(items: Any, token_of: Callable[[V], str], size: int, found: Iterable[V], write: Callable[[V], M]) -> str:
    """Puts what was `found` (one more than `size`, if there are more) into a page; where the next one begins."""
    room, last = PAGE_BYTES, ""
    for count, each in enumerate(found):
        if count == size or room <= 0:
            return last
        message = write(each)
        items.append(message)
        room, last = room - message.ByteSize(), token_of(each)
    return ""
