"""The change feed: a digest of all records after each revision, feed identities limited to tenants, licenses."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from sync import digest

revision: Final = "0003"
down_revision: Final = "0002"


def upgrade() -> None:
    """From schema 2, with whatever it holds. What came before has no digest: who is there gets everything anew."""
    op.add_column("store", sa.Column("digest", sa.Text, nullable=False, server_default=digest.EMPTY))
    op.add_column("store", sa.Column("restored", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("operator", sa.Column("tenants", sa.Text))
    op.create_table(
        "revision_log",
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "license",
        sa.Column("license_id", sa.Text, nullable=False),
        sa.Column("serial", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
        sa.Column("operator", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("tenants", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("license_id", "serial"),
    )
    conn = op.get_bind()
    held = sum(
        digest.row_mark(row.tenant_id, row.record)
        for row in conn.execute(sa.text("SELECT tenant_id, record FROM entitlement"))
    )
    conn.execute(sa.text("UPDATE store SET digest = :digest"), {"digest": digest.as_text(held)})
    op.execute("INSERT INTO revision_log (revision, digest, at) SELECT revision, digest, 0 FROM store")
    op.execute("UPDATE store SET schema_version = 3")
