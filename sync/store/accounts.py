"""Accounts billed from a balance (domain.md 6). Every change first settles up to its instant under the old settings.

On record are the tenant's own blocking settings; those of an assigned plan come before them, and go with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from sidecar.core.calendar import format_instant, zone_of
from sidecar.core.errors import InvalidRecord, InvalidRequest
from sidecar.core.model import MICROS, Account, Basis, Instant, Period
from sidecar.core.standing import charge_of, pay_owed, settle
from sync.store import holdings, ledger, schema
from sync.store.db import Writing
from sync.store.errors import Refused, archived_tenant, erased_tenant, unknown_tenant
from sync.store.ledger import Kind, Movement
from sync.store.plandoc import Blocking
from sync.store.terms import in_calendar

A: Final = schema.account
T: Final = schema.tenant
LARGEST: Final = 10**12 * MICROS
"""Bound on amounts, so that no sum leaves 64 bits."""
LONGEST_DEFERRAL: Final = 36_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An account with the tenant's own settings, and those of the plan that comes before them, if any."""

    own: Account
    plan_id: str = ""
    blocking: Blocking | None = None

    @property
    def effective(self) -> Account:
        """The account as it moves on."""
        return holdings.under(self.own, self.blocking)


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
    _refuse_unsold(writing.conn, tenant_id)
    if find_account(writing.conn, tenant_id) is not None:
        raise Refused("ACCOUNT_EXISTS", f"{tenant_id} has an account: top it up, or change its charge or settings")
    _refuse_plan_of_other(writing.conn, tenant_id, basis)
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
    ledger.write(writing, tenant_id, basis, [Movement(kind=Kind.OPENED, at=now, amount=balance, balance=balance)])
    writing.audit("account.open", f"account:{tenant_id}", tenant_id=tenant_id, after=_told(account))
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
    _refuse_unsold(writing.conn, tenant_id)

    def booked(account: Account) -> tuple[Account, list[Movement]]:
        balance = account.balance + amount
        moved = Movement(kind=kind, at=now, amount=amount, balance=balance, reference=reference)
        return replace(account, balance=balance), [moved]

    return _change(writing, tenant_id, action, now, booked)


def set_charge(
    writing: Writing, tenant_id: str, *, now: Instant, charge: int, anchor: Instant | None, period: Period | None
) -> Account:
    """Changes what is charged and, where given, when: first due instant and period. What is owed stays as it was.

    Refused: UNKNOWN_TENANT, TENANT_ARCHIVED, TENANT_ERASED, NO_ACCOUNT, BASIS_MISMATCH (days: one a midnight).
    """
    _refuse_unsold(writing.conn, tenant_id)
    if get_account(writing.conn, tenant_id).own.basis is not Basis.MONEY:
        raise Refused("BASIS_MISMATCH", f"{tenant_id} is billed in days, one a midnight: only money has a charge")

    def charged(account: Account) -> tuple[Account, list[Movement]]:
        given: dict[str, Any] = {"charge": charge, "anchor": anchor, "period": period}
        return _with(account, **{name: value for name, value in given.items() if value is not None}), []

    return _change(writing, tenant_id, "account.set_charge", now, charged)


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
    _refuse_unsold(writing.conn, tenant_id)

    def limited(account: Account) -> tuple[Account, list[Movement]]:
        given = {"allowed_balance": allowed_balance, "deferral_days": deferral_days}
        return _with(account, **{name: value for name, value in given.items() if value is not None}), []

    return _change(writing, tenant_id, "account.set_blocking", now, limited)


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
    _refuse_unsold(writing.conn, tenant_id)
    held = get_account(writing.conn, tenant_id)
    if basis is held.own.basis:
        raise InvalidRequest("basis", f"{tenant_id} is billed in {basis.name.lower()} already")
    _refuse_plan_of_other(writing.conn, tenant_id, basis)

    def converted(account: Account) -> tuple[Account, list[Movement]]:
        new = _account(
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

    return _change(writing, tenant_id, "account.change_basis", now, converted)


def close_account(writing: Writing, tenant_id: str, *, now: Instant, reason: str) -> int:
    """Bills the tenant from no balance any more, and returns what was left of it.

    Refused: UNKNOWN_TENANT, TENANT_ARCHIVED, TENANT_ERASED, NO_ACCOUNT.
    """
    if not reason:
        raise InvalidRequest("reason", "say why the account is closed")
    _refuse_unsold(writing.conn, tenant_id)
    held = get_account(writing.conn, tenant_id)
    settled, movements = _settled(writing.conn, tenant_id, held.effective, now)
    left = settled.balance
    movements.append(Movement(kind=Kind.CLOSED, at=now, amount=-left, balance=0, reference=reason))
    writing.touch(tenant_id)
    ledger.write(writing, tenant_id, held.own.basis, movements)
    writing.conn.execute(delete(A).where(A.c.tenant_id == tenant_id))
    writing.audit("account.close", f"account:{tenant_id}", tenant_id=tenant_id, before=_told(held.own))
    return left


def settle_account(writing: Writing, tenant_id: str, *, now: Instant) -> None:
    """Settles an account, if there is one, before something else that it depends on changes."""
    if find_account(writing.conn, tenant_id) is not None:
        _change(writing, tenant_id, "account.settle", now, lambda account: (account, []))


def put_under(writing: Writing, tenant_id: str, blocking: Blocking | None, *, now: Instant) -> None:
    """Brings an account, if there is one, under a plan's blocking settings in place of those in force; None: its own.

    Refused: BASIS_MISMATCH.
    """
    held = find_account(writing.conn, tenant_id)
    if held is None:
        return
    if blocking is not None and blocking.basis is not held.own.basis:
        raise _mismatch(tenant_id, held.own.basis, blocking.basis)
    if holdings.under(held.own, blocking) != held.effective:
        _change(writing, tenant_id, "account.settle", now, lambda account: (account, []), blocking=blocking)


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
    settled, _ = _settled(conn, tenant_id, get_account(conn, tenant_id).effective, now)
    return settled


_IN_FORCE: Final[Any] = object()


def _change(
    writing: Writing,
    tenant_id: str,
    action: str,
    now: Instant,
    change: Callable[[Account], tuple[Account, list[Movement]]],
    *,
    blocking: Blocking | None = _IN_FORCE,
) -> Account:
    """Settles under the settings in force, changes the account, then takes what is owed if the new settings let it."""
    held = get_account(writing.conn, tenant_id)
    settled, movements = _settled(writing.conn, tenant_id, held.effective, now)
    own = replace(settled, allowed_balance=held.own.allowed_balance, deferral_days=held.own.deferral_days)
    changed, moved = change(own)
    _bounded(changed)
    effective = holdings.under(changed, held.blocking if blocking is _IN_FORCE else blocking)
    paid = pay_owed(effective)
    movements += [*moved, *_owed(effective, paid, now)]
    new = replace(paid, allowed_balance=changed.allowed_balance, deferral_days=changed.deferral_days)
    writing.touch(tenant_id)
    ledger.write(writing, tenant_id, new.basis, movements)
    writing.conn.execute(update(A).where(A.c.tenant_id == tenant_id).values(**_values(new)))
    if new != held.own:
        before, after = _told(held.own), _told(new)
        writing.audit(action, f"account:{tenant_id}", tenant_id=tenant_id, before=before, after=after)
    return new


def _settled(conn: Connection, tenant_id: str, account: Account, now: Instant) -> tuple[Account, list[Movement]]:
    """The account with every due instant up to `now` taken or owed, and the movement that it was."""
    settled = settle(account, now, zone_of(_tenant(conn, tenant_id).zone))
    taken = account.balance - settled.balance
    if not taken:
        return settled, []
    count = taken // charge_of(account)
    return settled, [Movement(kind=Kind.CHARGES, at=settled.as_of, amount=-taken, balance=settled.balance, count=count)]


def _owed(effective: Account, paid: Account, now: Instant) -> list[Movement]:
    taken = effective.balance - paid.balance
    return [Movement(kind=Kind.OWED, at=now, amount=-taken, balance=paid.balance, count=1)] if taken else []


def _with(account: Account, **fields: Any) -> Account:
    return _account(**({name: getattr(account, name) for name in Account.__slots__} | fields))


def _account(**fields: Any) -> Account:
    """An account whose numbers are in bounds. Raises InvalidRequest."""
    in_calendar("first_due", fields["anchor"])
    if not 0 <= fields["deferral_days"] <= LONGEST_DEFERRAL:
        raise InvalidRequest("deferral_days", f"0 to {LONGEST_DEFERRAL}")
    try:
        account = Account(**fields)
    except InvalidRecord as e:
        raise InvalidRequest("account", str(e).removeprefix("account: ")) from e
    return _bounded(account)


def _bounded(account: Account) -> Account:
    for name in ("balance", "charge", "allowed_balance"):
        if abs(getattr(account, name)) > LARGEST:
            raise InvalidRequest(name, f"at most {LARGEST // MICROS}")
    return account


def _values(account: Account) -> dict[str, Any]:
    values = asdict(account)
    period = values.pop("period")
    return values | {"basis": int(account.basis), "period_months": period["months"], "period_days": period["days"]}


def _told(account: Account) -> dict[str, Any]:
    """An account in the audit trail: amounts in millionths."""
    values = _values(account) | {"basis": account.basis.name.lower()}
    instants = ("as_of", "owed_since", "anchor")
    return values | {name: None if values[name] is None else format_instant(values[name]) for name in instants}


def _refuse_plan_of_other(conn: Connection, tenant_id: str, basis: Basis) -> None:
    _, blocking = holdings.blocking(conn, [tenant_id]).get(tenant_id, ("", None))
    if blocking is not None and blocking.basis is not basis:
        raise _mismatch(tenant_id, basis, blocking.basis)


def _mismatch(tenant_id: str, account: Basis, plan: Basis) -> Refused:
    return Refused(
        "BASIS_MISMATCH",
        f"{tenant_id} would be billed in {account.name.lower()} under a plan in {plan.name.lower()}:"
        " take the plan away first, or assign one of the same basis",
    )


def _tenant(conn: Connection, tenant_id: str) -> Any:
    row = conn.execute(select(T.c.zone, T.c.archived_at, T.c.erased_at).where(T.c.id == tenant_id)).one_or_none()
    if row is None:
        raise unknown_tenant(tenant_id)
    return row


def _refuse_unsold(conn: Connection, tenant_id: str) -> None:
    row = _tenant(conn, tenant_id)
    if row.erased_at is not None:
        raise erased_tenant(tenant_id)
    if row.archived_at is not None:
        raise archived_tenant(tenant_id)
