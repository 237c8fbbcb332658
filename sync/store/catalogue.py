"""Products and editions on record (domain.md 3). Products are kept in versions; orders refer to the one bought.

An edition is as it is now: a cap that is lowered and prices that change are for the orders that come.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Final

from sqlalchemy import Connection, insert, select, update

from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Instant
from sync.store import schema
from sync.store.db import Writing
from sync.store.errors import Refused
from sync.store.names import checked_name
from sync.store.prices import Price, prices_of, replace_prices
from sync.store.products import Product, parse_product

E: Final = schema.edition
P: Final = schema.product
V: Final = schema.product_version
SOLD: Final = select(V.c.doc, V.c.version).join(P, (P.c.id == V.c.product_id) & (P.c.version == V.c.version))
MOST_DESKS: Final = 2**53


def create_product(writing: Writing, product: Product, *, now: Instant) -> None:
    """Adds a product. Refused: PRODUCT_EXISTS."""
    if _current_version(writing.conn, product.id) is not None:
        raise Refused("PRODUCT_EXISTS", f"there is a product {product.id!r} already: update it, or choose another id")
    writing.conn.execute(insert(P).values(id=product.id, version=1))
    _add_version(writing.conn, product, 1, now)
    writing.audit("product.create", f"product:{product.id}", after=product.model_dump(exclude_defaults=True))


def update_product(writing: Writing, product: Product, *, now: Instant, expected_version: int | None = None) -> int:
    """Changes what later orders buy, and returns the version; running terms keep theirs.

    Refused: UNKNOWN_PRODUCT, CONFLICT (it is at another version than expected).
    """
    current = _current_version(writing.conn, product.id)
    if current is None:
        raise unknown_product(product.id)
    if expected_version is not None and expected_version != current:
        raise Refused("CONFLICT", f"{product.id} is at version {current} by now: read it again, then change it")
    before = get_product(writing.conn, product.id)[0]
    if before == product:
        return current
    writing.conn.execute(update(P).where(P.c.id == product.id).values(version=current + 1))
    _add_version(writing.conn, product, current + 1, now)
    told = before.model_dump(exclude_defaults=True), product.model_dump(exclude_defaults=True)
    writing.audit("product.update", f"product:{product.id}", before=told[0], after=told[1])
    return current + 1


def _add_version(conn: Connection, product: Product, version: int, now: Instant) -> None:
    doc = product.model_dump_json(exclude_defaults=True)
    conn.execute(insert(V).values(product_id=product.id, version=version, created_at=now, doc=doc))


def _current_version(conn: Connection, product_id: str) -> int | None:
    return conn.scalar(select(P.c.version).where(P.c.id == product_id))


def unknown_product(product_id: str) -> Refused:
    """There is none of this id."""
    return Refused("UNKNOWN_PRODUCT", f"there is no product {product_id!r}: see `deskgate product list`")


def get_product(conn: Connection, product_id: str) -> tuple[Product, int]:
    """A product as it is sold now, and its version. Refused: UNKNOWN_PRODUCT."""
    found = get_products(conn, [product_id])
    if product_id not in found:
        raise unknown_product(product_id)
    return found[product_id]


def get_products(conn: Connection, ids: Collection[str]) -> dict[str, tuple[Product, int]]:
    """Those of these products that there are, as they are sold now, each with its version."""
    rows = conn.execute(SOLD.add_columns(P.c.id).where(P.c.id.in_(ids)))
    return {row.id: (parse_product(row.doc), row.version) for row in rows}


def list_products(conn: Connection) -> list[tuple[Product, int]]:
    """Every product as it is sold now, by id."""
    return [(parse_product(row.doc), row.version) for row in conn.execute(SOLD.order_by(P.c.id))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """An edition: the most desks that a tenant of it may hold, and its prices by currency, key and quantity."""

    name: str
    cap: int
    prices: tuple[Price, ...] = ()


def put_edition(writing: Writing, name: str, cap: int, prices: Iterable[Price] = ()) -> Edition:
    """Adds an edition, or gives it this cap and this whole price list. No running term is touched by it."""
    conn = writing.conn
    edition = _checked(Edition(name=name, cap=cap, prices=tuple(sorted(prices))))
    before = next(iter(_editions(conn, [name])), None)
    if before == edition:
        return edition
    if before is None:
        conn.execute(insert(E).values(name=name, cap=cap))
    else:
        conn.execute(update(E).where(E.c.name == name).values(cap=cap))
    replace_prices(conn, name, edition.prices)
    writing.audit("edition.put", f"edition:{name}", before=before and asdict(before), after=asdict(edition))
    return edition


def _checked(edition: Edition) -> Edition:
    checked_name("name", edition.name)
    if not 0 <= edition.cap <= MOST_DESKS:
        raise InvalidRequest("cap", f"it is 0 to 2^53 desks, got {edition.cap}")
    tiers = [(price.currency, price.key, price.from_quantity) for price in edition.prices]
    twice = next((tier for tier, following in pairwise(tiers) if tier == following), None)
    if twice:
        raise InvalidRequest("prices", f"two prices of {twice[1]!r} in {twice[0]} from {twice[2]} on: leave one out")
    return edition


def list_editions(conn: Connection, *, after: str = "", limit: int = 1000) -> list[Edition]:
    """Editions by name, at most `limit`, those after a name."""
    return _editions(conn, list(conn.scalars(select(E.c.name).where(E.c.name > after).order_by(E.c.name).limit(limit))))


def _editions(conn: Connection, names: Collection[str]) -> list[Edition]:
    prices = prices_of(conn, names)
    rows = conn.execute(select(E).where(E.c.name.in_(names)).order_by(E.c.name))
    return [Edition(name=row.name, cap=row.cap, prices=tuple(prices.get(row.name, ()))) for row in rows]


def edition_caps(conn: Connection) -> dict[str, int]:
    """Edition to the most desks that a tenant of it may hold."""
    return {row.name: row.cap for row in conn.execute(select(E))}


def known_edition(conn: Connection, name: str | None) -> str | None:
    """`name`, or None. Refused: UNKNOWN_EDITION."""
    caps = edition_caps(conn)
    if name is not None and name not in caps:
        raise unknown_edition(name, caps)
    return name


def unknown_edition(name: str, known: Iterable[str]) -> Refused:
    """There is none of this name."""
    return Refused("UNKNOWN_EDITION", f"there is no edition {name!r}: it is one of {', '.join(sorted(known))}")
