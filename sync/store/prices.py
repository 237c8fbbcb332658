"""Price lists of editions (domain.md 3): what one unit of a key costs for a billing period."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from sidecar.core.errors import InvalidRequest
from sidecar.core.model import MICROS
from sync.store import schema
from sync.store.names import checked_name
from sync.store.products import Product

P: Final = schema.edition_price
CURRENCY: Final = re.compile(r"[A-Z]{3}")
MOST_AMOUNT: Final = 10**12 * MICROS
"""Bound on every amount of money."""
MOST_UNITS: Final = 2**53


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Price:
    """A tier: one unit of `key` costs `unit_price` (millionths) where `from_quantity` or more of it are bought."""

    currency: str
    key: str
    from_quantity: int
    unit_price: int

    def __post_init__(self) -> None:
        checked_currency("prices.currency", self.currency)
        checked_name("prices.key", self.key)
        if not 1 <= self.from_quantity <= MOST_UNITS:
            raise InvalidRequest("prices.from_quantity", f"it is 1 to 2^53, got {self.from_quantity}")
        checked_amount("prices.unit_price", self.unit_price)


def checked_currency(field: str, text: str) -> str:
    """A currency's code of ISO 4217. Raises InvalidRequest."""
    if not CURRENCY.fullmatch(text):
        raise InvalidRequest(field, f"{text[:40]!r} is not a currency of three capitals such as CNY")
    return text


def checked_amount(field: str, amount: int) -> int:
    """An amount in millionths, 0 or more. Raises InvalidRequest."""
    if not 0 <= amount <= MOST_AMOUNT:
        raise InvalidRequest(field, f"it is 0 to 10^12, in millionths, got {amount}")
    return amount


class PriceList:
    """The tiers of an edition."""

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        tiers: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for price in sorted(prices):
            tiers[price.currency, price.key].append((price.from_quantity, price.unit_price))
        self._tiers: Final = dict(tiers)

    def unit_price(self, currency: str, key: str, quantity: int) -> int:
        """Of one unit where `quantity` are bought; 0 where nothing is listed."""
        tiers = self._tiers.get((currency, key), [])
        reached = bisect_right(tiers, quantity, key=lambda tier: tier[0])
        return tiers[reached - 1][1] if reached else 0

    def currencies_of(self, product: Product) -> set[str]:
        """Those in which something that one of a product grants is listed."""
        keys = {entry.name for entry in product.license_template if entry.amount_calculation == "per_qty"}
        return {currency for currency, key in self._tiers if key in keys}

    def product_price(self, currency: str, product: Product, quantity: int) -> int:
        """Of one of a product: the sum over what each one of it grants."""
        return sum(
            entry.amount * self.unit_price(currency, entry.name, entry.amount * quantity)
            for entry in product.license_template
            if entry.amount_calculation == "per_qty" and isinstance(entry.amount, int)
        )


def prices_of(conn: Connection, editions: Collection[str]) -> dict[str, list[Price]]:
    """Edition to its tiers by currency, key and quantity; those without any are left out."""
    found: dict[str, list[Price]] = defaultdict(list)
    query = select(P).where(P.c.edition.in_(editions)).order_by(P.c.edition, P.c.currency, P.c.key, P.c.from_quantity)
    for row in conn.execute(query):
        price = Price(currency=row.currency, key=row.key, from_quantity=row.from_quantity, unit_price=row.unit_price)
        found[row.edition].append(price)
    return found


def price_lists(conn: Connection, editions: Collection[str]) -> Mapping[str, PriceList]:
    """Edition to its price list, of those that have one."""
    return {name: PriceList(prices) for name, prices in prices_of(conn, editions).items()} if editions else {}


def replace_prices(conn: Connection, edition: str, prices: Iterable[Price]) -> None:
    """Puts these tiers in the place of all that an edition has."""
    conn.execute(delete(P).where(P.c.edition == edition))
    rows = [
        {
            "edition": edition,
            "currency": price.currency,
            "key": price.key,
            "from_quantity": price.from_quantity,
            "unit_price": price.unit_price,
        }
        for price in prices
    ]
    if rows:
        conn.execute(insert(P), rows)
