"""Usage: stated by Desking, done once by its key, durable, never refused for quota (architecture 4)."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, func, select

from sidecar.core.errors import InvalidRequest
from sync.store import schema
from sync.store.errors import StoreError
from sync.store.usage import Absolute, Change, Delta, SeatChange, Seats, Used, adjust_usage, list_usage
from tests.storing import Shop, months, on_every_database, per_unit, refused

pytestmark = on_every_database


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("fd", "fixed_desk"))
    shop.tenant("t")
    shop.new("t", {"fd": 10}, "2026-01-01", months(12))
    shop.tenant("child", parent_id="t")
    return shop


def adjust(shop: Shop, change: Change, once: str, *, tenant: str = "t", key: str = "fixed_desk") -> Used:
    return adjust_usage(shop.store, tenant, key, change, idempotency_key=once, now=0)


def seats(*changes: tuple[str, bool]) -> Seats:
    return Seats(changes=tuple(SeatChange(user_id=user, held=held) for user, held in changes))


def test_units_are_set_and_added_up(shop: Shop) -> None:
    before = shop.revision()
    assert adjust(shop, Delta(units=3), "a") == Used(units=3, seats=(), revision=before + 1)
    assert adjust(shop, Absolute(units=20), "b") == Used(units=20, seats=(), revision=before + 2)
    assert adjust(shop, Delta(units=-5), "c") == Used(units=15, seats=(), revision=before + 3)
    assert shop.record("t").usage["fixed_desk"].units == 15


def test_a_childs_own_usage_is_answered_and_the_pool_is_recorded(shop: Shop) -> None:
    adjust(shop, Delta(units=6), "a")
    assert adjust(shop, Delta(units=3), "b", tenant="child").units == 3
    assert shop.record("t").usage["fixed_desk"].units == 9


def test_seats_keep_their_order(shop: Shop) -> None:
    adjust(shop, seats(("u1", True), ("u2", True), ("u3", True)), "a", key="designer")
    used = adjust(shop, seats(("u1", True), ("u2", False), ("u4", True), ("u2", True)), "b", key="designer")
    assert used.seats == ("u1", "u3", "u4", "u2")
    assert adjust(shop, seats(("nobody", False)), "c", key="designer").seats == used.seats


def test_the_same_key_is_done_once_and_answered_as_then(shop: Shop) -> None:
    first = adjust(shop, Delta(units=3), "a")
    adjust(shop, Delta(units=1), "b")
    assert adjust(shop, Delta(units=3), "a") == first
    assert shop.record("t").usage["fixed_desk"].units == 4


def test_the_same_key_with_other_content_is_refused(shop: Shop) -> None:
    adjust(shop, Delta(units=3), "a")
    for change, tenant, key in (
        (Delta(units=4), "t", "fixed_desk"),
        (Absolute(units=3), "t", "fixed_desk"),
        (Delta(units=3), "child", "fixed_desk"),
        (Delta(units=3), "t", "room"),
    ):
        with refused("IDEMPOTENCY_CONFLICT"):
            adjust(shop, change, "a", tenant=tenant, key=key)
    assert shop.record("t").usage["fixed_desk"].units == 3


def test_a_refused_change_leaves_its_key_free(shop: Shop) -> None:
    before = shop.revision()
    with refused("USAGE_BELOW_ZERO"):
        adjust(shop, Delta(units=-1), "a")
    with refused("UNKNOWN_TENANT"):
        adjust(shop, Delta(units=1), "a", tenant="nobody")
    assert shop.revision() == before
    assert adjust(shop, Delta(units=1), "a").units == 1


def test_what_changes_nothing_is_answered_with_the_present_revision(shop: Shop) -> None:
    first = adjust(shop, Absolute(units=3), "a")
    assert adjust(shop, Absolute(units=3), "b") == first


def test_nothing_is_left_of_a_change_whose_commit_fails(shop: Shop) -> None:
    class Crash(Exception):
        pass

    def fail(*_: object) -> None:
        raise Crash

    event.listen(Engine, "commit", fail)
    try:
        with pytest.raises(Crash):
            adjust(shop, Delta(units=3), "a")
    finally:
        event.remove(Engine, "commit", fail)
    assert shop.record("t").usage == {}
    assert adjust(shop, Delta(units=3), "a").units == 3


def test_many_at_once_lose_nothing(shop: Shop) -> None:
    failures: list[StoreError] = []

    def work(name: str) -> None:
        try:
            for number in range(20):
                adjust(shop, Delta(units=1), f"{name}-{number}", tenant=name)
                adjust(shop, Delta(units=1), f"{name}-{number}", tenant=name)
        except StoreError as e:
            failures.append(e)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("t", "child")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert shop.record("t").usage["fixed_desk"].units == 40
    with shop.store.reading() as conn:
        assert conn.scalar(select(func.count()).select_from(schema.idempotency)) == 40


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (Absolute(units=-1), "units"),
        (Absolute(units=2**53 + 1), "units"),
        (Delta(units=2**53 + 1), "units"),
        (Seats(changes=()), "seats"),
        (seats(*(("u", True) for _ in range(1001))), "seats"),
        (seats(("", True)), "user_id"),
    ],
)
def test_numbers_and_names_out_of_bounds_are_invalid(shop: Shop, change: Change, field: str) -> None:
    with pytest.raises(InvalidRequest, match=field):
        adjust(shop, change, "a")


@pytest.mark.parametrize(
    ("key", "once", "field"), [("", "a", "key"), ("k" * 257, "a", "key"), ("k", "", "idempotency_key")]
)
def test_keys_are_1_to_256_bytes(shop: Shop, key: str, once: str, field: str) -> None:
    with pytest.raises(InvalidRequest, match=field):
        adjust(shop, Delta(units=1), once, key=key)


@pytest.mark.parametrize("user", [" a\tb ", "ü" * 128, "张三"])
def test_names_that_desking_gives_are_taken_as_they_are(shop: Shop, user: str) -> None:
    assert adjust(shop, seats((user, True)), user, key=user).seats == (user,)
    assert shop.record("t").usage[user].seats[0].user_id == user


@pytest.mark.parametrize("field", ["tenant_id", "key", "idempotency_key", "user_id"])
def test_nul_is_in_no_name(shop: Shop, field: str) -> None:
    """Not every database could hold it."""
    names = {"tenant_id": "t", "key": "k", "idempotency_key": "once", "user_id": "u"} | {field: "a\0b"}
    change = seats((names["user_id"], True))
    with pytest.raises(InvalidRequest, match=f"^{field}: .*NUL"):
        adjust(shop, change, names["idempotency_key"], tenant=names["tenant_id"], key=names["key"])


def test_a_name_that_is_no_text_is_invalid(shop: Shop) -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        adjust(shop, Delta(units=1), "\udcff")


def test_usage_is_listed_by_key(shop: Shop) -> None:
    adjust(shop, Delta(units=3), "a")
    adjust(shop, seats(("u1", True)), "b", key="designer")
    with shop.store.reading() as conn:
        assert list_usage(conn, "t") == {
            "designer": Used(units=0, seats=("u1",), revision=0),
            "fixed_desk": Used(units=3, seats=(), revision=0),
        }
        with refused("UNKNOWN_TENANT"):
            list_usage(conn, "nobody")
