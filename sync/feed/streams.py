"""What a watcher is sent, event after event, without their numbers: of the whole store, or of some tenants.

Each stream is a generator that goes on when its last event was taken: a slow watcher waits here, and nothing piles up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from sync.digest import as_text, row_mark
from sync.feed.eye import delta_of, elapsed
from sync.feed.hub import Hub
from sync.feed.reading import look, with_holders
from sync.feed.spool import BATCH_BYTES, BATCH_ROWS, Spools
from sync.feed.window import Delta, Next, split
from sync.feed.wire import batch_bytes
from sync.history import Way, way
from sync.sources import Change, Position
from sync.store.db import Store

Still = Callable[[], None]
"""Raises once its watcher is let in no more."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some tenants' records, and of those whose services they share, in one view; `changes` lead to it."""

    position: Position
    marks: Mapping[str, int]
    """What each record adds to the digest."""
    changes: tuple[Change, ...]

    @property
    def digest(self) -> str:
        """Of the part."""
        return as_text(sum(self.marks.values()))


class Streams:
    """Makes streams over one store. To be used in the server's event loop alone; the store is read in `executor`."""

    def __init__(self, store: Store, hub: Hub, executor: Executor, on_snapshot: Callable[[], None]) -> None:
        self._store: Final = store
        self._hub: Final = hub
        self._executor: Final = executor
        self._on_snapshot: Final = on_snapshot
        self._spools: Final = Spools(store, hub, executor)
        self._catching_up: Final[dict[Position, asyncio.Future[Delta | Next]]] = {}

    async def all(self, since: Position | None, *, whole: bool, still: Still) -> AsyncGenerator[bytes, None]:
        """Every tenant's records. Raises SyncFailed when the history that the watcher holds is not the store's,
        StoreError when the store cannot be read now, OSError when a snapshot cannot be kept.
        """
        hub = self._hub
        async for beat in self._begun(since):
            yield beat
        at = None if whole else since
        due, told = elapsed() + hub.interval, False
        while not hub.closing:
            still()
            news = hub.changed
            if elapsed() >= due:
                yield hub.heartbeat(at)
                due = elapsed() + hub.interval
            step = hub.next_for(at)
            if step is Next.CHANGES and at is not None:
                step = await self._caught_up(at)
            if isinstance(step, Delta):
                yield step.batch
                at = since = step.position
            elif step is not Next.NOTHING:
                async with aclosing(self._whole(since, anew=whole, still=still)) as events:
                    async for event, reached in events:
                        yield event
                        at = since = reached
                whole = False
            elif told or at != hub.head:
                await hub.news(news, due - elapsed())
            else:
                told, due = True, 0.0

    async def some(self, only: Collection[str], since: Position | None, *, still: Still) -> AsyncGenerator[bytes, None]:
        """The records of some tenants, and of those whose services they share. It begins with all of them.

        Raises as `all` does.
        """
        hub, held = self._hub, None
        async for beat in self._begun(since):
            yield beat
        due, told = elapsed() + hub.interval, False
        while not hub.closing:
            still()
            news, at = hub.changed, held.position if held else None
            if elapsed() >= due:
                yield hub.heartbeat(at)
                due = elapsed() + hub.interval
            step = hub.next_for(at)
            if isinstance(step, Delta) and held is not None and not _touches(step, held, only):
                yield _batch(step.position, at, (), held.digest)
                held = replace(held, position=step.position)
                continue
            if step is not Next.NOTHING:
                found = await self._work(lambda before=held: self._part(only, before))  # type: ignore[misc]
                if found.position != at:
                    for event in _batches(found.position, at, found.changes, found.digest):
                        yield event
                    held = replace(found, changes=())
                    continue
            if told or at != hub.head:
                await hub.news(news, due - elapsed())
            else:
                told, due = True, 0.0

    async def _whole(
        self, since: Position | None, *, anew: bool, still: Still
    ) -> AsyncGenerator[tuple[bytes, Position | None], None]:
        """A snapshot that leads on from `since`, and heartbeats until there is one and a turn to send it; each event
        with where the watcher then is. `anew`: one who doubts what it holds may be sent the same again.
        """
        async with self._spools.turn() as turn:
            async for beat in self._while(turn):
                yield beat, since
            while True:
                making = self._spools.spool()
                async for beat in self._while(making):
                    yield beat, since
                spool = making.result()
                if _leads_on(since, spool.position, anew=anew):
                    break
                await self._refuse_other_history(since)
                self._spools.forget(making)
            self._on_snapshot()
            for batch in spool.batches():
                still()
                yield batch, spool.position

    async def _begun(self, since: Position | None) -> AsyncIterator[bytes]:
        """The first word, and others until the store was seen. Raises SyncFailed, StoreError."""
        hub = self._hub
        yield hub.heartbeat(None)
        while hub.head is None and not hub.closing:
            await hub.news(hub.changed, hub.interval)
            yield hub.heartbeat(None)
        if since is not None and not hub.knows(since) and not hub.closing:
            await self._refuse_other_history(since)

    async def _caught_up(self, since: Position) -> Delta | Next:
        """What leads on from a position that the window does not know. It is read once for all who are at it, and
        kept there for others.
        """
        under_way = self._catching_up.get(since)
        if under_way is None:
            under_way = self._work(lambda: self._changes(since))
            self._catching_up[since] = under_way
            history = self._hub.history
            under_way.add_done_callback(lambda done: self._keep(since, history, done))
        return await asyncio.shield(under_way)

    def _keep(self, since: Position, history: int, done: asyncio.Future[Delta | Next]) -> None:
        del self._catching_up[since]
        if done.cancelled() or done.exception() or history != self._hub.history:
            return
        found = done.result()
        if isinstance(found, Delta) and self._hub.window.after(since) is None:
            self._hub.window.put(found)

    def _changes(self, since: Position) -> Delta | Next:
        with self._store.reading() as conn:
            head = look(conn, since).head
            found = way(since, head, whole=False, name=self._store.name)
            if found is Way.BY_CHANGES:
                return delta_of(conn, since, head.position, left_at=float("-inf")) or Next.WHOLE
            return Next.WHOLE if found is Way.WHOLE else Next.NOTHING

    async def _refuse_other_history(self, since: Position | None) -> None:
        def refuse() -> None:
            with self._store.reading() as conn:
                way(since, look(conn, since).head, whole=True, name=self._store.name)

        await self._work(refuse)

    def _part(self, only: Collection[str], before: Part | None) -> Part:
        held: Mapping[str, int] = before.marks if before else {}
        with self._store.reading() as conn:
            head = look(conn, before.position if before else None).head
            if before is not None:
                way(before.position, head, whole=True, name=self._store.name)
            records = with_holders(conn, only)
        marks = marks_of(records)
        return Part(position=head.position, marks=marks, changes=tuple(difference(held, records, marks, only)))

    async def _while(self, waiting: asyncio.Future[T]) -> AsyncIterator[bytes]:
        while not waiting.done():
            await asyncio.wait([waiting], timeout=self._hub.interval)
            if not waiting.done():
                yield self._hub.heartbeat(None)

    def _work(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._executor, work)


def _leads_on(since: Position | None, position: Position, *, anew: bool) -> bool:
    """Whether a snapshot brings on one who holds `since`; `anew`: one who doubts it may be sent the same again."""
    return since is None or (since.precedes(position) and (anew or since != position))


def _touches(delta: Delta, held: Part, only: Collection[str]) -> bool:
    return any(tenant_id in held.marks or tenant_id in only for tenant_id, _ in delta.changes)


def marks_of(records: Mapping[str, bytes]) -> dict[str, int]:
    """What each record adds to the digest of all."""
    return {tenant_id: row_mark(tenant_id, record) for tenant_id, record in records.items()}


def difference(
    held: Mapping[str, int], records: Mapping[str, bytes], marks: Mapping[str, int], only: Collection[str]
) -> Iterable[Change]:
    """What brings a watcher from what it holds to these records: first the tenants asked for, then whose services they
    share, then what it is to let go.
    """
    changed = [i for i, mark in marks.items() if held.get(i) != mark]
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
        part=True,
    )
