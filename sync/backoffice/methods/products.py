"""Calls about products."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar._gen.desking.entitlements.v1 import entitlement_pb2 as records_pb
from sidecar.core.errors import InvalidRequest
from sync.backoffice import codec
from sync.backoffice.method import Change, View, reads, writes
from sync.store import catalogue
from sync.store.operators import Role
from sync.store.products import Product, TemplateEntry, TrialPeriod, product_of

BILLINGS: Final[Mapping[int, str]] = {
    pb.BILLING_UNSPECIFIED: "annual",
    pb.BILLING_MONTHLY: "monthly",
    pb.BILLING_QUARTERLY: "quarterly",
    pb.BILLING_ANNUAL: "annual",
}
DOWNGRADES: Final[Mapping[int, str]] = {
    pb.DOWNGRADE_UNSPECIFIED: "refused",
    pb.DOWNGRADE_REFUSED: "refused",
    pb.DOWNGRADE_AT_ONCE: "at_once",
    pb.DOWNGRADE_AT_END: "at_end",
}
CALCULATIONS: Final[Mapping[int, str]] = {
    pb.CALCULATION_UNSPECIFIED: "fixed",
    pb.CALCULATION_FIXED: "fixed",
    pb.CALCULATION_PER_QTY: "per_qty",
}
MOST_ENTRIES: Final = 1000
"""Entries of a template, and features."""
NUMBERS: Final = ("users", "amount")


def _read(request: Any) -> Product:
    if not request.HasField("product"):
        raise InvalidRequest("product", "a product is needed")
    return read_product(request.product)


def read_product(message: pb.Product) -> Product:
    """The product in a message. Raises InvalidRequest."""
    document: dict[str, Any] = {
        "id": codec.name("product.id", message.id),
        "name": codec.short("product.name", message.name),
        "application_version": codec.short("product.application_version", message.application_version),
        "application_type": codec.short("product.application_type", message.application_type),
        "billing": codec.choice("product.billing", message.billing, BILLINGS),
        "downgrade": codec.choice("product.downgrade", message.downgrade, DOWNGRADES),
        "trial_license_template": _read_template("trial_license_template", message.trial_license_template),
        "license_template": _read_template("license_template", message.license_template),
        "features": [
            {"name": codec.name(f"product.features[{i}]", each)}
            for i, each in enumerate(codec.few("product.features", message.features, MOST_ENTRIES))
        ],
    }
    if message.application:
        document["application"] = codec.name("product.application", message.application)
    if message.HasField("trial"):
        document["trial"] = _read_trial(message.trial)
    return product_of(document)


def _read_trial(length: pb.Length) -> dict[str, Any]:
    period = codec.period("product.trial", length)
    if period.months:
        return {"count": period.months, "unit": "month"}
    if length.unit == pb.LENGTH_UNIT_WEEK:
        return {"count": length.count, "unit": "week"}
    return {"count": period.days, "unit": "day"}


def _read_template(name: str, entries: Iterable[pb.TemplateEntry]) -> list[dict[str, Any]]:
    field = f"product.{name}"
    found = codec.few(field, entries, MOST_ENTRIES)
    return [_read_entry(f"{field}[{i}]", entry) for i, entry in enumerate(found)]


def _read_entry(field: str, entry: pb.TemplateEntry) -> dict[str, Any]:
    read: dict[str, Any] = {"name": codec.name(f"{field}.name", entry.name)}
    for name in NUMBERS:
        if entry.HasField(name):
            read[name] = _read_number(f"{field}.{name}", getattr(entry, name))
        how = f"{name}_calculation"
        read[how] = codec.choice(f"{field}.{how}", getattr(entry, how), CALCULATIONS)
    return read


def _read_number(field: str, limit: records_pb.Limit) -> int | str:
    if limit.WhichOneof("value") == "count":
        return codec.number(field, limit.count, 0, 2**53)
    if not limit.unlimited:
        raise InvalidRequest(field, "a count is needed, or unlimited, which is always true")
    return "unlimited"


def _message(found: tuple[Product, int]) -> pb.Product:
    return product_message(*found)


def product_message(product: Product, version: int = 0) -> pb.Product:
    """A product as a message."""
    return pb.Product(
        id=product.id,
        name=product.name,
        application=product.application,
        application_version=product.application_version,
        application_type=product.application_type,
        billing=f"BILLING_{product.billing.upper()}",
        trial=_trial(product.trial) if product.trial else None,
        trial_license_template=[_entry(each) for each in product.trial_license_template],
        license_template=[_entry(each) for each in product.license_template],
        features=[each.name for each in product.features],
        downgrade=f"DOWNGRADE_{product.downgrade.upper()}",
        version=version,
    )


def _trial(trial: TrialPeriod) -> pb.Length:
    return pb.Length(count=trial.count, unit=f"LENGTH_UNIT_{trial.unit.upper()}")


def _entry(entry: TemplateEntry) -> pb.TemplateEntry:
    return pb.TemplateEntry(
        name=entry.name,
        users=_number(entry.users),
        users_calculation=f"CALCULATION_{entry.users_calculation.upper()}",
        amount=_number(entry.amount),
        amount_calculation=f"CALCULATION_{entry.amount_calculation.upper()}",
    )


def _number(number: int | str | None) -> records_pb.Limit | None:
    if number is None:
        return None
    return records_pb.Limit(unlimited=True) if isinstance(number, str) else records_pb.Limit(count=number)


def _create(change: Change, request: pb.CreateProductRequest) -> pb.CreateProductResponse:
    product = _read(request)
    catalogue.create_product(change.writing, product, now=change.now)
    return pb.CreateProductResponse(product=_message(catalogue.get_product(change.conn, product.id)))


def _update(change: Change, request: pb.UpdateProductRequest) -> pb.UpdateProductResponse:
    product = _read(request)
    expected = request.expected_version if request.HasField("expected_version") else None
    catalogue.update_product(change.writing, product, now=change.now, expected_version=expected)
    return pb.UpdateProductResponse(product=_message(catalogue.get_product(change.conn, product.id)))


def _get(view: View, request: pb.GetProductRequest) -> pb.GetProductResponse:
    return pb.GetProductResponse(product=_message(catalogue.get_product(view.conn, codec.name("id", request.id))))


def _list(view: View, request: pb.ListProductsRequest) -> pb.ListProductsResponse:
    size, answer = codec.page_size(request), pb.ListProductsResponse()
    after, key = codec.after_name(request), codec.short("key", request.key)
    found = [(p, v) for p, v in catalogue.list_products(view.conn) if p.id > after and (not key or _grants(p, key))]
    answer.next_page_token = codec.fill_page(answer.products, lambda each: each[0].id, size, found, _message)
    return answer


def _grants(product: Product, key: str) -> bool:
    entries = (*product.trial_license_template, *product.license_template)
    return key in {entry.name for entry in entries} | {feature.name for feature in product.features}


METHODS: Final = (
    writes("CreateProduct", _create, role=Role.ADMIN),
    writes("UpdateProduct", _update, role=Role.ADMIN),
    reads("GetProduct", _get),
    reads("ListProducts", _list),
)
