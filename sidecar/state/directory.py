"""The state directory: where a sidecar keeps what must survive it, for one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

import structlog

from sidecar.core.errors import DeskgateError

LOCK: Final = "lock"
COPY: Final = "entitlements.db"
CLOCK: Final = "clock"
OUTBOX: Final = "outbox.db"
"""Statements of usage on their way to a store over a network."""
USAGE: Final = "usage.db"
"""Where what exists is kept under a signed license."""


class StateUnusable(DeskgateError):
    """The state directory cannot be used: its place, its rights, its disk."""


class StateInUse(StateUnusable):
    """Another process works on the state directory."""


class StateDirectory:
    """A state directory that is this process' own until `close`, or until the process ends in whatever way."""

    def __init__(self, path: Path) -> None:
        """Makes the directory if needed, and takes it. Raises StateInUse or StateUnusable."""
        self.path: Final = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._fd = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise StateUnusable(f"the state directory {path} cannot be used: {e}") from e
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            holder = os.pread(self._fd, 32, 0).decode(errors="replace").strip()
            os.close(self._fd)
            if not isinstance(e, BlockingIOError):
                raise StateUnusable(f"the state directory {path} cannot be locked: {e}") from e
            raise StateInUse(
                f"the state directory {path} is in use by process {holder or 'unknown'}: give each sidecar its own"
            ) from None
        self._sign()

    @property
    def copy(self) -> Path:
        """The local copy of the entitlements."""
        return self.path / COPY

    @property
    def clock(self) -> Path:
        """The clock's floor and the last contact."""
        return self.path / CLOCK

    @property
    def outbox(self) -> Path:
        """Statements of usage on their way to a store over a network."""
        return self.path / OUTBOX

    def close(self) -> None:
        """Lets the directory go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _sign(self) -> None:
        """Writes who holds it, for people; on a full disk it stays unsaid."""
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError as e:
            structlog.get_logger(component="state").warning("the lock's holder could not be written", error=str(e))
