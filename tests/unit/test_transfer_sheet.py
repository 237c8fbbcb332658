"""A CSV file's rows: each is read, or told with its line and what is wrong with it, and none is lost."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sync.transfer.sheet import LONGEST, BadSheet, Row, Sheet


def sheet(data: bytes) -> Sheet:
    return Sheet(io.BytesIO(data), "f.csv")


def rows(data: bytes) -> list[Row]:
    return list(sheet(b"a,b\n" + data))


def cells(data: bytes) -> list[tuple[int, tuple[str, ...]]]:
    return [(row.line, row.cells) for row in rows(data)]


def faults(data: bytes) -> list[tuple[int, str]]:
    return [(row.line, row.fault.split(":")[0]) for row in rows(data) if row.fault]


def test_rows_are_told_with_the_line_on_which_they_begin() -> None:
    assert cells(b'1,2\r\n\n"x\n\ny",""\n"q""q",\n3, 4 ') == [
        (2, ("1", "2")),
        (4, ("x\n\ny", "")),
        (7, ('q"q', "")),
        (8, ("3", " 4 ")),
    ]


def test_rows_in_which_nothing_stands_are_blank_lines() -> None:
    read = rows(b'1,2\n,\n3,4\n\n5\n,,,\n""\n"a\n7,8\n')
    assert [(row.line, row.apart, bool(row.fault)) for row in read] == [
        (2, False, False),
        (4, True, False),
        (6, True, True),
        (9, True, True),
        (10, False, False),
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert sheet(b"\xef\xbb\xbfa,b\n").header == ("a", "b")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"1", "2 cells are needed, it has 1"),
        (b"1,2,3", "2 cells are needed, it has 3"),
        (b'1,"2"3', "a quote within a quoted cell is not doubled"),
        (b'1,2"', "a cell with a quote in it has to be quoted whole"),
        (b'1"1,"2"', "a cell with a quote in it has to be quoted whole"),
        (b"1,\xff", "byte 3 of the line is not UTF-8"),
        (b"1,\0", "there is a NUL byte in it"),
        (b"1,2\r3", "a carriage return stands in it outside of quotes"),
        (b'1,"2', "a quote is not closed"),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_row_that_cannot_be_read_costs_itself_alone(line: bytes, fault: str, end: bytes) -> None:
    data = b"1,2" + end + line + end + b"3,4" + end
    assert faults(data) == [(3, fault)]
    assert [row.cells for row in rows(data) if not row.fault] == [("1", "2"), ("3", "4")]
    (bad,) = [row for row in rows(data) if row.fault]
    assert bad.raw == line.decode(errors="backslashreplace").replace("\0", "\\x00")


def test_reading_goes_on_at_the_second_line_of_a_row_that_cannot_be_read() -> None:
    assert faults(b'1,"2\n3,\xff\n4,5\n') == [
        (2, "byte 3 of the line is not UTF-8"),
        (3, "byte 3 of the line is not UTF-8"),
    ]
    assert rows(b'1,"2\n3,\xff\n4,5\n')[-1] == Row(line=4, cells=("4", "5"))


def test_a_quote_that_is_never_closed_costs_one_row_of_a_long_file() -> None:
    data = b'1,"2\n' + b"3,4\n" * 40_000
    assert [(row.line, row.cells) for row in rows(data)[1:]] == [(n, ("3", "4")) for n in range(3, 40_003)]
    assert faults(data) == [(2, "a row has at most 64 KiB")]


@pytest.mark.parametrize("size", [LONGEST - 3, LONGEST + 1, 5 * LONGEST])
def test_a_row_has_at_most_so_many_bytes(size: int) -> None:
    data = b"1," + b"x" * size + b"\n3,4\n"
    read = sheet(b"a,b\n" + data)
    first, second = list(read)
    assert bool(first.fault) == (size > LONGEST)
    assert second == Row(line=3, cells=("3", "4"))
    assert read.read == len(data) + 4


def test_a_line_too_long_within_a_quoted_cell_is_skipped_once() -> None:
    data = b'"1\n' + b"x" * 3 * LONGEST + b"\n3,4\n"
    assert [line for line, _ in faults(data)] == [2, 3]
    assert cells(data)[-1] == (4, ("3", "4"))


@pytest.mark.parametrize("data", [b"", b"\n\r\n", b"\xef\xbb\xbf"])
def test_a_file_without_a_header_is_told(data: bytes) -> None:
    with pytest.raises(BadSheet, match=r"^f\.csv:1: it is empty"):
        sheet(data)


@pytest.mark.parametrize(
    "data", [b'a,"b\n1,2\n', b"\xff\xfea\0", "a,b\n".encode("utf-16-be"), b"a\rb\rc", b"x" * 70_000]
)
def test_a_header_that_cannot_be_read_is_told(data: bytes) -> None:
    with pytest.raises(BadSheet, match=r"^f\.csv:1: the columns' names cannot be read: "):
        sheet(data)


def test_all_that_is_wrong_with_the_columns_is_told_together() -> None:
    read = sheet(b"\nTenant,key,key,line,color\n")
    with pytest.raises(BadSheet) as e:
        read.check(("tenant", "key", "units", "user", "line"), (("tenant",), ("key",), ("units", "user")))
    assert str(e.value).splitlines() == [
        "f.csv:2: unknown column 'Tenant': is 'tenant' meant?",
        "f.csv:2: unknown column 'color'",
        "f.csv:2: column 'key' stands twice",
        "f.csv:2: no column 'tenant'",
        "f.csv:2: no column 'units' or 'user'",
    ]


def test_columns_may_stand_in_any_order() -> None:
    sheet(b"key,tenant\n").check(("tenant", "key", "units"), (("tenant",), ("key",)))


text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)


@given(st.lists(st.tuples(text, text), max_size=8))
@example([("\r", "\n"), ('"', ","), ("", "")])
def test_what_csv_writes_is_read_as_it_was(written: list[tuple[str, str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(written)
    assert [row.cells for row in rows(out.getvalue().encode())] == [row for row in written if any(row)]


@given(st.lists(st.sampled_from([b'"', b",", b"\n", b"\r\n", b"x", b"\xff", b"\0", b"\r", b"1,2\n"]), max_size=40))
def test_whatever_the_bytes_every_line_is_accounted_for_in_order(parts: list[bytes]) -> None:
    """Each line that is not blank belongs to a row that is told, and rows come in order."""
    data = b"".join(parts)
    found = rows(data + b"\n8,9\n")
    lines = [row.line for row in found]
    assert lines == sorted(set(lines))
    owed = {number for number, line in enumerate(data.split(b"\n"), 2) if line.strip(b'\r",')}
    told = {row.line + n for row in found for n in range(1 + "".join(row.cells).count("\n") + row.raw.count("\n"))}
    assert owed <= told
