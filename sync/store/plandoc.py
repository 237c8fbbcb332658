"""Plans as documents (domain.md 3): services, and blocking settings that come before a tenant's own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from sidecar.core.errors import InvalidRequest
from sidecar.core.model import MICROS, Account, Basis
from sync.store.products import Name

LARGEST: Final = 10**12 * MICROS
MOST_SERVICES: Final = 100
Amount = Annotated[int, Field(ge=-LARGEST, le=LARGEST, strict=True)]


BASES: Final = {basis.name.lower(): basis for basis in Basis}


def _basis(value: object) -> Basis:
    if isinstance(value, Basis):
        return value
    if not isinstance(value, str) or value not in BASES:
        raise ValueError("it is money or days")
    return BASES[value]


BasisName = Annotated[Basis, BeforeValidator(_basis), PlainSerializer(lambda basis: basis.name.lower())]
"""What a balance is counted in, by its name: money or days."""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Service(_Document):
    """A product and how many of it."""

    product: Name
    quantity: int = Field(ge=1, le=2**31, strict=True)


class BlockingTerms(_Document):
    """What an account is counted in, how far it may fall (millionths), and days of 24 h until it is blocked."""

    basis: BasisName
    allowed_balance: Amount = 0
    deferral_days: int = Field(default=0, ge=0, le=36_600, strict=True)


class PlanTerms(_Document):
    """What a plan brings: services, blocking settings, or both."""

    services: tuple[Service, ...] = Field(default=(), max_length=MOST_SERVICES)
    blocking: BlockingTerms | None = None

    @model_validator(mode="after")
    def _brings_something(self) -> PlanTerms:
        if not self.services and self.blocking is None:
            raise ValueError("services and blocking are both empty: it would bring nothing")
        names = [each.product for each in self.services]
        if len(set(names)) < len(names):
            raise ValueError("services: a product may stand once only: add the quantities up")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocking:
    """Blocking settings in force."""

    basis: Basis
    allowed_balance: int
    deferral_days: int


def blocking_of(terms: PlanTerms) -> Blocking | None:
    """A plan's blocking settings, if it has some."""
    found = terms.blocking
    if found is None:
        return None
    return Blocking(basis=found.basis, allowed_balance=found.allowed_balance, deferral_days=found.deferral_days)


def under(own: Account, blocking: Blocking | None) -> Account:
    """An account under a plan's blocking settings; None: with its own."""
    if blocking is None:
        return own
    return replace(own, allowed_balance=blocking.allowed_balance, deferral_days=blocking.deferral_days)


def terms_of(document: dict[str, Any]) -> PlanTerms:
    """What a plan brings, from a JSON-like value. Raises InvalidRequest, naming the first field that is wrong."""
    try:
        return PlanTerms.model_validate(document)
    except ValidationError as e:
        error = e.errors()[0]
        where = ".".join(str(step) for step in error["loc"])
        raise InvalidRequest(where or "plan", str(error["msg"]).removeprefix("Value error, ")) from e


@lru_cache(maxsize=4096)
def parse_terms(document: str) -> PlanTerms:
    """What a plan brings, as it was stored."""
    return PlanTerms.model_validate_json(document)
