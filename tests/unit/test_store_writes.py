"""Every function of the store that writes: one entry in the audit trail for each change, none where nothing changes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

import sync.store
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER, MICROS, Basis, Period
from sync.store import (
    accounts,
    assignments,
    blocks,
    catalogue,
    counting,
    erasure,
    notices,
    operators,
    orders,
    payments,
    plans,
    revisions,
    schema,
    tenants,
    usage,
)
from sync.store.audit import By
from sync.store.counting import Count, UsageAsk
from sync.store.errors import Refused
from sync.store.operators import Role
from sync.store.orders import OrderAsk
from sync.store.placing import Kind
from sync.store.products import product_of
from sync.store.tenants import NewTenant
from sync.store.usage import Absolute
from tests.changing import change, entries, plan, terms, verdict
from tests.storing import START, TESTER, Shop, at, filling, months, on_every_database, per_unit, until

pytestmark = on_every_database

NOW = "2026-02-10"
PARTS = {
    "assignments.take_away",
    "billing.move",
    "billing.put_under",
    "billing.settle_within",
    "ledger.write",
    "notices.queue",
    "recording.record",
    "usage.audit_usage",
}
"""Steps within a change that tells of them."""
ON_THEIR_WAY = {
    f"notices.{name}" for name in ("plan", "claim", "release", "cancel", "sent", "failed", "unsendable", "postponed")
}
"""What becomes of an e-mail by itself is no change to what is sold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A call, the entries that it makes, and those that it makes when it is made again at once; None: it is refused."""

    make: Callable[..., Any]
    args: tuple[Any, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    entries: tuple[str, ...]
    again: tuple[str, ...] | None = ()
    about: str = "acme"
    """Of which tenant; "" for none."""


MONTHLY = {"charge": MICROS, "anchor": at(START), "period": Period(months=1)}
WRITES: dict[str, Write] = {
    "revisions.mean_restored": Write(
        make=revisions.mean_restored, entries=("store.restored",), again=("store.restored",), about=""
    ),
    "revisions.prune": Write(make=revisions.prune, args=(at(NOW),), entries=("store.prune",), about=""),
    "accounts.open_account": Write(
        make=accounts.open_account,
        args=("fresh",),
        fields={"basis": Basis.DAYS, "balance": 0, "now": NOW},
        entries=("account.open",),
        again=None,
        about="fresh",
    ),
    "accounts.top_up": Write(
        make=accounts.top_up,
        args=("acme", MICROS),
        fields={"now": NOW},
        entries=("account.top_up",),
        again=("account.top_up",),
    ),
    "accounts.correct_balance": Write(
        make=accounts.correct_balance,
        args=("acme", -MICROS),
        fields={"now": NOW, "reason": "r"},
        entries=("account.correct",),
        again=("account.correct",),
    ),
    "accounts.set_charge": Write(
        make=accounts.set_charge,
        args=("acme",),
        fields={"now": NOW} | MONTHLY,
        entries=("account.set_charge",),
    ),
    "accounts.set_blocking": Write(
        make=accounts.set_blocking,
        args=("acme",),
        fields={"now": NOW, "deferral_days": 9},
        entries=("account.set_blocking",),
    ),
    "accounts.change_basis": Write(
        make=accounts.change_basis,
        args=("acme",),
        fields={"now": NOW, "basis": Basis.DAYS, "balance": 0},
        entries=("account.change_basis",),
        again=None,
    ),
    "accounts.close_account": Write(
        make=accounts.close_account,
        args=("acme",),
        fields={"now": NOW, "reason": "r"},
        entries=("account.close",),
        again=None,
    ),
    "accounts.settle_account": Write(
        make=accounts.settle_account, args=("acme",), fields={"now": NOW}, entries=("account.settle",)
    ),
    "assignments.assign_plan": Write(
        make=assignments.assign_plan, args=("acme", "loose"), fields={"now": NOW}, entries=("plan.assign",)
    ),
    "assignments.unassign_plan": Write(
        make=assignments.unassign_plan,
        args=("acme",),
        fields={"now": NOW},
        entries=("plan.unassign",),
        again=None,
    ),
    "blocks.block_tenant": Write(
        make=blocks.block_tenant,
        args=("acme", "fraud"),
        fields={"starts_at": 5, "ends_at": FOREVER, "cascade": True},
        entries=("tenant.block",),
    ),
    "blocks.unblock_tenant": Write(
        make=blocks.unblock_tenant, args=("acme", "legal"), entries=("tenant.unblock",), again=None
    ),
    "catalogue.create_product": Write(
        make=catalogue.create_product,
        args=(product_of(per_unit("new", "new")),),
        fields={"now": NOW},
        entries=("product.create",),
        again=None,
        about="",
    ),
    "catalogue.update_product": Write(
        make=catalogue.update_product,
        args=(product_of(per_unit("fd", "other")),),
        fields={"now": NOW},
        entries=("product.update",),
        about="",
    ),
    "catalogue.put_edition": Write(make=catalogue.put_edition, args=("tiny", 5), entries=("edition.put",), about=""),
    "counting.reconcile_usage": Write(
        make=counting.reconcile_usage,
        args=("acme", [Count(key="fixed_desk", units=9), Count(key="designer", units=1, seats=("u2", "u3"))]),
        entries=("usage.reconcile",),
    ),
    "counting.set_usages": Write(
        make=counting.set_usages,
        args=(
            [
                UsageAsk(tenant_id="acme", key="fixed_desk", units=9),
                UsageAsk(tenant_id="acme", key="designer", user_id="u9"),
                UsageAsk(tenant_id="acme", key="designer", user_id="u1"),
            ],
        ),
        entries=("usage.adjust", "usage.adjust"),
    ),
    "erasure.erase_tenant": Write(
        make=erasure.erase_tenant,
        args=("gone",),
        fields={"now": NOW},
        entries=("tenant.erase",),
        again=None,
        about="gone",
    ),
    "erasure.erase_due": Write(make=erasure.erase_due, fields={"now": NOW}, entries=("tenant.erase",), about="gone"),
    "notices.retry_notice": Write(
        make=notices.retry_notice, args=(1,), fields={"now": NOW}, entries=("notice.retry",), again=None
    ),
    "operators.add_operator": Write(
        make=operators.add_operator,
        args=("bob", Role.VIEWER),
        fields={"now": NOW},
        entries=("operator.add",),
        again=None,
        about="",
    ),
    "operators.set_role": Write(
        make=operators.set_role, args=("ada", Role.ADMIN), entries=("operator.set_role",), about=""
    ),
    "operators.rotate_token": Write(
        make=operators.rotate_token,
        args=("ada",),
        entries=("operator.rotate_token",),
        again=("operator.rotate_token",),
        about="",
    ),
    "operators.disable_operator": Write(
        make=operators.disable_operator, args=("ada",), fields={"now": NOW}, entries=("operator.disable",), about=""
    ),
    "operators.enable_operator": Write(
        make=operators.enable_operator, args=("eve",), entries=("operator.enable",), about=""
    ),
    "orders.place_order": Write(
        make=orders.place_order,
        args=("acme", Kind.RENEW, {"fd": 3}),
        fields={"now": NOW, "term": months(12)},
        entries=("order.place",),
        again=("order.place",),
    ),
    "orders.place_orders": Write(
        make=orders.place_orders,
        args=(
            [
                OrderAsk(tenant_id="acme", kind=Kind.RENEW, products={"fd": 3}, term=months(12)),
                OrderAsk(tenant_id="nobody", kind=Kind.NEW, products={"fd": 3}, term=months(12)),
                OrderAsk(tenant_id="acme", kind=Kind.UPGRADE, products={"fd": 6}),
            ],
        ),
        fields={"now": NOW},
        entries=("order.place", "order.place"),
        again=("order.place",),
    ),
    "orders.void_order": Write(
        make=orders.void_order, args=(1,), fields={"now": NOW}, entries=("order.void",), again=None
    ),
    "payments.record_payment": Write(
        make=payments.record_payment,
        args=(1, MICROS),
        fields={"now": NOW},
        entries=("payment.record",),
        again=("payment.record",),
    ),
    "payments.record_provisioning": Write(
        make=payments.record_provisioning,
        args=(1,),
        fields={"now": NOW},
        entries=("provisioning.record",),
        again=("provisioning.record",),
    ),
    "plans.create_plan": Write(
        make=plans.create_plan,
        args=("new",),
        fields={"name": "New", "terms": terms({"fd": 1}), "owner_id": "acme", "now": NOW},
        entries=("plan.create",),
        again=None,
    ),
    "plans.update_plan": Write(
        make=plans.update_plan, args=("team",), fields={"name": "Other"}, entries=("plan.update",), about=""
    ),
    "plans.duplicate_plan": Write(
        make=plans.duplicate_plan,
        args=("team",),
        fields={"now": NOW},
        entries=("plan.create",),
        again=("plan.create",),
        about="",
    ),
    "plans.archive_plan": Write(
        make=plans.archive_plan, args=("team",), fields={"now": NOW}, entries=("plan.archive",), about=""
    ),
    "plans.restore_plan": Write(make=plans.restore_plan, args=("old",), entries=("plan.restore",), about=""),
    "plans.delete_plan": Write(make=plans.delete_plan, args=("old",), entries=("plan.delete",), again=None, about=""),
    "tenants.create_tenant": Write(
        make=tenants.create_tenant,
        args=("new",),
        fields={"now": NOW},
        entries=("tenant.create",),
        again=None,
        about="new",
    ),
    "tenants.create_tenants": Write(
        make=tenants.create_tenants,
        args=([NewTenant(id="new"), NewTenant(id="acme")],),
        fields={"now": NOW},
        entries=("tenant.create",),
        about="new",
    ),
    "tenants.update_tenant": Write(
        make=tenants.update_tenant,
        args=("acme",),
        fields={"now": NOW, "zone": "Asia/Shanghai", "name": "Other"},
        entries=("tenant.update",),
    ),
    "tenants.move_tenant": Write(make=tenants.move_tenant, args=("acme", "fresh"), entries=("tenant.move",)),
    "tenants.archive_tenant": Write(
        make=tenants.archive_tenant, args=("acme",), fields={"now": NOW}, entries=("tenant.archive",)
    ),
    "tenants.restore_tenant": Write(
        make=tenants.restore_tenant, args=("gone",), entries=("tenant.restore",), about="gone"
    ),
    "usage.change_usage": Write(
        make=usage.change_usage, args=("acme", "fixed_desk", Absolute(units=9)), entries=("usage.adjust",)
    ),
}


@filling
def filled(shop: Shop) -> None:
    """`acme` has an order, an account that owes, a plan, a block, usage, a notice that failed; `gone` is archived."""
    shop.product(per_unit("fd", "fixed_desk"))
    for tenant_id in ("acme", "fresh", "gone"):
        shop.tenant(tenant_id)
    shop.new("acme", {"fd": 5}, START, until("2026-06-01"))
    money = {"basis": Basis.MONEY, "balance": 50 * MICROS, "now": START}
    change(shop, accounts.open_account, "acme", **money, **MONTHLY | {"charge": 60 * MICROS})
    plan(shop, "team", {"fd": 1})
    plan(shop, "strict", basis="money", allowed_balance=0)
    plan(shop, "loose", {"fd": 1}, basis="money", allowed_balance=-90 * MICROS)
    plan(shop, "old", {"fd": 1})
    change(shop, plans.archive_plan, "old", now=START)
    change(shop, assignments.assign_plan, "acme", "strict", now=START)
    change(shop, blocks.block_tenant, "acme", "legal", starts_at=1)
    shop.use("acme", fixed_desk=3)
    shop.seat("acme", "designer", "u1", "u2")
    change(shop, tenants.archive_tenant, "gone", now=START, retention_days=1)
    change(shop, operators.add_operator, "ada", Role.OPERATOR, now=START)
    change(shop, operators.add_operator, "eve", Role.OPERATOR, now=START)
    change(shop, operators.disable_operator, "eve", now=START)
    with shop.store.writing(TESTER) as writing:
        notices.queue(writing, "acme", "provisioned", {"order_id": 1}, dedupe="d", now=at(START))
        writing.conn.execute(update(schema.notice).values(state="failed"))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store.db", filled)


def functions() -> Iterator[str]:
    """Every public function of the store that takes a change on its way."""
    for found in pkgutil.iter_modules(sync.store.__path__):
        if not found.ispkg:
            module = importlib.import_module(f"sync.store.{found.name}")
            for name, value in vars(module).items():
                own = inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
                if own and next(iter(inspect.signature(value).parameters), "") == "writing":
                    yield f"{found.name}.{name}"


def test_every_function_that_writes_is_here() -> None:
    assert set(functions()) - PARTS - ON_THEIR_WAY == WRITES.keys()


@pytest.mark.parametrize("name", WRITES)
def test_a_change_has_its_one_entry_and_what_changes_nothing_has_none(shop: Shop, name: str) -> None:
    write, by = WRITES[name], By(operator="ada", at=at("2026-02-11"), key="k1")
    if name in {"accounts.change_basis", "tenants.move_tenant"}:
        change(shop, assignments.unassign_plan, "acme", now=START)
    left = change(shop, write.make, *write.args, by=by, **write.fields)
    assert tuple(entry.action for entry in left.entries) == write.entries
    for entry in left.entries:
        assert (entry.operator, entry.recorded_at, entry.idempotency_key) == (by.operator, by.at, "k1")
        assert entry.tenant_id == write.about
        assert entry.subject
        assert entry.details is not None
        assert entry.details["before"] != entry.details["after"]
    assert verdict(shop).fault == ""
    once_more(shop, write)


def once_more(shop: Shop, write: Write) -> None:
    before, revision = entries(shop), shop.revision()
    if write.again is None:
        with pytest.raises((Refused, InvalidRequest)):
            change(shop, write.make, *write.args, **write.fields)
        assert (entries(shop), shop.revision()) == (before, revision)
        return
    left = change(shop, write.make, *write.args, **write.fields)
    assert tuple(entry.action for entry in left.entries) == write.again
    if not write.again:
        assert left.records == set()
