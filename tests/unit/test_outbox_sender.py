"""Sending what is in the outbox: never lost, never out of order, no caller kept waiting in vain. Time is the test's."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.outbox import sender as module
from sidecar.outbox.file import Outbox
from sidecar.outbox.forward import Refusal, Stuck, Unreachable
from sidecar.outbox.opened import Opened
from sidecar.outbox.rows import Draft, OutboxUnusable, State, Statement
from sidecar.outbox.sender import BASE_SECONDS, MOST_SECONDS, NOTICE_SECONDS, Outcome, Sender
from sidecar.outbox.writer import draft_of
from sidecar.serving.adjust import Adjusted, Adjustment
from tests.serving import wait_for

WAIT = 10.0


def draft(idempotency_key: str, tenant: str = "acme", key: str = "desk", delta: int = 1) -> Draft:
    return draft_of(Adjustment(tenant_id=tenant, key=key, idempotency_key=idempotency_key, delta=delta))


class Store:
    """Takes statements, unless the test says otherwise: `ill` may raise."""

    def __init__(self) -> None:
        self.came: list[str] = []
        """Every attempt."""
        self.taken: list[str] = []
        self.ill: Callable[[pb.AdjustUsageRequest], None] = lambda _: None

    def __call__(self, request: bytes, timeout: float) -> Adjusted:
        message = pb.AdjustUsageRequest.FromString(request)
        self.came.append(message.idempotency_key)
        self.ill(message)
        if message.idempotency_key not in self.taken:
            self.taken.append(message.idempotency_key)
        return Adjusted(units=len(self.taken), revision=100 + len(self.taken))

    def fail(self, error: Exception, *only: str) -> None:
        """Every statement ends so, or those of these keys."""

        def ill(message: pb.AdjustUsageRequest) -> None:
            if not only or message.idempotency_key in only:
                raise error

        self.ill = ill

    def get_well(self) -> None:
        """Every statement is taken again."""
        self.ill = lambda _: None

    def close(self) -> None:
        """Nothing to let go."""


class Bench:
    """A sender over an outbox, at the test's own time."""

    def __init__(self, path: Path, **more: Any) -> None:
        self.now = 1000.0
        self.held_back = ""
        self.sent = 0
        self.refused: list[str] = []
        self.store = Store()
        self.outbox = Outbox(path, limit=100)
        self.outbox.open()
        self.sender = Sender(
            self.outbox,
            self.store,
            held_back=lambda: self.held_back,
            chance=Random(5),
            clock=lambda: self.now,
            on_sent=self._count,
            on_refused=self.refused.append,
        )

    def _count(self) -> None:
        self.sent += 1

    def queue(self, *drafts: Draft) -> None:
        """States usage for which nobody waits."""
        for given in drafts:
            assert self.sender.state(given, 1, 0.0) == Adjusted(queued=True)

    def drain(self, most: int = 100) -> float:
        """Steps until there is nothing to do at once; how long it would rest."""
        for _ in range(most):
            if pause := self.sender.step():
                return pause
        raise AssertionError("there is no end to it")

    def kept(self) -> dict[str, tuple[State, str, int]]:
        return {s.idempotency_key: (s.state, s.code, s.attempts) for s in Opened(self.outbox.path).statements()}

    def waiting(self, pool: ThreadPoolExecutor, given: Draft, patience: float = WAIT) -> Any:
        """A caller that waits for the store, once it does."""
        before = sum(map(len, self.sender._tickets.values()))
        future = pool.submit(self.sender.state, given, 1, patience)
        wait_for(lambda: sum(map(len, self.sender._tickets.values())) > before)
        return future


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "outbox.db")
    yield bench
    bench.sender.stop()
    bench.outbox.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


# --- answered in time ---


def test_a_caller_gets_the_stores_answer(bench: Bench, pool: ThreadPoolExecutor) -> None:
    answer = bench.waiting(pool, draft("k1"))
    assert bench.drain() == NOTICE_SECONDS
    assert answer.result(WAIT) == Adjusted(units=1, revision=101)
    assert (bench.kept(), bench.sent, bench.sender._tickets) == ({}, 1, {})


def test_a_caller_gets_the_stores_refusal_and_nothing_is_kept(bench: Bench, pool: ThreadPoolExecutor) -> None:
    bench.store.fail(Refusal("USAGE_BELOW_ZERO", "there is 1"))
    answer = bench.waiting(pool, draft("k1"))
    bench.drain()
    refusal = answer.result(WAIT)
    assert (refusal.code, str(refusal)) == ("USAGE_BELOW_ZERO", "there is 1")
    assert (bench.kept(), bench.refused) == ({}, [])


def test_two_who_state_the_same_get_the_same_answer(bench: Bench, pool: ThreadPoolExecutor) -> None:
    first, second = bench.waiting(pool, draft("k1")), bench.waiting(pool, draft("k1"))
    bench.drain()
    assert first.result(WAIT) == second.result(WAIT) == Adjusted(units=1, revision=101)
    assert bench.store.came == ["k1"]


def test_one_who_is_waited_for_goes_before_others_lanes_by_turns(bench: Bench, pool: ThreadPoolExecutor) -> None:
    bench.queue(*(draft(f"old{n}", tenant="bulk") for n in range(4)))
    bench.sender._awaited.clear()
    answer = bench.waiting(pool, draft("new"))
    bench.drain()
    assert answer.result(WAIT).revision
    assert bench.store.came.index("new") <= 1
    assert [k for k in bench.store.came if k != "new"] == [f"old{n}" for n in range(4)]


def test_one_who_is_waited_for_does_not_overtake_its_own_lane(bench: Bench, pool: ThreadPoolExecutor) -> None:
    bench.queue(draft("a"), draft("b"))
    answer = bench.waiting(pool, draft("c"))
    bench.drain()
    assert bench.store.came == ["a", "b", "c"]
    assert answer.result(WAIT) == Adjusted(units=3, revision=103)


# --- not in time ---


def test_without_an_answer_in_time_it_is_queued_and_sent_later(bench: Bench) -> None:
    bench.queue(draft("k1"))
    assert bench.kept() == {"k1": (State.PENDING, "", 0)}
    assert bench.sender._tickets == {}
    bench.drain()
    assert (bench.store.taken, bench.kept()) == (["k1"], {})


def test_nobody_waits_while_the_store_is_away(bench: Bench, pool: ThreadPoolExecutor) -> None:
    bench.store.fail(Unreachable("nobody there"))
    first = bench.waiting(pool, draft("k1"))
    assert 0 < bench.drain() <= BASE_SECONDS
    assert first.result(WAIT) == Adjusted(queued=True)
    assert bench.sender.problem == "nobody there"
    assert bench.sender.state(draft("k2"), 1, WAIT) == Adjusted(queued=True)
    assert bench.store.came == ["k1"]
    assert bench.kept() == {"k1": (State.PENDING, "", 1), "k2": (State.PENDING, "", 0)}


def test_attempts_grow_apart_and_end_with_the_outage(bench: Bench) -> None:
    bench.store.fail(Unreachable("nobody there"))
    bench.queue(draft("k1"), draft("k2"))
    pauses = []
    with capture_logs() as logs:
        for _ in range(60):
            pauses.append(bench.drain())
            bench.now += pauses[-1]
        bench.store.get_well()
        bench.drain()
    assert max(pauses[:3]) <= 4 * BASE_SECONDS
    assert MOST_SECONDS / 3 < max(pauses) <= MOST_SECONDS
    assert len(set(pauses)) == 60, "spread by chance"
    assert bench.store.taken == ["k1", "k2"]
    assert [e["log_level"] for e in logs] == ["warning", "info"], "told once each"
    assert bench.sender.problem == ""


def test_it_is_tried_at_once_when_the_store_is_in_touch_again(bench: Bench) -> None:
    bench.store.fail(Unreachable("nobody there"))
    bench.queue(draft("k1"))
    bench.drain()
    assert bench.drain() > 0
    assert len(bench.store.came) == 1
    bench.sender.wake()
    bench.drain()
    assert len(bench.store.came) == 2
    bench.store.get_well()
    bench.sender.wake()
    bench.drain()
    assert bench.store.taken == ["k1"]


def test_a_store_that_comes_back_during_an_attempt_is_tried_again_at_once(bench: Bench) -> None:
    def ill(_: object) -> None:
        bench.store.ill = lambda _: None
        bench.sender.wake()
        raise Unreachable("nobody there")

    bench.store.ill = ill
    bench.queue(draft("k1"))
    bench.drain()
    assert bench.store.taken == ["k1"]


def test_of_one_lane_nothing_overtakes_what_was_stated_before(bench: Bench) -> None:
    bench.store.fail(Unreachable("nobody there"))
    bench.queue(draft("k1"))
    bench.drain()
    bench.store.get_well()
    bench.queue(draft("k2"), draft("k3", key="room"), draft("k4"))
    bench.sender.wake()
    bench.drain()
    assert [k for k in bench.store.taken if k != "k3"] == ["k1", "k2", "k4"]


def test_one_lane_that_is_stuck_holds_up_no_other(bench: Bench, pool: ThreadPoolExecutor) -> None:
    bench.store.fail(Stuck("INTERNAL: odd"), "k1")
    stuck = bench.waiting(pool, draft("k1"))
    bench.queue(draft("k2"))
    other = bench.waiting(pool, draft("k3", key="room"))
    pause = bench.drain()
    assert 0 < pause <= BASE_SECONDS
    assert stuck.result(WAIT) == Adjusted(queued=True)
    assert bench.sender.state(draft("k2"), 1, WAIT) == Adjusted(queued=True), "nobody waits for a lane that is stuck"
    assert other.result(WAIT).revision
    assert bench.store.taken == ["k3"], "k2 waits behind k1"
    assert bench.kept() == {"k1": (State.PENDING, "", 1), "k2": (State.PENDING, "", 0)}
    bench.now += pause
    bench.drain()
    assert bench.store.came.count("k1") == 2
    bench.store.get_well()
    bench.now += MOST_SECONDS
    bench.drain()
    assert bench.store.taken == ["k3", "k1", "k2"]
    assert bench.sender._stuck == {}


def test_a_fault_of_our_own_is_a_lane_that_is_stuck(bench: Bench) -> None:
    bench.store.fail(RuntimeError("a bug"), "k1")
    bench.queue(draft("k1"), draft("k2", key="room"))
    with capture_logs() as logs:
        bench.drain()
    assert [e["log_level"] for e in logs] == ["error"]
    assert (bench.store.taken, list(bench.kept())) == (["k2"], ["k1"])


def test_very_many_stuck_lanes_are_a_store_that_is_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STUCK_LANES", 2)
    bench.store.fail(Stuck("odd"))
    bench.queue(*(draft(f"k{n}", key=f"kind{n}") for n in range(5)))
    bench.drain()
    assert bench.store.came == ["k0", "k1", "k2"]
    assert bench.sender.problem == "odd"


def test_a_lane_whose_statement_was_dropped_is_forgotten(bench: Bench) -> None:
    bench.store.fail(Stuck("odd"))
    bench.queue(draft("k1"))
    bench.drain()
    Opened(bench.outbox.path).drop("k1", pending=True)
    bench.now += MOST_SECONDS
    assert bench.drain() == NOTICE_SECONDS
    assert bench.sender._stuck == {}


# --- refused later ---


def test_what_is_refused_when_nobody_waits_is_kept_and_told(bench: Bench) -> None:
    bench.queue(draft("k1", delta=-5), draft("k2"))
    bench.store.fail(Refusal("USAGE_BELOW_ZERO", "there is 1"), "k1")
    with capture_logs() as logs:
        bench.drain()
    assert bench.kept() == {"k1": (State.REFUSED, "USAGE_BELOW_ZERO", 1)}
    assert bench.store.taken == ["k2"], "others of its lane go on"
    assert bench.refused == ["USAGE_BELOW_ZERO"]
    assert [(e["log_level"], e["idempotency_key"], e["code"]) for e in logs] == [("error", "k1", "USAGE_BELOW_ZERO")]
    assert bench.store.came.count("k1") == 1


def test_an_operator_has_it_sent_once_more(bench: Bench) -> None:
    bench.queue(draft("k1"))
    bench.store.fail(Refusal("UNKNOWN_TENANT", "no"))
    bench.drain()
    bench.store.get_well()
    Opened(bench.outbox.path).retry("k1")
    bench.drain()
    assert (bench.store.taken, bench.kept()) == (["k1"], {})


def test_a_caller_that_states_what_was_refused_hears_how_it_goes_now(bench: Bench, pool: ThreadPoolExecutor) -> None:
    bench.queue(draft("k1"))
    bench.store.fail(Refusal("UNKNOWN_TENANT", "no"))
    bench.drain()
    again = bench.waiting(pool, draft("k1"))
    bench.drain()
    assert again.result(WAIT).code == "UNKNOWN_TENANT"
    assert (bench.kept(), bench.refused) == ({}, ["UNKNOWN_TENANT"])


def test_a_statement_that_the_disk_altered_is_never_sent(bench: Bench) -> None:
    bench.queue(draft("k1"))
    with closing(sqlite3.connect(bench.outbox.path)) as conn, conn:
        conn.execute("UPDATE statement SET tenant_id = 'other'")
    bench.drain()
    assert (bench.store.came, bench.kept()) == ([], {"k1": (State.REFUSED, "ALTERED", 1)})


@pytest.mark.parametrize("refused", [False, True])
def test_one_who_states_the_same_just_when_the_first_is_told_hears_as_well(
    refused: bool, bench: Bench, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statement is still in the outbox then, about to go: nobody would send it for him."""
    late: list[Any] = []
    remove = bench.outbox.remove

    def slowly(statement: Statement) -> None:
        if not late:
            late.append(pool.submit(bench.sender.state, draft("k1"), 1, 1.0))
            wait([late[0]], 0.2)
        remove(statement)

    monkeypatch.setattr(bench.outbox, "remove", slowly)
    if refused:
        bench.store.fail(Refusal("UNKNOWN_TENANT", "no"))
    first = bench.waiting(pool, draft("k1"))
    bench.drain()
    wait_for(lambda: late[0].done() or bool(bench.sender._tickets))
    bench.drain()
    for told in (first.result(WAIT), late[0].result(WAIT)):
        assert isinstance(told, Refusal if refused else Adjusted)
        assert told != Adjusted(queued=True)
    assert bench.kept() == {}


# --- held back ---


def test_nothing_is_sent_to_a_history_that_went_back(bench: Bench, pool: ThreadPoolExecutor) -> None:
    first = bench.waiting(pool, draft("k1"))
    bench.held_back = "the store was set back"
    assert bench.drain() == NOTICE_SECONDS
    assert first.result(WAIT) == Adjusted(queued=True)
    assert bench.sender.state(draft("k2"), 1, WAIT) == Adjusted(queued=True)
    assert (bench.store.came, bench.sender.problem) == ([], "the store was set back")
    bench.held_back = ""
    bench.drain()
    assert (bench.store.taken, bench.sender.problem) == (["k1", "k2"], "")


def test_one_who_comes_before_that_is_seen_does_not_wait_either(bench: Bench) -> None:
    bench.held_back = "the store was set back"
    assert bench.sender.state(draft("k1"), 1, WAIT) == Adjusted(queued=True)


# --- the outbox fails ---


def failing(*_: object) -> None:
    raise OutboxUnusable("there is no room left")


def test_what_cannot_be_struck_off_is_sent_again_in_good_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.queue(draft("k1"), draft("k2", key="room"))
    with monkeypatch.context() as patch:
        patch.setattr(bench.outbox, "remove", failing)
        assert 0 < bench.drain() <= BASE_SECONDS
        assert sorted(bench.store.came) == ["k1", "k2"], "not round and round"
    bench.now += MOST_SECONDS
    bench.drain()
    assert bench.kept() == {}
    assert bench.store.taken == ["k1", "k2"]


def test_a_statement_that_was_lost_with_a_damaged_file_is_not_acknowledged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.outbox, "holds", lambda _: False)
    with pytest.raises(OutboxUnusable, match="state it once more"):
        bench.sender.state(draft("k1"), 1, 0.0)


@pytest.mark.parametrize("outcome", [Adjusted(units=3), Refusal("UNKNOWN_TENANT", "no")])
def test_an_answer_just_too_late_is_an_answer(outcome: Outcome, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes between the end of the wait and the look at whether the statement is still there."""

    def holds(_: object) -> bool:
        ticket.take(outcome)
        return False

    ticket = module.Ticket()
    monkeypatch.setattr(module, "Ticket", lambda: ticket)
    monkeypatch.setattr(bench.outbox, "holds", holds)
    assert bench.sender.state(draft("k1"), 1, 0.0) is outcome


# --- the thread ---


def test_the_thread_sends_what_comes_and_rests_meanwhile(bench: Bench) -> None:
    bench.sender.start()
    for n in range(5):
        assert bench.sender.state(draft(f"k{n}"), 1, WAIT) == Adjusted(units=n + 1, revision=101 + n)
    wait_for(lambda: bench.kept() == {}, "the row goes once the answer is given")


def test_the_thread_survives_whatever_happens(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NOTICE_SECONDS", 0.01)
    gone = OutboxUnusable("the disk is gone")
    happened: list[Exception] = [RuntimeError("odd"), gone, gone, gone]
    told = threading.Event()

    def oldest(**_: object) -> None:
        if happened:
            raise happened.pop()
        told.set()

    with capture_logs() as logs, monkeypatch.context() as patch:
        patch.setattr(bench.outbox, "oldest", oldest)
        bench.sender.start()
        assert told.wait(WAIT)
    assert [e["log_level"] for e in logs] == ["warning", "error", "info"], "one trouble is told once, until it is over"
    assert bench.sender.state(draft("k1"), 1, WAIT).units == 1  # type: ignore[union-attr]


def test_an_end_lets_nobody_wait_and_loses_nothing(bench: Bench, pool: ThreadPoolExecutor) -> None:
    held, began = threading.Event(), threading.Event()
    bench.store.ill = lambda _: (began.set(), held.wait(WAIT), None)[2]
    bench.sender.start()
    waiting = [pool.submit(bench.sender.state, draft(f"k{n}"), 1, WAIT) for n in range(3)]
    assert began.wait(WAIT)
    wait_for(lambda: len(bench.kept()) == 3)
    bench.store.close = held.set  # type: ignore[method-assign]
    bench.store.fail(Unreachable("cut off"))
    bench.sender.stop()
    outcomes = [w.result(WAIT) for w in waiting]
    queued = [o for o in outcomes if isinstance(o, Adjusted) and o.queued]
    assert len(queued) >= 2
    assert len(bench.kept()) == len(queued)
    assert bench.sender.state(draft("late"), 1, WAIT) == Adjusted(queued=True)
