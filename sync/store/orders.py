"""Orders on record (domain.md 3): placed whole or refused, never edited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from sqlalchemy import Connection, insert, select

from sidecar.core.calendar import zone_of
from sidecar.core.model import FOREVER, Instant
from sync.store import schema
from sync.store.catalogue import edition_caps, get_product, known_edition
from sync.store.db import Writing
from sync.store.holdings import lines_of
from sync.store.lineage import edition_of
from sync.store.placing import Ask, History, Kind, LateStart, Outcome, Wanted, place
from sync.store.tenants import get_tenant
from sync.store.terms import Line, Term

O: Final = schema.orders  # noqa: E741


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order on record. `notices` say what its operator should know; they are told once, when it is placed."""

    id: int
    tenant_id: str
    kind: Kind
    trial: bool
    edition: str | None
    placed_at: Instant
    lines: tuple[Line, ...]
    notices: tuple[str, ...] = ()


def place_order(
    writing: Writing,
    tenant_id: str,
    kind: Kind,
    products: Mapping[str, int],
    *,
    now: Instant,
    term: Term = Term(),  # noqa: B008 - frozen
    trial: bool = False,
    edition: str | None = None,
    late_start: LateStart = LateStart.OWN_START,
) -> Order:
    """Confirms an order at `now`: product id to quantity. Grants at once what it says, from when it says.

    Refused with a code of domain.md 3, or UNKNOWN_TENANT, UNKNOWN_PRODUCT, UNKNOWN_EDITION.
    """
    conn = writing.conn
    tenant = get_tenant(conn, tenant_id)
    lines = lines_of(conn, tenant_id)
    history = History(
        lines=lines, edition=edition_of(conn, tenant_id), zone=zone_of(tenant.zone), caps=edition_caps(conn)
    )
    ask = Ask(
        kind=kind,
        lines=tuple(_wanted(conn, product_id, quantity) for product_id, quantity in products.items()),
        term=term,
        trial=trial,
        edition=known_edition(conn, edition),
        late_start=late_start,
    )
    outcome = place(ask, history, now=now)
    writing.touch(tenant_id, subtree=not lines or edition is not None)
    return _record(writing, tenant_id, ask, outcome, now)


def _wanted(conn: Connection, product_id: str, quantity: int) -> Wanted:
    product, version = get_product(conn, product_id)
    return Wanted(product=product, product_version=version, quantity=quantity)


def _record(writing: Writing, tenant_id: str, ask: Ask, outcome: Outcome, now: Instant) -> Order:
    conn = writing.conn
    order_id = conn.scalars(
        insert(O)
        .values(
            tenant_id=tenant_id,
            kind=ask.kind.value,
            status="trial" if ask.trial else "paid",
            edition=ask.edition,
            placed_at=now,
            starts_at=min(line.starts_at for line in outcome.lines),
            operator=writing.by.operator,
        )
        .returning(O.c.id)
    ).one()
    conn.execute(insert(schema.order_line), [_row(order_id, line) for line in outcome.lines])
    writing.audit(
        "order.place",
        f"order:{order_id}",
        tenant_id=tenant_id,
        after={"kind": ask.kind.value, "lines": {x.product.id: x.quantity for x in outcome.lines}},
    )
    if outcome.ends:
        ends = [{"line_id": line_id, "order_id": order_id, "at": at} for line_id, at in outcome.ends.items()]
        conn.execute(insert(schema.line_end), ends)
    return Order(
        id=order_id,
        tenant_id=tenant_id,
        kind=ask.kind,
        trial=ask.trial,
        edition=ask.edition,
        placed_at=now,
        lines=tuple(x for x in lines_of(conn, tenant_id) if x.order_id == order_id),
        notices=outcome.notices,
    )


def _row(order_id: int, line: Line) -> dict[str, object]:
    return {
        "order_id": order_id,
        "product_id": line.product.id,
        "product_version": line.product_version,
        "quantity": line.quantity,
        "starts_at": line.starts_at,
        "ends_at": None if line.ends_at == FOREVER else line.ends_at,
        "anchor": line.anchor,
        "trial_until": line.trial_until,
    }


def list_orders(conn: Connection, tenant_id: str) -> list[Order]:
    """A tenant's orders, oldest first. Refused: UNKNOWN_TENANT."""
    get_tenant(conn, tenant_id)
    lines = _by_order(lines_of(conn, tenant_id))
    return [
        Order(
            id=row.id,
            tenant_id=row.tenant_id,
            kind=Kind(row.kind),
            trial=row.status == "trial",
            edition=row.edition,
            placed_at=row.placed_at,
            lines=tuple(lines[row.id]),
        )
        for row in conn.execute(select(O).where(O.c.tenant_id == tenant_id).order_by(O.c.id))
    ]


def _by_order(lines: Iterable[Line]) -> Mapping[int, Sequence[Line]]:
    return {order_id: list(group) for order_id, group in groupby(lines, key=lambda line: line.order_id)}
