"""A sidecar's state that takes in what a source gives: clock, local copy and applier, with a world to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from sidecar.core.errors import InvalidRecord
from sidecar.core.model import Instant
from sidecar.state.applier import Applier
from sidecar.state.clock import Clock
from sidecar.state.clockfile import ClockFile
from sidecar.state.localcopy import LocalCopy
from sync.sources import FailureKind, Position, Source, SyncFailed
from sync.sqlitefile import SqliteSource
from tests.fakes import FakeStore, FakeWorld, Hands, digest_of

START: Final = 1_800_000_000_000_000


class Listening(Applier):
    """An applier that remembers each contact: what was held, and what the store's clock said."""

    contacts: list[tuple[Position | None, Instant | None]]

    def contact(self, store_instant: Instant | None = None) -> None:
        self.contacts.append((self.held, store_instant))
        super().contact(store_instant)


class State:
    """What one sidecar keeps in a folder, through restarts."""

    def __init__(self, folder: Path, *, at: Instant = START) -> None:
        self.folder = folder
        self.hands = Hands(at)
        self.invalid: list[tuple[str, InvalidRecord]] = []
        self.begin()

    def begin(self) -> None:
        """A sidecar's process starts."""
        self.world = FakeWorld()
        self.clock = Clock(ClockFile(self.folder / "clock"), machine=self.hands)
        self.copy = LocalCopy(self.folder / "copy.db")
        self.sink = Listening(
            copy=self.copy,
            clock=self.clock,
            publish=self.world.publish,
            on_invalid=lambda tenant, error: self.invalid.append((tenant, error)),
        )
        self.sink.contacts = []

    def end(self) -> None:
        """It ends."""
        self.clock.save()
        self.sink.close()

    def restart(self) -> None:
        """It ends, and starts anew."""
        self.end()
        self.begin()

    def fails(self, source: Source, kind: FailureKind) -> str:
        """One step, as the follower makes it, that fails."""
        with pytest.raises(SyncFailed) as e:
            source.step(self.sink)
        assert e.value.kind is kind, e.value
        self.sink.failed(e.value)
        return e.value.problem


class Following(State):
    """A store's file, a source on it, and a sidecar's state that takes in what comes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.path = folder / "store.db"
        self.store = FakeStore(self.path)
        self.source = SqliteSource(self.path, busy_timeout=0.05)

    def restart(self) -> None:
        """The process ends, and starts anew."""
        self.source.close()
        super().restart()
        self.source = SqliteSource(self.path, busy_timeout=0.05)

    def step(self) -> None:
        """One step, that does not fail."""
        self.source.step(self.sink)

    def refuses(self, kind: FailureKind) -> str:
        """One step, that does."""
        return self.fails(self.source, kind)

    def expect(self, *ids: str, revision: int) -> None:
        """Exactly these tenants are served, at this revision, and are on disk."""
        assert sorted(self.world.tenants) == sorted(ids)
        assert (self.sink.revision, self.world.revisions[-1]) == (revision, revision)
        assert dict(self.copy.rows()) == self.world.tenants
        assert self.copy.position == self.sink.held
        assert self.sink.held is not None
        assert (self.sink.held.store_id, self.sink.held.mark) == (self.store.store_id, digest_of(self.copy.rows()))
