"""Messages and values: amounts exact to the millionth, date-time texts, pages that clients can take."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.core.calendar import LATEST
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER, SINCE_EVER, UNLIMITED, Period
from sync.backoffice import codec
from tests.storing import at

SHANGHAI = ZoneInfo("Asia/Shanghai")


@given(st.integers(-codec.MOST, codec.MOST))
def test_an_amount_is_read_as_it_is_written(micros: int) -> None:
    assert codec.millionths("amount", codec.amount(micros)) == micros


@given(st.integers(-(10**30), 10**30))
def test_an_amount_is_written_without_exponents_or_zeros_at_its_end(micros: int) -> None:
    text = codec.amount(micros)
    whole, _, part = text.partition(".")
    assert int(whole + part.ljust(6, "0")) == micros
    assert not text.endswith("." if part else ".0")
    assert not part.endswith("0")


@pytest.mark.parametrize(
    ("text", "micros"),
    [("12.50", 12_500_000), ("0", 0), ("-0", 0), ("-0.000001", -1), ("00012", 12_000_000), ("1000000000000", 10**18)],
)
def test_amounts_are_decimal_texts(text: str, micros: int) -> None:
    assert codec.millionths("amount", text) == micros


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".5",
        "5.",
        "1e3",
        "+1",
        " 1",
        "1 ",
        "1,5",
        "0x10",
        "1_000",
        "NaN",
        "Infinity",
        "1.0000001",
        "١",
        "--1",
        "1\n",
    ],
)
def test_what_is_no_amount_is_told(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^credit: .+ is not an amount"):
        codec.millionths("credit", text)


def test_an_amount_has_bounds() -> None:
    for text in ("1000000000000.000001", "-1000000000000.000001"):
        with pytest.raises(InvalidRequest, match="is not between -1000000000000 and 1000000000000"):
            codec.millionths("amount", text)
    with pytest.raises(InvalidRequest, match=r"^amount: 0 is not between 0.000001 and"):
        codec.millionths("amount", "0", least=1)
    assert codec.millionths_or("amount", "", 7) == 7


def test_dates_are_read_in_a_zone_and_ends_are_inclusive() -> None:
    assert codec.start("starts", "2026-06-30", SHANGHAI) == at("2026-06-29T16:00:00Z")
    assert codec.end("ends", "2026-06-30", SHANGHAI) == at("2026-06-30T16:00:00Z")
    assert codec.end("ends", "2026-06-30T09:00:00+02:00", SHANGHAI) == at("2026-06-30T07:00:00Z")


@pytest.mark.parametrize(
    "text", ["", "2026-02-30", "2026-6-1", "June", "2026-06-30T25:00:00Z", "1969-12-31", "9999-12-31", "0001-01-01"]
)
def test_what_is_no_instant_of_the_calendar_is_told(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^starts: "):
        codec.start("starts", text, SHANGHAI)
    with pytest.raises(InvalidRequest, match=r"^ends: "):
        codec.end("ends", text, SHANGHAI)


@given(st.integers(0, LATEST))
def test_an_instant_is_read_as_it_is_written(instant: int) -> None:
    stamp = codec.stamp_of(instant)
    assert stamp is not None
    assert codec.instant("at", stamp) == instant


def test_the_ends_of_time_are_not_written() -> None:
    assert [codec.stamp_of(each) for each in (None, FOREVER, SINCE_EVER)] == [None, None, None]


@pytest.mark.parametrize("stamp", [Timestamp(seconds=-1), Timestamp(nanos=-1), Timestamp(nanos=10**9)])
def test_an_instant_outside_the_calendar_is_told(stamp: Timestamp) -> None:
    with pytest.raises(InvalidRequest, match=r"^at: "):
        codec.instant("at", stamp)


@pytest.mark.parametrize(
    ("unit", "period"),
    [
        (pb.LENGTH_UNIT_DAY, Period(days=3)),
        (pb.LENGTH_UNIT_WEEK, Period(days=21)),
        (pb.LENGTH_UNIT_MONTH, Period(months=3)),
        (pb.LENGTH_UNIT_YEAR, Period(months=36)),
    ],
)
def test_a_length_is_a_calendar_period(unit: pb.LengthUnit, period: Period) -> None:
    assert codec.period("length", pb.Length(count=3, unit=unit)) == period
    written = codec.length_of(period)
    assert written is not None
    assert codec.period("length", written) == period
    for count in (0, -1, 36_001):
        with pytest.raises(InvalidRequest, match=r"^length\.count: "):
            codec.period("length", pb.Length(count=count, unit=unit))


def test_no_length_is_none_and_limits_are_told_apart() -> None:
    assert codec.length_of(Period()) is None
    assert codec.limit_of(None) is None
    zero, unlimited = codec.limit_of(0), codec.limit_of(UNLIMITED)
    assert zero is not None
    assert unlimited is not None
    assert (zero.WhichOneof("value"), unlimited.unlimited) == ("count", True)


def paged(count: int, size: int, note: str = "") -> tuple[list[int], str]:
    page = pb.ListOrdersResponse()
    found = range(1, min(count, size + 1) + 1)
    token = codec.fill_page(page.orders, str, size, found, lambda n: pb.Order(id=n, note=note))
    return [order.id for order in page.orders], token


def test_a_page_tells_where_the_next_one_begins_if_there_is_more() -> None:
    assert paged(0, 2) == ([], "")
    assert paged(2, 2) == ([1, 2], "")
    assert paged(3, 2) == ([1, 2], "2")


def test_a_page_ends_before_it_is_too_large_for_clients_and_never_before_its_first_item() -> None:
    quarter = "x" * (codec.PAGE_BYTES // 4)
    assert paged(100, 100, quarter) == ([1, 2, 3, 4], "4")
    assert paged(100, 100, "x" * codec.PAGE_BYTES * 2) == ([1], "1")
    assert paged(1, 100, "x" * codec.PAGE_BYTES * 2) == ([1], "")
