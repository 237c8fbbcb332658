"""A disk that is really full, a small one mounted for the test: nothing is lost, and the floor is still kept."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.state.applier import Applier
from sidecar.state.clock import Clock
from sidecar.state.clockfile import ClockFile
from sidecar.state.copyfile import CopyKind
from sidecar.state.directory import StateDirectory
from sidecar.state.localcopy import LocalCopy
from sync.sources import FailureKind, SyncFailed
from sync.sqlitefile import SqliteSource
from tests.fakes import FakeStore, FakeWorld

SIZE = 2 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip(f"a disk of its own cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], timeout=20, check=True)


def fill_up(place: Path) -> Path:
    ballast = place / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return ballast


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_full_disk(disk: Path, tmp_path: Path, snapshot: bool) -> None:
    store, world = FakeStore(tmp_path / "store.db"), FakeWorld()
    state = StateDirectory(disk)
    clock, copy = Clock(ClockFile(state.clock)), LocalCopy(state.copy)
    sink, source = Applier(copy=copy, clock=clock, publish=world.publish), SqliteSource(store.path)
    store.commit(["a"])
    source.step(sink)
    clock.save()
    ballast = fill_up(disk)

    store.commit([f"t{n}" for n in range(300)])
    if snapshot:
        store.prune(store.revision() + 1)
    contact = sink.last_contact
    for _ in range(3):
        with pytest.raises(SyncFailed) as e:
            source.step(sink)
        assert e.value.kind is FailureKind.LOCAL_COPY
    assert (world.revisions, sorted(world.tenants)) == ([1], ["a"])
    assert sink.last_contact == contact
    assert set(sink.copy_failures) <= {CopyKind.FULL, CopyKind.UNWRITABLE}

    acted = clock.now()
    clock.save()
    found = ClockFile(state.clock).read()
    assert found is not None
    assert found.floor == acted

    os.unlink(ballast)
    source.step(sink)
    assert (world.revisions[-1], len(world.tenants)) == (2, 301)
    sink.close()
    assert copy.open() is None
    assert dict(copy.rows()) == world.tenants
    copy.close()
    source.close()
    state.close()


def test_a_full_disk_at_the_first_start(disk: Path, tmp_path: Path) -> None:
    """It stays up, not serving, and serves once there is room."""
    store, world = FakeStore(tmp_path / "store.db"), FakeWorld()
    store.commit(["a"])
    ballast = fill_up(disk)
    state = StateDirectory(disk)
    clock = Clock(ClockFile(state.clock))
    sink, source = (
        Applier(copy=LocalCopy(state.copy), clock=clock, publish=world.publish),
        SqliteSource(store.path),
    )
    assert not sink.load()
    with pytest.raises(SyncFailed) as e:
        source.step(sink)
    assert e.value.kind is FailureKind.LOCAL_COPY
    assert not sink.complete
    os.unlink(ballast)
    source.step(sink)
    assert sink.complete
    assert list(world.tenants) == ["a"]
    sink.close()
    source.close()
    state.close()
