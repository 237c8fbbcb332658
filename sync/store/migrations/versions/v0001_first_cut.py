"""Tenants, products, orders, accounts, usage, and the records that are made of them."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None

EDITIONS: Final = {"trial": 100, "basic": 10_000, "advanced": 50_000, "flagship": 100_000}


def _serial() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _text(name: str, *, to: str | None = None, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, *([sa.ForeignKey(to)] if to else []), nullable=null)


def _big(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null, autoincrement=False)


def _int(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, autoincrement=False)


def _ref(name: str, to: str) -> sa.Column[int]:
    return sa.Column(name, _serial(), sa.ForeignKey(to), nullable=False, autoincrement=False)


def upgrade() -> None:
    """From nothing to an empty store with an identity of its own."""
    _followed()
    _parties()
    _catalogue()
    _orders()
    _running()
    _first_rows()


def _followed() -> None:
    op.create_table(
        "store",
        sa.Column(
            "id", sa.Integer, sa.CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False
        ),
        _text("store_id"),
        _int("schema_version"),
        _big("revision"),
    )
    op.create_table(
        "entitlement",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        _big("revision"),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "change_log", _big("revision"), _text("tenant_id"), sa.PrimaryKeyConstraint("revision", "tenant_id")
    )


def _parties() -> None:
    op.create_table("edition", sa.Column("name", sa.Text, primary_key=True), _big("cap"))
    op.create_table(
        "tenant",
        sa.Column("id", sa.Text, primary_key=True),
        _text("parent_id", to="tenant.id", null=True),
        _text("zone"),
        _text("language"),
        _text("tags"),
        _text("edition", to="edition.name", null=True),
        _big("created_at"),
        _big("archived_at", null=True),
    )
    op.create_index("tenant_by_parent", "tenant", ["parent_id"])
    op.create_table(
        "block",
        _text("tenant_id", to="tenant.id"),
        _text("name"),
        _big("starts_at"),
        _big("ends_at", null=True),
        sa.Column("cascade", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "name"),
    )


def _catalogue() -> None:
    op.create_table("product", sa.Column("id", sa.Text, primary_key=True), _int("version"))
    op.create_table(
        "product_version",
        _text("product_id", to="product.id"),
        _int("version"),
        _big("created_at"),
        _text("doc"),
        sa.PrimaryKeyConstraint("product_id", "version"),
    )


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", _serial(), primary_key=True),
        _text("tenant_id", to="tenant.id"),
        _text("kind"),
        _text("status"),
        _text("edition", to="edition.name", null=True),
        _big("placed_at"),
        sqlite_autoincrement=True,
    )
    op.create_index("orders_by_tenant", "orders", ["tenant_id"])
    op.create_table(
        "order_line",
        sa.Column("id", _serial(), primary_key=True),
        _ref("order_id", "orders.id"),
        _text("product_id", to="product.id"),
        _int("product_version"),
        _big("quantity"),
        _big("starts_at"),
        _big("ends_at", null=True),
        _big("anchor"),
        _big("trial_until", null=True),
        sqlite_autoincrement=True,
    )
    op.create_index("order_line_by_order", "order_line", ["order_id"])
    op.create_table(
        "line_end",
        _ref("line_id", "order_line.id"),
        _ref("order_id", "orders.id"),
        _big("at"),
        sa.PrimaryKeyConstraint("line_id", "order_id"),
    )


def _running() -> None:
    op.create_table(
        "account",
        sa.Column("tenant_id", sa.Text, sa.ForeignKey("tenant.id"), primary_key=True),
        _int("basis"),
        _big("balance"),
        _big("as_of"),
        _big("owed_since", null=True),
        _big("owed_charge"),
        _big("charge"),
        _big("anchor"),
        _int("period_months"),
        _int("period_days"),
        _big("allowed_balance"),
        _int("deferral_days"),
    )
    op.create_table(
        "usage",
        _text("tenant_id", to="tenant.id"),
        _text("key"),
        _big("units"),
        sa.PrimaryKeyConstraint("tenant_id", "key"),
    )
    op.create_table(
        "seat",
        sa.Column("id", _serial(), primary_key=True),
        _text("tenant_id", to="tenant.id"),
        _text("key"),
        _text("user_id"),
        sa.UniqueConstraint("tenant_id", "key", "user_id", name="one_seat_a_user"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "idempotency", sa.Column("key", sa.Text, primary_key=True), _text("content"), _text("answer"), _big("at")
    )


def _first_rows() -> None:
    store = sa.table(
        "store", sa.column("id"), sa.column("store_id"), sa.column("schema_version"), sa.column("revision")
    )
    op.bulk_insert(store, [{"id": 1, "store_id": str(uuid4()), "schema_version": 1, "revision": 0}])
    edition = sa.table("edition", sa.column("name"), sa.column("cap"))
    op.bulk_insert(edition, [{"name": name, "cap": cap} for name, cap in EDITIONS.items()])
