"""A real feed server for tests, in a thread of this process, over any store; and those who follow it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

import grpc
import pytest

from sidecar._gen.desking.entitlements.v1 import feed_pb2 as pb
from sidecar.address import Address
from sidecar.core.model import Instant
from sync.feed import eye
from sync.feed.bell import bell_of
from sync.feed.channel import CODE, SERVICE, FeedTarget, open_channel
from sync.feed.client import FeedSource
from sync.feed.protocol import Batch, Event
from sync.feed.reading import everything, look
from sync.feed.server import FeedServer, FeedTuning
from sync.feed.wire import position_message, read_event
from sync.listening import ServerTls
from sync.sources import FailureKind, Position, Sink, SyncFailed, Update
from sync.store.db import Store, open_store
from sync.store.operators import Role, add_operator, disable_operator
from tests.fakes import digest_of
from tests.serving import PATIENCE
from tests.storing import START, TESTER, at
from tests.upstreams import Ability, PostgresUpstream, SqliteUpstream

T = TypeVar("T")
SOON = {"LOOK_EVERY": 0.05, "AFTER_TROUBLE": 0.02, "DOORS_EVERY": 600.0}
"""Seconds, for a replica that cannot wait; who is let in it finds out once, as another store may know nobody."""
LOOPBACK = Address("127.0.0.1", 0)
QUICK = FeedTuning(interval=0.2)


class Feed:
    """A replica that can be stopped and started again at the same address."""

    def __init__(
        self, store: Store, *, tls: ServerTls | None = None, tuning: FeedTuning = QUICK, address: Address = LOOPBACK
    ) -> None:
        self.store, self.address, self._tls, self._tuning = store, address, tls, tuning
        self.server: FeedServer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        ready: threading.Event = threading.Event()
        failed: list[BaseException] = []

        def run() -> None:
            asyncio.run(self._serve(ready, failed))

        self._thread = threading.Thread(target=run, name="feed-server")
        self._thread.start()
        ready.wait()
        if failed:
            self._thread.join()
            self._thread = None
            raise failed[0]

    async def _serve(self, ready: threading.Event, failed: list[BaseException]) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        try:
            self.server = FeedServer(self.store, bell_of(self.store), self.address, tls=self._tls, tuning=self._tuning)
            await self.server.start()
        except BaseException as e:
            failed.append(e)
            ready.set()
            return
        self.address = self.server.address
        ready.set()
        await self._ended.wait()
        await self.server.stop(1.0)

    def stop(self) -> None:
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join()
            self._thread = None

    def within(self, call: Callable[[], Any]) -> Any:
        """The result of a call made in the server's event loop."""

        async def made() -> Any:
            return call()

        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(made(), self._loop).result(10)


@contextmanager
def feeding(store: Store, **options: Any) -> Iterator[Feed]:
    """A replica that runs."""
    feed = Feed(store, **options)
    feed.start()
    try:
        yield feed
    finally:
        feed.stop()


def sidecar_token(store: Store, name: str = "desk-1", tenants: list[str] | None = None) -> str:
    """The token of a new sidecar."""
    with store.writing(TESTER) as writing:
        return add_operator(writing, name, Role.SIDECAR, now=at(START), tenants=tenants)


def target(feed: Feed, token: str, **more: Any) -> FeedTarget:
    """How to reach a replica."""
    return FeedTarget(addresses=(feed.address,), token=token, **more)


class Held:
    """A sink in memory, which takes updates as a sidecar does."""

    def __init__(self) -> None:
        self.held: Position | None = None
        self.rows: dict[str, bytes] = {}
        self.doubted = False
        self.snapshots = 0
        self.contacts: list[Instant | None] = []
        self.failures: list[SyncFailed] = []

    def position(self) -> Position | None:
        return self.held

    def needs_snapshot(self) -> bool:
        return self.held is None or self.doubted

    def apply(self, update: Update) -> None:
        rows = {} if update.snapshot else dict(self.rows)
        for tenant_id, record in update.changes:
            rows.pop(tenant_id, None)
            if record is not None:
                rows[tenant_id] = record
        if digest_of(rows.items()) != update.digest:
            raise SyncFailed(FailureKind.WRONG_DIGEST, "it is not what it should be")
        self.rows, self.held, self.doubted = rows, update.position, False
        self.snapshots += update.snapshot

    def contact(self, store_instant: Instant | None = None) -> None:
        self.contacts.append(store_instant)

    def failed(self, failure: SyncFailed) -> None:
        self.doubted |= failure.kind is FailureKind.WRONG_DIGEST
        self.failures.append(failure)


def follow(source: FeedSource, sink: Sink, until: Callable[[], Any], *, failing: bool = False) -> None:
    """Steps until something is so, none of which may fail unless it is said so."""
    deadline = time.monotonic() + PATIENCE
    while not until():
        assert time.monotonic() < deadline, sink
        try:
            source.step(sink)
        except SyncFailed as e:
            sink.failed(e)
            if not failing:
                raise


def caught_up(source: FeedSource, held: Held, store: Store) -> None:
    """Steps until all that the store has is held, and it was in touch."""
    before = len(held.contacts)
    follow(source, held, lambda: held.held == position_of(store) and len(held.contacts) > before)


def position_of(store: Store) -> Position:
    """Where a store is."""
    with store.reading() as conn:
        return look(conn, None).head.position


def rows_of(store: Store) -> dict[str, bytes]:
    """All records that a store holds."""
    with store.reading() as conn:
        return {tenant_id: record or b"" for tenant_id, record in everything(conn)}


class Ended(Exception):
    """How a watch, or a call, ended."""

    def __init__(self, error: Any) -> None:
        self.status: grpc.StatusCode = error.code()
        self.text: str = error.details() or ""
        self.code: str = str(dict(error.trailing_metadata() or ()).get(CODE, ""))
        super().__init__(f"{self.status.name} {self.code}: {self.text}")


class Watch:
    """A watch without a watcher's care: what comes, as it comes, and nothing is read ahead."""

    def __init__(
        self,
        to: FeedTarget,
        *,
        since: Position | None = None,
        whole: bool = False,
        tenants: Iterable[str] = (),
        timeout: float = PATIENCE,
    ) -> None:
        self.channel = open_channel(to, to.addresses[0])
        watch: Any = self.channel.unary_stream(f"/{SERVICE}/Watch", pb.WatchRequest.SerializeToString)
        asked = pb.WatchRequest(
            since=None if since is None else position_message(since), whole=whole, tenants=tenants, instance="test"
        )
        self.call = watch(asked, metadata=to.metadata, timeout=timeout)
        self.sequence = 0

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self.call.cancel()
        self.channel.close()

    def next(self) -> Event:
        """The next event. Raises Ended."""
        try:
            event = read_event(next(self.call))
        except grpc.RpcError as e:
            raise Ended(e) from e
        self.sequence += 1
        assert event.sequence == self.sequence
        return event

    def until(self, wanted: Callable[[Event], Any]) -> Event:
        """The first event that is wanted."""
        while not wanted(event := self.next()):
            pass
        return event

    def update(self) -> tuple[Batch, dict[str, bytes | None], int]:
        """The next update: its last batch, all its changes, and how many batches it came in."""
        changes: dict[str, bytes | None] = {}
        count = 0
        while True:
            event = self.next() if count else self.until(lambda event: isinstance(event, Batch))
            assert isinstance(event, Batch)
            assert not changes.keys() & dict(event.changes).keys()
            changes |= dict(event.changes)
            count += 1
            if not event.more:
                return event, changes, count

    def ended(self) -> Ended:
        """How it ends, whatever comes before."""
        with pytest.raises(Ended) as ended:
            self.until(lambda _: False)
        return ended.value


def refused(to: FeedTarget, **request: Any) -> Ended:
    """How a watch ends that is refused."""
    with Watch(to, **request) as watch:
        return watch.ended()


def called(to: FeedTarget, method: str, request: Any, answer: Any, timeout: float = PATIENCE) -> Any:
    """A single call's answer. Raises Ended."""
    with open_channel(to, to.addresses[0]) as channel:
        call: Any = channel.unary_unary(f"/{SERVICE}/{method}")
        data = request if isinstance(request, bytes) else request.SerializeToString()
        try:
            return answer.FromString(call(data, metadata=to.metadata, timeout=timeout))
        except grpc.RpcError as e:
            raise Ended(e) from e


def disabled(store: Store, name: str = "desk-1") -> None:
    """A sidecar is let in no more."""
    with store.writing(TESTER) as writing:
        disable_operator(writing, name, now=at(START))


class FeedUpstream:
    """A store behind a feed server, as its followers see it: see tests.upstreams."""

    away: Final = FailureKind.UNREACHABLE

    def __init__(self, behind: SqliteUpstream | PostgresUpstream) -> None:
        self.behind = behind
        self._usual = {name: getattr(eye, name) for name in SOON}
        self._look_every(SOON)
        self.feed = Feed(open_store(behind.url if isinstance(behind, PostgresUpstream) else behind.rows.store.path))
        self.secret = sidecar_token(self.feed.store)
        self.feed.start()

    def _look_every(self, seconds: Mapping[str, float]) -> None:
        for name, value in seconds.items():
            setattr(eye, name, value)

    @property
    def lacks(self) -> Mapping[Ability, str]:
        unread = "its server cannot read it then, and says that it is out of touch"
        return {Ability.CHANGE_SCHEMA: unread, Ability.BE_EMPTIED: unread}

    def source(self) -> FeedSource:
        return FeedSource(target(self.feed, self.secret))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)

    def go_away(self) -> None:
        self.feed.stop()

    def come_back(self) -> None:
        self.feed.start()

    def forget(self) -> None:
        self._anew(self.behind.forget)

    def lose_changes(self, *ids: str) -> None:
        self._anew(lambda: self.behind.lose_changes(*ids))

    def remember(self) -> object:
        return self._apart(self.behind.remember)

    def go_back(self, to: object) -> None:
        self._apart(lambda: self.behind.go_back(to))

    def be_another(self) -> object:
        return self._apart(self.behind.be_another)

    def _apart(self, work: Callable[[], T]) -> T:
        """A database is copied only while nobody can come to it."""
        if isinstance(self.behind, SqliteUpstream):
            return work()
        self.behind.network.cut()
        try:
            return work()
        finally:
            self.behind.network.restore()

    def _anew(self, change: Callable[[], None]) -> None:
        """What a replica has at hand it sends: another one knows only what the store does."""
        self.feed.stop()
        change()
        self.feed.start()

    def close(self) -> None:
        with suppress(Exception):
            self.feed.stop()
        self._look_every(self._usual)
        self.behind.close()


def path_of(folder: Path) -> Path:
    """Where a test's store is."""
    return folder / "store.db"
