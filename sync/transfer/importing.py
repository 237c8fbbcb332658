"""Importing a file: batch by batch, each row once, good rows kept where others are bad.

Every item has a key, remembered in the transaction that does it. So an import that was cut off is simply run again, and
the same file twice changes nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sidecar.core.errors import DeskgateError
from sidecar.core.model import Instant
from sync.store import once
from sync.store.audit import By
from sync.store.db import Store, Writing
from sync.store.errors import Refused
from sync.transfer.items import Item, Shape, items
from sync.transfer.report import INVALID, Listener, Outcome, Told
from sync.transfer.sheet import Sheet

BATCH: Final = 1000
"""Rows that one transaction takes."""
BETWEEN: Final = 0.02
"""Seconds without a transaction after each, in which others who wait to write come to it."""


Step = Callable[[int, int], None]


class Do(Protocol):
    """Does asks of a kind within a transaction: for each what is on record now ("tenant:acme"), or why it is not."""

    def __call__(self, writing: Writing, asks: Sequence[Any], *, now: Instant) -> Sequence[str | DeskgateError]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Something that can be imported: how its rows are read, and how it is done."""

    shape: Shape
    do: Do
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What an import came to, in rows. `revision`: at which its effect can be seen, in a copy where it is a trial."""

    rows: int
    outcomes: Mapping[Outcome, int]
    revision: int
    seconds: float

    @property
    def bad(self) -> int:
        """Rows that were not taken for what they are."""
        return self.outcomes[Outcome.BAD]


class Import:
    """One import into a store by an operator. `now`: the instant of the changes, where a row states none; None: that at
    which their turn comes.

    `run` names it: the same rows under another name are others. `step` is told how many rows and bytes were read, after
    each batch. `trial`: it goes into a copy, and what is done there is said to be this.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        operator: str,
        now: Instant | None,
        clock: Callable[[], Instant],
        run: str = "",
        step: Step = lambda rows, read: None,
        trial: Outcome | None = None,
    ) -> None:
        self.kind: Final = kind
        self._operator: Final = operator
        self._now: Final = now
        self._clock: Final = clock
        self._run: Final = run
        self._step: Final = step
        self._trial: Final = trial

    def into(self, store: Store, sheet: Sheet, tells: Collection[Listener] = ()) -> Summary:
        """Imports a file's rows; each of `tells` is told what became of every item, in order.

        Raises StoreError: what was done until then stays done, and is known the next time.
        """
        began = time.monotonic()
        outcomes: Counter[Outcome] = Counter()
        revision = store.status().revision
        for batch in _batches(items(sheet, sheet.header, self.kind.shape, self._run)):
            told, revision = self._batch(store, batch, revision)
            for item, each in zip(batch, told, strict=True):
                outcomes[each.outcome] += len(item.rows)
                for tell in tells:
                    tell(item, each)
            self._step(outcomes.total(), sheet.read)
            if self._trial is None:
                time.sleep(BETWEEN)
        return Summary(rows=outcomes.total(), outcomes=outcomes, revision=revision, seconds=time.monotonic() - began)

    def _batch(self, store: Store, batch: Sequence[Item], revision: int) -> tuple[list[Told], int]:
        """What becomes of a batch's items, in one transaction."""
        good = [item for item in batch if not item.faults]
        if not good:
            return [_bad(item) for item in batch], revision
        with store.writing(self._by) as writing:
            told = self._done(writing, good)
        return [self._said(told[item.key]) if not item.faults else _bad(item) for item in batch], writing.revision

    def _by(self) -> By:
        return By(operator=self._operator, at=self._clock(), key=f"import:{self.kind.shape.name}")

    def _said(self, told: Told) -> Told:
        return Told(outcome=self._trial) if self._trial and told.outcome is Outcome.DONE else told

    def _done(self, writing: Writing, good: Sequence[Item]) -> dict[str, Told]:
        known = once.kept(writing.conn, [item.key for item in good])
        told = {item.key: _known(item, *known[item.key]) for item in good if item.key in known}
        fresh = [item for item in good if item.key not in known]
        if fresh:
            now = writing.by.at if self._now is None else self._now
            answers = self.kind.do(writing, [item.ask for item in fresh], now=now)
            told |= {item.key: _told(answer) for item, answer in zip(fresh, answers, strict=True)}
        done = [(i.key, i.content, told[i.key].subject) for i in fresh if told[i.key].outcome is Outcome.DONE]
        if done:
            once.remember(writing.conn, done, at=writing.by.at)
        return told


def _batches(found: Iterable[Item]) -> Iterator[list[Item]]:
    """Items of about BATCH rows, no two with the same key: the second of such finds the first one done."""
    batch: list[Item] = []
    keys: set[str] = set()
    rows = 0
    for item in found:
        if batch and (rows + len(item.rows) > BATCH or item.key in keys):
            yield batch
            batch, keys, rows = [], set(), 0
        batch.append(item)
        rows += len(item.rows)
        if item.key:
            keys.add(item.key)
    if batch:
        yield batch


def _bad(item: Item) -> Told:
    return Told(outcome=Outcome.BAD, code=INVALID, message=next(iter(item.faults.values())))


def _known(item: Item, content: str, answer: object) -> Told:
    if content != item.content:
        advice = f"{item.key!r} was used with another content: give the row another key, or none"
        return Told(outcome=Outcome.BAD, code="IDEMPOTENCY_CONFLICT", message=advice)
    return Told(outcome=Outcome.ALREADY, subject=str(answer))


def _told(answer: str | DeskgateError) -> Told:
    if isinstance(answer, str):
        return Told(outcome=Outcome.DONE, subject=answer)
    if isinstance(answer, Refused):
        return Told(outcome=Outcome.BAD, code=answer.code, message=answer.advice)
    return Told(outcome=Outcome.BAD, code=INVALID, message=str(answer))
