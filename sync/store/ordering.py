"""Orders on their way to the record: many are judged one after the other, by rows that are read set by set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from sidecar.core.calendar import zone_of
from sidecar.core.model import Instant
from sync.store import holdings, schema
from sync.store.catalogue import edition_caps, get_products, unknown_edition, unknown_product
from sync.store.errors import Refused, archived_tenant, erased_tenant, unknown_tenant
from sync.store.lineage import chunks, counts, holder, lineage
from sync.store.outcomes import ended, place
from sync.store.placing import Ask, Deal, History, Item, Kind, LateStart, Outcome, Wanted
from sync.store.prices import price_lists
from sync.store.pricing import day_of
from sync.store.products import Product
from sync.store.terms import Line, Term

O: Final = schema.orders  # noqa: E741
T: Final = schema.tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAsk:
    """An order as it is asked for: product id to quantity, or to more than that. `at`: its instant, where it has one
    of its own. See `place_order`.
    """

    tenant_id: str
    kind: Kind
    products: Mapping[str, int | Item]
    term: Term = Term()
    trial: bool = False
    edition: str | None = None
    late_start: LateStart = LateStart.OWN_START
    deal: Deal = Deal()
    at: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An order that is accepted and not yet on record. Order n of a batch has the id -n, and so has line n of it.

    `beyond`: it may change others' records too, since the tenant serves itself from now on, or has another edition.
    `holder_id` is whom it shared the services of until now.
    """

    tenant_id: str
    ask: Ask
    outcome: Outcome
    at: Instant
    purchased_on: str
    beyond: bool
    holder_id: str | None


@dataclass(slots=True, kw_only=True)
class _Book:
    """A tenant as the orders of the batch so far have left it."""

    zone: ZoneInfo
    lines: tuple[Line, ...]
    others: tuple[Line, ...]
    edition: str | None
    serves: bool
    holder_id: str | None


class Judging:
    """Judges orders one after the other, each as if those before it were on record."""

    def __init__(self, conn: Connection, asks: Sequence[OrderAsk]) -> None:
        self._conn: Final = conn
        self._books: Final = _books(conn, sorted({ask.tenant_id for ask in asks}))
        self._products: Final = _products(conn, asks)
        self._caps: Final = edition_caps(conn)
        named = {ask.edition for ask in asks} | {book.edition for book in self._books.values()}
        self._prices: Final = price_lists(conn, [name for name in named if name])
        self._times: Final = Counter(ask.tenant_id for ask in asks)
        self._orders = 0
        self._lines = 0

    def place(self, asked: OrderAsk, *, now: Instant) -> Placed:
        """What an order comes to. Raises Refused or InvalidRequest, and then nothing has changed."""
        at = now if asked.at is None else asked.at
        book = self._books.get(asked.tenant_id)
        if book is None:
            raise _refusal(self._conn, asked.tenant_id)
        ask = self._ask(asked)
        history = History(
            lines=book.lines,
            edition=book.edition,
            zone=book.zone,
            caps=self._caps,
            prices=self._prices,
            others=book.others,
        )
        outcome = place(ask, history, now=at)
        placed = Placed(
            tenant_id=asked.tenant_id,
            ask=ask,
            outcome=outcome,
            at=at,
            purchased_on=ask.deal.purchased_on or day_of(at, history.zone),
            beyond=not book.serves or ask.edition is not None,
            holder_id=book.holder_id,
        )
        if self._times[asked.tenant_id] > 1:
            self._keep(book, ask, outcome)
        self._orders += 1
        self._lines += len(outcome.lines)
        return placed

    def _keep(self, book: _Book, ask: Ask, outcome: Outcome) -> None:
        """The tenant as this order leaves it, for those that follow."""
        order_id = -self._orders - 1
        own = (replace(x, id=-self._lines - n, order_id=order_id) for n, x in enumerate(outcome.lines, 1))
        book.lines = (*ended(book.lines, outcome.ends), *own)
        book.edition = ask.edition or book.edition
        book.serves = True

    def _ask(self, asked: OrderAsk) -> Ask:
        if asked.edition is not None and asked.edition not in self._caps:
            raise unknown_edition(asked.edition, self._caps)
        return Ask(
            kind=asked.kind,
            lines=tuple(self._wanted(product_id, wanted) for product_id, wanted in asked.products.items()),
            term=asked.term,
            trial=asked.trial,
            edition=asked.edition,
            late_start=asked.late_start,
            deal=asked.deal,
        )

    def _wanted(self, product_id: str, wanted: int | Item) -> Wanted:
        if product_id not in self._products:
            raise unknown_product(product_id)
        product, version = self._products[product_id]
        item = wanted if isinstance(wanted, Item) else Item(quantity=wanted)
        return Wanted(product=product, product_version=version, item=item)


def _refusal(conn: Connection, tenant_id: str) -> Refused:
    """Why nothing can be sold to a tenant."""
    row = conn.execute(select(T.c.erased_at).where(T.c.id == tenant_id)).one_or_none()
    if row is None:
        return unknown_tenant(tenant_id)
    return archived_tenant(tenant_id) if row.erased_at is None else erased_tenant(tenant_id)


def _books(conn: Connection, ids: Iterable[str]) -> dict[str, _Book]:
    """Tenants that can be sold to, as they stand on record."""
    books: dict[str, _Book] = {}
    for chunk in chunks(ids):
        nodes = lineage(conn, chunk)
        lines, others = holdings.lines(conn, chunk), holdings.plan_lines(conn, chunk)
        ignored = set(conn.scalars(select(O.c.id).where(O.c.tenant_id.in_(chunk), ~counts())))
        for node in (nodes[i] for i in chunk if i in nodes and not nodes[i].archived):
            shared = holder(nodes, node.id)
            books[node.id] = _Book(
                zone=zone_of(node.zone),
                lines=tuple(line for line in lines.get(node.id, ()) if line.order_id not in ignored),
                others=tuple(others.get(node.id, ())),
                edition=node.edition or None,
                serves=node.serves,
                holder_id=shared.id if shared else None,
            )
    return books


def _products(conn: Connection, asks: Iterable[OrderAsk]) -> dict[str, tuple[Product, int]]:
    found: dict[str, tuple[Product, int]] = {}
    for chunk in chunks(sorted({product_id for ask in asks for product_id in ask.products})):
        found |= get_products(conn, chunk)
    return found
