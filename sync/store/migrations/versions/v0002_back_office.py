"""The back office: prices, plans, payments, a ledger, operators, an audit trail, notices.

What the first cut holds stays as it is. Balances get an opening entry, so that the ledger adds up from here on.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"

RETENTION: Final = 365 * 86_400_000_000
"""Microseconds for which tenants that are archived already are kept."""


def _serial() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _id() -> sa.Column[int]:
    return sa.Column("id", _serial(), primary_key=True)


def _text(name: str, *, to: str | None = None, null: bool = False, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text, *([sa.ForeignKey(to)] if to else []), nullable=null, server_default=default)


def _big(name: str, *, null: bool = False, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null, server_default=default, autoincrement=False)


def _int(name: str, *, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default=default, autoincrement=False)


def _ref(name: str, to: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, _serial(), sa.ForeignKey(to), nullable=null, autoincrement=False)


def _add(table: str, *columns: sa.Column[Any]) -> None:
    for column in columns:
        op.add_column(table, column)


def upgrade() -> None:
    """From schema 1, with whatever it holds."""
    _parties()
    _orders()
    _plans()
    _ledger()
    _mail()
    op.execute("UPDATE store SET schema_version = 2")


def _parties() -> None:
    _add("store", _big("audit_seq", default="0"), _text("audit_hash", default=""))
    _add(
        "tenant",
        _text("name", default=""),
        _text("contacts", default="[]"),
        _int("version", default="1"),
        _big("erase_after", null=True),
        _big("erased_at", null=True),
    )
    _add("idempotency", _text("tenant_id", default=""))
    op.create_index("idempotency_by_tenant", "idempotency", ["tenant_id"])
    tenant = sa.table("tenant", sa.column("archived_at"), sa.column("erase_after"))
    op.execute(
        sa.update(tenant).where(tenant.c.archived_at.is_not(None)).values(erase_after=tenant.c.archived_at + RETENTION)
    )
    op.create_table(
        "operator",
        sa.Column("name", sa.Text, primary_key=True),
        _text("role"),
        _text("token_hash"),
        _big("created_at"),
        _big("disabled_at", null=True),
        sa.UniqueConstraint("token_hash", name="one_operator_a_token"),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        _big("recorded_at"),
        _text("operator"),
        _text("action"),
        _text("tenant_id"),
        _text("subject"),
        _text("idempotency_key"),
        _text("details", null=True),
        _text("digest"),
        _text("hash"),
    )
    op.create_index("audit_by_tenant", "audit", ["tenant_id", "seq"])


def _orders() -> None:
    op.create_table(
        "edition_price",
        _text("edition", to="edition.name"),
        _text("currency"),
        _text("key"),
        _big("from_quantity"),
        _big("unit_price"),
        sa.PrimaryKeyConstraint("edition", "currency", "key", "from_quantity"),
    )
    _add(
        "orders",
        _big("starts_at", default="0"),
        _big("void_at", null=True),
        _text("purchased_on", default=""),
        _text("currency", default=""),
        _text("coupon", default=""),
        _big("coupon_amount", default="0"),
        _big("credit", default="0"),
        _big("total", default="0"),
        _text("note", default=""),
        _text("operator", default=""),
    )
    kind = _serial().compile(op.get_bind().dialect)
    op.execute(f"ALTER TABLE orders ADD COLUMN voids {kind} REFERENCES orders (id)")  # SQLite knows no other way
    op.create_index("orders_by_voids", "orders", ["voids"])
    op.execute(
        "UPDATE orders SET starts_at = COALESCE("
        "(SELECT MIN(order_line.starts_at) FROM order_line WHERE order_line.order_id = orders.id), placed_at)"
    )
    _add(
        "order_line",
        _big("unit_price", default="0"),
        _big("billing_starts_at", null=True),
        _big("billing_ends_at", null=True),
        _int("billing_periods", default="0"),
    )
    op.create_table(
        "payment",
        _id(),
        _ref("order_id", "orders.id"),
        _big("amount"),
        _text("paid_on"),
        _text("reference"),
        _ref("corrects", "payment.id", null=True),
        _text("note"),
        _text("operator"),
        _big("recorded_at"),
        sqlite_autoincrement=True,
    )
    op.create_index("payment_by_order", "payment", ["order_id"])
    op.create_table(
        "provisioning",
        _id(),
        _ref("order_id", "orders.id"),
        _big("provisioned_at"),
        _text("reference"),
        _text("note"),
        _text("operator"),
        _big("recorded_at"),
        sqlite_autoincrement=True,
    )
    op.create_index("provisioning_by_order", "provisioning", ["order_id"])


def _plans() -> None:
    op.create_table(
        "plan",
        sa.Column("id", sa.Text, primary_key=True),
        _text("owner_id", to="tenant.id", null=True),
        _text("name"),
        _int("version"),
        _big("archived_at", null=True),
        _big("created_at"),
        _text("doc"),
    )
    op.create_index("plan_by_owner", "plan", ["owner_id"])
    op.create_table(
        "plan_assignment",
        _id(),
        _text("tenant_id", to="tenant.id"),
        _text("plan_id"),
        _big("starts_at"),
        _big("ends_at", null=True),
        _text("operator"),
        sqlite_autoincrement=True,
    )
    op.create_index("plan_assignment_by_tenant", "plan_assignment", ["tenant_id"])
    op.create_index("plan_assignment_by_plan", "plan_assignment", ["plan_id"])
    op.create_table(
        "plan_line",
        _id(),
        _ref("assignment_id", "plan_assignment.id"),
        _text("product_id", to="product.id"),
        _int("product_version"),
        _big("quantity"),
        sqlite_autoincrement=True,
    )
    op.create_index("plan_line_by_assignment", "plan_line", ["assignment_id"])


def _ledger() -> None:
    op.create_table(
        "ledger",
        _id(),
        _text("tenant_id", to="tenant.id"),
        _big("at"),
        _text("kind"),
        _int("basis"),
        _big("amount"),
        _big("balance"),
        _big("count"),
        _text("reference"),
        _text("operator"),
        sqlite_autoincrement=True,
    )
    op.create_index("ledger_by_tenant", "ledger", ["tenant_id", "id"])
    op.execute(
        "INSERT INTO ledger (tenant_id, at, kind, basis, amount, balance, count, reference, operator)"
        " SELECT tenant_id, as_of, 'OPENED', basis, balance, balance, 0, 'balance when the ledger began', 'migration'"
        " FROM account ORDER BY tenant_id"
    )


def _mail() -> None:
    op.create_table(
        "notice",
        _id(),
        _text("dedupe"),
        _text("tenant_id", to="tenant.id"),
        _text("kind"),
        _text("facts"),
        _big("due_at"),
        _text("state"),
        _int("attempts"),
        _big("next_attempt_at"),
        _text("claimed_by"),
        _big("claimed_until"),
        _text("message_id"),
        _text("recipients"),
        _big("sent_at", null=True),
        _text("error"),
        sa.UniqueConstraint("dedupe", name="one_notice_an_occasion"),
        sqlite_autoincrement=True,
    )
    op.create_index("notice_by_state", "notice", ["state", "next_attempt_at"])
    op.create_index("notice_by_tenant", "notice", ["tenant_id"])
