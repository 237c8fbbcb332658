"""Orders as rows: one a line, those that follow each other with the same `order` one order of several lines."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from sidecar.core.calendar import zone_of
from sidecar.core.errors import DeskgateError, InvalidRequest
from sidecar.core.model import FOREVER, Instant, Period
from sync.backoffice import codec
from sync.store import schema
from sync.store.db import Writing
from sync.store.errors import Refused
from sync.store.lineage import chunks
from sync.store.names import checked_title
from sync.store.orders import Deal, Item, Order, OrderAsk, place_orders
from sync.store.placing import Kind, LateStart
from sync.store.prices import checked_currency
from sync.store.pricing import MOST, MOST_PERIODS, checked_date, checked_note
from sync.store.terms import LONGEST, Term
from sync.transfer.cells import UTC, Cells
from sync.transfer.items import Shape

LINE: Final = ("product", "quantity", "unit_price", "billing_starts", "periods")
ORDER: Final = (
    "tenant",
    "kind",
    "starts",
    "ends",
    "months",
    "days",
    "perpetual",
    "trial",
    "edition",
    "anchor",
    "currency",
    "coupon",
    "coupon_amount",
    "credit",
    "purchased_on",
    "note",
    "at",
)
TOGETHER: Final = "order"
COLUMN_OF: Final = {"billing_starts_at": "billing_starts", "billing_periods": "periods", "late_start": "anchor"}
START: Final = lru_cache(maxsize=4096)(codec.start)
END: Final = lru_cache(maxsize=4096)(codec.end)
KINDS: Final = {kind.value: kind for kind in (Kind.NEW, Kind.RENEW, Kind.UPGRADE, Kind.DOWNGRADE)}


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftLine:
    """A line before the tenant's zone is known."""

    product_id: str
    quantity: int
    unit_price: int | None
    billing_starts: str
    billing_periods: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftOrder:
    """An order before the tenant's zone is known: dates as they stand."""

    tenant_id: str
    kind: Kind
    lines: tuple[DraftLine, ...]
    starts: str
    ends: str
    length: Period | None
    perpetual: bool
    trial: bool
    edition: str | None
    anchor: LateStart
    deal: Deal
    at: str


def read(rows: Sequence[Cells]) -> DraftOrder:
    """An order from its rows. What is wrong is told to their cells."""
    first = rows[0]
    products: set[str] = set()
    for row in rows[1:]:
        _same(first, row)
    for row in rows:
        if row.text("product") in products:
            row.problem("product", "it stands in another line of the order already: add the quantities up")
        products |= {row.text("product")} - {""}
    return DraftOrder(
        tenant_id=first.needed("tenant"),
        kind=first.read("kind", _kind, Kind.NEW),
        lines=tuple(line for row in rows if (line := _line(row))),
        starts=first.moment("starts", START),
        ends=first.moment("ends", END),
        length=_length(first),
        perpetual=_perpetual(first),
        trial=first.flag("trial"),
        edition=first.read("edition", codec.name, None),
        anchor=first.read("anchor", _anchor, LateStart.OWN_START),
        deal=Deal(
            currency=first.read("currency", checked_currency, ""),
            purchased_on=first.read("purchased_on", checked_date, ""),
            coupon=first.read("coupon", checked_title, ""),
            coupon_amount=first.read("coupon_amount", _amount, 0),
            credit=first.read("credit", _amount, 0),
            note=first.read("note", checked_note, "", exact=True),
        ),
        at=first.moment("at", START),
    )


SHAPE: Final = Shape(
    name="orders",
    columns=(TOGETHER, *ORDER, *LINE),
    needed=(("tenant",), ("product",), ("quantity",)),
    read=read,
    told=("total", "until", "operator", "voids", "void_at"),
    together=TOGETHER,
)


def _same(first: Cells, row: Cells) -> None:
    for column in ORDER:
        if row.text(column) not in ("", first.text(column)):
            row.problem(column, "it stands once for the order: as in its first line, or nowhere else")


def _line(row: Cells) -> DraftLine | None:
    """A line; None where neither product nor quantity stands, as in an upgrade of the edition alone."""
    if not any(row.text(column) for column in LINE):
        return None
    row.needed("quantity")
    return DraftLine(
        product_id=row.needed("product"),
        quantity=row.number("quantity", 1, MOST) or 1,
        unit_price=row.read("unit_price", _amount, None),
        billing_starts=row.moment("billing_starts", START),
        billing_periods=row.number("periods", 0, MOST_PERIODS),
    )


def _kind(column: str, text: str) -> Kind:
    if text.upper() not in KINDS:
        raise InvalidRequest(column, f"{text[:40]!r} is not imported: it is {', '.join(KINDS)}")
    return KINDS[text.upper()]


def _anchor(column: str, text: str) -> LateStart:
    if text.lower() not in set(LateStart):
        raise InvalidRequest(column, f"{text[:40]!r} is none of {', '.join(LateStart)}")
    return LateStart(text.lower())


def _amount(column: str, text: str) -> int:
    return codec.millionths(column, text, least=0)


def _length(row: Cells) -> Period | None:
    months, days = row.number("months", 1, LONGEST), row.number("days", 1, LONGEST * 30)
    if months and days:
        row.problem("days", "a length is in months or in days, not both")
    return Period(months=months or 0, days=days or 0) if months or days else None


def _perpetual(row: Cells) -> bool:
    perpetual = row.flag("perpetual")
    if perpetual and any(row.text(column).strip() for column in ("ends", "months", "days")):
        row.problem("perpetual", "a term without end has no end and no length")
    return perpetual


def order(writing: Writing, asks: Sequence[DraftOrder], *, now: Instant) -> list[str | DeskgateError]:
    """Places orders; each is named, or why it is not placed."""
    zones = _zones(writing.conn, {ask.tenant_id for ask in asks})
    stated = [_stated(ask, zones.get(ask.tenant_id, UTC)) for ask in asks]
    placed = iter(place_orders(writing, [each for each in stated if isinstance(each, OrderAsk)], now=now))
    answers = [next(placed) if isinstance(each, OrderAsk) else each for each in stated]
    return [f"order:{each.id}" if isinstance(each, Order) else _by_column(each) for each in answers]


def _by_column(failure: Refused | InvalidRequest) -> DeskgateError:
    """The failure with the name that its field has as a column."""
    if isinstance(failure, InvalidRequest) and failure.field in COLUMN_OF:
        return InvalidRequest(COLUMN_OF[failure.field], failure.problem)
    return failure


def _zones(conn: Connection, ids: Collection[str]) -> Mapping[str, ZoneInfo]:
    t = schema.tenant
    query = select(t.c.id, t.c.zone)
    return {r.id: zone_of(r.zone) for chunk in chunks(ids) for r in conn.execute(query.where(t.c.id.in_(chunk)))}


def _stated(draft: DraftOrder, zone: ZoneInfo) -> OrderAsk | InvalidRequest:
    """The order with its dates as instants of the tenant's zone; or what is wrong with them there."""
    try:
        return OrderAsk(
            tenant_id=draft.tenant_id,
            kind=draft.kind,
            products={line.product_id: _item(line, zone) for line in draft.lines},
            term=Term(
                starts_at=_start("starts", draft.starts, zone),
                length=draft.length,
                ends_at=FOREVER if draft.perpetual else END("ends", draft.ends, zone) if draft.ends else None,
            ),
            trial=draft.trial,
            edition=draft.edition,
            late_start=draft.anchor,
            deal=draft.deal,
            at=_start("at", draft.at, zone),
        )
    except InvalidRequest as e:
        return e


def _item(line: DraftLine, zone: ZoneInfo) -> Item:
    return Item(
        quantity=line.quantity,
        unit_price=line.unit_price,
        billing_starts_at=_start("billing_starts", line.billing_starts, zone),
        billing_periods=line.billing_periods,
    )


def _start(field: str, text: str, zone: ZoneInfo) -> Instant | None:
    return START(field, text, zone) if text else None
