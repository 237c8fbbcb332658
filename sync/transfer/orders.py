"""Orders as rows: one a line, those that follow each other with the same `order` one order of several lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.core.calendar import zone_of
from sidecar.core.errors import DeskgateError, InvalidRequest
from sidecar.core.model import FOREVER, Instant, Period
from sync.backoffice import codec
from sync.store.db import Writing
from sync.store.orders import place_order
from sync.store.placing import MOST, Kind, LateStart
from sync.store.tenants import get_tenant
from sync.store.terms import LONGEST, Term
from sync.transfer.cells import Cells
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
MOST_PERIODS: Final = 12_000
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
    currency: str
    coupon: str
    coupon_amount: int
    credit: int
    purchased_on: str
    note: str
    at: str


def read(rows: Sequence[Cells]) -> DraftOrder:
    """An order from its rows. What is wrong is told to their cells."""
    first = rows[0]
    for row in rows[1:]:
        _same(first, row)
    return DraftOrder(
        tenant_id=first.needed("tenant"),
        kind=first.read("kind", _kind, Kind.NEW),
        lines=tuple(line for row in rows if (line := _line(row))),
        starts=first.moment("starts", codec.start),
        ends=first.moment("ends", codec.end),
        length=_length(first),
        perpetual=_perpetual(first),
        trial=first.flag("trial"),
        edition=first.read("edition", codec.name, None),
        anchor=first.read("anchor", _anchor, LateStart.OWN_START),
        currency=first.text("currency").strip(),
        coupon=first.read("coupon", codec.short, ""),
        coupon_amount=first.read("coupon_amount", _amount, 0),
        credit=first.read("credit", _amount, 0),
        purchased_on=first.read("purchased_on", codec.day, ""),
        note=first.read("note", codec.note, ""),
        at=first.moment("at", codec.start),
    )


SHAPE: Final = Shape(
    name="orders",
    columns=(TOGETHER, *ORDER, *LINE),
    needed=(("tenant",), ("product",), ("quantity",)),
    read=read,
    told=("total", "until", "operator", "voids"),
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
        billing_starts=row.moment("billing_starts", codec.start),
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
    out: list[str | DeskgateError] = []
    for ask in asks:
        try:
            zone = zone_of(get_tenant(writing.conn, ask.tenant_id).zone)
            term = Term(
                starts_at=codec.start("starts", ask.starts, zone) if ask.starts else None,
                length=ask.length,
                ends_at=FOREVER if ask.perpetual else codec.end("ends", ask.ends, zone) if ask.ends else None,
            )
            at = codec.start("at", ask.at, zone) if ask.at else now
            made = place_order(
                writing,
                ask.tenant_id,
                ask.kind,
                {x.product_id: x.quantity for x in ask.lines},
                now=at,
                term=term,
                trial=ask.trial,
                edition=ask.edition,
                late_start=ask.anchor,
            )
            out.append(f"order:{made.id}")
        except DeskgateError as e:
            out.append(e)
    return out
