"""A whole store as the batches of one update, laid into a file once and sent from there to every watcher that needs it.

So a slow one holds no view of the database open, and a fleet that begins anew costs one reading. The file has no name:
it is gone with the last who reads from it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from sync.feed.eye import elapsed
from sync.feed.reading import everything, look
from sync.feed.window import split
from sync.feed.wire import batch_bytes
from sync.sources import Position
from sync.store.db import Store

BATCH_BYTES: Final = 256 * 1024
BATCH_ROWS: Final = 1_000
"""Of one message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """A snapshot at a position: `batches` in a row, each at its place in the file."""

    position: Position
    made_at: float
    """Seconds, as `elapsed` has them."""
    file: BinaryIO
    places: tuple[tuple[int, int], ...]
    """Offset and length of each batch."""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return sum(self.places[-1])

    def batch(self, number: int) -> bytes:
        """One batch, from 0 on."""
        offset, length = self.places[number]
        return os.pread(self.file.fileno(), length, offset)

    def batches(self) -> Iterator[bytes]:
        """All of them."""
        return map(self.batch, range(len(self.places)))


def make_spool(store: Store) -> Spool:
    """Reads the whole store in one view. Raises StoreError, OSError."""
    file = tempfile.TemporaryFile(prefix="deskgate-feed-")  # noqa: SIM115 - it is closed with the last who reads from it
    try:
        with store.reading() as conn:
            made_at, position = elapsed(), look(conn, None).head.position
            places, offset = [], 0
            for rows, more in split(everything(conn), most_bytes=BATCH_BYTES, most_rows=BATCH_ROWS):
                batch = batch_bytes(
                    position=position, snapshot=True, since_revision=0, changes=rows, more=more, digest=position.mark
                )
                file.write(batch)
                places.append((offset, len(batch)))
                offset += len(batch)
        file.flush()
    except BaseException:
        file.close()
        raise
    return Spool(position=position, made_at=made_at, file=file, places=tuple(places))
