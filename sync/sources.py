"""How entitlements come to a sidecar: what a source of them gives, to whom, and what can go wrong (domain.md 4 and 7).

A source looks at its store in steps, and hands what is new to a sink: first everything, then changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sidecar.core.errors import DeskgateError
from sidecar.core.model import Instant
from sync.pace import Pace

Change = tuple[str, bytes | None]
"""A tenant's id and its record as bytes; None: the store holds no record of it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A point in the history of one store: all of it up to and including `revision` (0: a store nobody wrote to).

    `mark` is the digest of all that the store holds there (sync.digest): it tells a history from another one.
    """

    store_id: str
    revision: int
    mark: str

    def precedes(self, other: Position) -> bool:
        """Whether `other` is this point, or may be a later one of the same history."""
        return self == other or (self.store_id == other.store_id and self.revision < other.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What brings a sink to `position`. A snapshot replaces all that it holds; else each change replaces one record.

    `changes` can be gone through once, while the step that gave the update lasts, and names no tenant twice.
    Going through them raises SyncFailed when the store fails. `digest` is that of all that the sink must hold
    afterwards: the position's mark, unless only some tenants are followed.
    """

    position: Position
    snapshot: bool
    changes: Iterable[Change]
    digest: str


class FailureKind(StrEnum):
    """Why a step failed; stable, and few enough to be counted apart."""

    MISSING = "missing"
    """There is no store at the place named."""
    LOCKED = "locked"
    """Another process keeps the store to itself."""
    UNREADABLE = "unreadable"
    """The store is there and may not, or cannot, be read."""
    CORRUPT = "corrupt"
    """What is there is damaged, or is no database."""
    FOREIGN = "foreign"
    """A database, though none of deskgate's."""
    NEWER_SCHEMA = "newer_schema"
    """A later version of deskgate has written it."""
    OLDER_SCHEMA = "older_schema"
    """An earlier version of deskgate has written it, and it was not migrated yet."""
    HISTORY_WENT_BACK = "history_went_back"
    """Another store, an emptied one or an earlier state: not followed."""
    WRONG_DIGEST = "wrong_digest"
    """What came, put to what is held, is not what the store says that it holds: refused, and asked for as a whole."""
    UNREACHABLE = "unreachable"
    """Nobody answers over the network, or the way there broke."""
    DENIED = "denied"
    """The store, or its feed, does not let this sidecar in, or not to these tenants."""
    GARBAGE = "garbage"
    """What the feed sent makes no sense, or is not what was asked for."""
    LICENSE = "license"
    """The signed license is missing, altered, of an unknown key, or older than the one in use."""
    LOCAL_COPY = "local_copy"
    """The store is well; the sidecar could not keep what it gave."""
    INTERRUPTED = "interrupted"
    """The step was asked to end early."""
    UNEXPECTED = "unexpected"
    """A fault of deskgate itself."""


class SyncFailed(DeskgateError):
    """A step failed and brought nothing. `problem` says what is wrong and what would help."""

    def __init__(self, kind: FailureKind, problem: str) -> None:
        super().__init__(f"{kind}: {problem}")
        self.kind = kind
        self.problem = problem


class Sink(Protocol):
    """Who takes updates in. All calls come from the one thread that follows."""

    def position(self) -> Position | None:
        """What it holds; None: nothing yet. Raises SyncFailed when it cannot take anything in now."""

    def needs_snapshot(self) -> bool:
        """Whether changes alone would not do, whatever it holds."""

    def apply(self, update: Update) -> None:
        """Takes an update in wholly, or raises SyncFailed and holds what it held."""

    def contact(self, store_instant: Instant | None = None) -> None:
        """The store was in touch just now, and what the sink holds is all that it has. One over a network also tells
        its instant, which settles what `now` is (domain.md 4)."""

    def failed(self, failure: SyncFailed) -> None:
        """A step failed; another will be made."""


class Source(Protocol):
    """A store that can be followed."""

    @property
    def pace(self) -> Pace:
        """How soon a step follows another."""

    def step(self, sink: Sink) -> None:
        """Looks at the store once: applies what is new and tells of the contact. Raises SyncFailed.

        Over a network it may also wait for news first, or last as long as a connection does.
        """

    def interrupt(self) -> None:
        """Asks a step under way to end soon, and every later one to fail. From any thread."""

    def close(self) -> None:
        """Lets go of everything that is open. From the thread that made the steps."""
