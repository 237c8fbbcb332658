"""From a statement to what its caller is told; and how statements go on to a feed, or to a store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.core.model import Instant
from sidecar.outbox.file import Outbox
from sidecar.outbox.forward import FeedForward, Refusal, StoreForward, Stuck, Unreachable
from sidecar.outbox.rows import Draft, KeyTaken, OutboxFull, OutboxUnusable
from sidecar.outbox.sender import Sender
from sidecar.outbox.writer import OutboxUsageWriter, draft_of
from sidecar.serving.adjust import Adjusted, Adjustment, read_adjustment
from sidecar.serving.answers import CannotAnswer, Code
from sidecar.usagewriter import StoreUsageWriter
from sync.feed.calls import FeedCalls
from sync.feed.channel import FeedTarget
from sync.store.db import Store, open_store
from sync.store.demo import seed_demo
from tests import postgresql
from tests.feedstub import FeedStub, UsageBook, refusal
from tests.feedstub import Refusal as Said

WAIT = 10.0
NOW = 1_790_000_000_000_000


def adjustment(**more: Any) -> Adjustment:
    given = {"tenant_id": "acme", "key": "fixed_desk", "idempotency_key": "k1"} | more
    return Adjustment(**given)


def request(**more: Any) -> bytes:
    return draft_of(adjustment(**more)).request


class Scripted:
    """Stands for a sender: gives or raises what the test says."""

    def __init__(self, outcome: object) -> None:
        self.outcome = outcome
        self.stated: list[tuple[Draft, Instant, float]] = []

    def state(self, draft: Draft, at: Instant, patience: float) -> object:
        self.stated.append((draft, at, patience))
        if isinstance(self.outcome, Exception) and not isinstance(self.outcome, Refusal):
            raise self.outcome
        return self.outcome


def writer(outcome: object) -> tuple[OutboxUsageWriter, Scripted]:
    scripted = Scripted(outcome)
    return OutboxUsageWriter(scripted, lambda: NOW), scripted  # type: ignore[arg-type]


@pytest.mark.parametrize("outcome", [Adjusted(units=3, seats=("u1",), revision=7), Adjusted(queued=True)])
def test_what_came_of_it_is_told(outcome: Adjusted) -> None:
    write, scripted = writer(outcome)
    assert write(adjustment(delta=2), 1.5) is outcome
    ((draft, at, patience),) = scripted.stated
    assert (draft.idempotency_key, draft.tenant_id, draft.key, at, patience) == ("k1", "acme", "fixed_desk", NOW, 1.5)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Refusal("UNKNOWN_TENANT", "none"), Code.NOT_FOUND),
        (Refusal("IDEMPOTENCY_CONFLICT", "used"), Code.ALREADY_EXISTS),
        (Refusal("USAGE_BELOW_ZERO", "few"), Code.FAILED_PRECONDITION),
        (Refusal("INVALID", "odd"), Code.INVALID_ARGUMENT),
        (Refusal("DENIED", "not yours"), Code.FAILED_PRECONDITION),
        (Refusal("SOMETHING_NEW", "new"), Code.FAILED_PRECONDITION),
        (KeyTaken("other content"), Code.ALREADY_EXISTS),
        (OutboxFull("the outbox is full"), Code.RESOURCE_EXHAUSTED),
        (OutboxUnusable("no room"), Code.UNAVAILABLE),
    ],
)
def test_what_was_not_taken_is_told_by_its_code(outcome: Exception, code: Code) -> None:
    with pytest.raises(CannotAnswer, match=str(outcome)) as raised:
        writer(outcome)[0](adjustment(delta=1), 0.0)
    assert raised.value.code is code


@pytest.mark.parametrize(
    "change", [{"delta": 0}, {"delta": -3}, {"absolute": 0}, {"absolute": 9}, {"seats": (("u1", True), ("u2", False))}]
)
def test_a_statement_is_kept_as_it_was_made(change: dict[str, Any]) -> None:
    given = adjustment(**change)
    assert read_adjustment(pb.AdjustUsageRequest.FromString(draft_of(given).request)) == given
    assert draft_of(given) == draft_of(adjustment(**change))


# --- to a feed ---


@pytest.fixture
def feed() -> Iterator[FeedStub]:
    with FeedStub(adjust=UsageBook("acme")) as feed:
        yield feed


@pytest.fixture
def to_feed(feed: FeedStub) -> Iterator[FeedForward]:
    forward = FeedForward(FeedCalls(FeedTarget(addresses=(feed.address,))))
    yield forward
    forward.close()


def test_a_feed_answers(to_feed: FeedForward) -> None:
    assert to_feed(request(delta=2), WAIT) == Adjusted(units=2, revision=2)
    with pytest.raises(Refusal) as raised:
        to_feed(request(idempotency_key="k2", delta=-3), WAIT)
    assert (raised.value.code, str(raised.value)) == ("USAGE_BELOW_ZERO", "there are 2")


@pytest.mark.parametrize(
    ("said", "error", "code"),
    [
        (Said(grpc.StatusCode.UNAVAILABLE), Unreachable, ""),
        (Said(grpc.StatusCode.UNAUTHENTICATED), Unreachable, ""),
        (Said(grpc.StatusCode.PERMISSION_DENIED), Unreachable, ""),
        (Said(grpc.StatusCode.PERMISSION_DENIED, "not yours", "NOT_ITS_TENANTS"), Refusal, "DENIED"),
        (Said(grpc.StatusCode.INTERNAL), Stuck, ""),
        (Said(grpc.StatusCode.INVALID_ARGUMENT), Refusal, "INVALID"),
        (refusal("UNKNOWN_TENANT"), Refusal, "UNKNOWN_TENANT"),
    ],
)
def test_a_feed_that_does_not(
    said: Said, error: type[Exception], code: str, feed: FeedStub, to_feed: FeedForward
) -> None:
    def adjust(_: object) -> Any:
        raise said

    feed.adjust = adjust
    with pytest.raises(error) as raised:
        to_feed(request(delta=1), WAIT)
    assert getattr(raised.value, "code", "") == code


def test_a_feed_that_was_closed(to_feed: FeedForward) -> None:
    to_feed.close()
    with pytest.raises(Unreachable):
        to_feed(request(delta=1), WAIT)


# --- to a store ---


def demo(store: Store) -> None:
    seed_demo(store, NOW)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a store of demo tenants."""
    if request.param == "postgresql":
        before = postgresql.count()
        yield postgresql.fresh(demo)
        postgresql.drop(before)
    else:
        demo(open_store(tmp_path / "store.db", create=True))
        yield str(tmp_path / "store.db")


@pytest.fixture
def store(url: str) -> Store:
    return open_store(url)


@pytest.fixture
def to_store(url: str) -> StoreForward:
    return StoreForward(url, lambda: NOW)


def test_a_statement_for_another_store_waits_for_that_one(url: str) -> None:
    with pytest.raises(Unreachable, match="another store"):
        StoreForward(url, lambda: NOW, lambda: "another store")(request(delta=1), WAIT)
    own = open_store(url).status().store_id
    assert StoreForward(url, lambda: NOW, lambda: own)(request(absolute=4), WAIT).units == 4


@pytest.mark.parametrize("change", [{"delta": 2}, {"absolute": 2}, {"seats": (("u1", True), ("u2", True))}])
def test_a_store_answers_as_it_does_without_an_outbox(
    change: dict[str, Any], url: str, store: Store, to_store: StoreForward
) -> None:
    done = to_store(request(**change), WAIT)
    assert done.revision == store.status().revision
    assert done == StoreUsageWriter(url, lambda: NOW)(adjustment(**change), 0.0), "by its key it is the same"
    assert to_store(request(**change), WAIT) == done
    to_store.close()


def test_a_revision_is_told_as_the_answers_have_it(url: str, store: Store) -> None:
    write = StoreUsageWriter(url, lambda: NOW, map_revision=lambda revision: 1000 + revision)
    assert write(adjustment(delta=1), 0.0).revision == 1000 + store.status().revision


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"tenant_id": "nobody", "delta": 1}, "UNKNOWN_TENANT"),
        ({"delta": -1000}, "USAGE_BELOW_ZERO"),
        ({"absolute": 2**53 + 1}, "INVALID"),
    ],
)
def test_a_store_that_will_not(more: dict[str, Any], code: str, to_store: StoreForward) -> None:
    with pytest.raises(Refusal) as raised:
        to_store(request(**more), WAIT)
    assert raised.value.code == code
    assert code == "INVALID" or str(raised.value).startswith(code), "callers are told it by this alone"


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no store"):
        StoreForward(str(tmp_path / "none.db"), lambda: NOW)(request(delta=1), WAIT)


# --- the whole of it ---


def test_from_a_caller_to_a_feed_and_back(tmp_path: Path, feed: FeedStub, to_feed: FeedForward) -> None:
    outbox = Outbox(tmp_path / "outbox.db", limit=10)
    sender = Sender(outbox, to_feed)
    sender.start()
    write = OutboxUsageWriter(sender, lambda: NOW)
    assert write(adjustment(delta=3), WAIT) == Adjusted(units=3, revision=2)
    assert write(adjustment(delta=3), WAIT) == Adjusted(units=3, revision=2)
    for more, code in (
        ({"delta": 4}, Code.ALREADY_EXISTS),
        ({"idempotency_key": "k2", "tenant_id": "nobody", "delta": 1}, Code.NOT_FOUND),
    ):
        with pytest.raises(CannotAnswer) as raised:
            write(adjustment(**more), WAIT)
        assert raised.value.code is code
    sender.stop()
    outbox.close()
    assert feed.adjust.units == {("acme", "fixed_desk"): 3}  # type: ignore[attr-defined]


def test_many_callers_at_once(tmp_path: Path, feed: FeedStub, to_feed: FeedForward) -> None:
    outbox = Outbox(tmp_path / "outbox.db", limit=1000)
    sender = Sender(outbox, to_feed)
    sender.start()
    write = OutboxUsageWriter(sender, lambda: NOW)
    done: list[Adjusted] = []

    def caller(name: str) -> None:
        done.extend(write(adjustment(idempotency_key=f"{name}-{n}", delta=1), WAIT) for n in range(10))

    threads = [threading.Thread(target=caller, args=(f"c{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    sender.stop()
    outbox.close()
    assert sorted(d.units for d in done) == list(range(1, 81))
