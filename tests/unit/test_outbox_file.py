"""The outbox's file: order, room, what a key stands for, damage, and an operator beside it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sidecar.outbox import rows
from sidecar.outbox.file import Outbox
from sidecar.outbox.opened import Opened
from sidecar.outbox.rows import (
    Counts,
    Draft,
    KeyTaken,
    NotThere,
    OutboxDamaged,
    OutboxFull,
    OutboxUnusable,
    State,
    Statement,
)


def draft(idempotency_key: str, tenant: str = "acme", key: str = "desk", request: bytes = b"r") -> Draft:
    return Draft(idempotency_key=idempotency_key, tenant_id=tenant, key=key, request=request)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    outbox = Outbox(path, limit=3)
    outbox.open()
    yield outbox
    outbox.close()


def kept(outbox: Outbox) -> list[str]:
    return [s.idempotency_key for s in Opened(outbox.path).statements()]


def oldest(outbox: Outbox) -> Statement:
    found = outbox.oldest()
    assert found is not None
    return found


def test_statements_are_kept_in_order_and_go_when_they_are_sent(outbox: Outbox) -> None:
    assert outbox.oldest() is None
    assert outbox.counts() == Counts()
    outbox.put(draft("k1"), 10)
    outbox.put(draft("k2"), 20)
    assert outbox.counts() == Counts(pending=2, oldest=10)
    first = oldest(outbox)
    assert (first.idempotency_key, first.tenant_id, first.key, first.request, first.at) == (
        "k1",
        "acme",
        "desk",
        b"r",
        10,
    )
    assert (first.state, first.attempts, first.whole) == (State.PENDING, 0, True)
    outbox.remove(first)
    assert kept(outbox) == ["k2"]


def test_they_outlive_whoever_kept_them(path: Path, outbox: Outbox) -> None:
    outbox.put(draft("k1"), 10)
    outbox.close()
    again = Outbox(path, limit=3)
    again.open()
    assert oldest(again).idempotency_key == "k1"
    again.close()


def test_lanes_that_wait_are_passed_over(outbox: Outbox) -> None:
    odd = "a\0/'界"
    outbox.put(draft("k1", odd, "x"), 1)
    outbox.put(draft("k2", "b", "y"), 2)
    outbox.put(draft("k3", odd, "z"), 3)
    found = outbox.oldest(but=[(odd, "x")])
    assert found is not None
    assert found.idempotency_key == "k2"
    found = outbox.oldest(but=[(odd, "x"), ("b", "y")])
    assert found is not None
    assert found.lane == (odd, "z")
    assert outbox.oldest(but=[(odd, "x"), ("b", "y"), (odd, "z")]) is None


def test_only_the_first_of_its_lane_is_next_in_line(outbox: Outbox) -> None:
    outbox.put(draft("k1"), 1)
    outbox.put(draft("k2"), 2)
    outbox.put(draft("k3", key="room"), 3)
    assert outbox.next_in_line("k1") is not None
    assert outbox.next_in_line("k2") is None
    assert outbox.next_in_line("k3") is not None
    assert outbox.next_in_line("k4") is None
    outbox.refused(oldest(outbox), "USAGE_BELOW_ZERO", "no")
    assert outbox.next_in_line("k1") is None
    assert outbox.next_in_line("k2") is not None, "one that was refused holds up nobody"


def test_a_key_stands_for_one_content(outbox: Outbox) -> None:
    outbox.put(draft("k1"), 1)
    outbox.put(draft("k1"), 2)
    assert kept(outbox) == ["k1"]
    assert oldest(outbox).at == 1
    with pytest.raises(KeyTaken, match="'k1' is in the outbox with another content"):
        outbox.put(draft("k1", request=b"other"), 3)
    outbox.refused(oldest(outbox), "UNKNOWN_TENANT", "no")
    with pytest.raises(KeyTaken):
        outbox.put(draft("k1", request=b"other"), 3)
    outbox.put(draft("k1"), 4)
    again = oldest(outbox)
    assert (again.state, again.attempts, again.code, again.why, again.at) == (State.PENDING, 1, "", "", 1)


def test_it_is_bounded(outbox: Outbox, path: Path) -> None:
    for n in range(3):
        outbox.put(draft(f"k{n}"), n)
    outbox.put(draft("k0"), 9)
    with pytest.raises(OutboxFull, match="the outbox is full: the store has yet to take 3 statements"):
        outbox.put(draft("k3"), 3)
    Opened(path).drop("k1", pending=True)
    outbox.put(draft("k3"), 3)
    outbox.remove(oldest(outbox))
    outbox.put(draft("k4"), 4)
    with pytest.raises(OutboxFull):
        outbox.put(draft("k5"), 5)
    assert kept(outbox) == ["k2", "k3", "k4"]


def test_attempts_are_counted_and_the_last_failure_told(outbox: Outbox) -> None:
    outbox.put(draft("k1"), 1)
    outbox.failed(oldest(outbox), "nobody there")
    outbox.failed(oldest(outbox), "still nobody")
    assert (oldest(outbox).attempts, oldest(outbox).why) == (2, "still nobody")


def test_what_is_done_with_is_told_by_more_than_its_number(outbox: Outbox, path: Path) -> None:
    outbox.put(draft("k1"), 1)
    before = oldest(outbox)
    outbox.close()
    path.unlink()
    outbox.put(draft("k2"), 2)
    assert oldest(outbox).id == before.id
    outbox.remove(before)
    outbox.refused(before, "X", "x")
    outbox.failed(before, "x")
    assert (oldest(outbox).idempotency_key, oldest(outbox).attempts) == ("k2", 0)
    assert outbox.holds("k2")
    assert not outbox.holds("k1")


def test_a_statement_that_the_disk_altered_is_known(outbox: Outbox, path: Path) -> None:
    outbox.put(draft("k1"), 1)
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("UPDATE statement SET request = x'00'")
    assert not oldest(outbox).whole


# --- damage ---


def scribble(path: Path) -> bytes:
    """Spoils the whole file but its first bytes; gives what it then is."""
    data = bytearray(path.read_bytes())
    data[100:] = b"\xa5" * (len(data) - 100)
    path.write_bytes(data)
    return bytes(data)


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be looked at" * 20, None])
def test_a_damaged_file_is_set_aside_and_kept(path: Path, content: bytes | None) -> None:
    outbox = Outbox(path, limit=3)
    outbox.put(draft("k1"), 1)
    outbox.close()
    if content is None:
        content = scribble(path)
    path.write_bytes(content)
    with capture_logs() as logs:
        outbox.open()
    assert [(e["log_level"], e["aside"]) for e in logs] == [("error", f"{path}.aside-1")]
    assert Path(f"{path}.aside-1").read_bytes() == content
    assert outbox.aside() == [Path(f"{path}.aside-1")]
    outbox.put(draft("k2"), 2)
    assert kept(outbox) == ["k2"]
    outbox.close()
    path.write_bytes(b"bad again" * 100)
    outbox.open()
    assert [p.name for p in outbox.aside()] == ["outbox.db.aside-1", "outbox.db.aside-2"]
    outbox.close()


@pytest.mark.parametrize(
    "sql",
    [
        "PRAGMA user_version = 2",
        "PRAGMA application_id = 7",
        "ALTER TABLE statement RENAME COLUMN request TO letter",
    ],
)
def test_a_file_of_another_kind_is_set_aside(path: Path, sql: str) -> None:
    outbox = Outbox(path, limit=3)
    outbox.put(draft("k1"), 1)
    outbox.close()
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(sql)
    outbox.open()
    assert outbox.aside()
    assert kept(outbox) == []
    outbox.close()


def test_damage_in_use_is_set_aside_and_the_statement_kept_in_a_new_file(outbox: Outbox, path: Path) -> None:
    outbox.put(draft("k1"), 1)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("DROP TABLE statement")
    with capture_logs() as logs:
        outbox.put(draft("k2"), 2)
    assert [e["log_level"] for e in logs] == ["error"]
    assert kept(outbox) == ["k2"]
    assert len(outbox.aside()) == 1


def test_a_file_that_was_removed_in_use_is_begun_anew(outbox: Outbox, path: Path) -> None:
    outbox.put(draft("k1"), 1)
    path.unlink()
    with capture_logs() as logs:
        outbox.put(draft("k2"), 2)
    assert "removed or replaced" in logs[0]["event"]
    assert kept(outbox) == ["k2"]


def test_a_place_that_cannot_be_used(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "missing" / "outbox.db", limit=3)
    with pytest.raises(OutboxUnusable, match="cannot be used"):
        outbox.put(draft("k1"), 1)
    (tmp_path / "missing").mkdir()
    outbox.put(draft("k1"), 1)
    assert kept(outbox) == ["k1"]
    outbox.close()


def test_another_process_that_holds_it_is_told(outbox: Outbox, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "BUSY_SECONDS", 0.05)
    outbox.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        outbox.put(draft("k1"), 1)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OutboxUnusable, match="another process"):
            outbox.put(draft("k2"), 2)
        assert outbox.counts() == Counts(pending=1, oldest=1), "looking waits for nobody"
        other.execute("ROLLBACK")
    outbox.put(draft("k2"), 2)
    assert kept(outbox) == ["k1", "k2"]


# --- an operator beside it ---


def test_an_operator_retries_and_drops(outbox: Outbox, path: Path) -> None:
    for name in ("k1", "k2", "k3"):
        outbox.put(draft(name), 1)
    outbox.refused(oldest(outbox), "UNKNOWN_TENANT", "no")
    outbox.refused(oldest(outbox), "USAGE_BELOW_ZERO", "no")
    opened = Opened(path)
    assert [(s.idempotency_key, s.state, s.code) for s in opened.statements()] == [
        ("k1", State.REFUSED, "UNKNOWN_TENANT"),
        ("k2", State.REFUSED, "USAGE_BELOW_ZERO"),
        ("k3", State.PENDING, ""),
    ]
    assert outbox.counts() == Counts(pending=1, refused=2, oldest=1)
    assert opened.retry("k1").code == "UNKNOWN_TENANT"
    assert oldest(outbox).idempotency_key == "k1", "in its old place"
    assert opened.drop("k2").idempotency_key == "k2"
    assert kept(outbox) == ["k1", "k3"]
    for change in (opened.retry, opened.drop):
        with pytest.raises(NotThere, match="'k3' was not refused"):
            change("k3")
        with pytest.raises(NotThere, match="there is no statement 'k9'"):
            change("k9")
    opened.drop("k3", pending=True)
    assert kept(outbox) == ["k1"]


def test_an_operator_where_there_is_no_outbox_or_a_damaged_one(path: Path) -> None:
    with pytest.raises(NotThere, match="there is no outbox"):
        Opened(path)
    path.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(OutboxDamaged):
        Opened(path).statements()
