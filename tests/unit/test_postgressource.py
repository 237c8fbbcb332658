"""A store in PostgreSQL is followed at the end of a network that can fail in any way: beyond tests/contract."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, event, text

from sync.feed import reading
from sync.follower import Follower
from sync.postgressource import LOOK_EVERY, PostgresSource
from sync.sources import FailureKind, Update
from sync.store import schema
from tests import postgresql
from tests.serving import PATIENCE, wait_for
from tests.sinks import Listening, State
from tests.upstreams import TENANTS, PostgresUpstream


class Place:
    """A store, a network, and a sidecar's state; sources by the test's choosing."""

    def __init__(self, folder: Path) -> None:
        self.upstream = PostgresUpstream()
        self.state = State(folder)
        self.sources: list[PostgresSource] = []

    def source(self, url: str = "", **options: float) -> PostgresSource:
        upstream = self.upstream
        through = f"postgresql://postgres:s3cret@127.0.0.1:{upstream.network.port}/{upstream.name}"
        source = PostgresSource(url or through, **{"look_every": 0.05} | options)  # type: ignore[arg-type]
        self.sources.append(source)
        return source

    def follows(self, source: PostgresSource) -> None:
        """Steps until all is held."""
        at, contacts = self.upstream.position(), len(self.state.sink.contacts)
        while self.state.sink.held != at or len(self.state.sink.contacts) == contacts:
            source.step(self.state.sink)
        assert self.state.world.tenants == self.upstream.records()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    for source in place.sources:
        source.close()
    place.state.end()
    place.upstream.close()


def elsewhere(name: str, user: str = "postgres") -> str:
    return postgresql.url(name, user)


# Kinds of failures


def test_a_database_that_is_not_there(place: Place) -> None:
    assert "there is no such database" in place.state.fails(place.source(elsewhere("nowhere")), FailureKind.MISSING)


def test_a_database_without_a_store(place: Place) -> None:
    name = postgresql.empty()
    assert "store init" in place.state.fails(place.source(elsewhere(name)), FailureKind.MISSING)


def test_a_database_of_another_kind(place: Place) -> None:
    name = postgresql.empty()
    with place.upstream.rows.store.place.writing() as conn:
        conn.execute(delete(schema.store))
    problem = place.state.fails(place.source(elsewhere(place.upstream.name)), FailureKind.FOREIGN)
    assert "lost its identity" in problem
    assert name


def test_a_store_that_lost_a_table_is_an_emptied_one_to_whoever_followed_it(place: Place) -> None:
    source = place.source()
    place.follows(source)
    with place.upstream.rows.store.place.writing() as conn:
        conn.execute(text("DROP TABLE revision_log"))
    problem = place.state.fails(source, FailureKind.HISTORY_WENT_BACK)
    assert "is served as it was" in problem
    assert place.state.fails(place.source(), FailureKind.HISTORY_WENT_BACK)


def test_a_user_that_is_not_known(place: Place) -> None:
    source = place.source(elsewhere(place.upstream.name, "nobody_at_all"))
    assert "does not let this user in" in place.state.fails(source, FailureKind.DENIED)


def test_a_user_that_may_not_read(place: Place) -> None:
    postgresql.do("DROP ROLE IF EXISTS reader")
    postgresql.do("CREATE ROLE reader LOGIN")
    source = place.source(elsewhere(place.upstream.name, "reader"))
    assert "grant the right" in place.state.fails(source, FailureKind.DENIED)
    with place.upstream.rows.store.place.writing() as conn:
        for table in ("store", "entitlement", "change_log", "revision_log"):
            conn.execute(text(f"GRANT SELECT ON {table} TO reader"))
    place.follows(source)  # and that is all the right it takes
    with place.upstream.rows.store.place.writing() as conn:
        conn.execute(text("DROP OWNED BY reader"))
    postgresql.do("DROP ROLE reader")


def test_nobody_listens(place: Place) -> None:
    place.upstream.network.cut()
    problem = place.state.fails(place.source(), FailureKind.UNREACHABLE)
    assert "cannot be reached" in problem
    assert "s3cret" not in problem


# News


def test_a_commit_is_told_at_once_not_found_by_asking(place: Place) -> None:
    source = place.source(look_every=PATIENCE)
    place.follows(source)
    source.step(place.state.sink)  # listens from here on
    threading.Timer(0.1, place.upstream.change, ["a"]).start()
    began = time.monotonic()
    wait = place.state.world.revisions
    while len(wait) < 2:
        source.step(place.state.sink)
    assert time.monotonic() - began < PATIENCE / 2


def test_without_word_it_is_found_by_asking(place: Place) -> None:
    source = place.source()
    place.follows(source)
    source._bell._tried_at = float("inf")  # it does not listen
    source._bell.close()
    place.upstream.change("a")
    place.follows(source)


def test_contact_is_at_least_every_second_while_nothing_changes(place: Place) -> None:
    source = place.source(look_every=LOOK_EVERY)
    place.follows(source)
    source.step(place.state.sink)
    before, began = len(place.state.sink.contacts), time.monotonic()
    source.step(place.state.sink)
    assert len(place.state.sink.contacts) == before + 1
    assert time.monotonic() - began < 1.0


def test_an_update_is_of_one_moment_even_if_the_store_goes_on(place: Place) -> None:
    upstream, source, state = place.upstream, place.source(), place.state
    upstream.change(*(f"t{n}" for n in range(600)))

    class Meddling(Listening):
        def apply(self, update: Update) -> None:
            def changes() -> Iterator[tuple[str, bytes | None]]:
                for number, change in enumerate(update.changes):
                    if number == 10:
                        upstream.change("late")
                        upstream.take("t99")
                    yield change

            super().apply(dataclasses.replace(update, changes=changes()))

    sink = Meddling(copy=state.copy, clock=state.clock, publish=state.world.publish)
    sink.contacts = []
    source.step(sink)
    assert len(state.world.tenants) == 600 + len(TENANTS)
    assert "late" not in state.world.tenants
    assert not sink.contacts  # much may have come meanwhile: it is looked at again, first
    source.step(sink)
    assert ("late" in state.world.tenants, "t99" in state.world.tenants) == (True, False)
    assert len(sink.contacts) == 1


def test_everything_comes_by_a_cursor_of_the_servers(place: Place) -> None:
    source = place.source()
    place.upstream.change(*(f"t{n}" for n in range(3 * reading.ROWS)))
    streamed = []
    engine = source._store.place._engine  # type: ignore[attr-defined]
    event.listen(
        engine,
        "before_cursor_execute",
        lambda conn, cursor, statement, *_: streamed.append((type(cursor).__name__, "entitlement" in statement)),
    )
    place.follows(source)
    assert ("ServerCursor", True) in streamed


def test_an_instant_that_took_long_to_come_settles_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    source = place.source()
    monkeypatch.setattr("sync.postgressource.PROMPT", -1.0)
    place.follows(source)
    assert {told for _, told in place.state.sink.contacts} == {None}
    assert place.state.clock.source == "machine"


# Lines that break


def test_a_server_that_falls_silent_is_given_up(place: Place) -> None:
    source = place.source(patience=0.3)
    place.follows(source)
    place.upstream.network.stall()
    began = time.monotonic()
    problem = place.state.fails(source, FailureKind.UNREACHABLE)
    assert time.monotonic() - began < 5
    assert "said nothing for 0.3 s" in problem
    place.upstream.change("a")
    place.upstream.network.restore()
    place.follows(source)
    assert place.state.world.snapshots == 1


def test_one_that_falls_silent_in_the_middle_leaves_nothing_of_it(place: Place) -> None:
    place.upstream.change(*(f"t{n}" for n in range(4_000)))
    source, state = place.source(patience=0.3), place.state

    class Cut(Listening):
        def apply(self, update: Update) -> None:
            def changes() -> Iterator[tuple[str, bytes | None]]:
                for number, change in enumerate(update.changes):
                    if number == 10:
                        place.upstream.network.stall()
                    yield change

            super().apply(dataclasses.replace(update, changes=changes()))

    state.sink = Cut(copy=state.copy, clock=state.clock, publish=state.world.publish)
    state.sink.contacts = []
    state.fails(source, FailureKind.UNREACHABLE)
    assert (state.world.revisions, state.copy.position) == ([], None)
    place.upstream.network.restore()
    state.sink = Listening(copy=state.copy, clock=state.clock, publish=state.world.publish)
    state.sink.contacts = []
    place.follows(source)


def test_a_connection_that_was_ended_by_the_server_is_made_anew(place: Place) -> None:
    source = place.source()
    place.follows(source)
    name = place.upstream.name
    postgresql.do(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'")
    place.upstream.change("a")
    place.follows(source)
    assert place.state.sink.sync_failures.total() == 0


@pytest.mark.parametrize("caught_up", [True, False])
def test_stopping_is_prompt_while_the_server_is_silent(place: Place, caught_up: bool) -> None:
    source = place.source(look_every=PATIENCE if caught_up else 0.01)
    follower = Follower(source, place.state.sink)
    follower.start()
    wait_for(lambda: len(place.state.sink.contacts) >= 2)
    place.upstream.network.stall()
    if not caught_up:
        told = [len(place.state.sink.contacts), time.monotonic()]

        def silent() -> bool:
            if len(place.state.sink.contacts) != told[0]:
                told[:] = len(place.state.sink.contacts), time.monotonic()
            return time.monotonic() - told[1] > 0.3

        wait_for(silent)
    began = time.monotonic()
    follower.stop()
    assert follower.join(PATIENCE)
    assert time.monotonic() - began < 2


def test_stopping_is_prompt_while_a_connection_is_being_made(place: Place) -> None:
    place.upstream.network.stall()
    source = place.source()
    follower = Follower(source, place.state.sink)
    follower.start()
    wait_for(lambda: source._lines._coming is not None)
    began = time.monotonic()
    follower.stop()
    assert follower.join(PATIENCE)
    assert time.monotonic() - began < 1
    assert place.state.sink.sync_failures.total() == 0
