"""What an order comes to (domain.md 3): new lines and ended ones, or a refusal. Pure: history in, outcome out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from sidecar.core.calendar import add_period, format_instant
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER, Grant, Instant
from sync.store.errors import Refused
from sync.store.products import Product
from sync.store.terms import Line, Term, counted_from, grants_of

DESKS: Final = frozenset({"fixed_desk", "shared_desk"})
"""The keys whose sum an edition caps."""
MOST: Final = 2**31
"""The largest quantity that can be ordered."""


class Kind(StrEnum):
    """Kinds of order. DOWNGRADE is known in order to be refused by its name."""

    NEW = "NEW"
    RENEW = "RENEW"
    UPGRADE = "UPGRADE"
    DOWNGRADE = "DOWNGRADE"


class LateStart(StrEnum):
    """Where a renewal that comes after the old end begins."""

    OWN_START = "own_start"
    OLD_END = "old_end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A line as it is asked for; `quantity` is 1 to 2^31."""

    product: Product
    product_version: int
    quantity: int

    def __post_init__(self) -> None:
        if not 1 <= self.quantity <= MOST:
            raise InvalidRequest("quantity", f"it is 1 to 2^31, got {self.quantity}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """An order as it is asked for. `trial`: with status trial, for the trial period alone."""

    kind: Kind
    lines: tuple[Wanted, ...]
    term: Term = Term()
    trial: bool = False
    edition: str | None = None
    late_start: LateStart = LateStart.OWN_START


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A tenant before the order: every line on record, its edition and zone, and the editions' caps on desks."""

    lines: tuple[Line, ...]
    edition: str | None
    zone: ZoneInfo
    caps: Mapping[str, int]

    def paid(self, product_id: str) -> list[Line]:
        """The paid lines of a product that cover anything at all."""
        return [x for x in self.lines if x.paid and x.product.id == product_id and x.starts_at < x.end]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The order's own lines (ids 0: not yet on record), what it ends and when, and what the operator should know."""

    lines: tuple[Line, ...]
    ends: Mapping[int, Instant]
    notices: tuple[str, ...] = ()


def place(ask: Ask, history: History, *, now: Instant) -> Outcome:
    """What the order comes to when confirmed at `now`. Raises Refused with a code of domain.md 3, or InvalidRequest."""
    _check_shape(ask)
    outcome = PLACERS[ask.kind](ask, history, now)
    _check_cap(ask, history, outcome)
    return outcome


def _check_shape(ask: Ask) -> None:
    if ask.trial and ask.kind is not Kind.NEW:
        raise InvalidRequest("status", "only a NEW order can be a trial: buy with NEW what was tried")
    if not ask.lines and not (ask.kind is Kind.UPGRADE and ask.edition):
        raise InvalidRequest("lines", "at least one product is needed")
    ids = [wanted.product.id for wanted in ask.lines]
    if len(set(ids)) < len(ids):
        raise InvalidRequest("lines", "a product may stand in one line only: add the quantities up")


def _new(ask: Ask, history: History, now: Instant) -> Outcome:
    lines: list[Line] = []
    ends: dict[int, Instant] = {}
    start = now if ask.term.starts_at is None else ask.term.starts_at
    for wanted in ask.lines:
        _refuse_running(wanted.product.id, history, min(now, start))
        lines.append(
            _trial_line(wanted, ask, history, start) if ask.trial else _first_line(wanted, ask, history, start)
        )
        if not ask.trial:
            ends |= {x.id: start for x in _trials(wanted, history) if not x.paid and x.end > start}
    return Outcome(lines=tuple(lines), ends=ends)


def _refuse_running(product_id: str, history: History, since: Instant) -> None:
    last = max((x.end for x in history.paid(product_id)), default=since)
    if last > since:
        until = "without end" if last == FOREVER else f"until {format_instant(last)}"
        raise Refused("TERM_RUNNING", f"{product_id} is paid for {until}: place a RENEW or an UPGRADE instead")


def _trials(wanted: Wanted, history: History) -> list[Line]:
    return [x for x in history.lines if x.product.id == wanted.product.id and x.trial_until is not None]


def _trial_line(wanted: Wanted, ask: Ask, history: History, start: Instant) -> Line:
    if ask.term.length is not None or ask.term.ends_at is not None:
        raise InvalidRequest("term", "a trial order ends with the product's trial period: give no length and no end")
    if _trials(wanted, history):
        raise Refused("TRIAL_USED", f"the tenant has had its trial of {wanted.product.id}: place a paid NEW order")
    if wanted.product.trial is None:
        raise Refused("EMPTY_TERM", f"{wanted.product.id} has no trial period: place a paid NEW order")
    end = add_period(start, wanted.product.trial.period, history.zone)
    return _line(wanted, start, end, trial_until=end, paid=False)


def _first_line(wanted: Wanted, ask: Ask, history: History, start: Instant) -> Line:
    end, _ = _term_end(ask.term, start, start, history.zone)
    _refuse_empty(wanted.product.id, start, end)
    trial_until = None
    if wanted.product.trial and not _trials(wanted, history):
        trial_until = min(end, add_period(start, wanted.product.trial.period, history.zone))
    return _line(wanted, start, end, trial_until=trial_until)


def _line(
    wanted: Wanted,
    start: Instant,
    end: Instant,
    *,
    anchor: Instant | None = None,
    trial_until: Instant | None = None,
    paid: bool = True,
) -> Line:
    return Line(
        id=0,
        order_id=0,
        product=wanted.product,
        product_version=wanted.product_version,
        quantity=wanted.quantity,
        starts_at=start,
        ends_at=end,
        anchor=start if anchor is None else anchor,
        trial_until=trial_until,
        paid=paid,
    )


def _term_end(term: Term, start: Instant, anchor: Instant, zone: ZoneInfo) -> tuple[Instant, Instant]:
    """The term's end, and the anchor that later renewals count from."""
    if term.ends_at is not None:
        return term.ends_at, anchor
    if term.length is not None:
        return counted_from(start, anchor, term.length, zone)
    raise InvalidRequest("term", "give a length in months or days, an end, or say that it is perpetual")


def _refuse_empty(product_id: str, start: Instant, end: Instant) -> None:
    if end <= start:
        raise Refused(
            "EMPTY_TERM",
            f"the term of {product_id} would end at {format_instant(end)}, not after its start at"
            f" {format_instant(start)}: give a later end",
        )


def _renew(ask: Ask, history: History, now: Instant) -> Outcome:
    return Outcome(lines=tuple(_renewed(wanted, ask, history, now) for wanted in ask.lines), ends={})


def _renewed(wanted: Wanted, ask: Ask, history: History, now: Instant) -> Line:
    old = max(history.paid(wanted.product.id), key=lambda line: line.end, default=None)
    if old is None:
        raise Refused("NOTHING_TO_RENEW", f"no paid term of {wanted.product.id} is on record: place a NEW order")
    if old.end == FOREVER:
        raise Refused(
            "END_NOT_LATER", f"the term of {wanted.product.id} has no end: there is nothing later to renew it to"
        )
    start, anchor = _renewal_start(old, ask, now)
    end, anchor = _term_end(ask.term, start, anchor, history.zone)
    if end <= old.end:
        until = format_instant(old.end)
        raise Refused("END_NOT_LATER", f"the term of {wanted.product.id} ends at {until}: a renewal must end later")
    _refuse_empty(wanted.product.id, start, end)
    return _line(wanted, start, end, anchor=anchor)


def _renewal_start(old: Line, ask: Ask, now: Instant) -> tuple[Instant, Instant]:
    """The new term's start and anchor. In time: the old end and anchor. Late: its own, never before the old end."""
    if now <= old.end:
        if ask.term.starts_at not in (None, old.end):
            raise InvalidRequest("starts", f"a renewal in time starts at the old end, {format_instant(old.end)}")
        return old.end, old.anchor
    if ask.late_start is LateStart.OLD_END:
        return old.end, old.end
    start = max(old.end, now if ask.term.starts_at is None else ask.term.starts_at)
    return start, start


def _upgrade(ask: Ask, history: History, now: Instant) -> Outcome:
    if ask.term != Term():
        raise InvalidRequest("term", "an upgrade keeps its term: give no start, length or end")
    running = {x.product.id: x for x in history.lines if x.paid and x.holds(now)}
    named = {wanted.product.id: wanted for wanted in ask.lines}
    _refuse_idle(running, named)
    _refuse_no_rise(ask, history, running, named)
    touched = {running[name].order_id for name in named or running}
    superseded = [x for x in running.values() if x.order_id in touched]
    return Outcome(
        lines=tuple(_raised(x, named.get(x.product.id), now) for x in superseded),
        ends={x.id: now for x in superseded},
        notices=tuple(_queued(history.lines, {x.product.id for x in superseded}, now)),
    )


def _refuse_idle(running: Mapping[str, Line], named: Mapping[str, Wanted]) -> None:
    missing = sorted(named.keys() - running.keys())
    if missing or not running:
        what = ", ".join(missing) or "any product"
        raise Refused("NOTHING_RUNNING", f"no paid term of {what} is running: place a NEW or a RENEW order")


def _refuse_no_rise(ask: Ask, history: History, running: Mapping[str, Line], named: Mapping[str, Wanted]) -> None:
    rises = _edition_rise(ask, history)
    for name, wanted in named.items():
        if wanted.quantity < running[name].quantity:
            raise _downgrade(f"{name} has quantity {running[name].quantity}")
        rises = rises or wanted.quantity > running[name].quantity
    if not rises:
        raise Refused("NOTHING_TO_UPGRADE", "no quantity and no edition would rise: name a larger one")


def _edition_rise(ask: Ask, history: History) -> bool:
    if ask.edition is None or ask.edition == history.edition:
        return False
    if history.edition is not None and history.caps[ask.edition] < history.caps[history.edition]:
        raise _downgrade(f"the edition is {history.edition}")
    return True


def _downgrade(why: str) -> Refused:
    return Refused(
        "DOWNGRADE_NOT_ALLOWED", f"{why} until the term's end: place a RENEW with fewer for the time after it"
    )


def _refuse_downgrade(ask: Ask, history: History, now: Instant) -> Outcome:
    raise _downgrade("less is not possible within a running term: it stays as bought")


def _raised(old: Line, wanted: Wanted | None, now: Instant) -> Line:
    kept = wanted or Wanted(product=old.product, product_version=old.product_version, quantity=old.quantity)
    return _line(kept, now, old.end, anchor=old.anchor)


def _queued(lines: Iterable[Line], products: set[str], now: Instant) -> list[str]:
    return [
        f"order {x.order_id} keeps its quantity {x.quantity} of {x.product.id} from {format_instant(x.starts_at)} on"
        for x in lines
        if x.paid and x.product.id in products and now < x.starts_at < x.end
    ]


def _check_cap(ask: Ask, history: History, outcome: Outcome) -> None:
    name = ask.edition or history.edition
    if name is None or not (ask.edition or any(g.key in DESKS for g in grants_of(outcome.lines))):
        return
    first = min(x.starts_at for x in outcome.lines)
    kept = (replace(x, ended_at=min(x.ended_at, outcome.ends.get(x.id, FOREVER))) for x in history.lines)
    desks = [g for g in grants_of((*kept, *outcome.lines)) if g.key in DESKS and g.ends_at > first]
    for instant in sorted({max(first, g.starts_at) for g in desks}):
        _refuse_over_cap(name, history.caps[name], desks, instant)


def _refuse_over_cap(edition: str, cap: int, desks: list[Grant], instant: Instant) -> None:
    total = 0
    for amount in (g.amount for g in desks if g.starts_at <= instant < g.ends_at and g.amount is not None):
        total += amount if isinstance(amount, int) else cap + 1
    if total > cap:
        raise Refused(
            "EDITION_CAP_EXCEEDED",
            f"from {format_instant(instant)} there would be more than the {cap} desks of edition {edition}:"
            " order fewer, or name a higher edition",
        )


PLACERS: Final[Mapping[Kind, Callable[[Ask, History, Instant], Outcome]]] = {
    Kind.NEW: _new,
    Kind.RENEW: _renew,
    Kind.UPGRADE: _upgrade,
    Kind.DOWNGRADE: _refuse_downgrade,
}
