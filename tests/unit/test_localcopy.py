"""The local copy holds one revision of the store wholly, or the one before it; it knows when it is not whole; and it
never goes back. Whatever is found in its place is set aside and told.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.state import copyfile, localcopy
from sidecar.state.copyfile import CopyFailed, CopyKind
from sidecar.state.localcopy import LocalCopy
from sync.sources import Change, FailureKind, Position, SyncFailed, Update
from tests.fakes import digest_of, record

NOW = 1_800_000_000_000_000


def at(revision: int, store_id: str = "store") -> Position:
    return Position(store_id=store_id, revision=revision, mark=f"mark-{revision}")


def apply(
    copy: LocalCopy, position: Position, changes: Iterable[Change], *, snapshot: bool = False, digest: str | None = None
) -> None:
    """An update after which the copy holds what the store says that it holds, unless another digest is given."""
    if digest is None and isinstance(changes, list) and copy.path.stat().st_size:
        with closing(sqlite3.connect(copy.path)) as conn:
            held = {} if snapshot else dict(conn.execute("SELECT id, record FROM tenant"))
        digest = digest_of((i, d) for i, d in (held | dict(changes)).items() if d is not None)
    copy.apply(Update(position=position, snapshot=snapshot, changes=changes, digest=digest or "unknown"), at=NOW)


def records(*ids: str, revision: int = 1) -> list[Change]:
    return [(i, record(i, revision)) for i in ids]


MANY = [f"t{n}" for n in range(2_000)]


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[LocalCopy]:
    copy = LocalCopy(tmp_path / "copy.db")
    assert copy.open() is None
    yield copy
    copy.close()


def fill(copy: LocalCopy, *ids: str, revision: int = 1) -> dict[str, bytes]:
    rows = records(*(ids or MANY), revision=revision)
    apply(copy, at(revision), rows, snapshot=True)
    return {i: data for i, data in rows if data is not None}


def reopened(copy: LocalCopy) -> CopyFailed | None:
    copy.close()
    return copy.open()


# What it holds


def test_a_new_copy_is_empty(copy: LocalCopy) -> None:
    assert (copy.position, list(copy.rows())) == (None, [])


def test_what_was_applied_is_found_again(copy: LocalCopy) -> None:
    held = fill(copy)
    assert reopened(copy) is None
    assert dict(copy.rows()) == held
    assert copy.stamp is not None
    assert (copy.position, copy.stamp.applied_at, copy.stamp.tenants) == (at(1), NOW, len(MANY))


def test_changes_put_replace_and_take_away(copy: LocalCopy) -> None:
    fill(copy, "a", "b", "c")
    changes: list[Change] = [*records("a", "d", revision=2), ("b", None), ("never-there", None)]
    apply(copy, at(2), changes, snapshot=False)
    assert reopened(copy) is None
    assert dict(copy.rows()) == {**dict(records("a", "d", revision=2)), **dict(records("c"))}


def test_a_snapshot_replaces_everything(copy: LocalCopy) -> None:
    fill(copy)
    held = fill(copy, "x", revision=2)
    assert dict(copy.rows()) == held


def test_the_checksum_kept_up_with_each_change_is_that_of_the_rows(copy: LocalCopy) -> None:
    """After any history, the tally in the stamp is what going through all rows gives."""
    rng = random.Random(20_260_131)
    ids = [f"租户-{n}" for n in range(40)]
    held: dict[str, bytes] = {}
    for revision in range(1, 60):
        chosen = rng.sample(ids, rng.randrange(1, 30))
        changes: list[Change] = [(i, None if rng.random() < 0.3 else record(i, revision)) for i in chosen]
        snapshot = revision == 1 or rng.random() < 0.1
        apply(copy, at(revision), changes, snapshot=snapshot)
        held = {} if snapshot else held
        held = {i: d for i, d in (held | dict(changes)).items() if d is not None}  # type: ignore[operator]
        assert dict(copy.rows()) == held
        assert copy.stamp is not None
        assert copy.stamp.digest == digest_of(held.items())


def test_it_can_be_inspected_while_it_is_in_use(copy: LocalCopy) -> None:
    fill(copy, "a", "b")
    found = copyfile.inspect(copy.path)
    assert found["tables"] == {"tenant": 2, "stamp": 1}
    assert found["columns"] == {
        "tenant": ["id", "record"],
        "stamp": ["id", "store_id", "mark", "digest", "revision", "tenants", "applied_at", "seal"],
    }
    assert (found["format"], found["structure"]) == (copyfile.FORMAT, ["ok"])


def test_inspecting_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CopyFailed, match="cannot be used"):
        copyfile.inspect(tmp_path / "none.db")


# What it refuses


@pytest.mark.parametrize("position", [at(4), at(0), at(6, "other"), at(5, "other")])
@pytest.mark.parametrize("snapshot", [True, False])
def test_it_never_goes_back(copy: LocalCopy, position: Position, snapshot: bool) -> None:
    held = fill(copy, "a", revision=5)
    with pytest.raises(CopyFailed) as e:
        apply(copy, position, [], snapshot=snapshot)
    assert e.value.kind is CopyKind.GOES_BACK
    assert (copy.position, dict(copy.rows())) == (at(5), held)


@pytest.mark.parametrize("snapshot", [True, False])
@pytest.mark.parametrize("ids", [[], ["a"], ["a", "b", "c"]])
def test_what_does_not_come_to_the_digest_changes_nothing(copy: LocalCopy, snapshot: bool, ids: list[str]) -> None:
    held = fill(copy, "a", "b")
    meant = digest_of(dict(records("a", "b", revision=2)).items())  # type: ignore[arg-type]
    with pytest.raises(SyncFailed) as e:
        apply(copy, at(2), records(*ids, revision=2), snapshot=snapshot, digest=meant)
    assert e.value.kind is FailureKind.WRONG_DIGEST
    assert meant[:16] in e.value.problem
    assert reopened(copy) is None
    assert (copy.position, dict(copy.rows())) == (at(1), held)


@pytest.mark.parametrize("snapshot", [True, False])
def test_an_update_that_breaks_off_leaves_what_was(copy: LocalCopy, snapshot: bool) -> None:
    held = fill(copy)

    def breaking() -> Iterator[Change]:
        yield from records(*MANY[:1_500], revision=2)
        raise SyncFailed(FailureKind.CORRUPT, "the store broke")

    with pytest.raises(SyncFailed, match="the store broke"):
        apply(copy, at(2), breaking(), snapshot=snapshot)
    assert reopened(copy) is None
    assert (copy.position, dict(copy.rows())) == (at(1), held)


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_full_disk_leaves_what_was_and_serves_again_when_there_is_room(copy: LocalCopy, snapshot: bool) -> None:
    held = fill(copy)
    new = records(*(f"new-{i}" for i in MANY), revision=2)
    assert copy._conn is not None
    (pages,) = copy._conn.execute("PRAGMA page_count").fetchone()
    copy._conn.execute(f"PRAGMA max_page_count = {pages + 5}")
    with pytest.raises(CopyFailed, match="no room left on the disk") as e:
        apply(copy, at(2), [*new, *records("a" * 250)], snapshot=snapshot)
    assert e.value.kind is CopyKind.FULL
    assert reopened(copy) is None
    assert (copy.position, dict(copy.rows())) == (at(1), held)
    apply(copy, at(2), new, snapshot=snapshot)
    assert dict(copy.rows()) == {**({} if snapshot else held), **dict(new)}


def test_another_process_that_works_on_it_is_told(copy: LocalCopy, monkeypatch: pytest.MonkeyPatch) -> None:
    held = fill(copy, "a")
    with closing(sqlite3.connect(copy.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CopyFailed) as e:
            apply(copy, at(2), [], snapshot=False)
    assert e.value.kind is CopyKind.LOCKED
    assert reopened(copy) is None
    assert dict(copy.rows()) == held


@pytest.mark.parametrize("replaced", [True, False])
def test_a_file_removed_or_replaced_in_use_is_noticed(copy: LocalCopy, replaced: bool) -> None:
    """What is written to a file that no longer has a name would be gone after a restart."""
    fill(copy, "a")
    copy.path.rename(copy.path.with_name("away"))
    if replaced:
        copy.path.write_bytes(b"")
    with pytest.raises(CopyFailed) as e:
        apply(copy, at(2), [], digest="whatever")
    assert e.value.kind is CopyKind.LOST
    assert not copy.is_open
    assert copy.open() is None
    assert copy.position is None


def test_a_closed_copy_says_so(copy: LocalCopy) -> None:
    copy.close()
    with pytest.raises(CopyFailed, match="is not open"):
        list(copy.rows())


def test_a_place_where_no_file_can_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "copy.db").mkdir()
    with pytest.raises(CopyFailed) as e:
        LocalCopy(tmp_path / "copy.db").open()
    assert e.value.kind is CopyKind.UNWRITABLE


# What is set aside


def written(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute(sql, values)


Spoil = Callable[[Path], object]
OPENING: dict[str, tuple[Spoil, CopyKind, str]] = {
    "garbage": (lambda p: p.write_bytes(random.Random(1).randbytes(50_000)), CopyKind.FOREIGN, "is no database"),
    "text": (lambda p: p.write_text("hello\n" * 1000), CopyKind.FOREIGN, "is no database"),
    "zeroed header": (lambda p: p.write_bytes(bytes(100) + p.read_bytes()[100:]), CopyKind.FOREIGN, "is no database"),
    "foreign": (lambda p: written(p, "PRAGMA application_id = 7"), CopyKind.FOREIGN, "of another kind"),
    "newer format": (lambda p: written(p, "PRAGMA user_version = 3"), CopyKind.FOREIGN, "has format 3"),
    "no stamp table": (lambda p: written(p, "DROP TABLE stamp"), CopyKind.DAMAGED, "no such table: stamp"),
    "stamp's revision": (lambda p: written(p, "UPDATE stamp SET revision = 9"), CopyKind.DAMAGED, "sealed"),
    "stamp's store": (lambda p: written(p, "UPDATE stamp SET store_id = 'x'"), CopyKind.DAMAGED, "sealed"),
    "stamp's count": (lambda p: written(p, "UPDATE stamp SET tenants = NULL"), CopyKind.DAMAGED, "sealed"),
}


@pytest.mark.parametrize("name", OPENING)
def test_what_is_no_copy_is_set_aside_when_it_is_opened(copy: LocalCopy, name: str) -> None:
    spoil, kind, problem = OPENING[name]
    fill(copy)
    copy.close()
    spoil(copy.path)
    before = copy.path.read_bytes()
    worthless = copy.open()
    assert worthless is not None
    assert (worthless.kind, copy.position) == (kind, None)
    assert problem in worthless.problem
    assert copy.set_aside_because == worthless.problem
    assert copy.path.with_name("copy.db.aside-1").read_bytes() == before
    fill(copy, "a")
    assert reopened(copy) is None


READING: dict[str, Spoil] = {
    "a row gone": lambda p: written(p, "DELETE FROM tenant WHERE id = 't700'"),
    "a row more": lambda p: written(p, "INSERT INTO tenant VALUES ('x', x'00')"),
    "a bit turned": lambda p: written(p, "UPDATE tenant SET record = x'00' || substr(record, 2) WHERE id = 't700'"),
    "a row under another name": lambda p: written(p, "UPDATE tenant SET id = 'x' WHERE id = 't700'"),
    "an older row": lambda p: written(p, "UPDATE tenant SET record = ? WHERE id = 't700'", record("t700", 9)),
    "two rows exchanged": lambda p: written(
        p,
        "UPDATE tenant SET record = (SELECT o.record FROM tenant AS o WHERE o.id IN ('t1', 't2') AND o.id != tenant.id)"
        " WHERE id IN ('t1', 't2')",
    ),
    "text for bytes": lambda p: written(p, "UPDATE tenant SET record = 'text' WHERE id = 't700'"),
    "a name that is not UTF-8": lambda p: written(p, "UPDATE tenant SET id = CAST(x'ff' AS TEXT) WHERE id = 't700'"),
    "no table": lambda p: written(p, "DROP TABLE tenant"),
    "truncated": lambda p: os.truncate(p, p.stat().st_size // 2 // 4096 * 4096),
    "truncated within a page": lambda p: os.truncate(p, p.stat().st_size - 1_000),
    "pages overwritten": lambda p: p.write_bytes(p.read_bytes()[:16_384] + b"\xa5" * 8_192 + p.read_bytes()[24_576:]),
}


@pytest.mark.parametrize("name", READING)
def test_a_copy_that_is_not_whole_is_noticed_when_it_is_read(copy: LocalCopy, name: str) -> None:
    fill(copy)
    copy.close()
    READING[name](copy.path)
    worthless = copy.open()
    if worthless is None:
        with pytest.raises(CopyFailed) as e:
            list(copy.rows())
        worthless = e.value
        copy.set_aside(worthless.problem)
    assert worthless.kind in copyfile.WORTHLESS, worthless
    assert copy.path.with_name("copy.db.aside-1").exists()
    assert list(copy.rows()) == []


def test_any_bit_that_turns_in_the_file_is_noticed_or_harmless(copy: LocalCopy) -> None:
    """What is read after a fault on the disk is what was written, or nothing."""
    held = fill(copy, *MANY[:300])
    copy.close()
    whole = copy.path.read_bytes()
    rng = random.Random(26)
    kinds = set()
    for _ in range(150):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        copy.path.write_bytes(data)
        worthless = copy.open()
        try:
            rows = dict(copy.rows())
        except CopyFailed as e:
            kinds.add(e.kind)
        else:
            assert worthless is not None or rows == held
        copy.close()
    assert kinds == {CopyKind.DAMAGED}


def test_an_empty_file_is_a_new_copy(tmp_path: Path) -> None:
    """A crash while the file was being made leaves one."""
    copy = LocalCopy(tmp_path / "copy.db")
    copy.path.write_bytes(b"")
    assert copy.open() is None
    fill(copy, "a")
    copy.close()


def test_the_latest_copies_set_aside_are_kept(copy: LocalCopy) -> None:
    for number in range(localcopy.KEPT + 2):
        fill(copy, f"copy-{number}")
        copy.set_aside(f"reason {number}")
    assert copy.set_aside_because == f"reason {localcopy.KEPT + 1}"
    aside = sorted(p.name for p in copy.path.parent.glob("*.aside-*") if p.name[-1].isdigit())
    assert aside == ["copy.db.aside-3", "copy.db.aside-4", "copy.db.aside-5"]
    kept = LocalCopy(copy.path.with_name("copy.db.aside-5"))
    assert kept.open() is None
    assert dict(kept.rows()) == dict(records("copy-4"))
    kept.close()


def test_a_copy_that_cannot_be_set_aside_is_told(copy: LocalCopy, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(localcopy.os, "replace", refuse)
    with pytest.raises(CopyFailed) as e:
        copy.set_aside("for a test")
    assert e.value.kind is CopyKind.UNWRITABLE
    assert not copy.is_open
