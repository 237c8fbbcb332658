"""The cap of an edition on the sum of a tenant's desks, at every instant (domain.md 3). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from sidecar.core.calendar import format_instant
from sidecar.core.model import Grant, Instant
from sync.store.errors import Refused
from sync.store.terms import Line, grants_of

DESKS: Final = frozenset({"fixed_desk", "shared_desk"})
"""The keys whose sum an edition caps."""


def refuse_over_cap(edition: str, cap: int, lines: Iterable[Line], since: Instant) -> None:
    """Refused, EDITION_CAP_EXCEEDED, where lines grant more desks than the cap at some instant from `since` on."""
    desks = [g for g in grants_of(lines) if g.key in DESKS and g.ends_at > since]
    for instant in sorted({max(since, g.starts_at) for g in desks}):
        if _passes(cap, desks, instant):
            raise Refused(
                "EDITION_CAP_EXCEEDED",
                f"from {format_instant(instant)} there would be more than the {cap} desks of edition {edition}:"
                " order fewer, or name a higher edition",
            )


def _passes(cap: int, desks: Sequence[Grant], instant: Instant) -> bool:
    total = 0
    for amount in (g.amount for g in desks if g.starts_at <= instant < g.ends_at and g.amount is not None):
        if not isinstance(amount, int):
            return True
        total += amount
    return total > cap
