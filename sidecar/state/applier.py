"""Takes in what a source gives: onto the disk first, then into the world that answers rest on; and knows how it goes.

A revision is on disk before answers rest on it, and neither ever goes back. So an update that cannot be written, on a
full disk say, is not served either: the last world serves on, its data grow stale, and the update is tried again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Protocol

import structlog
from google.protobuf.message import DecodeError

from sidecar._gen.desking.entitlements.v1.entitlement_pb2 import EntitlementRecord
from sidecar.core.errors import InvalidRecord
from sidecar.core.model import Freshness, Instant
from sidecar.core.rules import Thresholds
from sidecar.state import freshness
from sidecar.state.clock import Clock
from sidecar.state.clockfile import ClockFileUnusable
from sidecar.state.copyfile import WORTHLESS, CopyFailed, CopyKind, Stamp
from sidecar.state.localcopy import LocalCopy
from sidecar.state.unhurried import unhurried
from sync.sources import Change, FailureKind, Position, SyncFailed, Update


class Publish(Protocol):
    """Makes a wholly applied revision the one that answers rest on; if `changes` raises, everything stays as it was."""

    def __call__(self, *, store_id: str, revision: int, snapshot: bool, changes: Iterable[Change]) -> None: ...


def _unheard(_: object) -> None:
    """For those who count elsewhere."""


class Applier:
    """The sink of a sidecar. Its attributes may be read by any thread, for metrics and status."""

    def __init__(
        self,
        *,
        copy: LocalCopy,
        clock: Clock,
        publish: Publish,
        on_sync_failure: Callable[[FailureKind], None] = _unheard,
        on_copy_failure: Callable[[CopyKind], None] = _unheard,
        on_invalid: Callable[[str, InvalidRecord], None] = lambda _id, _error: None,
        on_followed: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_followed` hears when the store comes to be followed: the first time, and after each failure."""
        self.held: Position | None = None
        """How far the world is that answers rest on; None: there is no complete one yet."""
        self.last_applied: Instant | None = None
        self.failing: SyncFailed | None = None
        """Why following fails at the moment; None: it does not."""
        self.in_touch = False
        """Whether the store is followed at this moment: it was in touch since the last failure, by this process."""
        self.invalid_records = 0
        """Records taken in that were not their tenant's own, or none at all."""
        self.sync_failures: Final[Counter[FailureKind]] = Counter()
        self.copy_failures: Final[Counter[CopyKind]] = Counter()
        self._doubted = False
        """What is held, put to changes, did not come to what the store holds; or it is a part of a store, from a time
        when only some tenants were followed. Only the whole of what is followed now will do."""
        self._copy: Final = copy
        self._clock: Final = clock
        self._publish: Final = publish
        self._on_sync_failure: Final = on_sync_failure
        self._on_copy_failure: Final = on_copy_failure
        self._on_invalid: Final = on_invalid
        self._on_followed: Final = on_followed
        self._log: Final = structlog.get_logger(component="sync")

    @property
    def complete(self) -> bool:
        """Whether a complete copy is in place, so that questions can be answered."""
        return self.held is not None

    @property
    def revision(self) -> int:
        """Of the world that answers rest on; 0: none."""
        return self.held.revision if self.held else 0

    @property
    def last_contact(self) -> Instant | None:
        """When the store was last in touch and all that it had was held; survives a restart."""
        return self._clock.last_contact

    @property
    def history_gone_back(self) -> bool:
        """Whether the store at hand is not followed: replaced, emptied or set back."""
        return self.failing is not None and self.failing.kind is FailureKind.HISTORY_WENT_BACK

    def freshness_of(self, thresholds: Thresholds, now: Instant) -> Freshness:
        """How old the data may be at `now`."""
        contact = self._clock.last_contact
        if contact is not None and now - contact <= thresholds.stale_after <= thresholds.blind_after:
            return Freshness.LIVE  # as nearly always: without a further call, on the path of every check
        return freshness.freshness(contact, thresholds, now)

    def load(self) -> bool:
        """Publishes the local copy, if there is a whole one. True: a complete world is in place. Never raises for a
        copy that cannot be used: that is told, and tried again when the source is followed."""
        try:
            self._ready()
        except SyncFailed as e:
            self.failed(e)
        return self.complete

    def position(self) -> Position | None:
        """How far the world is. Raises SyncFailed while the local copy cannot be used."""
        self._ready()
        return self.held

    def needs_snapshot(self) -> bool:
        """Whether changes alone would not do: the disk does not hold what the world does, or they came out wrong.

        Raises SyncFailed while the copy cannot be used.
        """
        self._ready()
        return self._doubted or self.held is None or self._copy.position != self.held

    def apply(self, update: Update) -> None:
        """Puts the update on disk, then into the world. Raises SyncFailed; the world is then as it was."""
        self._ready()
        position, snapshot, at = update.position, update.snapshot, self._clock.now()
        pace = unhurried if self.complete else iter  # nobody is answered yet: the sooner the better
        changes: Iterable[Change] = pace(self._looked_at(update)) if snapshot else list(self._looked_at(update))
        with self._guarded():
            self._copy.apply(replace(update, changes=changes), at=at)
            self._swap(position, snapshot, pace(self._copy.rows()) if snapshot else changes, at)
        self._doubted = False
        self.last_applied = at
        if snapshot:
            self._log.info("everything was taken over from the store", revision=position.revision)

    def contact(self, store_instant: Instant | None = None) -> None:
        """The store was in touch just now, and all that it has is held; one over a network tells its instant."""
        self._clock.contact(store_instant)
        if self.failing is not None:
            self._log.info("the store is followed again", after=self.failing.kind, revision=self.revision)
            self.failing = None
        if not self.in_touch:
            self.in_touch = True
            self._on_followed()

    def license_issued(self, at: Instant) -> None:
        """The license that is held was issued at this instant: that settles the clock, once. Raises SyncFailed."""
        try:
            self._clock.settled_by_license(at)
        except ClockFileUnusable as e:
            raise SyncFailed(FailureKind.LOCAL_COPY, str(e)) from e

    def failed(self, failure: SyncFailed) -> None:
        """A step failed. Counted every time, logged when it is not what failed last time."""
        self._doubted |= failure.kind is FailureKind.WRONG_DIGEST
        self.sync_failures[failure.kind] += 1
        self._on_sync_failure(failure.kind)
        if self.failing is None or self.failing.kind is not failure.kind:
            self._log.error("the store cannot be followed", kind=failure.kind, problem=failure.problem)
        self.failing, self.in_touch = failure, False

    def close(self) -> None:
        """Closes the local copy; after the follower has ended."""
        self._copy.close()

    def _ready(self) -> None:
        if self._copy.is_open:
            return
        with self._guarded():
            worthless = self._copy.open()
            if worthless is not None:
                self._count(worthless)
            self._take_up()

    def _take_up(self) -> None:
        """Publishes what a copy just opened holds, if that is more than the world."""
        stamp, held = self._copy.stamp, self.held
        if stamp is None or stamp.position == held:
            return
        if held is not None and stamp.store_id != held.store_id:
            raise CopyFailed(CopyKind.FOREIGN, f"the local copy is now of another store, {stamp.store_id}")
        if held is None or held.precedes(stamp.position):
            self._swap(stamp.position, True, self._copy.rows(), stamp.applied_at)
            self._doubted |= _is_part(stamp)
            self.last_applied = stamp.applied_at
            self._log.info("the local copy serves", revision=stamp.revision, tenants=stamp.tenants)

    def _swap(self, position: Position, snapshot: bool, changes: Iterable[Change], at: Instant) -> None:
        if self._clock.last_contact is None:  # the first that is taken in is as new as that, until a contact is told
            self._clock.last_contact = at
        self._publish(store_id=position.store_id, revision=position.revision, snapshot=snapshot, changes=changes)
        self.held = position

    def _looked_at(self, update: Update) -> Iterator[Change]:
        """The changes as they are, and a word about each that is not its tenant's own record: the world decides nothing
        from such a one, of this tenant alone."""
        for tenant_id, record in update.changes:
            wrong = record is not None and _wrong(tenant_id, record)
            if wrong:
                self._tell_invalid(tenant_id, wrong)
            yield tenant_id, record

    def _tell_invalid(self, tenant_id: str, wrong: str) -> None:
        self.invalid_records += 1
        self._log.error("a record cannot be used; nothing is decided from it", tenant=tenant_id, problem=wrong)
        self._on_invalid(tenant_id, InvalidRecord(f"record {tenant_id}: {wrong}"))

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Tells the copy's failures as the sync's; sets a worthless copy aside."""
        try:
            yield
        except CopyFailed as e:
            self._count(e)
            if e.kind in WORTHLESS:
                self._set_aside(e.problem)
            raise SyncFailed(FailureKind.LOCAL_COPY, e.problem) from e

    def _set_aside(self, reason: str) -> None:
        try:
            self._copy.set_aside(reason)
        except CopyFailed as e:  # what failed first is what is raised; the copy is opened anew at the next step
            self._count(e)

    def _count(self, failure: CopyFailed) -> None:
        self.copy_failures[failure.kind] += 1
        self._on_copy_failure(failure.kind)


def _is_part(stamp: Stamp) -> bool:
    """Whether a copy is of some tenants of a store. Under a license the mark is of something else, and a copy whole."""
    return stamp.digest != stamp.mark and not stamp.store_id.startswith("license:")


def _wrong(tenant_id: str, record: bytes) -> str:
    """What is wrong with a record as far as a glance can tell; the rest is seen when it is first decided from."""
    try:
        found = EntitlementRecord.FromString(record)
    except (DecodeError, TypeError) as e:
        return f"not an entitlement record: {e}"
    return "" if found.tenant_id == tenant_id else f"it is the record of {found.tenant_id!r}"
