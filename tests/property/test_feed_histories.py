"""Whatever is lost, doubled, moved, cut or restarted between a store and a watcher: the watcher never holds what the
store never held, and once the line is whole again it holds exactly what the store holds.

Random histories through the protocol's core: the server's choice of what comes next, the wire, the watcher. No I/O.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random

import pytest

from sidecar.core.model import Record
from sidecar.records import decode, encode
from sync.digest import as_text, row_mark
from sync.feed.eye import delta_with
from sync.feed.protocol import Begin, Contact, More, State, Watcher
from sync.feed.streams import _batches, difference, marks_of
from sync.feed.window import Delta, Next, Window, next_for, split
from sync.feed.wire import batch_bytes, heartbeat_bytes, numbered, read_event
from sync.history import Head, Way, way
from sync.sources import Change, FailureKind, Position, SyncFailed
from tests.fakes import digest_of

SOAK = bool(os.environ.get("DESKGATE_SOAK"))
HISTORIES = 100_000 if SOAK else 10_000
PARTS = 20
TENANTS = [f"t{n}" for n in range(8)]
INSTANT = 1_800_000_000_000_000

Rows = dict[str, bytes]


class Store:
    """Every state that a store was ever in."""

    def __init__(self) -> None:
        self.states: list[Rows] = [{}]
        self.retained = 0

    @property
    def head(self) -> Position:
        return self.at(len(self.states) - 1)

    def at(self, revision: int) -> Position:
        return Position(store_id="s", revision=revision, mark=digest_of(self.states[revision].items()))

    def commit(self, rng: Random) -> None:
        rows, revision = dict(self.states[-1]), len(self.states)
        for tenant_id in rng.sample(TENANTS, rng.randint(1, 4)):
            if rng.random() < 0.2:
                rows.pop(tenant_id, None)
            else:
                shared = rng.choice(TENANTS) if rng.random() < 0.3 else ""
                holder = "" if shared == tenant_id else shared
                rows[tenant_id] = encode(Record(tenant_id=tenant_id, revision=revision, zone="UTC", holder_id=holder))
        self.states.append(rows)

    def prune(self, rng: Random) -> None:
        self.retained = rng.randint(self.retained, len(self.states) - 1)

    def way(self, since: Position) -> Way:
        logged = self.at(since.revision).mark if self.retained <= since.revision < len(self.states) else None
        return way(since, Head(position=self.head, logged=logged), whole=False, name="s")

    def changes(self, since: int) -> tuple[Change, ...]:
        now, before = self.states[-1], self.states[since]
        return tuple((i, now.get(i)) for i in TENANTS if now.get(i) != before.get(i))

    def part(self, only: frozenset[str]) -> Rows:
        rows = {i: r for i, r in self.states[-1].items() if i in only}
        holders = {decode(record).holder_id for record in rows.values()}
        return rows | {i: r for i, r in self.states[-1].items() if i in holders}


class Server:
    """A replica, as far as its streams are concerned; what it found out of the store it may know late."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.head = store.head
        self.window = Window()

    def look(self) -> None:
        if self.head != self.store.head:
            self.window.put(self._delta(self.head))
            self.head = self.store.head

    def stream(self, since: Position | None, whole: bool, only: frozenset[str]) -> Iterator[bytes]:
        events = self._some(only) if only else self._all(since, whole)
        for number, event in enumerate(events, 1):
            yield numbered(number, event)

    def _all(self, at: Position | None, whole: bool) -> Iterator[bytes]:
        while True:
            step = next_for(None if whole else at, self.head, self.window)
            if step is Next.CHANGES and at is not None:
                step = self._caught_up(at)
            if isinstance(step, Delta):
                yield step.batch
                at = step.position
            elif step is Next.NOTHING:
                yield heartbeat_bytes(position=at, store_instant=INSTANT, interval=5.0)
            else:
                at, whole = self.store.head, False
                rows = sorted(self.store.states[-1].items())
                for part, more in split(rows, most_bytes=10_000, most_rows=3):
                    yield batch_bytes(
                        position=at, snapshot=True, since_revision=0, changes=part, more=more, digest=at.mark
                    )

    def _caught_up(self, at: Position) -> Delta | Next:
        found = self.store.way(at)
        if found is not Way.BY_CHANGES:
            return Next.WHOLE if found is Way.WHOLE else Next.NOTHING
        delta = self._delta(at)
        self.window.put(delta)
        return delta

    def _delta(self, since: Position) -> Delta:
        return delta_with(since, self.store.head, self.store.changes(since.revision), left_at=0.0)

    def _some(self, only: frozenset[str]) -> Iterator[bytes]:
        at, held = None, {}  # type: ignore[var-annotated]
        while True:
            if at == self.store.head:
                yield heartbeat_bytes(position=at, store_instant=INSTANT, interval=5.0)
                continue
            part, position = self.store.part(only), self.store.head
            marks = marks_of(part)
            yield from _batches(position, at, difference(held, part, marks, only), as_text(sum(marks.values())))
            at, held = position, marks


class Taker:
    """A sidecar's state: what it holds survives it."""

    def __init__(self, store: Store, only: frozenset[str]) -> None:
        self.store, self.only = store, only
        self.rows: Rows = {}
        self.position: Position | None = None
        self.doubted = False
        self.contacts = 0

    def apply(self, begun: Begin, changes: list[Change]) -> None:
        rows = {} if begun.snapshot else dict(self.rows)
        for tenant_id, record in changes:
            rows.pop(tenant_id, None)
            if record is not None:
                rows[tenant_id] = record
        if as_text(sum(row_mark(i, r) for i, r in rows.items())) != begun.digest:
            self.doubted = True
            raise SyncFailed(FailureKind.WRONG_DIGEST, "it is not what it should be")
        assert self.position is None or self.position.precedes(begun.position), "it went back"
        self.rows, self.position, self.doubted = rows, begun.position, False
        if not self.only:
            assert rows == self.store.states[begun.position.revision], "the store never held this"


class Line:
    """A stream of a watcher, and what may happen to its events on the way."""

    def __init__(self, server: Server, taker: Taker, watcher: Watcher, *, first: bool) -> None:
        self.taker, self.watcher = taker, watcher
        watcher.opened(taker.position)
        whole = taker.doubted or (first and bool(taker.only))
        self.events = server.stream(taker.position, whole, taker.only)
        self.under_way: list[bytes] = []

    def spoil(self, rng: Random) -> None:
        """Some events on their way are lost, doubled, moved, altered or cut short."""
        self.under_way += [next(self.events) for _ in range(rng.randint(1, 5))]
        for _ in range(rng.choice([0, 0, 1, 1, 2])):
            place = rng.randrange(len(self.under_way)) if self.under_way else 0
            match rng.randrange(5) if self.under_way and self.under_way[place] else 5:
                case 0:
                    del self.under_way[place]
                case 1:
                    self.under_way.insert(rng.randint(0, len(self.under_way)), self.under_way[place])
                case 2:
                    rng.shuffle(self.under_way)
                case 3:
                    event = bytearray(self.under_way[place])
                    event[rng.randrange(len(event))] ^= 1 << rng.randrange(8)
                    self.under_way[place] = bytes(event)
                case 4:
                    self.under_way[place] = self.under_way[place][: rng.randrange(len(self.under_way[place]))]

    def deliver(self, count: int) -> None:
        """Has the watcher take so many updates or single events in. Raises SyncFailed."""
        for _ in range(count):
            action = self.watcher.received(read_event(self._next()))
            if isinstance(action, Begin):
                changes, last = list(action.changes), action.last
                while not last:
                    more = self.watcher.received(read_event(self._next()))
                    if isinstance(more, More):
                        changes += more.changes
                        last = more.last
                self.taker.apply(action, changes)
            elif isinstance(action, Contact):
                self.taker.contacts += 1
                assert self.watcher.held == self.taker.position

    def _next(self) -> bytes:
        return self.under_way.pop(0) if self.under_way else next(self.events)


def play(rng: Random) -> None:
    store = Store()
    only = frozenset(rng.sample(TENANTS, 3)) if rng.random() < 0.3 else frozenset()
    server, taker, watcher = Server(store), Taker(store, only), Watcher(only)
    line: Line | None = None
    first = True
    for _ in range(rng.randint(5, 30)):
        match rng.randrange(8):
            case 0 | 1:
                for _ in range(rng.choice([1, 1, 1, 5])):
                    store.commit(rng)
            case 2:
                server.look()
            case 3:
                store.prune(rng)
            case 4:
                server, line = Server(store), None
            case 5:
                watcher, line, first = Watcher(only), None, True
            case _:
                try:
                    if line is None:
                        line, first = Line(server, taker, watcher, first=first), False
                    if rng.random() < 0.6:
                        line.spoil(rng)
                    line.deliver(rng.randint(1, 4))
                    if rng.random() < 0.2:
                        line = None
                except SyncFailed:
                    line = None
    finish(store, server, taker, watcher, line, first)


def finish(store: Store, server: Server, taker: Taker, watcher: Watcher, line: Line | None, first: bool) -> None:
    """The line is whole from now on, though what is under way on it may not be."""
    server.look()
    taker.contacts = 0
    for _ in range(50):
        try:
            if line is None:
                line, first = Line(server, taker, watcher, first=first), False
            line.deliver(1)
        except SyncFailed:
            line = None
        if taker.contacts and taker.position == store.head:
            break
    expected = store.part(taker.only) if taker.only else store.states[-1]
    assert (taker.position, taker.rows) == (store.head, expected)
    assert watcher.state is State.FOLLOWING


@pytest.mark.parametrize("part", range(PARTS))
def test_random_histories_end_where_the_store_is(part: int) -> None:
    for number in range(HISTORIES // PARTS):
        seed = part * 1_000_000 + number
        try:
            play(Random(seed))
        except BaseException as e:
            e.add_note(f"seed {seed}")
            raise
