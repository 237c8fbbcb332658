"""The audit trail: every change is in it, and nothing in it can be altered without showing (domain.md 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from sync.store import audit, schema
from sync.store.audit import By, Entry, Verdict
from sync.store.db import Store, open_store
from sync.store.tenants import create_tenant
from tests.storing import TESTER, Shop, meddle, on_every_database, on_sqlite, stored

pytestmark = on_every_database

A = schema.audit
COLUMNS = [column.name for column in A.columns]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    for tenant_id in ("acme", "globex", "initech"):
        shop.tenant(tenant_id)
    return shop


def verdict(store: Store) -> Verdict:
    with store.reading() as conn:
        return audit.verify(conn)


def entries(store: Store) -> list[Entry]:
    with store.reading() as conn:
        return [audit.entry_of(row) for row in conn.execute(select(A).order_by(A.c.seq))]


def test_an_entry_says_who_when_what_before_and_after(shop: Shop) -> None:
    by = By(operator="ada", at=1_700_000_000_000_000, key="k1")
    with shop.store.writing(by) as writing:
        writing.audit("thing.change", "thing:1", tenant_id="acme", before={"a": 1}, after={"a": "二"})
    last = entries(shop.store)[-1]
    assert (last.operator, last.recorded_at, last.idempotency_key) == ("ada", by.at, "k1")
    assert (last.action, last.subject, last.tenant_id) == ("thing.change", "thing:1", "acme")
    assert last.details == {"before": {"a": 1}, "after": {"a": "二"}}


def test_entries_are_numbered_without_a_gap_and_hold_together(shop: Shop) -> None:
    assert [entry.seq for entry in entries(shop.store)] == [1, 2, 3]
    found = verdict(shop.store)
    assert (found.fault, found.entries, found.head) == ("", 3, entries(shop.store)[-1].hash)


def test_the_trail_of_a_new_store_is_empty_and_whole(tmp_path: Path) -> None:
    assert verdict(open_store(stored(tmp_path / "s.db"))) == Verdict(entries=0, erased=0, head="")


def test_a_change_that_fails_leaves_no_entry(shop: Shop) -> None:
    def change() -> None:
        with shop.store.writing(TESTER) as writing:
            create_tenant(writing, "fourth", now=0)
            writing.finish()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()
    assert (len(entries(shop.store)), verdict(shop.store).fault) == (3, "")


def test_records_cannot_change_without_an_entry(shop: Shop) -> None:
    def change() -> None:
        with shop.store.writing(TESTER) as writing:
            writing.touch("acme")
            writing.conn.execute(update(schema.tenant).values(zone="Asia/Shanghai"))

    with pytest.raises(RuntimeError, match="audit trail"):
        change()
    assert shop.record("acme").zone == "UTC"


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("seq", [1, 2, 3])
def test_one_flipped_byte_is_found(shop: Shop, seq: int, column: str) -> None:
    """In any cell of any entry, and in any place of it."""
    with shop.store.reading() as conn:
        value = conn.scalar(select(A.c[column]).where(A.c.seq == seq))
    text = str(value)
    for place in {0, len(text) // 2, len(text) - 1} if text else {0}:
        flipped = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :] if text else "x"
        changed: Any = flipped
        if isinstance(value, int):
            changed = value ^ 64
        meddle(shop.store, f"UPDATE audit SET {column} = :value WHERE seq = :seq", value=changed, seq=seq)
        found = verdict(shop.store)
        assert found.fault, (seq, column, place)
        assert found.at <= seq + 1
        restored = seq if column != "seq" else changed
        meddle(shop.store, f"UPDATE audit SET {column} = :value WHERE seq = :seq", value=value, seq=restored)
        assert verdict(shop.store).fault == ""


@on_sqlite
@pytest.mark.parametrize("value", [b"\xff\xfe", 7, None])
def test_a_cell_of_another_type_is_found(shop: Shop, value: object) -> None:
    meddle(shop.store, "UPDATE audit SET details = :value WHERE seq = 2", value=value)
    assert "entry 2" in verdict(shop.store).fault


@pytest.mark.parametrize("seq", [1, 2, 3])
def test_an_entry_taken_out_is_found(shop: Shop, seq: int) -> None:
    meddle(shop.store, "DELETE FROM audit WHERE seq = :seq", seq=seq)
    found = verdict(shop.store)
    assert found.at == seq
    assert "missing" in found.fault or "ends at entry 2" in found.fault


def test_an_entry_put_in_is_found(shop: Shop) -> None:
    columns = ", ".join(c for c in COLUMNS if c != "seq")
    meddle(shop.store, f"INSERT INTO audit (seq, {columns}) SELECT 4, {columns} FROM audit WHERE seq = 3")
    assert verdict(shop.store).at == 4


@pytest.mark.parametrize("seq", [-5, 0])
def test_entries_before_the_first_are_found(shop: Shop, seq: int) -> None:
    columns = ", ".join(c for c in COLUMNS if c != "seq")
    meddle(shop.store, f"INSERT INTO audit (seq, {columns}) SELECT :seq, {columns} FROM audit WHERE seq = 3", seq=seq)
    assert verdict(shop.store).fault


def test_details_are_missed_only_where_the_tenant_was_erased(shop: Shop) -> None:
    with shop.store.writing(TESTER) as writing:
        audit.erase(writing.conn, "acme")
    assert "was not erased" in verdict(shop.store).fault
    meddle(shop.store, "UPDATE tenant SET erased_at = 1 WHERE id = 'acme'")
    found = verdict(shop.store)
    assert (found.fault, found.erased) == ("", 1)
    assert entries(shop.store)[0].details is None


def test_a_trail_longer_than_a_step_is_read_whole(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "STEP", 2)
    assert verdict(shop.store).entries == 3
    shop.tenant("fourth")
    assert verdict(shop.store).entries == 4
