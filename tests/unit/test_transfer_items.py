"""From rows to items: what belongs together, by which key it is done once, and which rows take others with them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sync.transfer.cells import Cells
from sync.transfer.items import MOST_ROWS, Item, Shape, items
from sync.transfer.sheet import Row


def read(cells: Sequence[Cells]) -> list[int | None]:
    return [each.number("n", 0, 9) for each in cells]


SHAPE = Shape(name="things", columns=("of", "n"), needed=(), read=read, told=("note",), together="of")
HEADER = ("of", "n", "note", "id_key")


def found(*rows: tuple[str, ...] | str, header: Sequence[str] = HEADER, run: str = "") -> list[Item]:
    """Items of these rows from line 2 on; () is a blank line, a text a row that cannot be read, and why."""
    made, apart = [], False
    for line, row in enumerate(rows, 2):
        if isinstance(row, str):
            made.append(Row(line=line, apart=apart, fault=row))
        elif row:
            made.append(Row(line=line, apart=apart, cells=(*row, *[""] * (len(header) - len(row)))))
        apart = row == ()
    return list(items(made, header, SHAPE, run))


def lines(items: list[Item]) -> list[list[int]]:
    return [[row.line for row in item.rows] for item in items]


def test_rows_that_follow_each_other_with_one_name_are_one() -> None:
    read = found(("a", "1"), ("a", "2"), ("b", "3"), ("", "4"), ("", "5"), ("a", "6"))
    assert lines(read) == [[2, 3], [4], [5], [6], [7]]
    assert [item.ask for item in read] == [[1, 2], [3], [4], [5], [6]]
    assert not any(item.faults for item in read)


def test_a_blank_line_ends_an_order() -> None:
    assert lines(found(("a", "1"), ("a", "2"), (), ("a", "3"), (), ("b", "4"))) == [[2, 3], [5], [7]]


def test_a_row_of_which_only_the_reason_is_left_cannot_be_read_again() -> None:
    header = ("of", "n", "line", "reason")
    one, torn, two = found(("a", "1"), ("", "", "3", "'=no UTF-8"), ("b", "2"), header=header)
    assert torn.faults == {3: "nothing stands in its columns"}
    assert torn.rows[0].raw == "=no UTF-8"
    assert [set(i.faults) for i in (one, two)] == [{2}, {4}]


def test_without_the_column_each_row_is_one() -> None:
    assert lines(found(("1",), ("1",), header=("n",))) == [[2], [3]]


def test_the_key_is_of_what_a_row_says_and_of_nothing_else() -> None:
    (one,) = found(("a", "1", "told", ""))
    (other,) = found(("1", "a", "7", "x"), header=("n", "of", "line", "reason"))
    assert one.key == other.key == f"import:things:{one.content}"
    assert found(("a", "2"))[0].key != one.key
    assert found(("a", "1"), ("a", "2"))[0].key != one.key


def test_rows_that_say_the_same_are_told_apart_by_their_number() -> None:
    first, other, second, third = found(("", "1"), ("", "2"), ("", "1"), ("", "1"))
    assert [i.key.removeprefix(first.key) for i in (second, third)] == [":2", ":3"]
    assert [i.count for i in (first, other, second, third)] == [1, 1, 2, 3]


def test_under_another_name_of_the_import_the_same_row_is_another() -> None:
    (plain,), (named,) = found(("", "1")), found(("", "1"), run="june")
    assert (plain.content, named.key) == (named.content, f"import:things:june:{plain.content}")


def test_a_key_may_be_given() -> None:
    first, second = found(("a", "1", "", "k"), ("a", "2", "", ""), ("b", "3", "", "=k"))
    assert (first.key, second.key) == ("k", "=k")
    (doubtful,) = found(("a", "1", "", "k"), ("a", "2", "", "l"))
    assert "have one key" in doubtful.faults[3]
    (long,) = found(("a", "1", "", "k" * 257))
    assert long.faults == {2: "id_key: 1 to 256 bytes are needed, got 257"}


def test_a_bad_row_takes_its_order_with_it_and_no_other() -> None:
    one, two, three = found(("a", "1"), ("b", "1"), ("b", "x"), ("c", "1"))
    assert (one.faults, three.faults) == ({}, {})
    assert two.faults == {3: "line 4 of the same order is bad", 4: "n: 'x' is not a whole number such as 12"}


@pytest.mark.parametrize("together", [("a", "a"), ("a", "b")])
def test_an_order_beside_a_row_that_cannot_be_read_is_not_taken(together: tuple[str, str]) -> None:
    before, after = together
    one, torn, two = found((before, "1"), "no UTF-8", (after, "2"))
    assert torn.faults == {3: "no UTF-8"}
    assert [list(i.faults.values()) for i in (one, two)] == [
        ["line 3 beside it cannot be read, and may be a line of the same order"]
    ] * 2


def test_a_row_without_a_name_is_taken_beside_one_that_cannot_be_read() -> None:
    one, torn, two = found(("", "1"), "no UTF-8", ("", "2"))
    assert (one.faults, two.faults) == ({}, {})
    assert (torn.ask, torn.key) == (None, "")


@pytest.mark.parametrize("count", [MOST_ROWS, MOST_ROWS + 1, 3 * MOST_ROWS])
def test_an_order_of_too_many_lines_is_told_for_each_of_them(count: int) -> None:
    read = found(("z", "0"), *[("a", "1")] * count, ("b", "2"))
    assert sum(len(item.rows) for item in read) == count + 2
    bad = [fault for item in read for fault in item.faults.values()]
    assert bad == (["an order has at most 100 lines"] * count if count > MOST_ROWS else [])
