"""A whole store as the batches of one update, laid into a file once and sent from there to every watcher that needs it.

So a slow one holds no view of the database open, and a fleet that begins anew costs one reading. The file has no name:
it is gone with the last who reads from it.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from sync.feed.hub import Hub
from sync.feed.reading import everything, look
from sync.feed.window import split
from sync.feed.wire import batch_bytes
from sync.sources import Position
from sync.store.db import Store

BATCH_BYTES: Final = 256 * 1024
BATCH_ROWS: Final = 1_000
"""Of one message."""
SPOOL_SECONDS: Final = 60.0
"""How long a snapshot in a file is sent to those who need one; what changed since comes behind it."""
SNAPSHOTS: Final = 32
"""Watchers that are sent a snapshot at one time; others wait for their turn."""
TURN_SECONDS: Final = 30.0
"""After so long a watcher that is still being sent its snapshot keeps others waiting no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """A snapshot at a position: `batches` in a row, each at its place in the file."""

    position: Position
    file: BinaryIO
    places: tuple[tuple[int, int], ...]
    """Offset and length of each batch."""

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
            position = look(conn, None).head.position
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
    return Spool(position=position, file=file, places=tuple(places))


class Spools:
    """The snapshot that is sent at the moment, and whose turn it is. To be used in the server's event loop alone."""

    def __init__(self, store: Store, hub: Hub, executor: Executor) -> None:
        self._store: Final = store
        self._hub: Final = hub
        self._executor: Final = executor
        self._places: Final = asyncio.Semaphore(SNAPSHOTS)
        self._spool: asyncio.Future[Spool] | None = None
        self._history = 0

    def spool(self) -> asyncio.Future[Spool]:
        """A snapshot of the store's present history: the one at hand, or one that is being made. Not to be cancelled.

        It may fail by StoreError or OSError.
        """
        if self._spool is None or self._history != self._hub.history:
            loop = asyncio.get_running_loop()
            made = self._spool = loop.run_in_executor(self._executor, make_spool, self._store)
            self._history = self._hub.history
            made.add_done_callback(self._made)
        return self._spool

    def forget(self, spool: asyncio.Future[Spool]) -> None:
        """Has the next who needs a snapshot make another one."""
        if self._spool is spool:
            self._spool = None

    def _made(self, spool: asyncio.Future[Spool]) -> None:
        if spool.cancelled() or spool.exception():
            self.forget(spool)
        else:
            spool.get_loop().call_later(SPOOL_SECONDS, self.forget, spool)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[asyncio.Future[Any]]:
        """A turn to be sent a snapshot; it has come when the future is done. It ends with the block, or is over
        TURN_SECONDS after it came: whoever reads slowly, or not at all, holds nobody else up.
        """
        over = False

        def leave() -> None:
            nonlocal over
            if not over:
                over = True
                self._places.release()

        def came(turn: asyncio.Future[Any]) -> None:
            if not turn.cancelled():
                turn.get_loop().call_later(TURN_SECONDS, leave)

        turn: asyncio.Future[Any] = asyncio.ensure_future(self._places.acquire())
        turn.add_done_callback(came)
        try:
            yield turn
        finally:
            if turn.done() and not turn.cancelled():
                leave()
            else:
                turn.cancel()
