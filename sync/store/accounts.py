"""Operations on accounts billed from a balance (domain.md 3 and 6), each with its entries in the ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sqlalchemy import delete, insert

from sidecar.core.errors import InvalidRequest
from sidecar.core.model import MICROS, Account, Basis, Instant, Period
from sync.store import ledger, schema
from sync.store.balances import LONGEST_DEFERRAL, account_of, changed, row_of, settled, told
from sync.store.billing import (
    Held,
    Step,
    Told,
    account_at,
    find_account,
    get_account,
    move,
    refuse_plan_of_other,
    refuse_unsold,
    settle_within,
    zone_in,
)
from sync.store.db import Writing
from sync.store.errors import Refused
from sync.store.ledger import Kind, Movement

__all__ = [
    "LONGEST_DEFERRAL",
    "Held",
    "account_at",
    "change_basis",
    "close_account",
    "correct_balance",
    "get_account",
    "open_account",
    "set_blocking",
    "set_charge",
    "settle_account",
    "top_up",
]

A: Final = schema.account


def open_account(
    writing: Writing,
    tenant_id: str,
    *,
    basis: Basis,
    balance: int,
    now: Instant,
    charge: int = MICROS,
    anchor: Instant = 0,
    period: Period | None = None,
    allowed_balance: int = 0,
    deferral_days: int = 0,
) -> Account:
    """Bills a tenant from a balance from now on; amounts in millionths. The due instants strictly after `now` count.

    Money needs a charge, the first due instant and a period; days are charged one a local midnight, whatever `charge`.
    Refused: UNKNOWN_TENANT, TENANT_ARCHIVED, TENANT_ERASED, ACCOUNT_EXISTS, BASIS_MISMATCH (with its plan's basis).
    """
    refuse_unsold(writing.conn, tenant_id)
    if find_account(writing.conn, tenant_id) is not None:
        raise Refused("ACCOUNT_EXISTS", f"{tenant_id} has an account: top it up, or change its charge or settings")
    refuse_plan_of_other(writing.conn, tenant_id, basis)
    account = account_of(
        basis=basis,
        balance=balance,
        as_of=now,
        charge=charge if basis is Basis.MONEY else MICROS,
        anchor=anchor,
        period=period or Period(),
        allowed_balance=allowed_balance,
        deferral_days=deferral_days,
    )
    writing.touch(tenant_id)
    writing.conn.execute(insert(A).values(tenant_id=tenant_id, **row_of(account)))
    ledger.write(writing, tenant_id, basis, [Movement(kind=Kind.OPENED, at=now, amount=balance, balance=balance)])
    writing.audit("account.open", f"tenant:{tenant_id}", tenant_id=tenant_id, after=told(account))
    return account


def top_up(writing: Writing, tenant_id: str, amount: int, *, now: Instant, reference: str = "") -> Account:
    """Adds to the balance, more than 0 millionths; what is owed is taken if it now can be.

    Refused: UNKNOWN_TENANT, TENANT_ARCHIVED, TENANT_ERASED, NO_ACCOUNT.
    """
    if amount <= 0:
        raise InvalidRequest("amount", "a top-up is more than 0")
    return _book(writing, tenant_id, "account.top_up", Kind.TOP_UP, amount, reference, now)


def correct_balance(writing: Writing, tenant_id: str, amount: int, *, now: Instant, reason: str) -> Account:
    """Adds to the balance, or takes from it, what a mistake had done to it. Refused as `top_up`."""
    if amount == 0:
        raise InvalidRequest("amount", "a correction is above or below 0")
    if not reason:
        raise InvalidRequest("reason", "say why the balance is corrected")
    return _book(writing, tenant_id, "account.correct", Kind.CORRECTED, amount, reason, now)


def _book(
    writing: Writing, tenant_id: str, action: str, kind: Kind, amount: int, reference: str, now: Instant
) -> Account:
    refuse_unsold(writing.conn, tenant_id)

    def booked(account: Account) -> tuple[Account, list[Movement]]:
        balance = account.balance + amount
        moved = Movement(kind=kind, at=now, amount=amount, balance=balance, reference=reference)
        return replace(account, balance=balance), [moved]

    return _done(writing, tenant_id, action, now, booked)


def set_charge(
    writing: Writing, tenant_id: str, *, now: Instant, charge: int, anchor: Instant | None, period: Period | None
) -> Account:
    """Changes what is charged and, where given, when: first due instant and period. What is owed stays as it was.

    Refused: UNKNOWN_TENANT, TENANT_ARCHIVED, TENANT_ERASED, NO_ACCOUNT, BASIS_MISMATCH (days: one a midnight).
    """
    refuse_unsold(writing.conn, tenant_id)
    if get_account(writing.conn, tenant_id).own.basis is not Basis.MONEY:
        raise Refused("BASIS_MISMATCH", f"{tenant_id} is billed in days, one a midnight: only money has a charge")

    def charged(account: Account) -> tuple[Account, list[Movement]]:
        return changed(account, charge=charge, anchor=anchor, period=period), []

    return _done(writing, tenant_id, "account.set_charge", now, charged)


def set_blocking(
    writing: Writing,
    tenant_id: str,
    *,
    now: Instant,
    allowed_balance: int | None = None,
    deferral_days: int | None = None,
) -> Account:
    """Changes the tenant's own blocking settings that are given; what is owed is taken if it now can be.

    Refused: UNKNOWN_TENANT, TENANT_ARCHIVED, TENANT_ERASED, NO_ACCOUNT.
    """
    refuse_unsold(writing.conn, tenant_id)

    def limited(account: Account) -> tuple[Account, list[Movement]]:
        return changed(account, allowed_balance=allowed_balance, deferral_days=deferral_days), []

    return _done(writing, tenant_id, "account.set_blocking", now, limited)


def change_basis(
    writing: Writing,
    tenant_id: str,
    *,
    now: Instant,
    basis: Basis,
    balance: int,
    charge: int = MICROS,
    anchor: Instant = 0,
    period: Period | None = None,
    allowed_balance: int = 0,
    deferral_days: int | None = None,
) -> Account:
    """Goes over to the other basis, with the balance stated anew in it; what was owed in the old one is forgotten.

    Refused: UNKNOWN_TENANT, TENANT_ARCHIVED, TENANT_ERASED, NO_ACCOUNT, BASIS_MISMATCH (with its plan's basis).
    """
    refuse_unsold(writing.conn, tenant_id)
    held = get_account(writing.conn, tenant_id)
    if basis is held.own.basis:
        raise InvalidRequest("basis", f"{tenant_id} is billed in {basis.name.lower()} already")
    refuse_plan_of_other(writing.conn, tenant_id, basis)

    def converted(account: Account) -> tuple[Account, list[Movement]]:
        new = account_of(
            basis=basis,
            balance=balance,
            as_of=account.as_of,
            charge=charge if basis is Basis.MONEY else MICROS,
            anchor=anchor,
            period=period or Period(),
            allowed_balance=allowed_balance,
            deferral_days=account.deferral_days if deferral_days is None else deferral_days,
        )
        moved = Movement(kind=Kind.CONVERTED, at=now, amount=balance - account.balance, balance=balance)
        return new, [moved]

    return _done(writing, tenant_id, "account.change_basis", now, converted)


def close_account(writing: Writing, tenant_id: str, *, now: Instant, reason: str) -> int:
    """Bills the tenant from no balance any more, and returns what was left of it.

    Refused: UNKNOWN_TENANT, TENANT_ARCHIVED, TENANT_ERASED, NO_ACCOUNT.
    """
    if not reason:
        raise InvalidRequest("reason", "say why the account is closed")
    refuse_unsold(writing.conn, tenant_id)
    held = get_account(writing.conn, tenant_id)
    last, movements = settled(held.effective, now, zone_in(writing.conn, tenant_id))
    movements.append(Movement(kind=Kind.CLOSED, at=now, amount=-last.balance, balance=0, reference=reason))
    writing.touch(tenant_id)
    ledger.write(writing, tenant_id, held.own.basis, movements)
    writing.conn.execute(delete(A).where(A.c.tenant_id == tenant_id))
    writing.audit("account.close", f"tenant:{tenant_id}", tenant_id=tenant_id, before=told(held.own))
    return last.balance


def settle_account(writing: Writing, tenant_id: str, *, now: Instant) -> None:
    """Settles an account, if there is one."""
    _tell(writing, tenant_id, "account.settle", settle_within(writing, tenant_id, now=now))


def _done(writing: Writing, tenant_id: str, action: str, now: Instant, step: Step) -> Account:
    held = get_account(writing.conn, tenant_id)
    _tell(writing, tenant_id, action, move(writing, tenant_id, held, now, step, held.blocking))
    return get_account(writing.conn, tenant_id).own


def _tell(writing: Writing, tenant_id: str, action: str, account: Told) -> None:
    before, after = account
    if after:
        subject = f"tenant:{tenant_id}"
        writing.audit(action, subject, tenant_id=tenant_id, before=before["account"], after=after["account"])
