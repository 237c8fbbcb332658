"""The table of all calls, one module a noun."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sync.backoffice.method import Method
from sync.backoffice.methods import audit, operators

METHODS: Final[Mapping[str, Method]] = {method.name: method for noun in (operators, audit) for method in noun.METHODS}
"""Every call by its name."""
