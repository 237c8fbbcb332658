"""A watch of a feed server, over a file and over a database: what comes, from where, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from sync import digest
from sync.feed import eye, spool, streams
from sync.feed.client import FeedSource
from sync.feed.protocol import Heartbeat
from sync.feed.window import Delta, Next
from sync.sources import FailureKind, Position
from sync.store import schema
from sync.store.catalogue import create_product
from sync.store.db import Store
from sync.store.errors import StoreUnavailable
from sync.store.products import product_of
from sync.store.tenants import create_tenant
from tests import storing
from tests.feeding import (
    Feed,
    FeedTuning,
    Held,
    Watch,
    caught_up,
    feeding,
    follow,
    position_of,
    refused,
    rows_of,
    sidecar_token,
    target,
)
from tests.serving import PATIENCE, wait_for
from tests.storing import START, TESTER, Shop, at, months, on_every_database, per_unit
from tests.upstreams import Rows

pytestmark = on_every_database
TENANTS = [f"t{n}" for n in range(6)]


def fill(store: Store) -> None:
    """A product, and tenants at a revision each."""
    with store.writing(TESTER) as writing:
        create_product(writing, product_of(per_unit("desk", "fixed_desk")), now=at(START))
    for tenant_id in TENANTS:
        with store.writing(TESTER) as writing:
            create_tenant(writing, tenant_id, now=at(START))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store.db", fill)


@pytest.fixture
def token(shop: Shop) -> str:
    return sidecar_token(shop.store)


@pytest.fixture
def feed(shop: Shop) -> Iterator[Feed]:
    with feeding(shop.store) as feed:
        yield feed


def positions(shop: Shop) -> list[Position]:
    """Every position that the store still knows of."""
    with shop.store.reading() as conn:
        found = conn.execute(select(schema.revision_log).order_by(schema.revision_log.c.revision)).all()
    store_id = shop.store.status().store_id
    return [Position(store_id=store_id, revision=row.revision, mark=row.digest) for row in found]


def prune(shop: Shop, before: int) -> None:
    with shop.store.place.writing() as conn:
        for table in (schema.change_log, schema.revision_log):
            conn.execute(delete(table).where(table.c.revision < before))


# From nothing, from what is held


def test_who_holds_nothing_is_sent_everything_and_then_a_heartbeat(shop: Shop, feed: Feed, token: str) -> None:
    with Watch(target(feed, token)) as watch:
        first, (batch, changes, count), last = watch.next(), watch.update(), watch.next()
    assert isinstance(first, Heartbeat)
    assert (first.position, first.problem) == (None, "")
    assert (batch.position, batch.snapshot, batch.digest) == (position_of(shop.store), True, batch.position.mark)
    assert (changes, count) == (rows_of(shop.store), 1)
    assert isinstance(last, Heartbeat)
    assert last.position == batch.position


def test_a_store_that_nobody_has_written_to(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "empty.db")
    token = sidecar_token(shop.store)
    with feeding(shop.store) as feed:
        source, held = FeedSource(target(feed, token)), Held()
        caught_up(source, held, shop.store)
        assert (held.rows, held.held) == ({}, position_of(shop.store))
        shop.tenant("first")
        caught_up(source, held, shop.store)
        assert held.rows == rows_of(shop.store)
        source.close()


def test_from_every_position_that_is_known_what_changed_since_comes_as_one_update(shop: Shop, token: str) -> None:
    shop.use("t1", fixed_desk=1)
    shop.use("t1", fixed_desk=2)
    shop.new("t2", {"desk": 3}, "2026-02-01", months(3))
    now = position_of(shop.store)
    with feeding(shop.store) as feed:
        for since in positions(shop)[:-1]:
            with Watch(target(feed, token), since=since) as watch:
                batch, changes, _ = watch.update()
            assert (batch.position, batch.snapshot, batch.since_revision) == (now, False, since.revision)
            assert changes == {i: rows_of(shop.store)[i] for i in shop.changed_since(since.revision)}


def test_from_every_position_that_is_at_hand_each_change_comes_as_it_was_seen(
    shop: Shop, feed: Feed, token: str
) -> None:
    for n in range(4):
        shop.use("t1", fixed_desk=n + 1)
        seen_by(feed, shop)
    for since in positions(shop)[:-1]:
        with Watch(target(feed, token), since=since) as watch:
            changes: dict[str, bytes | None] = {}
            held = since
            while held != position_of(shop.store):
                batch, more, _ = watch.update()
                assert (batch.snapshot, batch.since_revision) == (False, held.revision)
                held, changes = batch.position, changes | more
        assert changes == {i: rows_of(shop.store)[i] for i in shop.changed_since(since.revision)}


def seen_by(feed: Feed, shop: Shop) -> None:
    """Waits until a replica knows where the store is."""
    wait_for(lambda: feed.within(lambda: feed.server.hub.head) == position_of(shop.store))


def test_who_holds_all_is_sent_nothing(shop: Shop, feed: Feed, token: str) -> None:
    seen_by(feed, shop)
    with Watch(target(feed, token), since=position_of(shop.store)) as watch:
        beats = [watch.next() for _ in range(3)]
    assert [getattr(beat, "position", None) for beat in beats] == [None] + [position_of(shop.store)] * 2


def test_who_is_behind_the_log_is_sent_everything(shop: Shop, feed: Feed, token: str) -> None:
    known = positions(shop)
    prune(shop, known[3].revision)
    for since in known[:-1]:
        with Watch(target(feed, token), since=since) as watch:
            batch, changes, _ = watch.update()
        assert batch.snapshot is (since.revision < known[3].revision)
        assert batch.position == position_of(shop.store)
        if batch.snapshot:
            assert changes == rows_of(shop.store)


def test_who_asks_for_everything_is_sent_it_whatever_it_holds(shop: Shop, feed: Feed, token: str) -> None:
    now = position_of(shop.store)
    with Watch(target(feed, token), since=now, whole=True) as watch:
        beat, (batch, changes, _) = watch.next(), watch.update()
    assert isinstance(beat, Heartbeat)
    assert beat.position is None  # no contact while what is held is in doubt
    assert (batch.snapshot, batch.position, changes) == (True, now, rows_of(shop.store))


def test_a_snapshot_made_earlier_is_sent_to_nobody_who_holds_more(shop: Shop, feed: Feed, token: str) -> None:
    """It would look like a history that went back."""
    early = position_of(shop.store)
    with Watch(target(feed, token)) as watch:
        watch.update()
    shop.use("t1", fixed_desk=1)
    now = position_of(shop.store)
    prune(shop, now.revision)
    for asked in ({"since": now, "whole": True}, {"since": early}):
        with Watch(target(feed, token), **asked) as watch:  # type: ignore[arg-type]
            assert watch.update()[0].position == now


def test_a_snapshot_made_earlier_is_sent_to_nobody_who_was_sent_more_meanwhile(
    shop: Shop, feed: Feed, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = position_of(shop.store)
    shop.use("t1", fixed_desk=1)
    with Watch(target(feed, token)) as another:
        another.update()
    with Watch(target(feed, token), since=early) as watch:
        watch.update()
        shop.use("t1", fixed_desk=2)
        held = watch.update()[0].position
        assert held == position_of(shop.store)
        monkeypatch.setattr("sync.feed.eye.MOST_BYTES", 300)
        Rows(shop.store).commit([f"many{n}" for n in range(20)])
        batch, changes, _ = watch.update()
    assert (batch.snapshot, batch.position) == (True, position_of(shop.store))
    assert changes == rows_of(shop.store)


def test_who_is_behind_by_much_is_sent_a_snapshot_that_leads_on_and_once(
    shop: Shop, feed: Feed, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.feed.eye.MOST_BYTES", 300)
    source, held = FeedSource(target(feed, token)), Held()
    caught_up(source, held, shop.store)
    for n in range(3):
        Rows(shop.store).commit([f"many{n}-{m}" for m in range(20)])
        caught_up(source, held, shop.store)
        assert held.rows == rows_of(shop.store)
    assert held.snapshots == 4
    source.close()


def test_a_large_store_comes_as_one_update_of_many_batches(
    shop: Shop, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "BATCH_ROWS", 4)
    monkeypatch.setattr(streams, "BATCH_ROWS", 4)
    Rows(shop.store).commit([f"many{n}" for n in range(30)])
    with feeding(shop.store) as feed:
        with Watch(target(feed, token)) as watch:
            batch, changes, count = watch.update()
        assert (changes, count) == (rows_of(shop.store), 9)
        source, held = FeedSource(target(feed, token)), Held()
        caught_up(source, held, shop.store)
        assert (held.rows, held.snapshots) == (rows_of(shop.store), 1)
        source.close()
        some = FeedSource(target(feed, token), only=tuple(f"many{n}" for n in range(15)))
        part = Held()
        caught_up(some, part, shop.store)
        assert len(part.rows) == 15
        some.close()
        assert batch.position == held.held


# As it changes


def test_what_is_committed_comes_and_what_is_taken_away_goes(shop: Shop, feed: Feed, token: str) -> None:
    rows, source, held = Rows(shop.store), FeedSource(target(feed, token)), Held()
    caught_up(source, held, shop.store)
    for put, take in ((["a"], []), (["a", "b"], ["t1"]), ([], ["a", "t2"]), (["t1"], ["b"])):
        rows.commit(put, take)
        caught_up(source, held, shop.store)
        assert held.rows == rows_of(shop.store)
    assert held.snapshots == 1
    source.close()
    with feeding(shop.store) as fresh, Watch(target(fresh, token), since=positions(shop)[-3]) as watch:
        assert watch.update()[1] == {"a": None, "t2": None, "b": None, "t1": rows_of(shop.store)["t1"]}


def test_many_watchers_each_end_where_the_store_is(shop: Shop, feed: Feed, token: str) -> None:
    watchers = [(FeedSource(target(feed, token)), Held()) for _ in range(8)]
    for source, held in watchers:
        caught_up(source, held, shop.store)
    for n in range(10):
        shop.use("t1", fixed_desk=n)
        shop.use("t2", fixed_desk=n)
    for source, held in watchers:
        caught_up(source, held, shop.store)
        assert held.rows == rows_of(shop.store)
        source.close()
    assert feed.within(lambda: feed.server.metrics.snapshots._value.get()) == 8


def test_each_that_waits_hears_of_a_commit_at_once(shop: Shop, token: str) -> None:
    with feeding(shop.store, tuning=FeedTuning(interval=60.0)) as feed, Watch(target(feed, token)) as watch:
        watch.update()
        watch.next()
        for n in range(5):
            began = time.monotonic()
            shop.use("t1", fixed_desk=n + 1)
            assert watch.update()[0].position == position_of(shop.store)
            assert time.monotonic() - began < 5


# Heartbeats


def test_heartbeats_come_as_often_as_they_say_and_tell_the_stores_clock(
    shop: Shop, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.feed.reading.time", OtherClock)
    with feeding(shop.store, tuning=FeedTuning(interval=0.1)) as feed, Watch(target(feed, token)) as watch:
        watch.update()
        first = watch.next()
        began = time.monotonic()
        beats = [watch.next() for _ in range(10)]
        lasted = time.monotonic() - began
    assert 0.8 < lasted < 5
    assert isinstance(first, Heartbeat)
    clock = time.time_ns() // 1000 if storing.place() == "postgresql" else OtherClock.time_ns() // 1000
    assert abs(first.store_instant - clock) < 30_000_000
    before = first.store_instant
    for beat in beats:
        assert isinstance(beat, Heartbeat)
        assert (beat.position, beat.interval, beat.problem) == (position_of(shop.store), 0.1, "")
        assert before < beat.store_instant < before + 5_000_000
        before = beat.store_instant


class OtherClock:
    """A machine's clock that is years wrong."""

    @staticmethod
    def time_ns() -> int:
        return 1_000_000_000_000_000_000 + time.monotonic_ns()


def test_a_heartbeat_claims_contact_only_of_one_who_was_up_to_date_lately(shop: Shop, feed: Feed, token: str) -> None:
    """What was read to catch others up says nothing of when the store was there."""
    early = positions(shop)[1]
    for _ in range(3):
        with Watch(target(feed, token), since=early) as watch:
            beats = []
            while isinstance(event := watch.next(), Heartbeat):
                beats.append(event.position)
            assert set(beats) == {None}
            watch.until(lambda event: getattr(event, "interval", 0) and event.position == position_of(shop.store))


# Only some tenants


def test_only_the_tenants_asked_for_come_with_a_digest_of_their_own(shop: Shop, feed: Feed, token: str) -> None:
    with Watch(target(feed, token), tenants=["t1", "t3", "nobody"]) as watch:
        batch, changes, _ = watch.update()
    rows = rows_of(shop.store)
    assert changes == {"t1": rows["t1"], "t3": rows["t3"]}
    assert batch.digest == digest.as_text(sum(digest.row_mark(i, rows[i]) for i in changes))
    assert (batch.position, batch.snapshot) == (position_of(shop.store), True)


def family(shop: Shop) -> None:
    """A pool owner with two below it that share, and a stranger."""
    shop.tenant("owner")
    shop.new("owner", {"desk": 10}, "2026-01-02", months(12))
    shop.tenant("child", parent_id="owner")
    shop.tenant("other", parent_id="owner")


def test_whose_services_are_shared_come_and_go_with_who_shares_them(shop: Shop, feed: Feed, token: str) -> None:
    family(shop)
    source, held = FeedSource(target(feed, token), only=("child", "t1", "later")), Held()

    def now_has(*ids: str) -> None:
        caught_up(source, held, shop.store)
        rows = rows_of(shop.store)
        assert held.rows == {i: rows[i] for i in ids}

    now_has("child", "owner", "t1")
    shop.use("owner", fixed_desk=4)  # of the pool's owner
    now_has("child", "owner", "t1")
    shop.use("other", fixed_desk=2)  # counts in that pool, too
    now_has("child", "owner", "t1")
    shop.use("t5", fixed_desk=1)  # nothing of theirs
    now_has("child", "owner", "t1")
    shop.new("child", {"desk": 1}, "2026-02-01", months(1))  # it shares nobody's from now on
    now_has("child", "t1")
    shop.use("owner", fixed_desk=5)
    now_has("child", "t1")
    shop.tenant("later", parent_id="owner")
    now_has("child", "t1", "later", "owner")
    assert held.snapshots == 1
    source.close()


def test_who_follows_some_begins_anew_with_each_stream_and_other_histories_are_refused(
    shop: Shop, feed: Feed, token: str
) -> None:
    now = position_of(shop.store)
    with Watch(target(feed, token), since=now, tenants=["t1"]) as watch:
        batch, changes, _ = watch.update()
    assert (batch.snapshot, set(changes)) == (True, {"t1"})
    other = Position(store_id=now.store_id, revision=now.revision, mark="0" * 64)
    for tenants in ([], ["t1"]):
        assert refused(target(feed, token), since=other, tenants=tenants).code == FailureKind.HISTORY_WENT_BACK.name


def test_a_watch_of_some_that_is_ahead_of_its_replica_waits_for_it(
    shop: Shop, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the store is asked for each stream shows the newest state, which the replica may come to know later."""
    with feeding(shop.store) as feed, Watch(target(feed, token), tenants=["t1"]) as settled:
        settled.until(lambda event: getattr(event, "position", None) == position_of(shop.store))
        parts = []
        real = streams.with_holders
        monkeypatch.setattr(streams, "with_holders", lambda *given: parts.append(1) or real(*given))
        monkeypatch.setattr("sync.feed.eye.look", blind)
        shop.use("t1", fixed_desk=1)
        with Watch(target(feed, token), tenants=["t1"]) as watch:
            batch, _, _ = watch.update()
            assert batch.position == position_of(shop.store)
            beats = [watch.next() for _ in range(3)]
            assert all(isinstance(beat, Heartbeat) and beat.position is None for beat in beats)
        assert len(parts) < 10


def test_news_that_comes_between_a_look_at_the_store_and_the_wait_is_not_missed(
    shop: Shop, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with feeding(shop.store, tuning=FeedTuning(interval=60.0)) as feed:
        seen_by(feed, shop)
        real, sees = streams.Streams._changes, eye.look
        monkeypatch.setattr(eye, "look", blind)
        shop.use("t1", fixed_desk=1)

        def changes(self: streams.Streams, since: Position) -> Delta | Next:
            found = real(self, since)
            if found is Next.NOTHING and eye.look is blind:
                monkeypatch.setattr(eye, "look", sees)
                seen_by(feed, shop)
                shop.use("t1", fixed_desk=2)
                seen_by(feed, shop)
            return found

        monkeypatch.setattr(streams.Streams, "_changes", changes)
        with Watch(target(feed, token), since=position_of(shop.store)) as watch:
            assert watch.update()[0].position == position_of(shop.store)


def test_who_is_ahead_of_a_replica_hears_at_once_when_it_has_caught_up(
    shop: Shop, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However rarely heartbeats come."""
    with feeding(shop.store, tuning=FeedTuning(interval=60.0)) as feed:
        seen_by(feed, shop)
        sees = eye.look
        monkeypatch.setattr(eye, "look", blind)
        shop.use("t1", fixed_desk=1)
        now = position_of(shop.store)
        asked = ({"since": now}, {"tenants": ["t1"]})
        watches = [Watch(target(feed, token), **given) for given in asked]  # type: ignore[arg-type]
        watches[0].next()
        watches[1].update()
        monkeypatch.setattr(eye, "look", sees)
        for watch in watches:
            assert getattr(watch.next(), "position", None) == now
            watch.__exit__(None, None, None)


def test_many_who_are_behind_at_once_are_read_for_once(shop: Shop, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    early = position_of(shop.store)
    shop.use("t1", fixed_desk=1)
    real, begun, go_on = streams.Streams._changes, [], threading.Event()

    def changes(self: streams.Streams, since: Position) -> Delta | Next:
        begun.append(since)
        assert go_on.wait(PATIENCE)
        return real(self, since)

    monkeypatch.setattr(streams.Streams, "_changes", changes)
    with feeding(shop.store) as feed, ExitStack() as stack:
        watches = [stack.enter_context(Watch(target(feed, token), since=early)) for _ in range(10)]
        for watch in watches:
            watch.next()
        watches.pop(0).call.cancel()  # one of them, which may have been the first, is not there any more
        wait_for(lambda: len(feed.server._watches) == 9)
        go_on.set()
        for watch in watches:
            assert set(watch.update()[1]) == {"t1"}
    assert begun == [early]


def blind(*_: object) -> None:
    raise StoreUnavailable("it is blind for a while")


def test_the_tenants_asked_for_are_checked(feed: Feed, token: str) -> None:
    for tenants in ([""], ["x" * 257], [f"t{n}" for n in range(10_001)]):
        ended = refused(target(feed, token), tenants=tenants)
        assert (ended.status.name, ended.code) == ("INVALID_ARGUMENT", "INVALID")
        assert "tenants" in ended.text


@pytest.mark.parametrize(
    "since",
    [
        Position(store_id="", revision=1, mark="0" * 64),
        Position(store_id="s", revision=-1, mark="0" * 64),
        Position(store_id="s", revision=1, mark="none"),
    ],
)
def test_a_position_that_is_none_is_refused(feed: Feed, token: str, since: Position) -> None:
    ended = refused(target(feed, token), since=since)
    assert (ended.status.name, ended.code) == ("INVALID_ARGUMENT", "INVALID")
    assert ended.text.startswith("since: ")


def test_a_digest_that_is_wrong_in_the_store_is_never_served(shop: Shop, feed: Feed, token: str) -> None:
    """Nothing but a whole world is taken; what is asked for then is everything."""
    source, held = FeedSource(target(feed, token)), Held()
    caught_up(source, held, shop.store)
    before = held.held, dict(held.rows)
    with shop.store.place.writing() as conn:
        wrong = "f" * 64
        conn.execute(update(schema.store).values(revision=schema.store.c.revision + 1, digest=wrong))
        conn.execute(schema.revision_log.insert().values(revision=position_revision(shop) + 1, digest=wrong, at=0))
        shop.store.place.announce(conn, 1)
    follow(source, held, lambda: len(held.failures) > 2, failing=True)
    assert {failure.kind for failure in held.failures} == {FailureKind.WRONG_DIGEST}
    assert (held.held, held.rows) == before
    with shop.store.place.writing() as conn:
        conn.execute(delete(schema.revision_log).where(schema.revision_log.c.digest == wrong))
        conn.execute(update(schema.store).values(revision=before[0].revision, digest=before[0].mark))  # type: ignore[union-attr]
    shop.use("t1", fixed_desk=1)
    follow(source, held, lambda: held.held == position_of(shop.store), failing=True)
    assert held.rows == rows_of(shop.store)
    source.close()


def position_revision(shop: Shop) -> int:
    return position_of(shop.store).revision
