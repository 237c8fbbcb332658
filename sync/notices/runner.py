"""Planning and sending, over and over. Any number of runners may work on one store (domain.md 3, reminders).

A notice is claimed for a time in a short transaction, in which it is seen whether it still holds; it is handed over
with no transaction open, and what came of it is recorded before the next one. A runner that dies between the server's
yes and that record leaves a claim that runs out: the notice is sent once more, with the same Message-ID.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from random import SystemRandom
from threading import Event
from typing import Any, Final

from sidecar.core.errors import DeskgateError, InvalidRequest
from sidecar.core.model import SECOND, Instant
from sidecar.observe.logs import log
from sync.notices.letters import FACTS, Letters, Reader
from sync.notices.planner import RUNNER, Planner, is_reminder
from sync.notices.smtp import Delivery, Mailer, NotSent, Server, Unreachable, message
from sync.store import notices
from sync.store.audit import By
from sync.store.db import Store, Writing
from sync.store.errors import StoreError
from sync.store.notices import Addressed, Facts

FIRST_DELAY: Final = 60 * SECOND
LONGEST_DELAY: Final = 6 * 3600 * SECOND
"""Bounds on the time before another attempt, which is drawn from 0 to a bound that doubles: full jitter."""
NO_CONTACTS: Final = "no contacts: give the tenant some, then `deskgate notices retry`"
OVER: Final = "it holds no more: renewed, archived, or a later one is due"
MAILBOX: Final = re.compile(r"[^\s<>:;,]+@")
_log: Final = log("notices")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds between plannings, between looks for what is due, and for which a claim holds; attempts; a batch."""

    plan_every: float = 300.0
    look_every: float = 1.0
    lease: float = 300.0
    attempts: int = 24
    batch: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A notice that is ours to send, to those who do not have it yet."""

    addressed: Addressed
    facts: Facts
    message_id: str
    to: tuple[str, ...]

    @property
    def id(self) -> int:
        """Its number."""
        return self.addressed.notice.id

    @property
    def done(self) -> tuple[str, ...]:
        """Those who have it from an earlier attempt."""
        return self.addressed.notice.recipients


def _machine() -> Instant:
    return time.time_ns() // 1000


class Runner:
    """One runner. `clock` tells the instant that it plans and claims by; `tally` counts what came of it."""

    def __init__(
        self,
        store: Store,
        planner: Planner,
        letters: Letters,
        server: Server,
        *,
        pace: Pace = Pace(),
        clock: Callable[[], Instant] = _machine,
    ) -> None:
        if pace.lease < 4 * server.timeout:
            raise InvalidRequest("lease", f"at least four times the mail server's timeout, {4 * server.timeout:g} s")
        self._store: Final = store
        self._planner: Final = planner
        self._letters: Final = letters
        self._server: Final = server
        self._pace: Final = pace
        self._clock: Final = clock
        self._store_id: Final = store.status().store_id
        self._stop: Final = Event()
        self._random: Final = SystemRandom()
        self.name: Final = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.tally: Final[Counter[str]] = Counter()

    def stop(self) -> None:
        """Has it end after the letter that is on its way."""
        self._stop.set()

    def once(self) -> None:
        """Plans, and sends until nothing is due. Raises StoreError."""
        self.plan()
        while not self._stop.is_set() and self.send_due():
            pass

    def run(self) -> None:
        """Plans and sends until it is stopped. A store that cannot be used is waited for."""
        planned_at, trouble = float("-inf"), ""
        while not self._stop.is_set():
            busy = False
            try:
                if time.monotonic() - planned_at >= self._pace.plan_every:
                    self.plan()
                    planned_at = time.monotonic()
                busy = self.send_due()
                if trouble:
                    trouble = ""
                    _log.info("store can be used again")
            except StoreError as e:
                if e.advice != trouble:
                    trouble = e.advice
                    _log.error("store cannot be used", code=e.code, problem=e.advice)
            if not busy:
                self._stop.wait(self._pace.look_every)

    def plan(self) -> None:
        """Queues what is to be sent. Raises StoreError."""
        began = time.monotonic()
        count = self._planner.plan(self._store, self._clock(), self._stop.is_set)
        self.tally["planned"] += count
        _log.info("planned", queued=count, seconds=round(time.monotonic() - began, 3))

    def send_due(self) -> bool:
        """Claims some of what is due and sends it; False: nothing was due. Raises StoreError."""
        with self._store.reading() as conn:
            if not notices.due(conn, now=self._clock(), limit=1):
                return False
        claimed, deadline = self._claim()
        if claimed:
            self._hand_over(claimed, deadline)
        return True

    def _claim(self) -> tuple[list[Claimed], float]:
        """What is ours to send, and until when, by the monotonic clock."""
        with self._writing() as writing:
            now, deadline = self._clock(), time.monotonic() + self._pace.lease
            found = notices.due(writing.conn, now=now, limit=self._pace.batch)
            return [claimed for one in found if (claimed := self._taken(writing, one, now)) is not None], deadline

    def _taken(self, writing: Writing, one: Addressed, now: Instant) -> Claimed | None:
        """Claims a notice, unless it holds no more or cannot be sent."""
        notice = one.notice
        facts = self._planner.recheck(writing.conn, notice, now) if is_reminder(notice) else notice.facts
        to = tuple(address for address in one.contacts if address not in notice.recipients)
        if one.erased or facts is None:
            notices.cancel(writing, notice.id, "the tenant is erased" if one.erased else OVER)
            self._told(one, "cancelled", "")
        elif notice.kind not in FACTS:
            error = f"{notice.kind!r} is no kind of notice that this version knows"
            notices.unsendable(writing, notice.id, error)
            self._told(one, "failed", error)
        elif not to and notice.recipients:
            notices.sent(writing, notice.id, at=now, recipients=notice.recipients, error=notice.error)
            self._told(one, "sent", notice.error)
        elif not to:
            notices.unsendable(writing, notice.id, NO_CONTACTS)
            self._told(one, "failed", NO_CONTACTS)
        else:
            message_id = notice.message_id or self._message_id(notice.id)
            until = now + int(self._pace.lease * SECOND)
            notices.claim(writing, notice.id, by=self.name, until=until, message_id=message_id, facts=facts)
            return Claimed(addressed=one, facts=facts, message_id=message_id, to=to)
        return None

    def _message_id(self, notice_id: int) -> str:
        return f"<deskgate.{notice_id}.{self._store_id}@{self._server.sender.domain}>"

    def _hand_over(self, claimed: Sequence[Claimed], deadline: float) -> None:
        """Sends what was claimed, as far as the claim certainly lasts; gives the rest back."""
        left = list(claimed)
        try:
            with Mailer(self._server) as mailer:
                while left and not self._stop.is_set():
                    mailer.connect()
                    if time.monotonic() + 2 * self._server.timeout > deadline:
                        break
                    self._send(mailer, left[0])
                    left.pop(0)
            if len(left) == len(claimed) and not self._stop.is_set():
                raise Unreachable(f"{self._server.place} takes too long to let us in")
        except Unreachable as e:
            for one in left:
                self._record(one, e)
            return
        if left:
            self._keep(partial(notices.release, notice_ids=[one.id for one in left], by=self.name))

    def _send(self, mailer: Mailer, one: Claimed) -> None:
        now, about = self._clock(), one.addressed
        reader = Reader(tenant_id=about.notice.tenant_id, name=about.name, zone=about.zone, language=about.language)
        try:
            letter = self._letters.write(about.notice.kind, one.facts, reader, now)
            sender, to = self._server.sender, about.contacts
            mail = message(letter, sender=sender, to=to, message_id=one.message_id, at=now)
            result: Delivery | DeskgateError = mailer.send(mail, one.to)
        except Unreachable:
            raise
        except DeskgateError as e:
            result = e
        self._record(one, result)

    def _record(self, one: Claimed, result: Delivery | DeskgateError) -> None:
        """Records what came of an attempt, and tells it."""
        done, again, error = one.done, False, str(result)
        if isinstance(result, Delivery):
            done, again, error = (*done, *result.accepted), result.unfinished, result.problem
        elif isinstance(result, NotSent):
            again = not result.final
        attempts = one.addressed.notice.attempts + 1
        said: dict[str, Any] = {"notice_id": one.id, "error": error}
        if again and attempts < self._pace.attempts:
            outcome, until = "postponed", self._clock() + self._delay(attempts)
            change = partial(notices.postponed, **said, by=self.name, recipients=done, until=until)
        elif done:
            outcome = "sent"
            change = partial(notices.sent, **said, at=self._clock(), recipients=done)
        else:
            outcome = "failed"
            change = partial(notices.failed, **said, by=self.name)
        self._keep(change)
        self._told(one.addressed, outcome, error)

    def _delay(self, attempts: int) -> Instant:
        bound = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(attempts - 1, 20))
        return int(self._random.uniform(0, bound))

    def _keep(self, change: Callable[[Writing], None]) -> None:
        """Writes what has happened: a store that cannot be written now is waited for, as long as a claim lasts.

        Raises StoreError.
        """
        until = time.monotonic() + self._pace.lease
        while True:
            try:
                with self._writing() as writing:
                    return change(writing)
            except StoreError as e:
                if time.monotonic() > until:
                    raise
                _log.warning("not recorded yet", code=e.code, problem=e.advice)
                time.sleep(self._pace.look_every)

    def _writing(self) -> AbstractContextManager[Writing]:
        return self._store.writing(By(operator=RUNNER, at=self._clock()))

    def _told(self, one: Addressed, outcome: str, problem: str) -> None:
        """Counts and logs. Whose address it is about is in the store, and in no log."""
        self.tally[outcome] += 1
        say = _log.warning if problem else _log.info
        told = {"problem": MAILBOX.sub("***@", problem)} if problem else {}
        say(outcome, notice=one.notice.id, tenant=one.notice.tenant_id, kind=one.notice.kind, **told)
