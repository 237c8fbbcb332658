"""Whatever is done in whatever order: the records written change by change are those that the rows say in the end,
each change takes the next revision, and the change log names exactly the records that it altered.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sidecar import records
from sidecar.core.calendar import parse_instant
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import DAY, FOREVER, MICROS, Basis, Period, Record, Seat
from sync.store import accounts, assignments, blocks, erasure, schema, tenants
from sync.store.db import Writing
from sync.store.entitlements import project
from sync.store.errors import Refused
from sync.store.orders import place_order, void_order
from sync.store.placing import Kind
from sync.store.terms import Term
from sync.store.usage import Absolute, Delta, SeatChange, Seats, change_usage
from tests.changing import plan
from tests.storing import TESTER, Shop, on_every_database, per_unit

pytestmark = on_every_database

IDS = [f"t{number}" for number in range(8)]
NOW = parse_instant("2026-01-01")
KEYS = ("fixed_desk", "room")
PLANS = ("team", "rooms", "credit", "own")
Draw = random.Random


def create(writing: Writing, r: Draw, tenant: str) -> None:
    parent = r.choice([None, *IDS])
    tenants.create_tenant(writing, tenant, now=NOW, parent_id=parent, edition=r.choice([None, "basic"]))


def move(writing: Writing, r: Draw, tenant: str) -> None:
    tenants.move_tenant(writing, tenant, r.choice([None, *IDS]))


def update(writing: Writing, r: Draw, tenant: str) -> None:
    tenants.update_tenant(
        writing,
        tenant,
        now=NOW + r.randrange(400) * DAY,
        zone=r.choice([None, "UTC", "Asia/Shanghai"]),
        tags=r.choice([None, (), ("pilot",)]),
        edition=r.choice([None, "", "basic", "flagship"]),
    )


def archive(writing: Writing, r: Draw, tenant: str) -> None:
    tenants.archive_tenant(writing, tenant, now=NOW, retention_days=r.choice([0, 365]))


def restore(writing: Writing, r: Draw, tenant: str) -> None:
    tenants.restore_tenant(writing, tenant)


def erase(writing: Writing, r: Draw, tenant: str) -> None:
    erasure.erase_tenant(writing, tenant, now=NOW)


def block(writing: Writing, r: Draw, tenant: str) -> None:
    name = r.choice(["operator", "fraud"])
    blocks.block_tenant(writing, tenant, name, starts_at=r.randrange(5), ends_at=9, cascade=r.random() < 0.5)


def unblock(writing: Writing, r: Draw, tenant: str) -> None:
    blocks.unblock_tenant(writing, tenant, r.choice(["operator", "fraud"]))


def order(writing: Writing, r: Draw, tenant: str) -> None:
    kind = r.choice([Kind.NEW, Kind.NEW, Kind.NEW, Kind.RENEW, Kind.UPGRADE])
    length = None if kind is Kind.UPGRADE else Period(months=r.randint(1, 12))
    place_order(
        writing,
        tenant,
        kind,
        {product: r.randint(1, 9) for product in r.sample(["fd", "room"], r.randint(1, 2))},
        now=NOW + r.randrange(700) * DAY,
        term=Term(length=length),
        edition=r.choice([None, None, "basic", "advanced"]),
    )


def void(writing: Writing, r: Draw, tenant: str) -> None:
    o = schema.orders
    placed = list(writing.conn.execute(select(o.c.id, o.c.starts_at).where(o.c.tenant_id == tenant)))
    number, starts_at = r.choice(placed) if placed else (0, NOW)
    void_order(writing, number, now=NOW, void_at=max(NOW, starts_at + r.choice([-1, 0, 1, 30]) * DAY))


def assign(writing: Writing, r: Draw, tenant: str) -> None:
    assignments.assign_plan(writing, tenant, r.choice(PLANS), now=NOW + r.randrange(200) * DAY)


def unassign(writing: Writing, r: Draw, tenant: str) -> None:
    assignments.unassign_plan(writing, tenant, now=NOW + r.randrange(200) * DAY)


def use(writing: Writing, r: Draw, tenant: str) -> None:
    change = r.choice([Absolute(units=r.randrange(5)), Delta(units=r.randint(-2, 4))])
    change_usage(writing, tenant, r.choice(KEYS), change)


def seat(writing: Writing, r: Draw, tenant: str) -> None:
    changes = (SeatChange(user_id=f"u{r.randrange(4)}", held=r.random() < 0.7),)
    change_usage(writing, tenant, "designer", Seats(changes=changes))


def bill(writing: Writing, r: Draw, tenant: str) -> None:
    now = NOW + r.randrange(100) * DAY
    accounts.open_account(writing, tenant, basis=Basis.DAYS, balance=r.randrange(50) * MICROS, now=now)


def top_up(writing: Writing, r: Draw, tenant: str) -> None:
    accounts.top_up(writing, tenant, r.randint(1, 30) * MICROS, now=NOW + r.randrange(200) * DAY)


def correct(writing: Writing, r: Draw, tenant: str) -> None:
    accounts.correct_balance(writing, tenant, -r.randint(1, 9) * MICROS, now=NOW + r.randrange(200) * DAY, reason="-")


def close(writing: Writing, r: Draw, tenant: str) -> None:
    accounts.close_account(writing, tenant, now=NOW + r.randrange(200) * DAY, reason="over")


def configure(writing: Writing, r: Draw, tenant: str) -> None:
    now = NOW + r.randrange(200) * DAY
    accounts.set_blocking(writing, tenant, now=now, allowed_balance=-r.randrange(20) * MICROS)


OPERATIONS: tuple[Callable[[Writing, Draw, str], None], ...] = (
    *(create, move, move, update, archive, restore, erase, block, unblock, *[order] * 6, void, void, void),
    *(assign, assign, assign, unassign, unassign, use, use, seat, seat, bill, bill, top_up, correct, close, configure),
)


def held(shop: Shop) -> dict[str, Record]:
    with shop.store.reading() as conn:
        return {row.tenant_id: records.decode(row.record) for row in conn.execute(select(schema.entitlement))}


def rows(shop: Shop, table: Any) -> list[Any]:
    with shop.store.reading() as conn:
        return list(conn.execute(select(table)))


def plainly(shop: Shop) -> dict[str, dict[str, Any]]:
    """What inheritance comes to, said in the plainest way."""
    known = {row.id: row for row in rows(shop, schema.tenant)}
    bought = serving(shop)
    accounted = limits(shop)
    chains = {i: chain(known, i) for i in known}
    holders = {i: next((a for a in chains[i] if a in bought), "") if i not in bought else "" for i in known}
    expected: dict[str, dict[str, Any]] = {}
    for i in known:
        members = [m for m in known if i in (m, holders[m]) and not holders[i] and known[m].archived_at is None]
        expected[i] = {
            "holder": holders[i],
            "archived": known[i].archived_at is not None,
            "tags": tuple(json.loads(known[i].tags)),
            "units": units(shop, members),
            "seats": [Seat("" if s.tenant_id == i else s.tenant_id, s.user_id) for s in seats(shop, members)],
            "limits": accounted.get(i) if not holders[i] else None,
            "plans": granted(shop, i) if not holders[i] else set(),
            "blocks": sorted(
                (b.name, b.starts_at)
                for b in rows(shop, schema.block)
                if b.tenant_id == i or (b.tenant_id in chains[i] and b.cascade)
            ),
        }
    return expected


def serving(shop: Shop) -> set[str]:
    """Who is on a plan, or has an order that was not voided from its start."""
    placed = rows(shop, schema.orders)
    voided = {(v.voids, v.void_at) for v in placed if v.kind == "VOID"}
    gone = {o.id for o in placed for order_id, instant in voided if o.id == order_id and instant <= o.starts_at}
    buyers = {o.tenant_id for o in placed if o.kind != "VOID" and o.id not in gone}
    return buyers | {a.tenant_id for a in rows(shop, schema.plan_assignment) if a.ends_at is None}


def limits(shop: Shop) -> dict[str, tuple[int, int]]:
    """Allowed balance and days of deferral of those who are billed: the plan's where it says so, else their own."""
    found = {a.tenant_id: (a.allowed_balance, a.deferral_days) for a in rows(shop, schema.account)}
    said = {p.id: json.loads(p.doc).get("blocking") for p in rows(shop, schema.plan)}
    for a in rows(shop, schema.plan_assignment):
        if a.ends_at is None and said[a.plan_id] and a.tenant_id in found:
            blocking = said[a.plan_id]
            found[a.tenant_id] = (blocking.get("allowed_balance", 0), blocking.get("deferral_days", 0))
    return found


def granted(shop: Shop, tenant: str) -> set[tuple[str, int, int]]:
    """The plans with services that a tenant was or is on, each from when until when."""
    on = {a.id: a for a in rows(shop, schema.plan_assignment) if a.tenant_id == tenant}
    found = {(on[x.assignment_id], x.id) for x in rows(shop, schema.plan_line) if x.assignment_id in on}
    windows = {(f"plan:{a.plan_id}", a.starts_at, FOREVER if a.ends_at is None else a.ends_at) for a, _ in found}
    return {window for window in windows if window[1] < window[2]}


def chain(known: dict[str, Any], tenant: str) -> list[str]:
    parent = known[tenant].parent_id
    return [parent, *chain(known, parent)] if parent else []


def units(shop: Shop, members: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows(shop, schema.usage):
        if row.tenant_id in members and row.units:
            found[row.key] = found.get(row.key, 0) + row.units
    return found


def seats(shop: Shop, members: list[str]) -> list[Any]:
    return sorted((s for s in rows(shop, schema.seat) if s.tenant_id in members), key=lambda s: s.id)


def as_plain(record: Record) -> dict[str, Any]:
    designer = record.usage.get("designer")
    return {
        "holder": record.holder_id,
        "archived": record.archived,
        "tags": record.tags,
        "units": {key: used.units for key, used in record.usage.items() if used.units},
        "seats": list(designer.seats) if designer else [],
        "limits": (record.account.allowed_balance, record.account.deferral_days) if record.account else None,
        "plans": {(g.source, g.starts_at, g.ends_at) for g in record.grants if g.source.startswith("plan:")},
        "blocks": sorted((b.name, b.starts_at) for b in record.blocks),
    }


def check_step(shop: Shop, before: dict[str, Record], revision: int) -> dict[str, Record]:
    after = held(shop)
    changed = {i for i in after if after[i] != before.get(i)}
    assert shop.revision() == revision + bool(changed)
    assert shop.changed_since(revision) == changed
    assert {after[i].revision for i in changed} <= {revision + 1}
    assert all(replace(after[i], revision=1) != replace(before[i], revision=1) for i in changed & before.keys())
    return after


@pytest.mark.parametrize("seed", range(5))
def test_records_written_step_by_step_are_those_of_the_rows(tmp_path: Path, seed: int) -> None:
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("fd", "fixed_desk"))
    shop.product(
        per_unit("room", "room", trial={"count": 1, "unit": "week"}, trial_license_template=[{"name": "room"}])
    )
    r = random.Random(seed)
    for number, tenant in enumerate(IDS[:6]):
        shop.tenant(tenant, parent_id=r.choice([None, *IDS[:number]]))
    plan(shop, "team", {"fd": 3, "room": 1}, basis="days", allowed_balance=-5 * MICROS, deferral_days=3)
    plan(shop, "rooms", {"room": 2})
    plan(shop, "credit", basis="money", allowed_balance=-MICROS)
    plan(shop, "own", {"fd": 1}, owner_id=r.choice(IDS[:6]), basis="days")
    before, done = held(shop), 0
    for _ in range(150):
        revision = shop.revision()
        try:
            with shop.store.writing(TESTER) as writing:
                r.choice(OPERATIONS)(writing, r, r.choice(IDS))
            done += 1
        except (Refused, InvalidRequest):
            assert shop.revision() == revision
        before = check_step(shop, before, revision)
    assert done > 45
    with shop.store.reading() as conn:
        fresh = {record.tenant_id: record for record in project(conn, sorted(before), 1)}
    assert fresh == {i: replace(record, revision=1) for i, record in before.items()}
    assert {i: as_plain(record) for i, record in before.items()} == plainly(shop)
