"""Reading a CSV file row by row: what cannot be read costs its own row, is told by its line, and is never lost.

UTF-8 with or without a byte order mark, cells apart by commas, quoted as RFC 4180 says. After a row that cannot be
read, reading goes on at its second line.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import BinaryIO, Final

from sidecar.core.errors import DeskgateError

LONGEST: Final = 64 * 1024
"""Bytes of a row."""
MARK: Final = b"\xef\xbb\xbf"
_CELL: Final = r'(?:"(?:[^"]|"")*+"|[^",\r\n]*+)'
QUOTED_WELL: Final = re.compile(rf"{_CELL}(?:,{_CELL})*+(?:\r?\n)?")
"""A row in which a quote stands only around a whole cell, or twice within one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row as it stands, from physical line `line` on: a cell for each column. `apart`: a blank line is before it.

    Where `fault` says why it cannot be read, there are no cells, and `raw` is its first line.
    """

    line: int
    apart: bool = False
    cells: tuple[str, ...] = ()
    fault: str = ""
    raw: str = ""


class BadSheet(DeskgateError):
    """A file of which no row can be taken. One line for each problem, each with its place."""


class _Bad(Exception):
    """Why a line cannot be read."""


FAULTS: Final = {
    "',' expected after": "a quote within a quoted cell is not doubled",
    "unexpected end of data": "a quote is not closed",
    "new-line character seen": "a carriage return stands in it outside of quotes: lines end with LF or CR LF",
}
"""What csv says, in words for those who mend the file."""


class _Lines:
    """The file's lines as text, for csv: it keeps the bytes of the row that is being read, to begin again within it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream: Final = stream
        self._again: deque[bytes] = deque()
        self.taken: list[bytes] = []
        self.line = 1
        self.read = 0
        self._size = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        raw = self._again.popleft() if self._again else self._next()
        if not raw:
            raise StopIteration
        self.taken.append(raw)
        self._size += len(raw)
        if self._size > LONGEST:
            raise _Bad(f"a row has at most {LONGEST // 1024} KiB: look for a quote that is not closed")
        try:
            text = raw.decode()
        except UnicodeDecodeError as e:
            raise _Bad(f"byte {e.start + 1} of the line is not UTF-8: save the file as UTF-8") from e
        if "\0" in text:
            raise _Bad("there is a NUL byte in it")
        return text

    def _next(self) -> bytes:
        raw = self._stream.readline(LONGEST + 1)
        if not self.read and raw.startswith(MARK):
            self.read, raw = len(MARK), raw.removeprefix(MARK)
        self.read += len(raw)
        return raw

    def begin(self) -> None:
        """A row begins."""
        self.line += len(self.taken)
        self.taken.clear()
        self._size = 0

    def give_up(self) -> bytes:
        """The row's first line, with which it cannot be read; the next row begins at its second one."""
        first, *rest = self.taken
        if len(first) > LONGEST:
            self._skip()
        self._again.extendleft(reversed(rest))
        del self.taken[1:]
        return first

    def _skip(self) -> None:
        """Goes on to the end of a line that is too long to be kept."""
        while (raw := self._next()) and not raw.endswith(b"\n"):
            pass


class Sheet:
    """A CSV file's rows. Memory is bounded by the longest row."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        """Reads the header. Raises BadSheet when there is none that can be read, or a name in it stands twice."""
        self._lines: Final = _Lines(stream)
        self._reader: Final = csv.reader(self._lines, strict=True)
        self.name: Final = name
        header = next(self._rows(None), None)
        if header is None:
            raise BadSheet(f"{name}:1: it is empty: its first line has to name its columns")
        if header.fault:
            raise BadSheet(f"{name}:{header.line}: the columns' names cannot be read: {header.fault}")
        self.header: Final = header.cells
        self.header_line: Final = header.line

    @property
    def read(self) -> int:
        """Bytes of the file that were read."""
        return self._lines.read

    def check(self, known: Collection[str], needed: Sequence[tuple[str, ...]]) -> None:
        """Raises BadSheet unless all columns are known, none stands twice, and one of each of `needed` is there."""
        seen = set(self.header)
        problems = [f"unknown column {name!r}{_meant(name, known)}" for name in self.header if name not in known]
        problems += [f"column {name!r} stands twice" for name in sorted(seen) if self.header.count(name) > 1]
        problems += [f"no column {' or '.join(map(repr, some))}" for some in needed if seen.isdisjoint(some)]
        if problems:
            raise BadSheet("\n".join(f"{self.name}:{self.header_line}: {problem}" for problem in problems))

    def __iter__(self) -> Iterator[Row]:
        return self._rows(len(self.header))

    def _rows(self, width: int | None) -> Iterator[Row]:
        """Rows from here on, those in which nothing stands left out."""
        apart = False
        while True:
            self._lines.begin()
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except _Bad as e:
                yield self._unread(str(e), apart)
            except csv.Error as e:
                said = next((said for start, said in FAULTS.items() if str(e).startswith(start)), str(e))
                yield self._unread(said, apart)
            else:
                if any(cells):
                    yield self._row(cells, width, apart)
                else:
                    apart = True
                    continue
            apart = False

    def _row(self, cells: list[str], width: int | None, apart: bool) -> Row:
        raw = b"".join(self._lines.taken)
        if b'"' in raw and not QUOTED_WELL.fullmatch(raw.decode()):
            return self._unread("a cell with a quote in it has to be quoted whole", apart)
        if width is not None and len(cells) != width:
            fault = f"{width} cells are needed, it has {len(cells)}"
            return Row(line=self._lines.line, apart=apart, fault=fault, raw=_shown(raw))
        return Row(line=self._lines.line, apart=apart, cells=tuple(cells))

    def _unread(self, fault: str, apart: bool) -> Row:
        return Row(line=self._lines.line, apart=apart, fault=fault, raw=_shown(self._lines.give_up()))


def _meant(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name.strip().lower(), known, n=1)
    return f": is {close[0]!r} meant?" if close else ""


def _shown(raw: bytes) -> str:
    return raw.decode(errors="backslashreplace").rstrip("\r\n").replace("\0", "\\x00")
