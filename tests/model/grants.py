"""What lines grant, and the sums of it (domain.md 3 and 4)."""

from __future__ import annotations

from typing import Any

from tests.model.state import NEVER, Line, Office, Plain

UNLIMITED = "unlimited"
DESKS = ("fixed_desk", "shared_desk")


def number(entry: Plain, dimension: str, quantity: int) -> Any:
    """`fixed` grants the number as it is, `per_qty` times the quantity; absent: not granted; unlimited stays so."""
    value = entry.get(dimension)
    if value is None or value == UNLIMITED:
        return value
    return value * quantity if entry.get(f"{dimension}_calculation", "fixed") == "per_qty" else value


def template(entries: list[Plain], quantity: int) -> list[Plain]:
    return [
        {"key": e["name"], "amount": number(e, "amount", quantity), "users": number(e, "users", quantity)}
        for e in entries
    ]


def license_of(line: Line) -> list[Plain]:
    """What its license template grants, and its features."""
    return template(line.product["license_template"], line.quantity) + features(line)


def features(line: Line) -> list[Plain]:
    return [{"key": f["name"], "amount": None, "users": None} for f in line.product.get("features", [])]


def grants_of(line: Line) -> list[Plain]:
    """The trial template from the first instant for the trial period, from then on the license template."""
    end = line.end()
    turn = line.starts_at if line.trial_until is None else min(line.trial_until, end)
    trial = template(line.product.get("trial_license_template", []), line.quantity) + features(line)
    windows = [(trial, line.starts_at, turn, True), (license_of(line) if line.paid else [], turn, end, False)]
    return [
        grant | {"starts_at": start, "ends_at": None if until == NEVER else until, "trial": is_trial}
        for granted, start, until, is_trial in windows
        for grant in granted
        if start < until
    ]


def lines_of(office: Office, tenant_id: str) -> list[Line]:
    """Every line of every order and plan that a tenant ever had."""
    bought = [line for order in office.orders if order.tenant == tenant_id for line in order.lines]
    return bought + [line for a in office.assignments if a.tenant == tenant_id for line in a.lines]


def own_grants(office: Office, tenant_id: str) -> list[Plain]:
    return [grant for line in lines_of(office, tenant_id) for grant in grants_of(line)]


def added(numbers: list[Any]) -> Any:
    """The sum; one unlimited makes it so; what is absent adds nothing."""
    return UNLIMITED if UNLIMITED in numbers else sum(n for n in numbers if n is not None)


def passes(number_: Any, limit: Any) -> bool:
    """More than."""
    if limit == UNLIMITED:
        return False
    return bool(number_ == UNLIMITED or number_ > limit)


def desks_at(grants: list[Plain], t: int) -> Any:
    return added(
        [
            g["amount"]
            for g in grants
            if g["key"] in DESKS and g["starts_at"] <= t and (g["ends_at"] is None or t < g["ends_at"])
        ]
    )
