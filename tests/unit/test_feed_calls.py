"""Single calls to feed servers: what becomes of each answer, of servers that are not there, and of too little time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as auth
from sidecar._gen.desking.entitlements.v1 import feed_pb2 as pb
from sidecar.address import Address
from sync.feed.calls import FeedCalls, FeedDenied, FeedFailed, FeedRefused, FeedUnreachable, Got
from sync.feed.channel import FeedTarget
from sync.sources import Position
from tests.feedstub import MARK, FeedStub, Refusal, refusal

WAIT = 10.0
STATEMENT = auth.AdjustUsageRequest(tenant_id="acme", key="desk", delta=2, idempotency_key="k1")


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def feed(opened: ExitStack) -> FeedStub:
    return opened.enter_context(FeedStub())


def calls_to(opened: ExitStack, *addresses: Address, token: str = "") -> FeedCalls:
    calls = FeedCalls(FeedTarget(addresses=addresses, token=token))
    opened.callback(calls.close)
    return calls


def unused() -> Address:
    """Where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", bound.getsockname()[1])


@pytest.fixture
def deaf(opened: ExitStack) -> Address:
    """Where connections are taken and nothing is ever said."""
    listening = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
    return Address("127.0.0.1", listening.getsockname()[1])


def raising(error: Exception) -> Callable[[Any], Any]:
    def behavior(_: Any) -> Any:
        raise error

    return behavior


def test_a_tenant_is_got_as_the_store_has_it(opened: ExitStack, feed: FeedStub) -> None:
    position = pb.FeedPosition(store_id="store", revision=7, mark=MARK)
    records = [pb.RecordChange(tenant_id="acme", record=b"a"), pb.RecordChange(tenant_id="gone")]
    feed.get = lambda _: pb.GetResponse(position=position, records=records, store_instant=42)
    got = calls_to(opened, feed.address, token="secret").get("acme", 5, WAIT)
    assert got == Got(
        position=Position(store_id="store", revision=7, mark=MARK),
        records=(("acme", b"a"), ("gone", None)),
        store_instant=42,
    )
    assert [(r.tenant_id, r.min_revision) for r in feed.asked] == [("acme", 5)]
    assert feed.metadata[0]["authorization"] == "Bearer secret"


def test_a_statement_is_answered_as_the_store_does(opened: ExitStack, feed: FeedStub) -> None:
    calls = calls_to(opened, feed.address)
    answer = calls.adjust(STATEMENT, WAIT)
    assert (answer.units, answer.revision, answer.queued) == (2, 2, False)
    assert calls.adjust(STATEMENT, WAIT) == answer


@pytest.mark.parametrize("code", ["UNKNOWN_TENANT", "USAGE_BELOW_ZERO", "IDEMPOTENCY_CONFLICT"])
def test_a_refusal_of_the_stores_has_its_code(code: str, opened: ExitStack, feed: FeedStub) -> None:
    feed.adjust = raising(refusal(code, "so it is"))
    with pytest.raises(FeedRefused) as raised:
        calls_to(opened, feed.address, unused()).adjust(STATEMENT, WAIT)
    assert (raised.value.code, raised.value.problem) == (code, "so it is")


def test_what_makes_no_sense_is_refused(opened: ExitStack, feed: FeedStub) -> None:
    feed.adjust = raising(Refusal(grpc.StatusCode.INVALID_ARGUMENT, "key: too long"))
    with pytest.raises(FeedRefused) as raised:
        calls_to(opened, feed.address).adjust(STATEMENT, WAIT)
    assert (raised.value.code, raised.value.problem) == ("INVALID", "key: too long")


@pytest.mark.parametrize(
    ("status", "code", "known"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "NOT_LET_IN", False),
        (grpc.StatusCode.PERMISSION_DENIED, "NOT_ITS_TENANTS", True),
        (grpc.StatusCode.PERMISSION_DENIED, "", False),  # a proxy's 403
    ],
)
@pytest.mark.parametrize("text", ["no", ""])
def test_those_who_are_not_let_in(
    status: grpc.StatusCode, code: str, known: bool, text: str, opened: ExitStack, feed: FeedStub
) -> None:
    feed.get = raising(Refusal(status, text, code))
    with pytest.raises(FeedDenied) as raised:
        calls_to(opened, feed.address).get("acme", 0, WAIT)
    assert raised.value.known is known
    assert raised.value.problem


def test_a_status_without_the_stores_code_is_no_refusal(opened: ExitStack, feed: FeedStub) -> None:
    """A proxy on the way may say NOT_FOUND as well; a statement must not be lost by it."""
    for status in ("NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "INTERNAL", "UNKNOWN", "UNIMPLEMENTED"):
        feed.adjust = raising(Refusal(grpc.StatusCode[status], "odd"))
        with pytest.raises(FeedFailed, match=f"{status}: odd"):
            calls_to(opened, feed.address).adjust(STATEMENT, WAIT)


@pytest.mark.parametrize("status", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "CANCELLED", "INTERNAL"])
def test_the_next_server_is_asked_when_one_cannot_answer(status: str, opened: ExitStack, feed: FeedStub) -> None:
    sick = opened.enter_context(FeedStub(get=raising(Refusal(grpc.StatusCode[status]))))
    calls = calls_to(opened, sick.address, feed.address)
    assert calls.get("acme", 0, WAIT).position.store_id == "store"
    assert calls.get("acme", 0, WAIT).position.store_id == "store"
    assert len(sick.asked) == 1, "the one that answered is asked first from then on"


def test_a_server_that_is_not_there_costs_no_time(opened: ExitStack, feed: FeedStub) -> None:
    calls = calls_to(opened, unused(), feed.address)
    assert calls.adjust(STATEMENT, WAIT).units == 2


def test_a_server_that_says_nothing_takes_its_share_of_the_time_only(
    opened: ExitStack, feed: FeedStub, deaf: Address
) -> None:
    calls = calls_to(opened, deaf, feed.address)
    assert calls.adjust(STATEMENT, 1.0).units == 2
    began = time.monotonic()
    assert calls.adjust(STATEMENT, 1.0).units == 2
    assert time.monotonic() - began < 0.4, "and is not asked first again"


def test_nobody_there(opened: ExitStack) -> None:
    first, second = unused(), unused()
    with pytest.raises(FeedUnreachable, match=r"127\.0\.0\.1:\d+: UNAVAILABLE"):
        calls_to(opened, first, second).adjust(STATEMENT, WAIT)


def test_no_answer_in_time(opened: ExitStack, deaf: Address) -> None:
    calls = calls_to(opened, deaf)
    with pytest.raises(FeedUnreachable, match="DEADLINE_EXCEEDED"):
        calls.get("acme", 0, 0.1)
    with pytest.raises(FeedUnreachable, match="no time"):
        calls.get("acme", 0, 0.0)


def test_of_several_failures_the_telling_one_is_told(opened: ExitStack, feed: FeedStub) -> None:
    feed.adjust = raising(Refusal(grpc.StatusCode.INTERNAL, "broken"))
    with pytest.raises(FeedFailed, match="INTERNAL: broken"):
        calls_to(opened, feed.address, unused()).adjust(STATEMENT, WAIT)


def test_an_answer_that_is_none(opened: ExitStack, feed: FeedStub) -> None:
    feed.get = lambda _: b"\xff\xff"  # type: ignore[assignment, return-value]
    with pytest.raises(FeedFailed, match="no GetResponse"):
        calls_to(opened, feed.address).get("acme", 0, WAIT)


@pytest.mark.parametrize(
    "answer",
    [
        pb.GetResponse(),
        pb.GetResponse(position=pb.FeedPosition(store_id="store", revision=7, mark="none")),
        pb.GetResponse(
            position=pb.FeedPosition(store_id="store", revision=7, mark=MARK), records=[pb.RecordChange(record=b"a")]
        ),
    ],
)
def test_an_answer_from_nowhere_is_not_taken_for_there_being_no_such_tenant(
    answer: pb.GetResponse, opened: ExitStack, feed: FeedStub
) -> None:
    feed.get = lambda _: answer
    with pytest.raises(FeedFailed, match="makes no sense"):
        calls_to(opened, feed.address).get("acme", 0, WAIT)


def test_a_server_that_came_back_is_found_at_once(opened: ExitStack) -> None:
    """gRPC alone would wait for a second and more before it connects again."""
    first = FeedStub()
    calls = calls_to(opened, first.address)
    assert calls.adjust(STATEMENT, WAIT).units == 2
    first.stop()
    with pytest.raises(FeedUnreachable):
        calls.adjust(STATEMENT, WAIT)
    again = opened.enter_context(FeedStub(port=first.port))
    began = time.monotonic()
    assert calls.adjust(STATEMENT, WAIT).units == 2
    assert time.monotonic() - began < 0.9
    assert again.port == first.port


def test_one_connection_serves_many_threads_and_outlives_a_call_that_failed(opened: ExitStack) -> None:
    """One that broke is dropped, though not under those who still speak on it."""
    go, began = threading.Event(), threading.Event()

    def get(request: pb.GetRequest) -> pb.GetResponse:
        if request.tenant_id == "bad":
            raise Refusal(grpc.StatusCode.UNAVAILABLE)
        began.set()
        assert go.wait(WAIT)
        return pb.GetResponse(position=pb.FeedPosition(store_id="store", revision=7, mark=MARK))

    feed = opened.enter_context(FeedStub(get=get))
    calls = calls_to(opened, feed.address)
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(calls.get, "slow", 0, WAIT)
        assert began.wait(WAIT)
        with pytest.raises(FeedUnreachable):
            calls.get("bad", 0, WAIT)
        go.set()
        assert slow.result().records == ()


def test_closing_cuts_off_calls_under_way(opened: ExitStack, deaf: Address, feed: FeedStub) -> None:
    began, go = threading.Event(), threading.Event()
    feed.get = lambda _: (began.set(), go.wait(WAIT), pb.GetResponse())[2]  # type: ignore[assignment, return-value]
    calls = calls_to(opened, feed.address)
    with ThreadPoolExecutor() as pool:
        held = pool.submit(calls.get, "acme", 0, WAIT)
        assert began.wait(WAIT)
        calls.close()
        with pytest.raises(FeedUnreachable):
            held.result()
        go.set()
    with pytest.raises(FeedUnreachable, match="closed"):
        calls.get("acme", 0, WAIT)
