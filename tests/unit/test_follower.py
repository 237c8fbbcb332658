"""The thread that follows: whatever fails it goes on, as far apart as the source's pace says; and it ends when told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from sync.follower import Follower
from sync.pace import SLOWEST, Steady
from sync.sources import FailureKind, Sink, SyncFailed
from tests.serving import wait_for
from tests.sinks import Following


class Stub:
    """A source whose steps do what they are told."""

    def __init__(self, *steps: BaseException | None) -> None:
        self.pace = Steady(0.001)
        self.steps = list(steps)
        self.made = 0
        self.interrupted = self.closed = False

    def step(self, sink: Sink) -> None:
        self.made += 1
        outcome = self.steps.pop(0) if self.steps else None
        if outcome is not None:
            raise outcome
        sink.contact()

    def interrupt(self) -> None:
        self.interrupted = True

    def close(self) -> None:
        self.closed = True


def test_the_follower_goes_on_whatever_happens(following: Following) -> None:
    stub = Stub(SyncFailed(FailureKind.LOCKED, "locked"), ValueError("a fault"), KeyError("another"), None)
    follower = Follower(stub, following.sink)
    with capture_logs() as logs:
        follower.start()
        wait_for(lambda: stub.made >= 6)
        assert not follower.join(0)
        follower.stop()
        assert follower.join(5)
    assert following.sink.sync_failures == {FailureKind.LOCKED: 1, FailureKind.UNEXPECTED: 2}
    assert [line["exc_info"] for line in logs if "unexpectedly" in line["event"]]
    assert following.sink.failing is None
    assert stub.interrupted
    assert stub.closed


def test_a_sink_that_cannot_be_told_does_not_end_it(following: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(following.sink, "failed", broken)
    stub = Stub(SyncFailed(FailureKind.LOCKED, "locked"))
    follower = Follower(stub, following.sink)
    with capture_logs() as logs:
        follower.start()
        wait_for(lambda: stub.made >= 3)
        follower.stop()
        assert follower.join(5)
    assert "a failure to follow the store could not be reported" in [line["event"] for line in logs]


def test_it_waits_longer_and_longer_while_steps_fail(following: Following) -> None:
    follower = Follower(Stub(*(SyncFailed(FailureKind.LOCKED, "x") for _ in range(40))), following.sink)
    waits: list[float] = []

    class Recording(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            if len(waits) == 42:
                self.set()
            return self.is_set()

    follower._stopping = Recording()  # type: ignore[misc]
    follower.start()
    assert follower.join(5)
    assert waits[:3] == [0.002, 0.004, 0.008]
    assert max(waits) == waits[39] == SLOWEST
    assert waits[40] == 0.001


def test_a_follower_that_was_never_started_can_be_stopped(following: Following) -> None:
    follower = Follower(Stub(), following.sink)
    follower.stop()
    assert follower.join(1)


class Blocking(Stub):
    """A source whose steps last until they are interrupted."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = threading.Event()

    def step(self, sink: Sink) -> None:
        self.made += 1
        self.ended.wait()
        raise SyncFailed(FailureKind.INTERRUPTED, "it is no longer followed")

    def interrupt(self) -> None:
        super().interrupt()
        self.ended.set()


def test_a_step_that_lasts_is_ended_and_is_no_failure(following: Following) -> None:
    stub = Blocking()
    follower = Follower(stub, following.sink)
    follower.start()
    wait_for(lambda: stub.made == 1)
    began = time.monotonic()
    follower.stop()
    assert follower.join(5)
    assert time.monotonic() - began < 1
    assert (stub.made, stub.closed, following.sink.sync_failures.total()) == (1, True, 0)


class Told:
    """A pace that remembers what it was told, and when."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, float]] = []

    def well(self, now: float) -> float:
        self.heard.append(("well", now))
        return 0.0

    def failed(self, now: float) -> float:
        self.heard.append(("failed", now))
        return 0.0


def test_the_pace_is_told_how_each_step_went_and_when(following: Following) -> None:
    stub, seconds = Stub(None, SyncFailed(FailureKind.LOCKED, "x"), ValueError("a fault"), None), iter(range(10_000))
    stub.pace = told = Told()  # type: ignore[assignment]
    clock: Callable[[], float] = lambda: float(next(seconds))  # noqa: E731
    follower = Follower(stub, following.sink, clock=clock)
    follower.start()
    wait_for(lambda: len(told.heard) >= 5)
    follower.stop()
    assert follower.join(5)
    assert told.heard[:4] == [("well", 0.0), ("failed", 1.0), ("failed", 2.0), ("well", 3.0)]
