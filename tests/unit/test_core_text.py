"""Messages for people: figures, moments and amounts as they read them."""

from __future__ import annotations

import pytest

from sidecar.core.calendar import LATEST, zone_of
from sidecar.core.model import FOREVER, SINCE_EVER, UNLIMITED, Limit
from sidecar.core.text import PLACEHOLDERS, amount, count, fill, moment
from tests.worked import instant


def test_placeholders_are_filled() -> None:
    assert fill("{used} of {limit}", {"used": "3", "limit": "5", "fits": "2"}) == "3 of 5"
    assert fill("nothing to fill", {}) == "nothing to fill"


def test_a_message_may_name_every_figure_of_an_answer() -> None:
    figures = {"used", "limit", "excess", "fits", "quantity", "key", "tenant", "until", "top_up"}
    assert figures | {"term_ends_at", "grace_ends_at"} == PLACEHOLDERS


@pytest.mark.parametrize(("limit", "shown"), [(None, "-"), (UNLIMITED, "unlimited"), (0, "0"), (12_345, "12345")])
def test_counts(limit: Limit | None, shown: str) -> None:
    assert count(limit) == shown


@pytest.mark.parametrize(
    ("at", "zone", "shown"),
    [
        ("2026-01-31", "UTC", "2026-01-31"),
        ("2026-01-31T00:00:59", "UTC", "2026-01-31"),
        ("2026-01-31T00:01:00", "UTC", "2026-01-31 00:01"),
        ("2026-01-31T01:00:00", "UTC", "2026-01-31 01:00"),
        ("2026-01-31T16:00:00", "Asia/Shanghai", "2026-02-01"),
        ("2026-01-31", "Asia/Shanghai", "2026-01-31 08:00"),
        ("2026-01-31T09:07:00", "UTC", "2026-01-31 09:07"),
    ],
)
def test_moments_are_the_tenants_wall_clock(at: str, zone: str, shown: str) -> None:
    assert moment(instant(at), zone_of(zone)) == shown


def test_the_last_moment_that_is_shown() -> None:
    assert moment(LATEST, zone_of("UTC")) == "9999-12-30"


@pytest.mark.parametrize("at", [None, FOREVER, SINCE_EVER, LATEST + 1, -LATEST - 1])
def test_no_moment_is_a_dash(at: int | None) -> None:
    assert moment(at, zone_of("Asia/Shanghai")) == "-"


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (0, "0"),
        (1, "0.000001"),
        (1_500_000, "1.5"),
        (20_000_000, "20"),
        (-3_000_000, "-3"),
        (12_345_678, "12.345678"),
        (9_007_199_254_740_993, "9007199254.740993"),
    ],
)
def test_amounts(micros: int, shown: str) -> None:
    assert amount(micros) == shown
