"""Whose services a tenant uses, and what is pooled with it (domain.md 3, inheritance)."""

from __future__ import annotations

from tests.model.state import Office, Order


def ancestors(office: Office, tenant_id: str) -> list[str]:
    """The nearest first."""
    found = []
    parent = office.tenants[tenant_id].parent
    while parent is not None:
        found.append(parent)
        parent = office.tenants[parent].parent
    return found


def below(office: Office, tenant_id: str) -> list[str]:
    return [t for t in office.tenants if tenant_id in ancestors(office, t)]


def counts(office: Office, order: Order) -> bool:
    """Voided from its start or before, an order is none; nor is the record that voids another."""
    if order.kind == "VOID":
        return False
    start = min(line.starts_at for line in order.lines)
    return all(v.void_at > start for v in office.orders if v.voids == order.id and v.void_at is not None)


def orders_that_count(office: Office, tenant_id: str) -> list[Order]:
    return [order for order in office.orders if order.tenant == tenant_id and counts(office, order)]


def has_plan(office: Office, tenant_id: str) -> bool:
    return any(a.tenant == tenant_id and not a.taken_away for a in office.assignments)


def serves(office: Office, tenant_id: str) -> bool:
    return has_plan(office, tenant_id) or bool(orders_that_count(office, tenant_id))


def holder(office: Office, tenant_id: str) -> str | None:
    """The nearest ancestor with services, for one that has none of its own."""
    if serves(office, tenant_id):
        return None
    return next((a for a in ancestors(office, tenant_id) if serves(office, a)), None)


def pool(office: Office, owner: str) -> list[str]:
    """All whose usage counts together in the owner's record: archived tenants apart."""
    sharing = [owner, *(t for t in office.tenants if holder(office, t) == owner)]
    return [t for t in sharing if office.tenants[t].archived_at is None]


def own_edition(office: Office, tenant_id: str) -> str | None:
    """That of the latest order that names one, else what an operator set."""
    named = [order.edition for order in orders_that_count(office, tenant_id) if order.edition is not None]
    return named[-1] if named else office.tenants[tenant_id].edition


def edition(office: Office, tenant_id: str) -> str | None:
    """As policies see it: one that shares an ancestor's services and has no edition counts as the ancestor's."""
    shared = holder(office, tenant_id)
    own = own_edition(office, tenant_id)
    return own_edition(office, shared) if own is None and shared is not None else own
