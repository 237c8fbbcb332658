"""A store's file, written by other processes, and every way in which it can fail: beyond tests/contract."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sidecar.state.applier import Applier
from sidecar.state.clock import Clock
from sidecar.state.clockfile import ClockFile
from sidecar.state.localcopy import LocalCopy
from sync.opening import open_source
from sync.sources import FailureKind, SyncFailed, Update
from sync.sqlitefile import KNOWN_SCHEMA, SqliteSource
from tests.fakes import FakeStore, FakeWorld
from tests.sinks import START, Following


def test_a_store_nobody_wrote_to_yet_is_complete(following: Following) -> None:
    assert not following.sink.complete
    following.step()
    assert following.sink.complete
    following.expect(revision=0)


def test_a_commit_that_changes_no_record_is_no_news(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    following.store.execute("CREATE TABLE other (x)")
    following.step()
    assert following.world.revisions == [1]


@pytest.mark.parametrize("forgotten", ["some", "all"])
def test_when_the_change_log_no_longer_reaches_back_everything_comes_anew(following: Following, forgotten: str) -> None:
    following.store.commit(["a", "b"])
    following.step()
    following.store.commit(["c"], take=["a"])
    following.store.commit(["d"])
    following.store.prune(3 if forgotten == "some" else 4)
    following.step()
    following.expect("b", "c", "d", revision=3)
    assert following.world.snapshots == 2


def test_a_log_that_begins_at_our_revision_is_enough(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    following.store.commit(["b"])
    following.store.prune(1)
    following.step()
    following.expect("a", "b", revision=2)
    assert following.world.snapshots == 1


def test_an_update_is_of_one_moment_even_if_the_store_goes_on(following: Following) -> None:
    """Commits while a snapshot is being read are not in it, and come next."""
    following.store.commit([f"t{n}" for n in range(1_000)])

    class Meddling(Applier):
        def apply(self, update: Update) -> None:
            def changes() -> Iterator[tuple[str, bytes | None]]:
                for number, change in enumerate(update.changes):
                    if number == 10:
                        following.store.commit(["late"], take=["t999"])
                    yield change

            super().apply(dataclasses.replace(update, changes=changes()))

    sink = Meddling(copy=following.copy, clock=following.clock, publish=following.world.publish)
    following.source.step(sink)
    assert len(following.world.tenants) == 1_000
    assert "late" not in following.world.tenants
    following.source.step(sink)
    assert ("late" in following.world.tenants, "t999" in following.world.tenants) == (True, False)


def test_the_file_may_be_in_rollback_mode(following: Following) -> None:
    following.store.execute("PRAGMA journal_mode = DELETE")
    following.store.commit(["a"])
    following.step()
    following.store.commit(["b"])
    following.step()
    following.expect("a", "b", revision=2)


def test_the_real_stores_schema_is_the_one_that_is_known() -> None:
    from sync.store import schema

    assert schema.SCHEMA_VERSION == KNOWN_SCHEMA


def test_the_real_store_is_followed(tmp_path: Path) -> None:
    from sync.store.db import open_store
    from sync.store.demo import seed_demo

    store = open_store(tmp_path / "store.db", create=True)
    seed_demo(store, START)
    clock = Clock(ClockFile(tmp_path / "clock"))
    world, copy = FakeWorld(), LocalCopy(tmp_path / "copy.db")
    sink = Applier(copy=copy, clock=clock, publish=world.publish)
    source = open_source(f"sqlite:///{tmp_path / 'store.db'}")
    source.step(sink)
    assert (sink.revision, len(world.tenants)) == (store.status().revision, store.status().tenants)
    assert sink.invalid_records == 0
    source.close()
    sink.close()


def test_a_missing_store_is_told_and_followed_once_it_is_there(following: Following) -> None:
    following.path.rename(following.folder / "away")
    assert "there is no store" in following.refuses(FailureKind.MISSING)
    (following.folder / "away").rename(following.path)
    following.store.commit(["a"])
    following.step()
    following.expect("a", revision=1)
    assert following.sink.failing is None


def test_a_store_in_a_place_that_cannot_be_reached(following: Following) -> None:
    (following.folder / "file").write_text("")
    source = SqliteSource(following.folder / "file" / "store.db")
    with pytest.raises(SyncFailed) as e:
        source.step(following.sink)
    assert e.value.kind is FailureKind.UNREADABLE


def test_a_folder_in_its_place(tmp_path: Path, following: Following) -> None:
    source = SqliteSource(tmp_path)
    with pytest.raises(SyncFailed) as e:
        source.step(following.sink)
    assert e.value.kind is FailureKind.UNREADABLE


@pytest.mark.parametrize("content", [b"hello\n" * 500, os.urandom(8_192)])
def test_a_file_that_is_no_database(following: Following, content: bytes) -> None:
    following.store.commit(["a"])
    following.step()
    (following.folder / "new").write_bytes(content)
    for sign in ("-wal", "-shm"):
        Path(f"{following.path}{sign}").unlink(missing_ok=True)
    os.replace(following.folder / "new", following.path)
    following.refuses(FailureKind.CORRUPT)
    following.expect("a", revision=1)


def test_a_damaged_store_is_told_and_nothing_of_it_served(following: Following) -> None:
    following.store.commit([f"t{n:04d}" for n in range(2_000)])
    following.store.execute("PRAGMA journal_mode = DELETE")
    data = following.path.read_bytes()
    middle = len(data) // 2 // 4096 * 4096
    following.path.write_bytes(data[:middle] + b"\xa5" * 40_960 + data[middle + 40_960 :])
    following.refuses(FailureKind.CORRUPT)
    assert not following.sink.complete
    assert following.copy.position is None
    following.path.write_bytes(data)
    following.step()
    assert len(following.world.tenants) == 2_000


@pytest.mark.parametrize("row", [(7, 3, 1, "d"), ("id", "x", 1, "d"), ("id", 3, "x", "d"), ("id", 3, 1, 5)])
def test_a_store_that_makes_no_sense_of_itself(following: Following, row: tuple[object, ...]) -> None:
    following.store.execute("DROP TABLE store")
    following.store.execute("CREATE TABLE store (store_id, schema_version, revision, digest, restored)")
    following.store.execute("INSERT INTO store VALUES (?, ?, ?, ?, 0)", *row)
    assert "says" in following.refuses(FailureKind.CORRUPT)


def test_a_database_of_another_kind(following: Following) -> None:
    following.store.execute("DROP TABLE change_log")
    assert "a database of another kind" in following.refuses(FailureKind.FOREIGN)


def test_a_store_that_another_process_keeps_locked(following: Following) -> None:
    following.store.execute("PRAGMA journal_mode = DELETE")  # in WAL mode a writer keeps no reader out
    following.store.commit(["a"])
    following.step()
    code = """
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1], isolation_level=None)
conn.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", code, str(following.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        assert "locked" in following.refuses(FailureKind.LOCKED)
        following.expect("a", revision=1)
        other.communicate()
    following.store.commit(["b"])
    following.step()
    following.expect("a", "b", revision=2)


def replace(following: Following, other: FakeStore) -> None:
    for sign in ("-wal", "-shm"):
        Path(f"{following.path}{sign}").unlink(missing_ok=True)
    os.replace(other.path, following.path)


def test_a_store_replaced_by_a_later_state_of_itself_is_followed_by_its_changes(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    other = FakeStore(following.folder / "other.db", store_id=following.store.store_id)
    other.commit(["a"])
    other.commit(["x"])
    replace(following, other)
    following.step()
    following.expect("a", "x", revision=2)
    assert following.world.snapshots == 1


@pytest.mark.parametrize("how", ["truncated", "no tables", "no rows"])
def test_an_emptied_store_is_not_followed(following: Following, how: str) -> None:
    following.store.commit(["a"])
    following.step()
    match how:
        case "truncated":
            for sign in ("-wal", "-shm"):
                Path(f"{following.path}{sign}").unlink(missing_ok=True)
            (following.folder / "empty").write_bytes(b"")
            os.replace(following.folder / "empty", following.path)
        case "no tables":
            for table in ("store", "entitlement", "change_log"):
                following.store.execute(f"DROP TABLE {table}")
        case "no rows":
            for table in ("store", "entitlement", "change_log", "revision_log"):
                following.store.execute(f"DELETE FROM {table}")
    following.refuses(FailureKind.HISTORY_WENT_BACK)
    assert following.sink.history_gone_back
    following.expect("a", revision=1)


def test_an_empty_file_where_there_never_was_a_store(following: Following) -> None:
    (following.folder / "empty.db").write_bytes(b"")
    source = SqliteSource(following.folder / "empty.db")
    with pytest.raises(SyncFailed) as e:
        source.step(following.sink)
    assert (e.value.kind, "an empty file" in e.value.problem) == (FailureKind.FOREIGN, True)


def test_stopping_breaks_a_snapshot_off_and_leaves_nothing_of_it(following: Following) -> None:
    following.store.commit([f"t{n}" for n in range(2_000)])

    class Stopping(Applier):
        def apply(self, update: Update) -> None:
            following.source.interrupt()
            super().apply(update)

    sink = Stopping(copy=following.copy, clock=following.clock, publish=following.world.publish)
    with pytest.raises(SyncFailed) as e:
        following.source.step(sink)
    assert e.value.kind is FailureKind.INTERRUPTED
    assert following.world.revisions == []
    with pytest.raises(SyncFailed, match="no longer followed"):
        following.source.step(sink)
    with suppress(SyncFailed):
        assert sink.position() is None


def test_a_path_with_signs_of_its_own_is_that_file(tmp_path: Path, following: Following) -> None:
    path = tmp_path / "a b%20?c#d.db"
    FakeStore(path).commit(["a"])
    source = SqliteSource(path)
    source.step(following.sink)
    assert list(following.world.tenants) == ["a"]
    source.close()
