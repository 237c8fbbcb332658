"""Calls about payments, provisionings, and the purchase history."""

from __future__ import annotations

from typing import Final

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.core.model import Grant
from sync.backoffice import codec
from sync.backoffice.method import Change, View, reads, writes
from sync.backoffice.methods import orders
from sync.store import payments, purchases
from sync.store.orders import get_order
from sync.store.payments import Payment, Provisioning
from sync.store.purchases import Purchase


def _message(payment: Payment) -> pb.Payment:
    return pb.Payment(
        id=payment.id,
        order_id=payment.order_id,
        amount=codec.amount(payment.amount),
        paid_on=payment.paid_on,
        reference=payment.reference,
        corrects=payment.corrects or 0,
        note=payment.note,
        operator=payment.operator,
        recorded_at=codec.stamp_of(payment.recorded_at),
    )


def _provisioning(made: Provisioning) -> pb.Provisioning:
    return pb.Provisioning(
        id=made.id,
        order_id=made.order_id,
        provisioned_at=codec.stamp_of(made.provisioned_at),
        reference=made.reference,
        note=made.note,
        operator=made.operator,
        recorded_at=codec.stamp_of(made.recorded_at),
    )


def _record(change: Change, request: pb.RecordPaymentRequest) -> pb.RecordPaymentResponse:
    payment = payments.record_payment(
        change.writing,
        request.order_id,
        codec.millionths("amount", request.amount),
        now=change.now,
        paid_on=codec.day("paid_on", request.paid_on) if request.paid_on else "",
        reference=codec.short("reference", request.reference),
        corrects=request.corrects or None,
        note=codec.note("note", request.note),
    )
    due = payments.due_of(change.conn, request.order_id)
    return pb.RecordPaymentResponse(payment=_message(payment), due=codec.amount(due))


def _provision(change: Change, request: pb.RecordProvisioningRequest) -> pb.RecordProvisioningResponse:
    zone = change.zone(get_order(change.conn, request.order_id).tenant_id)
    made = payments.record_provisioning(
        change.writing,
        request.order_id,
        now=change.now,
        provisioned_at=codec.start("provisioned", request.provisioned, zone) if request.provisioned else None,
        reference=codec.short("reference", request.reference),
        note=codec.note("note", request.note),
    )
    return pb.RecordProvisioningResponse(provisioning=_provisioning(made))


def _list(view: View, request: pb.ListPaymentsRequest) -> pb.ListPaymentsResponse:
    size, answer = codec.page_size(request), pb.ListPaymentsResponse()
    found = payments.list_payments(
        view.conn,
        codec.short("tenant_id", request.tenant_id),
        order_id=request.order_id,
        reference=codec.short("reference", request.reference),
        after=codec.after_number(request),
        limit=size + 1,
    )
    answer.next_page_token = codec.fill_page(answer.payments, lambda p: str(p.id), size, found, _message)
    return answer


def _grant(grant: Grant) -> pb.PurchaseGrant:
    return pb.PurchaseGrant(
        key=grant.key,
        starts_at=codec.stamp_of(grant.starts_at),
        ends_at=codec.stamp_of(grant.ends_at),
        trial=grant.trial,
        amount=codec.limit_of(grant.amount),
        users=codec.limit_of(grant.users),
    )


def _purchase(purchase: Purchase) -> pb.Purchase:
    return pb.Purchase(
        order=orders.message_of(purchase.order),
        payments=[_message(each) for each in purchase.payments],
        provisionings=[_provisioning(each) for each in purchase.provisionings],
        paid=codec.amount(purchase.paid),
        due=codec.amount(purchase.due),
        grants=[_grant(each) for each in purchase.grants],
    )


def _history(view: View, request: pb.GetPurchaseHistoryRequest) -> pb.GetPurchaseHistoryResponse:
    size, answer = codec.page_size(request), pb.GetPurchaseHistoryResponse()
    tenant_id, after = codec.name("tenant_id", request.tenant_id), codec.after_number(request)
    found = purchases.purchase_history(view.conn, tenant_id, after=after, limit=size + 1)
    answer.next_page_token = codec.fill_page(answer.purchases, lambda p: str(p.order.id), size, found, _purchase)
    return answer


METHODS: Final = (
    writes("RecordPayment", _record),
    writes("RecordProvisioning", _provision),
    reads("ListPayments", _list),
    reads("GetPurchaseHistory", _history),
)
