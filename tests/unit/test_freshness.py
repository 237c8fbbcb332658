"""Data are stale, or blind, only once the last contact is *over* the threshold ago (domain.md 7)."""

import pytest

from sidecar.core.model import DAY, SECOND, Freshness
from sidecar.core.rules import Thresholds
from sidecar.state.freshness import freshness

NOW = 1_800_000_000 * SECOND
FIVE_MINUTES = 300 * SECOND


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, Freshness.LIVE),
        (FIVE_MINUTES - 1, Freshness.LIVE),
        (FIVE_MINUTES, Freshness.LIVE),
        (FIVE_MINUTES + 1, Freshness.STALE),
        (DAY - 1, Freshness.STALE),
        (DAY, Freshness.STALE),
        (DAY + 1, Freshness.BLIND),
        (25 * 3600 * SECOND, Freshness.BLIND),
        (-10 * DAY, Freshness.LIVE),
    ],
)
def test_by_the_age_of_the_last_contact(age: int, expected: Freshness) -> None:
    assert freshness(NOW - age, Thresholds(), NOW) is expected


def test_without_any_contact_the_data_are_blind() -> None:
    assert freshness(None, Thresholds(), NOW) is Freshness.BLIND


@pytest.mark.parametrize(
    ("age", "expected"), [(10, Freshness.LIVE), (11, Freshness.BLIND), (20, Freshness.BLIND), (21, Freshness.BLIND)]
)
def test_a_policy_whose_data_are_blind_before_they_are_stale_means_it(age: int, expected: Freshness) -> None:
    assert freshness(NOW - age, Thresholds(stale_after=20, blind_after=10), NOW) is expected
