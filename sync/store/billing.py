"""Accounts as they stand and as they move (domain.md 6): settled under the settings in force before anything changes.

On record are the tenant's own blocking settings; those of an assigned plan come before them, and go with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select, update

from sidecar.core.calendar import zone_of
from sidecar.core.model import Account, Basis, Instant
from sync.store import holdings, ledger, schema
from sync.store.balances import bounded, row_of, settled, told, with_owed_taken
from sync.store.db import Writing
from sync.store.errors import Refused, archived_tenant, erased_tenant, unknown_tenant
from sync.store.ledger import Movement
from sync.store.plandoc import Blocking, under

A: Final = schema.account
T: Final = schema.tenant
Told = tuple[dict[str, Any], dict[str, Any]]
"""What the audit trail is told of an account before and after; empty where it is as it was."""
Step = Callable[[Account], tuple[Account, list[Movement]]]
"""A change of a settled account, and what it moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An account with the tenant's own settings, and those of the plan that comes before them, if any."""

    own: Account
    plan_id: str = ""
    blocking: Blocking | None = None

    @property
    def effective(self) -> Account:
        """The account as it moves on."""
        return under(self.own, self.blocking)


def settle_within(writing: Writing, tenant_id: str, *, now: Instant) -> Told:
    """Settles an account, if there is one, before something else that it depends on changes, which tells of it."""
    held = find_account(writing.conn, tenant_id)
    return ({}, {}) if held is None else move(writing, tenant_id, held, now, _nothing, held.blocking)


def put_under(writing: Writing, tenant_id: str, blocking: Blocking | None, *, now: Instant) -> Told:
    """Brings an account, if there is one, under a plan's blocking settings in place of those in force; None: its own.

    Refused: BASIS_MISMATCH.
    """
    held = find_account(writing.conn, tenant_id)
    if held is None:
        return {}, {}
    if blocking is not None and blocking.basis is not held.own.basis:
        raise _mismatch(tenant_id, held.own.basis, blocking.basis)
    return move(writing, tenant_id, held, now, _nothing, blocking)


def find_account(conn: Connection, tenant_id: str) -> Held | None:
    """The account as last settled; None where there is none."""
    own = holdings.own_accounts(conn, [tenant_id]).get(tenant_id)
    if own is None:
        return None
    plan_id, blocking = holdings.blocking(conn, [tenant_id]).get(tenant_id, ("", None))
    return Held(own=own, plan_id=plan_id, blocking=blocking)


def get_account(conn: Connection, tenant_id: str) -> Held:
    """The account as last settled. Refused: UNKNOWN_TENANT, NO_ACCOUNT."""
    _tenant(conn, tenant_id)
    held = find_account(conn, tenant_id)
    if held is None:
        raise Refused("NO_ACCOUNT", f"{tenant_id} is not billed from a balance: open an account first")
    return held


def account_at(conn: Connection, tenant_id: str, now: Instant) -> Account:
    """The account settled up to and including an instant, under the settings in force; nothing is written."""
    after, _ = settled(get_account(conn, tenant_id).effective, now, zone_in(conn, tenant_id))
    return after


def _nothing(account: Account) -> tuple[Account, list[Movement]]:
    return account, []


def move(writing: Writing, tenant_id: str, held: Held, now: Instant, step: Step, blocking: Blocking | None) -> Told:
    """Settles under the settings in force, takes the step, then what is owed if `blocking`, or its own, lets it."""
    last, charges = settled(held.effective, now, zone_in(writing.conn, tenant_id))
    stepped, movements = step(_limits_of(held.own, last))
    paid, owed = with_owed_taken(under(bounded(stepped), blocking))
    new = _limits_of(stepped, paid)
    if new == held.own:
        return {}, {}
    writing.touch(tenant_id)
    ledger.write(writing, tenant_id, held.own.basis, charges)
    ledger.write(writing, tenant_id, new.basis, [*movements, *owed])
    writing.conn.execute(update(A).where(A.c.tenant_id == tenant_id).values(**row_of(new)))
    return {"account": told(held.own)}, {"account": told(new)}


def _limits_of(own: Account, account: Account) -> Account:
    return replace(account, allowed_balance=own.allowed_balance, deferral_days=own.deferral_days)


def refuse_plan_of_other(conn: Connection, tenant_id: str, basis: Basis) -> None:
    """Refused, BASIS_MISMATCH, where the tenant is on a plan of another basis."""
    _, blocking = holdings.blocking(conn, [tenant_id]).get(tenant_id, ("", None))
    if blocking is not None and blocking.basis is not basis:
        raise _mismatch(tenant_id, basis, blocking.basis)


def _mismatch(tenant_id: str, account: Basis, plan: Basis) -> Refused:
    return Refused(
        "BASIS_MISMATCH",
        f"{tenant_id} would be billed in {account.name.lower()} under a plan in {plan.name.lower()}:"
        " take the plan away first, or assign one of the same basis",
    )


def zone_in(conn: Connection, tenant_id: str) -> ZoneInfo:
    """A known tenant's zone."""
    return zone_of(_tenant(conn, tenant_id).zone)


def _tenant(conn: Connection, tenant_id: str) -> Any:
    row = conn.execute(select(T.c.zone, T.c.archived_at, T.c.erased_at).where(T.c.id == tenant_id)).one_or_none()
    if row is None:
        raise unknown_tenant(tenant_id)
    return row


def refuse_unsold(conn: Connection, tenant_id: str) -> None:
    """Refused, UNKNOWN_TENANT, TENANT_ERASED or TENANT_ARCHIVED, where a tenant cannot be sold to."""
    row = _tenant(conn, tenant_id)
    if row.erased_at is not None:
        raise erased_tenant(tenant_id)
    if row.archived_at is not None:
        raise archived_tenant(tenant_id)
