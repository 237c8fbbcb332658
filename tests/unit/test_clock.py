"""What is now (domain.md 4): the machine's clock but never earlier than the latest instant acted on; once a networked
store was in touch, that store's clock; and an operator can settle it. The floor survives any end of the process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from sidecar.core.calendar import format_instant
from sidecar.core.model import DAY, SECOND, Instant
from sidecar.state import settling
from sidecar.state.clock import Clock, NowRule
from sidecar.state.clockfile import SLOT, ClockFile, ClockFileUnusable, Remembered
from sidecar.state.clockkeeper import ClockKeeper
from sidecar.state.directory import CLOCK, StateDirectory, StateInUse, StateUnusable
from sidecar.state.settling import NotSettled, answer_request, settle
from tests.fakes import Hands
from tests.serving import deskgate

START = 1_800_000_000 * SECOND
YEAR = 365 * DAY


class Machine:
    """A clock on hands that tests move."""

    def __init__(self, path: Path, *, at: Instant = START, elapsed: int = 7 * SECOND) -> None:
        self.hands, self.boot = Hands(at), Hands(elapsed)
        self.path = path
        self.clock = self.restarted()

    def restarted(self) -> Clock:
        self.clock = Clock(ClockFile(self.path), machine=self.hands, boot=self.boot)
        return self.clock

    def passes(self, micros: int) -> None:
        self.hands.micros += micros
        self.boot.micros += micros


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "clock")


def test_now_is_the_machines_clock(machine: Machine) -> None:
    assert machine.clock.now() == START
    machine.passes(1)
    assert machine.clock.now() == START + 1
    assert (machine.clock.source, machine.clock.offset) == ("machine", 0)


def test_case_26_a_clock_turned_back_revives_nothing(machine: Machine) -> None:
    assert machine.clock.now() == START
    machine.hands.micros -= 2 * DAY
    assert machine.clock.now() == START
    assert (machine.clock.source, machine.clock.offset) == ("floor", -2 * DAY)
    machine.clock.save()
    assert machine.restarted().now() == START


def test_case_27_a_networked_store_settles_a_clock_that_had_jumped_ahead(machine: Machine) -> None:
    machine.hands.micros += YEAR
    assert machine.clock.now() == START + YEAR
    machine.hands.micros -= YEAR
    assert machine.clock.now() == START + YEAR
    machine.clock.contact(START + 60 * SECOND)
    assert machine.clock.now() == START + 60 * SECOND
    assert machine.clock.source == "store"
    machine.passes(SECOND)
    assert machine.clock.now() == START + 61 * SECOND
    machine.clock.save()
    assert machine.restarted().now() == START + 61 * SECOND


def test_a_networked_stores_clock_goes_on_whatever_is_done_to_the_machines(machine: Machine) -> None:
    machine.clock.contact(START + DAY)
    machine.hands.micros -= YEAR
    machine.boot.micros += 3600 * SECOND  # asleep or awake: elapsed is elapsed
    assert machine.clock.now() == START + DAY + 3600 * SECOND
    assert machine.clock.offset == -(YEAR + DAY + 3600 * SECOND)


def test_a_store_in_a_file_is_contact_for_freshness_never_for_time(machine: Machine) -> None:
    machine.hands.micros -= DAY
    machine.clock.contact()
    assert machine.clock.now() == START
    assert machine.clock.last_contact == START
    assert machine.clock.source == "floor"


def test_the_last_contact_survives_a_restart(machine: Machine) -> None:
    assert machine.clock.last_contact is None
    machine.clock.contact()
    machine.clock.save()
    machine.passes(DAY)
    assert machine.restarted().last_contact == START


def test_settling_takes_the_machines_clock_as_right(machine: Machine) -> None:
    machine.hands.micros += YEAR
    machine.clock.contact()
    machine.hands.micros -= YEAR
    with capture_logs() as logs:
        done = machine.clock.settle("ann")
    assert (done.before, done.after, done.by) == (START + YEAR, START, "ann")
    assert [(line["event"], line["by"]) for line in logs] == [("the clock was settled", "ann")]
    assert machine.clock.now() == START
    assert machine.clock.last_contact == START  # else data would count as fresh for a year
    machine.restarted()
    assert (machine.clock.now(), machine.clock.last_contact) == (START, START)


def test_settling_cannot_overrule_a_networked_store(machine: Machine) -> None:
    machine.clock.contact(START + DAY)
    done = machine.clock.settle("ann")
    assert (done.before, done.after) == (START + DAY, START + DAY)


def test_a_settlement_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "clock")
    machine.hands.micros += YEAR
    machine.clock.now()
    machine.hands.micros -= YEAR
    (tmp_path / "clock").mkdir()
    with pytest.raises(ClockFileUnusable, match="cannot be written"):
        machine.clock.settle("ann")
    assert machine.clock.now() == START + YEAR


Event = tuple[str, int]
EVENTS = st.lists(
    st.tuples(st.sampled_from(["machine", "elapsed", "contact", "settle"]), st.integers(-3 * YEAR, 3 * YEAR)),
    max_size=12,
)


@given(events=EVENTS)
def test_the_clock_is_its_rule_spelled_out(events: list[Event], tmp_path_factory: pytest.TempPathFactory) -> None:
    """After any events the clock's `now` is that of `NowRule`; by itself it never falls."""
    machine = Machine(tmp_path_factory.mktemp("clock") / "clock")
    rule = NowRule(floor=START)
    last = START
    for kind, amount in events:
        match kind:
            case "machine":
                machine.hands.micros += amount
            case "elapsed":
                machine.boot.micros += abs(amount)
            case "contact":
                machine.clock.contact(START + amount)
                rule = rule.contact(START + amount, elapsed=machine.boot.micros)
            case "settle":
                machine.clock.settle("ann")
                rule = rule.settled(machine.hands.micros)
        now = rule.now(machine=machine.hands.micros, elapsed=machine.boot.micros)
        rule = rule.acted(now)
        assert machine.clock.now() == now
        assert now >= last or kind in ("contact", "settle")
        last = now


def test_the_floor_never_falls_while_threads_race() -> None:
    clock = Clock(ClockFile(Path("/nonexistent/clock")))
    fell: list[Instant] = []

    def ask() -> None:
        last = clock.now()
        for _ in range(20_000):
            now = clock.now()
            if now < last:
                fell.append(now)
            last = now

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert not fell


# The file


def test_every_write_can_be_read_back(tmp_path: Path) -> None:
    file = ClockFile(tmp_path / "clock")
    assert file.read() is None
    for floor, contact in ((1, None), (2, 1), (-3, -4), (START, START)):
        remembered = Remembered(floor=floor, last_contact=contact)
        file.write(remembered)
        assert ClockFile(file.path).read() == remembered
    assert file.path.stat().st_size == 2 * SLOT


@pytest.mark.parametrize("torn_at", range(0, 50, 7))
def test_a_torn_write_leaves_what_was_written_before(tmp_path: Path, torn_at: int) -> None:
    file = ClockFile(tmp_path / "clock")
    before = Remembered(floor=START, last_contact=None)
    file.write(before)  # slot 1
    file.write(Remembered(floor=START + 1, last_contact=None))  # slot 0
    data = bytearray(file.path.read_bytes())
    data[torn_at:SLOT] = b"\xff" * (SLOT - torn_at)
    file.path.write_bytes(data)
    again = ClockFile(file.path)
    assert again.read() == before
    after = Remembered(floor=START + 2, last_contact=START)
    again.write(after)
    assert ClockFile(file.path).read() == after


@pytest.mark.parametrize("content", [b"garbage", b"x" * 2048, b"deskgate-clock 1 1 1 never 00000000\n"])
def test_a_damaged_file_is_told_and_written_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clock").write_bytes(content)
    with capture_logs() as logs:
        machine = Machine(tmp_path / "clock")
    assert [line["log_level"] for line in logs] == ["error"]
    assert machine.clock.now() == START
    machine.clock.save()
    assert ClockFile(machine.path).read() == Remembered(floor=START, last_contact=None)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "clock").mkdir()
    with pytest.raises(ClockFileUnusable, match="cannot be read"):
        ClockFile(tmp_path / "clock").read()


# The keeper


def test_the_floor_is_on_disk_within_a_second(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    clock = Clock(ClockFile(state.clock))
    keeper = ClockKeeper(clock, tmp_path)
    keeper.start()
    try:
        acted = clock.now()
        until = time.monotonic() + 1
        while not ((found := ClockFile(state.clock).read()) and found.floor >= acted):
            assert time.monotonic() < until, "the floor was not on disk within a second"
            time.sleep(0.01)
    finally:
        last = clock.now()
        keeper.stop()
    found = ClockFile(state.clock).read()
    assert found is not None
    assert found.floor == last


def test_what_cannot_be_kept_is_told_once_counted_always_and_kept_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "clock")
    keeper = ClockKeeper(machine.clock, tmp_path)
    (tmp_path / "clock").mkdir()
    with capture_logs() as logs:
        keeper.tick()
        keeper.tick()
    assert keeper.failures == 2
    assert [line["work"] for line in logs] == ["save"]
    (tmp_path / "clock").rmdir()
    keeper.tick()
    assert keeper.failures == 2
    assert ClockFile(tmp_path / "clock").read() == Remembered(floor=START, last_contact=None)


@pytest.mark.parametrize(("behind", "warned"), [(5 * SECOND, False), (5 * SECOND + 1, True), (YEAR, True)])
def test_an_offset_of_more_than_five_seconds_is_warned_of_once(machine: Machine, behind: int, warned: bool) -> None:
    keeper = ClockKeeper(machine.clock, machine.path.parent)
    machine.clock.now()
    machine.hands.micros -= behind
    with capture_logs() as logs:
        keeper.tick()
        keeper.tick()
    assert keeper.far_off is warned
    assert [line["log_level"] for line in logs] == (["warning"] if warned else [])
    machine.hands.micros += behind
    with capture_logs() as logs:
        keeper.tick()
    assert not keeper.far_off
    assert [line["log_level"] for line in logs] == (["info"] if warned else [])


# Settling, from another process


def ahead(state: Path) -> Instant:
    """Leaves a memory as of a clock that was a year ahead."""
    floor = time.time_ns() // 1000 + YEAR
    ClockFile(state / CLOCK).write(Remembered(floor=floor, last_contact=floor))
    return floor


def test_settling_a_stopped_sidecar(tmp_path: Path) -> None:
    floor = ahead(tmp_path)
    done = settle(tmp_path, by="ann")
    assert done.before == floor
    assert abs(done.after - time.time_ns() // 1000) < 60 * SECOND
    found = ClockFile(tmp_path / CLOCK).read()
    assert found == Remembered(floor=done.after, last_contact=done.after)
    (line,) = (tmp_path / settling.LOG).read_text().splitlines()
    assert json.loads(line)["by"] == "ann"
    StateDirectory(tmp_path).close()  # it was let go


def test_settling_a_running_sidecar(tmp_path: Path) -> None:
    floor = ahead(tmp_path)
    state = StateDirectory(tmp_path)
    clock = Clock(ClockFile(state.clock))
    assert clock.now() == floor
    keeper = ClockKeeper(clock, tmp_path)
    keeper.start()
    try:
        command = [sys.executable, "-m", "sidecar", "clock", "settle", "--state-dir", str(tmp_path), "--by", "bob"]
        told = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60, check=True)
    finally:
        keeper.stop()
    assert json.loads(told.stdout)["by"] == "bob"
    assert clock.now() < floor
    assert not (tmp_path / settling.REQUEST).exists()
    assert not (tmp_path / settling.ANSWER).exists()
    state.close()


def test_a_sidecar_that_does_not_answer_is_told_and_the_request_withdrawn(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    with pytest.raises(NotSettled, match=rf"in use by process {os.getpid()}.*did not answer"):
        settle(tmp_path, by="ann", patience=0.1)
    assert not (tmp_path / settling.REQUEST).exists()
    state.close()


def test_what_hinders_a_running_sidecar_is_told_to_who_asked(machine: Machine) -> None:
    state = machine.path.parent
    (state / settling.REQUEST).write_text('{"id": "1", "by": "ann"}')
    (state / settling.LOG).mkdir()
    with pytest.raises(NotSettled, match="could not be logged"):
        answer_request(machine.clock, state)
    assert "could not be logged" in json.loads((state / settling.ANSWER).read_text())["problem"]
    assert not (state / settling.REQUEST).exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", "\x00"])
def test_a_request_that_is_none_is_removed_and_told(machine: Machine, content: str) -> None:
    state = machine.path.parent
    (state / settling.REQUEST).write_text(content)
    with pytest.raises(NotSettled, match="was no request"):
        answer_request(machine.clock, state)
    assert answer_request(machine.clock, state) is None


def test_there_must_be_a_state_directory(tmp_path: Path) -> None:
    with pytest.raises(NotSettled, match="there is no state directory"):
        settle(tmp_path / "none", by="ann")
    assert not (tmp_path / "none").exists()


def test_the_clock_is_shown_as_it_is_kept(tmp_path: Path) -> None:
    floor = ahead(tmp_path)
    shown = deskgate("clock", "show", "--state-dir", tmp_path, "--json")
    told = json.loads(shown.stdout)
    assert told["floor"] == told["last_contact"] == format_instant(floor)
    assert told["machine_behind_seconds"] > YEAR / SECOND - 60
    assert "machine_behind_seconds" in deskgate("clock", "show", "--state-dir", tmp_path).stdout


@pytest.mark.parametrize(("content", "told"), [(None, "nothing is kept there yet"), (b"garbage", "damaged")])
def test_a_clock_that_is_not_kept_is_told(tmp_path: Path, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / CLOCK).write_bytes(content)
    shown = deskgate("clock", "show", "--state-dir", tmp_path)
    assert (shown.returncode, told in shown.stderr) == (1, True)


def test_settling_tells_people_what_it_did(tmp_path: Path) -> None:
    ahead(tmp_path)
    assert deskgate("clock", "settle", "--state-dir", tmp_path).stdout.startswith("settled: it was ")
    assert deskgate("clock", "settle", "--state-dir", tmp_path).stdout.startswith("nothing to settle")
    refused = deskgate("clock", "settle", "--state-dir", tmp_path / "none")
    assert (refused.returncode, "there is no state directory" in refused.stderr) == (2, True)


# The state directory


def test_a_state_directory_is_one_process_own(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "new" / "state")
    imports = "from pathlib import Path; from sidecar.state.directory import StateDirectory"
    code = f"{imports}; StateDirectory(Path({str(state.path)!r}))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert f"StateInUse: the state directory {state.path} is in use by process {os.getpid()}" in told.stderr
    state.close()
    state.close()
    StateDirectory(state.path).close()


def test_a_state_directory_taken_twice_in_one_process_is_refused(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    with pytest.raises(StateInUse):
        StateDirectory(tmp_path)
    state.close()


def test_a_state_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnusable, match="cannot be used"):
        StateDirectory(tmp_path / "file" / "state")
