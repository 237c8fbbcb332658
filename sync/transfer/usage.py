"""Usage as rows: so many units of a key, or a user's seat, in the file's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sidecar.core.errors import DeskgateError
from sidecar.core.model import Instant
from sync.store.counting import UsageAsk, set_usages
from sync.store.db import Writing
from sync.store.usage import MOST
from sync.transfer.cells import Cells
from sync.transfer.items import Shape


def read(rows: Sequence[Cells]) -> UsageAsk:
    """What a row states. What is wrong is told to its cells."""
    (row,) = rows
    units, user = row.number("units", 0, MOST), row.text("user")
    if bool(user) == bool(row.text("units").strip()):
        row.problem("units", "either units or a user has to be there, not both")
    return UsageAsk(tenant_id=row.needed("tenant"), key=row.needed("key"), units=units, user_id=user or None)


SHAPE: Final = Shape(
    name="usage",
    columns=("tenant", "key", "units", "user"),
    needed=(("tenant",), ("key",), ("units", "user")),
    read=read,
)


def state(writing: Writing, asks: Sequence[UsageAsk], *, now: Instant) -> list[str | DeskgateError]:
    """States usage; of each the tenant, or why it is not done."""
    failures = set_usages(writing, asks)
    return [failed or f"tenant:{ask.tenant_id}" for ask, failed in zip(asks, failures, strict=True)]
