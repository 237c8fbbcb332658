"""What an order costs (domain.md 3): exact, in millionths, over whole billing periods. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from sidecar.core.calendar import add_period, format_instant, to_local
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER, Instant, Period
from sync.store.names import checked_title
from sync.store.prices import MOST_AMOUNT, PriceList, checked_amount, checked_currency
from sync.store.terms import Line, in_calendar

MOST: Final = 2**31
"""The largest quantity that can be ordered."""
MOST_PERIODS: Final = 12_000
LONGEST_NOTE: Final = 4096
MANY: Final = 4096
"""Results that are remembered: many orders of a batch have the same dates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A product as it is ordered; `quantity` is 1 to 2^31.

    What is None follows from the order: `unit_price` (millionths) from the price list, `billing_starts_at` from the
    trial's end, `billing_periods` from the term.
    """

    quantity: int
    unit_price: int | None = None
    billing_starts_at: Instant | None = None
    billing_periods: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.quantity <= MOST:
            raise InvalidRequest("quantity", f"it is 1 to 2^31, got {self.quantity}")
        if self.unit_price is not None:
            checked_amount("unit_price", self.unit_price)
        in_calendar("billing_starts_at", self.billing_starts_at)
        if self.billing_periods is not None and not 0 <= self.billing_periods <= MOST_PERIODS:
            raise InvalidRequest("billing_periods", f"it is 0 to {MOST_PERIODS}, got {self.billing_periods}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """What an order says of money as a whole. `purchased_on` is a date, "": the day of the order in the tenant's zone.

    `currency` may be "" where everything is free. `coupon` is its code; amounts are in millionths.
    """

    currency: str = ""
    purchased_on: str = ""
    coupon: str = ""
    coupon_amount: int = 0
    credit: int = 0
    note: str = ""

    def __post_init__(self) -> None:
        if self.currency:
            checked_currency("currency", self.currency)
        if self.purchased_on:
            checked_date("purchased_on", self.purchased_on)
        checked_title("coupon", self.coupon)
        checked_amount("coupon_amount", self.coupon_amount)
        checked_amount("credit", self.credit)
        checked_note("note", self.note)


def checked_date(field: str, text: str) -> str:
    """A date such as 2026-06-30. Raises InvalidRequest."""
    try:
        if date.fromisoformat(text).isoformat() != text:
            raise ValueError("not of this form")
    except ValueError as e:
        raise InvalidRequest(field, f"{text[:40]!r} is not a date such as 2026-06-30: {e}") from e
    return text


def checked_note(field: str, text: str) -> str:
    """A text for people, of several lines. Raises InvalidRequest."""
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST_NOTE:
        raise InvalidRequest(field, f"at most {LONGEST_NOTE} bytes")
    if not all(c.isprintable() or c in "\n\t" for c in text):
        raise InvalidRequest(field, "it has characters that cannot be printed")
    return text


@lru_cache(maxsize=MANY)
def day_of(instant: Instant, zone: ZoneInfo) -> str:
    """The date of an instant in a zone."""
    return to_local(instant, zone).date().isoformat()


def priced(
    lines: Iterable[Line], items: Mapping[str, Item], deal: Deal, prices: PriceList, zone: ZoneInfo
) -> tuple[Line, ...]:
    """The lines of an order with their prices and billing windows. A line that no item names was paid for before."""
    found = tuple(
        _priced(line, items[line.product.id], deal, prices, zone) if line.product.id in items else line
        for line in lines
    )
    if not deal.currency and any(line.unit_price for line in found):
        raise InvalidRequest("currency", "prices are of a currency: give one, such as CNY")
    return found


def _priced(line: Line, item: Item, deal: Deal, prices: PriceList, zone: ZoneInfo) -> Line:
    start = item.billing_starts_at
    if start is None:
        start = line.starts_at if line.trial_until is None else line.trial_until
    if not line.starts_at <= start <= line.ends_at:
        window = f"{format_instant(line.starts_at)} to {format_instant(line.ends_at)}"
        raise InvalidRequest("billing_starts_at", f"it lies within the term of {line.product.id}, {window}")
    periods = item.billing_periods
    if periods is None:
        periods = periods_begun(start, line.ends_at, line.product.billing_months, zone) if line.paid else 0
    if not periods and start == line.ends_at:
        return replace(line, unit_price=_unit_price(line, item, deal, prices))
    return replace(
        line,
        unit_price=_unit_price(line, item, deal, prices),
        billing_starts_at=start,
        billing_ends_at=line.ends_at,
        billing_periods=periods,
    )


def _unit_price(line: Line, item: Item, deal: Deal, prices: PriceList) -> int:
    if item.unit_price is not None:
        return item.unit_price
    if not line.paid:
        return 0
    _refuse_other_currency(line, deal, prices)
    listed = prices.product_price(deal.currency, line.product, line.quantity)
    if listed > MOST_AMOUNT:
        raise InvalidRequest("unit_price", f"that of {line.product.id} would pass 10^12: state one")
    return listed


@lru_cache(maxsize=MANY)
def _refuse_other_currency(line: Line, deal: Deal, prices: PriceList) -> None:
    """Nobody gives away by leaving a currency out what the list has a price for."""
    known = prices.currencies_of(line.product)
    if known and deal.currency not in known:
        listed = ", ".join(sorted(known))
        raise InvalidRequest("currency", f"{line.product.id} is listed in {listed}: give that currency, or a price")


def periods_begun(start: Instant, end: Instant, months: int, zone: ZoneInfo) -> int:
    """Billing periods of so many months begun in [start, end), counted from `start`. Without an end it is one."""
    if end == FOREVER:
        return 1
    if start >= end:
        return 0
    first, last = to_local(start, zone), to_local(end, zone)
    begun = max(1, ((last.year - first.year) * 12 + last.month - first.month) // months)
    while add_period(start, Period(months=months), zone, begun) < end:
        begun += 1
    return begun


def total_of(lines: Iterable[Line], deal: Deal) -> int:
    """What there is to pay, never below 0: the sum over the lines, less coupon and credit."""
    charged = sum(line.quantity * line.unit_price * line.billing_periods for line in lines)
    total = max(0, charged - deal.coupon_amount - deal.credit)
    if total > MOST_AMOUNT:
        raise InvalidRequest("unit_price", "the order's total would pass 10^12: place several orders")
    return total
