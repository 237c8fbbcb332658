"""What can be imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sync.transfer import orders, tenants, usage
from sync.transfer.importing import Kind

KINDS: Final[Mapping[str, Kind]] = {
    kind.shape.name: kind
    for kind in (
        Kind(shape=tenants.SHAPE, do=tenants.create, about="Adds tenants; a parent stands in an earlier row."),
        Kind(
            shape=usage.SHAPE, do=usage.state, about="States units that exist, or seats in their order of assignment."
        ),
        Kind(
            shape=orders.SHAPE,
            do=orders.order,
            about="Places orders; rows that follow each other with the same `order` are lines of one.",
        ),
    )
}
