"""Products and editions on record (domain.md 3). Products are kept in versions; orders refer to the one bought."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, insert, select, update

from sidecar.core.model import Instant
from sync.store import schema
from sync.store.db import Writing
from sync.store.errors import Refused
from sync.store.products import Product, parse_product


def create_product(writing: Writing, product: Product, *, now: Instant) -> None:
    """Adds a product. Refused: PRODUCT_EXISTS."""
    if _current_version(writing.conn, product.id) is not None:
        raise Refused("PRODUCT_EXISTS", f"there is a product {product.id!r} already: update it, or choose another id")
    writing.conn.execute(insert(schema.product).values(id=product.id, version=1))
    _add_version(writing.conn, product, 1, now)
    writing.audit("product.create", f"product:{product.id}", after=product.model_dump(exclude_defaults=True))


def update_product(writing: Writing, product: Product, *, now: Instant) -> int:
    """Changes what later orders buy, and returns the version; running terms keep theirs. Refused: UNKNOWN_PRODUCT."""
    current = _current_version(writing.conn, product.id)
    if current is None:
        raise _unknown(product.id)
    before = get_product(writing.conn, product.id)[0]
    if before == product:
        return current
    writing.conn.execute(update(schema.product).where(schema.product.c.id == product.id).values(version=current + 1))
    _add_version(writing.conn, product, current + 1, now)
    told = before.model_dump(exclude_defaults=True), product.model_dump(exclude_defaults=True)
    writing.audit("product.update", f"product:{product.id}", before=told[0], after=told[1])
    return current + 1


def _add_version(conn: Connection, product: Product, version: int, now: Instant) -> None:
    doc = product.model_dump_json(exclude_defaults=True)
    conn.execute(insert(schema.product_version).values(product_id=product.id, version=version, created_at=now, doc=doc))


def _current_version(conn: Connection, product_id: str) -> int | None:
    return conn.scalar(select(schema.product.c.version).where(schema.product.c.id == product_id))


def _unknown(product_id: str) -> Refused:
    return Refused("UNKNOWN_PRODUCT", f"there is no product {product_id!r}: see `deskgate product list`")


def get_product(conn: Connection, product_id: str) -> tuple[Product, int]:
    """A product as it is sold now, and its version. Refused: UNKNOWN_PRODUCT."""
    p, v = schema.product, schema.product_version
    row = conn.execute(
        select(v.c.doc, v.c.version)
        .join(p, (p.c.id == v.c.product_id) & (p.c.version == v.c.version))
        .where(p.c.id == product_id)
    ).one_or_none()
    if row is None:
        raise _unknown(product_id)
    return parse_product(row.doc), row.version


def list_products(conn: Connection) -> list[tuple[Product, int]]:
    """Every product as it is sold now, by id."""
    p, v = schema.product, schema.product_version
    rows = conn.execute(
        select(v.c.doc, v.c.version).join(p, (p.c.id == v.c.product_id) & (p.c.version == v.c.version)).order_by(p.c.id)
    )
    return [(parse_product(row.doc), row.version) for row in rows]


def edition_caps(conn: Connection) -> dict[str, int]:
    """Edition to the most desks that a tenant of it may hold."""
    return {row.name: row.cap for row in conn.execute(select(schema.edition))}


def known_edition(conn: Connection, name: str | None) -> str | None:
    """`name`, or None. Refused: UNKNOWN_EDITION."""
    caps = edition_caps(conn)
    if name is not None and name not in caps:
        raise unknown_edition(name, caps)
    return name


def unknown_edition(name: str, known: Iterable[str]) -> Refused:
    """There is none of this name."""
    return Refused("UNKNOWN_EDITION", f"there is no edition {name!r}: it is one of {', '.join(sorted(known))}")
