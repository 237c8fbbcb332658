"""Wherever entitlements come from, they come whole and in order; what fails is told by its kind and got over; a history
that went back is never obeyed; and what was served is served on (domain.md 4, 7).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest
from structlog.testing import capture_logs

from sidecar.core.model import Freshness
from sidecar.core.rules import Thresholds
from sync.follower import Follower
from sync.sources import FailureKind, Position, SyncFailed
from tests.feeding import FeedUpstream
from tests.licenseupstream import LicenseUpstream
from tests.serving import PATIENCE, wait_for
from tests.sinks import START, State
from tests.upstreams import TENANTS, Ability, PostgresUpstream, SqliteUpstream, Upstream

DRIVERS: dict[str, Callable[[Path], Upstream]] = {
    "sqlite": SqliteUpstream,
    "postgresql": lambda _: PostgresUpstream(),
    "feed of sqlite": lambda folder: FeedUpstream(SqliteUpstream(folder)),
    "feed of postgresql": lambda _: FeedUpstream(PostgresUpstream()),
    "license": LicenseUpstream,
}
F = TypeVar("F", bound=Callable[..., None])


def needs(*abilities: Ability) -> Callable[[F], F]:
    """A test of an upstream that can do all that: one that cannot is skipped, with its own word for it."""

    def mark(test: F) -> F:
        NEEDED[test.__name__] = abilities
        return test

    return mark


NEEDED: dict[str, tuple[Ability, ...]] = {}


class Sidecar:
    """One that follows the upstream, step by step."""

    def __init__(self, upstream: Upstream, folder: Path) -> None:
        self.upstream = upstream
        self.state = State(folder)
        self.source = upstream.source()
        self.problems: list[str] = []

    @property
    def held(self) -> Position | None:
        return self.state.sink.held

    @property
    def contacts(self) -> int:
        return len(self.state.sink.contacts)

    def catch_up(self) -> None:
        """Steps until all that the upstream has is held, and it was in touch."""
        at, before = self.upstream.position(), self.contacts
        self.until(lambda: self.held == at and self.contacts > before)
        assert dict(self.state.copy.rows()) == self.state.world.tenants == self.upstream.records()
        assert self.state.copy.position == at
        assert self.state.sink.failing is None

    def until(self, condition: Callable[[], bool]) -> None:
        """Steps until something is so; none of them may fail."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            self.source.step(self.state.sink)

    def fails(self, *kinds: FailureKind) -> FailureKind:
        """Steps, as the follower makes them, until one fails in this way."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                self.source.step(self.state.sink)
            except SyncFailed as e:
                self.problems.append(str(e))
                self.state.sink.failed(e)
                if e.kind in kinds:
                    return e.kind
        pytest.fail(f"no {kinds} came: {self.problems[-5:]}")

    def back(self) -> None:
        """Steps until one succeeds, and from there on until all is held."""
        deadline = time.monotonic() + PATIENCE
        before = self.contacts
        while self.contacts == before:
            assert time.monotonic() < deadline, self.problems
            with suppress(SyncFailed):
                self.source.step(self.state.sink)
        self.catch_up()

    def serves(self, rows: dict[str, bytes], at: Position | None) -> None:
        """Exactly this is served, and on disk."""
        assert (self.state.world.tenants, self.held) == (rows, at)
        if self.state.copy.is_open:
            assert dict(self.state.copy.rows()) == rows

    def restart(self) -> bool:
        """Ends its process and starts another one; whether that has all it needs to answer."""
        self.source.close()
        self.state.restart()
        self.source = self.upstream.source()
        return self.state.sink.load()

    def close(self) -> None:
        self.source.close()
        self.state.end()
        for problem in self.problems:
            assert not self.upstream.secret or self.upstream.secret not in problem


@pytest.fixture(params=DRIVERS)
def upstream(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Upstream]:
    (folder := tmp_path / "upstream").mkdir()
    upstream = DRIVERS[request.param](folder)
    try:
        for ability in NEEDED.get(request.function.__name__, ()):
            if ability in upstream.lacks:
                pytest.skip(f"{request.param}: {upstream.lacks[ability]}")
        yield upstream
    finally:
        upstream.close()


@pytest.fixture
def sidecar(upstream: Upstream, tmp_path: Path) -> Iterator[Sidecar]:
    (folder := tmp_path / "sidecar").mkdir()
    sidecar = Sidecar(upstream, folder)
    yield sidecar
    sidecar.close()


# What comes


def test_first_comes_everything_then_what_changes(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.catch_up()
    assert set(sidecar.state.world.tenants) == set(TENANTS)
    upstream.change("b")
    upstream.change("a", "b")
    sidecar.catch_up()
    upstream.change("c")
    sidecar.catch_up()
    assert sidecar.state.world.snapshots == 1


@needs(Ability.ADD, Ability.TAKE)
def test_tenants_come_and_go(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.catch_up()
    upstream.change("d")
    sidecar.catch_up()
    upstream.take("a", "d")
    sidecar.catch_up()
    upstream.change("a")
    upstream.take("b")
    upstream.take("a")
    sidecar.catch_up()
    assert set(sidecar.state.world.tenants) == {"c"}
    assert sidecar.state.world.snapshots == 1


@needs(Ability.ADD)
def test_many_come_as_one_update(sidecar: Sidecar, upstream: Upstream) -> None:
    many = [f"t{n:04d}" for n in range(1_500)]
    upstream.change(*many)
    sidecar.catch_up()
    upstream.change(*many[100:1_400])
    sidecar.catch_up()
    assert sidecar.state.world.snapshots == 1
    assert len(sidecar.state.world.revisions) == 2


def test_contact_is_only_when_all_that_there_is_is_held(sidecar: Sidecar, upstream: Upstream) -> None:
    for _ in range(5):
        upstream.change("a")
        sidecar.catch_up()
    for held, _ in sidecar.state.sink.contacts:
        assert held is not None
    assert len({held for held, _ in sidecar.state.sink.contacts}) == 5


def test_nothing_new_is_contact_and_nothing_is_published(sidecar: Sidecar) -> None:
    sidecar.catch_up()
    published = list(sidecar.state.world.revisions)
    for _ in range(3):
        before = sidecar.contacts
        sidecar.until(lambda before=before: sidecar.contacts > before)  # type: ignore[misc]
    assert sidecar.state.world.revisions == published


@needs(Ability.TELL_TIME)
def test_a_store_over_a_network_tells_its_instant(sidecar: Sidecar) -> None:
    sidecar.catch_up()
    now = time.time_ns() // 1000
    assert any(told is not None and abs(told - now) < 60_000_000 for _, told in sidecar.state.sink.contacts)
    assert sidecar.state.clock.source == "store"
    assert abs(sidecar.state.clock.now() - now) < 60_000_000


def test_one_that_is_no_network_away_does_not(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.catch_up()
    if Ability.TELL_TIME in upstream.lacks:
        assert {told for _, told in sidecar.state.sink.contacts} == {None}
        assert sidecar.state.clock.now() == START


# Restarts


def test_a_restart_goes_on_from_the_local_copy_by_changes(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.catch_up()
    assert sidecar.restart()
    sidecar.serves(upstream.records(), upstream.position())
    upstream.change("b")
    sidecar.catch_up()
    assert sidecar.restart()
    sidecar.catch_up()
    assert sidecar.state.world.snapshots == 1  # the copy's own


@needs(Ability.BE_AWAY)
def test_a_restart_without_the_store_serves_what_was_there(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.catch_up()
    rows, at, contact = upstream.records(), sidecar.held, sidecar.state.sink.last_contact
    upstream.go_away()
    assert sidecar.restart()
    sidecar.serves(rows, at)
    assert sidecar.state.sink.last_contact == contact
    sidecar.fails(upstream.away)
    sidecar.serves(rows, at)
    assert sidecar.state.sink.last_contact == contact


# Out of reach


@needs(Ability.BE_AWAY)
def test_out_of_reach_what_was_served_is_served_on_and_grows_old(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.catch_up()
    rows, at, contacts = upstream.records(), sidecar.held, sidecar.contacts
    upstream.go_away()
    for _ in range(3):
        sidecar.fails(upstream.away)
    sidecar.serves(rows, at)
    assert sidecar.contacts == contacts
    now, thresholds = sidecar.state.clock.now(), Thresholds()
    for later, freshness in ((0, Freshness.LIVE), (301, Freshness.STALE), (86_401, Freshness.BLIND)):
        assert sidecar.state.sink.freshness_of(thresholds, now + later * 1_000_000) is freshness
    upstream.change("a", "b")
    upstream.change("c")
    upstream.come_back()
    sidecar.back()
    assert sidecar.state.world.snapshots == 1


@needs(Ability.BE_AWAY)
def test_a_store_that_was_never_in_reach_is_taken_over_once_it_is(sidecar: Sidecar, upstream: Upstream) -> None:
    upstream.go_away()
    assert not sidecar.state.sink.load()
    sidecar.fails(upstream.away)
    assert not sidecar.state.sink.complete
    upstream.come_back()
    sidecar.back()


# Histories


@needs(Ability.GO_BACK, Ability.MEAN_IT)
def test_a_store_set_back_is_not_obeyed_until_an_operator_means_it(sidecar: Sidecar, upstream: Upstream) -> None:
    backup = upstream.remember()
    upstream.change("a")
    upstream.change("b")
    sidecar.catch_up()
    rows, at = upstream.records(), sidecar.held
    upstream.go_back(backup)
    sidecar.fails(FailureKind.HISTORY_WENT_BACK)
    assert sidecar.state.sink.history_gone_back
    for _ in range(4):  # also once it is as far as we were, and further
        upstream.change("c")
        sidecar.fails(FailureKind.HISTORY_WENT_BACK)
        sidecar.serves(rows, at)
    upstream.mean_it()
    sidecar.back()
    assert not sidecar.state.sink.history_gone_back
    assert sidecar.state.world.snapshots == 2
    upstream.change("a")
    sidecar.catch_up()
    assert sidecar.state.world.snapshots == 2


@needs(Ability.GO_BACK)
def test_one_set_back_while_we_were_down_and_past_us_again_is_not_obeyed(sidecar: Sidecar, upstream: Upstream) -> None:
    backup = upstream.remember()
    upstream.change("a")
    sidecar.catch_up()
    rows, at = upstream.records(), sidecar.held
    sidecar.source.close()
    upstream.go_back(backup)
    for _ in range(3):
        upstream.change("c")
    assert sidecar.restart()
    sidecar.fails(FailureKind.HISTORY_WENT_BACK)
    sidecar.serves(rows, at)


@needs(Ability.GO_BACK)
def test_one_set_back_and_then_put_right_is_followed_on(sidecar: Sidecar, upstream: Upstream) -> None:
    backup = upstream.remember()
    upstream.change("a")
    right = upstream.remember()
    sidecar.catch_up()
    upstream.go_back(backup)
    sidecar.fails(FailureKind.HISTORY_WENT_BACK)
    upstream.go_back(right)
    upstream.change("b")
    sidecar.back()
    assert sidecar.state.world.snapshots == 1


@needs(Ability.BE_ANOTHER, Ability.GO_BACK)
def test_two_stores_that_take_turns_at_one_address(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.catch_up()
    rows, at = upstream.records(), sidecar.held
    for _ in range(2):
        ours = upstream.be_another()
        for _ in range(2):
            sidecar.fails(FailureKind.HISTORY_WENT_BACK)
        sidecar.serves(rows, at)
        upstream.go_back(ours)
        sidecar.back()
        assert not sidecar.state.sink.history_gone_back
    assert sidecar.state.world.snapshots == 1


@needs(Ability.BE_EMPTIED)
def test_an_emptied_store_is_not_obeyed(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.catch_up()
    rows, at = sidecar.state.world.tenants, sidecar.held
    upstream.be_emptied()
    sidecar.fails(FailureKind.HISTORY_WENT_BACK)
    assert sidecar.state.sink.history_gone_back
    sidecar.serves(rows, at)
    assert sidecar.restart()
    sidecar.fails(FailureKind.HISTORY_WENT_BACK)


@needs(Ability.FORGET)
def test_when_the_log_no_longer_reaches_back_everything_comes_anew(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.catch_up()
    sidecar.source.close()
    upstream.change("a")
    upstream.change("b")
    upstream.forget()
    assert sidecar.restart()
    sidecar.catch_up()
    assert sidecar.state.world.snapshots == 2
    upstream.change("c")
    sidecar.catch_up()
    assert sidecar.state.world.snapshots == 2


# What is wrong with it


@needs(Ability.LOSE_CHANGES)
def test_what_is_not_what_the_store_says_is_refused_and_healed(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.catch_up()
    rows, at = upstream.records(), sidecar.held
    sidecar.source.close()
    upstream.change("a", "b")
    upstream.lose_changes("b")
    assert sidecar.restart()
    sidecar.fails(FailureKind.WRONG_DIGEST)
    sidecar.serves(rows, at)
    sidecar.back()
    assert sidecar.state.world.snapshots == 2


@needs(Ability.CHANGE_SCHEMA)
@pytest.mark.parametrize(("by", "kind"), [(1, FailureKind.NEWER_SCHEMA), (-1, FailureKind.OLDER_SCHEMA)])
def test_another_versions_schema_is_told_and_nothing_taken_from_it(
    sidecar: Sidecar, upstream: Upstream, by: int, kind: FailureKind
) -> None:
    sidecar.catch_up()
    rows, at = upstream.records(), sidecar.held
    upstream.change_schema(by)
    sidecar.fails(kind)
    sidecar.serves(rows, at)
    upstream.change_schema(0)
    upstream.change("a")
    sidecar.back()
    assert sidecar.state.world.snapshots == 1


# In a thread, as a sidecar does it


def test_what_is_committed_arrives_and_stopping_is_prompt(sidecar: Sidecar, upstream: Upstream) -> None:
    follower = Follower(sidecar.source, sidecar.state.sink)
    follower.start()
    for _ in range(10):
        upstream.change("a", "b")
        at = upstream.position()
        wait_for(lambda at=at: sidecar.held == at)  # type: ignore[misc]
    began = time.monotonic()
    follower.stop()
    assert follower.join(PATIENCE)
    assert time.monotonic() - began < 2
    assert not sidecar.state.sink.sync_failures


def test_a_source_that_was_interrupted_takes_nothing_in_any_more(sidecar: Sidecar, upstream: Upstream) -> None:
    sidecar.catch_up()
    rows, at = upstream.records(), sidecar.held
    upstream.change("a")
    sidecar.source.interrupt()
    for _ in range(2):
        sidecar.fails(FailureKind.INTERRUPTED)
    sidecar.serves(rows, at)


@needs(Ability.BE_AWAY)
def test_stopping_is_prompt_while_the_store_is_away_and_nothing_secret_is_logged(
    sidecar: Sidecar, upstream: Upstream
) -> None:
    upstream.go_away()
    follower = Follower(sidecar.source, sidecar.state.sink)
    with capture_logs() as logs:
        follower.start()
        wait_for(lambda: sidecar.state.sink.sync_failures[upstream.away] >= 2)
        began = time.monotonic()
        follower.stop()
        assert follower.join(PATIENCE)
    assert time.monotonic() - began < 2
    assert not upstream.secret or upstream.secret not in repr(logs)


@needs(Ability.BE_AWAY, Ability.GO_BACK)
@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_only_what_was_committed_is_served_and_it_never_goes_back(
    sidecar: Sidecar, upstream: Upstream, seed: int
) -> None:
    """Changes, outages, restarts and backups put in place, in any order: what is served is always a state that the
    store had, and none before the one that was served.
    """
    rng = random.Random(seed)
    sidecar.catch_up()
    ours: dict[Position, dict[str, bytes]] = {upstream.position(): upstream.records()}
    kept = upstream.remember()
    last = 0
    for _ in range(25):
        what = rng.choice(["change", "change", "change", "away", "back", "restart"])
        if what == "change":
            upstream.change(*rng.sample(TENANTS, rng.randint(1, 3)))
            ours[upstream.position()] = upstream.records()
        elif what == "away":
            upstream.go_away()
            sidecar.fails(upstream.away)
            upstream.come_back()
        elif what == "back" and sidecar.held is not None and sidecar.held.revision > 1:
            right = upstream.remember()
            upstream.go_back(kept)
            if sidecar.held != upstream.position():
                sidecar.fails(FailureKind.HISTORY_WENT_BACK)
            upstream.go_back(right)
        elif what == "restart":
            assert sidecar.restart()
        if rng.random() < 0.6:
            sidecar.back()
        assert sidecar.held is not None
        assert sidecar.state.world.tenants == ours[sidecar.held]
        assert sidecar.held.revision >= last
        last = sidecar.held.revision
