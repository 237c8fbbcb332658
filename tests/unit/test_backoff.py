"""After an outage everybody is back soon, and nobody all at once; a server that drops whom it lets in is not well."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from sync.feed.backoff import BASE, CAP, HEALTHY_AFTER, RESTART, Backoff

WATCHERS = 500


def after_outage(seconds: float, seed: int, *, watchers: int = WATCHERS) -> tuple[list[float], list[list[float]]]:
    """When each of so many watchers got in after an outage, and when each tried, all seconds after its beginning."""
    came, tried = [], []
    for watcher in range(watchers):
        backoff = Backoff(Random(seed * 10_000 + watcher), now=-100.0)
        for at in range(-60, 1):
            backoff.well(float(at))
        tries, now = [], 0.0
        while now < seconds:
            now += backoff.failed(now)
            tries.append(now)
        came.append(now)
        tried.append(tries)
    return came, tried


@pytest.mark.parametrize("seed", range(5))
def test_after_half_a_minute_no_second_sees_more_than_a_tenth_of_all(seed: int) -> None:
    came, _ = after_outage(30.0, seed)
    assert max(Counter(int(at) for at in came).values()) <= WATCHERS // 10


@pytest.mark.parametrize("seed", range(3))
def test_tries_become_rarer_while_the_server_is_away(seed: int) -> None:
    """At second t after it went about 1.5 / t of all try, whether it is back or not."""
    _, tried = after_outage(60.0, seed)
    by_second = Counter(int(at) for tries in tried for at in tries)
    for second in range(25, 60):
        assert by_second[second] <= 2.2 / second * WATCHERS + 10


@pytest.mark.parametrize("outage", range(1, 11))
def test_after_a_short_outage_everybody_is_back_as_soon_again(outage: int) -> None:
    came, _ = after_outage(float(outage), seed=outage)
    assert max(came) - outage <= max(outage, BASE)


def test_waits_are_capped() -> None:
    backoff = Backoff(Random(7), now=0.0)
    waits = [backoff.failed(100_000.0) for _ in range(2_000)]
    assert 0 <= min(waits) < 1
    assert CAP - 1 < max(waits) <= CAP


def test_at_first_one_waits_for_the_base_at_most() -> None:
    backoff = Backoff(Random(1), now=50.0)
    assert all(backoff.failed(50.0) <= BASE for _ in range(100))


def test_a_server_that_drops_whom_it_lets_in_is_asked_less_and_less_often() -> None:
    backoff = Backoff(Random(1), now=0.0)
    now, tries = 0.0, 0
    while now < 600.0:
        backoff.well(now)
        backoff.well(now + 0.1)
        now += 0.2 + backoff.failed(now + 0.2)
        tries += 1
    assert backoff.longest(now) == CAP
    assert tries < 60


def test_what_held_for_a_while_counts_and_what_did_not_does_not() -> None:
    backoff = Backoff(Random(1), now=0.0)
    backoff.well(100.0)
    backoff.well(100.0 + HEALTHY_AFTER - 0.1)
    assert backoff.longest(102.0) == CAP
    backoff.well(100.0 + HEALTHY_AFTER)
    assert backoff.longest(102.0) == BASE
    assert backoff.longest(108.0) == 6.0
    backoff.failed(108.0)
    assert backoff.longest(108.0) == BASE, "it was well until then"
    backoff.well(109.0)
    backoff.failed(110.0)
    assert backoff.longest(112.0) == 4.0, "what held for a second does not count"
    assert backoff.longest(108.0 + RESTART) == RESTART
    assert backoff.longest(108.0 + RESTART + 1) == 2 * (RESTART + 1)


def test_nobody_waits_while_all_is_well() -> None:
    assert Backoff(Random(1), now=0.0).well(9.0) == 0.0


def test_the_same_seed_waits_the_same_and_others_do_not() -> None:
    def waits(seed: int) -> list[float]:
        backoff = Backoff(Random(seed), now=0.0)
        return [backoff.failed(10.0 * n) for n in range(5)]

    assert waits(1) == waits(1)
    assert len({tuple(waits(seed)) for seed in range(50)}) == 50
