"""Calls about orders: placed, voided, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER
from sync.backoffice import codec
from sync.backoffice.method import Change, View, reads, writes
from sync.store import orders
from sync.store.orders import Deal, Item, Order
from sync.store.placing import MOST, Kind, LateStart
from sync.store.prices import checked_currency
from sync.store.pricing import MOST_PERIODS
from sync.store.terms import Line, Term

MOST_ITEMS: Final = 100
PLACED: Final[Mapping[int, Kind]] = {
    pb.ORDER_KIND_NEW: Kind.NEW,
    pb.ORDER_KIND_RENEW: Kind.RENEW,
    pb.ORDER_KIND_UPGRADE: Kind.UPGRADE,
    pb.ORDER_KIND_DOWNGRADE: Kind.DOWNGRADE,
}
KINDS: Final[Mapping[int, Kind | None]] = {pb.ORDER_KIND_UNSPECIFIED: None, pb.ORDER_KIND_VOID: Kind.VOID, **PLACED}
LATE_STARTS: Final[Mapping[int, LateStart]] = {
    pb.LATE_START_UNSPECIFIED: LateStart.OWN_START,
    pb.LATE_START_OWN_START: LateStart.OWN_START,
    pb.LATE_START_OLD_END: LateStart.OLD_END,
}
FIELDS: Final = {
    "term": "length",
    "lines": "items",
    "quantity": "items",
    "unit_price": "items",
    "billing_starts_at": "items",
    "billing_periods": "items",
    "status": "trial",
}
"""What the domain calls by another name than the request does."""


def message_of(order: Order) -> pb.Order:
    """An order in an answer."""
    return pb.Order(
        id=order.id,
        tenant_id=order.tenant_id,
        kind=f"ORDER_KIND_{order.kind.value}",
        trial=order.trial,
        edition=order.edition or "",
        placed_at=codec.stamp_of(order.placed_at),
        starts_at=codec.stamp_of(order.starts_at),
        voids=order.voids or 0,
        void_at=codec.stamp_of(order.void_at),
        purchased_on=order.purchased_on,
        currency=order.currency,
        coupon=order.coupon,
        coupon_amount=codec.amount(order.coupon_amount),
        credit=codec.amount(order.credit),
        total=codec.amount(order.total),
        note=order.note,
        operator=order.operator,
        lines=[_line(line) for line in order.lines],
    )


def _line(line: Line) -> pb.OrderLine:
    return pb.OrderLine(
        id=line.id,
        product_id=line.product.id,
        product_version=line.product_version,
        quantity=line.quantity,
        unit_price=codec.amount(line.unit_price),
        starts_at=codec.stamp_of(line.starts_at),
        ends_at=codec.stamp_of(line.ends_at),
        trial_until=codec.stamp_of(line.trial_until),
        ended_at=codec.stamp_of(line.ended_at),
        billing_starts_at=codec.stamp_of(line.billing_starts_at),
        billing_ends_at=codec.stamp_of(line.billing_ends_at),
        billing_periods=line.billing_periods,
    )


def _items(request: pb.PlaceOrderRequest, zone: ZoneInfo) -> dict[str, int | Item]:
    found: dict[str, int | Item] = {}
    for i, item in enumerate(codec.few("items", request.items, MOST_ITEMS)):
        product_id = codec.name(f"items[{i}].product_id", item.product_id)
        if product_id in found:
            raise InvalidRequest(f"items[{i}].product_id", f"{product_id!r} stands twice: add the quantities up")
        found[product_id] = _item(f"items[{i}]", item, zone)
    return found


def _item(field: str, item: pb.OrderItem, zone: ZoneInfo) -> Item:
    given: dict[str, Any] = {"quantity": codec.number(f"{field}.quantity", item.quantity, 1, MOST)}
    if item.HasField("unit_price"):
        given["unit_price"] = codec.millionths(f"{field}.unit_price", item.unit_price, least=0)
    if item.billing_starts:
        given["billing_starts_at"] = codec.start(f"{field}.billing_starts", item.billing_starts, zone)
    if item.HasField("billing_periods"):
        given["billing_periods"] = codec.number(f"{field}.billing_periods", item.billing_periods, 0, MOST_PERIODS)
    return Item(**given)


def _term(request: pb.PlaceOrderRequest, zone: ZoneInfo) -> Term:
    given: dict[str, Any] = {}
    if request.starts:
        given["starts_at"] = codec.start("starts", request.starts, zone)
    which = request.WhichOneof("end")
    if which == "length":
        given["length"] = codec.period("length", request.length)
    if which == "ends":
        given["ends_at"] = codec.end("ends", request.ends, zone)
    if which == "perpetual":
        if not request.perpetual:
            raise InvalidRequest("perpetual", "it is true, or left out")
        given["ends_at"] = FOREVER
    return Term(**given)


def _deal(request: pb.PlaceOrderRequest) -> Deal:
    return Deal(
        currency=checked_currency("currency", request.currency) if request.currency else "",
        purchased_on=codec.day("purchased_on", request.purchased_on) if request.purchased_on else "",
        coupon=codec.short("coupon", request.coupon),
        coupon_amount=codec.millionths_or("coupon_amount", request.coupon_amount, 0, least=0),
        credit=codec.millionths_or("credit", request.credit, 0, least=0),
        note=codec.note("note", request.note),
    )


def _place(change: Change, request: pb.PlaceOrderRequest) -> pb.PlaceOrderResponse:
    tenant_id = codec.name("tenant_id", request.tenant_id)
    kind = codec.choice("kind", request.kind, PLACED)
    zone = change.zone(tenant_id)
    order = orders.place_order(
        change.writing,
        tenant_id,
        kind,
        _items(request, zone),
        now=change.now,
        term=_term(request, zone),
        trial=request.trial,
        edition=codec.name_or_none("edition", request.edition),
        late_start=codec.choice("late_start", request.late_start, LATE_STARTS),
        deal=_deal(request),
    )
    message = message_of(order)
    if request.dry_run:
        message.id = 0
        for line in message.lines:
            line.id = 0
    return pb.PlaceOrderResponse(order=message, notices=order.notices)


def _void(change: Change, request: pb.VoidOrderRequest) -> pb.VoidOrderResponse:
    found = orders.get_order(change.conn, request.order_id)
    zone = change.zone(found.tenant_id)
    void_at = codec.start("void_from", request.void_from, zone) if request.void_from else change.now
    note = codec.note("note", request.note)
    order = orders.void_order(change.writing, request.order_id, now=change.now, void_at=void_at, note=note)
    return pb.VoidOrderResponse(order=message_of(order))


def _get(view: View, request: pb.GetOrderRequest) -> pb.GetOrderResponse:
    return pb.GetOrderResponse(order=message_of(orders.get_order(view.conn, request.id)))


def _list(view: View, request: pb.ListOrdersRequest) -> pb.ListOrdersResponse:
    size, answer = codec.page_size(request), pb.ListOrdersResponse()
    found = orders.list_orders(
        view.conn,
        codec.short("tenant_id", request.tenant_id),
        kind=codec.choice("kind", request.kind, KINDS),
        product_id=codec.short("product_id", request.product_id),
        placed_from=codec.instant_or_none("placed_from", request),
        placed_until=codec.instant_or_none("placed_until", request),
        voided=request.voided if request.HasField("voided") else None,
        after=codec.after_number(request),
        limit=size + 1,
    )
    answer.next_page_token = codec.fill_page(answer.orders, lambda o: str(o.id), size, found, message_of)
    return answer


METHODS: Final = (
    writes("PlaceOrder", _place, fields=FIELDS),
    writes("VoidOrder", _void, fields={"void_at": "void_from"}),
    reads("GetOrder", _get),
    reads("ListOrders", _list),
)
