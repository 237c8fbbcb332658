"""The same operations on a real store, and what can be seen of it afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import select

from sidecar import records
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER, Basis, Period, Record
from sync.store import (
    accounts,
    assignments,
    audit,
    blocks,
    catalogue,
    counting,
    erasure,
    orders,
    payments,
    plans,
    schema,
    tenants,
    usage,
)
from sync.store.audit import By
from sync.store.db import Store, Writing, open_store
from sync.store.errors import Refused
from sync.store.placing import Kind, LateStart
from sync.store.plandoc import BlockingTerms, PlanTerms, Service
from sync.store.prices import Price
from sync.store.pricing import Deal, Item
from sync.store.products import product_of
from sync.store.terms import Term
from tests.fakes import digest_of
from tests.model.state import NEVER, Plain
from tests.storing import stored


@dataclass(frozen=True)
class Outcome:
    """`code` "": it was done. An order's number, and whether its operator was told of something."""

    code: str = ""
    advice: str = ""
    order_id: int | None = None
    noticed: bool | None = None


@dataclass(frozen=True)
class Look:
    """What a store holds between two operations, read by nothing but its database's driver."""

    revision: int
    entries: int
    digest: int
    """Of every row of every table but those that follow from others."""
    records: Mapping[str, Record]
    ledgers: Mapping[str, list[int]]
    balances: Mapping[str, int]
    sums: Mapping[int, tuple[int, int]]
    """Order to its total and what was paid of it."""
    plans: Mapping[str, tuple[str | None, str, bool]]
    """Plan to its owner, its name and whether it is archived."""
    versions: Mapping[tuple[str, str], tuple[int, object]]
    """Tenant or plan to its version and what that is of."""


SUMS = (
    """SELECT o.id, o.total, (SELECT coalesce(sum(amount), 0) FROM payment p WHERE p.order_id = o.id) FROM orders o"""
)

TABLES = sorted(set(schema.metadata.tables) - {"store", "entitlement", "change_log", "revision_log", "audit"})
E, LOG = schema.entitlement, schema.revision_log
PLANS = "SELECT id, owner_id, name, archived_at IS NOT NULL FROM plan"
PLAN_VERSIONS = "SELECT id, version, name, doc FROM plan"
TENANT_VERSIONS = "SELECT id, version, parent_id, zone, language, tags, edition, name, contacts FROM tenant"


class Real:
    """A store of its own, in a folder or a database."""

    def __init__(self, folder: Path) -> None:
        where = stored(folder / "store.db")
        self.store: Store = open_store(where)
        self._eye: Any = (
            psycopg.connect(where, autocommit=True)
            if self.store.file is None
            else sqlite3.connect(where, isolation_level=None)
        )
        self._records: dict[tuple[str, int], Record] = {}

    def close(self) -> None:
        self._eye.close()

    def do(self, op: Plain) -> Outcome:
        try:
            with self.store.writing(By(operator="tester", at=op["at"])) as writing:
                done = DOERS[op["op"]](writing, op)
        except Refused as e:
            return Outcome(e.code, e.advice)
        except InvalidRequest as e:
            return Outcome("INVALID", str(e))
        if isinstance(done, orders.Order):
            return Outcome(order_id=done.id, noticed=bool(done.notices))
        return Outcome()

    def look(self) -> Look:
        read = self._eye.execute
        ((revision,),) = read("SELECT revision FROM store").fetchall()
        ((entries,),) = read("SELECT count(*) FROM audit").fetchall()
        ledgers: dict[str, list[int]] = {}
        for tenant_id, amount in read("SELECT tenant_id, amount FROM ledger ORDER BY id"):
            ledgers.setdefault(tenant_id, []).append(amount)
        return Look(
            revision=revision,
            entries=entries,
            digest=hash(tuple(tuple(read(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()) for table in TABLES)),
            records={
                tenant_id: self._record(tenant_id, changed, data)
                for tenant_id, changed, data in read("SELECT tenant_id, revision, record FROM entitlement")
            },
            ledgers=ledgers,
            balances=dict(read("SELECT tenant_id, balance FROM account").fetchall()),
            sums={order: (total, paid) for order, total, paid in read(SUMS)},
            plans={plan: (owner, name, bool(archived)) for plan, owner, name, archived in read(PLANS)},
            versions={("tenant", tenant_id): (version, of) for tenant_id, version, *of in read(TENANT_VERSIONS)}
            | {("plan", plan): (version, of) for plan, version, *of in read(PLAN_VERSIONS)},
        )

    def _record(self, tenant_id: str, changed: int, data: bytes) -> Record:
        """A record that is of the same revision is the same."""
        key = (tenant_id, changed)
        if key not in self._records:
            self._records[key] = records.decode(data)
        return self._records[key]

    def fault(self) -> str:
        """What is wrong with the audit trail, or the digest of the records; "" when both hold."""
        with self.store.reading() as conn:
            said = conn.scalars(select(schema.store.c.digest)).one()
            logged = conn.scalars(select(LOG.c.digest).order_by(LOG.c.revision.desc()).limit(1)).one()
            held = digest_of(tuple(row) for row in conn.execute(select(E.c.tenant_id, E.c.record)))
            if not said == logged == held:
                return f"the records have digest {held}, the store says {said}, its log {logged}"
            return audit.verify(conn).fault


# --- operations ---


def new_tenant(w: Writing, op: Plain) -> object:
    more = {"parent_id": op["parent"], "zone": op["zone"], "edition": op["edition"]}
    return tenants.create_tenant(w, op["tenant"], now=op["at"], **more)


def update_tenant(w: Writing, op: Plain) -> object:
    given = {name: op[name] for name in ("zone", "edition", "language", "tags") if name in op}
    version = expected(op, lambda: tenants.get_tenant(w.conn, op["tenant"]).version)
    return tenants.update_tenant(w, op["tenant"], now=op["at"], expected_version=version, **given)


def expected(op: Plain, current: Callable[[], int]) -> int | None:
    """The version that a change states, if it does: as it is, or as it was."""
    return None if "version" not in op else current() - (op["version"] == "stale")


def block(w: Writing, op: Plain) -> object:
    ends_at = FOREVER if op["until"] == NEVER else op["until"]
    return blocks.block_tenant(
        w, op["tenant"], op["name"], starts_at=op["from"], ends_at=ends_at, cascade=op["cascade"]
    )


def put_edition(w: Writing, op: Plain) -> object:
    tiers = [
        Price(currency=currency, key=key, from_quantity=start, unit_price=unit_price)
        for (currency, key), listed in op["prices"].items()
        for start, unit_price in listed
    ]
    return catalogue.put_edition(w, op["edition"], op["cap"], tiers)


def place(w: Writing, op: Plain) -> object:
    items = {}
    for product, quantity in op["products"].items():
        stated = op.get("money", {}).get(product, {})
        items[product] = Item(
            quantity=quantity,
            unit_price=stated.get("unit_price"),
            billing_starts_at=stated.get("billed_from"),
            billing_periods=stated.get("periods"),
        )
    deal = Deal(currency=op.get("currency", ""), coupon_amount=op.get("coupon_amount", 0), credit=op.get("credit", 0))
    return orders.place_order(
        w,
        op["tenant"],
        Kind(op["kind"]),
        items,
        now=op["at"],
        term=Term(starts_at=op.get("starts_at"), length=period(op.get("length")), ends_at=op.get("ends_at")),
        trial=op.get("trial", False),
        edition=op.get("edition"),
        late_start=LateStart(op.get("late_start", "own_start")),
        deal=deal,
    )


def period(given: Plain | None) -> Period | None:
    return None if given is None else Period(months=given.get("months", 0), days=given.get("days", 0))


def plan_terms(op: Plain) -> PlanTerms:
    blocking = op["blocking"]
    return PlanTerms(
        services=tuple(Service(product=product, quantity=quantity) for product, quantity in op["services"]),
        blocking=None if blocking is None else BlockingTerms(**blocking | {"basis": Basis[blocking["basis"].upper()]}),
    )


def update_plan(w: Writing, op: Plain) -> object:
    terms = plan_terms(op) if "services" in op else None
    version = expected(op, lambda: plans.get_plan(w.conn, op["plan"]).version)
    return plans.update_plan(w, op["plan"], name=op.get("name"), terms=terms, expected_version=version)


def settings(op: Plain) -> dict[str, Any]:
    given = {name: op[name] for name in ("balance", "allowed_balance", "deferral_days")}
    if op["basis"] == "money":
        given |= {"charge": op["charge"], "anchor": op["anchor"], "period": period(op["period"])}
    return given | {"basis": Basis[op["basis"].upper()], "now": op["at"]}


def set_charge(w: Writing, op: Plain) -> object:
    more = {"anchor": op.get("anchor"), "period": period(op.get("period"))}
    return accounts.set_charge(w, op["tenant"], now=op["at"], charge=op["charge"], **more)


def set_blocking(w: Writing, op: Plain) -> object:
    given = {name: op[name] for name in ("allowed_balance", "deferral_days") if name in op}
    return accounts.set_blocking(w, op["tenant"], now=op["at"], **given)


def settle(w: Writing, op: Plain) -> object:
    accounts.get_account(w.conn, op["tenant"])
    tenants.writable(w.conn, op["tenant"])
    return accounts.settle_account(w, op["tenant"], now=op["at"])


def use(w: Writing, op: Plain) -> object:
    change = usage.Delta(units=op["delta"]) if "delta" in op else usage.Absolute(units=op["absolute"])
    return usage.change_usage(w, op["tenant"], op["key"], change)


def seats(w: Writing, op: Plain) -> object:
    changes = tuple(usage.SeatChange(user_id=user, held=held) for user, held in op["changes"])
    return usage.change_usage(w, op["tenant"], op["key"], usage.Seats(changes=changes))


def reconcile(w: Writing, op: Plain) -> object:
    counts = [counting.Count(key=key, units=units, seats=tuple(users)) for key, units, users in op["counts"]]
    return counting.reconcile_usage(w, op["tenant"], counts, complete=op["complete"])


DOERS: Mapping[str, Callable[[Writing, Plain], object]] = {
    "product.create": lambda w, op: catalogue.create_product(w, product_of(op["doc"]), now=op["at"]),
    "product.update": lambda w, op: catalogue.update_product(w, product_of(op["doc"]), now=op["at"]),
    "edition.put": put_edition,
    "tenant.create": new_tenant,
    "tenant.update": update_tenant,
    "tenant.move": lambda w, op: tenants.move_tenant(w, op["tenant"], op["parent"]),
    "tenant.archive": lambda w, op: tenants.archive_tenant(
        w, op["tenant"], now=op["at"], retention_days=op["retention_days"]
    ),
    "tenant.restore": lambda w, op: tenants.restore_tenant(w, op["tenant"]),
    "tenant.erase": lambda w, op: erasure.erase_tenant(w, op["tenant"], now=op["at"]),
    "tenant.block": block,
    "tenant.unblock": lambda w, op: blocks.unblock_tenant(w, op["tenant"], op["name"]),
    "order.place": place,
    "order.void": lambda w, op: orders.void_order(w, op["order"], now=op["at"], void_at=op.get("void_at")),
    "payment.record": lambda w, op: payments.record_payment(
        w, op["order"], op["amount"], now=op["at"], corrects=op.get("corrects")
    ),
    "plan.create": lambda w, op: plans.create_plan(
        w, op["plan"], name=op["name"], terms=plan_terms(op), now=op["at"], owner_id=op["owner"]
    ),
    "plan.update": update_plan,
    "plan.duplicate": lambda w, op: plans.duplicate_plan(w, op["plan"], now=op["at"], new_id=op["new"]),
    "plan.archive": lambda w, op: plans.archive_plan(w, op["plan"], now=op["at"]),
    "plan.restore": lambda w, op: plans.restore_plan(w, op["plan"]),
    "plan.delete": lambda w, op: plans.delete_plan(w, op["plan"]),
    "plan.assign": lambda w, op: assignments.assign_plan(w, op["tenant"], op["plan"], now=op["at"]),
    "plan.unassign": lambda w, op: assignments.unassign_plan(w, op["tenant"], now=op["at"]),
    "account.open": lambda w, op: accounts.open_account(w, op["tenant"], **settings(op)),
    "account.top_up": lambda w, op: accounts.top_up(w, op["tenant"], op["amount"], now=op["at"]),
    "account.correct": lambda w, op: accounts.correct_balance(
        w, op["tenant"], op["amount"], now=op["at"], reason=op["reason"]
    ),
    "account.set_charge": set_charge,
    "account.set_blocking": set_blocking,
    "account.change_basis": lambda w, op: accounts.change_basis(w, op["tenant"], **settings(op)),
    "account.settle": settle,
    "account.close": lambda w, op: accounts.close_account(w, op["tenant"], now=op["at"], reason="closed"),
    "usage.change": use,
    "usage.seats": seats,
    "usage.reconcile": reconcile,
}
