"""Exports to keep or to reckon with: payments, the ledger, the audit trail, products and plans."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, func, select

from sidecar.core.model import Basis
from sync.backoffice.codec import amount
from sync.store import schema
from sync.store.audit import entry_of
from sync.transfer.formats import Values
from sync.transfer.sought import Export, Sought, moment, pages

P: Final = schema.payment
O: Final = schema.orders  # noqa: E741
G: Final = schema.ledger
A: Final = schema.audit
V: Final = schema.product_version
N: Final = schema.plan

PAYMENTS: Final = select(P, O.c.tenant_id, O.c.currency).join(O, O.c.id == P.c.order_id).order_by(P.c.id)
PRODUCTS: Final = (
    select(V)
    .join(schema.product, (schema.product.c.id == V.c.product_id) & (schema.product.c.version == V.c.version))
    .order_by(V.c.product_id)
)


def _payments(conn: Connection, sought: Sought) -> Iterator[Values]:
    for page in pages(conn, sought.narrow(PAYMENTS, tenant=O.c.tenant_id, at=P.c.recorded_at)):
        for row in page:
            yield {
                "payment": row.id,
                "order": row.order_id,
                "tenant": row.tenant_id,
                "amount": amount(row.amount),
                "currency": row.currency,
                "paid_on": row.paid_on,
                "reference": row.reference,
                "corrects": row.corrects,
                "note": row.note,
                "operator": row.operator,
                "recorded_at": moment(row.recorded_at),
            }


def _ledger(conn: Connection, sought: Sought) -> Iterator[Values]:
    for page in pages(conn, sought.narrow(select(G).order_by(G.c.id), tenant=G.c.tenant_id, at=G.c.at)):
        for row in page:
            yield {
                "entry": row.id,
                "tenant": row.tenant_id,
                "at": moment(row.at),
                "kind": row.kind,
                "basis": Basis(row.basis).name.lower(),
                "amount": amount(row.amount),
                "balance": amount(row.balance),
                "count": row._mapping["count"],
                "reference": row.reference,
                "operator": row.operator,
            }


def _audit(conn: Connection, sought: Sought) -> Iterator[Values]:
    for page in pages(conn, sought.narrow(select(A).order_by(A.c.seq), tenant=A.c.tenant_id, at=A.c.recorded_at)):
        for entry in map(entry_of, page):
            details = entry.details or {}
            yield {
                "entry": entry.seq,
                "recorded_at": moment(entry.recorded_at),
                "operator": entry.operator,
                "action": entry.action,
                "tenant": entry.tenant_id,
                "subject": entry.subject,
                "idempotency_key": entry.idempotency_key,
                "before": details.get("before"),
                "after": details.get("after"),
                "erased": entry.details is None,
                "hash": entry.hash,
            }


def _products(conn: Connection, sought: Sought) -> Iterator[Values]:
    for page in pages(conn, sought.narrow(PRODUCTS, at=V.c.created_at)):
        for row in page:
            document = json.loads(row.doc)
            yield {
                "product": row.product_id,
                "version": row.version,
                "name": document.get("name"),
                "changed_at": moment(row.created_at),
                "document": document,
            }


def _plans(conn: Connection, sought: Sought) -> Iterator[Values]:
    owner = func.coalesce(N.c.owner_id, "")
    for page in pages(conn, sought.narrow(select(N).order_by(N.c.id), tenant=owner, at=N.c.created_at)):
        for row in page:
            yield {
                "plan": row.id,
                "owner": row.owner_id,
                "name": row.name,
                "version": row.version,
                "created_at": moment(row.created_at),
                "archived_at": moment(row.archived_at),
                "document": json.loads(row.doc),
            }


EXPORTS: Final = (
    Export(
        name="payments",
        about="Payments as they were recorded; one below 0 takes another back.",
        columns=(
            "payment",
            "order",
            "tenant",
            "amount",
            "currency",
            "paid_on",
            "reference",
            "corrects",
            "note",
            "operator",
            "recorded_at",
        ),
        rows=_payments,
        numbers=frozenset({"amount"}),
    ),
    Export(
        name="ledger",
        about="Every movement of every balance.",
        columns=("entry", "tenant", "at", "kind", "basis", "amount", "balance", "count", "reference", "operator"),
        rows=_ledger,
        numbers=frozenset({"amount", "balance"}),
    ),
    Export(
        name="audit",
        about="Who changed what, before and after.",
        columns=(
            "entry",
            "recorded_at",
            "operator",
            "action",
            "tenant",
            "subject",
            "idempotency_key",
            "before",
            "after",
            "erased",
            "hash",
        ),
        rows=_audit,
    ),
    Export(
        name="products",
        about="Products as they are sold now.",
        columns=("product", "version", "name", "changed_at", "document"),
        rows=_products,
    ),
    Export(
        name="plans",
        about="Plans; those without an owner are the installation's.",
        columns=("plan", "owner", "name", "version", "created_at", "archived_at", "document"),
        rows=_plans,
    ),
)
