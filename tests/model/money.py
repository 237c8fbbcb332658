"""What an order costs (domain.md 3): exact, in millionths."""

from __future__ import annotations

from tests import oracle
from tests.model.grants import number
from tests.model.state import NEVER, Line, Office

MONTHS = {"monthly": 1, "quarterly": 3, "annual": 12}


def listed_in(office: Office, edition: str | None, line: Line) -> set[str]:
    """The currencies in which something that it grants by quantity is listed."""
    per_qty = [e["name"] for e in line.product["license_template"] if e.get("amount_calculation", "fixed") == "per_qty"]
    prices = office.editions[edition]["prices"] if edition is not None else {}
    return {currency for (currency, key), tiers in prices.items() if tiers and key in per_qty}


def listed_price(office: Office, edition: str | None, currency: str, line: Line) -> int:
    """Of one unit: what the price list says of each key that it grants by quantity, at the tier of all it grants."""
    if edition is None:
        return 0
    price = 0
    for entry in line.product["license_template"]:
        amount = entry.get("amount")
        if entry.get("amount_calculation", "fixed") == "per_qty" and isinstance(amount, int):
            granted = number(entry, "amount", line.quantity)
            tiers = office.editions[edition]["prices"].get((currency, entry["name"]), [])
            reached = [unit_price for start, unit_price in sorted(tiers) if start <= granted]
            price += amount * (reached[-1] if reached else 0)
    return price


def periods_begun(line: Line, zone: str) -> int:
    """Billing periods begun between where its billing starts and its end; a perpetual term is paid once."""
    if line.ends_at == NEVER:
        return 1
    assert line.billed_from is not None
    count = 0
    while oracle.add_period(line.billed_from, zone, count * MONTHS[line.product["billing"]], 0) < line.ends_at:
        count += 1
    return count


def total(lines: list[Line], coupon: int, credit: int) -> int:
    return max(0, sum(line.quantity * line.unit_price * line.periods for line in lines) - coupon - credit)
