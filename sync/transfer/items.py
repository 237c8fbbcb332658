"""From rows to what is done as one: a row, or the rows of one order, with the key by which it is done once. Pure.

A blank line ends an order. A row that cannot be read may be a line of the order before or after it: an order that is
named beside such a row is not taken either, rather than taken without one of its lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import Any, Final

from sync.store.names import sized_name
from sync.store.once import digest_of
from sync.transfer.cells import Cells, unguarded
from sync.transfer.sheet import Row

KEY: Final = "id_key"
REJECTED: Final = ("line", "reason")
"""Columns that a file of rejected rows has besides; they are not read."""
MOST_ROWS: Final = 100
"""Rows of one order."""
TOO_MANY: Final = f"an order has at most {MOST_ROWS} lines"
TORN: Final = "line {line} beside it cannot be read, and may be a line of the same order"
BESIDE: Final = "line {line} of the same order is bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What rows of a kind are made of, and how they are read into an ask.

    `told` are columns that an export has besides: they are not read. One of each of `needed` has to be there. Rows that
    follow each other with the same text in `together` are read as one.
    """

    name: str
    columns: tuple[str, ...]
    needed: tuple[tuple[str, ...], ...]
    read: Callable[[Sequence[Cells]], Any]
    told: tuple[str, ...] = ()
    together: str = ""

    @property
    def known(self) -> tuple[str, ...]:
        """Every column that a file may have."""
        return (*self.columns, KEY, *self.told, *REJECTED)

    @property
    def content(self) -> frozenset[str]:
        """The columns that make a row what it is."""
        return frozenset(self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Rows that are done as one, or not at all. `faults`: what is wrong, by line; then there is no `ask`.

    `content` is the digest of what the rows say; `count`: which of those in the file with the same content it is.
    """

    rows: tuple[Row, ...]
    key: str = ""
    content: str = ""
    count: int = 1
    ask: Any = None
    faults: Mapping[int, str]


@dataclass(slots=True)
class _Group:
    """Rows that belong together. `name` None: a row by itself."""

    name: tuple[str, int] | None
    rows: list[Row]
    fault: str = ""


def items(rows: Iterable[Row], header: Sequence[str], shape: Shape, run: str = "") -> Iterator[Item]:
    """Items in order. `run` names the import: the same rows under another name are others."""
    seen: Counter[str] = Counter()
    content = [i for i, column in enumerate(header) if column in shape.columns]
    read = (row if row.fault or any(row.cells[i] for i in content) else _empty(row, header) for row in rows)
    for group in _judged(_groups(read, header.index(shape.together) if shape.together in header else None)):
        yield _item(group, header, shape, run, seen)


def _empty(row: Row, header: Sequence[str]) -> Row:
    """A row that could not be read before, and comes back as it was rejected: it cannot be read this time either."""
    reason = unguarded(dict(zip(header, row.cells, strict=True)).get("reason", ""))
    return replace(row, cells=(), fault="nothing stands in its columns", raw=reason)


def _groups(rows: Iterable[Row], place: int | None) -> Iterator[_Group]:
    """Rows that belong together, at most MOST_ROWS + 1 at a time."""
    blanks = 0

    def named(row: Row) -> tuple[str, int] | int:
        nonlocal blanks
        blanks += row.apart
        name = "" if place is None or row.fault else unguarded(row.cells[place])
        return (name, blanks) if name else row.line

    for name, together in groupby(rows, key=named):
        while some := list(islice(together, MOST_ROWS + 1)):
            yield _Group(None if isinstance(name, int) else name, some)


def _judged(groups: Iterable[_Group]) -> Iterator[_Group]:
    """The groups, with what makes one bad as a whole."""
    before: _Group | None = None
    for group in groups:
        if len(group.rows) > MOST_ROWS or (before and group.name and before.name == group.name):
            group.fault = TOO_MANY
        if before is not None:
            _mistrust(before, group)
            _mistrust(group, before)
            yield before
        before = group
    if before is not None:
        yield before


def _mistrust(group: _Group, beside: _Group) -> None:
    if group.name and beside.rows[0].fault:
        group.fault = group.fault or TORN.format(line=beside.rows[0].line)


def _item(group: _Group, header: Sequence[str], shape: Shape, run: str, seen: Counter[str]) -> Item:
    rows = tuple(group.rows)
    if rows[0].fault:
        return Item(rows=rows, faults={rows[0].line: rows[0].fault})
    cells = [Cells(dict(zip(header, map(unguarded, row.cells), strict=True))) for row in rows]
    content = digest_of([each.said(shape.content) for each in cells])
    seen[content] += 1
    ask = shape.read(cells)
    key = _key(cells) or ":".join(filter(None, ("import", shape.name, run, content, _number(seen[content]))))
    return Item(
        rows=rows, key=key, content=content, count=seen[content], ask=ask, faults=_faults(rows, cells, group.fault)
    )


def _number(count: int) -> str:
    return "" if count == 1 else str(count)


def _key(cells: Sequence[Cells]) -> str:
    """The key that the rows name; "" for none."""
    first, *others = cells
    key = first.read(KEY, sized_name, "")
    for each in others:
        if each.text(KEY) not in ("", key):
            each.problem(KEY, "the lines of one order have one key, or only the first has one")
    return key


def _faults(rows: Sequence[Row], cells: Sequence[Cells], fault: str) -> dict[int, str]:
    if fault:
        return {row.line: fault for row in rows}
    found = {row.line: said for row, each in zip(rows, cells, strict=True) if (said := _said(each))}
    first = next(iter(found), 0)
    return {row.line: found.get(row.line, BESIDE.format(line=first)) for row in rows} if found else {}


def _said(cells: Cells) -> str:
    return "; ".join(f"{column}: {problem}" for column, problem in cells.problems.items())
