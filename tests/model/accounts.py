"""Accounts (domain.md 6): every change first settles under the old settings, then tries what is owed under the new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests import oracle
from tests.model.state import MICROS, Assignment, Office, Plain, Ruling, Tenant, refuses_tenant

BLOCKING = ("allowed_balance", "deferral_days")


def plan_in_force(office: Office, tenant_id: str) -> Assignment | None:
    return next((a for a in office.assignments if a.tenant == tenant_id and not a.taken_away), None)


def blocking_of_plan(office: Office, tenant_id: str) -> Plain | None:
    assignment = plan_in_force(office, tenant_id)
    return assignment.blocking if assignment is not None else None


def effective(office: Office, tenant: Tenant) -> Plain | None:
    """The account with the blocking settings that hold: the plan's while it has some, else the tenant's own."""
    blocking = blocking_of_plan(office, tenant.id)
    if tenant.account is None or blocking is None:
        return tenant.account
    return tenant.account | {name: blocking[name] for name in BLOCKING}


def change(office: Office, tenant: Tenant, t: int, do: Callable[[], Any], *, zone: str | None = None) -> None:
    """Settles up to t, does the change, and takes what is owed if it now can be."""
    settle(office, tenant, t, zone=zone)
    do()
    take_owed(office, tenant)


def settle(office: Office, tenant: Tenant, t: int, *, zone: str | None = None) -> None:
    before = effective(office, tenant)
    if tenant.account is None or before is None:
        return
    after = oracle.settle(before, zone or tenant.zone, t)
    moved(tenant, after)
    note(tenant, "CHARGES", after["balance"] - before["balance"])


def moved(tenant: Tenant, after: Plain) -> None:
    assert tenant.account is not None
    tenant.account = tenant.account | {k: after[k] for k in ("as_of", "balance", "owed_since", "owed_charge")}


def note(tenant: Tenant, kind: str, amount: int) -> None:
    if amount:
        tenant.ledger.append((kind, amount))


def take_owed(office: Office, tenant: Tenant) -> None:
    now = effective(office, tenant)
    if now is None or now["owed_since"] is None or now["balance"] - now["owed_charge"] < now["allowed_balance"]:
        return
    moved(tenant, now | {"balance": now["balance"] - now["owed_charge"], "owed_since": None, "owed_charge": None})
    note(tenant, "OWED", -now["owed_charge"])


def mismatched(office: Office, tenant_id: str, basis: str) -> bool:
    blocking = blocking_of_plan(office, tenant_id)
    return blocking is not None and blocking["basis"] != basis


# --- operations ---


def opened(op: Plain) -> Plain:
    return {
        "basis": op["basis"],
        "balance": op["balance"],
        "as_of": op["at"],
        "owed_since": None,
        "owed_charge": None,
        "charge": op["charge"] if op["basis"] == "money" else MICROS,
        "anchor": op.get("anchor"),
        "period": op.get("period"),
        "allowed_balance": op["allowed_balance"],
        "deferral_days": op["deferral_days"],
    }


def open_account(office: Office, op: Plain) -> Ruling:
    must = refuses_tenant(office, op["tenant"])
    if "UNKNOWN_TENANT" in must:
        return Ruling(must=must)
    tenant = office.tenants[op["tenant"]]
    if tenant.account is not None:
        must.add("ACCOUNT_EXISTS")
    if mismatched(office, tenant.id, op["basis"]):
        must.add("BASIS_MISMATCH")

    def do() -> None:
        tenant.account = opened(op)
        note(tenant, "OPENED", op["balance"])

    return Ruling(must=must, do=do)


def held(office: Office, op: Plain) -> tuple[set[str], Tenant | None]:
    must = refuses_tenant(office, op["tenant"])
    tenant = office.tenants.get(op["tenant"])
    if tenant is None or tenant.account is None:
        return must | {"NO_ACCOUNT"}, None
    return must, tenant


def top_up(office: Office, op: Plain) -> Ruling:
    return add(office, op, "TOP_UP", {"INVALID"} if op["amount"] <= 0 else set())


def correct(office: Office, op: Plain) -> Ruling:
    return add(office, op, "CORRECTED", {"INVALID"} if op["amount"] == 0 else set())


def add(office: Office, op: Plain, kind: str, bad: set[str]) -> Ruling:
    must, tenant = held(office, op)
    if tenant is None:
        return Ruling(must=must | bad)
    account_of = tenant

    def more() -> None:
        assert account_of.account is not None
        account_of.account = account_of.account | {"balance": account_of.account["balance"] + op["amount"]}
        note(account_of, kind, op["amount"])

    return Ruling(must=must | bad, do=lambda: change(office, account_of, op["at"], more))


def set_charge(office: Office, op: Plain) -> Ruling:
    must, tenant = held(office, op)
    if tenant is None:
        return Ruling(must=must)
    assert tenant.account is not None
    if tenant.account["basis"] == "days":
        must |= {"BASIS_MISMATCH", "INVALID"}
    return Ruling(must=must, do=lambda: put(office, tenant, op, ("charge", "anchor", "period")))


def set_blocking(office: Office, op: Plain) -> Ruling:
    must, tenant = held(office, op)
    if tenant is None:
        return Ruling(must=must)
    return Ruling(must=must, do=lambda: put(office, tenant, op, BLOCKING))


def put(office: Office, tenant: Tenant, op: Plain, names: tuple[str, ...]) -> None:
    def do() -> None:
        assert tenant.account is not None
        tenant.account = tenant.account | {name: op[name] for name in names if name in op}

    change(office, tenant, op["at"], do)


def settle_now(office: Office, op: Plain) -> Ruling:
    must, tenant = held(office, op)
    if tenant is None:
        return Ruling(must=must)
    return Ruling(must=must, do=lambda: change(office, tenant, op["at"], lambda: None))


def change_basis(office: Office, op: Plain) -> Ruling:
    """To the other basis, with a new balance; what was owed is forgotten."""
    must, tenant = held(office, op)
    if tenant is None:
        return Ruling(must=must)
    assert tenant.account is not None
    may = {"INVALID", "SAME_BASIS", "BASIS_UNCHANGED"} if tenant.account["basis"] == op["basis"] else set()
    if mismatched(office, tenant.id, op["basis"]):
        must.add("BASIS_MISMATCH")
    converting = tenant

    def do() -> None:
        settle(office, converting, op["at"])
        assert converting.account is not None
        before = converting.account
        converting.account = opened(op) | {"as_of": max(op["at"], before["as_of"])}
        note(converting, "CONVERTED", op["balance"] - before["balance"])

    return Ruling(must=must, may=may, do=do)


def close(office: Office, op: Plain) -> Ruling:
    must, tenant = held(office, op)
    if tenant is None:
        return Ruling(must=must)
    closing = tenant

    def do() -> None:
        settle(office, closing, op["at"])
        assert closing.account is not None
        note(closing, "CLOSED", -closing.account["balance"])
        closing.account = None

    return Ruling(must=must, do=do)
