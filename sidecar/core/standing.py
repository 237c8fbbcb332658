"""The account of a tenant billed from a balance: a state that moves by rule (domain.md 6). Amounts are millionths."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final
from zoneinfo import ZoneInfo

from sidecar.core.calendar import midnight_after, nth_after, to_local
from sidecar.core.model import DAY, FOREVER, MICROS, Account, Basis, Instant, Standing

NEVER: Final = FOREVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """How standing goes on if nobody touches the account: GOOD, PAST_DUE from `owed_since`, BLOCKED from `blocked_at`.

    `missing` is the least top-up, in millionths, that would let the owed charge be taken; 0 when none is ever owed.
    """

    owed_since: Instant = NEVER
    blocked_at: Instant = NEVER
    missing: int = 0

    def at(self, instant: Instant) -> Standing:
        """The standing at an instant."""
        if instant < self.owed_since:
            return Standing.GOOD
        return Standing.PAST_DUE if instant < self.blocked_at else Standing.BLOCKED


GOOD: Final = Outlook()


def outlook(account: Account | None, zone: ZoneInfo) -> Outlook:
    """The whole future of an account, without unrolling its charges."""
    if account is None:
        return GOOD
    settled = account if account.owed_since is not None else _first_failure(account, zone)
    if settled.owed_since is None:
        return GOOD
    return Outlook(
        owed_since=settled.owed_since,
        blocked_at=settled.owed_since + settled.deferral_days * DAY,
        missing=max(0, settled.allowed_balance + settled.owed_charge - settled.balance),
    )


def settle(account: Account, until: Instant, zone: ZoneInfo) -> Account:
    """The account after every due instant up to and including `until` (which may not lie before `as_of`)."""
    until = max(until, account.as_of)
    if account.owed_since is not None:
        return replace(account, as_of=until)
    failed = _first_failure(account, zone)
    if failed.owed_since is not None and failed.owed_since <= until:
        return replace(failed, as_of=until)
    taken = _dues_until(account, until, zone) * charge_of(account)
    return replace(account, balance=account.balance - taken, as_of=until)


def pay_owed(account: Account) -> Account:
    """Takes what is owed, as it was, when the present settings let it; then nothing is owed."""
    if account.owed_since is None or account.balance - account.owed_charge < account.allowed_balance:
        return account
    return replace(account, balance=account.balance - account.owed_charge, owed_since=None, owed_charge=0)


def charge_of(account: Account) -> int:
    """What is taken at a due instant: the charge, or one day."""
    return account.charge if account.basis is Basis.MONEY else MICROS


def next_due(account: Account, zone: ZoneInfo, count: int = 1) -> Instant:
    """The `count`-th due instant strictly after `as_of`."""
    if account.basis is Basis.DAYS:
        return midnight_after(account.as_of, zone, count)
    return nth_after(to_local(account.anchor, zone), account.period, zone, account.as_of, count)


def _first_failure(account: Account, zone: ZoneInfo) -> Account:
    """The account at its first due instant that cannot be taken; unchanged where there is none."""
    charge = charge_of(account)
    spare = account.balance - account.allowed_balance
    if charge == 0 and spare >= 0:
        return account
    taken = max(0, spare // charge) if charge else 0
    due = next_due(account, zone, taken + 1)
    if due == FOREVER:
        return account
    return replace(account, balance=account.balance - taken * charge, as_of=due, owed_since=due, owed_charge=charge)


def _dues_until(account: Account, until: Instant, zone: ZoneInfo) -> int:
    """How many due instants lie in (as_of, until]: a search over next_due, which rises with its count."""
    low, high = 0, 1
    while next_due(account, zone, high) <= until:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if next_due(account, zone, middle) <= until else (low, middle)
    return low
