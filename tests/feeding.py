"""A real feed server for tests, in a thread of this process, over any store; and those who follow it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sidecar.address import Address
from sidecar.core.model import Instant
from sync.feed.bell import bell_of
from sync.feed.channel import FeedTarget
from sync.feed.server import FeedServer, FeedTls, FeedTuning
from sync.sources import Position, SyncFailed, Update
from sync.store.db import Store
from sync.store.operators import Role, add_operator
from tests.fakes import digest_of
from tests.storing import START, TESTER, at

LOOPBACK = Address("127.0.0.1", 0)
QUICK = FeedTuning(interval=0.2)


class Feed:
    """A replica that can be stopped and started again at the same address."""

    def __init__(
        self, store: Store, *, tls: FeedTls | None = None, tuning: FeedTuning = QUICK, address: Address = LOOPBACK
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
        assert digest_of(rows.items()) == update.digest
        self.rows, self.held, self.doubted = rows, update.position, False
        self.snapshots += update.snapshot

    def contact(self, store_instant: Instant | None = None) -> None:
        self.contacts.append(store_instant)

    def failed(self, failure: SyncFailed) -> None:
        self.failures.append(failure)


def path_of(folder: Path) -> Path:
    """Where a test's store is."""
    return folder / "store.db"
