"""Plans (domain.md 3): who may have which, what they grant, and what becomes of the blocking settings."""

from __future__ import annotations

from tests.model import accounts, lineage
from tests.model.grants import grants_of, lines_of
from tests.model.orders import cut_short, raised_over
from tests.model.state import NEVER, Assignment, Line, Office, Plain, Plan, Ruling, Tenant, refuses_tenant


def create(office: Office, op: Plain) -> Ruling:
    must = {"PLAN_EXISTS"} if op["plan"] in office.plans else set()
    if op["owner"] is not None:
        must |= refuses_tenant(office, op["owner"])
    must |= unknown(office, op["services"])
    may = {"INVALID"} if not op["services"] else set()
    gone = {a.plan for a in office.assignments} - set(office.plans)
    may |= {"PLAN_EXISTS"} if op["plan"] in gone else set()  # a deleted plan whose name is still on record

    def do() -> None:
        office.plans[op["plan"]] = Plan(op["plan"], op["owner"], op["name"], list(op["services"]), op["blocking"])

    return Ruling(must=must, may=may, do=do)


def unknown(office: Office, services: list[tuple[str, int]]) -> set[str]:
    return {"UNKNOWN_PRODUCT"} if any(product not in office.products for product, _ in services) else set()


def assigned_to(office: Office, plan: str) -> list[str]:
    return [a.tenant for a in office.assignments if a.plan == plan and not a.taken_away]


def update(office: Office, op: Plain) -> Ruling:
    """A plan that is assigned can be renamed, and no more."""
    plan = office.plans.get(op["plan"])
    if plan is None:
        return Ruling(must={"UNKNOWN_PLAN"}, may={"UNKNOWN_PRODUCT"})
    must, may = unknown(office, op.get("services", [])), set()
    must |= {"CONFLICT"} if op.get("version") == "stale" else set()
    services = op.get("services", plan.services)
    blocking = op.get("blocking", plan.blocking)
    if assigned_to(office, plan.id):
        if (services, blocking) != (plan.services, plan.blocking):
            must.add("PLAN_ASSIGNED")
        elif "services" in op or "blocking" in op:
            may.add("PLAN_ASSIGNED")
    changed = plan

    def do() -> None:
        changed.name = op.get("name", changed.name)
        changed.services, changed.blocking = list(services), blocking

    return Ruling(must=must, may=may | ({"INVALID"} if not services else set()), do=do)


def duplicate(office: Office, op: Plain) -> Ruling:
    plan = office.plans.get(op["plan"])
    if plan is None:
        return Ruling(must={"UNKNOWN_PLAN"})
    must = {"PLAN_EXISTS"} if op["new"] in office.plans else set()
    gone = {a.plan for a in office.assignments} - set(office.plans)
    may = {"PLAN_EXISTS"} if op["new"] in gone else set()
    if plan.owner is not None:
        may |= refuses_tenant(office, plan.owner)
    original = plan

    def do() -> None:
        office.plans[op["new"]] = Plan(
            op["new"], original.owner, original.name + " (copy)", list(original.services), original.blocking
        )

    return Ruling(must=must, may=may, do=do)


def archive(office: Office, op: Plain) -> Ruling:
    return set_archived(office, op, archived=True)


def restore(office: Office, op: Plain) -> Ruling:
    return set_archived(office, op, archived=False)


def set_archived(office: Office, op: Plain, *, archived: bool) -> Ruling:
    plan = office.plans.get(op["plan"])
    if plan is None:
        return Ruling(must={"UNKNOWN_PLAN"})

    def do() -> None:
        plan.archived = archived

    return Ruling(do=do)


def delete(office: Office, op: Plain) -> Ruling:
    plan = office.plans.get(op["plan"])
    if plan is None:
        return Ruling(must={"UNKNOWN_PLAN"})
    must = set() if plan.archived else {"PLAN_NOT_ARCHIVED"}
    must |= {"PLAN_ASSIGNED"} if assigned_to(office, plan.id) else set()
    return Ruling(must=must, do=lambda: office.plans.pop(op["plan"]))


def assign(office: Office, op: Plain) -> Ruling:
    """Over another: that one is taken away and this one assigned at one instant. The same again: nothing changes."""
    must = refuses_tenant(office, op["tenant"])
    plan = office.plans.get(op["plan"])
    if plan is None:
        must.add("UNKNOWN_PLAN")
    if "UNKNOWN_TENANT" in must or plan is None:
        return Ruling(must=must)
    tenant = office.tenants[op["tenant"]]
    now = op["at"]
    refusals = {"PLAN_ARCHIVED"} if plan.archived else set()
    if plan.owner not in {None, tenant.id, *lineage.ancestors(office, tenant.id)}:
        refusals.add("PLAN_NOT_AVAILABLE")
    account, blocking = tenant.account, plan.blocking
    if account is not None and blocking is not None and account["basis"] != blocking["basis"]:
        refusals.add("BASIS_MISMATCH")
    old = accounts.plan_in_force(office, tenant.id)
    if old is not None and old.plan == plan.id:
        return Ruling(must=must, may=refusals)
    lines = [Line(office.products[product][-1], quantity, now, NEVER, now) for product, quantity in plan.services]
    if over_cap(office, tenant.id, old, lines, now):
        refusals.add("EDITION_CAP_EXCEEDED")

    def switch() -> None:
        if old is not None:
            end(old, now)
        office.assignments.append(Assignment(tenant.id, plan.id, plan.blocking, lines))

    return Ruling(must=must | refusals, do=lambda: accounts.change(office, tenant, now, switch))


def over_cap(office: Office, tenant: str, old: Assignment | None, lines: list[Line], now: int) -> bool:
    name = lineage.own_edition(office, tenant)
    if name is None:
        return False
    theirs = lines_of(office, tenant)
    cut = {id(line): now for line in old.lines} if old is not None else {}
    before = [g for line in theirs for g in grants_of(line)]
    after = [g for line in [*cut_short(theirs, cut), *lines] for g in grants_of(line)]
    return raised_over(before, after, office.editions[name]["cap"])


def end(assignment: Assignment, now: int) -> None:
    assignment.taken_away = True
    for line in assignment.lines:
        line.ended.append(now)


def unassign(office: Office, op: Plain) -> Ruling:
    must = refuses_tenant(office, op["tenant"])
    if "UNKNOWN_TENANT" in must:
        return Ruling(must=must)
    tenant = office.tenants[op["tenant"]]
    old = accounts.plan_in_force(office, tenant.id)
    if old is None:
        return Ruling(must=must, may={"NO_PLAN"})
    ending = old
    return Ruling(must=must, do=lambda: accounts.change(office, tenant, op["at"], lambda: end(ending, op["at"])))


def take_away(office: Office, tenant: Tenant, now: int) -> None:
    """Ends the plan of a tenant, if it is on one."""
    old = accounts.plan_in_force(office, tenant.id)
    if old is not None:
        accounts.change(office, tenant, now, lambda: end(old, now))
