"""Fetching single tenants: one call for all who want the same, few at a time, kept for a while; and by which way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from sidecar._gen.desking.entitlements.v1 import feed_pb2 as pb
from sidecar.fetch import FeedFetch, StoreFetch
from sidecar.serving import fetching as module
from sidecar.serving.fetching import AT_ONCE, KEPT, RESULTS, Fetched, FetchFailed, Fetching, Flight
from sidecar.state.world import World, Worlds
from sync.feed.calls import FeedCalls
from sync.feed.channel import FeedTarget
from sync.feed.protocol import holder_of
from sync.feed.reading import everything
from sync.sources import Position
from sync.store.db import Store, open_store
from sync.store.demo import seed_demo
from tests import postgresql, shipped
from tests.fakes import record
from tests.feedstub import MARK, FeedStub, Refusal, nothing_got, refusal
from tests.serving import wait_for

WAIT = 10.0
NOW = 1_790_000_000_000_000


class Shop:
    """The store: what a call brings, held until the test lets it go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.outcome: Any = Fetched(store_id="s", revision=5, records=())
        self.open = threading.Event()
        self.open.set()

    def __call__(self, tenant_id: str, min_revision: int, timeout: float) -> Fetched | None:
        self.asked.append(tenant_id)
        assert self.open.wait(WAIT)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome  # type: ignore[no-any-return]


class Bench:
    """Fetching at the test's own time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.shop = Shop()
        self.results: list[str] = []
        self.worlds = Worlds(book=shipped.book(), compiled_bound=10, on_invalid=lambda *_: None)
        self.worlds.publish(store_id="s", revision=3, snapshot=True, changes=[("acme", record("acme", 3))])
        self.fetching = Fetching(
            self.shop, self.worlds, seconds=5.0, timeout=2.0, clock=lambda: self.now, on_result=self.results.append
        )

    @property
    def world(self) -> World:
        assert self.worlds.current is not None
        return self.worlds.current

    def fetch(self, tenant_id: str = "far", min_revision: int = 0) -> Flight:
        before = len(self.results)
        flight = self.fetching.begin(tenant_id, min_revision)
        assert flight is not None
        assert flight.wait(WAIT)
        wait_for(lambda: len(self.results) > before)
        return flight

    def kept(self, tenant_id: str = "far", min_revision: int = 0) -> int | None:
        found = self.fetching.kept(tenant_id, min_revision)
        return None if found is None else found.revision


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.shop.open.set()


def test_what_came_is_kept_until_its_time_is_over(bench: Bench) -> None:
    assert bench.kept() is None
    bench.fetch()
    assert bench.kept() == 5
    bench.now += 4.9
    assert bench.kept() == 5
    bench.now += 0.2
    assert bench.kept() is None


def test_an_earlier_state_does_not_replace_a_later_one(bench: Bench) -> None:
    bench.fetch()
    bench.shop.outcome = Fetched(store_id="s", revision=4, records=())
    bench.fetch(min_revision=1)
    assert (bench.kept(), bench.kept(min_revision=5), bench.kept(min_revision=6)) == (5, 5, None)


def test_so_many_are_kept_and_no_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    bench.fetching = Fetching(bench.shop, bench.worlds, seconds=5.0, timeout=2.0, on_result=bench.results.append)
    for n in range(5):
        bench.fetch(f"t{n}")
    assert [bench.kept(f"t{n}") is not None for n in range(5)] == [False, False, True, True, True]
    assert KEPT == 1000


def test_all_who_want_the_same_share_one_call(bench: Bench) -> None:
    bench.shop.open.clear()
    first = bench.fetching.begin("far", 0)
    assert first is bench.fetching.begin("far", 0)
    other = bench.fetching.begin("far", 9)
    assert other is not None
    assert other is not first
    bench.shop.open.set()
    assert first is not None
    assert first.wait(WAIT)
    assert other.wait(WAIT)
    assert bench.shop.asked == ["far", "far"]


def test_only_few_are_under_way_at_a_time(bench: Bench) -> None:
    bench.shop.open.clear()
    flights = [bench.fetching.begin(f"t{n}", 0) for n in range(AT_ONCE)]
    assert all(flights)
    assert bench.fetching.begin("late", 0) is None
    assert bench.fetching.begin("t0", 0) is flights[0]
    bench.shop.open.set()
    for flight in flights:
        assert flight is not None
        assert flight.wait(WAIT)
    wait_for(lambda: bench.fetching.begin("late", 0))


def test_a_call_for_which_there_is_no_thread_fails_and_is_not_under_way_for_ever(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        flight = bench.fetching.begin("far", 0)
    assert flight is not None
    assert flight.wait(0.0)
    assert "no thread" in str(flight.failure)
    assert bench.fetch().found is not None


def test_each_call_is_counted_by_how_it_ended(bench: Bench) -> None:
    records = (("far", record("far", 5)),)
    for outcome, result in (
        (Fetched(store_id="s", revision=5, records=records), "got"),
        (Fetched(store_id="s", revision=5, records=()), "unknown"),
        (None, "denied"),
        (FetchFailed("nobody answers"), "failed"),
        (RuntimeError("a bug"), "failed"),
    ):
        bench.shop.outcome = outcome
        with capture_logs() as logs:
            flight = bench.fetch(result)
        assert bench.results[-1] == result
        assert result in RESULTS
        assert (flight.found is None) == (result == "failed") == (flight.failure is not None)
        assert [e["log_level"] for e in logs] == (["error"] if isinstance(outcome, RuntimeError) else [])
    assert bench.kept("failed") is None


def test_a_world_of_what_was_found_leaves_the_current_one_as_it_is_and_does_not_keep_it(bench: Bench) -> None:
    bench.shop.outcome = Fetched(store_id="s", revision=5, records=(("far", record("far", 5)),))
    found = bench.fetch().found
    assert found is not None
    world = found.world(bench.world)
    assert (world.revision, world.holds("far"), world.holds("acme")) == (5, True, False)
    assert world.tenant("far") is not None
    assert (bench.world.revision, bench.world.holds("far"), bench.worlds.compiled_count) == (3, False, 0)
    assert found.world(bench.world) is world
    bench.worlds.adopt(shipped.without("quota-reached"))
    assert found.world(bench.world) is not world
    bench.shop.outcome = Fetched(store_id="s", revision=6, records=())
    gone = bench.fetch("acme").found
    assert gone is not None
    assert not gone.world(bench.world).holds("acme")


# --- by a feed ---


def position(store_id: str = "store", revision: int = 7, mark: str = MARK) -> pb.FeedPosition:
    return pb.FeedPosition(store_id=store_id, revision=revision, mark=mark)


@pytest.fixture
def feed() -> Iterator[FeedStub]:
    with FeedStub() as feed:
        yield feed


@pytest.fixture
def calls(feed: FeedStub) -> Iterator[FeedCalls]:
    calls = FeedCalls(FeedTarget(addresses=(feed.address,)))
    yield calls
    calls.close()


HELD = Position(store_id="store", revision=7, mark=MARK)


def test_a_feed_brings_a_tenant(feed: FeedStub, calls: FeedCalls) -> None:
    feed.get = lambda request: pb.GetResponse(
        position=position(revision=9), records=[pb.RecordChange(tenant_id=request.tenant_id, record=b"r")]
    )
    fetched = FeedFetch(calls, held=lambda: HELD)("acme", 8, WAIT)
    assert fetched == Fetched(store_id="store", revision=9, records=(("acme", b"r"),))
    assert [(r.tenant_id, r.min_revision) for r in feed.asked] == [("acme", 8)]


@pytest.mark.parametrize("held", [None, HELD, Position(store_id="store", revision=6, mark="1" * 64)])
def test_a_position_of_the_same_history_is_taken(held: Position | None, calls: FeedCalls) -> None:
    assert FeedFetch(calls, held=lambda: held)("acme", 7, WAIT) is not None


@pytest.mark.parametrize(
    "held",
    [
        Position(store_id="another", revision=7, mark=MARK),
        Position(store_id="store", revision=7, mark="1" * 64),
        Position(store_id="store", revision=8, mark=MARK),
    ],
)
def test_one_of_another_history_is_not(held: Position, calls: FeedCalls) -> None:
    with pytest.raises(FetchFailed, match="another history"):
        FeedFetch(calls, held=lambda: held)("acme", 7, WAIT)


def test_nothing_is_fetched_from_a_store_that_is_not_followed(feed: FeedStub, calls: FeedCalls) -> None:
    with pytest.raises(FetchFailed, match="was set back"):
        FeedFetch(calls, held=lambda: HELD, unfollowed=lambda: "it was set back")("acme", 0, WAIT)
    assert feed.asked == []


def test_a_tenant_that_is_not_for_us_is_nothing(feed: FeedStub, calls: FeedCalls) -> None:
    def get(_: object) -> Any:
        raise Refusal(grpc.StatusCode.PERMISSION_DENIED, "not yours", "NOT_ITS_TENANTS")

    feed.get = get
    assert FeedFetch(calls, held=lambda: HELD)("acme", 0, WAIT) is None


@pytest.mark.parametrize(
    "said",
    [
        Refusal(grpc.StatusCode.UNAUTHENTICATED, "who are you?"),
        Refusal(grpc.StatusCode.PERMISSION_DENIED, "a proxy's word"),
        Refusal(grpc.StatusCode.UNAVAILABLE, "no store"),
        Refusal(grpc.StatusCode.INTERNAL, "broken"),
        refusal("UNKNOWN_TENANT"),
    ],
)
def test_a_feed_that_fails_is_told(said: Refusal, feed: FeedStub, calls: FeedCalls) -> None:
    def get(_: object) -> Any:
        raise said

    feed.get = get
    with pytest.raises(FetchFailed, match=said.text):
        FeedFetch(calls, held=lambda: HELD)("acme", 0, WAIT)
    feed.get = nothing_got
    assert FeedFetch(calls, held=lambda: None)("acme", 0, WAIT) is not None


# --- from a store ---


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


def test_a_store_is_read_as_it_is(url: str, store: Store) -> None:
    fetch = StoreFetch(url, held=lambda: None)
    fetched = fetch("acme", 99, WAIT)
    assert fetched is not None
    status = store.status()
    assert (fetched.store_id, fetched.revision) == (status.store_id, status.revision)
    assert [name for name, _ in fetched.records] == ["acme"]
    unknown = fetch("nobody", 0, WAIT)
    assert unknown is not None
    assert unknown.records == ()


def test_one_that_shares_services_comes_with_whose_they_are(url: str, store: Store) -> None:
    fetched = StoreFetch(url, held=lambda: None)(sharer(store), 0, WAIT)
    assert fetched is not None
    assert len(fetched.records) == 2


def sharer(store: Store) -> str:
    with store.reading() as conn:
        return next(name for name, raw in everything(conn) if raw and holder_of(raw))


def test_a_store_of_another_history_or_none_is_told(url: str, tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="another history"):
        StoreFetch(url, held=lambda: HELD)("acme", 0, WAIT)
    with pytest.raises(FetchFailed, match="was set back"):
        StoreFetch(url, held=lambda: None, unfollowed=lambda: "it was set back")("acme", 0, WAIT)
    with pytest.raises(FetchFailed, match="no store"):
        StoreFetch(str(tmp_path / "none.db"), held=lambda: None)("acme", 0, WAIT)
