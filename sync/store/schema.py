"""The central store's tables. `store`, `entitlement` and `change_log` are a contract with those who follow the store.

Instants are microseconds since 1970-01-01T00:00Z, money and days of balance are millionths, documents are JSON as text:
nothing here is SQLite's own, so that the same tables can stand in PostgreSQL.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION: Final = 1
"""Number of the last migration: what `store.schema_version` must be."""

metadata: Final = MetaData()
Serial: Final = BigInteger().with_variant(Integer, "sqlite")
"""A row number that only rises: SQLite numbers by itself only a column of exactly this type."""

store: Final = Table(
    "store",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("store_id", Text, nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

entitlement: Final = Table(
    "entitlement",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False),
)

change_log: Final = Table(
    "change_log",
    metadata,
    Column("revision", BigInteger, nullable=False, autoincrement=False),
    Column("tenant_id", Text, nullable=False),
    PrimaryKeyConstraint("revision", "tenant_id"),
)

edition: Final = Table(
    "edition",
    metadata,
    Column("name", Text, primary_key=True),
    Column("cap", BigInteger, nullable=False),
)

tenant: Final = Table(
    "tenant",
    metadata,
    Column("id", Text, primary_key=True),
    Column("parent_id", Text, ForeignKey("tenant.id")),
    Column("zone", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("edition", Text, ForeignKey("edition.name")),
    Column("created_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    Index("tenant_by_parent", "parent_id"),
)

block: Final = Table(
    "block",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenant.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger),
    Column("cascade", Boolean, nullable=False),
    PrimaryKeyConstraint("tenant_id", "name"),
)

product: Final = Table(
    "product",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
)

product_version: Final = Table(
    "product_version",
    metadata,
    Column("product_id", Text, ForeignKey("product.id"), nullable=False),
    Column("version", Integer, nullable=False, autoincrement=False),
    Column("created_at", BigInteger, nullable=False),
    Column("doc", Text, nullable=False),
    PrimaryKeyConstraint("product_id", "version"),
)
"""A product as it was: an order refers to a version, so that editing a product changes no running term."""

orders: Final = Table(
    "orders",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenant.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("edition", Text, ForeignKey("edition.name")),
    Column("placed_at", BigInteger, nullable=False),
    Index("orders_by_tenant", "tenant_id"),
    sqlite_autoincrement=True,
)

order_line: Final = Table(
    "order_line",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("order_id", Serial, ForeignKey("orders.id"), nullable=False),
    Column("product_id", Text, ForeignKey("product.id"), nullable=False),
    Column("product_version", Integer, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger),
    Column("anchor", BigInteger, nullable=False),
    Column("trial_until", BigInteger),
    Index("order_line_by_order", "order_id"),
    sqlite_autoincrement=True,
)

line_end: Final = Table(
    "line_end",
    metadata,
    Column("line_id", Serial, ForeignKey("order_line.id"), nullable=False),
    Column("order_id", Serial, ForeignKey("orders.id"), nullable=False),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("line_id", "order_id"),
)
"""What ended a line before its term: the line is never edited, the later order says so here."""

account: Final = Table(
    "account",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenant.id"), primary_key=True),
    Column("basis", Integer, nullable=False),
    Column("balance", BigInteger, nullable=False),
    Column("as_of", BigInteger, nullable=False),
    Column("owed_since", BigInteger),
    Column("owed_charge", BigInteger, nullable=False),
    Column("charge", BigInteger, nullable=False),
    Column("anchor", BigInteger, nullable=False),
    Column("period_months", Integer, nullable=False),
    Column("period_days", Integer, nullable=False),
    Column("allowed_balance", BigInteger, nullable=False),
    Column("deferral_days", Integer, nullable=False),
)

usage: Final = Table(
    "usage",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenant.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("units", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "key"),
)

seat: Final = Table(
    "seat",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenant.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    UniqueConstraint("tenant_id", "key", "user_id", name="one_seat_a_user"),
    sqlite_autoincrement=True,
)
"""`id` is the order of assignment over all tenants, so that pools keep it when they are joined."""

idempotency: Final = Table(
    "idempotency",
    metadata,
    Column("key", Text, primary_key=True),
    Column("content", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
