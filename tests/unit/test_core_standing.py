"""Accounts that move by rule (domain.md 6): settled, owed, paid and foretold as the oracle walks them one by one."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from sidecar.core.calendar import zone_of
from sidecar.core.model import DAY, FOREVER, MICROS, Account, Basis, Period, Standing
from sidecar.core.standing import NEVER, Outlook, charge_of, next_due, outlook, pay_owed, settle
from tests import bridge, oracle
from tests.strategies import ODD_DAYS, ZONES
from tests.worked import instant

UTC = zone_of("UTC")
MONTHLY = Account(
    basis=Basis.MONEY,
    balance=100 * MICROS,
    as_of=instant("2026-01-01"),
    charge=30 * MICROS,
    anchor=instant("2026-01-31"),
    period=Period(months=1),
    deferral_days=5,
)
DAILY = Account(basis=Basis.DAYS, balance=3 * MICROS, as_of=instant("2026-01-01T12:00:00"), charge=77)


def plain(account: Account) -> dict[str, Any]:
    """The account in the oracle's shape."""
    owed = account.owed_since is not None
    money = account.basis is Basis.MONEY
    return {
        "basis": "money" if money else "days",
        "balance": account.balance,
        "as_of": account.as_of,
        "owed_since": account.owed_since,
        "owed_charge": account.owed_charge if owed else None,
        "charge": account.charge,
        "anchor": account.anchor if money else None,
        "period": {"months": account.period.months, "days": account.period.days} if money else None,
        "allowed_balance": account.allowed_balance,
        "deferral_days": account.deferral_days,
    }


def random_account(rng: random.Random, zone: str) -> Account:
    day = (
        instant(rng.choice(ODD_DAYS[zone])) if rng.random() < 0.5 else instant("2024-01-01") + rng.randrange(900) * DAY
    )
    as_of = day + rng.randrange(-3 * DAY, 3 * DAY)
    basis = rng.choice(list(Basis))
    charge = rng.choice([1, 7, MICROS, 12_345_678]) if basis is Basis.MONEY else MICROS
    allowed = rng.choice([0, 0, -5 * charge, 2 * charge, -1])
    return Account(
        basis=basis,
        balance=allowed + rng.randint(-1, 12) * charge + rng.choice([0, 0, 1, -1, charge // 2]),
        as_of=as_of,
        charge=charge,
        anchor=as_of + rng.choice([-400 * DAY, -31 * DAY, -1, 0, 1, DAY, 40 * DAY]),
        period=rng.choice([Period(months=1), Period(months=3), Period(days=1), Period(days=7)]),
        allowed_balance=allowed,
        deferral_days=rng.choice([0, 1, 30]),
    )


@pytest.mark.parametrize("zone", ZONES)
def test_settling_and_a_change_equal_the_oracles(zone: str) -> None:
    rng = random.Random(zone)
    for _ in range(60):
        account = random_account(rng, zone)
        dues = oracle.due_instants(plain(account), zone)
        until = rng.choice([next(dues) for _ in range(rng.randint(1, 9))][-2:]) + rng.choice([-1, 0, 1])
        until = max(until, account.as_of)
        settled = settle(account, until, zone_of(zone))
        assert plain(settled) == oracle.settle(plain(account), zone, until)
        top_up = rng.choice([0, 1, account.charge, 10 * account.charge])
        raised = replace(settled, balance=settled.balance + top_up)
        assert plain(pay_owed(raised)) == oracle.change(plain(account), zone, until, top_up)


@pytest.mark.parametrize("zone", ZONES)
def test_what_is_foretold_is_what_comes(zone: str) -> None:
    rng = random.Random(zone)
    for _ in range(40):
        account = random_account(rng, zone)
        foretold = outlook(account, zone_of(zone))
        edges = {account.as_of, foretold.owed_since, foretold.blocked_at}
        for edge in edges:
            for t in (edge - 1, edge, edge + 1):
                if t >= account.as_of:
                    record = {"holder": None, "account": plain(account), "zone": zone}
                    assert foretold.at(t).value == oracle.standing_of(record, t)


@pytest.mark.parametrize(
    ("until", "balance", "owed_since"),
    [
        ("2026-01-01", 100, None),
        ("2026-01-30T23:59:59.999999", 100, None),
        ("2026-01-31", 70, None),
        ("2026-02-28", 40, None),  # the month's end, not chained
        ("2026-03-30T23:59:59.999999", 40, None),
        ("2026-03-31", 10, None),
        ("2026-04-29T23:59:59.999999", 10, None),
        ("2026-04-30", 10, "2026-04-30"),  # not taken: it would go below what is allowed
        ("2026-12-31", 10, "2026-04-30"),  # later due instants add nothing
    ],
)
def test_a_monthly_charge(until: str, balance: int, owed_since: str | None) -> None:
    settled = settle(MONTHLY, instant(until), UTC)
    assert settled.balance == balance * MICROS
    assert settled.owed_since == (owed_since and instant(owed_since))
    assert settled.owed_charge == (30 * MICROS if owed_since else 0)
    assert settled.as_of == instant(until)


@pytest.mark.parametrize(
    ("until", "balance", "owed_since"),
    [
        ("2026-01-01T23:59:59.999999", 3, None),
        ("2026-01-02", 2, None),
        ("2026-01-04", 0, None),
        ("2026-01-05", 0, "2026-01-05"),
    ],
)
def test_days_are_taken_at_midnight(until: str, balance: int, owed_since: str | None) -> None:
    settled = settle(DAILY, instant(until), UTC)
    assert (settled.balance, settled.owed_since) == (balance * MICROS, owed_since and instant(owed_since))


def test_settling_at_an_earlier_instant_goes_nowhere() -> None:
    assert settle(MONTHLY, MONTHLY.as_of - 1, UTC) == MONTHLY
    owing = replace(MONTHLY, owed_since=MONTHLY.as_of - DAY, owed_charge=1)
    assert settle(owing, owing.as_of - 1, UTC) == owing


def test_settling_step_by_step_comes_to_the_same() -> None:
    at_once = settle(MONTHLY, instant("2026-05-01"), UTC)
    stepwise = MONTHLY
    for until in ("2026-01-31", "2026-02-15", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-01"):
        stepwise = settle(stepwise, instant(until), UTC)
    assert stepwise == at_once


def test_an_account_of_a_great_many_charges_is_settled_without_walking_them() -> None:
    rich = replace(DAILY, balance=10**15)
    later = instant("2026-01-01") + 36_524 * DAY
    assert settle(rich, later, UTC).balance == 10**15 - 36_524 * MICROS


def test_a_charge_of_nothing_is_never_owed_by_an_account_within_its_allowance() -> None:
    free = replace(MONTHLY, charge=0, balance=0)
    assert outlook(free, UTC) == Outlook()
    assert settle(free, instant("2030-01-01"), UTC) == replace(free, as_of=instant("2030-01-01"))


def test_a_charge_of_nothing_is_owed_by_an_account_below_its_allowance() -> None:
    short = replace(MONTHLY, charge=0, balance=-1)
    assert outlook(short, UTC) == Outlook(owed_since=instant("2026-01-31"), blocked_at=instant("2026-02-05"), missing=1)
    assert settle(short, instant("2026-01-31"), UTC).owed_since == instant("2026-01-31")


@pytest.mark.parametrize(
    ("balance", "allowed", "left"),
    [(30, 0, 0), (29, 0, None), (30, 1, None), (31, 1, 1), (0, -30, -30), (0, -29, None), (50, 0, 20)],
)
def test_what_is_owed_is_taken_when_the_allowance_lets_it(balance: int, allowed: int, left: int | None) -> None:
    owing = replace(
        MONTHLY, balance=balance, allowed_balance=allowed, owed_since=MONTHLY.as_of, owed_charge=30, charge=1_000
    )
    if left is None:
        assert pay_owed(owing) == owing
    else:
        assert pay_owed(owing) == replace(owing, balance=left, owed_since=None, owed_charge=0)


def test_nothing_owed_nothing_paid() -> None:
    assert pay_owed(MONTHLY) is MONTHLY


def test_the_outlook_of_an_account() -> None:
    assert outlook(MONTHLY, UTC) == Outlook(
        owed_since=instant("2026-04-30"), blocked_at=instant("2026-05-05"), missing=20 * MICROS
    )
    assert outlook(DAILY, UTC) == Outlook(
        owed_since=instant("2026-01-05"), blocked_at=instant("2026-01-05"), missing=MICROS
    )
    assert outlook(None, UTC) == Outlook(owed_since=NEVER, blocked_at=NEVER, missing=0)


def test_the_outlook_of_an_account_that_owes_rests_on_what_it_owed_then() -> None:
    owing = replace(MONTHLY, balance=5, owed_since=instant("2025-12-31"), owed_charge=12, allowed_balance=-3)
    assert outlook(owing, UTC) == Outlook(owed_since=instant("2025-12-31"), blocked_at=instant("2026-01-05"), missing=4)
    enough = replace(owing, balance=50)
    assert outlook(enough, UTC).missing == 0


def test_an_account_that_outlasts_the_calendar_is_good_for_ever() -> None:
    for rich in (replace(MONTHLY, balance=10**18), replace(DAILY, balance=10**18)):
        assert outlook(rich, UTC) == Outlook()
        assert settle(rich, instant("2026-02-01"), UTC).owed_since is None


@pytest.mark.parametrize(
    ("at", "standing"),
    [(9, Standing.GOOD), (10, Standing.PAST_DUE), (19, Standing.PAST_DUE), (20, Standing.BLOCKED)],
)
def test_standing_along_an_outlook(at: int, standing: Standing) -> None:
    assert Outlook(owed_since=10, blocked_at=20).at(at) is standing


def test_what_is_taken_at_a_due_instant() -> None:
    assert (charge_of(MONTHLY), charge_of(DAILY)) == (30 * MICROS, MICROS)


@pytest.mark.parametrize(
    ("account", "count", "due"),
    [
        (MONTHLY, 1, "2026-01-31"),
        (MONTHLY, 2, "2026-02-28"),
        (replace(MONTHLY, as_of=MONTHLY.anchor), 1, "2026-02-28"),  # strictly after
        (replace(MONTHLY, as_of=MONTHLY.anchor - 1), 1, "2026-01-31"),
        (DAILY, 1, "2026-01-02"),
        (DAILY, 5, "2026-01-06"),
        (replace(DAILY, as_of=instant("2026-01-02")), 1, "2026-01-03"),
    ],
)
def test_due_instants(account: Account, count: int, due: str) -> None:
    assert next_due(account, UTC, count) == instant(due)
    assert next_due(account, UTC) == next_due(account, UTC, 1)


def test_no_due_instant_lies_past_the_calendar() -> None:
    assert next_due(MONTHLY, UTC, 10**9) == FOREVER


def test_the_oracles_shape_and_back() -> None:
    assert bridge.account(plain(MONTHLY)) == MONTHLY
