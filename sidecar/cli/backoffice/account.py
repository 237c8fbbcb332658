"""`deskgate account`: tenants that are billed from a balance."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar._gen.desking.entitlements.v1 import entitlement_pb2 as record_pb
from sidecar.cli.backoffice.common import BELOW_ZERO, TenantId, app_of, table
from sidecar.cli.backoffice.office import Office, reading, timestamp, writing
from sidecar.cli.backoffice.paging import Limit, PageToken, more, page
from sidecar.cli.backoffice.plain import shown
from sidecar.cli.backoffice.terms import EveryDays, EveryMonths, FirstDue, length

app = app_of("account", "Accounts: a balance in money or days, and how far it may fall.")


class BasisName(StrEnum):
    """What a balance is counted in."""

    MONEY = "money"
    DAYS = "days"


BASES = {BasisName.MONEY: record_pb.BASIS_MONEY, BasisName.DAYS: record_pb.BASIS_DAYS}
BasisOption = Annotated[BasisName, typer.Option("--basis", help="What the balance is counted in.")]
Allowed = Annotated[str | None, typer.Option("--allowed", help="How low the balance may fall; negative is credit.")]
Deferral = Annotated[int | None, typer.Option("--deferral-days", help="Days of 24 h between owing and being blocked.")]
Charge = Annotated[str | None, typer.Option(help="Money: taken at each due instant.")]
Amount = Annotated[str, typer.Argument(metavar="AMOUNT")]
Reason = Annotated[str, typer.Option(help="Why; it stays on record.")]


@app.command("open")
@writing
def open_(
    office: Office,
    tenant: TenantId,
    basis: BasisOption,
    balance: Annotated[str, typer.Option(help="What is on it now.")] = "0",
    charge: Charge = None,
    first_due: FirstDue = None,
    every_months: EveryMonths = 0,
    every_days: EveryDays = 0,
    allowed: Allowed = None,
    deferral_days: Deferral = None,
) -> None:
    """Bills a tenant from a balance from now on."""
    request = pb.OpenAccountRequest(
        tenant_id=tenant,
        basis=BASES[basis],
        balance=balance,
        **_charged(charge, first_due, every_months, every_days),
        allowed_balance=allowed,
        deferral_days=deferral_days,
    )
    answer = office.write(request, pb.OpenAccountResponse)
    _done(office, answer)


@app.command("top-up")
@writing
def top_up(
    office: Office,
    tenant: TenantId,
    amount: Amount,
    reference: Annotated[str | None, typer.Option(help="Of the bank, the invoice...")] = None,
) -> None:
    """Adds to the balance; what is owed is taken if it now can be."""
    request = pb.TopUpAccountRequest(tenant_id=tenant, amount=amount, reference=reference)
    _done(office, office.write(request, pb.TopUpAccountResponse))


@app.command(context_settings=BELOW_ZERO)
@writing
def correct(office: Office, tenant: TenantId, amount: Amount, reason: Reason) -> None:
    """Corrects a mistake in the balance by an entry of its own, above or below 0."""
    request = pb.CorrectAccountBalanceRequest(tenant_id=tenant, amount=amount, reason=reason)
    _done(office, office.write(request, pb.CorrectAccountBalanceResponse))


@app.command()
@writing
def charge(
    office: Office,
    tenant: TenantId,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="Taken at each due instant from now on.")],
    first_due: FirstDue = None,
    every_months: EveryMonths = 0,
    every_days: EveryDays = 0,
) -> None:
    """Changes what is charged and, where given, when; what is owed stays as it was."""
    request = pb.SetAccountChargeRequest(tenant_id=tenant, **_charged(amount, first_due, every_months, every_days))
    _done(office, office.write(request, pb.SetAccountChargeResponse))


@app.command()
@writing
def settings(office: Office, tenant: TenantId, allowed: Allowed = None, deferral_days: Deferral = None) -> None:
    """Changes the tenant's own blocking settings that are given; those of a plan come before them."""
    request = pb.SetAccountBlockingRequest(tenant_id=tenant, allowed_balance=allowed, deferral_days=deferral_days)
    _done(office, office.write(request, pb.SetAccountBlockingResponse))


@app.command()
@writing
def basis(
    office: Office,
    tenant: TenantId,
    basis: BasisOption,
    balance: Annotated[str, typer.Option(help="What is on it in the new basis.")],
    charge: Charge = None,
    first_due: FirstDue = None,
    every_months: EveryMonths = 0,
    every_days: EveryDays = 0,
    allowed: Allowed = None,
    deferral_days: Deferral = None,
) -> None:
    """Goes over from money to days or back, with a balance stated anew; what was owed is forgotten."""
    request = pb.ChangeAccountBasisRequest(
        tenant_id=tenant,
        basis=BASES[basis],
        balance=balance,
        **_charged(charge, first_due, every_months, every_days),
        allowed_balance=allowed,
        deferral_days=deferral_days,
    )
    _done(office, office.write(request, pb.ChangeAccountBasisResponse))


@app.command()
@writing
def close(office: Office, tenant: TenantId, reason: Reason) -> None:
    """Bills the tenant from no balance any more; what is left of it goes off the books with the reason given."""
    answer = office.write(pb.CloseAccountRequest(tenant_id=tenant, reason=reason), pb.CloseAccountResponse)
    office.show(answer, f"{tenant} has no account any more; {answer.balance} were left (revision {answer.revision})")


@app.command()
@reading
def show(
    office: Office,
    tenant: TenantId,
    as_of: Annotated[str | None, typer.Option(help="As of this instant, settled up to it; default: now.")] = None,
) -> None:
    """The account as it stands now, and what comes if nobody touches it."""
    at = None if as_of is None else timestamp("as_of", as_of)
    answer = office.read(pb.GetAccountRequest(tenant_id=tenant, at=at), pb.GetAccountResponse)
    account = answer.account
    facts = {
        "standing": shown(account, "standing").upper(),
        "owed from": shown(answer, "owed_from", absent="never"),
        "blocked from": shown(answer, "blocked_from", absent="never"),
        "may fall to": f"{account.effective_allowed_balance}, {account.effective_deferral_days} days of deferral",
        "by plan": account.blocking_plan_id,
    }
    lines = [f"{name}: {value}" for name, value in facts.items() if value]
    office.show(answer, "\n".join([_sentence(account), *lines]))


@app.command()
@reading
def ledger(office: Office, tenant: TenantId, limit: Limit = 100, page_token: PageToken = None) -> None:
    """Every movement of the balance, oldest first; the amounts add up to it."""
    answer = office.read(pb.ListLedgerRequest(tenant_id=tenant, **page(limit, page_token)), pb.ListLedgerResponse)
    rows = [(e.id, shown(e, "at"), e.kind, e.amount, e.balance, e.reference, e.operator) for e in answer.entries]
    office.show(answer, table(("ENTRY", "AT", "KIND", "AMOUNT", "BALANCE", "REFERENCE", "BY"), rows) + more(answer))


def _charged(charge: str | None, first_due: str | None, every_months: int, every_days: int) -> dict[str, Any]:
    period = length(months=every_months, days=every_days)
    return {"charge": charge, "first_due": first_due, "period": period}


def _sentence(account: pb.AccountState) -> str:
    unit = " days" if account.basis == record_pb.BASIS_DAYS else ""
    said = f"{account.tenant_id}: {account.balance}{unit} at {shown(account, 'as_of')}"
    return said + (
        f", {account.owed_charge} owed since {shown(account, 'owed_since')}" if account.owed_charge != "0" else ""
    )


def _done(office: Office, answer: Any) -> None:
    office.show(answer, f"{_sentence(answer.account)} (revision {answer.revision})")
