"""The central store's tables. `store`, `entitlement`, `change_log` and `revision_log` are a contract with those who
follow the store.

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

from sync.digest import EMPTY

SCHEMA_VERSION: Final = 3
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
    Column("audit_seq", BigInteger, nullable=False, server_default="0"),
    Column("audit_hash", Text, nullable=False, server_default=""),
    Column("digest", Text, nullable=False, server_default=EMPTY),
    Column("restored", BigInteger, nullable=False, server_default="0"),
)
"""One row. `digest` is that of all rows of `entitlement` (sync.digest). `restored`: the revision at which an operator
said that an earlier state is meant (0: never); whoever holds an earlier one takes everything anew. `audit_seq` and
`audit_hash` are those of the last entry of the audit trail, so that a cut tail shows."""

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

revision_log: Final = Table(
    "revision_log",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
"""`store.digest` as it was after each revision, so that a history that went back, or apart, can be told from ours. Kept
as long as `change_log`: from its first revision on changes can be had one after the other."""

edition: Final = Table(
    "edition",
    metadata,
    Column("name", Text, primary_key=True),
    Column("cap", BigInteger, nullable=False),
)

edition_price: Final = Table(
    "edition_price",
    metadata,
    Column("edition", Text, ForeignKey("edition.name"), nullable=False),
    Column("currency", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("from_quantity", BigInteger, nullable=False, autoincrement=False),
    Column("unit_price", BigInteger, nullable=False),
    PrimaryKeyConstraint("edition", "currency", "key", "from_quantity"),
)
"""Price of one unit of a key for a billing period, from a quantity of it on."""

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
    Column("name", Text, nullable=False, server_default=""),
    Column("contacts", Text, nullable=False, server_default="[]"),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("erase_after", BigInteger),
    Column("erased_at", BigInteger),
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
    Column("starts_at", BigInteger, nullable=False, server_default="0"),
    Column("voids", Serial, ForeignKey("orders.id")),
    Column("void_at", BigInteger),
    Column("purchased_on", Text, nullable=False, server_default=""),
    Column("currency", Text, nullable=False, server_default=""),
    Column("coupon", Text, nullable=False, server_default=""),
    Column("coupon_amount", BigInteger, nullable=False, server_default="0"),
    Column("credit", BigInteger, nullable=False, server_default="0"),
    Column("total", BigInteger, nullable=False, server_default="0"),
    Column("note", Text, nullable=False, server_default=""),
    Column("operator", Text, nullable=False, server_default=""),
    Index("orders_by_tenant", "tenant_id"),
    Index("orders_by_voids", "voids"),
    sqlite_autoincrement=True,
)
"""Kind VOID: `voids` names the order that it ends at `void_at`. `starts_at` is the earliest of an order's lines."""

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
    Column("unit_price", BigInteger, nullable=False, server_default="0"),
    Column("billing_starts_at", BigInteger),
    Column("billing_ends_at", BigInteger),
    Column("billing_periods", Integer, nullable=False, server_default="0"),
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

payment: Final = Table(
    "payment",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("order_id", Serial, ForeignKey("orders.id"), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("paid_on", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("corrects", Serial, ForeignKey("payment.id")),
    Column("note", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Index("payment_by_order", "order_id"),
    sqlite_autoincrement=True,
)
"""A payment made outside; one below 0 takes back (part of) the one that it `corrects`."""

provisioning: Final = Table(
    "provisioning",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("order_id", Serial, ForeignKey("orders.id"), nullable=False),
    Column("provisioned_at", BigInteger, nullable=False),
    Column("reference", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Index("provisioning_by_order", "order_id"),
    sqlite_autoincrement=True,
)

plan: Final = Table(
    "plan",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_id", Text, ForeignKey("tenant.id")),
    Column("name", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("archived_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("doc", Text, nullable=False),
    Index("plan_by_owner", "owner_id"),
)
"""`owner_id` none: of the installation. `doc` holds its services and blocking settings."""

plan_assignment: Final = Table(
    "plan_assignment",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenant.id"), nullable=False),
    Column("plan_id", Text, nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger),
    Column("operator", Text, nullable=False),
    Index("plan_assignment_by_tenant", "tenant_id"),
    Index("plan_assignment_by_plan", "plan_id"),
    sqlite_autoincrement=True,
)
"""No `ends_at`: in force. A deleted plan is still named here: what it granted is on record."""

plan_line: Final = Table(
    "plan_line",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("assignment_id", Serial, ForeignKey("plan_assignment.id"), nullable=False),
    Column("product_id", Text, ForeignKey("product.id"), nullable=False),
    Column("product_version", Integer, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Index("plan_line_by_assignment", "assignment_id"),
    sqlite_autoincrement=True,
)
"""A plan's service with the product as it was when the plan was assigned."""

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
"""`allowed_balance` and `deferral_days` are the tenant's own; those of an assigned plan come before them."""

ledger: Final = Table(
    "ledger",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenant.id"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("basis", Integer, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("balance", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("reference", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Index("ledger_by_tenant", "tenant_id", "id"),
    sqlite_autoincrement=True,
)
"""Every movement of every balance: the amounts of a tenant add up to its balance, after each entry to `balance`."""

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
    Column("tenant_id", Text, nullable=False, server_default=""),
    Index("idempotency_by_tenant", "tenant_id"),
)
"""`tenant_id`: whom the answer is about, whatever was changed, so that it is erased with them; "": nobody."""

operator: Final = Table(
    "operator",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("token_hash", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
    Column("tenants", Text),
    UniqueConstraint("token_hash", name="one_operator_a_token"),
)
"""`tenants`: the only ones that it may follow over the feed, as a JSON list; none: every one."""

issued_license: Final = Table(
    "license",
    metadata,
    Column("license_id", Text, nullable=False),
    Column("serial", BigInteger, nullable=False, autoincrement=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("operator", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("tenants", Text, nullable=False),
    PrimaryKeyConstraint("license_id", "serial"),
)
"""Signed licenses that were issued for private deployments; `tenants` as a JSON list."""

audit: Final = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("operator", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("details", Text),
    Column("digest", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("audit_by_tenant", "tenant_id", "seq"),
)
"""Append-only, numbered without a gap. `hash` covers the row and the hash before it; `details` (before and after) it
covers by their `digest`, so that they can be erased with their tenant and the chain still holds."""

notice: Final = Table(
    "notice",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("dedupe", Text, nullable=False),
    Column("tenant_id", Text, ForeignKey("tenant.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", BigInteger, nullable=False),
    Column("claimed_by", Text, nullable=False),
    Column("claimed_until", BigInteger, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("recipients", Text, nullable=False),
    Column("sent_at", BigInteger),
    Column("error", Text, nullable=False),
    UniqueConstraint("dedupe", name="one_notice_an_occasion"),
    Index("notice_by_state", "state", "next_attempt_at"),
    Index("notice_by_tenant", "tenant_id"),
    sqlite_autoincrement=True,
)
"""E-mails to a tenant's contacts, on their way and sent: one an occasion, which `dedupe` names."""
