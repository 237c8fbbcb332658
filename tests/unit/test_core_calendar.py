"""Calendar edges of the engine (domain.md 4); the oracle's own tests hold the definition against every minute."""

from __future__ import annotations

import random
from datetime import datetime

import pytest

from sidecar.core.calendar import (
    LATEST,
    add_period,
    format_instant,
    midnight_after,
    missing_days,
    nth_after,
    parse_instant,
    to_instant,
    to_local,
    zone_of,
)
from sidecar.core.errors import DeskgateError, InvalidRecord
from sidecar.core.model import FOREVER, SINCE_EVER, Period
from tests import oracle
from tests.strategies import ODD_DAYS, ZONES


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        ("UTC", "2026-01-31T09:30:00", "2026-01-31T09:30:00Z"),
        ("America/New_York", "2026-03-08T02:30:00", "2026-03-08T07:00:00Z"),  # missing: the gap's end
        ("America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00Z"),  # doubled: the earlier
        ("Australia/Lord_Howe", "2026-10-04T02:15:00", "2026-10-03T15:30:00Z"),  # a gap of half an hour
        ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T10:00:00Z"),  # a day that never was
        ("America/Sao_Paulo", "2018-11-04T00:00:00", "2018-11-04T03:00:00Z"),  # midnight itself is missing
    ],
)
def test_a_wall_clocks_instant(zone: str, wall: str, instant: str) -> None:
    assert format_instant(parse_instant(wall, zone_of(zone))) == instant


@pytest.mark.parametrize("zone", ZONES)
def test_periods_and_midnights_equal_the_oracles(zone: str) -> None:
    rng = random.Random(zone)
    for _ in range(300):
        start = rng.randrange(900_000_000_000_000, 2_000_000_000_000_000)
        if rng.random() < 0.5:
            day = datetime.fromisoformat(rng.choice(ODD_DAYS[zone]))
            start = oracle.local_to_instant(day, zone) + rng.randrange(-90_000_000_000, 90_000_000_000)
        months, days = rng.choice([(1, 0), (3, 0), (-1, 0), (0, 1), (0, -30), (2, 5), (12, 0)])
        moved = add_period(start, Period(months=months, days=days), zone_of(zone))
        assert moved == oracle.add_period(start, zone, months, days)
        account = {"basis": "days", "as_of": start}
        dues = oracle.due_instants(account, zone)
        walked = [next(dues) for _ in range(4)]
        assert [midnight_after(start, zone_of(zone), k) for k in range(1, 5)] == walked


def test_anchors_are_never_chained() -> None:
    anchor = parse_instant("2026-01-31T00:00:00Z")
    months = [format_instant(add_period(anchor, Period(months=1), zone_of("UTC"), k))[:10] for k in range(5)]
    assert months == ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]


def test_elapsed_time_is_counted_after_the_calendar() -> None:
    start = parse_instant("2026-03-07T12:00:00-05:00")
    period = Period(days=1, micros=3_600_000_000)
    assert format_instant(add_period(start, period, zone_of("America/New_York"))) == "2026-03-08T17:00:00Z"


@pytest.mark.parametrize("instant", [SINCE_EVER, FOREVER])
def test_the_ends_of_time_stay(instant: int) -> None:
    assert add_period(instant, Period(months=1), zone_of("UTC")) == instant


def test_past_the_calendar_is_for_ever() -> None:
    zone = zone_of("UTC")
    assert add_period(LATEST, Period(months=1), zone) == FOREVER
    assert add_period(parse_instant("0001-01-02"), Period(months=1), zone, -1) == SINCE_EVER
    assert midnight_after(LATEST, zone, 100) == FOREVER


def test_days_that_were_skipped_are_found() -> None:
    assert [str(day.date()) for day in missing_days("Pacific/Apia")] == ["2011-12-30"]
    assert [str(day.date()) for day in missing_days("Pacific/Kwajalein")] == ["1993-08-21"]
    assert missing_days("Europe/London") == ()


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "\0", "x" * 5000])
def test_a_zone_that_is_none(name: str) -> None:
    with pytest.raises(InvalidRecord, match="not a known IANA time zone"):
        zone_of(name)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-31", "2026-01-31T00:00:00Z"),
        ("2026-01-31T09:00:00Z", "2026-01-31T09:00:00Z"),
        ("2026-01-31T09:00:00.000001+08:00", "2026-01-31T01:00:00.000001Z"),
        ("2026-01-31 09:00", "2026-01-31T09:00:00Z"),
    ],
)
def test_instants_as_texts(text: str, shown: str) -> None:
    assert format_instant(parse_instant(text)) == shown


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13-01", "2026-01-31T25:00:00Z", "20260131", "2026-01-31T09:00:00.1234567Z"]
)
def test_texts_that_are_no_instants(text: str) -> None:
    with pytest.raises(DeskgateError, match="is not an instant such as"):
        parse_instant(text)


def test_the_ends_of_time_have_no_date() -> None:
    assert format_instant(FOREVER) == format_instant(SINCE_EVER) == "never"


def test_wall_clocks_are_exact_to_the_microsecond_in_the_year_9999() -> None:
    last = to_instant(datetime.fromisoformat("9999-12-30T00:00:00.000001"), zone_of("UTC"))
    assert (last, type(last)) == (LATEST + 1, int)


@pytest.mark.parametrize("days", [1, 2, 7])
@pytest.mark.parametrize("first", ["2011-12-23", "2011-12-28", "2011-12-30", "2011-12-31"])
def test_days_that_were_skipped_are_counted_as_the_oracle_walks_them(first: str, days: int) -> None:
    zone = "Pacific/Apia"
    anchor = oracle.local_to_instant(datetime.fromisoformat(first), zone)
    account = {"basis": "money", "as_of": anchor - 1, "anchor": anchor, "period": {"days": days}}
    dues = oracle.due_instants(account, zone)
    start = to_local(anchor, zone_of(zone))
    for count in range(1, 20):
        assert nth_after(start, Period(days=days), zone_of(zone), anchor - 1, count) == next(dues)


def test_local_and_back() -> None:
    zone = zone_of("Asia/Kathmandu")
    instant = parse_instant("2026-06-01T00:00:00.000001Z")
    assert to_instant(to_local(instant, zone), zone) == instant
