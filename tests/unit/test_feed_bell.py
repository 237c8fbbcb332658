"""A commit ends the wait at once, whatever the store is kept in; what cannot be listened to lets the time pass."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.feed import bell as bells
from sync.feed.bell import Bell, DatabaseBell, FileBell, bell_of
from sync.store.postgresplace import CHANNEL
from tests import postgresql, storing
from tests.serving import wait_for
from tests.storing import Shop, on_every_database, on_sqlite

pytestmark = on_every_database
on_postgresql = pytest.mark.parametrize("each_place", ["postgresql"], indirect=True)
LONG = 20.0


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store.db")


@pytest.fixture
def bell(shop: Shop) -> Iterator[Bell]:
    bell = bell_of(shop.store)
    assert bell.wait(LONG)
    yield bell
    bell.close()


def lasts(bell: Bell, timeout: float) -> float:
    """How long a wait lasts that nothing ends."""
    began = time.monotonic()
    assert not bell.wait(timeout)
    return time.monotonic() - began


def told_of(bell: DatabaseBell) -> int:
    """Of how many commits it was told that it has not taken in yet."""
    assert bell._conn is not None
    with socket.socket(fileno=os.dup(bell._conn.fileno())) as heard:
        try:
            return heard.recv(65_536, socket.MSG_PEEK | socket.MSG_DONTWAIT).count(f"{CHANNEL}\0".encode())
        except BlockingIOError:
            return 0


def test_the_first_wait_ends_at_once_since_nobody_listened_before(shop: Shop) -> None:
    bell = bell_of(shop.store)
    assert bell.wait(LONG)
    bell.close()
    assert storing.place() == "sqlite" or not bell.wait(0.01)  # it is not tried all the time
    bell.close()


def test_nothing_committed_lets_the_time_pass(bell: Bell) -> None:
    assert 0.1 <= lasts(bell, 0.1) < 1.0
    assert lasts(bell, 0.0) < 0.5


def test_what_is_committed_before_or_during_the_wait_ends_it(shop: Shop, bell: Bell) -> None:
    shop.tenant("a")
    assert bell.wait(LONG)
    assert not bell.wait(0.05)
    threading.Timer(0.05, shop.tenant, ["b"]).start()
    assert bell.wait(LONG)


def test_many_commits_are_one_ring(shop: Shop, bell: Bell) -> None:
    for n in range(5):
        shop.tenant(f"t{n}")
    if isinstance(bell, DatabaseBell):  # it is told of a commit soon after it
        wait_for(lambda: told_of(bell) == 5)
    assert bell.wait(LONG)
    assert not bell.wait(0.05)


def test_an_interruption_ends_a_wait_and_all_later_ones(bell: Bell) -> None:
    threading.Timer(0.05, bell.interrupt).start()
    assert lasts(bell, LONG) < 5
    assert lasts(bell, LONG) < 1
    for _ in range(10_000):
        bell.interrupt()
    assert lasts(bell, LONG) < 1


@on_postgresql
def test_a_connection_that_is_lost_is_made_anew(
    shop: Shop, bell: Bell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bells, "TRIED_EVERY", 0.0)
    name = shop.store.name.rpartition("/")[2]
    postgresql.do(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'")
    assert not bell.wait(0.05)
    assert caplog.records == [], "it is no fault, and happens at each stop"
    assert bell.wait(LONG)  # what was committed in between is not told: look
    shop.tenant("a")
    assert bell.wait(LONG)


@on_postgresql
def test_a_server_that_cannot_be_listened_to_lets_the_time_pass(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bells, "TRIED_EVERY", 0.0)
    with storing.away(shop.store):
        bell = bell_of(shop.store)
        assert lasts(bell, 0.1) >= 0.1
        bell.interrupt()
        assert lasts(bell, LONG) < 5
        bell.close()


@on_sqlite
def test_a_file_that_is_gone_lets_the_time_pass_and_another_in_its_place_rings(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    bell = FileBell(path)
    assert bell.wait(LONG)
    path.rename(tmp_path / "away")
    assert lasts(bell, 0.1) >= 0.1
    (tmp_path / "away").rename(path)
    assert bell.wait(LONG)
    assert not bell.wait(0.05)
    path.write_bytes(b"no database at all")
    assert not bell.wait(0.05)
    bell.close()
