"""What a policy is once it is compiled: frozen rules, terms and layers (domain.md 7, architecture 2.2 and 2.3).

policy/ builds these from YAML and has checked every name in them; decide.py and table.py read them. `None` in a
matcher means "any".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from sidecar.core.model import DAY, SECOND, Effect, Freshness, Group, Period, Phase, Standing, Status

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Seated(StrEnum):
    """Where the asking user stands among the seats; `UNSEATED` when the question is not about seats."""

    UNSEATED = "unseated"
    NONE = "none"
    HELD = "held"
    EXCESS = "excess"


class Used(StrEnum):
    """What exists against the limit; `UNCOUNTED` without a key, for a feature, and outside coverage."""

    UNCOUNTED = "uncounted"
    WITHIN = "within"
    OVER = "over"


class Room(StrEnum):
    """Whether the n units really consumed would fit. Nothing consumed always fits."""

    FITS = "fits"
    EXCEEDS = "exceeds"


class Booked(StrEnum):
    """The booking window against the coverage end; `NONE` without a window or outside coverage."""

    NONE = "none"
    INSIDE = "inside"
    BEYOND = "beyond"


class ReasonClass(StrEnum):
    """What kind of thing denied."""

    STATE = "STATE"
    QUOTA = "QUOTA"
    UNKNOWN = "UNKNOWN"
    POLICY = "POLICY"


class Retry(StrEnum):
    """When asking again can help."""

    NEVER = "NEVER"
    AFTER_CHANGE = "AFTER_CHANGE"
    AFTER_TIME = "AFTER_TIME"
    TRANSIENT = "TRANSIENT"


class Remedy(StrEnum):
    """What would lift a denial."""

    CONTACT = "contact"
    BUY = "buy"
    WAIT = "wait"
    RENEW = "renew"
    TOP_UP = "top_up"
    LICENSE_SPACE = "license_space"
    ASSIGN_SEAT = "assign_seat"
    RELEASE = "release"
    UPGRADE = "upgrade"
    BOOK_WITHIN_TERM = "book_within_term"
    RETRY = "retry"


class CutFrom(StrEnum):
    """The instant that a cut is counted from, as the answer gives it at the instant judged."""

    TERM_START = "term_start"
    TERM_END = "term_end"
    GRACE_END = "grace_end"


class Condition(Protocol):
    """A `when:` expression. Pure: all it may know comes in `variables` (see `VARIABLES`)."""

    @property
    def source(self) -> str:
        """The expression as its author wrote it."""

    @property
    def reads_time(self) -> bool:
        """Whether it reads `now`, so that its answer may change by itself."""

    def evaluate(self, variables: Mapping[str, object]) -> bool:
        """True or False. Raises ConditionFailed, saying why, on anything else."""


VARIABLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "now": "timestamp",
        "action": "string",
        "group": "string",
        "quantity": "int",
        "tenant.id": "string",
        "tenant.edition": "string",
        "tenant.tags": "list<string>",
        "tenant.language": "string",
        "tenant.time_zone": "string",
        "tenant.status": "string",
        "tenant.standing": "string",
        "resource.kind": "string",
        "resource.id": "string",
        "resource.licensed": "bool",
        "resource.attributes": "map<string, string>",
        "subject.user_id": "string",
        "request.attributes": "map<string, string>",
        "window.given": "bool",
        "window.starts_at": "timestamp",
        "window.ends_at": "timestamp",
        "phase": "string",
        "freshness": "string",
        "quota.counted": "bool",
        "quota.unlimited": "bool",
        "quota.limit": "int",
        "quota.used": "int",
        "quota.fits": "int",
        "quota.excess": "int",
        "term.ends": "bool",
        "term.ends_at": "timestamp",
    }
)
"""Name to type of every variable an expression may read. Without a window its instants are 1970-01-01T00:00Z, as is
`term.ends_at` without an end; without figures, or when unlimited, the numbers are 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningText:
    """A warning that an allowed answer shows: its code and a message by language."""

    code: str
    message: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. All matchers given must hold; then `effect` counts, or, without one, only the warnings.

    `judge_by` names a key group: `usage` and `room` are judged over the sum of its keys when the key asked about is one
    of them. `expiring_soon` and `near_quota` match the facts by which the shipped warnings are given.
    """

    policy: str
    id: str
    actions: tuple[str, ...] = ()
    """Names or globs; with `action_groups` the two add up. Both empty: no action."""
    action_groups: frozenset[Group] = frozenset()
    keys: tuple[str, ...] | None = None
    """Names or globs of resource kinds; a question without a key matches only None."""
    status: frozenset[Status] | None = None
    phase: frozenset[Phase] | None = None
    standing: frozenset[Standing] | None = None
    licensed: bool | None = None
    seat: frozenset[Seated] | None = None
    usage: frozenset[Used] | None = None
    room: frozenset[Room] | None = None
    window: frozenset[Booked] | None = None
    freshness: frozenset[Freshness] | None = None
    expiring_soon: bool | None = None
    near_quota: bool | None = None
    cuts: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    """Name of a cut to whether it must hold."""
    judge_by: str | None = None
    when: Condition | None = None
    effect: Effect | None = None
    reason: str | None = None
    """Of a denying rule: a built-in reason or one its policy set declares."""
    message: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    """Language to template; empty: the reason's own."""
    remedies: tuple[Remedy, ...] | None = None
    """None: the reason's own."""
    warnings: tuple[WarningText, ...] = ()
    line: int = 0
    """Where it stands in its file, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What a reason means, whichever rule gives it (domain.md 7)."""

    code: str
    reason_class: ReasonClass
    retry: Retry
    remedies: tuple[Remedy, ...]
    message: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """By what a tenant's timeline is cut (domain.md 4 and 5)."""

    grace: Period = Period(months=3)
    expiring_soon: Period = Period(days=30)
    near_quota: int = 90
    """Percent of the limit, 1 to 100."""
    overage: int = 0
    """Percent by which every finite limit is stretched, rounded down; 0 to 1,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When data counts as STALE and BLIND: microseconds since the last contact that must be exceeded."""

    stale_after: int = 300 * SECOND
    blind_after: int = DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A fact of a policy's own: true in [from, from + for), or in [from - for, from) when `length` is negative."""

    name: str
    from_: CutFrom
    length: Period


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliesTo:
    """Whom a policy is for. Empty: everyone. Of several kinds given all must hold; of one kind, any value."""

    editions: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()

    @property
    def layer(self) -> int:
        """0 general, 1 edition, 2 tag, 3 tenant: the most specific kind given."""
        return 3 if self.tenants else 2 if self.tags else 1 if self.editions else 0

    def covers(self, *, tenant_id: str, edition: str, tags: tuple[str, ...]) -> bool:
        """Whether a tenant is among those meant."""
        return (
            (not self.editions or edition in self.editions)
            and (not self.tags or not self.tags.isdisjoint(tags))
            and (not self.tenants or tenant_id in self.tenants)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One policy document. Absent terms and thresholds leave those of more general layers as they are."""

    name: str
    applies_to: AppliesTo = AppliesTo()
    grace: Period | None = None
    expiring_soon: Period | None = None
    near_quota: int | None = None
    overage: int | None = None
    stale_after: int | None = None
    blind_after: int | None = None
    key_groups: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    cuts: Mapping[str, Cut] = field(default_factory=lambda: MappingProxyType({}))
    reasons: Mapping[str, Reason] = field(default_factory=lambda: MappingProxyType({}))
    rules: tuple[Rule, ...] = ()
    overrides: frozenset[str] = frozenset()
    """Ids of rules in more general layers that do not hold where this policy does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """Every policy of the installation, in the order given by the files' names, and the revision they make.

    `revision` is a digest of the files' contents: the same files give the same revision everywhere.
    """

    policies: tuple[Policy, ...]
    revision: str
