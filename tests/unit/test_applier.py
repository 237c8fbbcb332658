"""What a source gives goes onto the disk first and then into the world; what cannot be kept, or is not what the store
says, is not served either (architecture 2.11).
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from structlog.testing import capture_logs

from sidecar.core.model import Freshness
from sidecar.core.rules import Thresholds
from sidecar.state.copyfile import CopyKind
from sidecar.state.localcopy import LocalCopy
from sync.sources import FailureKind, Position, Update
from tests.fakes import digest_of, record
from tests.sinks import START, Following


def test_without_a_local_copy_nothing_is_complete(following: Following) -> None:
    assert not following.sink.load()
    assert following.sink.position() is None


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
    following.refuses(FailureKind.WRONG_DIGEST)
    assert following.sink.revision == 1
    following.step()
    following.expect("a", "b", "c", revision=2)
    following.store.commit(["d"])
    following.step()
    following.expect("a", "b", "c", "d", revision=3)
    assert following.world.snapshots == 2


def test_while_a_history_is_not_followed_the_data_grow_stale(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    following.store.execute("UPDATE store SET revision = 0")
    following.hands.micros += 301_000_000
    following.refuses(FailureKind.HISTORY_WENT_BACK)
    assert following.sink.freshness_of(Thresholds(), following.clock.now()) is Freshness.STALE


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
    following.refuses(FailureKind.MISSING)
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
    assert "no room" in following.refuses(FailureKind.LOCAL_COPY)
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
    following.refuses(FailureKind.LOCAL_COPY)
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
    following.refuses(FailureKind.LOCAL_COPY)  # it is lost
    following.refuses(FailureKind.LOCAL_COPY)  # and what is there is of another store
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
    following.refuses(FailureKind.LOCAL_COPY)
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


def test_a_failure_is_counted_always_and_logged_when_it_is_new(following: Following) -> None:
    following.path.rename(following.folder / "away")
    with capture_logs() as logs:
        for _ in range(3):
            following.refuses(FailureKind.MISSING)
    assert following.sink.sync_failures == {FailureKind.MISSING: 3}
    assert [line["kind"] for line in logs] == [FailureKind.MISSING]
    (following.folder / "away").rename(following.path)
    with capture_logs() as logs:
        following.step()
    assert "the store is followed again" in [line["event"] for line in logs]


def test_if_the_clocks_memory_is_lost_the_last_contact_is_when_the_copy_was_written(following: Following) -> None:
    following.store.commit(["a"])
    following.step()
    following.restart()
    (following.folder / "clock").unlink()
    following.begin()
    assert following.sink.last_contact is None
    following.sink.load()
    assert following.sink.last_contact == START


def test_what_is_taken_in_first_is_fresh_as_soon_as_answers_rest_on_it(following: Following) -> None:
    """Between its publication and the first contact there may be a look at the store that fails."""
    following.store.commit(["a"])
    seen: list[Freshness] = []
    publish = following.sink._publish

    def looked_at(**what: Any) -> None:
        publish(**what)
        seen.append(following.sink.freshness_of(Thresholds(), following.clock.now()))

    following.sink._publish = looked_at  # type: ignore[misc]
    following.step()
    assert seen == [Freshness.LIVE]
