"""Calls about accounts billed from a balance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar._gen.desking.entitlements.v1 import entitlement_pb2 as records_pb
from sidecar.core.calendar import LATEST
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER, Basis, Instant
from sidecar.core.standing import outlook
from sync.backoffice import codec
from sync.backoffice.method import Change, View, reads, writes
from sync.store import accounts, ledger
from sync.store.ledger import LedgerEntry
from sync.store.tenants import get_tenant

BASES: Final[Mapping[int, Basis]] = {
    records_pb.BASIS_MONEY: Basis.MONEY,
    records_pb.BASIS_DAYS: Basis.DAYS,
}


def _state(view: View, tenant_id: str, at: Instant) -> pb.AccountState:
    """An account, settled up to an instant under the settings that hold."""
    held = accounts.get_account(view.conn, tenant_id)
    settled = accounts.account_at(view.conn, tenant_id, at)
    money = settled.basis is Basis.MONEY
    return pb.AccountState(
        tenant_id=tenant_id,
        basis=f"BASIS_{settled.basis.name}",
        balance=codec.amount(settled.balance),
        as_of=codec.stamp_of(settled.as_of),
        owed_since=codec.stamp_of(settled.owed_since),
        owed_charge=codec.amount(settled.owed_charge),
        charge=codec.amount(settled.charge),
        first_due=codec.stamp_of(settled.anchor) if money else None,
        period=codec.length_of(settled.period) if money else None,
        allowed_balance=codec.amount(held.own.allowed_balance),
        deferral_days=held.own.deferral_days,
        blocking_plan_id=held.plan_id if held.blocking else "",
        effective_allowed_balance=codec.amount(settled.allowed_balance),
        effective_deferral_days=settled.deferral_days,
        standing=f"STANDING_{outlook(settled, view.zone(tenant_id)).at(settled.as_of)}",
    )


def _billing(change: Change, request: Any) -> dict[str, Any]:
    """What is charged and when, as OpenAccount and ChangeAccountBasis state it."""
    basis = codec.choice("basis", request.basis, BASES)
    own = {
        "basis": basis,
        "allowed_balance": codec.millionths_or("allowed_balance", request.allowed_balance, 0),
    }
    stated = [name for name in ("charge", "first_due") if getattr(request, name)]
    if request.HasField("period"):
        stated.append("period")
    if basis is Basis.DAYS:
        if stated:
            raise InvalidRequest(stated[0], "days are charged one a local midnight: leave it out")
        return own
    for name in ("charge", "first_due", "period"):
        if name not in stated:
            raise InvalidRequest(name, "billing in money needs it")
    return own | {
        "charge": codec.millionths("charge", request.charge, least=0),
        "anchor": codec.start("first_due", request.first_due, change.zone(request.tenant_id)),
        "period": codec.period("period", request.period),
    }


def _tenant_id(request: Any) -> str:
    return codec.name("tenant_id", request.tenant_id)


def _deferral(days: int) -> int:
    return codec.number("deferral_days", days, 0, accounts.LONGEST_DEFERRAL)


def _open(change: Change, request: pb.OpenAccountRequest) -> pb.OpenAccountResponse:
    tenant_id = _tenant_id(request)
    accounts.open_account(
        change.writing,
        tenant_id,
        now=change.now,
        balance=codec.millionths_or("balance", request.balance, 0),
        deferral_days=_deferral(request.deferral_days),
        **_billing(change, request),
    )
    return pb.OpenAccountResponse(account=_state(change, tenant_id, change.now))


def _top_up(change: Change, request: pb.TopUpAccountRequest) -> pb.TopUpAccountResponse:
    tenant_id = _tenant_id(request)
    amount = codec.millionths("amount", request.amount, least=1)
    reference = codec.short("reference", request.reference)
    accounts.top_up(change.writing, tenant_id, amount, now=change.now, reference=reference)
    return pb.TopUpAccountResponse(account=_state(change, tenant_id, change.now))


def _set_charge(change: Change, request: pb.SetAccountChargeRequest) -> pb.SetAccountChargeResponse:
    tenant_id = _tenant_id(request)
    zone = change.zone(tenant_id)
    accounts.set_charge(
        change.writing,
        tenant_id,
        now=change.now,
        charge=codec.millionths("charge", request.charge, least=0),
        anchor=codec.start("first_due", request.first_due, zone) if request.first_due else None,
        period=codec.period("period", request.period) if request.HasField("period") else None,
    )
    return pb.SetAccountChargeResponse(account=_state(change, tenant_id, change.now))


def _set_blocking(change: Change, request: pb.SetAccountBlockingRequest) -> pb.SetAccountBlockingResponse:
    tenant_id = _tenant_id(request)
    allowed = request.HasField("allowed_balance")
    deferred = request.HasField("deferral_days")
    accounts.set_blocking(
        change.writing,
        tenant_id,
        now=change.now,
        allowed_balance=codec.millionths("allowed_balance", request.allowed_balance) if allowed else None,
        deferral_days=_deferral(request.deferral_days) if deferred else None,
    )
    return pb.SetAccountBlockingResponse(account=_state(change, tenant_id, change.now))


def _change_basis(change: Change, request: pb.ChangeAccountBasisRequest) -> pb.ChangeAccountBasisResponse:
    tenant_id = _tenant_id(request)
    accounts.change_basis(
        change.writing,
        tenant_id,
        now=change.now,
        balance=codec.millionths("balance", request.balance),
        deferral_days=_deferral(request.deferral_days) if request.HasField("deferral_days") else None,
        **_billing(change, request),
    )
    return pb.ChangeAccountBasisResponse(account=_state(change, tenant_id, change.now))


def _correct(change: Change, request: pb.CorrectAccountBalanceRequest) -> pb.CorrectAccountBalanceResponse:
    tenant_id = _tenant_id(request)
    amount, reason = codec.millionths("amount", request.amount), codec.name("reason", request.reason)
    accounts.correct_balance(change.writing, tenant_id, amount, now=change.now, reason=reason)
    return pb.CorrectAccountBalanceResponse(account=_state(change, tenant_id, change.now))


def _close(change: Change, request: pb.CloseAccountRequest) -> pb.CloseAccountResponse:
    reason = codec.name("reason", request.reason)
    left = accounts.close_account(change.writing, _tenant_id(request), now=change.now, reason=reason)
    return pb.CloseAccountResponse(balance=codec.amount(left))


def _get(view: View, request: pb.GetAccountRequest) -> pb.GetAccountResponse:
    tenant_id = _tenant_id(request)
    at = codec.instant_or_none("at", request)
    at = view.now if at is None else at
    ahead = outlook(accounts.account_at(view.conn, tenant_id, at), view.zone(tenant_id))
    return pb.GetAccountResponse(
        account=_state(view, tenant_id, at),
        owed_from=codec.stamp_of(ahead.owed_since),
        blocked_from=codec.stamp_of(min(ahead.blocked_at, LATEST)) if ahead.owed_since != FOREVER else None,
    )


def _entry(entry: LedgerEntry) -> pb.LedgerEntry:
    moved = entry.movement
    return pb.LedgerEntry(
        id=entry.id,
        at=codec.stamp_of(moved.at),
        kind=moved.kind.value,
        basis=f"BASIS_{entry.basis.name}",
        amount=codec.amount(moved.amount),
        balance=codec.amount(moved.balance),
        count=moved.count,
        reference=moved.reference,
        operator=entry.operator,
    )


def _list(view: View, request: pb.ListLedgerRequest) -> pb.ListLedgerResponse:
    size, answer = codec.page_size(request), pb.ListLedgerResponse()
    tenant = get_tenant(view.conn, _tenant_id(request))
    after = codec.after_number(request)
    found = ledger.list_ledger(view.conn, tenant_id=tenant.id, after=after, limit=size + 1)
    answer.next_page_token = codec.fill_page(answer.entries, lambda e: str(e.id), size, found, _entry)
    return answer


METHODS: Final = (
    writes("OpenAccount", _open),
    writes("TopUpAccount", _top_up, fields={"balance": "amount"}),
    writes("SetAccountCharge", _set_charge),
    writes("SetAccountBlocking", _set_blocking),
    writes("ChangeAccountBasis", _change_basis),
    writes("CorrectAccountBalance", _correct, fields={"balance": "amount"}),
    writes("CloseAccount", _close),
    reads("GetAccount", _get),
    reads("ListLedger", _list),
)
