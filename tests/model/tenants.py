"""Products, editions, tenants, blocks and usage (domain.md 3), and which operation is judged by what."""

from __future__ import annotations

from collections.abc import Callable

from tests.model import accounts, lineage, orders, plans
from tests.model.state import MICROS, Office, Plain, Ruling, Tenant, refuses_tenant

DAY = 86_400 * MICROS


# --- products and editions ---


def create_product(office: Office, op: Plain) -> Ruling:
    must = {"PRODUCT_EXISTS"} if op["doc"]["id"] in office.products else set()
    return Ruling(must=must, do=lambda: office.products.update({op["doc"]["id"]: [op["doc"]]}))


def update_product(office: Office, op: Plain) -> Ruling:
    if op["doc"]["id"] not in office.products:
        return Ruling(must={"UNKNOWN_PRODUCT"})
    return Ruling(do=lambda: office.products[op["doc"]["id"]].append(op["doc"]))


def put_edition(office: Office, op: Plain) -> Ruling:
    def do() -> None:
        office.editions[op["edition"]] = {"cap": op["cap"], "prices": op["prices"]}

    return Ruling(do=do)


# --- tenants ---


def create(office: Office, op: Plain) -> Ruling:
    must = {"TENANT_EXISTS"} if op["tenant"] in office.tenants else set()
    may: set[str] = set()
    if op["parent"] is not None:
        must |= {"UNKNOWN_TENANT"} if op["parent"] not in office.tenants else set()
        may |= refuses_tenant(office, op["parent"])
    if op["edition"] is not None and op["edition"] not in office.editions:
        must.add("UNKNOWN_EDITION")

    def do() -> None:
        office.tenants[op["tenant"]] = Tenant(op["tenant"], op["parent"], op["zone"], op["edition"])

    return Ruling(must=must, may=may, do=do)


def update(office: Office, op: Plain) -> Ruling:
    """A change of zone moves no stored instant; what is due until now is due in the old zone."""
    must = refuses_tenant(office, op["tenant"], archived=False)
    if op.get("edition") and op["edition"] not in office.editions:
        must.add("UNKNOWN_EDITION")
    if "UNKNOWN_TENANT" in must:
        return Ruling(must=must)
    must |= {"CONFLICT"} if op.get("version") == "stale" else set()
    tenant = office.tenants[op["tenant"]]
    may = refuses_tenant(office, op["tenant"])

    def fields() -> None:
        for name in ("zone", "edition", "language", "tags"):
            if name in op:
                setattr(tenant, name, op[name] or None if name == "edition" else op[name])

    def do() -> None:
        if "zone" in op and op["zone"] != tenant.zone:
            accounts.change(office, tenant, op["at"], fields, zone=tenant.zone)
        else:
            fields()

    return Ruling(must=must, may=may, do=do)


def move(office: Office, op: Plain) -> Ruling:
    must = refuses_tenant(office, op["tenant"], archived=False)
    may = refuses_tenant(office, op["tenant"])
    parent = op["parent"]
    if parent is not None and parent not in office.tenants:
        must.add("UNKNOWN_TENANT")
    if "UNKNOWN_TENANT" in must:
        return Ruling(must=must)
    if parent is not None:
        may |= refuses_tenant(office, parent)
        if parent == op["tenant"] or op["tenant"] in lineage.ancestors(office, parent):
            must.add("PARENT_CYCLE")

    def do() -> None:
        office.tenants[op["tenant"]].parent = parent

    return Ruling(must=must, may=may, do=do)


def archive(office: Office, op: Plain) -> Ruling:
    must = refuses_tenant(office, op["tenant"], archived=False)
    if "UNKNOWN_TENANT" in must:
        return Ruling(must=must)
    tenant = office.tenants[op["tenant"]]
    may = {"TENANT_ARCHIVED"} if tenant.archived_at is not None else set()

    def do() -> None:
        if tenant.archived_at is None:
            tenant.archived_at = op["at"]
            tenant.erase_after = op["at"] + op["retention_days"] * DAY

    return Ruling(must=must, may=may, do=do)


def restore(office: Office, op: Plain) -> Ruling:
    must = refuses_tenant(office, op["tenant"], archived=False)
    if "UNKNOWN_TENANT" in must:
        return Ruling(must=must)
    tenant = office.tenants[op["tenant"]]
    may = {"NOT_ARCHIVED"} if tenant.archived_at is None else set()

    def do() -> None:
        tenant.archived_at = tenant.erase_after = None

    return Ruling(must=must, may=may, do=do)


def erase(office: Office, op: Plain) -> Ruling:
    """For good, once its retention is over; its orders and ledger stay."""
    must = {"UNKNOWN_TENANT"} if op["tenant"] not in office.tenants else set()
    if must:
        return Ruling(must=must)
    tenant = office.tenants[op["tenant"]]
    if tenant.archived_at is None:
        must.add("NOT_ARCHIVED")
    if tenant.erase_after is not None and op["at"] < tenant.erase_after:
        must.add("RETENTION_RUNNING")
    may = {"TENANT_ERASED"} if tenant.erased_at is not None else set()

    def do() -> None:
        if tenant.erased_at is None:
            plans.take_away(office, tenant, op["at"])
            tenant.erased_at = op["at"]
            tenant.blocks, tenant.units = {}, {}
            tenant.tags, tenant.language = [], tenant.language
            office.seats = [seat for seat in office.seats if seat[0] != tenant.id]

    return Ruling(must=must, may=may, do=do)


def block(office: Office, op: Plain) -> Ruling:
    must = refuses_tenant(office, op["tenant"], archived=False)
    if op["until"] <= op["from"]:
        must |= {"INVALID", "EMPTY_TERM"}

    def do() -> None:
        office.tenants[op["tenant"]].blocks[op["name"]] = (op["from"], op["until"], op["cascade"])

    return Ruling(must=must, do=do)


def unblock(office: Office, op: Plain) -> Ruling:
    """Lifts the block of a name, and no other."""
    must = refuses_tenant(office, op["tenant"], archived=False)
    if "UNKNOWN_TENANT" in must:
        return Ruling(must=must)
    tenant = office.tenants[op["tenant"]]
    if op["name"] not in tenant.blocks:
        must.add("UNKNOWN_BLOCK")
    return Ruling(must=must, do=lambda: tenant.blocks.pop(op["name"]))


# --- usage ---


def use(office: Office, op: Plain) -> Ruling:
    """What Desking states: never refused for quota, nor for being archived."""
    must = refuses_tenant(office, op["tenant"], archived=False)
    if "UNKNOWN_TENANT" in must:
        return Ruling(must=must)
    units = office.tenants[op["tenant"]].units
    if "delta" in op:
        new = units.get(op["key"], 0) + op["delta"]
        must |= {"USAGE_BELOW_ZERO"} if new < 0 else set()
        return Ruling(must=must, do=lambda: units.update({op["key"]: new}))
    return Ruling(must=must, do=lambda: units.update({op["key"]: op["absolute"]}))


def seat(office: Office, op: Plain) -> Ruling:
    """Users assigned and revoked in order; who holds a seat keeps its place."""
    must = refuses_tenant(office, op["tenant"], archived=False)

    def do() -> None:
        for user, is_held in op["changes"]:
            place = (op["tenant"], op["key"], user)
            if is_held and place not in office.seats:
                office.seats.append(place)
            elif not is_held and place in office.seats:
                office.seats.remove(place)

    return Ruling(must=must, do=do)


def reconcile(office: Office, op: Plain) -> Ruling:
    """Desking's own count is taken over: units, and who holds seats, in its order of assignment."""
    must = refuses_tenant(office, op["tenant"], archived=False)
    if "UNKNOWN_TENANT" in must:
        return Ruling(must=must)
    may = refuses_tenant(office, op["tenant"])
    tenant = office.tenants[op["tenant"]]

    def do() -> None:
        if op["complete"]:
            tenant.units.clear()
            named = {key for key, _, _ in op["counts"]}
            office.seats = [s for s in office.seats if s[0] != tenant.id or s[1] in named]
        for key, units, users in op["counts"]:
            tenant.units[key] = units
            mine = [user for owner, name, user in office.seats if (owner, name) == (tenant.id, key)]
            if mine != users:
                reseat(office, tenant.id, key, users)

    return Ruling(must=must, may=may, do=do)


def reseat(office: Office, tenant: str, key: str, users: list[str]) -> None:
    """Those not counted lose their seats; newly counted ones come last, in the order of the count."""
    gone = [s for s in office.seats if s[0] == tenant and s[1] == key and s[2] not in users]
    office.seats = [s for s in office.seats if s not in gone]
    office.seats += [(tenant, key, user) for user in users if (tenant, key, user) not in office.seats]


JUDGES: dict[str, Callable[[Office, Plain], Ruling]] = {
    "product.create": create_product,
    "product.update": update_product,
    "edition.put": put_edition,
    "tenant.create": create,
    "tenant.update": update,
    "tenant.move": move,
    "tenant.archive": archive,
    "tenant.restore": restore,
    "tenant.erase": erase,
    "tenant.block": block,
    "tenant.unblock": unblock,
    "order.place": orders.place,
    "order.void": orders.void,
    "payment.record": orders.pay,
    "plan.create": plans.create,
    "plan.update": plans.update,
    "plan.duplicate": plans.duplicate,
    "plan.archive": plans.archive,
    "plan.restore": plans.restore,
    "plan.delete": plans.delete,
    "plan.assign": plans.assign,
    "plan.unassign": plans.unassign,
    "account.open": accounts.open_account,
    "account.top_up": accounts.top_up,
    "account.correct": accounts.correct,
    "account.set_charge": accounts.set_charge,
    "account.set_blocking": accounts.set_blocking,
    "account.change_basis": accounts.change_basis,
    "account.settle": accounts.settle_now,
    "account.close": accounts.close,
    "usage.change": use,
    "usage.seats": seat,
    "usage.reconcile": reconcile,
}


def judge(office: Office, op: Plain) -> Ruling:
    return JUDGES[op["op"]](office, op)
