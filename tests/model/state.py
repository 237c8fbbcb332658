"""What the model remembers: plain values, nothing derived from anything else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Plain = dict[str, Any]
NEVER = 2**63 - 1
MICROS = 1_000_000


@dataclass
class Ruling:
    """What becomes of an operation: refused for certain, perhaps, or done by calling `do`."""

    must: set[str] = field(default_factory=set)
    may: set[str] = field(default_factory=set)
    do: Callable[[], Any] = lambda: None


@dataclass
class Tenant:
    id: str
    parent: str | None
    zone: str
    edition: str | None = None
    language: str = ""
    tags: list[str] = field(default_factory=list)
    archived_at: int | None = None
    erase_after: int | None = None
    erased_at: int | None = None
    blocks: dict[str, tuple[int, int, bool]] = field(default_factory=dict)  # name: from, until, cascade
    units: dict[str, int] = field(default_factory=dict)
    account: Plain | None = None  # as tests/oracle.py has it, with the tenant's own blocking settings
    ledger: list[tuple[str, int]] = field(default_factory=list)  # kind, amount


@dataclass
class Line:
    """A product in an order or a plan, as it was then, and its window. `ended` are the instants that cut it short."""

    product: Plain
    quantity: int
    starts_at: int
    ends_at: int
    anchor: int
    paid: bool = True
    trial_until: int | None = None
    unit_price: int = 0
    billed_from: int | None = None
    periods: int = 0
    kept: bool = False  # carried over by an upgrade that does not name it: nothing to pay
    ended: list[int] = field(default_factory=list)

    def end(self) -> int:
        return min([self.ends_at, *self.ended])

    def empty(self) -> bool:
        return self.end() <= self.starts_at

    def runs(self, t: int) -> bool:
        return self.starts_at <= t < self.end()


@dataclass
class Order:
    id: int
    tenant: str
    kind: str
    lines: list[Line]
    trial: bool = False
    edition: str | None = None
    voids: int | None = None
    void_at: int | None = None
    total: int = 0
    payments: list[tuple[int, int, int | None]] = field(default_factory=list)  # id, amount, corrects
    noticed: bool = False  # the operator is told of something


@dataclass
class Plan:
    id: str
    owner: str | None
    name: str
    services: list[tuple[str, int]]
    blocking: Plain | None
    archived: bool = False


@dataclass
class Assignment:
    tenant: str
    plan: str
    blocking: Plain | None
    lines: list[Line]
    taken_away: bool = False


@dataclass
class Office:
    tenants: dict[str, Tenant] = field(default_factory=dict)
    products: dict[str, list[Plain]] = field(default_factory=dict)  # every version, the last one is sold now
    editions: dict[str, Plain] = field(default_factory=dict)  # {"cap", "prices": {(currency, key): [(from, price)]}}
    orders: list[Order] = field(default_factory=list)
    plans: dict[str, Plan] = field(default_factory=dict)
    assignments: list[Assignment] = field(default_factory=list)
    seats: list[tuple[str, str, str]] = field(default_factory=list)  # tenant, key, user, in order of assignment


def refuses_tenant(office: Office, tenant_id: str, *, archived: bool = True) -> set[str]:
    """What stands against a change at a tenant; `archived`: whether being archived does."""
    if tenant_id not in office.tenants:
        return {"UNKNOWN_TENANT"}
    tenant = office.tenants[tenant_id]
    if tenant.erased_at is not None:
        return {"TENANT_ERASED", "TENANT_ARCHIVED"} if archived else {"TENANT_ERASED"}
    return {"TENANT_ARCHIVED"} if archived and tenant.archived_at is not None else set()
