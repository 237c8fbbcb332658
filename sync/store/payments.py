"""Payments made outside, and provisionings: facts about orders (domain.md 3) of which the customer is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select

from sidecar.core.calendar import format_instant, zone_of
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Instant
from sidecar.core.text import amount as amount_text
from sync.store import notices, schema, seeking
from sync.store.db import Writing
from sync.store.errors import Refused
from sync.store.lineage import chunks
from sync.store.names import checked_title
from sync.store.orderbook import Order, get_order
from sync.store.placing import Kind
from sync.store.prices import MOST_AMOUNT
from sync.store.pricing import checked_date, checked_note, day_of
from sync.store.tenants import Tenant, get_tenant, present
from sync.store.terms import in_calendar

P: Final = schema.payment
V: Final = schema.provisioning


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment on record, in millionths of its order's currency; below 0 it takes back of the one it `corrects`."""

    id: int
    order_id: int
    amount: int
    paid_on: str
    reference: str
    corrects: int | None
    note: str
    operator: str
    recorded_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioning:
    """That what an order buys was made ready, on record."""

    id: int
    order_id: int
    provisioned_at: Instant
    reference: str
    note: str
    operator: str
    recorded_at: Instant


def record_payment(
    writing: Writing,
    order_id: int,
    amount: int,
    *,
    now: Instant,
    paid_on: str = "",
    reference: str = "",
    corrects: int | None = None,
    note: str = "",
) -> Payment:
    """Records a payment of an order; one below 0 `corrects` an earlier one, and takes back at most what is left of it.

    `paid_on` "": the day of `now` in the tenant's zone. Raises InvalidRequest, or Refused: UNKNOWN_ORDER,
    TENANT_ERASED, UNKNOWN_PAYMENT, CORRECTION_TOO_LARGE.
    """
    order, tenant = _order(writing, order_id, now)
    _check_amount(amount, corrects)
    if corrects is not None:
        _refuse_too_large(payments_of(writing.conn, [order_id]).get(order_id, []), corrects, amount)
    values = {
        "order_id": order_id,
        "amount": amount,
        "paid_on": checked_date("paid_on", paid_on) if paid_on else day_of(now, zone_of(tenant.zone)),
        "reference": checked_title("reference", reference),
        "corrects": corrects,
        "note": checked_note("note", note),
        "operator": writing.by.operator,
        "recorded_at": writing.by.at,
    }
    payment = _payment(writing.conn.execute(insert(P).values(values).returning(P)).one())
    told = {name: value for name, value in asdict(payment).items() if name not in ("order_id", "recorded_at")}
    writing.audit("payment.record", f"order:{order_id}", tenant_id=order.tenant_id, after=told)
    facts: dict[str, str | int] = {"order_id": order_id, "amount": amount, "currency": order.currency}
    facts |= {"paid_on": payment.paid_on, "reference": payment.reference}
    notices.queue(writing, order.tenant_id, "payment_recorded", facts, dedupe=f"payment_recorded:{payment.id}", now=now)
    return payment


def _order(writing: Writing, order_id: int, now: Instant) -> tuple[Order, Tenant]:
    in_calendar("at", now)
    order = get_order(writing.conn, order_id)
    if order.kind is Kind.VOID:
        raise InvalidRequest("order_id", f"order {order_id} is a VOID and buys nothing: name order {order.voids}")
    return order, present(writing.conn, order.tenant_id)


def _check_amount(amount: int, corrects: int | None) -> None:
    if corrects is None and not 0 < amount <= MOST_AMOUNT:
        raise InvalidRequest("amount", "more than 0, to 10^12; to take back, name the payment that it corrects")
    if corrects is not None and not -MOST_AMOUNT <= amount < 0:
        raise InvalidRequest("amount", "a correction is below 0: what it takes back")


def _refuse_too_large(payments: Iterable[Payment], corrects: int, amount: int) -> None:
    known = {payment.id: payment for payment in payments}
    if corrects not in known:
        raise Refused("UNKNOWN_PAYMENT", f"this order has no payment {corrects}: see `deskgate order history`")
    if known[corrects].corrects is not None:
        raise InvalidRequest("corrects", f"payment {corrects} is a correction itself: record a payment instead")
    left = known[corrects].amount + sum(each.amount for each in known.values() if each.corrects == corrects)
    if left + amount < 0:
        raise Refused("CORRECTION_TOO_LARGE", f"{amount_text(left)} are left of payment {corrects}: take back no more")


def record_provisioning(
    writing: Writing,
    order_id: int,
    *,
    now: Instant,
    provisioned_at: Instant | None = None,
    reference: str = "",
    note: str = "",
) -> Provisioning:
    """Records that what an order buys was made ready; `provisioned_at` None: at `now`.

    Raises InvalidRequest, or Refused: UNKNOWN_ORDER, TENANT_ERASED.
    """
    order, _ = _order(writing, order_id, now)
    in_calendar("provisioned_at", provisioned_at)
    values = {
        "order_id": order_id,
        "provisioned_at": now if provisioned_at is None else provisioned_at,
        "reference": checked_title("reference", reference),
        "note": checked_note("note", note),
        "operator": writing.by.operator,
        "recorded_at": writing.by.at,
    }
    made = _provisioning(writing.conn.execute(insert(V).values(values).returning(V)).one())
    at = format_instant(made.provisioned_at)
    told = {"id": made.id, "provisioned_at": at, "reference": made.reference, "note": made.note}
    writing.audit("provisioning.record", f"order:{order_id}", tenant_id=order.tenant_id, after=told)
    facts: dict[str, str | int] = {"order_id": order_id, "provisioned_at": made.provisioned_at}
    facts |= {"reference": made.reference}
    notices.queue(writing, order.tenant_id, "provisioned", facts, dedupe=f"provisioned:{made.id}", now=now)
    return made


def payments_of(conn: Connection, order_ids: Iterable[int]) -> Mapping[int, list[Payment]]:
    """Order to its payments, oldest first."""
    found: dict[int, list[Payment]] = defaultdict(list)
    for chunk in chunks(order_ids):
        for row in conn.execute(select(P).where(P.c.order_id.in_(chunk)).order_by(P.c.id)):
            found[row.order_id].append(_payment(row))
    return found


def provisionings_of(conn: Connection, order_ids: Iterable[int]) -> Mapping[int, list[Provisioning]]:
    """Order to its provisionings, oldest first."""
    found: dict[int, list[Provisioning]] = defaultdict(list)
    for chunk in chunks(order_ids):
        for row in conn.execute(select(V).where(V.c.order_id.in_(chunk)).order_by(V.c.id)):
            found[row.order_id].append(_provisioning(row))
    return found


def due_of(conn: Connection, order_id: int) -> int:
    """What is still to pay of an order; below 0 when too much was paid. Refused: UNKNOWN_ORDER."""
    total = get_order(conn, order_id).total
    return total - sum(payment.amount for payment in payments_of(conn, [order_id]).get(order_id, ()))


def list_payments(
    conn: Connection,
    tenant_id: str = "",
    *,
    order_id: int = 0,
    reference: str = "",
    after: int = 0,
    limit: int = 1000,
) -> list[Payment]:
    """Payments, oldest first, at most `limit`, those after a number; a filter that is left out leaves all.

    Refused: UNKNOWN_TENANT, UNKNOWN_ORDER.
    """
    if tenant_id:
        get_tenant(conn, tenant_id)
    if order_id:
        get_order(conn, order_id)
    ids = seeking.payment_ids(
        conn, after=after, limit=limit, tenant_id=tenant_id, order_id=order_id, reference=reference
    )
    rows = (conn.execute(select(P).where(P.c.id.in_(chunk)).order_by(P.c.id)) for chunk in chunks(ids))
    return [_payment(row) for found in rows for row in found]


def _payment(row: Row[Any]) -> Payment:
    return Payment(
        id=row.id,
        order_id=row.order_id,
        amount=row.amount,
        paid_on=row.paid_on,
        reference=row.reference,
        corrects=row.corrects,
        note=row.note,
        operator=row.operator,
        recorded_at=row.recorded_at,
    )


def _provisioning(row: Row[Any]) -> Provisioning:
    return Provisioning(
        id=row.id,
        order_id=row.order_id,
        provisioned_at=row.provisioned_at,
        reference=row.reference,
        note=row.note,
        operator=row.operator,
        recorded_at=row.recorded_at,
    )
