"""Accounts: every change settles first, then tries what is owed (domain.md 6 and 8)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sidecar.core.calendar import format_instant, zone_of
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import DAY, MICROS, Account, Basis, Period, Standing
from sidecar.core.standing import outlook
from sync.store import accounts
from sync.store.tenants import archive_tenant, update_tenant
from tests.storing import TESTER, Shop, at, months, on_every_database, per_unit, refused

pytestmark = on_every_database

UTC = zone_of("UTC")
MONTHLY = {"charge": 60 * MICROS, "anchor": at("2026-01-01"), "period": Period(months=1)}
DUE = "2026-02-01"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    shop.tenant("t")
    return shop


def money(shop: Shop, *, balance: int = 100, when: str = "2025-12-15", **settings: Any) -> None:
    change(shop, "open_account", basis=Basis.MONEY, balance=balance * MICROS, when=when, **(MONTHLY | settings))


def change(shop: Shop, name: str, *args: Any, when: str, tenant: str = "t", **kwargs: Any) -> Account:
    with shop.store.writing(TESTER) as writing:
        account: Account = getattr(accounts, name)(writing, tenant, *args, now=at(when), **kwargs)
    if not shop.record(tenant).holder_id:
        assert shop.record(tenant).account == account
    return account


def standing(shop: Shop, when: str | int) -> Standing:
    instant = at(when) if isinstance(when, str) else when
    return outlook(shop.record("t").account, UTC).at(instant)


def test_case_19_taken_while_it_can_be_then_blocked(shop: Shop) -> None:
    money(shop)
    with shop.store.reading() as conn:
        assert accounts.account_at(conn, "t", at("2026-01-01")).balance == 40 * MICROS
        assert accounts.account_at(conn, "t", at(DUE)).balance == 40 * MICROS
    assert standing(shop, at(DUE) - 1) is Standing.GOOD
    assert standing(shop, at(DUE)) is Standing.BLOCKED


@pytest.mark.parametrize(("topped_up", "then", "balance"), [(10, Standing.BLOCKED, 50), (20, Standing.GOOD, 0)])
def test_case_20_deferral_and_top_up(shop: Shop, topped_up: int, then: Standing, balance: int) -> None:
    money(shop, deferral_days=5)
    assert standing(shop, at(DUE) + 5 * DAY - 1) is Standing.PAST_DUE
    assert standing(shop, at(DUE) + 5 * DAY) is Standing.BLOCKED
    account = change(shop, "top_up", topped_up * MICROS, when="2026-02-07")
    assert account.balance == balance * MICROS
    assert standing(shop, "2026-02-07") is then


def test_what_is_owed_is_the_charge_as_it_was(shop: Shop) -> None:
    money(shop)
    account = change(shop, "set_charge", when="2026-02-03", charge=5 * MICROS, anchor=None, period=None)
    assert (account.owed_charge, account.charge, account.owed_since) == (60 * MICROS, 5 * MICROS, at(DUE))
    account = change(shop, "top_up", 20 * MICROS, when="2026-02-04")
    assert (account.balance, account.owed_since, account.owed_charge) == (0, None, 0)


def test_more_credit_takes_what_is_owed_at_once(shop: Shop) -> None:
    money(shop)
    account = change(shop, "set_blocking", when="2026-02-03", allowed_balance=-50 * MICROS)
    assert (account.balance, account.owed_since) == (-20 * MICROS, None)
    assert standing(shop, "2026-02-03") is Standing.GOOD


def test_less_credit_settles_under_the_old_settings_first(shop: Shop) -> None:
    money(shop, allowed_balance=-50 * MICROS)
    account = change(shop, "set_blocking", when="2026-02-03", allowed_balance=0, deferral_days=7)
    assert (account.balance, account.owed_since, account.deferral_days) == (-20 * MICROS, None, 7)
    assert standing(shop, "2026-03-01") is Standing.PAST_DUE


def test_a_new_schedule_holds_from_the_change_on(shop: Shop) -> None:
    money(shop, balance=1000)
    account = change(
        shop, "set_charge", when="2026-01-20", charge=MICROS, anchor=at("2026-01-21"), period=Period(days=1)
    )
    assert (account.balance, account.as_of) == (940 * MICROS, at("2026-01-20"))
    with shop.store.reading() as conn:
        assert accounts.account_at(conn, "t", at("2026-01-22")).balance == 938 * MICROS


def test_case_29_days(shop: Shop) -> None:
    change(shop, "open_account", basis=Basis.DAYS, balance=2 * MICROS, when="2026-01-01")
    assert standing(shop, at("2026-01-04") - 1) is Standing.GOOD
    assert standing(shop, "2026-01-04") is Standing.BLOCKED


def test_a_change_of_zone_settles_under_the_old_one(shop: Shop) -> None:
    change(shop, "open_account", basis=Basis.DAYS, balance=10 * MICROS, when="2026-01-01")
    with shop.store.writing(TESTER) as writing:
        update_tenant(writing, "t", now=at("2026-01-03T12:00:00Z"), zone="Asia/Shanghai")
    account = shop.record("t").account
    assert account is not None
    assert (account.balance, format_instant(account.as_of)) == (8 * MICROS, "2026-01-03T12:00:00Z")


def test_a_change_dated_before_the_last_one_unsettles_nothing(shop: Shop) -> None:
    money(shop)
    change(shop, "top_up", MICROS, when="2026-01-15")
    account = change(shop, "top_up", MICROS, when="2025-12-20")
    assert (account.balance, account.as_of) == (42 * MICROS, at("2026-01-15"))


def test_the_account_of_a_sharer_waits_for_its_first_order(shop: Shop) -> None:
    shop.product(per_unit("fd", "fixed_desk"))
    shop.new("t", {"fd": 1}, "2026-01-01", months(1))
    shop.tenant("child", parent_id="t")
    change(shop, "open_account", basis=Basis.DAYS, balance=MICROS, when="2026-01-01", tenant="child")
    assert shop.record("child").account is None
    shop.new("child", {"fd": 1}, "2026-01-01", months(1))
    assert shop.record("child").account is not None


def test_accounts_are_refused_what_makes_no_sense(shop: Shop) -> None:
    with refused("UNKNOWN_TENANT"):
        change(shop, "top_up", 1, when=DUE, tenant="nobody")
    with refused("NO_ACCOUNT"):
        change(shop, "top_up", 1, when=DUE)
    change(shop, "open_account", basis=Basis.DAYS, balance=MICROS, when="2026-01-01")
    with refused("ACCOUNT_EXISTS"):
        money(shop)
    with refused("BASIS_MISMATCH"):
        change(shop, "set_charge", when=DUE, charge=1, anchor=None, period=None)
    for amount in (0, -1):
        with pytest.raises(InvalidRequest, match="amount"):
            change(shop, "top_up", amount, when=DUE)
    with pytest.raises(InvalidRequest, match="deferral_days"):
        change(shop, "set_blocking", when=DUE, deferral_days=-1)
    with pytest.raises(InvalidRequest, match="balance"):
        change(shop, "top_up", 2 * 10**18, when=DUE)


@pytest.mark.parametrize(
    ("name", "args", "fields"),
    [
        ("top_up", (1,), {}),
        ("correct_balance", (1,), {"reason": "r"}),
        ("set_charge", (), MONTHLY),
        ("set_blocking", (), {"deferral_days": 1}),
        ("change_basis", (), {"basis": Basis.DAYS, "balance": 1}),
        ("close_account", (), {"reason": "r"}),
        ("open_account", (), {"basis": Basis.DAYS, "balance": 1}),
    ],
)
def test_the_account_of_an_archived_tenant_stays_as_it_is(
    shop: Shop, name: str, args: tuple[int, ...], fields: dict[str, Any]
) -> None:
    money(shop)
    before = shop.record("t").account
    with shop.store.writing(TESTER) as writing:
        archive_tenant(writing, "t", now=at(DUE))
    with refused("TENANT_ARCHIVED"):
        change(shop, name, *args, when=DUE, **fields)
    assert shop.record("t").account == before


def test_a_zone_may_change_while_a_tenant_is_archived(shop: Shop) -> None:
    money(shop)
    with shop.store.writing(TESTER) as writing:
        archive_tenant(writing, "t", now=at("2026-01-20"))
    with shop.store.writing(TESTER) as writing:
        update_tenant(writing, "t", now=at("2026-01-25"), zone="Asia/Shanghai")
    account = shop.record("t").account
    assert account is not None
    assert (account.balance, account.as_of) == (40 * MICROS, at("2026-01-25"))


def test_more_credit_than_can_be_said_is_invalid(shop: Shop) -> None:
    money(shop)
    with pytest.raises(InvalidRequest, match="allowed_balance"):
        change(shop, "set_blocking", when=DUE, allowed_balance=-(10**18) - 1)
    with pytest.raises(InvalidRequest, match="charge"):
        change(shop, "set_charge", when=DUE, charge=10**18 + 1, anchor=None, period=None)
    with pytest.raises(InvalidRequest, match="first_due"):
        change(shop, "set_charge", when=DUE, charge=1, anchor=-1, period=None)


@pytest.mark.parametrize("settings", [{"period": Period()}, {"charge": -1}, {"period": Period(months=1, days=1)}])
def test_a_schedule_must_be_one(shop: Shop, settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="account"):
        money(shop, **settings)
