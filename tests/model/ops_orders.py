"""Orders, voids and payments, by chance."""

from __future__ import annotations

from tests.model import drafts
from tests.model.author import EDITIONS, UNIT, Author
from tests.model.state import NEVER, Order, Plain
from tests.oracle import DAY


def end(author: Author, tenant: str) -> Plain:
    draw = author.rng.random()
    if draw < 0.6:
        return {"length": {"months": author.one([1, 1, 2, 3, 12])}}
    if draw < 0.7:
        return {"length": {"days": author.one([1, 10, 30])}}
    if draw < 0.76:
        return {"ends_at": NEVER}
    if author.chance(0.1):
        return {"ends_at": author.near(tenant)}
    return {"ends_at": max(author.near(tenant) for _ in range(3))}


def money(author: Author, products: Plain) -> Plain:
    if author.chance(0.5):
        return {}
    made: Plain = {"currency": author.one(["CNY", "CNY", "CNY", "EUR", ""])}
    stated: Plain = {}
    for product in products:
        if author.chance(0.5):
            stated[product] = {"unit_price": author.one([0, 1, 500 * UNIT, author.rng.randrange(10**10)])}
            if author.chance(0.3):
                stated[product]["periods"] = author.rng.randint(0, 24)
            if author.chance(0.2):
                stated[product]["billed_from"] = author.now + author.one([0, DAY, 20 * DAY, 45 * DAY])
    if stated:
        made["money"] = stated
    if author.chance(0.3):
        made |= {"coupon_amount": author.rng.randrange(10**10), "credit": author.one([0, 1, 10**15])}
    return made


def order_place(author: Author) -> Plain:
    tenant = buyer(author)
    runs: dict[str, int] = {}
    known: set[str] = set()
    marked: set[str] = set()
    if tenant in author.office.tenants:
        lines = [line for _, line in drafts.running(author.office, tenant, author.now)]
        runs = {line.product["id"]: line.quantity for line in lines}
        marked = {line.product["id"] for line in lines if "downgrade" in line.product}
        known = {p for p in author.office.products if drafts.lines_of(author.office, tenant, p, paid=True)}
    kind = fitting_kind(author, runs=bool(runs), known=bool(known), marked=bool(marked))
    untouched = set(author.office.products) - known
    fitting = {"NEW": untouched, "RENEW": known, "DOWNGRADE": marked or set(runs)}.get(kind, set(runs))
    products: dict[str, int] = {}
    tried = trials(author, tenant) if kind == "NEW" and author.chance(0.5) else []
    for product in tried:
        products[product] = author.quantity()
    for _ in range(0 if tried else author.one([1, 1, 2, 3])):
        product = author.one(sorted(fitting)) if fitting and author.chance(0.95) else author.product()
        was = runs.get(product, 3)
        wanted = {"UPGRADE": was + author.one([0, 1, 1, 2, 5, -1]), "DOWNGRADE": was - author.one([0, 1, 1, 1, 2, -1])}
        products[product] = max(1, wanted.get(kind, author.one([author.quantity(), was, was])))
    made: Plain = {"tenant": tenant, "kind": kind, "products": products}
    if author.chance(0.12 if kind != "UPGRADE" else 0.3):
        made["edition"] = author.one(EDITIONS)
        if kind == "UPGRADE" and author.chance(0.3):
            made["products"] = {}
    made |= terms(author, made) | money(author, made["products"])
    return made | author.one([end(author, tenant), {"starts_at": author.near(tenant)}]) if author.chance(0.02) else made


def trials(author: Author, tenant: str) -> list[str]:
    """Products whose trial is not over, which a paid order would end."""
    return [
        product
        for product in author.office.products
        for line in drafts.lines_of(author.office, tenant, product, paid=False)
        if line.end() > author.now
    ]


def buyer(author: Author) -> str:
    """Most often one that has bought before."""
    bought = sorted({order.tenant for order in author.office.orders})
    return author.one(bought) if bought and author.chance(0.6) else author.tenant()


def fitting_kind(author: Author, *, runs: bool, known: bool, marked: bool) -> str:
    if runs:
        lower = ["DOWNGRADE"] * (3 if marked else 1)
        return str(author.one(["NEW", "RENEW", "RENEW", "UPGRADE", "UPGRADE", "UPGRADE", *lower]))
    if known:
        return "UPGRADE" if author.chance(0.05) else str(author.one(["NEW", "RENEW", "RENEW", "RENEW"]))
    return "NEW" if author.chance(0.95) else str(author.one(["RENEW", "UPGRADE", "DOWNGRADE"]))


def terms(author: Author, op: Plain) -> Plain:
    kind, tenant = op["kind"], op["tenant"]
    if kind == "NEW":
        tried = [p for p in op["products"] if author.office.products.get(p, [{}])[-1].get("trial") is not None]
        trial = len(tried) == len(op["products"]) and author.chance(0.4)
        made: Plain = {"trial": True} if trial or author.chance(0.01) else end(author, tenant)
        if author.chance(0.3):
            made["starts_at"] = author.near(tenant)
        return made
    if kind == "RENEW":
        made = {"late_start": "old_end"} if author.chance(0.3) else {}
        if author.chance(0.15):
            made["starts_at"] = author.near(tenant)
        return end(author, tenant) | made
    if kind == "DOWNGRADE" and author.chance(0.5):
        return end(author, tenant)
    return {}


def some_order(author: Author) -> Order | None:
    return author.one(author.office.orders) if author.office.orders else None


def order_void(author: Author) -> Plain | None:
    order = some_order(author)
    if order is None:
        return {"order": 4_711} if author.chance(0.05) else None
    made: Plain = {"order": order.id}
    if author.chance(0.5):
        starts = [line.starts_at for line in order.lines]
        made["void_at"] = author.one([*starts, *starts, author.near(order.tenant)])
    return made


def payment_record(author: Author) -> Plain | None:
    order = some_order(author)
    if order is None:
        return None
    with_payments = [o for o in author.office.orders if o.payments]
    if with_payments and author.chance(0.5):
        order = author.one(with_payments)
    paid = [(number, amount) for number, amount, of in order.payments if of is None]
    if paid and author.chance(0.5):
        number, amount = author.one(paid)
        return {"order": order.id, "amount": -author.one([amount, 1, amount // 2 or 1, amount + 1]), "corrects": number}
    due = order.total - sum(amount for _, amount, _ in order.payments)
    return {"order": order.id, "amount": author.one([due, due // 2, UNIT]) or author.one([0, -5, UNIT])}
