"""A license issued later than those before settles the clock, once, whatever is restarted in between (domain.md 4)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from sidecar.core.model import DAY, SECOND, Instant
from sidecar.state.clock import Clock, NowRule
from sidecar.state.clockfile import SLOT, ClockFile, ClockFileUnusable, Remembered
from tests.fakes import Hands

START = 1_800_000_000 * SECOND
YEAR = 365 * DAY


class Machine:
    """A clock on hands that tests move."""

    def __init__(self, folder: Path) -> None:
        self.path, self.hands, self.boot = folder / "clock", Hands(START), Hands(7 * SECOND)
        self.clock = self.restarted()

    def restarted(self) -> Clock:
        self.clock = Clock(ClockFile(self.path), machine=self.hands, boot=self.boot)
        return self.clock


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def jumped(machine: Machine) -> None:
    """The machine's clock was a year ahead for a moment."""
    machine.hands.micros += YEAR
    machine.clock.contact()
    machine.hands.micros -= YEAR
    assert machine.clock.now() == START + YEAR


def test_a_license_issued_later_lets_the_floor_fall(machine: Machine) -> None:
    jumped(machine)
    with capture_logs() as logs:
        assert machine.clock.settled_by_license(START - DAY)
    assert (machine.clock.now(), machine.clock.last_contact) == (START, START)
    assert [(line["before"], line["after"]) for line in logs] == [(START + YEAR, START)]


def test_now_is_at_least_its_issue_instant(machine: Machine) -> None:
    assert machine.clock.settled_by_license(START + DAY)
    assert (machine.clock.now(), machine.clock.source) == (START + DAY, "floor")
    assert machine.restarted().now() == START + DAY


def test_the_same_license_settles_once_through_restarts(machine: Machine) -> None:
    assert machine.clock.settled_by_license(START - DAY)
    jumped(machine)
    assert not machine.clock.settled_by_license(START - DAY)
    machine.clock.save()
    machine.restarted()
    assert not machine.clock.settled_by_license(START - DAY)
    assert not machine.clock.settled_by_license(START - 2 * DAY)  # nor does one issued earlier
    assert machine.clock.now() == START + YEAR
    machine.clock.settle("ann")
    jumped(machine)
    assert not machine.restarted().settled_by_license(START - DAY)  # an operator's word forgets nothing
    assert machine.clock.settled_by_license(START - DAY + 1)


def test_a_networked_stores_clock_stands_above_it(machine: Machine) -> None:
    machine.clock.contact(START + DAY)
    assert machine.clock.settled_by_license(START - DAY)
    assert (machine.clock.now(), machine.clock.source) == (START + DAY, "store")


def test_what_cannot_be_written_settles_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    jumped(machine)
    machine.path.mkdir()
    with pytest.raises(ClockFileUnusable):
        machine.clock.settled_by_license(START)
    assert machine.clock.now() == START + YEAR
    machine.path.rmdir()
    assert machine.clock.settled_by_license(START)


@given(st.integers(-(2**62), 2**62), st.none() | st.integers(0, 2**62), st.none() | st.integers(-(2**62), 2**62))
def test_what_is_remembered_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, floor: int, contact: int | None, licensed: int | None
) -> None:
    path = tmp_path_factory.mktemp("clock") / "clock"
    remembered = Remembered(floor=floor, last_contact=contact, licensed=licensed)
    ClockFile(path).write(remembered)
    file = ClockFile(path)
    assert (file.read(), file.damaged) == (remembered, False)
    assert path.read_bytes()[SLOT:].startswith(b"deskgate-clock 1" if licensed is None else b"deskgate-clock 2")


@given(
    floor=st.integers(0, 2**62),
    lead=st.none() | st.integers(0, 2**62),
    issued=st.integers(0, 2**62),
    machine=st.integers(0, 2**62),
    elapsed=st.integers(0, 2**40),
)
def test_the_rule(floor: Instant, lead: int | None, issued: Instant, machine: Instant, elapsed: int) -> None:
    before = NowRule(floor=floor, lead=lead)
    after = before.licensed(issued)
    now = after.now(machine=machine, elapsed=elapsed)
    if lead is not None:
        assert now == before.now(machine=machine, elapsed=elapsed)
    else:
        assert now == max(machine, issued)
        assert after.acted(now).now(machine=machine - DAY, elapsed=elapsed) == now
