"""The table of all calls, one module a noun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sync.backoffice.method import Method
from sync.backoffice.methods import (
    accounts,
    audit,
    editions,
    notices,
    operators,
    orders,
    payments,
    plans,
    products,
    tenants,
    usage,
)

NOUNS: Final = (tenants, products, editions, orders, payments, plans, accounts, usage, operators, audit, notices)
METHODS: Final[Mapping[str, Method]] = {method.name: method for noun in NOUNS for method in noun.METHODS}
"""Every call by its name."""
