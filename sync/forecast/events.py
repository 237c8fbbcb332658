"""What comes about by itself for a tenant, though nobody does anything: read off the timelines that decisions rest on.

Usage is taken as it is now. Whatever a policy changes (grace, overage, what is judged as a group) is in what is told.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from sidecar.core.calendar import zone_of
from sidecar.core.facts import SHAPES, Judged, judge
from sidecar.core.model import DAY, Grant, Instant, Limit, Phase, Record, Standing, Status
from sidecar.core.rules import Rule, Terms, Used
from sidecar.core.standing import outlook
from sidecar.core.table import names_action, names_key
from sidecar.core.tenant import UNGRANTED, Tenant
from sidecar.core.timeline import COVERED, State, Timeline


class Kind(StrEnum):
    """What comes about."""

    STARTS = "starts"
    TRIAL_TO_PAID = "trial_to_paid"
    PAID_TO_TRIAL = "paid_to_trial"
    COVERAGE_ENDS = "coverage_ends"
    GRACE_ENDS = "grace_ends"
    RENEWED = "renewed"
    """Covered again: a later term begins, in grace or after."""
    OVER_QUOTA = "over_quota"
    """More exists than the limit that begins to hold, or by more than before."""
    WITHIN_QUOTA = "within_quota"
    PAST_DUE = "past_due"
    BLOCKED = "blocked"
    SUSPENDED = "suspended"
    UNSUSPENDED = "unsuspended"


ENDED: Final = (Phase.GRACE, Phase.EXPIRED)
PHASES: Final[Mapping[tuple[Phase, Phase], Kind]] = {
    **{(Phase.PENDING, covered): Kind.STARTS for covered in COVERED},
    **{(covered, ended): Kind.COVERAGE_ENDS for covered in COVERED for ended in ENDED},
    **{(ended, covered): Kind.RENEWED for covered in COVERED for ended in ENDED},
    (Phase.GRACE, Phase.EXPIRED): Kind.GRACE_ENDS,
    (Phase.TRIAL, Phase.ACTIVE): Kind.TRIAL_TO_PAID,
    (Phase.ACTIVE, Phase.TRIAL): Kind.PAID_TO_TRIAL,
}
"""Every way in which the phase of a key can change by itself."""
SEATING: Final = frozenset(action for action, shape in SHAPES.items() if shape.names_user)
COUNTING: Final = frozenset(action for action, shape in SHAPES.items() if not shape.names_user and not shape.reads)
"""The actions that are judged by seats, and those that are by units."""
STANDINGS: Final = {Standing.PAST_DUE: Kind.PAST_DUE, Standing.BLOCKED: Kind.BLOCKED}
STATUSES: Final = {Status.SUSPENDED: Kind.SUSPENDED, Status.OPEN: Kind.UNSUSPENDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that comes about at an instant: `after` holds from then on, `before` until then.

    They are phases, standings, statuses, or, of a quota, where usage is against it. `key` is empty where the tenant as
    a whole is meant, and the name of a key group where usage is judged by that.
    """

    tenant_id: str
    at: Instant
    kind: Kind
    key: str = ""
    before: str
    after: str
    term_ends_at: Instant | None = None
    """Of a phase: the coverage end, else the latest past end; None where there is no end."""
    grace_ends_at: Instant | None = None
    seats: bool = False
    """Of a quota: whether seats are counted, not units."""
    limit: Limit | None = None
    used: int | None = None
    excess: int | None = None
    top_up: int | None = None
    """Of a standing: the least top-up, in millionths, that would let the owed charge be taken."""
    blocks: tuple[str, ...] = ()
    """Of a status: the names of the blocks that hold from then on, or held until then."""
    holder_id: str = ""
    """Of one that shares services: whose."""
    sharers: int = 0
    """Of a pool's owner: how many tenants share its services, so that the same comes about for them."""
    shared_with: tuple[str, ...] = ()
    """Some of them."""


def events(tenant: Tenant, since: Instant, until: Instant) -> Iterator[Event]:
    """Everything that comes about in [since, until), in no order. Pure.

    What comes about in a pool is told of its owner; of one that shares another's services, only what its own blocks do.
    Of a tenant that is archived, nothing: it is denied everything whatever comes.
    """
    if tenant.context.status(since) is Status.ARCHIVED:
        return
    timeline = tenant.timeline(UNGRANTED)
    if tenant.record is not tenant.holder:
        yield from _own_statuses(tenant, timeline, since, until)
        return
    for at, before, after in _steps(timeline, since, until):
        if before.status is not after.status:
            yield _status(tenant, at, before, after)
        if before.standing is not after.standing:
            yield _standing(tenant, at, before, after)
    for key in sorted(tenant.keys):
        yield from _phases(tenant, key, since, until)
    for name, keys, seats in _pools(tenant):
        yield from _quotas(tenant, name, keys, seats, since, until)


def quiet(record: Record, terms: Terms, since: Instant, until: Instant) -> bool:
    """Whether nothing can come about in [since, until): no edge that `events` could tell of lies there.

    Quick, and on the safe side: False where it would have to look closely. `terms` are those of the record's policies.
    Raises InvalidRecord for a zone that is none.
    """
    zone = zone_of(record.zone)
    if record.archived:
        return True
    edges = [edge for b in record.blocks for edge in (b.starts_at, b.ends_at)]
    if record.account is not None:
        ahead = outlook(record.account, zone)
        edges += (ahead.owed_since, ahead.blocked_at)
    if any(since <= edge < until for edge in edges):
        return False
    soonest, latest = _grace_within(terms)
    return not any(_stirs(g, since, until, soonest, latest) for g in record.grants)


def _stirs(grant: Grant, since: Instant, until: Instant, soonest: int, latest: int) -> bool:
    start, end = grant.starts_at, grant.ends_at
    return since <= start < until or since <= end < until or (end + soonest < until and since <= end + latest)


CLOCKS: Final = 3 * DAY
"""More than a zone's clock can be put forward or back, a day left out at the date line and a gap after it included."""


def _grace_within(terms: Terms) -> tuple[int, int]:
    """Bounds of how long grace lasts, whatever the month and the zone."""
    grace = terms.grace
    rest = grace.days * DAY + grace.micros
    return grace.months * 28 * DAY + rest - CLOCKS, grace.months * 31 * DAY + rest + CLOCKS


def _steps(timeline: Timeline, since: Instant, until: Instant) -> Iterator[tuple[Instant, State, State]]:
    """Where a segment begins in [since, until), the state before it, and its own."""
    first, end = (bisect_left(timeline.starts, instant) for instant in (since, until))
    for number in range(max(1, first), end):
        segment = timeline.segments[number]
        yield segment.starts_at, timeline.segments[number - 1].state, segment.state


def _own_statuses(tenant: Tenant, timeline: Timeline, since: Instant, until: Instant) -> Iterator[Event]:
    """What is not told of the holder at the same instant."""
    shared = replace(tenant.context, records=(tenant.holder,))
    for at, before, after in _steps(timeline, since, until):
        if before.status is not after.status and shared.status(at - 1) is shared.status(at):
            yield replace(_status(tenant, at, before, after), holder_id=tenant.holder.tenant_id)


def _status(tenant: Tenant, at: Instant, before: State, after: State) -> Event:
    held_at = at if after.status is Status.SUSPENDED else at - 1
    blocks = (b for r in tenant.context.records for b in r.blocks if b.starts_at <= held_at < b.ends_at)
    return Event(
        tenant_id=tenant.record.tenant_id,
        at=at,
        kind=STATUSES[after.status],
        before=before.status,
        after=after.status,
        blocks=tuple(sorted({b.name for b in blocks})),
    )


def _standing(tenant: Tenant, at: Instant, before: State, after: State) -> Event:
    return Event(
        tenant_id=tenant.record.tenant_id,
        at=at,
        kind=STANDINGS[after.standing],
        before=before.standing,
        after=after.standing,
        top_up=tenant.context.outlook.missing,
    )


def _phases(tenant: Tenant, key: str, since: Instant, until: Instant) -> Iterator[Event]:
    for at, before, after in _steps(tenant.timeline(key), since, until):
        if before.phase is not after.phase:
            yield Event(
                tenant_id=tenant.record.tenant_id,
                at=at,
                kind=PHASES[before.phase, after.phase],
                key=key,
                before=before.phase,
                after=after.phase,
                term_ends_at=after.term_ends_at,
                grace_ends_at=after.grace_ends_at,
            )


def _pools(tenant: Tenant) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """What is judged against a limit: a name, the keys added up under it, and whether seats are counted.

    Each key is, but for one whose units all rules that look at them judge by a group of keys; so is each such group.
    """
    units, seats = (_judging(tenant, actions) for actions in (COUNTING, SEATING))
    for key in sorted(tenant.keys):
        judging = [r.judge_by for r in units if names_key(r, key)]
        if not judging or any(key not in tenant.applied.table.groups.get(name or "", ()) for name in judging):
            yield key, (key,), False
        if key in tenant.per_user:
            yield key, (key,), True
    for name, keys in sorted(tenant.applied.table.groups.items()):
        for seated, rules in ((False, units), (True, seats)):
            if any(r.judge_by == name for r in rules):
                yield name, keys, seated


def _judging(tenant: Tenant, actions: Collection[str]) -> list[Rule]:
    """The rules on some of these actions that look whether usage is over."""
    over = (r for r in tenant.applied.table.rules if r.usage is not None and Used.OVER in r.usage)
    return [r for r in over if any(names_action(r, action) for action in actions)]


def _quotas(
    tenant: Tenant, name: str, keys: tuple[str, ...], seats: bool, since: Instant, until: Instant
) -> Iterator[Event]:
    for at in _edges([tenant.timeline(k) for k in keys], since, until):
        before, after = (_judged(tenant, name, keys, seats, t) for t in (at - 1, at))
        was, excess = _excess(before), _excess(after)
        cleared = was > 0 and after.usage is Used.WITHIN
        if excess > was or cleared:
            yield Event(
                tenant_id=tenant.record.tenant_id,
                at=at,
                kind=Kind.WITHIN_QUOTA if cleared else Kind.OVER_QUOTA,
                key=name,
                before=before.usage,
                after=after.usage,
                seats=seats,
                limit=after.limit,
                used=after.used,
                excess=excess,
            )


def _edges(timelines: Iterable[Timeline], since: Instant, until: Instant) -> list[Instant]:
    return sorted({at for timeline in timelines for at, _, _ in _steps(timeline, since, until)})


def _judged(tenant: Tenant, name: str, keys: tuple[str, ...], seats: bool, now: Instant) -> Judged:
    """Usage against the limit as a question that consumes nothing finds them."""
    if keys != (name,):
        return next(pool for group, pool, _ in tenant.pools(keys[0], seats, 0, now) if group == name)
    segment = tenant.segment(name, now)
    limit = segment.state.users if seats else segment.state.amount
    return judge(limit, tenant.used(name, seats), 0, segment.covered, tenant.terms.near_quota)


def _excess(judged: Judged) -> int:
    return judged.used - judged.limit if judged.usage is Used.OVER and isinstance(judged.limit, int) else 0
