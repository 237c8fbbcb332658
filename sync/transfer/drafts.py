"""Files that are written whole or not at all: a draft beside them, which takes their place once all of it is there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from sidecar.core.errors import DeskgateError, InvalidRequest


class CannotWrite(DeskgateError):
    """A file cannot be written."""


class Draft:
    """A text file on its way. What stands under its name stays as it is until `keep`."""

    def __init__(self, path: Path) -> None:
        """Raises CannotWrite."""
        self.wanted = True
        self._named: Final = path
        self._place: Final = path.resolve()
        special = path.exists() and (not path.is_file() or path.is_relative_to("/dev"))
        self._draft: Final = None if special else self._place.with_name(f".{path.name}.{secrets.token_hex(6)}")
        with self._clearly():
            self.file: Final[TextIO] = (self._draft or path).open("w", encoding="utf-8", newline="")

    def write(self, text: str) -> None:
        """Adds text. Raises CannotWrite."""
        with self._clearly():
            self.file.write(text)

    def keep(self) -> None:
        """Puts the file in its place, once it is on the disk. Raises CannotWrite."""
        with self._clearly():
            self.file.flush()
            if self._draft is not None:
                os.fsync(self.file.fileno())
                self.file.close()
                self._draft.replace(self._place)

    def drop(self) -> None:
        """Takes away what was not kept."""
        with self._clearly():
            self.file.close()
            if self._draft is not None:
                self._draft.unlink(missing_ok=True)

    @contextmanager
    def _clearly(self) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            raise CannotWrite(f"{self._named} cannot be written: {e.strerror or e}") from e


@contextmanager
def draft(path: Path) -> Iterator[Draft]:
    """A draft that is kept when the block ends, and dropped when it raises, or is not `wanted`. Raises CannotWrite."""
    one = Draft(path)
    try:
        yield one
        if one.wanted:
            one.keep()
    finally:
        one.drop()


def refuse_same(field: str, path: Path, taken: Iterable[Path]) -> None:
    """Raises InvalidRequest when a file that is to be written is one that is needed."""
    if path.resolve() in {each.resolve() for each in taken}:
        raise InvalidRequest(field, f"{path} is needed as it is: give another file")
