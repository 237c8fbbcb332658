"""Questions and answers as frozen values; instants are aware datetimes in UTC. authorization.proto tells each field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal

OnUnavailable = Literal["raise", "deny", "allow"]
Effect = Literal["allow", "deny"]
Change = int | Mapping[str, bool]

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """May `tenant` do `action` (to `kind`)? Naive instants in `window` are refused: say the zone.

    `quantity` None counts as 1; `licensed` None as licensed; `locale` "" asks for the tenant's language.
    """

    tenant: str
    action: str
    kind: str = ""
    resource_id: str = ""
    licensed: bool | None = None
    resource_attributes: Mapping[str, str] = field(default_factory=lambda: _NONE)
    quantity: int | None = None
    user: str = ""
    window: tuple[datetime, datetime] | None = None
    locale: str = ""
    min_revision: int = 0
    attributes: Mapping[str, str] = field(default_factory=lambda: _NONE)
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to show on an allowed answer."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The figures the answer was judged by. `limit` and `fits` are None when unlimited."""

    key: str
    limit: int | None
    unlimited: bool
    used: int
    reserved: int
    fits: int | None
    excess: int
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What would lift a denial: `quantity` to release, `until` when to wait, `amount_micros` to top up."""

    kind: str
    quantity: int = 0
    until: datetime | None = None
    amount_micros: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer. A `synthetic` one was made here, since the sidecar gave none in time: only `effect`, `reason`,
    `reason_class`, `retry` and `message` mean anything then."""

    effect: Effect
    reason: str = ""
    reason_class: str = ""
    retry: str = ""
    also: tuple[str, ...] = ()
    message: str = ""
    warnings: tuple[Notice, ...] = ()
    quota: Quota | None = None
    phase: str = ""
    standing: str = ""
    status: str = ""
    term_ends_at: datetime | None = None
    grace_ends_at: datetime | None = None
    next_change_at: datetime | None = None
    remedies: tuple[Remedy, ...] = ()
    policy: str = ""
    rule: str = ""
    policy_revision: str = ""
    entitlement_revision: int = 0
    as_of: datetime | None = None
    freshness: str = ""
    decision_id: str = ""
    synthetic: bool = False

    @property
    def allowed(self) -> bool:
        """Whether to go ahead."""
        return self.effect == "allow"

    def __bool__(self) -> bool:
        """Raises TypeError: `if gate.check(...):` would otherwise hold for every denial."""
        raise TypeError("an answer is neither true nor false: ask for .allowed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemError:
    """Why one question of a batch could not be judged; `message` names the field."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTrace:
    """One rule that was considered; `why` says why it did not match, or what its expression answered."""

    policy: str
    rule: str
    matched: bool
    effect: str
    reason: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One stretch [starts_at, ends_at) of a key's timeline; None: since ever, for ever.

    `amount` and `users` are numbers, "unlimited", or None where that dimension is not granted.
    """

    starts_at: datetime | None
    ends_at: datetime | None
    status: str
    phase: str
    standing: str
    amount: int | Literal["unlimited"] | None
    users: int | Literal["unlimited"] | None
    term_ends_at: datetime | None
    grace_ends_at: datetime | None
    expiring_soon: bool
    cuts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An answer and what it was made from."""

    answer: Answer
    facts: tuple[tuple[str, str], ...]
    rules: tuple[RuleTrace, ...]
    timeline: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageNow:
    """What the store holds of a tenant's own key; pass `revision` as min_revision to see it in an answer."""

    units: int
    seats: tuple[str, ...]
    revision: int
    queued: bool = False
    """True: the sidecar has it safe and will tell the store, which it cannot reach now; the rest is not known yet."""
