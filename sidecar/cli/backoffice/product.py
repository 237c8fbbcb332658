"""`deskgate product`: what is sold."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from sidecar.cli.backoffice.common import (
    DEFAULT_STORE,
    AsJson,
    At,
    StorePath,
    answer,
    app_of,
    changing,
    now_or,
    table,
    told,
)
from sidecar.core.errors import InvalidRequest
from sync.store import catalogue
from sync.store.db import open_store
from sync.store.products import Product, TemplateEntry, product_of

app = app_of("product", "Products: what is sold, and what each unit of it grants.")

LARGEST_DOCUMENT = 256 * 1024

Document = Annotated[str, typer.Argument(metavar="FILE", help="The product in JSON; - reads standard input.")]


@app.command()
@told
def create(document: Document, store: StorePath = DEFAULT_STORE, at: At = None, as_json: AsJson = False) -> None:
    """Adds a product."""
    product = _read(document)
    with changing(store) as writing:
        catalogue.create_product(writing, product, now=now_or(at))
    answer(as_json, f"{product.id} is created", product_id=product.id, version=1)


@app.command()
@told
def update(document: Document, store: StorePath = DEFAULT_STORE, at: At = None, as_json: AsJson = False) -> None:
    """Changes what later orders buy; running terms keep theirs."""
    product = _read(document)
    with changing(store) as writing:
        version = catalogue.update_product(writing, product, now=now_or(at))
    answer(as_json, f"{product.id} is at version {version}", product_id=product.id, version=version)


def _read(name: str) -> Product:
    try:
        text = sys.stdin.read(LARGEST_DOCUMENT + 1) if name == "-" else Path(name).read_text("utf-8")
        if len(text) > LARGEST_DOCUMENT:
            raise InvalidRequest("product", f"{name} is larger than {LARGEST_DOCUMENT // 1024} KiB")
        return product_of(json.loads(text))
    except (OSError, ValueError, RecursionError) as e:
        raise InvalidRequest("product", f"{name} is no JSON document: {e}") from e


@app.command("list")
@told
def list_(store: StorePath = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Every product as it is sold now."""
    with open_store(store).reading() as conn:
        found = catalogue.list_products(conn)
    rows = [(p.id, version, p.billing, _trial(p), _grants(p)) for p, version in found]
    text = table(("PRODUCT", "VERSION", "BILLING", "TRIAL", "GRANTS"), rows)
    answer(as_json, text, products=[_json(p, version) for p, version in found])


@app.command()
@told
def show(product_id: Annotated[str, typer.Argument(metavar="PRODUCT")], store: StorePath = DEFAULT_STORE) -> None:
    """A product as it is sold now, in JSON: what `update` reads, and its version."""
    with open_store(store).reading() as conn:
        product, version = catalogue.get_product(conn, product_id)
    typer.echo(json.dumps(_json(product, version), ensure_ascii=False, indent=2))


def _json(product: Product, version: int) -> dict[str, object]:
    return {"product": product.model_dump(exclude_defaults=True), "version": version}


def _trial(product: Product) -> str:
    return f"{product.trial.count} {product.trial.unit}" if product.trial else "-"


def _grants(product: Product) -> str:
    return ", ".join([*(_entry(e) for e in product.license_template), *(f.name for f in product.features)])


def _entry(entry: TemplateEntry) -> str:
    numbers = (
        (entry.amount, entry.amount_calculation, "units"),
        (entry.users, entry.users_calculation, "users"),
    )
    said = [f"{n} {what}{' each' if how == 'per_qty' else ''}" for n, how, what in numbers if n is not None]
    return f"{entry.name} ({', '.join(said)})" if said else entry.name
