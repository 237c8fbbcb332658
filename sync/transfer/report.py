"""What became of every row: a report of all, and the bad ones as they were, to be mended and imported again."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from sync.transfer.cells import guarded
from sync.transfer.drafts import Draft
from sync.transfer.items import KEY, REJECTED, Item, Shape
from sync.transfer.sheet import Row

COLUMNS: Final = ("line", "outcome", "code", "message", "subject")
INVALID: Final = "INVALID"
"""The code of a row that cannot be taken as it stands, whatever the store holds."""


class Outcome(StrEnum):
    """What became of a row. WITHHELD: it is good, and was not taken since others are bad."""

    DONE = "done"
    ALREADY = "already"
    BAD = "bad"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of an item. Of a bad one `code` and `message` say why; `subject` is what is on record of others."""

    outcome: Outcome
    code: str = ""
    message: str = ""
    subject: str = ""

    def of(self, item: Item, row: Row) -> str:
        """What is to be said of one row."""
        return item.faults.get(row.line, self.message)


class Listener(Protocol):
    """Is told what became of each item, in the file's order."""

    def __call__(self, item: Item, told: Told) -> None: ...


class Report:
    """A CSV file with a line for every row."""

    def __init__(self, draft: Draft) -> None:
        self._writer: Final[Any] = csv.writer(draft)
        self._writer.writerow(COLUMNS)

    def __call__(self, item: Item, told: Told) -> None:
        self._writer.writerows(
            (row.line, told.outcome, told.code, guarded(told.of(item, row)), guarded(told.subject)) for row in item.rows
        )


class Rejects:
    """A CSV file of the bad rows with the cells they had, their line, and the reason.

    A row that had no cells for each column stands in the reason as it was. One that stood in the file before with the
    same content gets its key, so that it is not taken for that one when it stands here alone. A blank line is between
    orders, so that those of one name are not taken for one.
    """

    def __init__(self, draft: Draft, header: Sequence[str], shape: Shape) -> None:
        self._blank: Final = shape.together in header
        self._kept: Final = [i for i, name in enumerate(header) if name not in (*REJECTED, KEY)]
        self._writer: Final[Any] = csv.writer(draft)
        self._key: Final = header.index(KEY) if KEY in header else None
        self._writer.writerow([*(header[i] for i in self._kept), KEY, *REJECTED])

    def __call__(self, item: Item, told: Told) -> None:
        if told.outcome is Outcome.BAD:
            if self._blank:
                self._writer.writerow(())
            self._writer.writerows(self._row(item, row, told.of(item, row)) for row in item.rows)

    def _row(self, item: Item, row: Row, reason: str) -> list[object]:
        if row.fault:
            reason = f"{reason}; the row is: {row.raw}"
            return [*("" for _ in self._kept), "", row.line, guarded(reason)]
        named = row.cells[self._key] if self._key is not None else ""
        key = named or (guarded(item.key) if item.count > 1 else "")
        return [*(row.cells[i] for i in self._kept), key, row.line, guarded(reason)]
