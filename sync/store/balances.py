"""An account as a value (domain.md 6): in bounds, settled with what that moves, as a row and as told. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final
from zoneinfo import ZoneInfo

from sidecar.core.calendar import format_instant
from sidecar.core.errors import InvalidRecord, InvalidRequest
from sidecar.core.model import MICROS, Account, Instant
from sidecar.core.standing import charge_of, pay_owed, settle
from sync.store.ledger import Kind, Movement
from sync.store.terms import in_calendar

LARGEST: Final = 10**12 * MICROS
"""Bound on amounts, so that no sum leaves 64 bits."""
LONGEST_DEFERRAL: Final = 36_600


def account_of(**fields: Any) -> Account:
    """An account whose numbers are in bounds. Raises InvalidRequest."""
    in_calendar("first_due", fields["anchor"])
    if not 0 <= fields["deferral_days"] <= LONGEST_DEFERRAL:
        raise InvalidRequest("deferral_days", f"0 to {LONGEST_DEFERRAL}")
    try:
        account = Account(**fields)
    except InvalidRecord as e:
        raise InvalidRequest("account", str(e).removeprefix("account: ")) from e
    return bounded(account)


def changed(account: Account, **fields: Any) -> Account:
    """An account with other settings where they are given. Raises InvalidRequest."""
    given = {name: value for name, value in fields.items() if value is not None}
    return account_of(**({name: getattr(account, name) for name in Account.__slots__} | given))


def bounded(account: Account) -> Account:
    """An account whose amounts are in bounds. Raises InvalidRequest."""
    for name in ("balance", "charge", "allowed_balance"):
        if abs(getattr(account, name)) > LARGEST:
            raise InvalidRequest(name, f"at most {LARGEST // MICROS}")
    return account


def settled(account: Account, now: Instant, zone: ZoneInfo) -> tuple[Account, list[Movement]]:
    """The account with every due instant up to `now` taken or owed, and what that moved."""
    after = settle(account, now, zone)
    taken = account.balance - after.balance
    if not taken:
        return after, []
    count = taken // charge_of(account)
    return after, [Movement(kind=Kind.CHARGES, at=after.as_of, amount=-taken, balance=after.balance, count=count)]


def with_owed_taken(account: Account) -> tuple[Account, list[Movement]]:
    """A settled account once what is owed is taken, if its settings let it, and what that moved."""
    after = pay_owed(account)
    taken = account.balance - after.balance
    if not taken:
        return after, []
    return after, [Movement(kind=Kind.OWED, at=account.as_of, amount=-taken, balance=after.balance, count=1)]


def row_of(account: Account) -> dict[str, Any]:
    """An account as it is stored."""
    values = asdict(account)
    period = values.pop("period")
    return values | {"basis": int(account.basis), "period_months": period["months"], "period_days": period["days"]}


def told(account: Account) -> dict[str, Any]:
    """An account in the audit trail: amounts in millionths."""
    values = row_of(account) | {"basis": account.basis.name.lower()}
    instants = ("as_of", "owed_since", "anchor")
    return values | {name: None if values[name] is None else format_instant(values[name]) for name in instants}
