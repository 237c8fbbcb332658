"""The one reference to the current world: tenants, policies and revision, swapped whole (architecture 2.4).

A question takes the world once and sees nothing of what comes after.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, Final

from cachetools import LRUCache

from sidecar.core.book import Book
from sidecar.core.errors import InvalidRecord
from sidecar.core.model import Record
from sidecar.core.tenant import Tenant
from sidecar.records import decode
from sidecar.state.tenants import Tenants

FEW: Final = 4
"""Tenants that are kept compiled where a world is made for one."""
NOBODY: Final = Tenants()
OnInvalid = Callable[[str, InvalidRecord], None]
"""Told of a record that nothing may be decided from, when it is first asked about."""


class _Compiled:
    """A compiled tenant and the very bytes it was compiled from; it holds for any world that still has those.

    `tenant` is None for a record that breaks its own invariants: nothing is decided from it.
    """

    __slots__ = ("holder_id", "holder_raw", "raw", "tenant", "tenant_id", "world")

    def __init__(self, tenant_id: str, raw: bytes, world: int) -> None:
        self.tenant_id: Final = tenant_id
        self.raw: Final = raw
        self.world = world
        self.tenant: Tenant | None = None
        self.holder_id = tenant_id
        self.holder_raw: bytes | None = raw


class World:
    """One state of everything that answers rest on. Frozen, but for the compiled tenants shared with its successors."""

    __slots__ = ("_compiled", "_lock", "_on_invalid", "book", "found", "number", "revision", "store_id", "tenants")

    def __init__(
        self,
        *,
        book: Book,
        tenants: Tenants,
        store_id: str,
        revision: int,
        number: int,
        compiled: LRUCache[str, _Compiled],
        lock: threading.Lock,
        on_invalid: OnInvalid,
    ) -> None:
        self.book: Final = book
        self.tenants: Final = tenants
        self.store_id: Final = store_id
        self.revision: Final = revision
        self.number: Final = number
        self._compiled: Final = compiled
        self._lock: Final = lock
        self._on_invalid: Final = on_invalid
        self.found: Final[dict[str, Tenant]] = {}
        """Tenants found in this world already: no lock, and nothing to compare."""

    def tenant(self, tenant_id: str) -> Tenant | None:
        """The tenant, compiled at most once while its record, its holder's and the policies stay; None: unknown."""
        found = self.found.get(tenant_id)
        if found is None:
            found = self._look_up(tenant_id)
            if found is not None and len(self.found) < self._compiled.maxsize:
                self.found[tenant_id] = found
        return found

    def holds(self, tenant_id: str) -> bool:
        """Whether there is a record of the tenant, of whatever worth."""
        return tenant_id in self.found or self.tenants.get(tenant_id) is not None

    def of_records(self, records: Iterable[tuple[str, bytes | None]], *, store_id: str, revision: int) -> World:
        """A world of these tenants alone, by the same policies. It keeps no other's records in memory, and what is
        compiled for it is its own."""
        return World(
            book=self.book,
            tenants=NOBODY.changed(records),
            store_id=store_id,
            revision=revision,
            number=self.number,
            compiled=LRUCache(FEW),
            lock=threading.Lock(),
            on_invalid=self._on_invalid,
        )

    def peek(self, tenant_id: str) -> Tenant | None:
        """The tenant, compiled for this question alone."""
        compiled = self._compile(tenant_id)
        return compiled.tenant if compiled is not None else None

    def _look_up(self, tenant_id: str) -> Tenant | None:
        try:
            with self._lock:
                found = self._compiled[tenant_id]
            if found.world == self.number or self._still_holds(found):
                return found.tenant
        except KeyError:
            pass
        compiled = self._compile(tenant_id)
        if compiled is None:
            return None
        with self._lock:
            self._compiled[tenant_id] = compiled
        return compiled.tenant

    def _still_holds(self, found: _Compiled) -> bool:
        same = self.tenants.get(found.tenant_id) is found.raw and self.tenants.get(found.holder_id) is found.holder_raw
        if same:
            found.world = self.number
        return same

    def _compile(self, tenant_id: str) -> _Compiled | None:
        raw = self.tenants.get(tenant_id)
        if raw is None:
            return None
        compiled = _Compiled(tenant_id, raw, self.number)
        try:
            record = holder = _own(tenant_id, raw)
            if record.holder_id:
                compiled.holder_id, compiled.holder_raw = record.holder_id, self.tenants.get(record.holder_id)
                holder = _holder(record, compiled.holder_raw)
            compiled.tenant = Tenant(record, holder, self.book)
        except InvalidRecord as e:
            self._on_invalid(tenant_id, e)
        return compiled


def _own(tenant_id: str, raw: bytes) -> Record:
    record = decode(raw)
    if record.tenant_id != tenant_id:
        raise InvalidRecord(f"record {tenant_id}: it is the record of {record.tenant_id!r}")
    return record


def _holder(record: Record, raw: bytes | None) -> Record:
    if raw is None:
        raise InvalidRecord(f"record {record.tenant_id}: it shares services of {record.holder_id}, which is unknown")
    holder = _own(record.holder_id, raw)
    if holder.holder_id:
        raise InvalidRecord(f"record {record.tenant_id}: {record.holder_id} has no services of its own to share")
    return holder


class Worlds:
    """Where the current world is found, and replaced. Readers take `current` without a lock; None: not complete yet."""

    def __init__(self, *, book: Book, compiled_bound: int, on_invalid: OnInvalid) -> None:
        self.current: World | None = None
        self._book = book
        self._bound: Final = compiled_bound
        self._on_invalid: Final = on_invalid
        self._compiled: LRUCache[str, _Compiled] = LRUCache(compiled_bound)
        self._lock: Final = threading.Lock()
        self._changed: Final = threading.Condition()

    @property
    def book(self) -> Book:
        """The policies in force, complete data or not."""
        return self._book

    @property
    def compiled_count(self) -> int:
        """Tenants held compiled."""
        return len(self._compiled)

    def publish(
        self, *, store_id: str, revision: int, snapshot: bool, changes: Iterable[tuple[str, bytes | None]]
    ) -> None:
        """Makes a wholly applied revision the current world and wakes those who wait for it.

        A snapshot replaces all tenants; else the changes are applied to those there are.
        """
        before = Tenants() if snapshot or self.current is None else self.current.tenants
        replaced = self.current.tenants.parts() if snapshot and self.current is not None else []
        self._swap(book=None, tenants=before.changed(changes), store_id=store_id, revision=revision)
        while replaced:  # freed at one go, they would keep checks waiting
            replaced.pop()

    def adopt(self, book: Book) -> None:
        """Makes a policy set the one that answers rest on. Every tenant is compiled anew as it is asked."""
        old, compiled = self.current, self._compiled
        self._swap(book=book, tenants=None, store_id=None, revision=None)
        _let_go(compiled)
        if old is not None:
            _let_go(old.found)

    def wait_for(self, revision: int, timeout: float, unless: Callable[[], bool] = lambda: False) -> World | None:
        """The first world at or past a revision, or the one there is after `timeout` seconds, or as soon as `unless`
        holds; that is looked at after each `nudge`."""
        with self._changed:
            self._changed.wait_for(
                lambda: (self.current is not None and self.current.revision >= revision) or unless(), timeout
            )
        return self.current

    def nudge(self) -> None:
        """Has all who wait look again."""
        with self._changed:
            self._changed.notify_all()

    def _swap(self, *, book: Book | None, tenants: Tenants | None, store_id: str | None, revision: int | None) -> None:
        with self._changed:
            if book is not None:
                self._book, self._compiled = book, LRUCache(self._bound)
            old = self.current
            if tenants is None and old is None:
                return
            self.current = World(
                book=self._book,
                tenants=tenants if tenants is not None else old.tenants,  # type: ignore[union-attr]
                store_id=store_id if store_id is not None else old.store_id,  # type: ignore[union-attr]
                revision=revision if revision is not None else old.revision,  # type: ignore[union-attr]
                number=old.number + 1 if old else 1,
                compiled=self._compiled,
                lock=self._lock,
                on_invalid=self._on_invalid,
            )
            self._changed.notify_all()


def _let_go(cache: MutableMapping[str, Any]) -> None:
    """Empties a cache that no later world uses, piece by piece: freed at one go, it would keep checks waiting."""
    while cache:
        try:
            cache.popitem()
        except KeyError:
            return
