"""Sends what is in the outbox: one at a time, in order per tenant and key, again and again until the store answers."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from random import Random
from typing import Final

import structlog

from sidecar.core.model import Instant
from sidecar.outbox.file import Outbox
from sidecar.outbox.forward import Forward, Refusal, Stuck, Unreachable
from sidecar.outbox.rows import Draft, Lane, OutboxError, OutboxUnusable, Statement
from sidecar.serving.adjust import Adjusted
from sync.feed.backoff import Backoff

ATTEMPT_SECONDS: Final = 5.0
"""How long the store may take to answer one statement."""
BASE_SECONDS: Final = 0.5
MOST_SECONDS: Final = 30.0
"""Bounds of the wait after an attempt that failed."""
NOTICE_SECONDS: Final = 1.0
"""How soon an operator's change to the outbox is noticed, and that a history is followed again."""
FAULT: Final = "a fault of deskgate's own: its log says more"
STUCK_LANES: Final = 1000
"""So many lanes may wait by themselves; with more of them, the store is as good as away."""

ALTERED: Final = "ALTERED"
"""The code of a statement that is not what was kept any more."""
Outcome = Adjusted | Refusal


class Ticket:
    """What one caller waits for: the store's answer, or that waiting is in vain."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        """Whatever it came to, too late or not."""
        self._ended: Final = threading.Event()
        self._lock: Final = threading.Lock()
        self._given_up = False

    def wait(self, seconds: float) -> Outcome | None:
        """The outcome; None: there is none yet, and this caller waits no more."""
        self._ended.wait(seconds)
        with self._lock:
            self._given_up = self.outcome is None
            return self.outcome

    def take(self, outcome: Outcome) -> bool:
        """Hands the outcome over. False: nobody waits for it any more."""
        with self._lock:
            self.outcome = outcome
            return not self._given_up

    def end(self) -> None:
        """Ends the wait."""
        self._ended.set()


def _unheard(*_: object) -> None:
    """For those who count elsewhere."""


class Sender:
    """One thread over an outbox. `state` may be called by any."""

    def __init__(
        self,
        outbox: Outbox,
        forward: Forward,
        *,
        held_back: Callable[[], str] = str,
        chance: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_sent: Callable[[], None] = _unheard,
        on_refused: Callable[[str], None] = _unheard,
    ) -> None:
        """`held_back` says why nothing is to be sent now; "": it may be. `on_refused` hears the code of each refusal
        that is kept for an operator."""
        self.problem = ""
        """Why nothing is sent at the moment; "": it is."""
        self._outbox: Final = outbox
        self._forward: Final = forward
        self._held_back: Final = held_back
        self._chance: Final = chance or Random()  # noqa: S311 - it only spreads attempts over time
        self._clock: Final = clock
        self._on_sent: Final = on_sent
        self._on_refused: Final = on_refused
        self._backoff: Backoff | None = None
        self._next_at = 0.0
        self._woken = False
        self._stuck: Final[dict[Lane, tuple[Backoff, float]]] = {}
        self._tickets: Final[dict[str, list[Ticket]]] = {}
        self._awaited: Final[deque[str]] = deque()
        self._awaited_first = False
        self._lock: Final = threading.Lock()
        self._bell: Final = threading.Event()
        self._stopping = False
        self._thread: Final = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._log: Final = structlog.get_logger(component="outbox")

    # --- for those who state usage ----------------------------------------------------------------------------------

    def state(self, draft: Draft, at: Instant, patience: float) -> Outcome:
        """Keeps a statement durably and has it sent; what the store made of it within `patience` seconds, else that it
        is queued. While nothing of its lane can be sent, it is queued at once. Raises OutboxError: nothing is promised.
        """
        ticket = self._put(draft, at)
        if ticket is None:
            return Adjusted(queued=True)
        outcome = ticket.wait(patience)
        if outcome is not None:
            return outcome
        self._forget(draft, ticket)
        if self._outbox.holds(draft.idempotency_key):
            return Adjusted(queued=True)
        if ticket.outcome is not None:
            return ticket.outcome
        raise OutboxUnusable("the outbox was damaged meanwhile; state it once more, with the same key")

    def _put(self, draft: Draft, at: Instant) -> Ticket | None:
        with self._lock:
            self._outbox.put(draft, at)
            lane = (draft.tenant_id, draft.key)
            if self._stopping or self.problem or self._held_back() or lane in self._stuck:
                return None
            ticket = Ticket()
            self._tickets.setdefault(draft.idempotency_key, []).append(ticket)
            self._awaited.append(draft.idempotency_key)
        self._bell.set()
        return ticket

    def _forget(self, draft: Draft, ticket: Ticket) -> None:
        with self._lock:
            left = [t for t in self._tickets.pop(draft.idempotency_key, ()) if t is not ticket]
            if left:
                self._tickets[draft.idempotency_key] = left

    # --- the thread -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def wake(self) -> None:
        """The store is in touch again: it is tried at once."""
        self._woken = True
        self._bell.set()

    def stop(self) -> None:
        """Sends no more; what is under way is cut off and stays in the outbox. May be called without `start`."""
        self._stopping = True
        self._bell.set()
        self._forward.close()
        if self._thread.is_alive():
            self._thread.join(ATTEMPT_SECONDS)
        self._release()

    def _run(self) -> None:
        while not self._stopping:
            self._bell.clear()
            try:
                pause = self.step()
            except OutboxError as e:
                self._pause_all(str(e))
                pause = NOTICE_SECONDS
            except Exception:
                self._log.exception("the outbox's sender failed, and goes on")
                pause = NOTICE_SECONDS
            if pause:
                self._bell.wait(pause)

    def step(self) -> float:
        """Sends one statement, if one is to be sent now. Gives the seconds until the next step; 0: at once.

        Raises OutboxError.
        """
        now = self._clock()
        if why := self._held_back():
            self._pause_all(why, foreseen=True)
            return NOTICE_SECONDS
        woken, self._woken = self._woken, False
        if self._backoff is not None and now < self._next_at and not woken:
            return self._next_at - now
        waiting = {lane for lane, (_, until) in self._stuck.items() if until > now and not woken}
        statement = self._chosen(waiting)
        if self._backoff is None:
            self._go_on()
        if statement is None:
            for lane in self._stuck.keys() - waiting:
                del self._stuck[lane]
            return min([NOTICE_SECONDS, *(until - now for _, until in self._stuck.values())])
        self._send(statement)
        return 0.0

    def _chosen(self, waiting: Collection[Lane]) -> Statement | None:
        """By turns one that a caller waits for, if it is the first of its lane, and the oldest there is."""
        self._awaited_first = not self._awaited_first
        while self._awaited_first and self._awaited:
            found = self._outbox.next_in_line(self._awaited.popleft())
            if found is not None and found.lane not in waiting:
                return found
        return self._outbox.oldest(but=waiting)

    def _send(self, statement: Statement) -> None:
        if not statement.whole:
            self._refuse(statement, Refusal(ALTERED, "the disk has altered it: have it stated anew, and drop this one"))
            return
        try:
            done = self._forward(statement.request, ATTEMPT_SECONDS)
        except Refusal as e:
            self._well(statement)
            self._refuse(statement, e)
        except Unreachable as e:
            self._away(str(e))
            self._failed(statement, str(e))
        except Stuck as e:
            self._put_by(statement, str(e))
            self._failed(statement, str(e))
        except Exception:
            self._log.exception("a statement could not be sent", idempotency_key=statement.idempotency_key)
            self._put_by(statement, FAULT)
            self._failed(statement, FAULT)
        else:
            self._well(statement)
            self._on_sent()
            self._conclude(statement, done)

    # --- what comes of it -------------------------------------------------------------------------------------------

    def _well(self, statement: Statement) -> None:
        """The store answered."""
        self._stuck.pop(statement.lane, None)
        self._backoff = None
        self._go_on()

    def _refuse(self, statement: Statement, refusal: Refusal) -> None:
        """Told to those who wait; else kept for an operator."""
        if self._conclude(statement, refusal):
            return
        self._log.error(
            "a statement that was acknowledged has been refused: see `deskgate outbox list`",
            idempotency_key=statement.idempotency_key,
            tenant=statement.tenant_id,
            key=statement.key,
            code=refusal.code,
            problem=str(refusal),
        )
        self._on_refused(refusal.code)

    def _conclude(self, statement: Statement, outcome: Outcome) -> bool:
        """Tells those who wait, and strikes the statement off, or keeps a refusal that nobody heard; at one stroke, so
        that whoever states the same once more comes before or after both. Whether anybody heard."""
        with self._lock:
            tickets = self._tickets.pop(statement.idempotency_key, ())
            taken = [ticket.take(outcome) for ticket in tickets]
            heard = any(taken)
            problem = self._noted(lambda: self._strike(statement, outcome, heard))
        for ticket in tickets:
            ticket.end()
        if problem:  # its lane must not go round and round
            self._put_by(statement, problem)
        return heard

    def _strike(self, statement: Statement, outcome: Outcome, heard: bool) -> None:
        if isinstance(outcome, Refusal) and not heard:
            self._outbox.refused(statement, outcome.code, str(outcome))
        else:
            self._outbox.remove(statement)

    def _away(self, why: str) -> None:
        """Nothing can be sent for a while."""
        now = self._clock()
        if self._backoff is None:
            self._backoff = self._new_backoff(now)
        self._next_at = now + self._backoff.failed(now)
        self._pause_all(why)

    def _put_by(self, statement: Statement, why: str) -> None:
        """Its lane waits for a while, the others go on."""
        now, lane = self._clock(), statement.lane
        if lane not in self._stuck and len(self._stuck) >= STUCK_LANES:
            self._away(why)
            return
        backoff, _ = self._stuck.get(lane) or (self._new_backoff(now), now)
        self._stuck[lane] = (backoff, now + backoff.failed(now))
        with self._lock:
            tickets = self._tickets.pop(statement.idempotency_key, ())
        for ticket in tickets:
            ticket.end()

    def _failed(self, statement: Statement, why: str) -> None:
        self._noted(lambda: self._outbox.failed(statement, why))

    def _noted(self, work: Callable[[], None]) -> str:
        """Writes what became of a statement; "", or why that cannot be: it is then sent once more, which comes to the
        same."""
        try:
            work()
        except OutboxError as e:
            self._log.error("the outbox cannot be written", problem=str(e))
            return str(e)
        return ""

    def _new_backoff(self, now: float) -> Backoff:
        return Backoff(self._chance, now=now, base=BASE_SECONDS, cap=MOST_SECONDS)

    def _pause_all(self, why: str, *, foreseen: bool = False) -> None:
        """Nobody need wait until this is over. What was `foreseen` is told by others."""
        if not self.problem:
            tell = self._log.info if foreseen else self._log.warning
            tell("statements of usage are queued: nothing can be sent", problem=why)
        with self._lock:
            self.problem = why
        self._release()

    def _go_on(self) -> None:
        if self.problem:
            self._log.info("statements of usage are sent again", after=self.problem)
        self.problem = ""

    def _release(self) -> None:
        with self._lock:
            waiting = [ticket for tickets in self._tickets.values() for ticket in tickets]
            self._tickets.clear()
            self._awaited.clear()
        for ticket in waiting:
            ticket.end()
