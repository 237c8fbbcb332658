"""CSV and JSON, written row by row: nothing of a long export is kept in memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, Protocol

from sync.transfer.cells import guarded, joined

Values = Mapping[str, Any]
"""A row: column to a text, a number, a flag, a list of texts, a JSON-like document, or None for nothing."""


class Out(Protocol):
    """Takes text."""

    def write(self, text: str, /) -> object: ...


class Format(StrEnum):
    """What an export is written in."""

    CSV = "csv"
    JSON = "json"


def write_csv(out: Out, columns: Sequence[str], numbers: frozenset[str], rows: Iterable[Values]) -> None:
    """A header and a line for each row. `numbers` are columns whose texts are numbers, and stay as they are."""
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[name], number=name in numbers) for name in columns])


def _cell(value: Any, *, number: bool) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value if number else guarded(value)
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return guarded(joined(value))
    return guarded(json.dumps(value, ensure_ascii=False))


def write_json(out: Out, columns: Sequence[str], numbers: frozenset[str], rows: Iterable[Values]) -> None:
    """One array, an object a line. Amounts are texts: exact whoever reads them."""
    before = "[\n"
    for row in rows:
        out.write(before + json.dumps({name: row[name] for name in columns}, ensure_ascii=False))
        before = ",\n"
    out.write("[]\n" if before == "[\n" else "\n]\n")


Write = Callable[[Out, Sequence[str], frozenset[str], Iterable[Values]], None]
WRITERS: Final[Mapping[Format, Write]] = {Format.CSV: write_csv, Format.JSON: write_json}
