"""The latest changes that a feed server has at hand, and what a watcher is sent next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.feed.window import ROW_BYTES, Delta, Next, Window, next_for, split, weight
from sync.sources import Change, Position


def at(revision: int, mark: str = "a") -> Position:
    return Position(store_id="s", revision=revision, mark=mark * 64)


def delta(since: int, to: int, *, size: int = 0, rows: int = 0, mark: str = "a") -> Delta:
    """Of `size` bytes on the wire."""
    changes = tuple((f"t{n}", None) for n in range(rows))
    return Delta(since=at(since, mark), position=at(to, mark), changes=changes, batch=b"x" * size, left_at=0.0)


def window(*deltas: Delta, most_bytes: int = 1000) -> Window:
    made = Window(most_bytes)
    for each in deltas:
        made.put(each)
    return made


# What comes next

ONE, TWO = delta(1, 2), delta(2, 5)


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (None, Next.WHOLE),
        (at(5), Next.NOTHING),
        (at(1), ONE),
        (at(2), TWO),
        (at(0), Next.CHANGES),
        (at(3), Next.CHANGES),
        (at(6), Next.CHANGES),
        (at(2, "b"), Next.CHANGES),
        (at(5, "b"), Next.CHANGES),
        (Position(store_id="other", revision=2, mark="a" * 64), Next.CHANGES),
    ],
)
def test_what_a_watcher_is_sent_next(position: Position | None, expected: Delta | Next) -> None:
    assert next_for(position, at(5), window(ONE, TWO)) is expected


# The window


def test_the_oldest_go_first_and_the_size_is_that_of_those_that_stay() -> None:
    kept = window(delta(1, 2, size=200), delta(2, 3, size=200), delta(3, 4, size=200))
    assert kept.after(at(1)) is None
    assert (kept.after(at(2)), kept.after(at(3))) != (None, None)
    assert kept.size == 800


def test_a_change_takes_memory_beside_its_record() -> None:
    assert delta(1, 2, size=10, rows=3).size == 20 + 3 * ROW_BYTES


def test_what_is_too_large_for_the_window_is_not_kept() -> None:
    kept = window(delta(1, 2, size=10), delta(2, 3, size=501))
    assert (kept.size, kept.after(at(1)), kept.after(at(2))) == (0, None, None)


def test_the_latest_of_those_that_begin_at_one_place_is_found_and_the_other_goes_in_its_turn() -> None:
    first, second = delta(1, 2, size=200), delta(1, 3, size=200)
    kept = window(first, second)
    assert (kept.after(at(1)), kept.size) == (second, 800)
    kept.put(delta(3, 4, size=200))
    assert (kept.after(at(1)), kept.size) == (second, 800)
    kept.put(delta(4, 5, size=200))
    assert (kept.after(at(1)), kept.size) == (None, 800)


def test_the_same_delta_twice_counts_twice_until_it_is_gone() -> None:
    same = delta(1, 2, size=100)
    kept = window(same, same, delta(2, 3, size=400))
    assert kept.after(at(1)) is same or kept.after(at(1)) is None
    kept.put(delta(3, 4, size=400))
    assert kept.size <= 1000


def test_of_a_history_that_is_the_stores_no_more_nothing_stays() -> None:
    kept = window(ONE, TWO)
    kept.clear()
    assert (kept.size, kept.after(at(1)), kept.after(at(2))) == (0, None, None)
    kept.put(TWO)
    assert kept.after(at(2)) is TWO


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 5), st.integers(0, 300)), max_size=60))
def test_the_bound_holds_whatever_is_put_in(puts: list[tuple[int, int, int]]) -> None:
    kept = Window(1000)
    for since, more, size in puts:
        kept.put(delta(since, since + more, size=size))
        assert 0 <= kept.size <= 1000
        held = [found for n in range(21) if (found := kept.after(at(n)))]
        assert sum(each.size for each in held) <= kept.size


# Parts


def parts(changes: list[Change], most_bytes: int = 100, most_rows: int = 3) -> list[tuple[list[Change], bool]]:
    return list(split(changes, most_bytes=most_bytes, most_rows=most_rows))


def test_nothing_is_one_part() -> None:
    assert parts([]) == [([], False)]


def test_so_many_rows_and_bytes_at_a_time() -> None:
    rows: list[Change] = [(f"t{n}", b"") for n in range(7)]
    assert [(len(part), more) for part, more in parts(rows)] == [(3, True), (3, True), (1, False)]
    assert [(len(part), more) for part, more in parts(rows[:6])] == [(3, True), (3, False)]
    large: list[Change] = [("a", b"x" * 60), ("b", b"x" * 60), ("c", b"x" * 300), ("d", None), ("e", b"x" * 98)]
    assert [[i for i, _ in part] for part, _ in parts(large)] == [["a"], ["b"], ["c"], ["d", "e"]]


@given(st.lists(st.tuples(st.text("ab", min_size=1, max_size=9), st.none() | st.binary(max_size=150)), max_size=40))
def test_parts_are_all_in_order_and_no_larger_than_they_may_be(changes: list[Change]) -> None:
    found = parts(changes)
    assert [change for part, _ in found for change in part] == changes
    assert [more for _, more in found] == [True] * (len(found) - 1) + [False]
    for part, _ in found:
        assert len(part) <= 3
        assert sum(weight(*change) for change in part) <= 100 or len(part) == 1
