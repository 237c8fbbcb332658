"""`deskgate product` and `deskgate edition`: what is sold, and for how much."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.cli.backoffice.common import app_of, table
from sidecar.cli.backoffice.office import Office, reading, writing
from sidecar.cli.backoffice.paging import Limit, PageToken, more, page
from sidecar.cli.backoffice.plain import shown
from sidecar.core.errors import InvalidRequest
from sync.backoffice.methods.products import product_message, read_product
from sync.store.products import product_of

products = app_of("product", "Products: what is sold, and what each unit of it grants.")
editions = app_of("edition", "Editions: how many desks they allow, and their price lists.")

LARGEST_DOCUMENT: Final = 256 * 1024
PRICE: Final = re.compile(r"(?P<currency>[A-Z]{3}):(?P<key>[^:]+):(?P<quantity>\d{1,15}):(?P<price>[0-9.]+)")
Document = Annotated[str, typer.Argument(metavar="FILE", help="The product in JSON; - reads standard input.")]


@products.command()
@writing
def create(office: Office, document: Document) -> None:
    """Adds a product."""
    answer = office.write(pb.CreateProductRequest(product=_read(document)), pb.CreateProductResponse)
    office.show(answer, f"{answer.product.id} is created")


@products.command()
@writing
def update(
    office: Office,
    document: Document,
    expected_version: Annotated[int | None, typer.Option(help="Refuse when it is at another version by now.")] = None,
) -> None:
    """Changes what later orders buy; running terms keep theirs."""
    request = pb.UpdateProductRequest(product=_read(document), expected_version=expected_version)
    answer = office.write(request, pb.UpdateProductResponse)
    office.show(answer, f"{answer.product.id} is at version {answer.product.version}")


def _read(name: str) -> pb.Product:
    return product_message(product_of(_document(name)))


def _document(name: str) -> Any:
    try:
        text = sys.stdin.read(LARGEST_DOCUMENT + 1) if name == "-" else Path(name).read_text("utf-8")
        if len(text) > LARGEST_DOCUMENT:
            raise InvalidRequest("product", f"{name} is larger than {LARGEST_DOCUMENT // 1024} KiB")
        return json.loads(text)
    except (OSError, ValueError, RecursionError) as e:
        raise InvalidRequest("product", f"{name} is no JSON document: {e}") from e


@products.command("list")
@reading
def list_products(
    office: Office,
    key: Annotated[str | None, typer.Option(help="Only those that grant this key.")] = None,
    limit: Limit = 100,
    page_token: PageToken = None,
) -> None:
    """Every product as it is sold now."""
    answer = office.read(pb.ListProductsRequest(key=key, **page(limit, page_token)), pb.ListProductsResponse)
    rows = [(p.id, p.version, shown(p, "billing"), _trial(p), _grants(p)) for p in answer.products]
    office.show(answer, table(("PRODUCT", "VERSION", "BILLING", "TRIAL", "GRANTS"), rows) + more(answer))


@products.command("show")
@reading
def show_product(office: Office, product_id: Annotated[str, typer.Argument(metavar="PRODUCT")]) -> None:
    """A product as it is sold now, in JSON: what `update` reads."""
    answer = office.read(pb.GetProductRequest(id=product_id), pb.GetProductResponse)
    document = read_product(answer.product).model_dump(mode="json", exclude_defaults=True)
    office.show(answer, json.dumps(document, ensure_ascii=False, indent=2))


def _trial(product: pb.Product) -> str:
    if not product.HasField("trial"):
        return "-"
    return f"{product.trial.count} {shown(product.trial, 'unit')}"


def _grants(product: pb.Product) -> str:
    return ", ".join([*map(_entry, product.license_template), *product.features])


def _entry(entry: pb.TemplateEntry) -> str:
    numbers = (
        ("amount", entry.amount, entry.amount_calculation, "units"),
        ("users", entry.users, entry.users_calculation, "users"),
    )
    said = [
        f"{'unlimited' if limit.unlimited else limit.count} {what}{' each' if how == pb.CALCULATION_PER_QTY else ''}"
        for field, limit, how, what in numbers
        if entry.HasField(field)
    ]
    return f"{entry.name} ({', '.join(said)})" if said else entry.name


@editions.command()
@writing
def put(
    office: Office,
    name: str,
    cap: Annotated[int, typer.Option(min=0, help="Most fixed and shared desks that a tenant of it may hold.")],
    price: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CURRENCY:KEY:FROM:PRICE",
            help="Of a unit and billing period, from a quantity on, such as CNY:fixed_desk:1:49.90; may be repeated.",
        ),
    ] = None,
) -> None:
    """Adds an edition or changes it whole; running terms stay as they are."""
    edition = pb.Edition(name=name, cap=cap, prices=[_price(each) for each in price or ()])
    answer = office.write(pb.PutEditionRequest(edition=edition), pb.PutEditionResponse)
    office.show(answer, f"{name} allows {answer.edition.cap} desks and lists {len(answer.edition.prices)} prices")


def _price(text: str) -> pb.EditionPrice:
    match = PRICE.fullmatch(text)
    if match is None:
        raise InvalidRequest("price", f"{text!r} is not CURRENCY:KEY:FROM:PRICE, such as CNY:fixed_desk:1:49.90")
    return pb.EditionPrice(
        currency=match["currency"],
        key=match["key"],
        from_quantity=int(match["quantity"]),
        unit_price=match["price"],
    )


@editions.command("list")
@reading
def list_editions(office: Office, limit: Limit = 100, page_token: PageToken = None) -> None:
    """Every edition, with its cap and prices."""
    answer = office.read(pb.ListEditionsRequest(**page(limit, page_token)), pb.ListEditionsResponse)
    rows = [(e.name, e.cap, "; ".join(map(_listed, e.prices)) or "-") for e in answer.editions]
    office.show(answer, table(("EDITION", "DESKS", "PRICES"), rows) + more(answer))


def _listed(price: pb.EditionPrice) -> str:
    return f"{price.key} from {price.from_quantity}: {price.unit_price} {price.currency}"
