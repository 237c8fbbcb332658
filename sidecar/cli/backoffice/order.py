"""`deskgate order`: what was bought, and what it comes to."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from sidecar.cli.backoffice.common import (
    DEFAULT_STORE,
    AsJson,
    At,
    StorePath,
    TenantId,
    answer,
    app_of,
    changing,
    moment,
    now_or,
    products,
    table,
    told,
)
from sidecar.core.calendar import zone_of
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER, Period
from sync.store import orders
from sync.store.db import open_store
from sync.store.orders import Order
from sync.store.placing import Kind, LateStart
from sync.store.tenants import get_tenant
from sync.store.terms import Line, Term, end_of, start_of

app = app_of("order", "Orders: place NEW, RENEW and UPGRADE orders, list those on record.")

Lines = Annotated[list[str], typer.Argument(metavar="PRODUCT=QUANTITY...", help="What is ordered.")]
Starts = Annotated[str | None, typer.Option(help="A date in the tenant's zone, or an instant; default: at once.")]
Ends = Annotated[
    str | None, typer.Option(help="The last date, inclusive, in the tenant's zone; or the first instant after.")
]
Months = Annotated[int, typer.Option(help="Length in calendar months.")]
Years = Annotated[int, typer.Option(help="Length in calendar years.")]
Days = Annotated[int, typer.Option(help="Length in calendar days.")]
Perpetual = Annotated[bool, typer.Option("--perpetual", help="Without end.")]
Edition = Annotated[str | None, typer.Option(help="Edition that the order buys.")]


@app.command()
@told
def new(
    tenant: TenantId,
    lines: Lines,
    starts: Starts = None,
    ends: Ends = None,
    months: Months = 0,
    years: Years = 0,
    days: Days = 0,
    perpetual: Perpetual = False,
    trial: Annotated[bool, typer.Option("--trial", help="The product's trial alone; it ends by itself.")] = False,
    edition: Edition = None,
    store: StorePath = DEFAULT_STORE,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """The first purchase of a product, with its trial period where it has one."""
    with changing(store) as writing:
        term = _term(writing.conn, tenant, starts, ends, _length(months, years, days), perpetual)
        order = orders.place_order(
            writing, tenant, Kind.NEW, products(lines), now=now_or(at), term=term, trial=trial, edition=edition
        )
    _placed(as_json, order, writing.revision)


@app.command()
@told
def renew(
    tenant: TenantId,
    lines: Lines,
    starts: Starts = None,
    ends: Ends = None,
    months: Months = 0,
    years: Years = 0,
    days: Days = 0,
    perpetual: Perpetual = False,
    anchor: Annotated[LateStart, typer.Option(help="Where a renewal that comes late begins.")] = LateStart.OWN_START,
    edition: Edition = None,
    store: StorePath = DEFAULT_STORE,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Moves the end later, with the same, more or fewer from the new term's start on."""
    with changing(store) as writing:
        term = _term(writing.conn, tenant, starts, ends, _length(months, years, days), perpetual)
        order = orders.place_order(
            writing, tenant, Kind.RENEW, products(lines), now=now_or(at), term=term, edition=edition, late_start=anchor
        )
    _placed(as_json, order, writing.revision)


@app.command()
@told
def upgrade(
    tenant: TenantId,
    lines: Annotated[
        list[str] | None, typer.Argument(metavar="[PRODUCT=QUANTITY...]", help="The new quantities.")
    ] = None,
    edition: Edition = None,
    store: StorePath = DEFAULT_STORE,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Raises quantities or the edition now; the end stays."""
    with changing(store) as writing:
        order = orders.place_order(
            writing, tenant, Kind.UPGRADE, products(lines or ()), now=now_or(at), edition=edition
        )
    _placed(as_json, order, writing.revision)


@app.command()
@told
def downgrade(
    tenant: TenantId, lines: Lines, store: StorePath = DEFAULT_STORE, at: At = None, as_json: AsJson = False
) -> None:
    """Refused, with the advice what to do instead: a running term keeps what was bought."""
    with changing(store) as writing:
        orders.place_order(writing, tenant, Kind.DOWNGRADE, products(lines), now=now_or(at))


def _length(months: int, years: int, days: int) -> Period | None:
    return Period(months=months + 12 * years, days=days) if months or years or days else None


def _term(
    conn: Connection, tenant: str, starts: str | None, ends: str | None, length: Period | None, perpetual: bool
) -> Term:
    zone = zone_of(get_tenant(conn, tenant).zone)
    if perpetual and (ends is not None or length is not None):
        raise InvalidRequest("term", "--perpetual has no end and no length")
    end = FOREVER if perpetual else None if ends is None else end_of(ends, zone)
    return Term(starts_at=None if starts is None else start_of(starts, zone), length=length, ends_at=end)


def _placed(as_json: bool, order: Order, revision: int) -> None:
    text = "\n".join(
        [
            f"order {order.id} is placed (revision {revision})",
            table(HEADER, [_row(order, line) for line in order.lines]),
            *(f"note: {notice}" for notice in order.notices),
        ]
    )
    answer(as_json, text, order=_json(order), notices=order.notices, revision=revision)


@app.command("list")
@told
def list_(tenant: TenantId, store: StorePath = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """A tenant's orders, oldest first."""
    with open_store(store).reading() as conn:
        found = orders.list_orders(conn, tenant)
    text = table(HEADER, [_row(order, line) for order in found for line in order.lines])
    answer(as_json, text, orders=[_json(order) for order in found])


HEADER = ("ORDER", "KIND", "PRODUCT", "QUANTITY", "FROM", "UNTIL", "")


def _row(order: Order, line: Line) -> tuple[object, ...]:
    until = moment(line.end) or "no end"
    note = "superseded" if line.ended_at < line.ends_at else "trial" if order.trial else ""
    return (order.id, order.kind, line.product.id, line.quantity, moment(line.starts_at), until, note)


def _json(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "tenant_id": order.tenant_id,
        "kind": order.kind,
        "status": "trial" if order.trial else "paid",
        "edition": order.edition,
        "placed_at": moment(order.placed_at),
        "lines": [
            {
                "product": line.product.id,
                "product_version": line.product_version,
                "quantity": line.quantity,
                "starts_at": moment(line.starts_at),
                "ends_at": moment(line.ends_at),
                "trial_until": moment(line.trial_until),
                "ended_at": moment(line.ended_at),
            }
            for line in order.lines
        ],
    }
