"""`deskgate account`: tenants that are billed from a balance."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from sidecar.cli.backoffice.common import (
    DEFAULT_STORE,
    AsJson,
    At,
    StorePath,
    TenantId,
    account_json,
    amount,
    answer,
    app_of,
    changing,
    millionths,
    moment,
    now_or,
    told,
)
from sidecar.core.calendar import parse_instant, zone_of
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Account, Basis, Instant, Period
from sidecar.core.standing import outlook
from sync.store import accounts
from sync.store.db import Writing, open_store
from sync.store.tenants import get_tenant

app = app_of("account", "Accounts: a balance in money or days, and how far it may fall.")


class BasisName(StrEnum):
    """What a balance is counted in."""

    MONEY = "money"
    DAYS = "days"


FirstDue = Annotated[str | None, typer.Option(help="Money: the first due date in the tenant's zone, or instant.")]
EveryMonths = Annotated[int, typer.Option(help="Money: months between charges.", min=0)]
EveryDays = Annotated[int, typer.Option(help="Money: days between charges.", min=0)]
Allowed = Annotated[str | None, typer.Option("--allowed", help="How low the balance may fall; negative is credit.")]
Deferral = Annotated[int | None, typer.Option("--deferral-days", help="Days of 24 h between owing and being blocked.")]


@app.command("open")
@told
def open_(
    tenant: TenantId,
    basis: Annotated[BasisName, typer.Option(help="What the balance is counted in.")],
    balance: Annotated[str, typer.Option(help="What is on it now.")] = "0",
    charge: Annotated[str | None, typer.Option(help="Money: taken at each due instant.")] = None,
    first_due: FirstDue = None,
    every_months: EveryMonths = 0,
    every_days: EveryDays = 0,
    allowed: Allowed = None,
    deferral_days: Deferral = None,
    store: StorePath = DEFAULT_STORE,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Bills a tenant from a balance from now on."""
    with changing(store) as writing:
        anchor = _due(writing, tenant, first_due)
        if basis is BasisName.MONEY and (charge is None or anchor is None):
            raise InvalidRequest("charge", "money needs --charge, --first-due and --every-months or --every-days")
        account = accounts.open_account(
            writing,
            tenant,
            basis=Basis[basis.name],
            balance=millionths("balance", balance),
            now=now_or(at),
            charge=millionths("charge", charge or "1"),
            anchor=anchor or 0,
            period=Period(months=every_months, days=every_days),
            allowed_balance=millionths("allowed", allowed or "0"),
            deferral_days=deferral_days or 0,
        )
    _done(as_json, tenant, account, writing.revision)


@app.command("top-up")
@told
def top_up(
    tenant: TenantId,
    sum_: Annotated[str, typer.Argument(metavar="AMOUNT")],
    store: StorePath = DEFAULT_STORE,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Adds to the balance; what is owed is taken if it now can be."""
    with changing(store) as writing:
        account = accounts.top_up(writing, tenant, millionths("amount", sum_), now=now_or(at))
    _done(as_json, tenant, account, writing.revision)


@app.command()
@told
def charge(
    tenant: TenantId,
    sum_: Annotated[str, typer.Argument(metavar="AMOUNT", help="Taken at each due instant from now on.")],
    first_due: FirstDue = None,
    every_months: EveryMonths = 0,
    every_days: EveryDays = 0,
    store: StorePath = DEFAULT_STORE,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Changes what is charged and, where given, when; what is owed stays as it was."""
    period = Period(months=every_months, days=every_days) if every_months or every_days else None
    with changing(store) as writing:
        account = accounts.set_charge(
            writing,
            tenant,
            now=now_or(at),
            charge=millionths("amount", sum_),
            anchor=_due(writing, tenant, first_due),
            period=period,
        )
    _done(as_json, tenant, account, writing.revision)


@app.command()
@told
def settings(
    tenant: TenantId,
    allowed: Allowed = None,
    deferral_days: Deferral = None,
    store: StorePath = DEFAULT_STORE,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Changes the blocking settings that are given."""
    with changing(store) as writing:
        account = accounts.set_blocking(
            writing,
            tenant,
            now=now_or(at),
            allowed_balance=None if allowed is None else millionths("allowed", allowed),
            deferral_days=deferral_days,
        )
    _done(as_json, tenant, account, writing.revision)


@app.command()
@told
def show(tenant: TenantId, store: StorePath = DEFAULT_STORE, at: At = None, as_json: AsJson = False) -> None:
    """The account as it stands now, and what comes if nobody touches it."""
    now = now_or(at)
    with open_store(store).reading() as conn:
        account = accounts.account_at(conn, tenant, now)
        future = outlook(account, zone_of(get_tenant(conn, tenant).zone))
    standing = future.at(now)
    text = "\n".join(
        [
            _sentence(tenant, account),
            f"standing: {standing}",
            f"owed from: {moment(future.owed_since) or 'never'}",
            f"blocked from: {moment(future.blocked_at) or 'never'}",
        ]
    )
    answer(
        as_json,
        text,
        account=account_json(account),
        standing=standing,
        owed_from=moment(future.owed_since),
        blocked_from=moment(future.blocked_at),
    )


def _due(writing: Writing, tenant: str, text: str | None) -> Instant | None:
    zone = zone_of(get_tenant(writing.conn, tenant).zone)
    return None if text is None else parse_instant(text, zone)


def _sentence(tenant: str, account: Account) -> str:
    unit = " days" if account.basis is Basis.DAYS else ""
    owed = f", {amount(account.owed_charge)} owed since {moment(account.owed_since)}" if account.owed_since else ""
    return f"{tenant}: {amount(account.balance)}{unit} at {moment(account.as_of)}{owed}"


def _done(as_json: bool, tenant: str, account: Account, revision: int) -> None:
    answer(
        as_json, f"{_sentence(tenant, account)} (revision {revision})", account=account_json(account), revision=revision
    )
