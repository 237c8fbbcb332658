"""`deskgate order`: what was bought, what it comes to, and what was paid."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Annotated, Any

import typer

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.cli.backoffice.common import BELOW_ZERO, TenantId, app_of, table
from sidecar.cli.backoffice.office import Office, reading, writing
from sidecar.cli.backoffice.paging import Limit, PageToken, more, page
from sidecar.cli.backoffice.plain import number, shown
from sidecar.cli.backoffice.terms import Days, Ends, Months, Perpetual, Starts, Years, items, length
from sidecar.cli.options import given
from sidecar.core.errors import InvalidRequest

app = app_of("order", "Orders: place NEW, RENEW, UPGRADE, VOID; payments; the history of purchases.")

Lines = Annotated[
    list[str], typer.Argument(metavar="PRODUCT=QUANTITY[@PRICE]...", help="What is ordered, at what price a unit.")
]
OptionalLines = Annotated[
    list[str] | None, typer.Argument(metavar="[PRODUCT=QUANTITY[@PRICE]...]", help="The new quantities.")
]
Edition = Annotated[str | None, typer.Option(help="Edition that the order buys.")]
OrderId = Annotated[int, typer.Argument(metavar="ORDER", help="Number of the order.")]
Note = Annotated[str | None, typer.Option(help="For people.")]
Reference = Annotated[str | None, typer.Option(help="Of the bank, the delivery...")]
Currency = Annotated[str | None, typer.Option(help="ISO 4217, such as CNY.", rich_help_panel="Money")]
PurchasedOn = Annotated[
    str | None, typer.Option(help="Date of the purchase; default: today in the tenant's zone.", rich_help_panel="Money")
]
Coupon = Annotated[str | None, typer.Option(help="Code of a coupon.", rich_help_panel="Money")]
CouponAmount = Annotated[str | None, typer.Option(help="What the coupon takes off.", rich_help_panel="Money")]
Credit = Annotated[str | None, typer.Option(help="Promotional credit taken off.", rich_help_panel="Money")]
BillingStarts = Annotated[
    str | None, typer.Option(help="From when it is billed; default: once its trial is over.", rich_help_panel="Money")
]
BillingPeriods = Annotated[
    int | None, typer.Option(help="How many are billed; default: those begun in the term.", rich_help_panel="Money")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what it would come to.")]


class LateStart(StrEnum):
    """Where a renewal that comes after the old end begins."""

    OWN_START = "own_start"
    OLD_END = "old_end"


class KindName(StrEnum):
    """Kinds of order."""

    NEW = "new"
    RENEW = "renew"
    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"
    VOID = "void"


def _term(
    starts: Starts = None,
    ends: Ends = None,
    months: Months = 0,
    years: Years = 0,
    days: Days = 0,
    perpetual: Perpetual = False,
) -> pb.PlaceOrderRequest:
    given = {"ends": ends, "length": length(months=months, years=years, days=days), "perpetual": perpetual or None}
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if len(said) > 1:
        raise InvalidRequest("term", "give a length, --ends or --perpetual, one of them")
    return pb.PlaceOrderRequest(starts=starts, **said)


def _deal(
    currency: Currency = None,
    purchased_on: PurchasedOn = None,
    coupon: Coupon = None,
    coupon_amount: CouponAmount = None,
    credit: Credit = None,
    note: Note = None,
    dry_run: DryRun = False,
) -> pb.PlaceOrderRequest:
    return pb.PlaceOrderRequest(
        currency=currency,
        purchased_on=purchased_on,
        coupon=coupon,
        coupon_amount=coupon_amount,
        credit=credit,
        note=note,
        dry_run=dry_run,
    )


def _billing(billing_starts: BillingStarts = None, billing_periods: BillingPeriods = None) -> pb.OrderItem:
    return pb.OrderItem(billing_starts=billing_starts, billing_periods=billing_periods)


def priced(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command what an order says of money: `deal` for the whole of it, `billing` for each of its lines."""
    return given("deal", _deal)(given("billing", _billing)(command))


termed = given("term", _term)
"""Gives a command the options of a term."""


@app.command()
@writing
@termed
@priced
def new(
    office: Office,
    tenant: TenantId,
    lines: Lines,
    term: pb.PlaceOrderRequest,
    deal: pb.PlaceOrderRequest,
    billing: pb.OrderItem,
    trial: Annotated[bool, typer.Option("--trial", help="The product's trial alone; it ends by itself.")] = False,
    edition: Edition = None,
) -> None:
    """The first purchase of a product, with its trial period where it has one."""
    request = _order(tenant, pb.ORDER_KIND_NEW, lines, billing, term, deal)
    request.MergeFrom(pb.PlaceOrderRequest(trial=trial, edition=edition))
    _place(office, request)


@app.command()
@writing
@termed
@priced
def renew(
    office: Office,
    tenant: TenantId,
    lines: Lines,
    term: pb.PlaceOrderRequest,
    deal: pb.PlaceOrderRequest,
    billing: pb.OrderItem,
    anchor: Annotated[LateStart, typer.Option(help="Where a renewal that comes late begins.")] = LateStart.OWN_START,
    edition: Edition = None,
) -> None:
    """Moves the end later, with the same, more or fewer from the new term's start on."""
    late_start = number(pb.DESCRIPTOR.enum_types_by_name["LateStart"], anchor.value)
    request = _order(tenant, pb.ORDER_KIND_RENEW, lines, billing, term, deal)
    request.MergeFrom(pb.PlaceOrderRequest(late_start=late_start, edition=edition))
    _place(office, request)


@app.command()
@writing
@priced
def upgrade(
    office: Office,
    tenant: TenantId,
    deal: pb.PlaceOrderRequest,
    billing: pb.OrderItem,
    lines: OptionalLines = None,
    edition: Edition = None,
) -> None:
    """Raises quantities or the edition now; the end stays."""
    request = _order(tenant, pb.ORDER_KIND_UPGRADE, lines or (), billing, deal)
    request.MergeFrom(pb.PlaceOrderRequest(edition=edition))
    _place(office, request)


@app.command()
@writing
@termed
@priced
def downgrade(
    office: Office,
    tenant: TenantId,
    lines: Lines,
    term: pb.PlaceOrderRequest,
    deal: pb.PlaceOrderRequest,
    billing: pb.OrderItem,
) -> None:
    """Refused, with the advice what to do instead, but for products that allow it: at once or at the term's end."""
    _place(office, _order(tenant, pb.ORDER_KIND_DOWNGRADE, lines, billing, term, deal))


@app.command()
@writing
def void(
    office: Office,
    order: OrderId,
    start: Annotated[
        str | None, typer.Option("--from", help="A date in the tenant's zone, or an instant; default: now.")
    ] = None,
    note: Note = None,
) -> None:
    """Ends a mistaken order by a record of its own; restores nothing that it superseded."""
    request = pb.VoidOrderRequest(order_id=order, void_from=start, note=note)
    answer = office.write(request, pb.VoidOrderResponse)
    at = shown(answer.order, "void_at")
    office.show(answer, f"order {order} is void from {at} by order {answer.order.id} (revision {answer.revision})")


def _order(
    tenant: str, kind: Any, lines: Iterable[str], billing: pb.OrderItem, *parts: pb.PlaceOrderRequest
) -> pb.PlaceOrderRequest:
    request = pb.PlaceOrderRequest(tenant_id=tenant, kind=kind, items=items(lines))
    for item in request.items:
        item.MergeFrom(billing)
    for part in parts:
        request.MergeFrom(part)
    return request


def _place(office: Office, request: pb.PlaceOrderRequest) -> None:
    answer = office.write(request, pb.PlaceOrderResponse)
    order = answer.order
    said = "this would be the order" if request.dry_run else f"order {order.id} is placed (revision {answer.revision})"
    text = "\n".join(
        [
            said,
            table(HEADER, [_row(order, line) for line in order.lines]),
            f"total: {_total(order)}",
            *(f"note: {notice}" for notice in answer.notices),
        ]
    )
    office.show(answer, text)


@app.command("list")
@reading
def list_(
    office: Office,
    tenant: Annotated[str | None, typer.Argument(metavar="[TENANT]", help="Only this tenant's.")] = None,
    kind: Annotated[KindName | None, typer.Option(help="Only these.")] = None,
    product: Annotated[str | None, typer.Option(help="Only those of this product.")] = None,
    limit: Limit = 100,
    page_token: PageToken = None,
) -> None:
    """Orders, oldest first."""
    request = pb.ListOrdersRequest(
        tenant_id=tenant,
        kind=number(pb.DESCRIPTOR.enum_types_by_name["OrderKind"], kind.value) if kind else None,
        product_id=product,
        **page(limit, page_token),
    )
    answer = office.read(request, pb.ListOrdersResponse)
    rows = [row for order in answer.orders for row in _rows(order)]
    office.show(answer, table(HEADER, rows) + more(answer))


@app.command()
@reading
def show(office: Office, order: OrderId) -> None:
    """One order."""
    answer = office.read(pb.GetOrderRequest(id=order), pb.GetOrderResponse)
    office.show(answer, table(HEADER, _rows(answer.order)) + f"\ntotal: {_total(answer.order)}")


@app.command()
@reading
def history(office: Office, tenant: TenantId, limit: Limit = 100, page_token: PageToken = None) -> None:
    """A tenant's purchases: orders with what was paid, what is due, what was delivered, and what they grant."""
    request = pb.GetPurchaseHistoryRequest(tenant_id=tenant, **page(limit, page_token))
    answer = office.read(request, pb.GetPurchaseHistoryResponse)
    office.show(answer, "\n\n".join(map(_purchase, answer.purchases)) + more(answer))


def _purchase(purchase: pb.Purchase) -> str:
    order = purchase.order
    parts = [table(HEADER, _rows(order))]
    parts.append(f"  total {_total(order)}, paid {purchase.paid}, due {purchase.due}; by {shown(order, 'operator')}")
    parts += [f"  payment {p.id}: {p.amount} on {p.paid_on} {p.reference}".rstrip() for p in purchase.payments]
    parts += [f"  provisioned {shown(p, 'provisioned_at')} {p.reference}".rstrip() for p in purchase.provisionings]
    parts += [
        f"  grants {g.key} from {shown(g, 'starts_at')} until {shown(g, 'ends_at', absent='no end')}"
        for g in purchase.grants
    ]
    return "\n".join(parts)


@app.command(context_settings=BELOW_ZERO)
@writing
def pay(
    office: Office,
    order: OrderId,
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="With --corrects: below 0, to take it back.")],
    paid_on: Annotated[str | None, typer.Option("--on", help="Date of the payment; default: today.")] = None,
    reference: Reference = None,
    corrects: Annotated[int | None, typer.Option(help="Number of the payment that was mistaken.")] = None,
    note: Note = None,
) -> None:
    """Records a payment made outside, and tells the customer."""
    request = pb.RecordPaymentRequest(
        order_id=order, amount=amount, paid_on=paid_on, reference=reference, corrects=corrects, note=note
    )
    answer = office.write(request, pb.RecordPaymentResponse)
    office.show(answer, f"payment {answer.payment.id} of order {order} is recorded; {answer.due} are due")


@app.command()
@writing
def provision(
    office: Office,
    order: OrderId,
    when: Annotated[str | None, typer.Option("--when", help="Date or instant; default: now.")] = None,
    reference: Reference = None,
    note: Note = None,
) -> None:
    """Records that an order was delivered, and tells the customer."""
    request = pb.RecordProvisioningRequest(order_id=order, provisioned=when, reference=reference, note=note)
    answer = office.write(request, pb.RecordProvisioningResponse)
    office.show(answer, f"order {order} is provisioned as of {shown(answer.provisioning, 'provisioned_at')}")


@app.command()
@reading
def payments(
    office: Office,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    order: Annotated[int | None, typer.Option(help="Only this order's.")] = None,
    reference: Annotated[str | None, typer.Option(help="Only those with this reference.")] = None,
    limit: Limit = 100,
    page_token: PageToken = None,
) -> None:
    """Payments on record."""
    request = pb.ListPaymentsRequest(tenant_id=tenant, order_id=order, reference=reference, **page(limit, page_token))
    answer = office.read(request, pb.ListPaymentsResponse)
    rows = [(p.id, p.order_id, p.amount, p.paid_on, p.reference, shown(p, "operator")) for p in answer.payments]
    office.show(answer, table(("PAYMENT", "ORDER", "AMOUNT", "ON", "REFERENCE", "OPERATOR"), rows) + more(answer))


HEADER = ("ORDER", "KIND", "PRODUCT", "QUANTITY", "FROM", "UNTIL", "")


def _rows(order: pb.Order) -> list[tuple[object, ...]]:
    if order.kind == pb.ORDER_KIND_VOID:
        return [(order.id, "VOID", f"order {order.voids}", "-", shown(order, "void_at"), "-", "")]
    bought = [(order.id, _kind(order), "-", "-", "-", "-", order.edition)] if not order.lines else []
    return [*bought, *(_row(order, line) for line in order.lines)]


def _row(order: pb.Order, line: pb.OrderLine) -> tuple[object, ...]:
    ended = line.HasField("ended_at")
    until = shown(line, "ended_at") if ended else shown(line, "ends_at", absent="no end")
    note = "ended early" if ended else "trial" if order.trial else ""
    return (order.id, _kind(order), line.product_id, line.quantity, shown(line, "starts_at"), until, note)


def _kind(order: pb.Order) -> str:
    return shown(order, "kind").upper()


def _total(order: pb.Order) -> str:
    return f"{order.total} {order.currency}".rstrip()
