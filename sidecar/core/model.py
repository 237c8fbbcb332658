"""The entitlement record as frozen values (domain.md 1 and 3), and the vocabulary that decisions are made of.

Instants are integers: microseconds since 1970-01-01T00:00Z. Money and days of balance are integers too: millionths.
Every window is half-open, [starts_at, ends_at).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from sidecar.core.errors import InvalidRecord

Instant = int
SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
MICROS: Final = 1_000_000
"""Millionths in one unit of a balance."""

SINCE_EVER: Final = -(2**63)
FOREVER: Final = 2**63 - 1
"""The ends of time: before the first and after the last instant that can be written down."""


class Unlimited(Enum):
    """A limit without a number. A number that is absent is something else: not granted."""

    UNLIMITED = "unlimited"


UNLIMITED: Final = Unlimited.UNLIMITED
Limit = int | Unlimited


class Status(StrEnum):
    """Status of a tenant, mildest first (domain.md 5)."""

    OPEN = "OPEN"
    SUSPENDED = "SUSPENDED"
    ARCHIVED = "ARCHIVED"


class Phase(StrEnum):
    """Phase of a key, best first (domain.md 5)."""

    ACTIVE = "ACTIVE"
    TRIAL = "TRIAL"
    GRACE = "GRACE"
    PENDING = "PENDING"
    EXPIRED = "EXPIRED"
    UNLICENSED = "UNLICENSED"


class Standing(StrEnum):
    """Standing of an account (domain.md 6)."""

    GOOD = "GOOD"
    PAST_DUE = "PAST_DUE"
    BLOCKED = "BLOCKED"


class Freshness(StrEnum):
    """How old the data may be (domain.md 7)."""

    LIVE = "LIVE"
    STALE = "STALE"
    BLIND = "BLIND"


class Effect(StrEnum):
    """The only two verdicts."""

    ALLOW = "allow"
    DENY = "deny"


class Group(StrEnum):
    """Groups of actions (domain.md 2)."""

    SPEND = "spend"
    USE = "use"
    ATTEND = "attend"
    UNDO = "undo"
    READ = "read"


class Basis(IntEnum):
    """What a balance is counted in."""

    MONEY = 1
    DAYS = 2


def _named(what: str, value: str) -> None:
    if not 1 <= len(value.encode()) <= 256:
        raise InvalidRecord(f"{what}: 1 to 256 bytes are needed, got {len(value.encode())}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A calendar period: `months`, then `days`, counted on the wall clock of a zone; then `micros` of elapsed time.

    All may be negative (a period before an instant), though never of mixed sign.
    """

    months: int = 0
    days: int = 0
    micros: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One line of an entitlement: `key` with its limits, holding during the window (domain.md 1 and 4).

    `amount` judges spaces and units, `users` judges seats; None: that dimension is not granted.
    """

    key: str
    starts_at: Instant
    ends_at: Instant = FOREVER
    trial: bool = False
    amount: Limit | None = None
    users: Limit | None = None
    source: str = ""

    def __post_init__(self) -> None:
        _named("grant.key", self.key)
        for name, limit in (("amount", self.amount), ("users", self.users)):
            if isinstance(limit, int) and not 0 <= limit <= 2**53:
                raise InvalidRecord(f"grant {self.key}: {name} must be 0 to 2^53, got {limit}")


class Seat(NamedTuple):
    """One user's seat. A user is known by tenant and user id; an empty tenant is the record's own."""

    tenant_id: str
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What exists of a key: units, and seats in order of assignment; pooled in the record of a pool's owner."""

    units: int = 0
    seats: tuple[Seat, ...] = ()

    def __post_init__(self) -> None:
        if self.units < 0:
            raise InvalidRecord(f"usage: units must be 0 or more, got {self.units}")


NO_USAGE: Final = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A named block that holds during the window (domain.md 3)."""

    name: str
    starts_at: Instant
    ends_at: Instant = FOREVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A balance, settled up to and including `as_of`, and the settings by which it moves on (domain.md 6).

    Amounts are millionths of the currency unit, or of a day. `owed_charge` is the charge as it was at `owed_since`.
    """

    basis: Basis
    balance: int
    as_of: Instant
    charge: int
    owed_since: Instant | None = None
    owed_charge: int = 0
    anchor: Instant = 0
    period: Period = Period()
    allowed_balance: int = 0
    deferral_days: int = 0

    def __post_init__(self) -> None:
        if self.charge < 0 or self.owed_charge < 0:
            raise InvalidRecord("account: a charge must be 0 or more")
        if self.deferral_days < 0:
            raise InvalidRecord("account: deferral_days must be 0 or more")
        if self.basis is Basis.MONEY:
            p = self.period
            if p.micros or min(p.months, p.days) < 0 or (p.months > 0) == (p.days > 0):
                raise InvalidRecord("account: period must be a number of months or of days above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that a tenant is granted, used and owes, at one revision of the store: what is synced to the sidecars.

    With `holder_id` the tenant shares that ancestor's services: grants, zone, account, policy terms and pool are read
    from the ancestor's record, and its own `grants`, `usage` and `account` are empty (domain.md 3, inheritance).
    """

    tenant_id: str
    revision: int
    zone: str
    language: str = ""
    edition: str = ""
    tags: tuple[str, ...] = ()
    archived: bool = False
    blocks: tuple[Block, ...] = ()
    holder_id: str = ""
    grants: tuple[Grant, ...] = ()
    usage: Mapping[str, Usage] = field(default_factory=lambda: MappingProxyType({}))
    account: Account | None = None

    def __post_init__(self) -> None:
        _named("tenant_id", self.tenant_id)
        if self.revision < 1:
            raise InvalidRecord(f"record {self.tenant_id}: revision must be 1 or more, got {self.revision}")
        if self.holder_id == self.tenant_id:
            raise InvalidRecord(f"record {self.tenant_id}: it cannot share its own services")
        if self.holder_id and (self.grants or self.usage or self.account):
            raise InvalidRecord(f"record {self.tenant_id}: grants, usage and account belong to {self.holder_id}")
