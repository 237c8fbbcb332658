"""Operations on tenants, plans, accounts and usage, by chance."""

from __future__ import annotations

from collections.abc import Callable

from tests.model.author import BLOCKERS, EDITIONS, KEYS, PLANS, PRODUCTS, TENANTS, UNIT, USERS, Author
from tests.model.state import NEVER, Plain, Tenant
from tests.strategies import ZONES

# --- tenants ---


def tenant_create(author: Author) -> Plain:
    made = author.new_tenant(author.one([*TENANTS, "extra"]), author.one([None, author.tenant()]))
    return {k: v for k, v in made.items() if k not in {"op", "at"}}


def tenant_update(author: Author) -> Plain:
    change = author.one(
        [
            {"zone": author.one(ZONES)},
            {"zone": author.one(ZONES)},
            {"edition": author.one([*EDITIONS, "", "none"])},
            {"language": "zh-CN"},
            {"tags": ["vip"]},
        ]
    )
    return {"tenant": author.tenant()} | change | author.version()


def tenant_move(author: Author) -> Plain:
    return {"tenant": author.tenant(), "parent": author.one([None, author.tenant(), author.tenant()])}


def only_tenant(author: Author) -> Plain:
    return {"tenant": author.tenant()}


def tenant_restore(author: Author) -> Plain | None:
    archived = [t for t, found in author.office.tenants.items() if found.archived_at is not None]
    return {"tenant": author.one(archived)} if archived else None


def tenant_erase(author: Author) -> Plain | None:
    archived = [t for t, found in author.office.tenants.items() if found.archived_at is not None]
    return {"tenant": author.one(archived)} if archived else only_tenant(author) if author.chance(0.1) else None


def tenant_archive(author: Author) -> Plain:
    return {"tenant": author.tenant(), "retention_days": author.one([0, 0, 1, 30, 365])}


def tenant_block(author: Author) -> Plain:
    tenant = author.tenant()
    start, until = sorted([author.near(tenant), author.near(tenant)])
    until = NEVER if author.chance(0.4) else until
    return {
        "tenant": tenant,
        "name": author.one(BLOCKERS),
        "from": start,
        "until": until,
        "cascade": author.chance(0.5),
    }


def tenant_unblock(author: Author) -> Plain | None:
    blocked = [t for t, found in author.office.tenants.items() if found.blocks]
    if not blocked and not author.chance(0.05):
        return None
    tenant = author.one(blocked or ["acme"])
    set_there = list(author.office.tenants[tenant].blocks) if blocked else []
    return {"tenant": tenant, "name": author.one(set_there if set_there and author.chance(0.8) else BLOCKERS)}


# --- plans ---


def services(author: Author) -> list[tuple[str, int]]:
    named = {author.one(PRODUCTS) if author.chance(0.98) else "nothing" for _ in range(author.one([1, 1, 2]))}
    return [(product, author.quantity()) for product in sorted(named)]


def blocking(author: Author) -> Plain | None:
    if author.chance(0.4):
        return None
    basis = author.one(["money", "money", "money", "days"])
    return {"basis": basis, "allowed_balance": allowed(author), "deferral_days": author.one([0, 0, 3, 30])}


def allowed(author: Author) -> int:
    return int(author.one([0, 0, -50 * UNIT, -3 * UNIT, 2 * UNIT]))


def plan(author: Author) -> str:
    return "tin" if not author.office.plans or author.chance(0.03) else str(author.one(author.office.plans))


def plan_create(author: Author) -> Plain:
    owner = author.one([None, None, author.tenant()])
    return {
        "plan": author.one([*PLANS]),
        "owner": owner,
        "name": "A plan",
        "services": services(author),
        "blocking": blocking(author),
    }


def plan_update(author: Author) -> Plain:
    change = author.one([{"name": "Another"}, {"services": services(author), "blocking": blocking(author)}])
    return {"plan": plan(author)} | change | author.version()


def plan_duplicate(author: Author) -> Plain:
    return {"plan": plan(author), "new": author.one([*PLANS, "copper"])}


def only_plan(author: Author) -> Plain | None:
    return {"plan": plan(author)} if author.office.plans else None


def plan_delete(author: Author) -> Plain | None:
    """Most often one that can be."""
    archived = sorted(name for name, found in author.office.plans.items() if found.archived)
    return {"plan": author.one(archived)} if archived else only_plan(author) if author.chance(0.2) else None


def plan_assign(author: Author) -> Plain | None:
    if not author.office.plans:
        return None
    tenant = billed(author) if author.chance(0.5) else None
    return {"tenant": author.tenant() if tenant is None else tenant.id, "plan": plan(author)}


def plan_unassign(author: Author) -> Plain | None:
    """Most often of one that has a plan."""
    having = sorted({a.tenant for a in author.office.assignments if not a.taken_away})
    return {"tenant": author.one(having)} if having else only_tenant(author) if author.chance(0.1) else None


# --- accounts and usage ---


def settings(author: Author, basis: str, tenant: str) -> Plain:
    charge = author.one([60 * UNIT, 7 * UNIT, 12_345_678, UNIT, 0] if basis == "money" else [UNIT])
    made: Plain = {
        "basis": basis,
        "balance": charge * author.one([0, 1, 1, 2, 3, 10]) + author.one([0, 0, -1, 1, -5 * UNIT]),
        "allowed_balance": allowed(author),
        "deferral_days": author.one([0, 0, 1, 5]),
    }
    if basis == "money":
        made |= {"charge": charge, "anchor": author.near(tenant)}
        made["period"] = author.one([{"months": 1}, {"months": 1}, {"months": 3}, {"days": 1}, {"days": 7}])
    return made


def account_open(author: Author) -> Plain | None:
    without = [t for t, found in author.office.tenants.items() if found.account is None]
    if not without and author.chance(0.9):
        return None
    tenant = author.one(without or ["acme"])
    return {"tenant": tenant} | settings(author, author.one(["money", "money", "money", "days"]), tenant)


def billed(author: Author) -> Tenant | None:
    found = [tenant for tenant in author.office.tenants.values() if tenant.account is not None]
    return author.one(found) if found else None


def with_account(make: Callable[[Author, Tenant], Plain]) -> Callable[[Author], Plain | None]:
    def write(author: Author) -> Plain | None:
        tenant = billed(author)
        if tenant is None:
            return {"tenant": "acme"} | make(author, Tenant("acme", None, "UTC")) if author.chance(0.02) else None
        return {"tenant": tenant.id} | make(author, tenant)

    return write


def account_top_up(author: Author, tenant: Tenant) -> Plain:
    held = tenant.account
    owed = 0 if held is None or held["owed_charge"] is None else held["owed_charge"] - held["balance"]
    return {"amount": author.one([UNIT, 60 * UNIT, 10 * UNIT, max(owed, 1), max(owed - 1, 1), 0])}


def account_correct(author: Author, _: Tenant) -> Plain:
    return {"amount": author.one([-UNIT, -100 * UNIT, 5, 60 * UNIT, 0]), "reason": "counted again"}


def account_set_charge(author: Author, tenant: Tenant) -> Plain:
    made = settings(author, "money", tenant.id)
    return {name: made[name] for name in ("charge", "anchor", "period") if name == "charge" or author.chance(0.6)}


def account_set_blocking(author: Author, _: Tenant) -> Plain:
    made: Plain = {"allowed_balance": allowed(author), "deferral_days": author.one([0, 2, 5])}
    return made if author.chance(0.6) else {"deferral_days": made["deferral_days"]}


def account_change_basis(author: Author, tenant: Tenant) -> Plain:
    other = "days" if tenant.account is not None and tenant.account["basis"] == "money" else "money"
    return settings(author, other if author.chance(0.9) else author.one(["money", "days"]), tenant.id)


def nothing_more(_: Author, __: Tenant) -> Plain:
    return {}


def usage_change(author: Author) -> Plain:
    made: Plain = {"tenant": author.tenant(), "key": author.one(KEYS)}
    return made | author.one([{"delta": author.rng.randint(-3, 6)}, {"absolute": author.rng.randint(0, 15)}])


def usage_seats(author: Author) -> Plain:
    changes = [(author.one(USERS), author.chance(0.75)) for _ in range(author.rng.randint(1, 3))]
    return {"tenant": author.tenant(), "key": author.one(["layout_designer", "projects"]), "changes": changes}


def usage_reconcile(author: Author) -> Plain:
    counts = []
    for key in author.rng.sample(KEYS, author.rng.randint(1, 3)):
        users = author.rng.sample(USERS, author.rng.randint(0, 3)) if key in {"layout_designer", "projects"} else []
        counts.append((key, author.rng.randint(0, 9), users))
    return {"tenant": author.tenant(), "counts": counts, "complete": author.chance(0.5)}
