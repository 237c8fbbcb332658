"""An order costs what decimals say: quantity x unit price x billing periods, less coupon and credit, never below zero.

Orders of random lines over random terms in random zones, against decimals of unlimited precision and billing periods
counted one by one by the oracle's calendar.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.calendar import LATEST, parse_instant, zone_of
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import DAY, FOREVER, MICROS
from sync.store.outcomes import place
from sync.store.placing import Ask, Deal, History, Item, Kind, Wanted
from sync.store.prices import MOST_AMOUNT, Price, PriceList
from sync.store.products import product_of
from sync.store.terms import Term
from tests import oracle

ZONES = ("UTC", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia")
MONTHS = {"monthly": 1, "quarterly": 3, "annual": 12}
FIRST, LAST = parse_instant("2000-01-01"), parse_instant("2040-01-01")
amounts = st.integers(0, 10**15) | st.integers(0, 10**7)
instants = st.integers(FIRST, LAST) | st.integers(0, 13_000).map(lambda day: FIRST + day * DAY)


@st.composite
def lines(draw: Any) -> dict[str, Any]:
    return {
        "quantity": draw(st.integers(1, 2**31) | st.integers(1, 500)),
        "unit_price": draw(st.none() | amounts),
        "periods": draw(st.none() | st.none() | st.integers(0, 12_000)),
        "billing": draw(st.sampled_from(sorted(MONTHS))),
        "billed_later": draw(st.none() | st.integers(0, 1000).map(lambda day: day * DAY) | st.integers(0, 10**14)),
        "grants": draw(st.integers(0, 40)),
    }


@st.composite
def orders(draw: Any) -> dict[str, Any]:
    start = draw(instants)
    length = draw(st.integers(1, 4000).map(lambda day: day * DAY) | st.integers(1, 10**14))
    return {
        "start": start,
        "end": draw(st.sampled_from([start + length, start + length, start + length, FOREVER])),
        "zone": draw(st.sampled_from(ZONES)),
        "lines": draw(st.lists(lines(), min_size=1, max_size=4)),
        "coupon": draw(st.just(0) | amounts),
        "credit": draw(st.just(0) | amounts),
        "tiers": draw(st.dictionaries(st.integers(1, 10**6), st.integers(0, 10**12), max_size=4)),
    }


def ask(plain: dict[str, Any]) -> Ask:
    wanted = []
    for number, line in enumerate(plain["lines"]):
        entry = {"name": "desk", "amount": line["grants"], "amount_calculation": "per_qty"}
        product = product_of({"id": f"p{number}", "billing": line["billing"], "license_template": [entry]})
        item = Item(
            quantity=line["quantity"],
            unit_price=line["unit_price"],
            billing_starts_at=billed_from(plain, line) if line["billed_later"] is not None else None,
            billing_periods=line["periods"],
        )
        wanted.append(Wanted(product=product, product_version=1, item=item))
    deal = Deal(currency="CNY", coupon_amount=plain["coupon"], credit=plain["credit"])
    return Ask(kind=Kind.NEW, lines=tuple(wanted), term=Term(starts_at=plain["start"], ends_at=plain["end"]), deal=deal)


def billed_from(plain: dict[str, Any], line: dict[str, Any]) -> int:
    """An instant within the term."""
    later: int = plain["start"] + (line["billed_later"] or 0)
    return min(later, plain["end"], LATEST)


def periods(plain: dict[str, Any], line: dict[str, Any]) -> int:
    if line["periods"] is not None:
        return int(line["periods"])
    if plain["end"] == FOREVER:
        return 1
    start, months, count = billed_from(plain, line), MONTHS[line["billing"]], 0
    while oracle.add_period(start, plain["zone"], count * months, 0) < plain["end"]:
        count += 1
    return count


def unit_price(plain: dict[str, Any], line: dict[str, Any]) -> Decimal:
    if line["unit_price"] is not None:
        return Decimal(line["unit_price"]) / MICROS
    reached = [tier for tier in plain["tiers"] if tier <= line["grants"] * line["quantity"]]
    return line["grants"] * Decimal(plain["tiers"][max(reached)] if reached else 0) / MICROS


@settings(max_examples=400, deadline=None)
@given(orders())
def test_totals_and_periods(plain: dict[str, Any]) -> None:
    prices = PriceList(
        Price(currency="CNY", key="desk", from_quantity=tier, unit_price=price)
        for tier, price in plain["tiers"].items()
    )
    history = History(lines=(), edition="e", zone=zone_of(plain["zone"]), caps={"e": 2**53}, prices={"e": prices})
    with localcontext(prec=100):
        counted = [periods(plain, line) for line in plain["lines"]]
        charged = [
            line["quantity"] * unit_price(plain, line) * count
            for line, count in zip(plain["lines"], counted, strict=True)
        ]
        total = max(Decimal(0), sum(charged) - Decimal(plain["coupon"] + plain["credit"]) / MICROS)
        if total * MICROS > MOST_AMOUNT:
            with pytest.raises(InvalidRequest, match="total"):
                place(ask(plain), history, now=plain["start"])
            return
        outcome = place(ask(plain), history, now=plain["start"])
        assert [line.billing_periods for line in outcome.lines] == counted
        assert Decimal(outcome.total) / MICROS == total
