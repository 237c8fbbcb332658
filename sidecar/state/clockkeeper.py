"""The thread that keeps the clock's memory on disk, lets operators settle it, and warns of an offset (domain.md 4)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from sidecar.core.model import SECOND
from sidecar.state.clock import Clock
from sidecar.state.settling import answer_request

EVERY: Final = 0.5
"""Seconds: well under the one within which the floor must be on disk."""
OFFSET_WARNED: Final = 5 * SECOND


class ClockKeeper:
    """Keeps one clock whose state directory is this process' own."""

    def __init__(self, clock: Clock, state: Path, on_failure: Callable[[], None] = lambda: None) -> None:
        self.failures = 0
        """How often the clock's memory could not be written, or a request not be followed."""
        self.far_off = False
        """Whether the machine's clock is more than 5 s from the instant decided by."""
        self._on_failure: Final = on_failure
        self._clock: Final = clock
        self._state: Final = state
        self._stopping: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="deskgate-clock", daemon=True)
        self._log: Final = structlog.get_logger(component="clock")
        self._failing: frozenset[str] = frozenset()

    def start(self) -> None:
        """Begins to keep. Once only."""
        self._thread.start()

    def stop(self) -> None:
        """Ends, after a last writing."""
        self._stopping.set()
        if self._thread.ident is None:
            self.tick()
        else:
            self._thread.join()

    def tick(self) -> None:
        """What is done every `EVERY` seconds. Never raises: what fails is counted, told once, and tried again."""
        failing = set()
        for work in (self._follow_request, self._clock.save, self._watch_offset):
            try:
                work()
            except Exception as e:
                self.failures += 1
                self._on_failure()
                failing.add(work.__name__)
                if work.__name__ not in self._failing:
                    self._log.error("the clock could not be kept", work=work.__name__, exc_info=e)
        self._failing = frozenset(failing)

    def _run(self) -> None:
        while not self._stopping.wait(EVERY):
            self.tick()
        self.tick()

    def _follow_request(self) -> None:
        answer_request(self._clock, self._state)

    def _watch_offset(self) -> None:
        offset = self._clock.offset
        far_off = abs(offset) > OFFSET_WARNED
        if far_off and not self.far_off:
            self._log.warning(
                "the machine's clock is far from the instant decided by; if it is right, run `deskgate clock settle`",
                offset_seconds=offset / SECOND,
                decided_by=self._clock.source,
            )
        elif self.far_off and not far_off:
            self._log.info("the machine's clock agrees again with the instant decided by")
        self.far_off = far_off
