"""The clock's memory on disk: the floor, and the last contact.

Two slots of fixed size are written in turn, in place: a write torn by a crash leaves the other slot whole, and a full
disk does not stop it.
"""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.core.errors import DeskgateError
from sidecar.core.model import Instant

SLOT: Final = 512
"""Bytes from one slot to the next: within one sector, so that no write touches two slots."""
SLOTS: Final = 2
LINE: Final = re.compile(rb"(deskgate-clock [12] (\d+) (-?\d+) (-?\d+|never)(?: (-?\d+))?) ([0-9a-f]{8})\n")
"""Form 2 has one number more: the issue instant of a license."""


class ClockFileUnusable(DeskgateError):
    """The clock's file cannot be read or written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """The latest instant acted on, the last contact if there was one, and when the latest license was issued that
    settled the clock, if one did."""

    floor: Instant
    last_contact: Instant | None
    licensed: Instant | None = None


class ClockFile:
    """The file. One thread at a time; its directory must be this process' own."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.damaged = False
        """Whether `read` found a file of which no slot could be read."""
        self._number = 0

    def read(self) -> Remembered | None:
        """What was last written; None: nothing yet, or nothing that can be read. Raises ClockFileUnusable."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as e:
            raise ClockFileUnusable(f"the clock's file {self.path} cannot be read: {e}") from e
        slots = [found for slot in range(SLOTS) if (found := _parse(data[slot * SLOT : (slot + 1) * SLOT]))]
        self.damaged = not slots and data.strip(b"\0") != b""
        if not slots:
            return None
        self._number, remembered = max(slots, key=lambda numbered: numbered[0])
        return remembered

    def write(self, remembered: Remembered) -> None:
        """Writes durably, over the older slot. Raises ClockFileUnusable; what was written last then still stands."""
        number = self._number + 1
        line = _line(number, remembered)
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(fd, line.ljust(SLOT, b"\0"), number % SLOTS * SLOT)
                os.fdatasync(fd)
            finally:
                os.close(fd)
        except OSError as e:
            raise ClockFileUnusable(f"the clock's file {self.path} cannot be written: {e}") from e
        self._number = number


def _line(number: int, remembered: Remembered) -> bytes:
    contact = "never" if remembered.last_contact is None else remembered.last_contact
    form, licensed = (1, "") if remembered.licensed is None else (2, f" {remembered.licensed}")
    text = f"deskgate-clock {form} {number} {remembered.floor} {contact}{licensed}".encode()
    return b"%b %08x\n" % (text, zlib.crc32(text))


def _parse(slot: bytes) -> tuple[int, Remembered] | None:
    found = LINE.match(slot)
    if found is None or zlib.crc32(found[1]) != int(found[6], 16):
        return None
    contact = None if found[4] == b"never" else int(found[4])
    licensed = None if found[5] is None else int(found[5])
    return int(found[2]), Remembered(floor=int(found[3]), last_contact=contact, licensed=licensed)
