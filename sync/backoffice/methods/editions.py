"""Calls about editions: caps on desks, and price lists."""

from __future__ import annotations

from typing import Final

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.core.errors import InvalidRequest
from sync.backoffice import codec
from sync.backoffice.method import Change, View, reads, writes
from sync.store import catalogue
from sync.store.catalogue import MOST_DESKS, Edition
from sync.store.operators import Role
from sync.store.prices import MOST_UNITS, Price, checked_currency

MOST_PRICES: Final = 10_000


def _message(edition: Edition) -> pb.Edition:
    return pb.Edition(
        name=edition.name,
        cap=edition.cap,
        prices=[
            pb.EditionPrice(
                currency=price.currency,
                key=price.key,
                from_quantity=price.from_quantity,
                unit_price=codec.amount(price.unit_price),
            )
            for price in edition.prices
        ],
    )


def _price(field: str, price: pb.EditionPrice) -> Price:
    return Price(
        currency=checked_currency(f"{field}.currency", price.currency),
        key=codec.name(f"{field}.key", price.key),
        from_quantity=codec.number(f"{field}.from_quantity", price.from_quantity, 1, MOST_UNITS),
        unit_price=codec.millionths(f"{field}.unit_price", price.unit_price, least=0),
    )


def _put(change: Change, request: pb.PutEditionRequest) -> pb.PutEditionResponse:
    edition = request.edition
    name = codec.name("edition.name", edition.name)
    cap = codec.number("edition.cap", edition.cap, 0, MOST_DESKS)
    found = codec.few("edition.prices", edition.prices, MOST_PRICES)
    prices = [_price(f"edition.prices[{i}]", price) for i, price in enumerate(found)]
    try:
        return pb.PutEditionResponse(edition=_message(catalogue.put_edition(change.writing, name, cap, prices)))
    except InvalidRequest as e:
        raise InvalidRequest(f"edition.{e.field}", e.problem) from e


def _list(view: View, request: pb.ListEditionsRequest) -> pb.ListEditionsResponse:
    size, answer = codec.page_size(request), pb.ListEditionsResponse()
    found = catalogue.list_editions(view.conn, after=codec.after_name(request), limit=size + 1)
    answer.next_page_token = codec.fill_page(answer.editions, lambda e: e.name, size, found, _message)
    return answer


METHODS: Final = (writes("PutEdition", _put, role=Role.ADMIN), reads("ListEditions", _list))
