"""The change feed as a watcher sees it, without I/O: events in, actions out.

A stream brings events numbered without a gap. An update is one batch or several; it is taken whole or not at all, and
by its digest the taker proves that it then holds what the store holds. Whatever is out of order ends the stream, and
the next one begins at what is really held: a message that was lost, doubled, moved or made up costs time, never truth.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Final

from google.protobuf.message import DecodeError

from sidecar._gen.desking.entitlements.v1.entitlement_pb2 import EntitlementRecord
from sidecar.core.model import Instant
from sync.history import ADVICE
from sync.sources import Change, FailureKind, Position, SyncFailed

# What comes


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records on their way to `position`. `more`: the update goes on with the next event."""

    sequence: int
    position: Position
    snapshot: bool
    since_revision: int
    changes: tuple[Change, ...]
    more: bool
    digest: str
    part: bool = False
    """Of some tenants, those that were asked for or that the watcher is limited to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Nothing new. Without `position` more is to come; with a `problem` the server is out of touch with its store."""

    sequence: int
    position: Position | None
    store_instant: Instant
    interval: float
    """Seconds within which the next event comes."""
    problem: str = ""


Event = Batch | Heartbeat

# What is to be done


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """An update begins. Unless `last`, its other changes come by further events, as `More`."""

    position: Position
    snapshot: bool
    digest: str
    changes: tuple[Change, ...]
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class More:
    """The update that was begun goes on; with `last` these changes are the end of it."""

    changes: tuple[Change, ...]
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """The store was in touch, at this instant by its clock, and what is held is all that it has."""

    store_instant: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfTouch:
    """The server answers, its store does not."""

    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """Go on listening."""


Action = Begin | More | Contact | OutOfTouch | Nothing


class State(Enum):
    """Where a watcher is in its stream."""

    CLOSED = "closed"
    """No stream, or one that is not to be believed any more."""
    FOLLOWING = "following"
    """Between two updates."""
    RECEIVING = "receiving"
    """Within an update."""


class Kind(Enum):
    """What an event is to the machine."""

    PART = "a batch with more to come"
    LAST = "a batch that ends its update"
    HEARTBEAT = "a heartbeat"


TRANSITIONS: Final = {
    (State.FOLLOWING, Kind.PART): State.RECEIVING,
    (State.FOLLOWING, Kind.LAST): State.FOLLOWING,
    (State.FOLLOWING, Kind.HEARTBEAT): State.FOLLOWING,
    (State.RECEIVING, Kind.PART): State.RECEIVING,
    (State.RECEIVING, Kind.LAST): State.FOLLOWING,
}
"""What may come when, and where it leads. Everything else closes the stream."""


class Watcher:
    """One watcher's side of the protocol, over any number of streams, one at a time."""

    def __init__(self, only: Collection[str] = ()) -> None:
        """`only`: the tenants that are asked for; none: every one."""
        self.state = State.CLOSED
        self.held: Position | None = None
        """What the taker holds once it has done what it was told so far."""
        self._only: Final = frozenset(only)
        self._holders: dict[str, str] = {}
        self._sequence = 0
        self._update: Batch | None = None
        """How the update under way began."""

    def opened(self, held: Position | None) -> None:
        """A stream begins, asked for from what the taker really holds."""
        self.state, self.held = State.FOLLOWING, held
        self._sequence, self._update = 0, None

    def closed(self) -> None:
        """The stream has ended, or is not to be believed any more."""
        self.state = State.CLOSED

    def received(self, event: Event) -> Action:
        """What an event asks for. Raises SyncFailed: the stream is closed then, and nothing of the update counts."""
        try:
            return self._received(event)
        except SyncFailed:
            self.closed()
            raise

    def _received(self, event: Event) -> Action:
        if self.state is State.CLOSED:
            raise garbage("an event came on a stream that was closed")
        if event.sequence <= self._sequence:
            return Nothing()
        if event.sequence != self._sequence + 1:
            raise garbage(f"event {event.sequence} came after {self._sequence}: something was lost on the way")
        self._sequence = event.sequence
        before, kind = self.state, _kind(event)
        following = TRANSITIONS.get((before, kind))
        if following is None:
            raise garbage(f"{kind.value} came while {before.value}")
        if isinstance(event, Heartbeat):
            action: Action = self._alive(event)
        else:
            action = self._begun(event) if before is State.FOLLOWING else self._continued(event)
            if following is State.FOLLOWING:
                self.held = event.position
        self.state = following
        return action

    def _alive(self, event: Heartbeat) -> Action:
        if event.position is None:
            return OutOfTouch(problem=event.problem) if event.problem else Nothing()
        if self.held is None or event.position != self.held:
            self._refuse_other_history(event.position)
            raise garbage(f"the server says that {event.position.revision} is held, and it is not")
        return Contact(store_instant=event.store_instant)

    def _begun(self, event: Batch) -> Begin:
        self._refuse_other_history(event.position)
        held = self.held
        if not event.snapshot and (held is None or event.since_revision != held.revision):
            raise garbage(f"changes since {event.since_revision} do not fit what is held")
        if not (event.part or self._only) and event.digest != event.position.mark:
            raise garbage("the digest of an update of all tenants is not that of all records")
        if event.snapshot:
            self._holders.clear()
        self._update = event
        return Begin(
            position=event.position,
            snapshot=event.snapshot,
            digest=event.digest,
            changes=self._wanted(event),
            last=not event.more,
        )

    def _continued(self, event: Batch) -> More:
        if self._update is None or _header(event) != _header(self._update):
            raise garbage("a batch belongs to another update than the one that was begun")
        return More(changes=self._wanted(event), last=not event.more)

    def _refuse_other_history(self, position: Position) -> None:
        held = self.held
        if held is None or held.precedes(position):
            return
        what = f"store {position.store_id}, revision {position.revision}"
        raise SyncFailed(
            FailureKind.HISTORY_WENT_BACK,
            f"the feed is now of {what}; what is served, of store {held.store_id}, revision {held.revision}, is no part"
            f" of that history. If the feed's is meant, {ADVICE}",
        )

    def _wanted(self, event: Batch) -> tuple[Change, ...]:
        """The changes; each of a tenant that was asked for, or of one whose services such a one shares."""
        if not self._only:
            return event.changes
        for tenant_id, record in event.changes:
            if tenant_id in self._only:
                self._holders[tenant_id] = "" if record is None else holder_of(record)
        expected = self._only.union(self._holders.values())
        for tenant_id, record in event.changes:
            if record is not None and tenant_id not in expected:
                raise garbage(f"a record of {tenant_id!r} came, which was not asked for")
        return event.changes


def _header(batch: Batch) -> tuple[object, ...]:
    return batch.position, batch.snapshot, batch.since_revision, batch.digest, batch.part


def holder_of(record: bytes) -> str:
    """The tenant whose services a record says are shared; "": nobody's, or it is no record."""
    try:
        return EntitlementRecord.FromString(record).holder_id
    except DecodeError:  # whoever decides from it tells
        return ""


def _kind(event: Event) -> Kind:
    if isinstance(event, Heartbeat):
        return Kind.HEARTBEAT
    return Kind.PART if event.more else Kind.LAST


def garbage(what: str) -> SyncFailed:
    """What came is no event, or not at its place."""
    return SyncFailed(FailureKind.GARBAGE, f"the feed makes no sense: {what}; it is begun anew")
