"""The forecast of a whole store: its records read in one view of it, chunk by chunk, and let go again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from sidecar import records
from sidecar.core.book import Book
from sidecar.core.errors import InvalidRecord
from sidecar.core.model import Instant, Record
from sidecar.core.tenant import Tenant
from sync.forecast.events import Kind, events, quiet
from sync.forecast.spool import Spool
from sync.store import schema
from sync.store.db import Store
from sync.store.entitlements import HELD
from sync.store.errors import Refused, StoreForeign
from sync.store.lineage import CHUNK, chunks, descendants

E: Final = schema.entitlement
FOLLOWING: Final = (
    select(E.c.tenant_id, E.c.record).where(E.c.tenant_id > bindparam("after")).order_by(E.c.tenant_id).limit(CHUNK)
)

Seen = Callable[[int, int], None]
"""Is told of how many tenants how many were looked at, where all are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be told: what comes about in [since, until), of `kinds`, to `tenants` and in the pools they share."""

    book: Book
    since: Instant
    until: Instant
    kinds: Collection[Kind] = tuple(Kind)
    tenants: Collection[str] | None = None
    """None: all."""


@contextmanager
def forecast(store: Store, question: Question, seen: Seen = lambda _done, _all: None) -> Iterator[Spool]:
    """The events by time. The store is done with when the block begins.

    Raises StoreError, or Refused: UNKNOWN_TENANT.
    """
    with Spool() as spool:
        with store.reading() as conn:
            _gather(_Reader(conn, store), question, spool, seen)
        yield spool


class _Reader:
    """Records of one view of a store. Raises StoreForeign for one from which nothing may be decided."""

    def __init__(self, conn: Connection, store: Store) -> None:
        self.conn: Final = conn
        self._store: Final = store

    def count(self) -> int:
        return self.conn.scalar(select(func.count()).select_from(E)) or 0

    def everyone(self) -> Iterator[list[Record]]:
        """All records, so many at a time."""
        after = ""
        while rows := self.conn.execute(FOLLOWING, {"after": after}).all():
            yield [self._decoded(row.tenant_id, row.record) for row in rows]
            after = rows[-1].tenant_id

    def these(self, ids: Iterable[str]) -> Iterator[list[Record]]:
        """The records there are of these tenants."""
        for chunk in chunks(ids):
            yield [self._decoded(row.tenant_id, row.record) for row in self.conn.execute(HELD, {"ids": chunk})]

    def tenants(self, found: Collection[Record], book: Book) -> Iterator[Tenant]:
        """The tenants of these records, each with its holder."""
        ids = sorted({r.holder_id for r in found if r.holder_id})
        holders = {record.tenant_id: record for some in self.these(ids) for record in some}
        for record in found:
            with self.using(record.tenant_id):
                tenant = Tenant(record, _holder(record, holders), book)
            yield tenant

    @contextmanager
    def using(self, tenant_id: str) -> Iterator[None]:
        """A block that raises InvalidRecord when a tenant's record breaks its own invariants."""
        try:
            yield
        except InvalidRecord as e:
            raise StoreForeign(
                f"the record of {tenant_id!r} in the store {self._store.name} cannot be used ({e}): restore a backup"
            ) from e

    def _decoded(self, tenant_id: str, data: bytes) -> Record:
        with self.using(tenant_id):
            return records.decode(data)


def _holder(record: Record, holders: Mapping[str, Record]) -> Record:
    if not record.holder_id:
        return record
    holder = holders.get(record.holder_id)
    if holder is None or holder.holder_id:
        raise InvalidRecord(f"{record.holder_id!r} has no services that it could share")
    return holder


def _gather(reader: _Reader, question: Question, spool: Spool, seen: Seen) -> None:
    if question.tenants is None:
        count, done = reader.count(), 0
        for found in reader.everyone():
            _take(reader, question, spool, found, found)
            done += len(found)
            seen(done, count)
        return
    asked = _asked(reader, question.tenants)
    below = {below for tenant_id in asked for below in descendants(reader.conn, tenant_id)}
    for found in reader.these(sorted(asked | below)):
        _take(reader, question, spool, found, [r for r in found if r.tenant_id in asked])


def _asked(reader: _Reader, tenants: Collection[str]) -> set[str]:
    """These tenants, and those whose services they share. Refused: UNKNOWN_TENANT."""
    found = [record for some in reader.these(sorted(set(tenants))) for record in some]
    known = {r.tenant_id for r in found}
    for tenant_id in sorted(set(tenants) - known):
        raise Refused("UNKNOWN_TENANT", f"there is no tenant {tenant_id!r}: see `deskgate tenant list`")
    return known | {r.holder_id for r in found if r.holder_id}


def _take(reader: _Reader, question: Question, spool: Spool, found: list[Record], asked: list[Record]) -> None:
    """Spools what comes about to those `asked` about, and who shares whose services."""
    spool.share((r.holder_id, r.tenant_id) for r in found if r.holder_id and not r.archived)
    stirring = [r for r in asked if not _quiet(reader, question, r)]
    for tenant in reader.tenants(stirring, question.book):
        happening = events(tenant, question.since, question.until)
        spool.add(e for e in happening if e.kind in question.kinds)


def _quiet(reader: _Reader, question: Question, record: Record) -> bool:
    terms = question.book.applied(record).terms
    with reader.using(record.tenant_id):
        return quiet(record, terms, question.since, question.until)
