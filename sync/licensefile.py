"""A license's file, and the file of the keys that are trusted: looked at anew when one of them has changed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from sync.license import LARGEST, License, verify
from sync.licenseerrors import ASK, Fault, LicenseError
from sync.licensekeys import load_public
from sync.transfer.drafts import draft

Sight = tuple[int, ...] | None
"""What tells one state of a file from another; None: there is none, or it cannot be seen."""


class LicenseFile:
    """A license where people put it, by whatever means: another one is a renewal.

    The one in use is kept beside the usage store too, so that usage goes on being counted under it when its file has
    become unusable and the sidecar was started again.
    """

    def __init__(self, path: Path, keys: Path, kept: Path) -> None:
        self.path: Final = path
        self._keys: Final = keys
        self._kept: Final = kept
        self._seen: tuple[Sight, Sight] | None = None
        self._text = b""
        self._found: License | LicenseError | None = None

    def read(self) -> License:
        """The license that is there now. Raises LicenseError."""
        seen = _sight(self.path), _sight(self._keys)
        if self._found is None or seen != self._seen:
            self._seen, self._found = seen, self._verified()
        if isinstance(self._found, LicenseError):
            raise LicenseError(self._found.code, self._found.advice)
        return self._found

    def kept(self) -> License | None:
        """The license that was in use last; None: none that can be used."""
        try:
            return verify(read_text(self._kept), load_public(self._keys))
        except LicenseError:
            return None

    def keep(self, license_: License) -> None:
        """Keeps the license that was read last, if it is this one and another is kept. Raises CannotWrite."""
        if license_ == self._found and self.kept() != license_:
            with draft(self._kept) as file:
                file.write(self._text.decode("ascii"))

    def _verified(self) -> License | LicenseError:
        try:
            self._text = read_text(self.path)
            return verify(self._text, load_public(self._keys))
        except LicenseError as e:
            return e


def read_text(path: Path) -> bytes:
    """A license's text, as it stands in its file. Raises LicenseError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # of what is no file none is waited for
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise LicenseError(Fault.UNREADABLE, f"{path} is no file")
            return file.read(LARGEST + 1)
    except FileNotFoundError:
        raise LicenseError(
            Fault.MISSING, f"there is no license at {path}: {ASK}, and `deskgate license install` it"
        ) from None
    except OSError as e:
        raise LicenseError(Fault.UNREADABLE, f"the license {path} cannot be read: {e.strerror or e}") from e


def _sight(path: Path) -> Sight:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
