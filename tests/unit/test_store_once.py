"""Writes that are done once by a caller-given key."""

from __future__ import annotations

from pathlib import Path

from sync.store import once
from tests.storing import TESTER, Shop, on_every_database, refused

pytestmark = on_every_database


def test_a_key_is_answered_as_it_was_then(tmp_path: Path) -> None:
    store = Shop(tmp_path / "store.db").store
    content, other = once.digest_of({"b": 1, "a": [2]}), once.digest_of("other")
    with store.writing(TESTER) as writing:
        assert once.answered(writing.conn, "k", content) is None
        once.remember(writing.conn, [("k", content, {"id": 7})], at=1)
    with store.writing(TESTER) as writing:
        assert once.answered(writing.conn, "k", content) == {"id": 7}
        assert once.answers(writing.conn, {"k": content, "new": other}) == {"k": {"id": 7}}
    with refused("IDEMPOTENCY_CONFLICT"), store.writing(TESTER) as writing:
        once.answered(writing.conn, "k", other)


def test_the_order_of_names_makes_no_other_content() -> None:
    assert once.digest_of({"a": 1, "b": 2}) == once.digest_of({"b": 2, "a": 1}) != once.digest_of({"a": 1, "b": 3})
