"""Which reminder is due to a tenant at an instant (domain.md 3, reminders). Pure.

A reminder holds from its own instant until the next one's: 30 days before the end from then on until it is 14, the one
at the end until a month of grace is over. So no mark of how far planning has come is needed: whenever somebody looks,
what holds and is not on record is to be sent. A runner that was away sends the latest of those it missed and no burst,
and a reminder that waited too long gives way to the next.

An end is the coverage end that decisions go by. One that has moved, by a renewal, holds no reminders any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from sidecar.core.calendar import add_period, to_local
from sidecar.core.model import DAY, SINCE_EVER, Grant, Instant, Period, Phase, Record
from sidecar.core.rules import Terms
from sidecar.core.tenant import Tenant
from sidecar.core.timeline import COVERED, State

OFFSETS: Final = (60, 30, 14, 7, 3, 1)
"""Days before an end, counted on the tenant's calendar."""
MOST_DAYS: Final = 3660
LATE: Final = Period(days=7)
"""How long the reminder at an end holds at least, however short grace is: a runner may have been away."""
CLOCKS: Final = 3 * DAY
"""More than a zone's clock can be put forward or back, a day left out at the date line included."""


class Kind(StrEnum):
    """What a reminder says."""

    EXPIRING = "expiring"
    ENDED = "ended"
    GRACE_MONTHLY = "grace_monthly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """Held from `at` on. `count`: days before the end, or months after it; 0 for the one at the end.

    `keys` are those that end, of which `trials` were on trial.
    """

    tenant_id: str
    kind: Kind
    count: int
    at: Instant
    ends_at: Instant
    grace_ends_at: Instant
    keys: tuple[str, ...]
    trials: tuple[str, ...]

    @property
    def dedupe(self) -> str:
        """Tenant, end and offset: what makes it one reminder and no other."""
        return f"reminder:{self.ends_at}:{self.kind}:{self.count}:{self.tenant_id}"


@dataclass(frozen=True, slots=True)
class _Stage:
    at: Instant
    kind: Kind
    count: int


def reminders(tenant: Tenant, offsets: Iterable[int], now: Instant, since: Instant = SINCE_EVER) -> list[Reminder]:
    """The reminders that hold at an instant and began to after `since`, at most one for each end.

    Of one that shares services the holder is told.

    An offset longer than the term is left out; the term is that of the order, or the plan, whose grant makes the end.
    """
    if tenant.record.archived or tenant.record is not tenant.holder:
        return []
    found: dict[Instant, tuple[_Stage, list[str]]] = {}
    wanted = sorted(set(offsets))
    for key in sorted(tenant.keys):
        state = tenant.segment(key, now).state
        stage = _stage(tenant, key, state, wanted, now)
        if stage is not None and state.term_ends_at is not None:
            found.setdefault(state.term_ends_at, (stage, []))[1].append(key)
    held = (_reminder(tenant, end, *of) for end, of in sorted(found.items()))
    return [reminder for reminder in held if reminder.at > since]


def still(tenant: Tenant, offsets: Iterable[int], dedupe: str, count: int, now: Instant) -> Reminder | None:
    """The reminder of this name as it holds at an instant, whether or not its own offset is among those wanted."""
    held = reminders(tenant, {*offsets, count} - {0}, now)
    return next((r for r in held if r.dedupe == dedupe), None)


def _reminder(tenant: Tenant, end: Instant, stage: _Stage, keys: Sequence[str]) -> Reminder:
    """Of keys that end at one instant those that are reminded of it are so at the same time: they share a calendar."""
    return Reminder(
        tenant_id=tenant.record.tenant_id,
        kind=stage.kind,
        count=stage.count,
        at=stage.at,
        ends_at=end,
        grace_ends_at=add_period(end, tenant.terms.grace, tenant.context.zone),
        keys=tuple(keys),
        trials=tuple(key for key in keys if all(g.trial for g in _ending(tenant, key, end))),
    )


def _stage(tenant: Tenant, key: str, state: State, offsets: Sequence[int], now: Instant) -> _Stage | None:
    end = state.term_ends_at
    if end is None:
        return None
    if state.phase in COVERED:
        begun = max(state.term_starts_at or SINCE_EVER, _term_start(tenant, key, end))
        return _before(end, begun, offsets, tenant.context.zone, now)
    zone = tenant.context.zone
    late = now < add_period(end, LATE, zone)
    return _after(end, zone, now) if state.phase is Phase.GRACE or late else None


def _before(end: Instant, begun: Instant, offsets: Sequence[int], zone: ZoneInfo, now: Instant) -> _Stage | None:
    """The last offset that has come of a term."""
    for days in offsets:
        at = add_period(end, Period(days=days), zone, times=-1)
        if at < begun:
            return None
        if at <= now:
            return _Stage(at, Kind.EXPIRING, days)
    return None


def _after(end: Instant, zone: ZoneInfo, now: Instant) -> _Stage:
    """The last month after the end that has come, else the end itself."""
    last, first = to_local(now, zone), to_local(end, zone)
    months = (last.year - first.year) * 12 + last.month - first.month
    for count in range(months, 0, -1):
        at = add_period(end, Period(months=count), zone)
        if at <= now:
            return _Stage(at, Kind.GRACE_MONTHLY, count)
    return _Stage(end, Kind.ENDED, 0)


def _ending(tenant: Tenant, key: str, end: Instant) -> list[Grant]:
    return [g for g in tenant.holder.grants if g.key == key and g.starts_at < g.ends_at == end]


def _term_start(tenant: Tenant, key: str, end: Instant) -> Instant:
    """Where the term begins that ends there: a trial before the license is part of it."""
    sources = {g.source for g in _ending(tenant, key, end)}
    grants = (g for g in tenant.holder.grants if g.key == key and g.source in sources and g.starts_at < g.ends_at)
    return min(g.starts_at for g in grants)


def quiet(record: Record, terms: Terms, offsets: Iterable[int], now: Instant) -> bool:
    """Whether no reminder can hold at an instant. Quick, and on the safe side: False where it has to be looked."""
    if record.archived or record.holder_id:
        return True
    ahead = max(offsets, default=0) * DAY + CLOCKS
    grace = terms.grace
    behind = max(grace.months * 31 * DAY + grace.days * DAY + grace.micros, LATE.days * DAY) + CLOCKS
    return not any(now - behind <= g.ends_at <= now + ahead for g in record.grants)
