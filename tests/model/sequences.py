"""Random sequences of operations: how often each kind comes, and the next one."""

from __future__ import annotations

from collections.abc import Callable

from tests.model import ops_tenants as ops
from tests.model.author import PLANS, PRODUCTS, TENANTS, Author
from tests.model.ops_orders import order_place, order_void, payment_record
from tests.model.state import Plain

WRITERS: dict[str, tuple[int, Callable[[Author], Plain | None]]] = {
    "order.place": (60, order_place),
    "order.void": (8, order_void),
    "payment.record": (9, payment_record),
    "usage.change": (12, ops.usage_change),
    "usage.seats": (9, ops.usage_seats),
    "usage.reconcile": (5, ops.usage_reconcile),
    "account.open": (7, ops.account_open),
    "account.top_up": (8, ops.with_account(ops.account_top_up)),
    "account.correct": (3, ops.with_account(ops.account_correct)),
    "account.set_charge": (3, ops.with_account(ops.account_set_charge)),
    "account.set_blocking": (3, ops.with_account(ops.account_set_blocking)),
    "account.change_basis": (3, ops.with_account(ops.account_change_basis)),
    "account.settle": (3, ops.with_account(ops.nothing_more)),
    "account.close": (1, ops.with_account(ops.nothing_more)),
    "plan.create": (4, ops.plan_create),
    "plan.update": (2, ops.plan_update),
    "plan.duplicate": (1, ops.plan_duplicate),
    "plan.archive": (2, ops.only_plan),
    "plan.restore": (2, ops.only_plan),
    "plan.delete": (3, ops.plan_delete),
    "plan.assign": (10, ops.plan_assign),
    "plan.unassign": (6, ops.plan_unassign),
    "tenant.create": (2, ops.tenant_create),
    "tenant.update": (5, ops.tenant_update),
    "tenant.move": (5, ops.tenant_move),
    "tenant.archive": (3, ops.tenant_archive),
    "tenant.restore": (3, ops.tenant_restore),
    "tenant.erase": (4, ops.tenant_erase),
    "tenant.block": (7, ops.tenant_block),
    "tenant.unblock": (5, ops.tenant_unblock),
    "product.update": (5, lambda author: {"doc": author.doc(author.one(PRODUCTS))}),
    "product.create": (1, lambda author: {"doc": author.doc(author.one(PRODUCTS))}),
    "edition.put": (4, Author.edition),
}


def opening(author: Author) -> list[Plain]:
    """What there is before anything happens."""
    made = author.catalogue()
    parents: list[str | None] = [None]
    for tenant in TENANTS[: author.rng.randint(1, 4)]:
        made.append(author.new_tenant(tenant, author.one(parents)))
        parents += [tenant, tenant]
    for plan_id in PLANS[: author.rng.randint(0, 2)]:
        owned = {"plan": plan_id, "owner": author.one([None, None, *parents])}
        made.append({"op": "plan.create", "at": author.now} | ops.plan_create(author) | owned)
    return made


def following(author: Author) -> Plain:
    """One operation at the next instant."""
    at = author.tick()
    while True:
        (what,) = author.rng.choices(list(WRITERS), [weight for weight, _ in WRITERS.values()])
        made = WRITERS[what][1](author)
        if made is not None:
            return {"op": what, "at": at} | made
