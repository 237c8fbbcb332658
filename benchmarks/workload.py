"""The questions: a stated mix of tenants, actions and outcomes, each with the facts that decide it and the answer due.

The answer due is worked out here from those facts, in the order of domain.md 7, apart from the engine. The same facts,
and no others, are what the peer is given.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.world import FEATURE, PER_USER, SPACES, Hot
from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.core.model import SECOND, UNLIMITED, Instant

QUESTIONS: Final = 12_000
LEAST_SHARE: Final = 0.01
"""Of the questions, for every reason."""

ACTIONS: Final = {
    "booking.create": 31,
    "booking.update": 5,
    "binding.create": 5,
    "booking.check_in": 11,
    "feature.use": 14,
    "space.create": 9,
    "space.license": 2,
    "space.convert": 1,
    "license.assign": 4,
    "booking.cancel": 7,
    "booking.check_out": 3,
    "binding.release": 1,
    "space.delete": 2,
    "license.revoke": 1,
    "tenant.read": 2,
    "desk.paint": 2,
}
"""Share of 100 of each action; the last is one that no rule knows."""
UNKNOWN_TENANTS: Final = 0.02
UNKNOWN_KINDS: Final = 0.03
UNLICENSED_SPACES: Final = 0.07
BULK_IMPORTS: Final = 0.2
"""Of space.create: many at once, a tenth of them more than would fit."""
WITHOUT_SEAT: Final = 0.3
PER_USER_FEATURES: Final = 0.75

SPEND: Final = frozenset({"space.create", "space.license", "space.convert", "license.assign"})
BOOK: Final = frozenset({"booking.create", "booking.update", "binding.create"})
USE: Final = BOOK | {"feature.use"}
UNDO: Final = frozenset({"booking.cancel", "booking.check_out", "binding.release", "space.delete", "license.revoke"})
GUARDED: Final = SPEND | USE | {"booking.check_in"}
KNOWN: Final = GUARDED | UNDO | {"tenant.read"}

REASONS: Final = (
    "TENANT_ARCHIVED",
    "TENANT_SUSPENDED",
    "NOT_LICENSED",
    "NOT_STARTED",
    "GRACE_ENDED",
    "SUBSCRIPTION_EXPIRED",
    "ACCOUNT_BLOCKED",
    "SPACE_UNLICENSED",
    "SEAT_NOT_HELD",
    "OVER_QUOTA",
    "QUOTA_REACHED",
    "DATA_TOO_OLD",
    "UNKNOWN_TENANT",
    "NO_RULE",
)
"""Every reason of section 7 that the shipped policies give by themselves."""

Attributes = dict[str, str | float | bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question as bytes of ours, the facts the peer reads, and the reason due ("" when allowed)."""

    action: str
    resource_id: str
    request: bytes
    facts: Attributes
    reason: str


def questions(hot: Sequence[Hot], now: Instant, count: int = QUESTIONS, *, freshness: str = "LIVE") -> list[Question]:
    """Distinct questions in the stated mix, the same for the same tenants. Raises ValueError if the mix is off."""
    rng = random.Random(11)
    actions = rng.choices(list(ACTIONS), list(ACTIONS.values()), k=count)
    asked = [_question(number, action, hot, now, freshness, rng) for number, action in enumerate(actions)]
    _check_mix(asked, freshness)
    return asked


def mix(asked: Sequence[Question]) -> dict[str, float]:
    """Share of each outcome: a reason, or "" when allowed."""
    return {reason: n / len(asked) for reason, n in Counter(q.reason for q in asked).most_common()}


def _check_mix(asked: Sequence[Question], freshness: str) -> None:
    if len({q.request for q in asked}) != len(asked):
        raise ValueError("two questions are the same")
    shares = mix(asked)
    rare = [r for r in REASONS if shares.get(r, 0) < LEAST_SHARE and (r == "DATA_TOO_OLD") <= (freshness == "BLIND")]
    if rare and len(asked) >= QUESTIONS:
        raise ValueError(f"in less than {LEAST_SHARE:.0%} of the questions: {', '.join(rare)}")


def _question(
    number: int, action: str, hot: Sequence[Hot], now: Instant, freshness: str, rng: random.Random
) -> Question:
    tenant = rng.choice(hot)
    unknown = rng.random() < UNKNOWN_TENANTS
    kind = _kind(action, rng)
    user = _user(action, tenant, rng)
    space = action.startswith(("booking", "binding", "space")) and kind in SPACES
    licensed = not (space and rng.random() < UNLICENSED_SPACES)
    quantity = _quantity(action, kind, tenant, rng)
    request = pb.CheckRequest(
        tenant_id=f"nobody-{number}" if unknown else tenant.record.tenant_id,
        action=action,
        locale=rng.choice(("", "en", "zh-CN", "zh-CN")),
    )
    resource_id = f"{kind or 'tenant'}-{rng.randrange(10**6):06d}-{number}"
    if kind:
        request.resource.kind, request.resource.id = kind, resource_id
        if not licensed or (space and rng.random() < 0.5):
            request.resource.licensed = licensed
    else:
        request.request_id = resource_id
    if quantity > 1:
        request.quantity = quantity
        request.resource.attributes["entry"] = "bulk_import"
    if user:
        request.subject.user_id = user
    if action in ("booking.create", "booking.update"):
        _book(request.window, now, rng)
    facts = _facts(action, kind, user, licensed, quantity, None if unknown else tenant, freshness)
    return Question(
        action=action,
        resource_id=resource_id,
        request=request.SerializeToString(deterministic=True),
        facts={name: facts[name] for name in READ_BY[_group(action)] if name in facts},
        reason=_reason(action, facts),
    )


def _kind(action: str, rng: random.Random) -> str:
    if action == "tenant.read":
        return ""
    if rng.random() < UNKNOWN_KINDS:
        return "standing_desk"
    if action.startswith("license"):
        return PER_USER
    if action == "feature.use":
        return PER_USER if rng.random() < PER_USER_FEATURES else FEATURE
    return rng.choices(SPACES, (3, 5, 2))[0]


def _user(action: str, tenant: Hot, rng: random.Random) -> str:
    if action == "feature.use" and tenant.seated and rng.random() > WITHOUT_SEAT:
        return rng.choice(tenant.seated)
    return (
        f"visitor-{rng.randrange(10**6)}"
        if action in ("feature.use", "license.assign")
        else f"user-{rng.randrange(900)}"
    )


def _quantity(action: str, kind: str, tenant: Hot, rng: random.Random) -> int:
    if action != "space.create" or rng.random() > BULK_IMPORTS:
        return 1
    limit = tenant.limits.get(kind, UNLIMITED)
    room = 10 if limit is UNLIMITED else max(limit - tenant.used[kind], 2)
    return room + rng.randint(1, 5) if rng.random() < 0.1 else rng.randint(2, room)


def _book(window: pb.Window, now: Instant, rng: random.Random) -> None:
    starts = now // SECOND + rng.randrange(0, 40 * 86_400, 900)
    window.starts_at.seconds = starts
    window.ends_at.seconds = starts + rng.choice((1800, 3600, 28_800))


READ_BY: Final = {
    "read": ("status",),
    "undo": ("status", "phase"),
    "attend": ("status", "phase", "freshness"),
    "spend": ("status", "phase", "freshness", "standing", "n", "used", "limit"),
    "book": ("status", "phase", "freshness", "standing", "licensed", "used", "limit"),
    "feature": ("status", "phase", "freshness", "standing", "seat"),
}
"""The facts that section 7's rules read, by what is asked: all that the peer is given."""


def _group(action: str) -> str:
    if action in SPEND:
        return "spend"
    if action in BOOK:
        return "book"
    return {"feature.use": "feature", "booking.check_in": "attend"}.get(action, "undo" if action in UNDO else "read")


def _facts(
    action: str, kind: str, user: str, licensed: bool, quantity: int, tenant: Hot | None, freshness: str
) -> Attributes:
    if tenant is None:
        return {"status": "UNKNOWN"}
    case = tenant.case
    granted = kind in (*SPACES, PER_USER, FEATURE, "")
    facts: Attributes = {
        "status": case.status,
        "phase": case.phase if granted else "UNLICENSED",
        "standing": case.standing,
        "freshness": freshness,
        "licensed": licensed or action == "space.license",
        "n": float(quantity if licensed or action not in ("space.create", "space.convert") else 0),
    }
    if kind in tenant.limits:
        facts["used"] = float(tenant.used[kind])
        limit = tenant.limits[kind]
        if limit is not UNLIMITED:
            facts["limit"] = float(limit)
        if kind == PER_USER and action == "feature.use":
            facts["seat"] = _seat(tenant, user)
    return facts


def _seat(tenant: Hot, user: str) -> str:
    limit = tenant.limits[PER_USER]
    if user not in tenant.seated:
        return "none"
    covered = tenant.case.phase in ("ACTIVE", "TRIAL")
    return "excess" if covered and limit is not UNLIMITED and tenant.seated.index(user) >= limit else "held"


def _reason(action: str, facts: Attributes) -> str:
    """The first line of section 7 that denies."""
    if facts["status"] == "UNKNOWN":
        return "UNKNOWN_TENANT"
    covered = facts["phase"] in ("ACTIVE", "TRIAL")
    used, limit = float(facts.get("used", 0)), float(facts.get("limit", "inf"))
    n = float(facts["n"])
    seat = facts.get("seat")
    lines = (
        (facts["status"] == "ARCHIVED", "TENANT_ARCHIVED"),
        (facts["status"] == "SUSPENDED" and action in GUARDED, "TENANT_SUSPENDED"),
        (facts["phase"] == "UNLICENSED" and action in GUARDED, "NOT_LICENSED"),
        (facts["phase"] == "PENDING" and action in GUARDED, "NOT_STARTED"),
        (facts["phase"] == "EXPIRED" and action in GUARDED | UNDO, "GRACE_ENDED"),
        (facts["phase"] == "GRACE" and action in SPEND | USE, "SUBSCRIPTION_EXPIRED"),
        (facts["standing"] == "BLOCKED" and action in SPEND | USE, "ACCOUNT_BLOCKED"),
        (not facts["licensed"] and action in BOOK, "SPACE_UNLICENSED"),
        (seat == "none", "SEAT_NOT_HELD"),
        (covered and ((action in BOOK and used > limit) or seat == "excess"), "OVER_QUOTA"),
        (covered and action in SPEND and n > 0 and used + n > limit, "QUOTA_REACHED"),
        (facts["freshness"] == "BLIND" and action in GUARDED, "DATA_TOO_OLD"),
        (action not in KNOWN, "NO_RULE"),
    )
    return next((reason for holds, reason in lines if holds), "")
