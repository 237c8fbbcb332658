"""What a watcher is sent, event after event, without their numbers: of the whole store, or of some tenants.

Each stream is a generator that goes on when its last event was taken: a slow watcher waits here, and nothing piles up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sync.digest import as_text, row_mark
from sync.feed.eye import delta_of, elapsed
from sync.feed.hub import Hub
from sync.feed.reading import changes_since, look, with_holders
from sync.feed.spool import BATCH_BYTES, BATCH_ROWS, Spool, make_spool
from sync.feed.window import Delta, Next, split
from sync.feed.wire import batch_bytes
from sync.history import Way, way
from sync.sources import Change, Position
from sync.store.db import Store

SPOOL_SECONDS: Final = 60.0
"""How long a snapshot in a file is sent to those who need one; what changed since comes behind it."""
SNAPSHOTS: Final = 32
"""Watchers that are sent a snapshot at one time; others wait for their turn."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some tenants' records, and of those whose services they share, in one view."""

    position: Position
    records: Mapping[str, bytes]


class Streams:
    """Makes streams over one store. To be used in the server's event loop alone; the store is read in `executor`."""

    def __init__(self, store: Store, hub: Hub, executor: Executor, on_snapshot: Callable[[], None]) -> None:
        self._store: Final = store
        self._hub: Final = hub
        self._executor: Final = executor
        self._on_snapshot: Final = on_snapshot
        self._places: Final = asyncio.Semaphore(SNAPSHOTS)
        self._spool: asyncio.Future[Spool] | None = None

    async def all(self, since: Position | None, *, whole: bool) -> AsyncIterator[bytes]:
        """Every tenant's records. Raises SyncFailed when the history that the watcher holds is not the store's,
        StoreError when the store cannot be read now.
        """
        hub, at = self._hub, since
        yield hub.heartbeat(None)
        async for beat in self._until_seen():
            yield beat
        if since is not None:
            await self._work(lambda: self._refuse_other_history(since))
        due = 0.0
        while not hub.closing:
            if at is not None and elapsed() >= due:
                yield hub.heartbeat(at)
                due = elapsed() + hub.interval
            step = hub.next_for(at, whole=whole)
            if step is Next.CHANGES and at is not None:
                step = await self._caught_up(at)
            if isinstance(step, Delta):
                yield step.batch
                at = step.position
            elif step is Next.NOTHING:
                await hub.change(due - elapsed())
            else:
                turn = asyncio.ensure_future(self._places.acquire())
                try:
                    async for beat in self._while(turn):
                        yield beat
                    making = self._spooled()
                    async for beat in self._while(making):
                        yield beat
                    spool = making.result()
                    self._on_snapshot()
                    for batch in spool.batches():
                        yield batch
                finally:
                    self._end(turn)
                at, whole = spool.position, False

    async def some(self, only: Collection[str], since: Position | None) -> AsyncIterator[bytes]:
        """The records of some tenants, and of those whose services they share. It begins with all of them."""
        hub, held, due = self._hub, None, 0.0
        at: Position | None = None
        yield hub.heartbeat(None)
        async for beat in self._until_seen():
            yield beat
        if since is not None:
            await self._work(lambda: self._refuse_other_history(since))
        while not hub.closing:
            if at is not None and elapsed() >= due:
                yield hub.heartbeat(at)
                due = elapsed() + hub.interval
            step = hub.next_for(at, whole=False)
            if step is Next.NOTHING:
                await hub.change(due - elapsed())
            elif isinstance(step, Delta) and held is not None and not _touches(step, held, only):
                yield _batch(step.position, at, (), _digest(held))
                at = step.position
            else:
                part = await self._work(lambda before=at: self._part(only, before))  # type: ignore[misc]
                changes = list(_difference(held or {}, part.records, only))
                for event in _batches(part.position, at, changes, _digest(_marks(part.records))):
                    yield event
                at, held = part.position, _marks(part.records)

    async def _until_seen(self) -> AsyncIterator[bytes]:
        while self._hub.head is None and not self._hub.closing:
            await self._hub.change(self._hub.interval)
            yield self._hub.heartbeat(None)

    async def _caught_up(self, since: Position) -> Delta | Next:
        """What leads on from a position that the window does not know; kept there for others who are at it too."""
        step = await self._work(lambda: self._changes(since))
        if isinstance(step, Delta):
            self._hub.window.put(step)
        return step

    def _changes(self, since: Position) -> Delta | Next:
        with self._store.reading() as conn:
            seen, at = look(conn, since), elapsed()
            found = way(since, seen.head, whole=False, name=self._store.name)
            if found is not Way.BY_CHANGES:
                return Next.WHOLE if found is Way.WHOLE else Next.NOTHING
            changes = []
            size = 0
            for tenant_id, record in changes_since(conn, since.revision):
                changes.append((tenant_id, record))
                size += len(record or b"")
                if size > MOST_CAUGHT_UP:
                    return Next.WHOLE
            return delta_of(since, seen.head.position, tuple(changes), at) or Next.WHOLE

    def _refuse_other_history(self, since: Position) -> None:
        with self._store.reading() as conn:
            way(since, look(conn, since).head, whole=True, name=self._store.name)

    def _part(self, only: Collection[str], before: Position | None) -> Part:
        with self._store.reading() as conn:
            head = look(conn, before).head
            if before is not None:
                way(before, head, whole=True, name=self._store.name)
            return Part(position=head.position, records=with_holders(conn, only))

    def _end(self, turn: asyncio.Future[Any]) -> None:
        if turn.done() and not turn.cancelled():
            self._places.release()
        else:
            turn.cancel()

    async def _while(self, waiting: asyncio.Future[T]) -> AsyncIterator[bytes]:
        while not waiting.done():
            await asyncio.wait([waiting], timeout=self._hub.interval)
            if not waiting.done():
                yield self._hub.heartbeat(None)

    def _spooled(self) -> asyncio.Future[Spool]:
        """The snapshot that is sent at the moment, or one that is being made."""
        made = self._spool
        if made is None or (made.done() and (made.exception() or elapsed() - made.result().made_at > SPOOL_SECONDS)):
            made = asyncio.get_running_loop().run_in_executor(self._executor, make_spool, self._store)
            self._spool = made
        return made

    async def _work(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


MOST_CAUGHT_UP: Final = 1024 * 1024
"""Bytes of changes since a position beyond which the whole store is sent, from the file that all share."""


def _touches(delta: Delta, held: Mapping[str, int], only: Collection[str]) -> bool:
    return any(tenant_id in held or tenant_id in only for tenant_id, _ in delta.changes)


def _marks(records: Mapping[str, bytes]) -> dict[str, int]:
    return {tenant_id: row_mark(tenant_id, record) for tenant_id, record in records.items()}


def _digest(marks: Mapping[str, int]) -> str:
    return as_text(sum(marks.values()))


def _difference(held: Mapping[str, int], records: Mapping[str, bytes], only: Collection[str]) -> Iterable[Change]:
    """What brings a watcher from what it holds to these records: first the tenants asked for, then whose services they
    share, then what it is to let go.
    """
    changed = [i for i, record in records.items() if held.get(i) != row_mark(i, record)]
    for tenant_id in sorted(changed, key=lambda i: (i not in only, i)):
        yield tenant_id, records[tenant_id]
    for tenant_id in sorted(held.keys() - records.keys()):
        yield tenant_id, None


def _batches(position: Position, since: Position | None, changes: Iterable[Change], digest: str) -> Iterable[bytes]:
    for rows, more in split(changes, most_bytes=BATCH_BYTES, most_rows=BATCH_ROWS):
        yield _batch(position, since, rows, digest, more=more)


def _batch(
    position: Position, since: Position | None, changes: Iterable[Change], digest: str, *, more: bool = False
) -> bytes:
    return batch_bytes(
        position=position,
        snapshot=since is None,
        since_revision=since.revision if since else 0,
        changes=changes,
        more=more,
        digest=digest,
    )
