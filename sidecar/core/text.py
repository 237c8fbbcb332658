"""Messages for people, filled with the figures of the answer they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from zoneinfo import ZoneInfo

from sidecar.core.calendar import LATEST, to_local
from sidecar.core.model import MICROS, UNLIMITED, Instant, Limit

PLACEHOLDERS = frozenset(
    {
        "used",
        "limit",
        "excess",
        "fits",
        "quantity",
        "key",
        "tenant",
        "term_ends_at",
        "grace_ends_at",
        "until",
        "top_up",
    }
)
"""What a message may name in braces."""

NOTHING = "-"


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with its placeholders filled; policy/ has checked that it names no others."""
    return template.format_map(values) if "{" in template else template


def count(limit: Limit | None) -> str:
    """A number of units, "unlimited", or "-" where there is none."""
    if limit is None:
        return NOTHING
    return "unlimited" if limit is UNLIMITED else str(limit)


def moment(instant: Instant | None, zone: ZoneInfo) -> str:
    """The tenant's wall clock: a date, with hours and minutes where it is not midnight."""
    if instant is None or abs(instant) > LATEST:
        return NOTHING
    wall = to_local(instant, zone)
    return f"{wall:%Y-%m-%d}" if wall.hour == wall.minute == 0 else f"{wall:%Y-%m-%d %H:%M}"


def amount(micros: int) -> str:
    """Millionths as a plain decimal number, without trailing zeros."""
    return f"{(Decimal(micros) / MICROS).normalize():f}"
