"""Watchers that read slowly or not at all, large stores, many watchers at once, and lines that die without a word."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from sidecar.address import Address
from sync import digest
from sync.feed.channel import FeedTarget
from sync.feed.client import FeedSource
from sync.feed.protocol import Batch, Heartbeat
from sync.feed.server import FeedTuning
from sync.follower import Follower
from sync.sources import FailureKind, Position, Update
from sync.store import schema
from sync.store.db import Store
from sync.store.usage import Delta, adjust_usage
from tests import postgresql, storing
from tests.fakes import record
from tests.feeding import Feed, Held, Watch, feeding, follow, position_of, rows_of, sidecar_token, target
from tests.proxy import Proxy
from tests.serving import PATIENCE, wait_for
from tests.storing import START, Shop, again, at, on_every_database

E, S, C, R = schema.entitlement, schema.store, schema.change_log, schema.revision_log
BULK = 150_000
"""Bytes of a record that soon fills what lies between a server and a watcher."""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store.db")


@pytest.fixture
def on_database() -> Iterator[None]:
    storing.run_on("postgresql")
    yield
    storing.run_on("sqlite")


def write(store: Store, rows: dict[str, bytes]) -> None:
    """New records, whatever they are, with the next revision, and its digest."""
    with store.place.writing() as conn:
        head = conn.execute(select(S).with_for_update()).one()
        known = dict(conn.execute(select(E.c.tenant_id, E.c.record).where(E.c.tenant_id.in_(list(rows)[:500]))).all())
        moved = sum(digest.row_mark(i, r) for i, r in rows.items())
        moved -= sum(digest.row_mark(i, r) for i, r in known.items())
        revision, held = head.revision + 1, digest.as_text(digest.as_number(head.digest) + moved)
        conn.execute(E.delete().where(E.c.tenant_id.in_(list(known))))
        conn.execute(insert(E), [{"tenant_id": i, "revision": revision, "record": r} for i, r in rows.items()])
        conn.execute(insert(C), [{"revision": revision, "tenant_id": i} for i in rows])
        conn.execute(update(S).values(revision=revision, digest=held))
        conn.execute(insert(R).values(revision=revision, digest=held, at=0))
        store.place.announce(conn, revision)


def metric(feed: Feed, name: str) -> float:
    return feed.server.metrics.registry.get_sample_value(f"deskgate_feed_{name}") or 0.0


# Slow watchers


@on_every_database
def test_one_that_reads_nothing_costs_no_memory_holds_up_nobody_and_ends_right(shop: Shop) -> None:
    token = sidecar_token(shop.store)
    write(shop.store, {"big": b"0" * BULK})
    with feeding(shop.store, tuning=FeedTuning(interval=0.2, window_bytes=5 * BULK)) as feed:
        quick, held = FeedSource(target(feed, token)), Held()
        with Watch(target(feed, token)) as slow:
            at_, changes, _ = slow.update()
            sizes = []
            for n in range(1, 121):
                write(shop.store, {"big": b"%d" % n + b"0" * BULK, f"small{n % 7}": b"%d" % n})
                now = position_of(shop.store)
                follow(quick, held, lambda now=now: held.held == now)  # type: ignore[misc]
                sizes.append(metric(feed, "window_bytes"))
            assert BULK < max(sizes) <= 5 * BULK
            assert held.rows == rows_of(shop.store)
            sent = metric(feed, "bytes_total")
            rows = {i: r for i, r in changes.items() if r is not None}
            leaps = []
            while at_.position != position_of(shop.store):
                before = at_.position.revision
                at_, changes, _ = slow.update()
                leaps.append(at_.position.revision - before)
                rows = {} if at_.snapshot else rows
                rows |= {i: r for i, r in changes.items() if r is not None}
            assert rows == rows_of(shop.store)
            assert max(leaps) > 10  # what lay on its way, then at once to where the store is
            assert metric(feed, "bytes_total") - sent < 20 * BULK
        quick.close()


@pytest.mark.usefixtures("on_database")
def test_a_snapshot_that_is_read_slowly_keeps_no_view_of_the_database_open(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "unused")
    token = sidecar_token(shop.store)
    many = {f"t{n:05d}": record(f"t{n:05d}", 1) for n in range(20_000)}
    write(shop.store, many)
    name = shop.store.name.rpartition("/")[2]
    with feeding(shop.store) as feed, Watch(target(feed, token)) as slow:
        slow.until(lambda event: isinstance(event, Batch))
        wait_for(lambda: metric(feed, "snapshots_total") == 1)
        open_ = (
            "SELECT state, query FROM pg_stat_activity WHERE datname = '" + name + "'"
            " AND xact_start < clock_timestamp() - interval '0.3 s'"
        )
        wait_for(lambda: not postgresql.do(open_), lambda: postgresql.do(open_))
        shop.tenant("later")
        batch, changes, count = slow.update()  # the rest of the snapshot, from its second batch on
        assert (batch.snapshot, count) == (True, 19)
        later, change, _ = slow.update()
        assert (later.snapshot, set(change), later.position) == (False, {"later"}, position_of(shop.store))
        assert len(changes) == 19_000


def test_those_who_do_not_read_their_snapshot_keep_others_waiting_for_a_while_only(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.feed.spool.SNAPSHOTS", 2)
    monkeypatch.setattr("sync.feed.spool.TURN_SECONDS", 0.5)
    token = sidecar_token(shop.store)
    write(shop.store, {f"t{n}": b"x" * BULK for n in range(160)})
    with feeding(shop.store) as feed, ExitStack() as stack:
        for _ in range(2):
            stuck = stack.enter_context(Watch(target(feed, token)))
            stuck.until(lambda event: isinstance(event, Batch))
        began = time.monotonic()
        with Watch(target(feed, token)) as watch:
            waiting = watch.until(lambda event: isinstance(event, Heartbeat))
            assert watch.update()[1] == rows_of(shop.store)
            assert waiting.position is None  # type: ignore[union-attr]
        assert 0.2 < time.monotonic() - began < 10
    assert metric(feed, "watchers") == 0


def test_watches_that_are_given_up_leave_nothing_behind(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At any moment: before the first word, in a snapshot, in the middle of waiting."""
    monkeypatch.setattr("sync.feed.spool.SPOOL_SECONDS", 0.5)
    token = sidecar_token(shop.store)
    write(shop.store, {f"t{n}": b"x" * BULK for n in range(50)})
    with feeding(shop.store) as feed:
        for n in range(120):
            with Watch(target(feed, token), tenants=["t1"] if n % 3 == 0 else []) as watch:
                for _ in range(n % 5):
                    watch.next()
        wait_for(lambda: metric(feed, "watchers") == 0)
        spools = feed.server._streams._spools
        wait_for(lambda: feed.within(lambda: spools._places._value) == 32)
        wait_for(lambda: spools._spool is None)  # and with it its file
        with Watch(target(feed, token)) as watch:
            watch.update()
        loop = feed._loop
        assert loop is not None
        wait_for(lambda: feed.within(lambda: len(asyncio.all_tasks(loop))) < 12)
    gc.collect()
    assert [log.getMessage() for log in caplog.records if log.levelno >= logging.WARNING] == []


# Many at once


class Recording(Held):
    """Remembers every position that it was at."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Position] = []

    def apply(self, update: Update) -> None:
        super().apply(update)
        self.seen.append(update.position)


@pytest.mark.usefixtures("on_database")
def test_two_writers_and_twenty_watchers_agree(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "unused")
    for n in range(10):
        shop.tenant(f"t{n}")
    token = sidecar_token(shop.store)
    revisions: list[int] = []

    def state(writer: int) -> None:
        store = again(shop.store)
        for n in range(100):
            done = adjust_usage(
                store, f"t{(n + writer) % 10}", "desk", Delta(units=1), idempotency_key=f"{writer}-{n}", now=at(START)
            )
            revisions.append(done.revision)

    first = position_of(shop.store)
    with feeding(shop.store) as feed, feeding(again(shop.store)) as other:
        to = FeedTarget(addresses=(feed.address, other.address), token=token)
        sinks = [Recording() for _ in range(20)]
        # Each third follows a few only.
        sources = [FeedSource(to, only=("t1", "t2") if n % 3 == 0 else ()) for n in range(20)]
        followers = [Follower(source, sink) for source, sink in zip(sources, sinks, strict=True)]
        for follower in followers:
            follower.start()
        writers = [threading.Thread(target=state, args=[n]) for n in range(2)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        last = position_of(shop.store)
        wait_for(lambda: all(sink.held == last for sink in sinks))
        for follower in followers:
            follower.stop()
        assert all(follower.join(PATIENCE) for follower in followers)
    assert sorted(revisions) == list(range(first.revision + 1, first.revision + 201))
    with shop.store.reading() as conn:
        marks = {row.revision: row.digest for row in conn.execute(select(R))}
    rows = rows_of(shop.store)
    for n, sink in enumerate(sinks):
        assert sink.rows == ({i: rows[i] for i in ("t1", "t2")} if n % 3 == 0 else rows)
        assert [p.revision for p in sink.seen] == sorted({p.revision for p in sink.seen})
        assert all(position.mark == marks[position.revision] for position in sink.seen)
        assert sink.failures == []
        assert sink.snapshots == 1


# Lines


LIVELY = FeedTuning(interval=60.0, keepalive=1.0, keepalive_patience=1.0)


@pytest.fixture
def line(shop: Shop) -> Iterator[tuple[Feed, Proxy, FeedTarget]]:
    token = sidecar_token(shop.store)
    with feeding(shop.store, tuning=LIVELY) as feed:
        proxy = Proxy(lambda: socket.create_connection(("127.0.0.1", feed.address.port)))
        to = FeedTarget(
            addresses=(Address("127.0.0.1", proxy.port),), token=token, keepalive=1.0, keepalive_patience=1.0
        )
        yield feed, proxy, to
        proxy.cut()


Line = tuple[Feed, Proxy, FeedTarget]


def test_an_idle_stream_lives_on(shop: Shop, line: Line) -> None:
    """Over several pings in each direction, though nobody says anything."""
    _, _, to = line
    with Watch(to) as watch:
        watch.update()
        watch.next()
        commit = threading.Timer(5.0, shop.tenant, ["new"])
        commit.start()
        assert set(watch.update()[1]) == {"new"}
        commit.join()


@pytest.mark.parametrize("how", ["stall", "cut"])
def test_a_line_that_dies_is_noticed_on_both_ends(shop: Shop, line: Line, how: str) -> None:
    feed, proxy, to = line
    shop.tenant("a")
    source, held = FeedSource(to), Held()
    follow(source, held, lambda: held.contacts)
    assert metric(feed, "watchers") == 1
    getattr(proxy, how)()
    began = time.monotonic()
    follow(source, held, lambda: held.failures, failing=True)
    assert time.monotonic() - began < 6
    assert held.failures[0].kind is FailureKind.UNREACHABLE
    assert str(to.addresses[0]) in held.failures[0].problem
    wait_for(lambda: metric(feed, "watchers") == 0, seconds=6)
    shop.tenant("b")
    proxy.restore()
    follow(source, held, lambda: held.held == position_of(shop.store), failing=True)
    assert held.snapshots == 1
    source.close()


def test_a_server_that_is_stopped_and_started_is_come_back_to_by_changes(shop: Shop) -> None:
    token = sidecar_token(shop.store)
    with feeding(shop.store) as feed:
        sinks = [Held() for _ in range(3)]
        followers = [Follower(FeedSource(target(feed, token)), sink) for sink in sinks]
        for follower in followers:
            follower.start()

        def all_are(there: Callable[[Held], bool]) -> None:
            wait_for(lambda: all(there(sink) for sink in sinks), lambda: [sink.failures[-1:] for sink in sinks])

        for n in range(2):
            shop.tenant(f"t{n}")
            now = position_of(shop.store)
            all_are(lambda sink, now=now: sink.held == now)  # type: ignore[misc]
            feed.stop()
            shop.tenant(f"u{n}")
            feed.start()
        now = position_of(shop.store)
        all_are(lambda sink: sink.held == now)
        for follower in followers:
            follower.stop()
        assert all(follower.join(PATIENCE) for follower in followers)
    assert {sink.snapshots for sink in sinks} == {1}
    assert all(sink.rows == rows_of(shop.store) for sink in sinks)
