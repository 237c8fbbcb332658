"""The cap of an edition on the sum of a tenant's desks, at every instant (domain.md 3). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final

from sidecar.core.calendar import format_instant
from sidecar.core.model import Grant, Instant
from sync.store.errors import Refused
from sync.store.terms import Line, grants_of

DESKS: Final = frozenset({"fixed_desk", "shared_desk"})
"""The keys whose sum an edition caps."""


def refuse_over_cap(
    edition: str, cap: int, lines: Iterable[Line], since: Instant, *, before: Iterable[Line] | None = None
) -> None:
    """Refused, EDITION_CAP_EXCEEDED, where lines grant more desks than the cap at some instant from `since` on.

    With `before`, what they were: only where they grant more than then. A cap that was lowered does not stand in the
    way of what adds no desk.
    """
    desks = _desks(lines, since)
    if _sum(desks) <= cap:
        return
    were = None if before is None else _desks(before, since)
    for instant in sorted({max(since, g.starts_at) for g in desks}):
        total = _total(desks, instant)
        if total > cap and (were is None or total > _total(were, instant)):
            raise Refused(
                "EDITION_CAP_EXCEEDED",
                f"from {format_instant(instant)} there would be more than the {cap} desks of edition {edition}:"
                " order fewer, or name a higher edition",
            )


def _desks(lines: Iterable[Line], since: Instant) -> list[Grant]:
    return [g for g in grants_of(lines) if g.key in DESKS and g.ends_at > since]


def _total(desks: Iterable[Grant], instant: Instant) -> float:
    return _sum(g for g in desks if g.starts_at <= instant < g.ends_at)


def _sum(desks: Iterable[Grant]) -> float:
    amounts = (g.amount for g in desks if g.amount is not None)
    return sum(amount if isinstance(amount, int) else inf for amount in amounts)
