"""What each kind of order would do (domain.md 3), line by line, and what stands against it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests import oracle
from tests.model import lineage
from tests.model.grants import license_of
from tests.model.state import NEVER, Line, Office, Order, Plain


@dataclass
class Draft:
    """New lines, the instants at which it ends others, and what stands against it."""

    lines: list[Line] = field(default_factory=list)
    ends: list[tuple[Line, int]] = field(default_factory=list)
    must: set[str] = field(default_factory=set)
    may: set[str] = field(default_factory=set)
    noticed: bool = False


# --- what is there ---


def lines_of(office: Office, tenant: str, product: str, *, paid: bool) -> list[Line]:
    """The terms of a product; one whose window is empty is none."""
    return [
        line
        for order in office.orders
        if order.tenant == tenant
        for line in order.lines
        if line.product["id"] == product and line.paid is paid and not line.empty()
    ]


def running(office: Office, tenant: str, t: int) -> list[tuple[Order, Line]]:
    """Paid lines that run at t, with their orders."""
    return [
        (order, line)
        for order in office.orders
        if order.tenant == tenant
        for line in order.lines
        if line.paid and line.runs(t)
    ]


def trial_used(office: Office, tenant: str, product: str) -> bool:
    """One trial per product and tenant; an order that does not count uses up none."""
    return any(
        line.product["id"] == product and line.trial_until is not None
        for order in lineage.orders_that_count(office, tenant)
        for line in order.lines
    )


def on_anchor(instant: int, anchor: int, zone: str) -> int | None:
    """k, when the instant is anchor + k months."""
    k = 0
    while (reached := oracle.add_period(anchor, zone, k, 0)) < instant:
        k += 1
    return k if reached == instant else None


def length(op: Plain) -> tuple[int, int]:
    return op["length"].get("months", 0), op["length"].get("days", 0)


def end_of(op: Plain, start: int, anchor: int, zone: str) -> tuple[int, int]:
    """The end of a term as asked for, and the anchor that its months are counted from."""
    k = on_anchor(start, anchor, zone)
    if k is None:
        k, anchor = 0, start
    if "ends_at" in op:
        return op["ends_at"], anchor
    months, days = length(op)
    return oracle.add_period(anchor, zone, k + months, days), anchor


# --- the kinds ---


def new(office: Office, op: Plain, draft: Draft) -> None:
    tenant = office.tenants[op["tenant"]]
    start = op.get("starts_at", op["at"])
    for product_id, quantity in op["products"].items():
        product = office.products[product_id][-1]
        since = min(op["at"], start)
        if any(line.end() > since for line in lines_of(office, tenant.id, product_id, paid=True)):
            draft.must.add("TERM_RUNNING")
        used = trial_used(office, tenant.id, product_id)
        trial_until = None
        if product.get("trial") is not None and not used:
            trial_until = after_trial(product, start, tenant.zone)
        if op.get("trial"):
            if "length" in op or "ends_at" in op:
                draft.may.add("INVALID")  # it ends with the trial period
            if product.get("trial") is None:
                draft.must |= {"INVALID", "NO_TRIAL", "EMPTY_TERM"}
                continue
            if used:
                draft.must.add("TRIAL_USED")
            ends_at, anchor = after_trial(product, start, tenant.zone), start
            trial_until = ends_at
        else:
            ends_at, anchor = end_of(op, start, start, tenant.zone)
            for trial in lines_of(office, tenant.id, product_id, paid=False):
                if trial.end() > start:
                    draft.ends.append((trial, start))
        if trial_until is not None:
            trial_until = min(trial_until, ends_at)
        draft.lines.append(
            Line(product, quantity, start, ends_at, anchor, paid=not op.get("trial"), trial_until=trial_until)
        )


def after_trial(product: Plain, start: int, zone: str) -> int:
    count, unit = product["trial"]["count"], product["trial"]["unit"]
    months, days = {"month": (count, 0), "week": (0, 7 * count), "day": (0, count)}[unit]
    return oracle.add_period(start, zone, months, days)


def renew(office: Office, op: Plain, draft: Draft) -> None:
    for product_id, quantity in op["products"].items():
        old = latest(office, op["tenant"], product_id)
        if old is None:
            draft.must.add("NOTHING_TO_RENEW")
            continue
        if old.end() == NEVER:
            draft.must |= {"END_NOT_LATER", "NOTHING_TO_RENEW"}
            continue
        if op["at"] <= old.end() and "starts_at" in op:
            draft.may.add("INVALID")  # it starts at the old end, whatever is asked for
        draft.lines.append(renewed(office, op, old, office.products[product_id][-1], quantity))
        if draft.lines[-1].ends_at <= old.end():
            draft.must.add("END_NOT_LATER")


def latest(office: Office, tenant: str, product_id: str) -> Line | None:
    terms = lines_of(office, tenant, product_id, paid=True)
    return max(terms, key=lambda line: line.end(), default=None)


def renewed(office: Office, op: Plain, old: Line, product: Plain, quantity: int) -> Line:
    """From the old end when in time, with the first term's anchor; late from its own start, which is its anchor."""
    zone = office.tenants[op["tenant"]].zone
    old_end = old.end()
    start, anchor = old_end, old.anchor
    if op["at"] > old_end:
        start = old_end if op.get("late_start") == "old_end" else max(op.get("starts_at", op["at"]), old_end)
        anchor = start
    ends_at, anchor = end_of(op, start, anchor, zone)
    return Line(product, quantity, start, ends_at, anchor)


def upgrade(office: Office, op: Plain, draft: Draft) -> None:
    now, named = op["at"], op["products"]
    if {"length", "ends_at", "starts_at"} & set(op):
        draft.may.add("INVALID")  # it starts now, and its end stays
    runs = running(office, op["tenant"], now)
    by_product = {line.product["id"]: line for _, line in runs}
    if not runs or any(product_id not in by_product for product_id in named):
        draft.must.add("NOTHING_RUNNING")
    rise, fall = edition_moves(office, op)
    if fall:
        draft.must.add("DOWNGRADE_NOT_ALLOWED")
        draft.may.add("NOTHING_TO_UPGRADE")
    for product_id, quantity in named.items():
        old = by_product.get(product_id)
        if old is not None:
            new_line = Line(office.products[product_id][-1], quantity, now, old.end(), old.anchor)
            if quantity < old.quantity or lowers(old, new_line):
                draft.must.add("DOWNGRADE_NOT_ALLOWED")
                draft.may.add("NOTHING_TO_UPGRADE")
            rise = rise or quantity > old.quantity
    if not rise:
        draft.must.add("NOTHING_TO_UPGRADE")
    supersede(office, op, draft, now)


def edition_moves(office: Office, op: Plain) -> tuple[bool, bool]:
    """Whether an order names an edition with a higher cap than the tenant's (or one where it had none), or a lower."""
    named = op.get("edition")
    current = lineage.own_edition(office, op["tenant"])
    if named is None or current is None:
        return named is not None, False
    before, after = office.editions[current]["cap"], office.editions[named]["cap"]
    return after > before, after < before


def lowers(old: Line, new_line: Line) -> bool:
    """Whether the license template grants less of anything than before: a number, or a key or feature at all."""
    before, after = license_of(old), license_of(new_line)
    for key in {g["key"] for g in before}:
        if key not in {g["key"] for g in after}:
            return True
        for dimension in ("amount", "users"):
            was, now = ([g[dimension] for g in grants if g["key"] == key] for grants in (before, after))
            if most(was) > most(now):
                return True
    return False


def most(numbers: list[object]) -> float:
    """The sum, with unlimited above all and "not granted" below all."""
    if "unlimited" in numbers:
        return float("inf")
    given = [n for n in numbers if isinstance(n, int)]
    return sum(given) if given else -1


def supersede(office: Office, op: Plain, draft: Draft, now: int) -> None:
    """Ends all that remains of the orders that named lines belong to; as much again, or what is named, to their end."""
    runs = running(office, op["tenant"], now)
    touched = [order.id for order, line in runs if line.product["id"] in op["products"] or not op["products"]]
    for order, line in runs:
        if order.id in touched:
            named = line.product["id"] in op["products"]
            product = office.products[line.product["id"]][-1] if named else line.product
            quantity = op["products"].get(line.product["id"], line.quantity)
            draft.ends.append((line, now))
            draft.lines.append(Line(product, quantity, now, line.end(), line.anchor, kept=not named))
            ahead = lines_of(office, op["tenant"], line.product["id"], paid=True)
            draft.noticed = draft.noticed or any(other.starts_at > now for other in ahead)


def downgrade(office: Office, op: Plain, draft: Draft) -> None:
    runs = {line.product["id"]: line for _, line in running(office, op["tenant"], op["at"])}
    modes = set()
    for product_id, quantity in op["products"].items():
        old = runs.get(product_id)
        if old is None:
            draft.must.add("NOTHING_RUNNING")
            continue
        modes.add(old.product.get("downgrade", "refused"))
        if quantity >= old.quantity:
            draft.must.add("NOTHING_TO_DOWNGRADE")
    if "refused" in modes:
        draft.must.add("DOWNGRADE_NOT_ALLOWED")
    if len(modes) > 1:
        draft.must.add("INVALID")
    if modes == {"at_once"}:
        if {"length", "ends_at", "starts_at"} & set(op):
            draft.may.add("INVALID")
        supersede(office, op, draft, op["at"])
    if modes == {"at_end"}:
        if "starts_at" in op:
            draft.may.add("INVALID")
        for product_id, quantity in op["products"].items():
            if product_id in runs:
                lower_at_end(office, op, draft, runs[product_id], quantity)


def lower_at_end(office: Office, op: Plain, draft: Draft, old: Line, quantity: int) -> None:
    """Fewer from the running term's end on: in place of what is queued there, or as a renewal."""
    product = office.products[old.product["id"]][-1]
    ahead = [
        line
        for line in lines_of(office, op["tenant"], product["id"], paid=True)
        if line.starts_at >= old.end() and line is not old
    ]
    given = "length" in op or "ends_at" in op
    if not ahead:
        if old.end() == NEVER:
            draft.must |= {"INVALID", "END_NOT_LATER", "NOTHING_TO_RENEW"}
        elif not given:
            draft.must.add("INVALID")
        else:
            draft.lines.append(renewed(office, op, old, product, quantity))
            if draft.lines[-1].ends_at <= old.end():
                draft.must.add("END_NOT_LATER")
        return
    if given or len(ahead) > 1 or any(quantity >= line.quantity for line in ahead):
        draft.may |= {"INVALID", "NOTHING_TO_DOWNGRADE"}
    for line in ahead:
        draft.ends.append((line, line.starts_at))
        draft.lines.append(Line(product, quantity, line.starts_at, line.end(), line.anchor))


KINDS: dict[str, Callable[[Office, Plain, Draft], None]] = {
    "NEW": new,
    "RENEW": renew,
    "UPGRADE": upgrade,
    "DOWNGRADE": downgrade,
}
