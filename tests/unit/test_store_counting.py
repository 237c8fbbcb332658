"""Usage taken over set by set: Desking's own count held against what is on record, and many tenants at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Seat, Usage
from sync.store.counting import MOST_USERS, Count, Difference, UsageAsk, reconcile_usage, set_usages
from sync.store.erasure import erase_tenant
from sync.store.errors import Refused
from sync.store.tenants import archive_tenant
from sync.store.usage import MOST, Absolute, SeatChange, Seats, Used, change_usage, list_usage
from tests.changing import Left, change, verdict
from tests.storing import START, TESTER, Shop, for_a_while, months, on_every_database, per_unit, refused

pytestmark = on_every_database


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A parent with services and a child that shares them; both have designers, the parent has desks."""
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("fd", "fixed_desk"))
    shop.tenant("t")
    shop.tenant("child", parent_id="t")
    shop.new("t", {"fd": 10}, START, months(12))
    shop.use("t", fixed_desk=7)
    shop.seat("t", "designer", "u1", "u2", "u3")
    return shop


def reconcile(shop: Shop, *counts: Count, tenant_id: str = "t", complete: bool = False) -> Left:
    return change(shop, reconcile_usage, tenant_id, counts, complete=complete)


def used(shop: Shop, tenant_id: str = "t") -> dict[str, Used]:
    with shop.store.reading() as conn:
        return list_usage(conn, tenant_id)


def seats(shop: Shop, key: str = "designer") -> list[str]:
    return [seat.user_id for seat in shop.record("t").usage[key].seats]


# --- a count of Desking's own ---


def test_a_count_that_is_as_recorded_changes_nothing(shop: Shop) -> None:
    left = reconcile(shop, Count(key="fixed_desk", units=7), Count(key="designer", seats=("u3", "u1", "u2")))
    assert (left.answer, left.records, left.entries) == ([], set(), [])
    assert seats(shop) == ["u1", "u2", "u3"]


def test_those_counted_keep_their_places_others_lose_them_and_new_ones_come_last(shop: Shop) -> None:
    left = reconcile(shop, Count(key="designer", units=2, seats=("u9", "u3", "u4", "u1")))
    assert left.answer == [
        Difference(key="designer", units_before=0, units_after=2, removed=("u2",), added=("u9", "u4"))
    ]
    assert seats(shop) == ["u1", "u3", "u9", "u4"]
    assert shop.record("t").usage["designer"].units == 2
    assert shop.record("t").usage["fixed_desk"].units == 7


def test_one_count_is_one_entry_in_the_trail(shop: Shop) -> None:
    left = reconcile(shop, Count(key="fixed_desk", units=9), Count(key="designer", seats=("u1", "u9")))
    (entry,) = left.entries
    assert (entry.action, entry.subject, entry.tenant_id) == ("usage.reconcile", "tenant:t", "t")
    assert entry.details == {
        "before": {"fixed_desk": {"units": 7, "seats": 0}, "designer": {"units": 0, "seats": 3}},
        "after": {
            "fixed_desk": {"units": 9, "seats": 0, "assigned": [], "revoked": []},
            "designer": {"units": 0, "seats": 2, "assigned": ["u9"], "revoked": ["u2", "u3"]},
        },
    }


def test_a_key_that_was_not_counted_is_gone_only_from_a_complete_count(shop: Shop) -> None:
    assert reconcile(shop, Count(key="room", units=1)).answer[0].key == "room"
    left = reconcile(shop, Count(key="room", units=1), complete=True)
    assert [(d.key, d.units_after, d.removed) for d in left.answer] == [
        ("designer", 0, ("u1", "u2", "u3")),
        ("fixed_desk", 0, ()),
    ]
    assert shop.record("t").usage == {"room": Usage(units=1)}
    assert reconcile(shop, Count(key="room", units=1), complete=True).entries == []
    assert [d.key for d in reconcile(shop, complete=True).answer] == ["room"]
    assert shop.record("t").usage == {}


def test_only_the_tenants_own_part_of_a_pool_is_counted(shop: Shop) -> None:
    shop.use("child", fixed_desk=2)
    shop.seat("child", "designer", "u1")
    left = reconcile(shop, Count(key="fixed_desk", units=5), tenant_id="child", complete=True)
    assert left.records == {"t"}
    assert shop.record("t").usage["fixed_desk"].units == 12
    assert [seat.tenant_id for seat in shop.record("t").usage["designer"].seats] == [""] * 3
    reconcile(shop, Count(key="designer", seats=("u2",)), tenant_id="child")
    assert shop.record("t").usage["designer"].seats[-1] == Seat("child", "u2")


def test_a_whole_tenants_seats_change_at_once(shop: Shop) -> None:
    users = tuple(f"w{number}" for number in range(2500))
    reconcile(shop, Count(key="designer", seats=users))
    assert seats(shop) == list(users)
    reconcile(shop, Count(key="designer", seats=users[1200:]))
    assert seats(shop) == list(users[1200:])


@pytest.mark.parametrize(
    ("counts", "field"),
    [
        ([Count(key="")], "key"),
        ([Count(key="k" * 257)], "key"),
        ([Count(key="k", units=-1)], "units"),
        ([Count(key="k", units=MOST + 1)], "units"),
        ([Count(key="k", seats=("",))], "user_id"),
        ([Count(key="k", seats=("u", "v", "u"))], "seats"),
        ([Count(key="k", seats=tuple(map(str, range(MOST_USERS + 1))))], "seats"),
        ([Count(key="k"), Count(key="k")], "counts"),
    ],
)
def test_a_wrong_count_is_invalid_whatever_stands_before_it(shop: Shop, counts: Sequence[Count], field: str) -> None:
    before = shop.revision()
    with pytest.raises(InvalidRequest) as raised:
        reconcile(shop, Count(key="fixed_desk", units=9), *counts)
    assert (raised.value.field, shop.revision(), used(shop)["fixed_desk"].units) == (field, before, 7)


def test_a_count_of_no_tenant_or_one_erased_is_refused(shop: Shop) -> None:
    with refused("UNKNOWN_TENANT"):
        reconcile(shop, Count(key="k", units=1), tenant_id="nobody")
    erased(shop, "child")
    with refused("TENANT_ERASED"):
        reconcile(shop, Count(key="k", units=1), tenant_id="child")


def erased(shop: Shop, tenant_id: str) -> None:
    change(shop, archive_tenant, tenant_id, now=START, retention_days=0)
    change(shop, erase_tenant, tenant_id, now=START)


# --- many tenants at once ---


def state(shop: Shop, asks: Sequence[UsageAsk]) -> Left:
    return change(shop, set_usages, asks)


def units(key: str, count: int, tenant_id: str = "t") -> UsageAsk:
    return UsageAsk(tenant_id=tenant_id, key=key, units=count)


def seat(key: str, user: str, tenant_id: str = "t") -> UsageAsk:
    return UsageAsk(tenant_id=tenant_id, key=key, user_id=user)


def test_good_rows_are_done_and_bad_ones_say_why(shop: Shop) -> None:
    shop.tenant("gone")
    erased(shop, "gone")
    asks = [
        units("fixed_desk", 9),
        units("fixed_desk", -1),
        units("fixed_desk", MOST + 1),
        units("", 1),
        units("room", 1, "nobody"),
        units("room", 1, "gone"),
        seat("designer", ""),
        seat("designer", "u1"),
        seat("designer", "u4", "child"),
        UsageAsk(tenant_id="t", key="k"),
        UsageAsk(tenant_id="t", key="k", units=1, user_id="u"),
        units("room", 1, "\udcff"),
        units("room", 3),
    ]
    told = [outcome and getattr(outcome, "code", getattr(outcome, "field", "")) for outcome in state(shop, asks).answer]
    assert told == [
        *(None, "units", "units", "key", "UNKNOWN_TENANT", "TENANT_ERASED", "user_id", None, None),
        *("units", "units", "tenant_id", None),
    ]
    found = shop.record("t").usage
    assert (found["fixed_desk"].units, found["room"].units) == (9, 3)
    assert found["designer"].seats[-1] == Seat("child", "u4")


def test_the_last_of_several_statements_holds_and_each_that_changes_is_told(shop: Shop) -> None:
    left = state(shop, [units("fixed_desk", 9), units("fixed_desk", 9), units("fixed_desk", 8)])
    assert left.answer == [None, None, None]
    assert shop.record("t").usage["fixed_desk"].units == 8
    details = [entry.details for entry in left.entries]
    assert [(d["before"]["units"], d["after"]["units"]) for d in details if d] == [(7, 9), (9, 8)]


def test_what_is_so_already_writes_nothing(shop: Shop) -> None:
    left = state(shop, [units("fixed_desk", 7), units("room", 0), seat("designer", "u2")])
    assert (left.answer, left.records, left.entries) == ([None] * 3, set(), [])
    assert (state(shop, []).answer, verdict(shop).fault) == ([], "")


def test_seats_are_in_the_order_of_their_rows(shop: Shop) -> None:
    state(
        shop, [seat("designer", "u9"), seat("designer", "u8", "child"), seat("designer", "u2"), seat("designer", "a")]
    )
    assert seats(shop) == ["u1", "u2", "u3", "u9", "u8", "a"]


def test_pools_follow(shop: Shop) -> None:
    left = state(shop, [units("fixed_desk", 3, "child"), seat("designer", "x", "child")])
    assert left.records == {"t"}
    assert shop.record("t").usage["fixed_desk"].units == 10


WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""Every example is a store in a file: making a failing one smaller takes minutes."""
ASKS = st.lists(
    st.builds(
        lambda tenant, key, units, user, alone: UsageAsk(
            tenant_id=tenant, key=key, units=units if alone else None, user_id=None if alone else user
        ),
        st.sampled_from(["t", "child", "nobody"]),
        st.sampled_from(["fixed_desk", "designer", ""]),
        st.integers(-1, 3),
        st.sampled_from(["u1", "u2", "u3", "u4", ""]),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=WITHOUT_SHRINKING)
@given(first=ASKS, then=ASKS)
def test_many_at_once_come_to_what_one_by_one_comes_to(first: list[UsageAsk], then: list[UsageAsk]) -> None:
    with for_a_while() as folder:
        together, apart = (family(folder / name) for name in ("together.db", "apart.db"))
        for asks in (first, then):
            outcomes = state(together, asks).answer
            ordered = sorted(enumerate(asks), key=lambda numbered: numbered[1].units is None)
            problems = {number: one(apart, ask) for number, ask in ordered}
            for number, outcome in enumerate(outcomes):
                assert (outcome is None) == (problems[number] is None)
                assert asks[number].tenant_id == "nobody" or str(outcome) == str(problems[number])
        assert [used(together, t) for t in ("t", "child")] == [used(apart, t) for t in ("t", "child")]
        assert together.record("t").usage == apart.record("t").usage
        assert verdict(together).entries == verdict(apart).entries


def family(path: Path) -> Shop:
    shop = Shop(path)
    shop.product(per_unit("fd", "fixed_desk"))
    shop.tenant("t")
    shop.tenant("child", parent_id="t")
    shop.new("t", {"fd": 10}, START, months(12))
    return shop


def one(shop: Shop, ask: UsageAsk) -> InvalidRequest | Refused | None:
    seats = Seats(changes=(SeatChange(user_id=ask.user_id or "", held=True),))
    stated = Absolute(units=ask.units or 0) if ask.user_id is None else seats
    try:
        with shop.store.writing(TESTER) as writing:
            change_usage(writing, ask.tenant_id, ask.key, stated)
    except (InvalidRequest, Refused) as e:
        return e
    return None
