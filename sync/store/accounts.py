"""Accounts billed from a balance (domain.md 6). Every change first settles up to its instant under the old settings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, insert, select, update

from sidecar.core.calendar import zone_of
from sidecar.core.errors import InvalidRecord, InvalidRequest
from sidecar.core.model import MICROS, Account, Basis, Instant, Period
from sidecar.core.standing import pay_owed, settle
from sync.store import holdings, schema
from sync.store.db import Writing
from sync.store.errors import Refused
from sync.store.terms import in_calendar

A: Final = schema.account
LARGEST: Final = 10**12 * MICROS
"""Bound on amounts, so that no sum leaves 64 bits."""
LONGEST_DEFERRAL: Final = 36_600


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
    Refused: UNKNOWN_TENANT, ACCOUNT_EXISTS.
    """
    _zone(writing.conn, tenant_id)
    if _held(writing.conn, tenant_id) is not None:
        raise Refused("ACCOUNT_EXISTS", f"{tenant_id} has an account: top it up, or change its charge or settings")
    account = _account(
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
    writing.conn.execute(insert(A).values(tenant_id=tenant_id, **_values(account)))
    writing.audit("account.open", f"tenant:{tenant_id}", tenant_id=tenant_id, after=_values(account))
    return account


def top_up(writing: Writing, tenant_id: str, amount: int, *, now: Instant) -> Account:
    """Adds to the balance, more than 0 millionths; what is owed is taken if it now can be. Refused: NO_ACCOUNT."""
    if amount <= 0:
        raise InvalidRequest("amount", "a top-up is more than 0")
    account = _settled(writing.conn, tenant_id, now)
    return _put(writing, tenant_id, account, {"balance": account.balance + amount})


def set_charge(
    writing: Writing, tenant_id: str, *, now: Instant, charge: int, anchor: Instant | None, period: Period | None
) -> Account:
    """Changes what is charged and, where given, when: first due instant and period. What is owed stays as it was.

    Refused: NO_ACCOUNT, BASIS_MISMATCH (days are charged one a midnight).
    """
    account = _settled(writing.conn, tenant_id, now)
    if account.basis is not Basis.MONEY:
        raise Refused("BASIS_MISMATCH", f"{tenant_id} is billed in days, one a midnight: only money has a charge")
    new = {
        "charge": charge,
        "anchor": account.anchor if anchor is None else anchor,
        "period": account.period if period is None else period,
    }
    return _put(writing, tenant_id, account, new)


def set_blocking(
    writing: Writing,
    tenant_id: str,
    *,
    now: Instant,
    allowed_balance: int | None = None,
    deferral_days: int | None = None,
) -> Account:
    """Changes the blocking settings that are given; what is owed is taken if it now can be. Refused: NO_ACCOUNT."""
    account = _settled(writing.conn, tenant_id, now)
    new = {
        "allowed_balance": account.allowed_balance if allowed_balance is None else allowed_balance,
        "deferral_days": account.deferral_days if deferral_days is None else deferral_days,
    }
    return _put(writing, tenant_id, account, new)


def settle_account(writing: Writing, tenant_id: str, *, now: Instant) -> None:
    """Settles an account, if there is one, before something else that it depends on changes."""
    if _held(writing.conn, tenant_id) is not None:
        account = _settled(writing.conn, tenant_id, now)
        _put(writing, tenant_id, account, {})


def get_account(conn: Connection, tenant_id: str) -> Account:
    """The account as last settled. Refused: UNKNOWN_TENANT, NO_ACCOUNT."""
    _zone(conn, tenant_id)
    account = _held(conn, tenant_id)
    if account is None:
        raise Refused("NO_ACCOUNT", f"{tenant_id} is not billed from a balance: open an account first")
    return account


def account_at(conn: Connection, tenant_id: str, now: Instant) -> Account:
    """The account settled up to and including an instant; nothing is written."""
    return _settled(conn, tenant_id, now)


def _settled(conn: Connection, tenant_id: str, now: Instant) -> Account:
    zone = _zone(conn, tenant_id)
    return settle(get_account(conn, tenant_id), now, zone)


def _put(writing: Writing, tenant_id: str, settled: Account, new: dict[str, Any]) -> Account:
    writing.touch(tenant_id)
    account = pay_owed(_account(**(_fields(settled) | new)))
    writing.conn.execute(update(A).where(A.c.tenant_id == tenant_id).values(**_values(account)))
    writing.audit(
        "account.change", f"tenant:{tenant_id}", tenant_id=tenant_id, before=_values(settled), after=_values(account)
    )
    return account


def _account(**fields: Any) -> Account:
    """An account whose numbers are in bounds. Raises InvalidRequest."""
    for name in ("balance", "charge", "allowed_balance"):
        if abs(fields[name]) > LARGEST:
            raise InvalidRequest(name, f"at most {LARGEST // MICROS}")
    in_calendar("first_due", fields["anchor"])
    if not 0 <= fields["deferral_days"] <= LONGEST_DEFERRAL:
        raise InvalidRequest("deferral_days", f"0 to {LONGEST_DEFERRAL}")
    try:
        return Account(**fields)
    except InvalidRecord as e:
        raise InvalidRequest("account", str(e).removeprefix("account: ")) from e


def _fields(account: Account) -> dict[str, Any]:
    return {name: getattr(account, name) for name in Account.__slots__}


def _values(account: Account) -> dict[str, Any]:
    values = asdict(account)
    period = values.pop("period")
    return values | {"basis": int(account.basis), "period_months": period["months"], "period_days": period["days"]}


def _held(conn: Connection, tenant_id: str) -> Account | None:
    return holdings.accounts(conn, [tenant_id]).get(tenant_id)


def _zone(conn: Connection, tenant_id: str) -> ZoneInfo:
    t = schema.tenant
    name = conn.scalar(select(t.c.zone).where(t.c.id == tenant_id))
    if name is None:
        raise Refused("UNKNOWN_TENANT", f"there is no tenant {tenant_id!r}: see `deskgate tenant list`")
    return zone_of(name)
