"""A real store, driven by dates as text: what the store's tests are written in.

It is in a file, or in a database where a test is run on PostgreSQL: see `stored`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, select, text

from sidecar import records
from sidecar.core.calendar import parse_instant
from sidecar.core.model import FOREVER, Instant, Limit, Period, Record
from sync.store import schema, sqliteplace
from sync.store.audit import By
from sync.store.catalogue import create_product
from sync.store.db import BUSY_TIMEOUT, Store, open_store
from sync.store.errors import Refused
from sync.store.orders import Order, place_order
from sync.store.placing import Kind
from sync.store.products import product_of
from sync.store.tenants import create_tenant
from sync.store.terms import Term
from sync.store.usage import Absolute, SeatChange, Seats, change_usage
from tests import postgresql

at = parse_instant
START = "2026-01-01"
TESTER = By(operator="tester", at=parse_instant(START))


def months(count: int, starts: str | None = None) -> Term:
    """A term of so many months."""
    return Term(starts_at=None if starts is None else at(starts), length=Period(months=count))


def until(end: str, starts: str | None = None) -> Term:
    """A term to an instant; "never": a perpetual one."""
    ends_at = FOREVER if end == "never" else at(end)
    return Term(starts_at=None if starts is None else at(starts), ends_at=ends_at)


def per_unit(product_id: str, key: str, **more: Any) -> dict[str, Any]:
    """A product that grants one of a key for each unit ordered."""
    entry = {"name": key, "amount": 1, "amount_calculation": "per_qty"}
    return {"id": product_id, "license_template": [entry]} | more


Fill = Callable[[Store], None]
PLACES = ("sqlite", "postgresql")
_place = "sqlite"


def run_on(place: str) -> None:
    """Where stores are made from now on: one of PLACES."""
    global _place
    _place = place


def place() -> str:
    """Where stores are made: one of PLACES."""
    return _place


def stored(path: Path, fill: Fill | None = None) -> str:
    """A new store, holding what `fill` puts in: what to open, at the path or in a database of its own."""
    if _place == "postgresql":
        return postgresql.lend(fill)
    path.write_bytes(empty_store(fill))
    return str(path)


@contextmanager
def for_a_while(within: Path | None = None) -> Iterator[Path]:
    """A folder, gone at the end as all stores that were made meanwhile: for tests that make very many."""
    kept = postgresql.lent()
    with TemporaryDirectory(dir=within) as folder:
        yield Path(folder)
    postgresql.give_back(kept)


@cache
def empty_store(fill: Fill | None = None) -> bytes:
    """The file of a store just made, or filled: making one for every test would be most of the tests' time."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        store = open_store(path, create=True)
        if fill is not None:
            fill(store)
        return path.read_bytes()


@contextmanager
def one_dialect() -> Iterator[None]:
    """Meanwhile all files that are opened share what was compiled for any of them, which each would do anew."""
    make, shared = sqliteplace._engine, create_engine("sqlite://")
    shared.connect().close()  # a dialect is ready once it has seen a connection

    def sharing(path: Path, busy_timeout: float, mode: str) -> Engine:
        engine = make(path, busy_timeout, mode)
        engine.dialect, engine._compiled_cache = shared.dialect, shared._compiled_cache
        return engine

    sqliteplace._engine = sharing
    yield
    sqliteplace._engine = make
    shared.dispose()


def again(store: Store, *, busy_timeout: float = BUSY_TIMEOUT) -> Store:
    """The same store, opened by somebody else."""
    return open_store(store.name, busy_timeout=busy_timeout)


def meddle(store: Store, statement: str, **values: object) -> None:
    """A change behind the store's back, by whoever has the file or the database."""
    with store.place.writing() as conn:
        conn.execute(text(statement), values)


def everything(store: Store) -> str:
    """All texts and numbers that a store holds, row by row."""
    with store.place.reading() as conn:
        return "\n".join(str(row) for table in schema.metadata.sorted_tables for row in conn.execute(select(table)))


@contextmanager
def away(store: Store) -> Iterator[None]:
    """Meanwhile it cannot be reached, by whoever had it open already either."""
    if store.file is None:
        with postgresql.away(store.name.rpartition("/")[2]):
            yield
        return
    other = store.file.with_suffix(".away")
    store.file.rename(other)
    yield
    other.rename(store.file)


class Shop:
    """A store, and the back office at it."""

    def __init__(self, path: Path, fill: Fill | None = None) -> None:
        self.store: Store = open_store(stored(path, fill))

    @classmethod
    def at(cls, store: Store) -> Shop:
        """The back office at a store that is there."""
        shop = cls.__new__(cls)
        shop.store = store
        return shop

    def product(self, document: Mapping[str, Any]) -> None:
        with self.store.writing(TESTER) as writing:
            create_product(writing, product_of(document), now=at(START))

    def tenant(self, tenant_id: str, **fields: Any) -> None:
        with self.store.writing(TESTER) as writing:
            create_tenant(writing, tenant_id, now=at(START), **fields)

    def order(
        self,
        kind: str,
        tenant_id: str,
        products: Mapping[str, int],
        when: str,
        term: Term = Term(),  # noqa: B008 - frozen
        **more: Any,
    ) -> Order:
        with self.store.writing(TESTER) as writing:
            return place_order(writing, tenant_id, Kind(kind), products, now=at(when), term=term, **more)

    def new(self, tenant_id: str, products: Mapping[str, int], when: str, term: Term, **more: Any) -> Order:
        return self.order("NEW", tenant_id, products, when, term, **more)

    def trial(self, tenant_id: str, products: Mapping[str, int], when: str) -> Order:
        return self.order("NEW", tenant_id, products, when, trial=True)

    def renew(self, tenant_id: str, products: Mapping[str, int], when: str, term: Term, **more: Any) -> Order:
        return self.order("RENEW", tenant_id, products, when, term, **more)

    def upgrade(self, tenant_id: str, products: Mapping[str, int], when: str, **more: Any) -> Order:
        return self.order("UPGRADE", tenant_id, products, when, **more)

    def use(self, tenant_id: str, **units: int) -> None:
        with self.store.writing(TESTER) as writing:
            for key, count in units.items():
                change_usage(writing, tenant_id, key, Absolute(units=count))

    def seat(self, tenant_id: str, key: str, *users: str, held: bool = True) -> None:
        seats = Seats(changes=tuple(SeatChange(user_id=user, held=held) for user in users))
        with self.store.writing(TESTER) as writing:
            change_usage(writing, tenant_id, key, seats)

    def record(self, tenant_id: str) -> Record:
        e = schema.entitlement
        with self.store.reading() as conn:
            return records.decode(conn.scalars(select(e.c.record).where(e.c.tenant_id == tenant_id)).one())

    def revision(self) -> int:
        return self.store.status().revision

    def changed_since(self, revision: int) -> set[str]:
        log = schema.change_log
        with self.store.reading() as conn:
            return set(conn.scalars(select(log.c.tenant_id).where(log.c.revision > revision)))

    def amount(self, tenant_id: str, key: str, when: str, *, users: bool = False) -> Limit | None:
        """The sum of what a key's grants give at an instant, or None when no grant holds."""
        held = self.holding(tenant_id, key, at(when))
        if not held:
            return None
        return sum((g.users if users else g.amount) or 0 for g in held)  # type: ignore[misc]

    def holding(self, tenant_id: str, key: str, instant: Instant) -> list[Any]:
        grants = self.record(tenant_id).grants
        return [g for g in grants if g.key == key and g.starts_at <= instant < g.ends_at]

    def trialing(self, tenant_id: str, key: str, when: str) -> bool:
        return all(g.trial for g in self.holding(tenant_id, key, at(when)))


def refused(code: str) -> pytest.RaisesExc[Refused]:
    """The block is refused with this code and some advice."""
    return pytest.RaisesExc(Refused, match=f"^{code}: .+", check=lambda e: e.code == code)


on_every_database = pytest.mark.usefixtures("each_place")
"""For a module, or a test: it runs once for each of PLACES."""
on_sqlite = pytest.mark.parametrize("each_place", ["sqlite"], indirect=True)
"""It runs in a file only: it is about the file."""


def filling(work: Callable[[Shop], None]) -> Fill:
    """What fills a store as this does at a shop. One store is filled for all tests: each has a copy."""
    return lambda store: work(Shop.at(store))
