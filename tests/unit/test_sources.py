"""What another process commits to the store's file comes to the sidecar, whole and in order; every way in which the
store can fail is told by its kind and got over; a history that went back is never followed (domain.md 7).
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sidecar.core.errors import InvalidRecord
from sidecar.core.model import Freshness
from sidecar.core.rules import Thresholds
from sidecar.state.applier import Applier
from sidecar.state.clock import Clock
from sidecar.state.clockfile import ClockFile
from sidecar.state.copyfile import CopyKind
from sidecar.state.localcopy import LocalCopy
from sync.follower import Follower
from sync.opening import SourceOptions, UnknownSource, open_source
from sync.pace import SLOWEST, Steady
from sync.sources import FailureKind, Position, Sink, SyncFailed, Update
from sync.sqlitefile import KNOWN_SCHEMA, SqliteSource
from tests.fakes import FakeStore, FakeWorld, Hands, digest_of, record
from tests.serving import wait_for

START = 1_800_000_000_000_000


class Following:
    """A store's file, a source on it, and a sidecar's state that takes in what comes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "store.db"
        self.store = FakeStore(self.path)
        self.hands = Hands(START)
        self.invalid: list[tuple[str, InvalidRecord]] = []
        self.source = SqliteSource(self.path, busy_timeout=0.05)
        self.begin()

    def begin(self) -> None:
        """A sidecar's process starts."""
        self.world = FakeWorld()
        self.clock = Clock(ClockFile(self.folder / "clock"), machine=self.hands)
        self.copy = LocalCopy(self.folder / "copy.db")
        self.sink = Applier(
            copy=self.copy,
            clock=self.clock,
            publish=self.world.publish,
            on_invalid=lambda tenant, error: self.invalid.append((tenant, error)),
        )

    def restart(self) -> None:
        self.clock.save()
        self.sink.close()
        self.source.close()
        self.source = SqliteSource(self.path, busy_timeout=0.05)
        self.begin()

    def step(self) -> None:
        self.source.step(self.sink)

    def fails(self, kind: FailureKind) -> str:
        """One step, as the follower makes it, that fails."""
        with pytest.raises(SyncFailed) as e:
            self.step()
        assert e.value.kind is kind, e.value
        self.sink.failed(e.value)
        return e.value.problem

    def expect(self, *ids: str, revision: int) -> None:
        """Exactly these tenants are served, at this revision, and are on disk."""
        assert sorted(self.world.tenants) == sorted(ids)
        assert (self.sink.revision, self.world.revisions[-1]) == (revision, revision)
        assert dict(self.copy.rows()) == self.world.tenants
        assert self.copy.position == self.sink.held
        assert self.sink.held is not None
        assert (self.sink.held.store_id, self.sink.held.mark) == (self.store.store_id, digest_of(self.copy.rows()))


@pytest.fixture
def following(tmp_path: Path) -> Iterator[Following]:
    following = Following(tmp_path)
    yield following
    following.source.close()
    following.sink.close()


# What comes


def test_first_comes_everything_then_what_changes(following: Following) -> None:
    following.store.commit(["a", "b"])
    following.step()
    following.expect("a", "b", revision=1)
    following.store.commit(["b", "c"], take=["a"])
    following.store.commit(["d"])
    following.step()
    following.expect("b", "c", "d", revision=3)
    assert following.world.tenants["b"] == record("b", 2)
    assert (following.world.revisions, following.world.snapshots) == ([1, 3], 1)


def test_a_store_nobody_wrote_to_yet_is_complete(following: Following) -> None:
    assert not following.sink.complete
    following.step()
    assert following.sink.complete
    following.expect(revision=0)


def test_nothing_new_is_contact_and_nothing_is_published(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    assert following.sink.last_contact == START
    following.hands.micros += 60_000_000
    following.step()
    assert following.sink.last_contact == START + 60_000_000
    assert following.sink.last_applied == START
    assert following.world.revisions == [1]


def test_a_commit_that_changes_no_record_is_no_news(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    following.store.execute("CREATE TABLE other (x)")
    following.step()
    assert following.world.revisions == [1]


def test_a_restart_serves_the_local_copy_and_goes_on_from_there(following: Following) -> None:
    following.store.commit(["a", "b"])
    following.step()
    following.restart()
    assert following.sink.load()
    following.expect("a", "b", revision=1)
    assert following.sink.last_applied == START
    following.store.commit(["c"])
    following.step()
    following.expect("a", "b", "c", revision=2)
    assert following.world.snapshots == 1  # the copy's; the store's changes alone, since its history is ours


def test_a_store_restored_while_we_were_down_and_past_us_again_is_not_followed(following: Following) -> None:
    following.store.commit(["a"])
    following.store.commit(["b"])
    following.step()
    following.restart()
    assert following.sink.load()
    following.store.execute("DELETE FROM entitlement WHERE tenant_id = 'b'")
    following.store.execute("DELETE FROM change_log WHERE revision = 2")
    following.store.execute("DELETE FROM revision_log WHERE revision = 2")
    following.store.execute("UPDATE store SET revision = 1")
    following.store.reckon()
    following.store.commit(["c"])
    following.store.commit(["d"])
    assert "by another history" in following.fails(FailureKind.HISTORY_WENT_BACK)
    following.expect("a", "b", revision=2)


def test_without_a_local_copy_nothing_is_complete(following: Following) -> None:
    assert not following.sink.load()
    assert following.sink.position() is None


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


# Records that are none


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\xff\xff", "not an entitlement record"),
        (record("b", 1), "it is the record of 'b'"),
        (b"", "it is the record of ''"),
        ("text", "not an entitlement record"),
    ],
)
@pytest.mark.parametrize("snapshot", [True, False])
def test_a_record_that_is_none_touches_its_own_tenant_alone(
    following: Following, data: bytes, problem: str, snapshot: bool
) -> None:
    following.store.commit(["a", "b"])
    if not snapshot:
        following.step()
    following.store.commit(["c"], raw={"a": data})
    following.step()
    following.expect("a", "b", "c", revision=2)
    assert following.world.tenants["a"] == (data.encode() if isinstance(data, str) else data)
    ((tenant, error),) = following.invalid
    assert (tenant, following.sink.invalid_records) == ("a", 1)
    assert problem in str(error)
    following.store.commit(["a"])
    following.step()
    assert following.world.tenants["a"] == record("a", 3)


# Digests


@pytest.mark.parametrize("wrong", ["the store's rows", "the sidecar's"])
def test_what_is_not_what_the_store_says_is_refused_and_taken_whole(following: Following, wrong: str) -> None:
    """Whichever of the two lost a row: the changes do not come to the store's digest, and the whole of it heals."""
    following.store.commit(["a", "b"])
    following.step()
    if wrong == "the store's rows":
        following.store.execute("DELETE FROM change_log WHERE tenant_id = 'b'")
        following.store.commit(["b", "c"])
        following.store.execute("DELETE FROM change_log WHERE tenant_id = 'b'")
    else:
        lost = Update(position=following.store.position(), snapshot=True, changes=[], digest=digest_of([]))
        following.copy.apply(lost, at=START)
        following.world.tenants.clear()
        following.store.commit(["c"])
    following.fails(FailureKind.WRONG_DIGEST)
    assert following.sink.revision == 1
    following.step()
    following.expect("a", "b", "c", revision=2)
    following.store.commit(["d"])
    following.step()
    following.expect("a", "b", "c", "d", revision=3)
    assert following.world.snapshots == 2


# Stores that fail


def test_a_missing_store_is_told_and_followed_once_it_is_there(following: Following) -> None:
    following.path.rename(following.folder / "away")
    assert "there is no store" in following.fails(FailureKind.MISSING)
    (following.folder / "away").rename(following.path)
    following.store.commit(["a"])
    following.step()
    following.expect("a", revision=1)
    assert following.sink.failing is None


def test_a_store_removed_later_leaves_the_last_world(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    for file in following.folder.glob("store.db*"):
        file.rename(following.folder / f"away-{file.name}")
    following.fails(FailureKind.MISSING)
    following.expect("a", revision=1)
    for file in following.folder.glob("away-*"):
        file.rename(following.folder / file.name.removeprefix("away-"))
    following.store.commit(["b"])
    following.step()
    following.expect("a", "b", revision=2)


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
    following.fails(FailureKind.CORRUPT)
    following.expect("a", revision=1)


def test_a_damaged_store_is_told_and_nothing_of_it_served(following: Following) -> None:
    following.store.commit([f"t{n:04d}" for n in range(2_000)])
    following.store.execute("PRAGMA journal_mode = DELETE")
    data = following.path.read_bytes()
    middle = len(data) // 2 // 4096 * 4096
    following.path.write_bytes(data[:middle] + b"\xa5" * 40_960 + data[middle + 40_960 :])
    following.fails(FailureKind.CORRUPT)
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
    assert "says" in following.fails(FailureKind.CORRUPT)


def test_a_database_of_another_kind(following: Following) -> None:
    following.store.execute("DROP TABLE change_log")
    assert "a database of another kind" in following.fails(FailureKind.FOREIGN)


def test_a_store_of_an_older_schema_is_followed_once_it_is_migrated(following: Following) -> None:
    following.store.commit(["a"])
    following.store.execute("UPDATE store SET schema_version = ?", KNOWN_SCHEMA - 1)
    assert "store migrate" in following.fails(FailureKind.OLDER_SCHEMA)
    following.store.execute("UPDATE store SET schema_version = ?", KNOWN_SCHEMA)
    following.step()
    following.expect("a", revision=1)


def test_a_store_of_a_newer_schema_is_refused_and_the_last_world_serves_on(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    following.store.execute("UPDATE store SET schema_version = ?", KNOWN_SCHEMA + 1)
    following.store.commit(["b"])
    assert "update deskgate" in following.fails(FailureKind.NEWER_SCHEMA)
    following.expect("a", revision=1)
    following.store.execute("UPDATE store SET schema_version = ?", KNOWN_SCHEMA)
    following.step()
    following.expect("a", "b", revision=2)


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
        assert "locked" in following.fails(FailureKind.LOCKED)
        following.expect("a", revision=1)
        other.communicate()
    following.store.commit(["b"])
    following.step()
    following.expect("a", "b", revision=2)


# Histories that went back


def replace(following: Following, other: FakeStore) -> None:
    for sign in ("-wal", "-shm"):
        Path(f"{following.path}{sign}").unlink(missing_ok=True)
    os.replace(other.path, following.path)


def test_another_store_in_its_place_is_not_followed(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    other = FakeStore(following.folder / "other.db")
    for _ in range(3):
        other.commit(["x"])
    right = following.folder / "right.db"
    shutil.copyfile(following.path, right)
    shutil.copyfile(f"{following.path}-wal", f"{right}-wal")
    with closing(sqlite3.connect(right, isolation_level=None)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    replace(following, other)
    for _ in range(2):
        assert other.store_id in following.fails(FailureKind.HISTORY_WENT_BACK)
    assert following.sink.history_gone_back
    following.expect("a", revision=1)
    os.replace(right, following.path)
    following.step()
    assert not following.sink.history_gone_back
    following.store.commit(["b"])
    following.step()
    following.expect("a", "b", revision=2)


def test_a_store_set_back_is_not_followed_even_once_it_is_past_until_an_operator_means_it(following: Following) -> None:
    """What it was set back from and what came instead may share revisions: changes alone would mix the two."""
    following.store.commit(["a"])
    with closing(following.store.connect()) as conn, closing(sqlite3.connect(following.folder / "backup")) as backup:
        conn.backup(backup)
    following.store.commit(["b"])
    following.store.commit(["c"])
    following.step()
    following.expect("a", "b", "c", revision=3)
    with closing(following.store.connect()) as conn, closing(sqlite3.connect(following.folder / "backup")) as backup:
        backup.backup(conn)
    assert "set back to revision 1" in following.fails(FailureKind.HISTORY_WENT_BACK)
    following.expect("a", "b", "c", revision=3)
    following.store.commit(["x"])
    following.fails(FailureKind.HISTORY_WENT_BACK)
    following.store.commit(["y"])
    following.store.commit(["z"])
    assert "store restored" in following.fails(FailureKind.HISTORY_WENT_BACK)
    following.expect("a", "b", "c", revision=3)
    following.store.execute("UPDATE store SET restored = revision")
    following.step()
    following.expect("a", "x", "y", "z", revision=4)
    assert following.sink.failing is None
    assert following.world.snapshots == 2


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
    following.fails(FailureKind.HISTORY_WENT_BACK)
    assert following.sink.history_gone_back
    following.expect("a", revision=1)


def test_an_empty_file_where_there_never_was_a_store(following: Following) -> None:
    (following.folder / "empty.db").write_bytes(b"")
    source = SqliteSource(following.folder / "empty.db")
    with pytest.raises(SyncFailed) as e:
        source.step(following.sink)
    assert (e.value.kind, "an empty file" in e.value.problem) == (FailureKind.FOREIGN, True)


def test_a_restart_does_not_follow_it_either(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    following.store.execute("UPDATE store SET revision = 0")
    following.restart()
    assert following.sink.load()
    following.fails(FailureKind.HISTORY_WENT_BACK)
    following.expect("a", revision=1)


def test_while_a_history_is_not_followed_the_data_grow_stale(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    following.store.execute("UPDATE store SET revision = 0")
    following.hands.micros += 301_000_000
    following.fails(FailureKind.HISTORY_WENT_BACK)
    assert following.sink.freshness_of(Thresholds(), following.clock.now()) is Freshness.STALE


# Local copies that fail


def spoil(following: Following) -> None:
    following.sink.close()
    with closing(sqlite3.connect(following.copy.path, isolation_level=None)) as conn:
        conn.execute("DELETE FROM tenant WHERE id = 'a'")


def test_a_copy_that_is_not_whole_is_not_served_but_rebuilt(following: Following) -> None:
    following.store.commit(["a", "b"])
    following.step()
    spoil(following)
    following.restart()
    assert not following.sink.load()
    assert following.world.revisions == []
    assert following.sink.copy_failures == {CopyKind.DAMAGED: 1}
    assert following.sink.failing is not None
    assert "damaged" in following.copy.set_aside_because
    following.step()
    following.expect("a", "b", revision=1)
    assert following.sink.failing is None


def test_if_neither_the_copy_nor_the_store_is_whole_it_waits_for_the_store(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    following.sink.close()
    following.copy.path.write_bytes(b"garbage" * 1_000)
    following.path.rename(following.folder / "away")
    following.restart()
    assert not following.sink.load()
    assert following.sink.copy_failures == {CopyKind.FOREIGN: 1}
    following.fails(FailureKind.MISSING)
    assert not following.sink.complete
    (following.folder / "away").rename(following.path)
    following.step()
    following.expect("a", revision=1)


def test_what_cannot_be_written_is_not_served_either(following: Following) -> None:
    """A full disk: the last world serves on, its data grow stale, and all of it comes once there is room."""
    following.store.commit(["a"])
    following.step()
    assert following.copy._conn is not None
    (pages,) = following.copy._conn.execute("PRAGMA page_count").fetchone()
    following.copy._conn.execute(f"PRAGMA max_page_count = {pages}")
    following.store.commit([f"t{n}" for n in range(500)])
    following.hands.micros += 1_000_000
    assert "no room" in following.fails(FailureKind.LOCAL_COPY)
    assert following.sink.last_contact == START
    assert following.sink.copy_failures == {CopyKind.FULL: 1}
    assert following.world.revisions == [1]
    following.step()
    following.expect("a", *(f"t{n}" for n in range(500)), revision=2)
    assert following.world.snapshots == 1


def test_a_copy_removed_while_in_use_is_rebuilt_before_anything_new_is_served(following: Following) -> None:
    following.store.commit(["a", "b"])
    following.step()
    for file in following.folder.glob("copy.db*"):
        file.unlink()
    following.store.commit(["c"])
    following.fails(FailureKind.LOCAL_COPY)
    assert following.world.revisions == [1]
    following.step()
    following.expect("a", "b", "c", revision=2)


def test_a_copy_of_another_store_put_in_its_place_is_set_aside(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    other = LocalCopy(following.folder / "other.db")
    other.open()
    change = ("x", record("x", 9))
    position = Position(store_id="x", revision=9, mark=digest_of([change]))
    other.apply(Update(position=position, snapshot=True, changes=[change], digest=position.mark), at=START)
    other.close()
    os.replace(other.path, following.copy.path)
    following.store.commit(["b"])
    following.fails(FailureKind.LOCAL_COPY)  # it is lost
    following.fails(FailureKind.LOCAL_COPY)  # and what is there is of another store
    following.step()
    following.expect("a", "b", revision=2)
    assert "another store" in following.copy.set_aside_because


def test_a_commit_that_was_reported_failed_but_is_on_disk_is_taken_up(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    change = ("b", record("b", 2))
    mark = digest_of([("a", record("a", 1)), change])
    position = Position(store_id=following.store.store_id, revision=2, mark=mark)
    following.copy.apply(Update(position=position, snapshot=False, changes=[change], digest=mark), at=START)
    following.copy.close()
    assert following.sink.position() == position
    following.expect("a", "b", revision=2)


def test_a_state_directory_that_cannot_be_used_is_told_until_it_can(following: Following) -> None:
    following.store.commit(["a"])
    following.copy.path.mkdir()
    assert not following.sink.load()
    following.fails(FailureKind.LOCAL_COPY)
    assert following.sink.copy_failures == {CopyKind.UNWRITABLE: 2}
    following.copy.path.rmdir()
    following.step()
    following.expect("a", revision=1)


def test_a_publication_that_fails_is_made_up_for(following: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    following.store.commit(["a"])
    following.step()
    following.store.commit(["b"])

    def broken(**_: object) -> None:
        raise RuntimeError("a fault")

    publish = following.sink._publish
    monkeypatch.setattr(following.sink, "_publish", broken)
    with pytest.raises(RuntimeError):
        following.step()
    assert following.sink.revision == 1
    monkeypatch.setattr(following.sink, "_publish", publish)
    following.step()
    following.expect("a", "b", revision=2)


# What is told


def test_a_failure_is_counted_always_and_logged_when_it_is_new(following: Following) -> None:
    following.path.rename(following.folder / "away")
    with capture_logs() as logs:
        for _ in range(3):
            following.fails(FailureKind.MISSING)
    assert following.sink.sync_failures == {FailureKind.MISSING: 3}
    assert [line["kind"] for line in logs] == [FailureKind.MISSING]
    (following.folder / "away").rename(following.path)
    with capture_logs() as logs:
        following.step()
    assert "the store is followed again" in [line["event"] for line in logs]


def test_the_last_contact_survives_a_restart_without_the_store(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    following.hands.micros += 90_000_000_000
    following.path.rename(following.folder / "away")
    following.restart()
    assert following.sink.load()
    assert following.sink.last_contact == START
    assert following.sink.freshness_of(Thresholds(), following.clock.now()) is Freshness.BLIND


def test_if_the_clocks_memory_is_lost_the_last_contact_is_when_the_copy_was_written(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    following.restart()
    (following.folder / "clock").unlink()
    following.begin()
    assert following.sink.last_contact is None
    following.sink.load()
    assert following.sink.last_contact == START


# The follower


class Stub:
    """A source whose steps do what they are told."""

    def __init__(self, *steps: BaseException | None) -> None:
        self.pace = Steady(0.001)
        self.steps = list(steps)
        self.made = 0
        self.interrupted = self.closed = False

    def step(self, sink: Sink) -> None:
        self.made += 1
        outcome = self.steps.pop(0) if self.steps else None
        if outcome is not None:
            raise outcome
        sink.contact()

    def interrupt(self) -> None:
        self.interrupted = True

    def close(self) -> None:
        self.closed = True


def test_the_follower_goes_on_whatever_happens(following: Following) -> None:
    stub = Stub(SyncFailed(FailureKind.LOCKED, "locked"), ValueError("a fault"), KeyError("another"), None)
    follower = Follower(stub, following.sink)
    with capture_logs() as logs:
        follower.start()
        wait_for(lambda: stub.made >= 6)
        assert not follower.join(0)
        follower.stop()
        assert follower.join(5)
    assert following.sink.sync_failures == {FailureKind.LOCKED: 1, FailureKind.UNEXPECTED: 2}
    assert [line["exc_info"] for line in logs if "unexpectedly" in line["event"]]
    assert following.sink.failing is None
    assert stub.interrupted
    assert stub.closed


def test_a_sink_that_cannot_be_told_does_not_end_it(following: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(following.sink, "failed", broken)
    stub = Stub(SyncFailed(FailureKind.LOCKED, "locked"))
    follower = Follower(stub, following.sink)
    with capture_logs() as logs:
        follower.start()
        wait_for(lambda: stub.made >= 3)
        follower.stop()
        assert follower.join(5)
    assert "a failure to follow the store could not be reported" in [line["event"] for line in logs]


def test_it_waits_longer_and_longer_while_steps_fail(following: Following) -> None:
    follower = Follower(Stub(*(SyncFailed(FailureKind.LOCKED, "x") for _ in range(40))), following.sink)
    waits: list[float] = []

    class Recording(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            if len(waits) == 42:
                self.set()
            return self.is_set()

    follower._stopping = Recording()  # type: ignore[misc]
    follower.start()
    assert follower.join(5)
    assert waits[:3] == [0.002, 0.004, 0.008]
    assert max(waits) == waits[39] == SLOWEST
    assert waits[40] == 0.001


def test_a_follower_that_was_never_started_can_be_stopped(following: Following) -> None:
    follower = Follower(Stub(), following.sink)
    follower.stop()
    assert follower.join(1)


def test_what_another_thread_commits_arrives_and_stopping_is_prompt(tmp_path: Path) -> None:
    following = Following(tmp_path)
    source = open_source(f"sqlite:///{following.path}", SourceOptions(interval=0.005))
    follower = Follower(source, following.sink)
    follower.start()
    for revision in range(1, 21):
        following.store.commit([f"t{revision}"])
    wait_for(lambda: following.sink.revision == 20)
    follower.stop()
    assert follower.join(5)
    following.expect(*(f"t{n}" for n in range(1, 21)), revision=20)
    following.sink.close()


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


# URLs


@pytest.mark.parametrize("url", ["sqlite:///var/store.db", "sqlite:////var/store.db", "sqlite:///a b%20?c#d"])
def test_a_stores_url_names_its_file(url: str) -> None:
    source = open_source(url, SourceOptions(interval=0.5))
    assert isinstance(source, SqliteSource)
    assert source._path == Path(url.removeprefix("sqlite:///"))
    assert source.pace.interval == 0.5


@pytest.mark.parametrize("url", ["", "store.db", "sqlite://", "sqlite:///", "sqlite://host/x", "postgresql://host/x"])
def test_other_urls_are_refused_clearly(url: str) -> None:
    with pytest.raises(UnknownSource, match="sqlite:///"):
        open_source(url)


def test_a_path_with_signs_of_its_own_is_that_file(tmp_path: Path, following: Following) -> None:
    path = tmp_path / "a b%20?c#d.db"
    FakeStore(path).commit(["a"])
    source = SqliteSource(path)
    source.step(following.sink)
    assert list(following.world.tenants) == ["a"]
    source.close()
