"""The purchase history of a tenant (domain.md 3): every order with what was paid, made ready and granted for it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from sidecar.core.model import Grant
from sync.store.orderbook import Order, list_orders
from sync.store.payments import Payment, Provisioning, payments_of, provisionings_of
from sync.store.terms import grants_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """An order, and what came of it. `due` is what is still to pay, below 0 when too much was paid.

    `grants` are those that hold or held: what later orders ended is cut off.
    """

    order: Order
    payments: tuple[Payment, ...]
    provisionings: tuple[Provisioning, ...]
    paid: int
    due: int
    grants: tuple[Grant, ...]


def purchase_history(conn: Connection, tenant_id: str, *, after: int = 0, limit: int = 1000) -> list[Purchase]:
    """A tenant's purchases, oldest first, at most `limit`, those after an order's number. Refused: UNKNOWN_TENANT."""
    orders = list_orders(conn, tenant_id, after=after, limit=limit)
    ids = [order.id for order in orders]
    payments, provisionings = payments_of(conn, ids), provisionings_of(conn, ids)
    return [_purchase(o, tuple(payments.get(o.id, ())), tuple(provisionings.get(o.id, ()))) for o in orders]


def _purchase(order: Order, payments: tuple[Payment, ...], provisionings: tuple[Provisioning, ...]) -> Purchase:
    paid = sum(payment.amount for payment in payments)
    return Purchase(
        order=order,
        payments=payments,
        provisionings=provisionings,
        paid=paid,
        due=order.total - paid,
        grants=grants_of(order.lines),
    )
