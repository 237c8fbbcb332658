"""Products as documents (domain.md 3): what is sold, and what each unit of it grants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Period
from sync.store.names import sized_name

Name = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^\S(.*\S)?$")]
Calculation = Literal["fixed", "per_qty"]
Number = Annotated[int, Field(ge=0, le=2**53, strict=True)] | Literal["unlimited"]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TemplateEntry(_Document):
    """What one key is granted: each number as it is (`fixed`) or times the ordered quantity (`per_qty`).

    An absent number: that dimension is not granted.
    """

    name: Name
    users: Number | None = None
    users_calculation: Calculation = "fixed"
    amount: Number | None = None
    amount_calculation: Calculation = "fixed"


class TrialPeriod(_Document):
    """How long the trial template holds, counted in the tenant's zone."""

    count: int = Field(ge=1, le=1200, strict=True)
    unit: Literal["day", "week", "month"]

    @property
    def period(self) -> Period:
        """As a calendar period."""
        return _UNITS[self.unit](self.count)


_UNITS: Final[Mapping[str, Callable[[int], Period]]] = {
    "day": lambda n: Period(days=n),
    "week": lambda n: Period(days=7 * n),
    "month": lambda n: Period(months=n),
}


class Feature(_Document):
    """A switch that the product turns on, in its trial and after."""

    name: Name
    type: Literal["checkbox"] = "checkbox"
    scope: Literal["instance"] = "instance"


class Product(_Document):
    """What is sold. `application`, its published version and type: what the product is made of.

    `downgrade`: whether a running term of it may be lowered, at once or from its end on.
    """

    id: Name
    name: str = ""
    application: Name = "desking"
    application_version: str = ""
    application_type: str = ""
    billing: Literal["monthly", "quarterly", "annual"] = "annual"
    trial: TrialPeriod | None = None
    trial_license_template: tuple[TemplateEntry, ...] = ()
    license_template: tuple[TemplateEntry, ...] = ()
    features: tuple[Feature, ...] = ()
    downgrade: Literal["refused", "at_once", "at_end"] = "refused"

    @property
    def billing_months(self) -> int:
        """How long a billing period is."""
        return _MONTHS[self.billing]

    @model_validator(mode="after")
    def _grants_something(self) -> Product:
        if not self.license_template and not self.features:
            raise ValueError("license_template and features are both empty: it would grant nothing")
        if self.trial_license_template and not self.trial:
            raise ValueError("trial_license_template needs a trial period")
        return self


_MONTHS: Final[Mapping[str, int]] = {"monthly": 1, "quarterly": 3, "annual": 12}


def product_of(document: object) -> Product:
    """A product from a JSON-like value. Raises InvalidRequest, naming every field that is wrong."""
    try:
        product = Product.model_validate(document)
    except ValidationError as e:
        raise InvalidRequest("product", "; ".join(_problem(error) for error in e.errors())) from e
    entries = (*product.trial_license_template, *product.license_template)
    for name in (product.id, *(each.name for each in entries), *(each.name for each in product.features)):
        sized_name("product", name)
    return product


INNER: Final = ("constrained-int", "literal[")
"""Steps of an error's place that are the library's own: which of a number's two forms was tried."""


def _problem(error: Mapping[str, object]) -> str:
    place = error["loc"]
    steps = place if isinstance(place, tuple) else ()
    where = ".".join(str(step) for step in steps if not str(step).startswith(INNER))
    said = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}" if where else said


@lru_cache(maxsize=4096)
def parse_product(document: str) -> Product:
    """A product as it was stored."""
    return Product.model_validate_json(document)
