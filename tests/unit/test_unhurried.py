"""Rests in long work: how long, how often, and that nothing is lost or read ahead."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sidecar.state.unhurried import LONGEST, unhurried


class Clock:
    """Goes on by a millisecond for each item that is worked on; rests are noted."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rests: list[float] = []

    def worked(self, count: int, each: float = 0.001) -> Iterator[int]:
        for item in unhurried(range(count), at_a_time=4, clock=lambda: self.now, sleep=self.rests.append):
            self.now += each
            yield item


def test_each_rest_is_as_long_as_the_work_before_it() -> None:
    clock = Clock()
    assert list(clock.worked(10)) == list(range(10))
    assert clock.rests == pytest.approx([0.004, 0.004, 0.002])


def test_a_rest_has_an_end_however_long_the_work_took() -> None:
    clock = Clock()
    assert list(clock.worked(4, each=1.0)) == list(range(4))
    assert clock.rests == [LONGEST]


def test_nothing_takes_no_rest() -> None:
    clock = Clock()
    assert list(clock.worked(0)) == []
    assert clock.rests == []


def test_what_fails_on_the_way_fails_here() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(unhurried(broken(), sleep=lambda _: None))
