"""What an order comes to (domain.md 3): new lines, ended ones and a total, or a refusal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Instant
from sync.store.caps import refuse_over_cap
from sync.store.placing import Ask, History, Kind, Outcome, new, renew
from sync.store.prices import PriceList
from sync.store.pricing import priced, total_of
from sync.store.raising import downgrade, upgrade
from sync.store.terms import Line, check_sizes, in_calendar

PLACERS: Final[Mapping[Kind, Callable[[Ask, History, Instant], Outcome]]] = {
    Kind.NEW: new,
    Kind.RENEW: renew,
    Kind.UPGRADE: upgrade,
    Kind.DOWNGRADE: downgrade,
}


def place(ask: Ask, history: History, *, now: Instant) -> Outcome:
    """What the order comes to when confirmed at `now`. Raises Refused with a code of domain.md 3, or InvalidRequest."""
    in_calendar("at", now)
    _check_shape(ask)
    outcome = PLACERS[ask.kind](ask, history, now)
    check_sizes(outcome.lines)
    _check_cap(ask, history, outcome, now)
    edition = ask.edition or history.edition
    prices = history.prices.get(edition or "", PriceList())
    lines = priced(outcome.lines, ask.items, ask.deal, prices, history.zone)
    return replace(outcome, lines=lines, total=total_of(lines, ask.deal))


def _check_shape(ask: Ask) -> None:
    if ask.kind is Kind.VOID:
        raise InvalidRequest("kind", "a VOID names the order that it ends: use `deskgate order void`")
    if ask.trial and ask.kind is not Kind.NEW:
        raise InvalidRequest("status", "only a NEW order can be a trial: buy with NEW what was tried")
    if not ask.lines and not (ask.kind is Kind.UPGRADE and ask.edition):
        raise InvalidRequest("lines", "at least one product is needed")
    ids = [wanted.product.id for wanted in ask.lines]
    if len(set(ids)) < len(ids):
        raise InvalidRequest("lines", "a product may stand in one line only: add the quantities up")


def _check_cap(ask: Ask, history: History, outcome: Outcome, now: Instant) -> None:
    """Of an edition that the order names all desks are judged, from now on, when it takes effect; of the one there is,
    only desks that are added.
    """
    name = ask.edition or history.edition
    if name is None:
        return
    first = min(x.starts_at for x in outcome.lines)
    since = min(first, now) if ask.edition else first
    kept = ended(history.lines, outcome.ends)
    before = None if ask.edition else (*history.lines, *history.others)
    refuse_over_cap(name, history.caps[name], (*kept, *outcome.lines, *history.others), since, before=before)


def ended(lines: Iterable[Line], ends: Mapping[int, Instant]) -> tuple[Line, ...]:
    """Lines with some of them ended, where that is earlier than they end already."""
    return tuple(replace(x, ended_at=min(x.ended_at, ends[x.id])) if x.id in ends else x for x in lines)
