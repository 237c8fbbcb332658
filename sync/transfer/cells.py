"""Cells: what is read from a row's, all its problems at once, and how values stand in them. Pure.

A text that a spreadsheet would take for a formula stands in a cell behind an apostrophe, which is no part of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from sidecar.core.calendar import zone_of
from sidecar.core.errors import DeskgateError, InvalidRequest
from sync.backoffice import codec

T = TypeVar("T")

FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
GUARD: Final = "'"
WHOLE: Final = re.compile(r"-?[0-9]{1,19}")
WORDS: Final = {"": False, "no": False, "false": False, "0": False, "yes": True, "true": True, "1": True}
UTC: Final = zone_of("UTC")


def guarded(text: str) -> str:
    """A text as its cell: nothing that a spreadsheet would calculate."""
    return GUARD + text if text.startswith((*FORMULA, GUARD)) else text


def unguarded(cell: str) -> str:
    """The text of a cell."""
    return cell[1:] if cell.startswith(GUARD) and cell[1:].startswith((*FORMULA, GUARD)) else cell


def joined(texts: Sequence[str]) -> str:
    """Several texts as one cell: between semicolons, or, where one has a semicolon itself, as a JSON array."""
    plain = not any(";" in text or text != text.strip() or not text for text in texts)
    if plain and not (texts and texts[0].startswith("[")):
        return ";".join(texts)
    return json.dumps(list(texts), ensure_ascii=False)


class Cells:
    """A row's cells by column. What is wrong with one is kept in `problems`, by column, and reading goes on."""

    def __init__(self, cells: Mapping[str, str]) -> None:
        self._filled: Final = {column: text for column, text in cells.items() if text}
        self.problems: Final[dict[str, str]] = {}

    def said(self, columns: Collection[str]) -> dict[str, str]:
        """The cells of these columns in which something stands."""
        return {column: text for column, text in self._filled.items() if column in columns}

    def text(self, column: str) -> str:
        """As it stands; "" where there is nothing."""
        return self._filled.get(column, "")

    def needed(self, column: str) -> str:
        """As it stands; nothing is a problem."""
        text = self.text(column)
        if not text:
            self.problem(column, "it is needed, and the cell is empty")
        return text

    def problem(self, column: str, what: str) -> None:
        """Keeps what is wrong with a cell."""
        self.problems.setdefault(column, what)

    def number(self, column: str, least: int, most: int) -> int | None:
        """A whole number within bounds; None where there is nothing, or it is none."""

        def read(field: str, text: str) -> int:
            if not WHOLE.fullmatch(text):
                raise InvalidRequest(field, f"{text[:40]!r} is not a whole number such as 12")
            return codec.number(field, int(text), least, most)

        return self.read(column, read, None)

    def flag(self, column: str) -> bool:
        """Yes or no; nothing is no."""
        text = self.text(column).strip().lower()
        if text not in WORDS:
            self.problem(column, f"{text[:40]!r} is neither yes nor no")
        return WORDS.get(text, False)

    def several(self, column: str, separators: str) -> tuple[str, ...]:
        """Texts, any of `separators` between them, or a JSON array of them."""
        text = self.text(column).strip()
        if not text.startswith("["):
            return tuple(each for part in re.split(f"[{separators}]", text) if (each := part.strip()))
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            self.problem(column, "it begins like a JSON array, and is no array of texts")
            return ()
        return tuple(found)

    def read(self, column: str, read: Callable[[str, str], T], default: T, *, exact: bool = False) -> T:
        """What `read`, given column and text, makes of it; `default` where there is nothing or it is wrong.

        Blanks around the text are no part of it, unless it is taken as `exact`.
        """
        text = self._filled.get(column)
        if text is None or not (text := text if exact else text.strip()):
            return default
        try:
            return read(column, text)
        except InvalidRequest as e:
            self.problem(column, e.problem)
        except DeskgateError as e:
            self.problem(column, str(e))
        return default

    def moment(self, column: str, read: Callable[[str, str, ZoneInfo], object]) -> str:
        """A date or an instant that `read` can read, as it stands: only the tenant's zone says which instant it is."""
        text = self.text(column).strip()
        return self.read(column, lambda field, value: (read(field, value, UTC), text)[1], "")
