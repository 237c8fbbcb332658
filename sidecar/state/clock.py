"""Now, by the rules of domain.md 4: no clock that is turned back revives anything, and one bad clock can be settled.

`NowRule` is the rule, pure; `Clock` applies it to the machine's clocks and keeps its memory on disk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog

from sidecar.core.model import SECOND, Instant
from sidecar.state.clockfile import ClockFile, Remembered

NANOS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class NowRule:
    """What `now` is, given the machine's clock and the time elapsed on it since some instant, time asleep counted."""

    floor: Instant
    """The latest instant acted on."""
    lead: int | None = None
    """How far a networked store's clock was ahead of the elapsed time, at the last contact; None: never in touch."""

    def now(self, *, machine: Instant, elapsed: int) -> Instant:
        """The instant to decide by."""
        return max(machine, self.floor) if self.lead is None else elapsed + self.lead

    def acted(self, now: Instant) -> NowRule:
        """After deciding by `now`: the floor rises to it, and under a store's clock it falls to it too."""
        return replace(self, floor=max(now, self.floor) if self.lead is None else now)

    def contact(self, store_instant: Instant, *, elapsed: int) -> NowRule:
        """After a networked store told its instant: that settles the matter, in both directions."""
        return NowRule(floor=store_instant, lead=store_instant - elapsed)

    def settled(self, machine: Instant) -> NowRule:
        """After an operator said that the machine's clock is right: the floor falls to it."""
        return replace(self, floor=machine)

    def licensed(self, issued_at: Instant) -> NowRule:
        """After a license issued later than any before it: now is at least its issue instant, and the floor falls to
        it. A networked store's clock stands above that."""
        return replace(self, floor=issued_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What `deskgate clock settle` changed: the instant decided by, before and after, and the word of whom."""

    before: Instant
    after: Instant
    by: str


class Clock:
    """The sidecar's clock. `now` may be called from any thread, at any rate."""

    __slots__ = ("_boot", "_file", "_lead", "_licensed", "_lock", "_log", "_machine", "_saved", "floor", "last_contact")

    def __init__(
        self,
        file: ClockFile,
        *,
        machine: Callable[[], int] = time.time_ns,
        boot: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    ) -> None:
        """Remembers what `file` holds; `machine` and `boot` count nanoseconds. Raises ClockFileUnusable."""
        self._file: Final = file
        self._machine: Final = machine
        self._boot: Final = boot
        self._lock: Final = threading.Lock()
        self._log: Final = structlog.get_logger(component="clock")
        self._saved = file.read()
        if file.damaged:
            self._log.error("the clock's file is damaged: its floor is lost, the machine's clock is taken as it is")
        self._lead: int | None = None
        self.floor: Instant = self._saved.floor if self._saved else machine() // NANOS
        """The latest instant acted on."""
        self.last_contact: Instant | None = self._saved.last_contact if self._saved else None
        """When the store was last in touch, in this process or an earlier one."""
        self._licensed: Instant | None = self._saved.licensed if self._saved else None

    def now(self) -> Instant:
        """The instant to decide by: `NowRule.now` and `NowRule.acted`, spelled out for speed.

        Between reading the floor and raising it there is no call, so the interpreter does not change threads there,
        and the floor never falls by a race.
        """
        if self._lead is None:
            machine = self._machine() // 1000
            if machine > self.floor:
                self.floor = machine
                return machine
            return self.floor
        return self._boot() // 1000 + self._lead

    @property
    def rule(self) -> NowRule:
        """The rule as it stands."""
        return NowRule(floor=self.floor, lead=self._lead)

    @property
    def machine(self) -> Instant:
        """What the machine's clock says, right or wrong."""
        return self._machine() // NANOS

    @property
    def offset(self) -> int:
        """Microseconds by which the machine's clock is ahead of `now`; negative while it is behind."""
        machine = self.machine
        return machine - self.rule.now(machine=machine, elapsed=self._elapsed())

    @property
    def source(self) -> str:
        """What `now` is taken from at the moment: "store", "machine", or "floor" while the machine is behind that."""
        if self._lead is not None:
            return "store"
        return "floor" if self.offset < 0 else "machine"

    def contact(self, store_instant: Instant | None = None) -> None:
        """The store was in touch just now. Only one over a network tells its instant, and settles what `now` is."""
        if store_instant is not None:
            self._adopt(self.rule.contact(store_instant, elapsed=self._elapsed()))
        self.last_contact = self.now()

    def settle(self, by: str) -> Settlement:
        """Takes the machine's clock as right, on an operator's word; durable when it returns.

        Raises ClockFileUnusable, and has changed nothing then.
        """
        with self._lock:
            before, rule = self.now(), self.rule.settled(self.machine)
            after = rule.now(machine=rule.floor, elapsed=self._elapsed())
            contact = self.last_contact if self.last_contact is None else min(self.last_contact, after)
            self._write(Remembered(floor=rule.floor, last_contact=contact, licensed=self._licensed))
            self._adopt(rule)
            self.last_contact = contact
        self._log.warning("the clock was settled", before=before, after=after, by=by)
        return Settlement(before=before, after=after, by=by)

    def settled_by_license(self, issued_at: Instant) -> bool:
        """Takes the issue instant of the license in use as past, once for each license issued later than those before
        it, whatever restarts; durable when it returns. True: that was now.

        Raises ClockFileUnusable, and has changed nothing then.
        """
        with self._lock:
            if self._licensed is not None and issued_at <= self._licensed:
                return False
            before, rule = self.now(), self.rule.licensed(issued_at)
            after = rule.now(machine=self.machine, elapsed=self._elapsed())
            contact = self.last_contact if self.last_contact is None else min(self.last_contact, after)
            self._write(Remembered(floor=rule.floor, last_contact=contact, licensed=issued_at))
            self._adopt(rule)
            self._licensed, self.last_contact = issued_at, contact
        if abs(after - before) >= SECOND:
            self._log.warning("the clock was settled", before=before, after=after, by="a license issued later")
        return True

    def save(self) -> None:
        """Makes the floor and the last contact durable, if they moved. Raises ClockFileUnusable."""
        with self._lock:
            if self._lead is not None:
                self.floor = self.now()
            remembered = Remembered(floor=self.floor, last_contact=self.last_contact, licensed=self._licensed)
            if remembered != self._saved:
                self._write(remembered)

    def _elapsed(self) -> int:
        return self._boot() // NANOS

    def _adopt(self, rule: NowRule) -> None:
        self.floor, self._lead = rule.floor, rule.lead

    def _write(self, remembered: Remembered) -> None:
        self._file.write(remembered)
        self._saved = remembered
