"""Cells: what is written into one is what is read from it, and each problem is kept with its column."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.core.errors import DeskgateError
from sync.backoffice import codec
from sync.transfer.cells import FORMULA, Cells, guarded, joined, unguarded

text = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)


@given(text | st.builds(lambda sign, rest: sign + rest, st.sampled_from([*FORMULA, "'"]), text))
@example("'=1")
@example("''")
def test_a_guarded_text_is_no_formula_and_comes_back(value: str) -> None:
    assert not guarded(value).startswith(FORMULA)
    assert unguarded(guarded(value)) == value


@pytest.mark.parametrize("cell", ["'quoted'", "x", "", "'", "it's"])
def test_an_apostrophe_that_guards_nothing_stays(cell: str) -> None:
    assert unguarded(cell) == cell


@given(st.lists(text.filter(bool), max_size=5))
@example(["[]"])
@example(["a;b"])
@example([" a"])
@example(["a b", "c"])
def test_joined_texts_come_apart_again(texts: list[str]) -> None:
    row = Cells({"tags": joined(texts)})
    assert row.several("tags", ";") == tuple(texts)
    assert row.problems == {}


def test_addresses_stand_between_blanks_or_semicolons() -> None:
    assert Cells({"c": " a@x.org; b@x.org  c@x.org;"}).several("c", r"\s;") == ("a@x.org", "b@x.org", "c@x.org")


@pytest.mark.parametrize("cell", ["[1]", "[", '["a"', "[" * 100_000])
def test_what_begins_like_an_array_and_is_none_is_told(cell: str) -> None:
    row = Cells({"tags": cell})
    assert row.several("tags", ";") == ()
    assert "no array of texts" in row.problems["tags"]


@pytest.mark.parametrize(("cell", "number"), [("12", 12), (" 7 ", 7), ("", None), ("0", 0), ("-3", -3)])
def test_numbers_are_read(cell: str, number: int | None) -> None:
    row = Cells({"n": cell})
    assert (row.number("n", -5, 12), row.problems) == (number, {})


@pytest.mark.parametrize("cell", ["1.0", "1e3", "1,000", "١", "x", "--1", "9" * 30])
def test_what_is_no_number_is_told(cell: str) -> None:
    row = Cells({"n": cell})
    assert (row.number("n", 0, 5), "is not a whole number" in row.problems["n"]) == (None, True)


@pytest.mark.parametrize("cell", ["-1", "6"])
def test_a_number_out_of_bounds_is_told(cell: str) -> None:
    row = Cells({"n": cell})
    assert (row.number("n", 0, 5), row.problems) == (None, {"n": f"{cell} is not between 0 and 5"})


def test_yes_and_no() -> None:
    said = Cells({"a": "YES", "b": "true", "c": "1", "d": "no", "e": "", "f": " False "})
    assert [said.flag(column) for column in "abcdef"] == [True, True, True, False, False, False]
    assert said.problems == {}
    assert not said.flag("absent")
    doubtful = Cells({"a": "maybe"})
    assert (doubtful.flag("a"), doubtful.problems) == (False, {"a": "'maybe' is neither yes nor no"})


def test_a_cell_that_is_needed_is_told_when_it_is_empty_and_only_first_of_its_problems() -> None:
    row = Cells({"a": "x", "b": ""})
    assert [row.needed("a"), row.needed("b"), row.needed("c")] == ["x", "", ""]
    row.problem("b", "another")
    assert set(row.problems) == {"b", "c"}
    assert row.problems["b"] == "it is needed, and the cell is empty"


def test_a_moment_stays_as_it_stands_once_it_can_be_read() -> None:
    row = Cells({"a": " 2026-06-30 ", "b": "2026-06-30T10:00:00+08:00", "c": "30.6.2026", "d": "9999-12-31", "e": ""})
    read = [row.moment(column, codec.end) for column in "abcde"]
    assert read == [
        "2026-06-30",
        "2026-06-30T10:00:00+08:00",
        "",
        "",
        "",
    ]
    assert set(row.problems) == {"c", "d"}


def test_a_problem_of_another_kind_is_told_as_well() -> None:
    def read(column: str, text: str) -> str:
        raise DeskgateError("not today")

    row = Cells({"a": "x"})
    assert (row.read("a", read, "instead"), row.problems) == ("instead", {"a": "not today"})


def test_only_cells_that_say_something_are_said() -> None:
    assert Cells({"a": "1", "b": "", "c": "3"}).said(("a", "b")) == {"a": "1"}
