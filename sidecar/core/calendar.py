"""Calendar arithmetic (domain.md 4): months and days on a zone's wall clock, compared as UTC instants.

A local time that is missing is the first instant after the gap; one that is doubled is the earlier.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sidecar.core.errors import DeskgateError, InvalidRecord
from sidecar.core.model import FOREVER, MICROS, SINCE_EVER, Instant, Period

EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock has no zone
EPOCH_UTC: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
MIDNIGHT: Final = time()
FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2200
"""Between these whole-day jumps of a zone's date line are looked for."""
DATE_LINE: Final = 20 * 3600 * MICROS
"""An offset that grows by more than this has left a day out."""
LATEST: Final = (datetime(9999, 12, 30) - EPOCH) // MICROSECOND  # noqa: DTZ001
"""The last instant that has a wall clock in every zone; what lies beyond is FOREVER."""
INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)?)?")


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises InvalidRecord for a name that is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as e:
        raise InvalidRecord(f"zone: {name!r} is not a known IANA time zone") from e


def to_local(instant: Instant, zone: ZoneInfo) -> datetime:
    """The wall clock of `zone` at an instant, without a zone."""
    return (EPOCH_UTC + timedelta(microseconds=instant)).astimezone(zone).replace(tzinfo=None)


def to_instant(local: datetime, zone: ZoneInfo) -> Instant:
    """The instant of a wall clock in `zone`; see the module's rule for missing and doubled times."""
    aware = local.replace(tzinfo=zone, fold=0)
    early, late = _offset(aware), _offset(aware.replace(fold=1))
    wall = (local - EPOCH) // MICROSECOND
    if late <= early:
        return wall - early
    return _jump(wall - late, wall - early, zone)


def _offset(aware: datetime) -> int:
    offset = aware.utcoffset()
    if offset is None:
        raise InvalidRecord(f"zone: {aware.tzinfo} has no offset at {aware}")
    return offset // MICROSECOND


def _offset_at(instant: Instant, zone: ZoneInfo) -> int:
    return _offset((EPOCH_UTC + timedelta(microseconds=instant)).astimezone(zone))


def _jump(before: Instant, after: Instant, zone: ZoneInfo) -> Instant:
    """The first instant in (before, after] with another offset than at `before`."""
    old = _offset_at(before, zone)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset_at(middle, zone) == old:
            before = middle
        else:
            after = middle
    return after


def add_period(instant: Instant, period: Period, zone: ZoneInfo, times: int = 1) -> Instant:
    """`instant` plus `times` periods counted from it, never chained: clamped to the month's end once.

    Beyond the calendar's ends (years 1 to 9999) the answer is SINCE_EVER or FOREVER.
    """
    if instant in (SINCE_EVER, FOREVER):
        return instant
    try:
        if not period.months and not period.days:
            moved = instant
        else:
            wall = _add_months(to_local(instant, zone), period.months * times) + timedelta(days=period.days * times)
            moved = to_instant(wall, zone)
    except (OverflowError, ValueError):
        return FOREVER if (period.months or period.days) * times > 0 else SINCE_EVER
    return moved + period.micros * times


def _add_months(wall: datetime, months: int) -> datetime:
    if not months:
        return wall
    year, month = divmod(wall.year * 12 + wall.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return wall.replace(year=year, month=month + 1, day=min(wall.day, last))


def midnight_after(instant: Instant, zone: ZoneInfo, count: int = 1) -> Instant:
    """The `count`-th local midnight strictly after `instant`; those that coincide are one. FOREVER past 9999."""
    today = to_local(instant, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return nth_after(today, Period(days=1), zone, instant, count)


def nth_after(first: datetime, period: Period, zone: ZoneInfo, after: Instant, count: int) -> Instant:
    """The `count`-th (1 or more) distinct instant strictly after `after` of first, first + period, first + 2 periods...

    `first` is a wall clock of `zone`. The answer is found by counting, not by walking.
    """
    try:
        index = _index_after(first, period, zone, after)
        target = index + count - 1
        if period.months:
            return to_instant(_add_months(first, period.months * target), zone)
        return to_instant(_skip_jumps(first, period.days, zone, index, target), zone)
    except (OverflowError, ValueError):
        return FOREVER


def _index_after(first: datetime, period: Period, zone: ZoneInfo, after: Instant) -> int:
    """The smallest k >= 0 whose instant lies strictly after `after`."""
    wall = to_local(after, zone)
    if period.months:
        k = ((wall.year - first.year) * 12 + wall.month - first.month) // period.months
    else:
        k = (wall - first).days // period.days
    k = max(0, k - 2)  # the guess is off by less than two periods, gaps of a whole day included
    while instant_of(first, period, zone, k) <= after:
        k += 1
    return k


def instant_of(first: datetime, period: Period, zone: ZoneInfo, k: int) -> Instant:
    """The instant of `first` plus k periods."""
    return to_instant(_add_months(first, period.months * k) + timedelta(days=period.days * k), zone)


def _skip_jumps(first: datetime, days: int, zone: ZoneInfo, index: int, target: int) -> datetime:
    """The wall clock of number `target`, counting a midnight that never was and its successor as the one they are."""
    if days == 1 and first.time() == MIDNIGHT:
        for missing in missing_days(zone.key):
            target += index <= (missing - first).days < target
    return first + timedelta(days=days * target)


@lru_cache(maxsize=1024)
def missing_days(name: str) -> tuple[datetime, ...]:
    """Midnights of the local days that a zone skipped whole, at the date line (Pacific/Apia, 30 December 2011)."""
    zone = zone_of(name)
    years = [to_instant(datetime(y, 1, 1), zone) for y in range(FIRST_YEAR, LAST_YEAR)]  # noqa: DTZ001
    found = []
    for start, end in pairwise(years):
        if _offset_at(end, zone) - _offset_at(start, zone) > DATE_LINE:
            found.append(_missing_day(start, end, zone))
    return tuple(found)


def _missing_day(start: Instant, end: Instant, zone: ZoneInfo) -> datetime:
    old = _offset_at(start, zone)
    while end - start > 1:
        middle = (start + end) // 2
        if _offset_at(middle, zone) - old > DATE_LINE:
            end = middle
        else:
            start = middle
    return to_local(end, zone) - timedelta(days=1)


def parse_instant(text: str, zone: ZoneInfo | None = None) -> Instant:
    """An RFC 3339 instant, to the microsecond; a date, or a time without offset, is read in `zone` (else UTC).

    Raises DeskgateError when `text` is none.
    """
    try:
        if not INSTANT.fullmatch(text):
            raise ValueError("not of the form 2026-01-31T09:00:00Z")
        moment = datetime.fromisoformat(text)
    except ValueError as e:
        raise DeskgateError(f"{text!r} is not an instant such as 2026-01-31T09:00:00Z: {e}") from e
    if moment.tzinfo is None:
        return to_instant(moment, zone) if zone else (moment - EPOCH) // MICROSECOND
    return (moment - EPOCH_UTC) // MICROSECOND


def format_instant(instant: Instant) -> str:
    """RFC 3339 in UTC, with microseconds only where there are any; "never" past either end of time."""
    if not -62135596800 * MICROS <= instant <= LATEST + 86400 * MICROS:
        return "never"
    moment = EPOCH + timedelta(microseconds=instant)
    return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds") + "Z"
