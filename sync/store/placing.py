"""What is asked for with an order, and what a NEW and a RENEW come to (domain.md 3). Pure: history in, outcome out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from zoneinfo import ZoneInfo

from sidecar.core.calendar import LATEST, add_period, format_instant
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER, Instant
from sync.store.errors import Refused
from sync.store.prices import PriceList
from sync.store.pricing import MOST, Deal, Item
from sync.store.products import Product
from sync.store.terms import Line, Term, anchor_of, counted_from

__all__ = ["MOST", "Ask", "Deal", "History", "Item", "Kind", "LateStart", "Outcome", "Wanted", "new", "renew"]


class Kind(StrEnum):
    """Kinds of order. A VOID ends another order; it is not placed but recorded for itself."""

    NEW = "NEW"
    RENEW = "RENEW"
    UPGRADE = "UPGRADE"
    DOWNGRADE = "DOWNGRADE"
    VOID = "VOID"


class LateStart(StrEnum):
    """Where a renewal that comes after the old end begins."""

    OWN_START = "own_start"
    OLD_END = "old_end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A line as it is asked for: a product as it is sold now, and how many."""

    product: Product
    product_version: int
    item: Item


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """An order as it is asked for. `trial`: with status trial, for the trial period alone."""

    kind: Kind
    lines: tuple[Wanted, ...]
    term: Term = Term()
    trial: bool = False
    edition: str | None = None
    late_start: LateStart = LateStart.OWN_START
    deal: Deal = Deal()

    @property
    def items(self) -> Mapping[str, Item]:
        """Product id to what is ordered of it."""
        return {wanted.product.id: wanted.item for wanted in self.lines}


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A tenant before the order: the lines of its orders that count, its edition and zone; caps and prices by edition.

    `others` are the lines of its plans: they count against the edition's cap, and that is all.
    """

    lines: tuple[Line, ...]
    edition: str | None
    zone: ZoneInfo
    caps: Mapping[str, int]
    prices: Mapping[str, PriceList] = field(default_factory=dict)
    others: tuple[Line, ...] = ()

    def paid(self, product_id: str) -> list[Line]:
        """The paid lines of a product that cover anything at all."""
        return [x for x in self.lines if x.paid and x.product.id == product_id and x.starts_at < x.end]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The order's own lines (ids 0: not yet on record), what it ends and when.

    `queued` are lines ahead that keep their quantities, which the operator should know. `total` is what is to be paid.
    """

    lines: tuple[Line, ...]
    ends: Mapping[int, Instant]
    queued: tuple[Line, ...] = ()
    total: int = 0


def new(ask: Ask, history: History, now: Instant) -> Outcome:
    """The first purchase of products. It ends a trial that runs when it begins, and one that lies ahead."""
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
    end = _trial_end(wanted.product, start, history.zone)
    if end is None:
        raise Refused("EMPTY_TERM", f"{wanted.product.id} has no trial period: place a paid NEW order")
    if end > LATEST:
        raise InvalidRequest("starts", "the trial would end past the year 9999")
    return line_of(wanted, start, end, trial_until=end, paid=False)


def _trial_end(product: Product, start: Instant, zone: ZoneInfo) -> Instant | None:
    return add_period(start, product.trial.period, zone) if product.trial else None


def _first_line(wanted: Wanted, ask: Ask, history: History, start: Instant) -> Line:
    end = _term_end(ask.term, start, start, history.zone)
    _refuse_empty(wanted.product.id, start, end)
    trial_until = None if _trials(wanted, history) else _trial_end(wanted.product, start, history.zone)
    return line_of(wanted, start, end, trial_until=None if trial_until is None else min(end, trial_until))


def line_of(
    wanted: Wanted,
    start: Instant,
    end: Instant,
    *,
    anchor: Instant | None = None,
    trial_until: Instant | None = None,
    paid: bool = True,
) -> Line:
    """A line that is not yet on record. Its anchor is its start, unless another is given."""
    return Line(
        id=0,
        order_id=0,
        product=wanted.product,
        product_version=wanted.product_version,
        quantity=wanted.item.quantity,
        starts_at=start,
        ends_at=end,
        anchor=start if anchor is None else anchor,
        trial_until=trial_until,
        paid=paid,
    )


def _term_end(term: Term, start: Instant, anchor: Instant, zone: ZoneInfo) -> Instant:
    if term.ends_at is not None:
        return term.ends_at
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


def renew(ask: Ask, history: History, now: Instant) -> Outcome:
    """A later end, with the same quantities, more or fewer from the new term's start on."""
    return Outcome(lines=tuple(_renewed(wanted, ask, history, now) for wanted in ask.lines), ends={})


def _renewed(wanted: Wanted, ask: Ask, history: History, now: Instant) -> Line:
    old = max(history.paid(wanted.product.id), key=lambda line: line.end, default=None)
    if old is None:
        raise Refused("NOTHING_TO_RENEW", f"no paid term of {wanted.product.id} is on record: place a NEW order")
    return renewal(wanted, old, ask, history, now)


def renewal(wanted: Wanted, old: Line, ask: Ask, history: History, now: Instant) -> Line:
    """The line that follows `old`."""
    if old.end == FOREVER:
        raise Refused(
            "END_NOT_LATER", f"the term of {wanted.product.id} has no end: there is nothing later to renew it to"
        )
    start, anchor = _renewal_start(old, ask, now)
    anchor = anchor_of(start, anchor, history.zone)
    end = _term_end(ask.term, start, anchor, history.zone)
    if end <= old.end:
        until = format_instant(old.end)
        raise Refused("END_NOT_LATER", f"the term of {wanted.product.id} ends at {until}: a renewal must end later")
    _refuse_empty(wanted.product.id, start, end)
    return line_of(wanted, start, end, anchor=anchor)


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
