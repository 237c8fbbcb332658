"""Following a signed license: what it grants, with what exists on the spot from the usage store beside it.

The license is read anew whenever its file has changed. One that cannot be used is told, and what was served is served
on, with the usage as it goes on changing; only a license that can be used is contact (domain.md 7).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from sidecar.core.model import Instant
from sync import digest
from sync.history import Head, Way, way
from sync.license import License, older, other_license, refuse_followed, same_serial
from sync.licensed import HALF, MOST_REVISIONS, Licensed, of_usage, revision_of, split, usage_mark
from sync.licenseerrors import LicenseError
from sync.licensefile import LicenseFile
from sync.pace import Steady
from sync.sources import FailureKind, Position, Sink, SyncFailed, Update
from sync.store.errors import (
    StoreError,
    StoreForeign,
    StoreLocked,
    StoreMissing,
    StoreTooNew,
)
from sync.transfer.drafts import CannotWrite
from sync.usagestore import UsageLook, UsageStore

KEPT: Final = "license.jwt"
"""Beside it, the license that is in use."""
KINDS: Final[dict[type[StoreError], FailureKind]] = {
    StoreForeign: FailureKind.FOREIGN,
    StoreLocked: FailureKind.LOCKED,
    StoreMissing: FailureKind.MISSING,
    StoreTooNew: FailureKind.NEWER_SCHEMA,
}
CODES: Final = {
    sqlite3.SQLITE_BUSY: FailureKind.LOCKED,
    sqlite3.SQLITE_LOCKED: FailureKind.LOCKED,
    sqlite3.SQLITE_NOTADB: FailureKind.CORRUPT,
    sqlite3.SQLITE_CORRUPT: FailureKind.CORRUPT,
}


@runtime_checkable
class KeepsTime(Protocol):
    """A sink whose clock a license settles."""

    def license_issued(self, at: Instant) -> None:
        """The license that it holds now was issued at this instant. May be told again of the same."""


class LicenseSource:
    """A license and the usage store beside it. Steps are to be made by one thread."""

    def __init__(self, path: Path, *, keys: Path, usage_store: Path, interval: float = 0.025) -> None:
        """`keys`: the public ones that are trusted. Nothing is opened yet."""
        self.pace: Final = Steady(interval)
        self._file: Final = LicenseFile(path, keys, usage_store.with_name(KEPT))
        self._usage: Final = UsageStore(usage_store)
        self._interrupted: Final = threading.Event()
        self._used: Licensed | None = None
        self._settled: License | None = None
        """The license that is kept, and of whose issue the sink was told."""
        self._seen: tuple[int, ...] | None = None
        """The usage store's version up to which everything was applied; None: look again whatever it is."""
        self._marks: dict[str, int] | None = None
        """What each record adds to the digest of all that the sink holds; None: not reckoned."""

    def step(self, sink: Sink) -> None:
        """Looks once: applies what is new and tells of the contact. Raises SyncFailed."""
        if self._interrupted.is_set():
            raise SyncFailed(FailureKind.INTERRUPTED, f"{self._file.path} is no longer followed")
        try:
            with _told(self._usage.path):
                unusable = self._renew(sink)
                if self._used is not None:
                    self._follow(self._used, sink)
                if unusable is None:
                    sink.contact()  # before what takes longer: until the first contact nothing is fresh
                    self._settle(sink)
        except BaseException:
            self.close()
            raise
        if unusable is not None:
            raise SyncFailed(FailureKind.LICENSE, f"{self._file.path}: {unusable}") from unusable

    def interrupt(self) -> None:
        """Makes every later step fail."""
        self._interrupted.set()

    def close(self) -> None:
        """Closes the usage store."""
        self._seen = self._marks = None
        self._usage.close()

    def _renew(self, sink: Sink) -> LicenseError | None:
        """Takes up the license in the file, if it is another one; why it cannot be, or nothing."""
        try:
            found = self._file.read()
            if self._used is None or found != self._used.license:
                self._take_up(found, sink.position())
        except LicenseError as e:
            if self._used is None:
                self._used = self._kept(sink.position())
            return e
        return None

    def _kept(self, held: Position | None) -> Licensed | None:
        """The license under which what the sink holds came, if it is kept."""
        kept = self._file.kept()
        if kept is None or held is None or held.store_id != kept.store_id:
            return None
        found = Licensed(kept)
        return found if (split(held.revision)[0], held.mark[:HALF]) == (kept.serial, found.mark) else None

    def _take_up(self, found: License, held: Position | None) -> None:
        new = Licensed(found)
        if held is not None:
            _refuse_held(new, held)
            if not self._usage.there:
                raise SyncFailed(FailureKind.HISTORY_WENT_BACK, self._lost())
        before = self._used.license if self._used is not None else self._file.kept()
        if before is not None:
            refuse_followed(found, before)
        self._usage.accept(found)
        self._used = new
        self._seen = self._marks = None

    def _lost(self) -> str:
        return (
            f"the usage store {self._usage.path} is gone, and with it what exists; what was served is served on. Put it"
            " back from a backup, or stop the sidecar and remove its local copy if all is to be counted anew"
        )

    def _follow(self, used: Licensed, sink: Sink) -> None:
        if not self._usage.there:
            raise SyncFailed(FailureKind.HISTORY_WENT_BACK, self._lost())
        version = self._usage.version()
        if version != self._seen or sink.needs_snapshot():
            with self._usage.looking() as look:
                self._catch_up(used, look, sink)
            self._seen = version

    def _settle(self, sink: Sink) -> None:
        """What is done once for each license, after it was applied."""
        if self._used is None or self._settled == self._used.license:
            return
        license_ = self._used.license
        if isinstance(sink, KeepsTime):
            sink.license_issued(license_.issued_at)
        try:
            self._file.keep(license_)
        except CannotWrite as e:
            raise SyncFailed(FailureKind.LOCAL_COPY, str(e)) from e
        self._settled = license_

    def _catch_up(self, used: Licensed, look: UsageLook, sink: Sink) -> None:
        held, at = sink.position(), _position(used, look)
        renewed = held is None or split(held.revision)[0] != used.license.serial
        found = way(
            held and of_usage(held),
            _head(at, held, look),
            whole=sink.needs_snapshot() or renewed,
            name=str(self._usage.path),
        )
        if found is Way.NOWHERE:
            return
        changed = None
        if found is Way.BY_CHANGES and held is not None:
            since = look.changed_since(split(held.revision)[1])
            changed = {used.owner_of[tenant_id] for tenant_id in since if tenant_id in used.owner_of}
        rows = self._rows(used, look, changed)
        total = digest.as_text(sum((self._marks or {}).values()))
        sink.apply(Update(position=at, snapshot=changed is None, changes=rows, digest=total))

    def _rows(self, used: Licensed, look: UsageLook, changed: Collection[str] | None) -> list[tuple[str, bytes]]:
        """The records of the owners whose pools changed, or all; and the marks of all."""
        if self._marks is None or changed is None:
            rows = list(used.records(look.existing(used.owner_of)))
            self._marks = {tenant_id: digest.row_mark(tenant_id, record) for tenant_id, record in rows}
            return rows if changed is None else [row for row in rows if row[0] in changed]
        rows = list(used.records(look.existing(used.members(changed)), changed))
        self._marks.update((tenant_id, digest.row_mark(tenant_id, record)) for tenant_id, record in rows)
        return rows


def _position(used: Licensed, look: UsageLook) -> Position:
    head = look.head
    if head.revision > MOST_REVISIONS:
        raise SyncFailed(FailureKind.UNREADABLE, "the usage store has no revisions left: count all anew in another one")
    return Position(
        store_id=used.license.store_id,
        revision=revision_of(used.license, head.revision),
        mark=used.mark + usage_mark(head.store_id, head.digest),
    )


def _head(at: Position, held: Position | None, look: UsageLook) -> Head:
    """Where the usage store is, whatever the license: its history is followed through every renewal."""
    logged = None if held is None else look.logged(split(held.revision)[1])
    return Head(
        position=of_usage(at),
        logged=None if logged is None else usage_mark(look.head.store_id, logged),
        restored=look.head.restored,
    )


def _refuse_held(new: Licensed, held: Position) -> None:
    """Raises LicenseError when a license may not follow what the sink holds."""
    if held.store_id != new.license.store_id:
        raise other_license(new.license.license_id, held.store_id.removeprefix("license:"))
    serial, _ = split(held.revision)
    if serial > new.license.serial:
        raise older(new.license.serial, serial)
    if serial == new.license.serial and held.mark[:HALF] != new.mark:
        raise same_serial(serial)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tells the usage store's errors as failures to follow it."""
    try:
        yield
    except StoreError as e:
        raise SyncFailed(KINDS.get(type(e), FailureKind.UNREADABLE), f"the usage store: {e}") from e
    except sqlite3.Error as e:
        code = getattr(e, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        raise SyncFailed(CODES.get(code, FailureKind.UNREADABLE), f"the usage store {path} cannot be read: {e}") from e
    except OSError as e:
        raise SyncFailed(FailureKind.UNREADABLE, f"the usage store {path} cannot be read: {e}") from e
