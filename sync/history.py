"""From what is held to what a store has: whether changes will do, or whether the store's history is not ours any more.

Pure, and the same for everyone who follows a store or feeds others from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from sync.sources import FailureKind, Position, SyncFailed


class Way(Enum):
    """How to come to where the store is."""

    NOWHERE = auto()
    """What is held is all that it has."""
    BY_CHANGES = auto()
    """By the changes since."""
    WHOLE = auto()
    """By taking everything over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a store is, and what it knows of the revision that one who asks holds."""

    position: Position
    logged: str | None
    """The digest that its log has at that revision; None: the log does not reach back so far."""
    restored: int = 0
    """At which revision an operator said that an earlier state is meant; 0: never."""


def way(held: Position | None, head: Head, *, whole: bool, name: str) -> Way:
    """The way from `held` to where the store is now. `whole`: changes alone would not do, whatever is held; `name`: of
    the store, for people.

    Raises SyncFailed, HISTORY_WENT_BACK: another store, an earlier state, or one that came to its revision another way,
    unless an operator means it.
    """
    now = head.position
    if held is None:
        return Way.WHOLE
    if held.store_id != now.store_id:
        raise SyncFailed(FailureKind.HISTORY_WENT_BACK, _another(name, held, now))
    if held.revision < head.restored <= now.revision:
        return Way.WHOLE
    if held.revision > now.revision:
        raise SyncFailed(FailureKind.HISTORY_WENT_BACK, _earlier(name, held, now))
    logged = now.mark if held.revision == now.revision else head.logged
    if logged is not None and logged != held.mark:
        raise SyncFailed(FailureKind.HISTORY_WENT_BACK, _apart(name, held, now))
    if whole or logged is None:
        return Way.WHOLE
    return Way.NOWHERE if held.revision == now.revision else Way.BY_CHANGES


ADVICE: Final = "see `deskgate store restored`, or stop the sidecar and remove its local copy"


def _another(name: str, held: Position, now: Position) -> str:
    return (
        f"{name} is now store {now.store_id}; what is served is of store {held.store_id}."
        f" If the new one is meant, stop the sidecar and remove its local copy"
    )


def _earlier(name: str, held: Position, now: Position) -> str:
    return (
        f"the store {name} was set back to revision {now.revision}; {held.revision} is served on. If the earlier state"
        f" is meant, {ADVICE}"
    )


def _apart(name: str, held: Position, now: Position) -> str:
    return (
        f"the store {name} came to revision {now.revision} by another history: at revision {held.revision} it held"
        f" something else than what is served, as after a restored backup. If its state is meant, {ADVICE}"
    )
