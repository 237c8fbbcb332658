"""Orders (domain.md 3): placed once they are drafted and judged as a whole, voided, and paid."""

from __future__ import annotations

from dataclasses import replace

from tests.model import lineage, money
from tests.model.drafts import KINDS, Draft
from tests.model.grants import desks_at, grants_of, lines_of, passes
from tests.model.state import NEVER, Line, Office, Order, Plain, Ruling, refuses_tenant


def place(office: Office, op: Plain) -> Ruling:
    must = refuses_tenant(office, op["tenant"])
    must |= {"UNKNOWN_PRODUCT"} if any(p not in office.products for p in op["products"]) else set()
    if op.get("edition") is not None and op["edition"] not in office.editions:
        must.add("UNKNOWN_EDITION")
    if not op["products"] and not (op["kind"] == "UPGRADE" and op.get("edition") is not None):
        must |= {"INVALID", "NOTHING_TO_UPGRADE"}
    if "length" in op and "ends_at" in op:
        must.add("INVALID")
    if must - {"TENANT_ARCHIVED"}:
        return Ruling(must=must, may=POSSIBLE)
    draft = Draft(must=must)
    KINDS[op["kind"]](office, op, draft)
    if any(line.empty() for line in draft.lines):
        draft.must.add("EMPTY_TERM")
        draft.may.add("INVALID")
    order = Order(0, op["tenant"], op["kind"], draft.lines, trial=bool(op.get("trial")), edition=op.get("edition"))
    order.noticed = draft.noticed
    price(office, op, order, draft)
    cap(office, op, draft)

    def do() -> Order:
        for line, at in draft.ends:
            line.ended.append(at)
        order.id = len(office.orders) + 1
        office.orders.append(order)
        return order

    return Ruling(must=draft.must, may=draft.may, do=do)


POSSIBLE = {
    "TERM_RUNNING",
    "TRIAL_USED",
    "NO_TRIAL",
    "END_NOT_LATER",
    "NOTHING_TO_RENEW",
    "NOTHING_RUNNING",
    "NOTHING_TO_UPGRADE",
    "NOTHING_TO_DOWNGRADE",
    "DOWNGRADE_NOT_ALLOWED",
    "EDITION_CAP_EXCEEDED",
    "EMPTY_TERM",
    "INVALID",
}
"""What may be named beside when it is not even known who orders what."""


def price(office: Office, op: Plain, order: Order, draft: Draft) -> None:
    zone = office.tenants[op["tenant"]].zone
    edition = op.get("edition") or lineage.own_edition(office, op["tenant"])
    for line in order.lines:
        if line.kept:
            continue
        stated = op.get("money", {}).get(line.product["id"], {})
        listed = 0 if op.get("trial") else money.listed_price(office, edition, op.get("currency", ""), line)
        if "unit_price" not in stated and not op.get("trial"):
            others = money.listed_in(office, edition, line)
            if others and op.get("currency", "") not in others:
                draft.must.add("INVALID")  # it has a price, in another currency
        line.unit_price = stated.get("unit_price", listed)
        line.billed_from = stated.get("billed_from", line.trial_until or line.starts_at)
        if not line.starts_at <= line.billed_from <= line.ends_at:
            draft.must.add("INVALID")
            continue
        begun = 0 if op.get("trial") else money.periods_begun(line, zone)
        line.periods = stated.get("periods", begun)
    if not op.get("currency") and any(line.unit_price for line in order.lines):
        draft.must.add("INVALID")
    order.total = money.total(order.lines, op.get("coupon_amount", 0), op.get("credit", 0))


def cap(office: Office, op: Plain, draft: Draft) -> None:
    """Whether fixed and shared desks would pass the cap of the order's edition, else the tenant's, at any instant.

    They pass it by this order where it raises them, or where it names an edition with a lower cap, which then holds
    from its first line on. Left open: desks of the term before that line, and a cap that was lowered under a tenant.
    """
    current = lineage.own_edition(office, op["tenant"])
    name = op.get("edition") or current
    if name is None:
        return
    most = office.editions[name]["cap"]
    cut = {id(line): at for line, at in draft.ends}
    lines = lines_of(office, op["tenant"])
    before = [g for line in lines for g in grants_of(line)]
    after = [g for line in [*cut_short(lines, cut), *draft.lines] for g in grants_of(line)]
    if raised_over(before, after, most):
        draft.must.add("EDITION_CAP_EXCEEDED")
    elif op.get("edition") is not None:
        lower = current is None or most < office.editions[current]["cap"]
        first = min((line.starts_at for line in draft.lines), default=NEVER)
        if lower and over_from(after, most, max(op["at"], first)):
            draft.must.add("EDITION_CAP_EXCEEDED")
        elif over_from(after, most, min(op["at"], first)):
            draft.may.add("EDITION_CAP_EXCEEDED")


def cut_short(lines: list[Line], cut: dict[int, int]) -> list[Line]:
    return [replace(line, ended=[*line.ended, cut[id(line)]]) if id(line) in cut else line for line in lines]


def raised_over(before: list[Plain], after: list[Plain], most: int) -> bool:
    edges = {edge for g in [*before, *after] for edge in (g["starts_at"], g["ends_at"]) if edge is not None}
    return any(passes(desks_at(after, t), most) and passes(desks_at(after, t), desks_at(before, t)) for t in edges)


def over_from(grants: list[Plain], most: int, since: int) -> bool:
    return any(passes(desks_at(grants, max(since, g["starts_at"])), most) for g in grants)


def void(office: Office, op: Plain) -> Ruling:
    """Ends an order from an instant on; again only earlier."""
    order = next((o for o in office.orders if o.id == op["order"]), None)
    if order is None:
        return Ruling(must={"UNKNOWN_ORDER"})
    must = refuses_tenant(office, order.tenant, archived=False)
    if order.kind == "VOID":
        must.add("NOT_VOIDABLE")
    at = op.get("void_at", op["at"])
    voided = [v.void_at for v in office.orders if v.voids == order.id and v.void_at is not None]
    if voided and at >= min(voided):
        must.add("ALREADY_VOID")
    may = {"ALREADY_VOID", "NOTHING_TO_VOID"} if all(line.end() <= at for line in order.lines) else set()

    def do() -> Order:
        for line in order.lines:
            line.ended.append(at)
        record = Order(len(office.orders) + 1, order.tenant, "VOID", [], voids=order.id, void_at=at)
        office.orders.append(record)
        return record

    return Ruling(must=must, may=may, do=do)


def pay(office: Office, op: Plain) -> Ruling:
    """Records a payment, or takes back of one no more than is left of it."""
    order = next((o for o in office.orders if o.id == op["order"]), None)
    if order is None:
        return Ruling(must={"UNKNOWN_ORDER"})
    must = refuses_tenant(office, order.tenant, archived=False)
    may: set[str] = set()
    corrects = op.get("corrects")
    if corrects is None:
        must |= {"INVALID"} if op["amount"] <= 0 else set()
    else:
        mine = {payment: amount for payment, amount, of in order.payments if of is None}
        taken = sum(amount for _, amount, of in order.payments if of == corrects)
        if corrects not in mine:
            must |= {"UNKNOWN_PAYMENT", "INVALID"}
        elif mine[corrects] + taken + op["amount"] < 0:
            must |= {"INVALID", "CORRECTION_TOO_LARGE"}
        if op["amount"] >= 0:
            must.add("INVALID")
    if order.kind == "VOID":
        may |= {"INVALID", "NOT_PAYABLE", "UNKNOWN_ORDER", "NOTHING_TO_PAY"}

    def do() -> Order:
        number = 1 + sum(len(o.payments) for o in office.orders)
        order.payments.append((number, op["amount"], corrects))
        return order

    return Ruling(must=must, may=may, do=do)
