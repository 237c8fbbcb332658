"""Many synthetic tenants at once, for measuring: rows are written set by set, records by the ordinary projection."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Table, func, insert, select

from sidecar.core.model import DAY, MICROS, Basis, Instant
from sync.store import schema
from sync.store.audit import By
from sync.store.catalogue import create_product, list_products
from sync.store.db import Store, Writing
from sync.store.demo import PRODUCTS
from sync.store.errors import Refused

BATCH: Final = 20_000
"""Tenants that one transaction adds."""
ZONES: Final = ("UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
LANGUAGES: Final = ("en", "zh-CN", "de", "")
SPACES: Final = {"fixed-desk": "fixed_desk", "shared-desk": "shared_desk", "meeting-room": "meeting_room"}
CHILDREN_OF: Final = 50
"""A child goes below one of the so many tenants before it."""
TRIED: Final = {"desk-trial": "shared_desk"}
TRIED_AMOUNT: Final = 20
TRIAL: Final = 14 * DAY
PILOTS: Final = 0.05
"""Of the tenants, those tagged "pilot"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One kind of synthetic tenant: how many in a hundred, its term in days from now, how full it is in percent."""

    share: int
    begun: tuple[int, int] = (-300, -1)
    days_left: tuple[int, int] = (31, 360)
    filled: tuple[int, int] = (10, 85)
    trial: bool = False
    blocked: bool = False
    archived: bool = False
    child: bool = False
    seats: bool = False
    balance: int | None = None
    """Of an account charged 60 a month since 40 days ago."""
    deferral_days: int = 0


SHAPES: Final[Mapping[str, Shape]] = {
    "active": Shape(share=34),
    "seated": Shape(share=10, seats=True),
    "full": Shape(share=8, filled=(100, 100)),
    "near": Shape(share=6, filled=(90, 99)),
    "over": Shape(share=6, filled=(105, 150)),
    "trial": Shape(share=5, begun=(-12, -1), trial=True),
    "ending": Shape(share=4, days_left=(1, 29)),
    "grace": Shape(share=5, days_left=(-80, -1), begun=(-500, -400)),
    "expired": Shape(share=4, days_left=(-300, -100), begun=(-700, -400)),
    "pending": Shape(share=2, begun=(2, 60), days_left=(90, 400)),
    "suspended": Shape(share=2, blocked=True),
    "archived": Shape(share=2, archived=True),
    "owing": Shape(share=2, balance=100, deferral_days=60),
    "blocked": Shape(share=2, balance=100),
    "child": Shape(share=8, child=True),
}
"""Every state that domain.md 5 and 6 know, the healthy ones in the majority."""


class _Rows:
    """Rows on their way, by table; ids of orders and lines are given here."""

    def __init__(self, conn: Connection, now: Instant, rng: random.Random) -> None:
        self.now = now
        self.rng = rng
        self.tables: dict[Table, list[dict[str, Any]]] = defaultdict(list)
        self.order = _last(conn, schema.orders)
        self.line = _last(conn, schema.order_line)

    def add(self, table: Table, **row: Any) -> None:
        self.tables[table].append(row)

    def day(self, span: tuple[int, int]) -> Instant:
        return self.now + self.rng.randint(*span) * DAY

    def write(self, conn: Connection) -> None:
        for table in schema.metadata.sorted_tables:
            if rows := self.tables.pop(table, None):
                conn.execute(insert(table), rows)
        for table in (schema.orders, schema.order_line):
            _number_after(conn, table)


def _last(conn: Connection, table: Table) -> int:
    return conn.scalar(select(func.max(table.c.id))) or 0


def _number_after(conn: Connection, table: Table) -> None:
    """Has the next row numbered after those that are there: PostgreSQL does not look at them by itself."""
    if conn.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(table.name, "id")
        conn.execute(select(func.setval(sequence, func.max(table.c.id))).select_from(table))


def seed_many(store: Store, count: int, now: Instant, *, seed: int = 0, prefix: str = "t") -> Mapping[str, list[str]]:
    """Adds `count` tenants named prefix + number, the same for the same seed; returns shape to their ids.

    Raises StoreError, or Refused: TENANT_EXISTS when the prefix is taken.
    """
    rng = random.Random(seed)  # noqa: S311 - data to measure with
    made: dict[str, list[str]] = defaultdict(list)
    by = By(operator="demo", at=now)
    with store.writing(by) as writing:
        _refuse_taken(writing.conn, f"{prefix}{0:06}")
        _add_products(writing, now)
    for first in range(0, count, BATCH):
        numbers = range(first, min(count, first + BATCH))
        names = rng.choices(list(SHAPES), [shape.share for shape in SHAPES.values()], k=len(numbers))
        with store.writing(by) as writing:
            _add_batch(writing, _Rows(writing.conn, now, rng), prefix, dict(zip(numbers, names, strict=True)))
        for number, name in zip(numbers, names, strict=True):
            made[name].append(f"{prefix}{number:06}")
    return made


def _refuse_taken(conn: Connection, tenant_id: str) -> None:
    if conn.scalar(select(schema.tenant.c.id).where(schema.tenant.c.id == tenant_id)):
        raise Refused("TENANT_EXISTS", f"there is a tenant {tenant_id!r} already: choose another prefix")


def _add_products(writing: Writing, now: Instant) -> None:
    known = {product.id for product, _ in list_products(writing.conn)}
    for product in PRODUCTS:
        if product.id not in known:
            create_product(writing, product, now=now)


def _add_batch(writing: Writing, rows: _Rows, prefix: str, names: Mapping[int, str]) -> None:
    for number, name in names.items():
        _add_tenant(rows, prefix, number, SHAPES[name])
    rows.write(writing.conn)
    writing.audit("demo.many", f"store:{prefix}", after={"tenants": len(names)})
    writing.touch_only(f"{prefix}{number:06}" for number in names)


def _add_tenant(rows: _Rows, prefix: str, number: int, shape: Shape) -> None:
    tenant_id = f"{prefix}{number:06}"
    rng = rows.rng
    parent = rng.randrange(max(0, number - CHILDREN_OF), number) if shape.child and number else None
    rows.add(
        schema.tenant,
        id=tenant_id,
        parent_id=None if parent is None else f"{prefix}{parent:06}",
        zone=rng.choice(ZONES),
        language=rng.choice(LANGUAGES),
        tags=json.dumps(["pilot"] if rng.random() < PILOTS else []),
        created_at=rows.now - 800 * DAY,
        archived_at=rows.now if shape.archived else None,
    )
    if parent is not None:
        rows.add(schema.usage, tenant_id=tenant_id, key="shared_desk", units=1)
        return
    _add_order(rows, tenant_id, shape)
    _add_state(rows, tenant_id, shape)


def _add_order(rows: _Rows, tenant_id: str, shape: Shape) -> None:
    rows.order += 1
    start = rows.day(shape.begun)
    end = start + TRIAL if shape.trial else rows.day(shape.days_left)
    rows.add(
        schema.orders,
        id=rows.order,
        tenant_id=tenant_id,
        kind="NEW",
        status="trial" if shape.trial else "paid",
        edition="trial" if shape.trial else rows.rng.choice(("basic", "advanced", "flagship")),
        placed_at=min(start, rows.now),
        starts_at=start,
        operator="demo",
    )
    for product_id, key in (TRIED if shape.trial else SPACES).items():
        quantity = rows.rng.randint(4, 200)
        _add_line(rows, product_id, quantity, start, end, end if shape.trial else None)
        granted = TRIED_AMOUNT if shape.trial else quantity
        units = granted * rows.rng.randint(*shape.filled) // 100
        rows.add(schema.usage, tenant_id=tenant_id, key=key, units=units)
    if shape.seats:
        _add_seats(rows, tenant_id, start, end)


def _add_line(
    rows: _Rows, product_id: str, quantity: int, start: Instant, end: Instant, trial_until: Instant | None = None
) -> None:
    rows.line += 1
    rows.add(
        schema.order_line,
        id=rows.line,
        order_id=rows.order,
        product_id=product_id,
        product_version=1,
        quantity=quantity,
        starts_at=start,
        ends_at=end,
        anchor=start,
        trial_until=trial_until,
    )


def _add_seats(rows: _Rows, tenant_id: str, start: Instant, end: Instant) -> None:
    bought = rows.rng.randint(1, 10)
    _add_line(rows, "layout-designer", bought, start, end)
    for user in range(rows.rng.randint(0, bought + 2)):
        rows.add(schema.seat, tenant_id=tenant_id, key="layout_designer", user_id=f"u{user}")


def _add_state(rows: _Rows, tenant_id: str, shape: Shape) -> None:
    if shape.blocked:
        rows.add(schema.block, tenant_id=tenant_id, name="operator", starts_at=rows.now - DAY, cascade=False)
    if shape.balance is not None:
        rows.add(
            schema.account,
            tenant_id=tenant_id,
            basis=int(Basis.MONEY),
            balance=shape.balance * MICROS,
            as_of=rows.now - 41 * DAY,
            owed_charge=0,
            charge=60 * MICROS,
            anchor=rows.now - 40 * DAY,
            period_months=1,
            period_days=0,
            allowed_balance=0,
            deferral_days=shape.deferral_days,
        )
