"""What an UPGRADE and a DOWNGRADE come to (domain.md 3): more or fewer within a running term. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

from sidecar.core.calendar import format_instant
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Instant, Limit
from sync.store.errors import Refused
from sync.store.placing import Ask, History, Item, Outcome, Wanted, line_of, renewal
from sync.store.terms import Line, Term, limit_of


def upgrade(ask: Ask, history: History, now: Instant) -> Outcome:
    """More now, to the same end. No other road leads to less: neither a smaller edition nor a poorer product."""
    _refuse_term(ask, "an upgrade")
    running = _running(history, now)
    named = {wanted.product.id: wanted for wanted in ask.lines}
    _refuse_idle(running, named)
    _refuse_no_rise(ask, history, running, named)
    return _supersede(history, running, named, now)


def _refuse_term(ask: Ask, what: str) -> None:
    if ask.term != Term():
        raise InvalidRequest("term", f"{what} keeps its term: give no start, length or end")


def _running(history: History, now: Instant) -> Mapping[str, Line]:
    return {x.product.id: x for x in history.lines if x.paid and x.holds(now)}


def _refuse_idle(running: Mapping[str, Line], named: Mapping[str, Wanted]) -> None:
    missing = sorted(named.keys() - running.keys())
    if missing or not running:
        what = ", ".join(missing) or "any product"
        raise Refused("NOTHING_RUNNING", f"no paid term of {what} is running: place a NEW or a RENEW order")


def _refuse_no_rise(ask: Ask, history: History, running: Mapping[str, Line], named: Mapping[str, Wanted]) -> None:
    rises = _edition_rises(ask, history)
    for name, wanted in named.items():
        old = running[name]
        if wanted.item.quantity < old.quantity:
            raise _not_allowed(f"{name} has quantity {old.quantity}")
        if less := _lowered(old, wanted):
            raise _not_allowed(f"{name} as it is sold now grants less of {less} than as it was bought, which stays")
        rises = rises or wanted.item.quantity > old.quantity
    if not rises:
        raise Refused("NOTHING_TO_UPGRADE", "no quantity and no edition would rise: name a larger one")


def _edition_rises(ask: Ask, history: History) -> bool:
    if ask.edition is None or history.edition is None:
        return ask.edition is not None
    before, after = history.caps[history.edition], history.caps[ask.edition]
    if after < before:
        raise _not_allowed(f"the edition is {history.edition}")
    return after > before


def _not_allowed(why: str) -> Refused:
    return Refused(
        "DOWNGRADE_NOT_ALLOWED", f"{why} until the term's end: place a RENEW with fewer for the time after it"
    )


def _lowered(old: Line, wanted: Wanted) -> str:
    """A key of which the license template grants less than before, in some dimension; "" when there is none."""
    before = _granted(old)
    after = _granted(line_of(wanted, old.starts_at, old.ends_at))
    return next((key for key in before if key not in after or not after[key].covers(before[key])), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Granted:
    """What a license template grants of a key in all: less than 0 where that dimension is not granted."""

    amount: float = -1
    users: float = -1

    def covers(self, other: _Granted) -> bool:
        return self.amount >= other.amount and self.users >= other.users


def _granted(line: Line) -> dict[str, _Granted]:
    found = {feature.name: _Granted() for feature in line.product.features}
    for entry in line.product.license_template:
        had = found.get(entry.name, _Granted())
        found[entry.name] = _Granted(
            amount=_plus(had.amount, limit_of(entry.amount, entry.amount_calculation, line.quantity)),
            users=_plus(had.users, limit_of(entry.users, entry.users_calculation, line.quantity)),
        )
    return found


def _plus(had: float, more: Limit | None) -> float:
    if more is None:
        return had
    return max(had, 0) + (more if isinstance(more, int) else inf)


def _supersede(history: History, running: Mapping[str, Line], named: Mapping[str, Wanted], now: Instant) -> Outcome:
    """Ends all that runs of the orders of the named lines, or of all, and grants it anew to the same ends."""
    touched = {running[name].order_id for name in named or running}
    superseded = [x for x in running.values() if x.order_id in touched]
    return Outcome(
        lines=tuple(_anew(x, named.get(x.product.id), now) for x in superseded),
        ends={x.id: now for x in superseded},
        queued=tuple(_queued(history.lines, {x.product.id for x in superseded}, now)),
    )


def _anew(old: Line, wanted: Wanted | None, now: Instant) -> Line:
    kept = wanted or Wanted(product=old.product, product_version=old.product_version, item=Item(quantity=old.quantity))
    return line_of(kept, now, old.end, anchor=old.anchor)


def _queued(lines: Iterable[Line], products: set[str], now: Instant) -> list[Line]:
    return [x for x in lines if x.paid and x.product.id in products and now < x.starts_at < x.end]


def downgrade(ask: Ask, history: History, now: Instant) -> Outcome:
    """Fewer, of products that were marked to allow it when they were bought: at once, or from the term's end on."""
    running = _running(history, now)
    named = {wanted.product.id: wanted for wanted in ask.lines}
    _refuse_idle(running, named)
    modes = {running[name].product.downgrade for name in named}
    if "refused" in modes:
        raise _not_allowed("less is not possible within a running term: it stays as bought")
    if len(modes) > 1:
        raise InvalidRequest("lines", "some products are lowered at once, others at the term's end: place two orders")
    for name, wanted in named.items():
        _refuse_no_fall(running[name], wanted)
    if modes == {"at_end"}:
        return _lower_at_end(ask, history, running, now)
    _refuse_term(ask, "a downgrade at once")
    return _supersede(history, running, named, now)


def _refuse_no_fall(old: Line, wanted: Wanted) -> None:
    if wanted.item.quantity >= old.quantity:
        raise Refused(
            "NOTHING_TO_DOWNGRADE",
            f"{old.product.id} has quantity {old.quantity} from {format_instant(old.starts_at)} on: name a smaller one",
        )


def _lower_at_end(ask: Ask, history: History, running: Mapping[str, Line], now: Instant) -> Outcome:
    """Fewer in place of what is queued, to the same end, or a renewal with fewer where nothing is."""
    lines: list[Line] = []
    ends: dict[int, Instant] = {}
    for wanted in ask.lines:
        old = running[wanted.product.id]
        ahead = [x for x in history.paid(wanted.product.id) if x.starts_at >= old.end]
        for line in ahead:
            _refuse_no_fall(line, wanted)
        ends |= {x.id: x.starts_at for x in ahead}
        lines += [line_of(wanted, x.starts_at, x.end, anchor=x.anchor) for x in ahead]
        if not ahead:
            lines.append(renewal(wanted, old, ask, history, now))
        elif ask.term != Term():
            raise InvalidRequest(
                "term", f"{wanted.product.id} has a term ahead and keeps it: give no start, length or end"
            )
    return Outcome(lines=tuple(lines), ends=ends)
