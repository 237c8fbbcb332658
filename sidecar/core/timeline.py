"""What a key of a tenant is, at every instant: a sorted list of segments between which nothing changes (domain.md 4-6).

A timeline follows from a record (its holder's too, where services are shared) and policy terms alone, so it is compiled
once and holds until either is replaced.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from sidecar.core.calendar import add_period
from sidecar.core.model import (
    FOREVER,
    SINCE_EVER,
    UNLIMITED,
    Grant,
    Instant,
    Limit,
    Period,
    Phase,
    Record,
    Standing,
    Status,
)
from sidecar.core.rules import Cut, CutFrom, Terms
from sidecar.core.standing import Outlook

RANK: Final = {phase: rank for rank, phase in enumerate(Phase)}
COVERED: Final = frozenset({Phase.ACTIVE, Phase.TRIAL})


class State(NamedTuple):
    """What holds throughout a segment. Limits have the policy's overage in them, and are 0 outside coverage."""

    status: Status
    standing: Standing
    phase: Phase
    amount: Limit = 0
    users: Limit = 0
    term_starts_at: Instant | None = None
    """Of the unbroken run of grants that holds now, else of the latest past one."""
    term_ends_at: Instant | None = None
    """The coverage end, else the latest past end; None where there is none, or no end."""
    grace_ends_at: Instant | None = None
    begins_at: Instant | None = None
    """Start of the next grant to come."""
    expiring_soon: bool = False
    cuts: tuple[str, ...] = ()
    """Names of the policy's cuts that hold."""


@dataclass(frozen=True, slots=True)
class Segment:
    """`state` holds during [starts_at, ends_at); `covered`: some grant holds. `memo` is for whoever answers from it."""

    starts_at: Instant
    ends_at: Instant
    state: State
    covered: bool
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Segments in order of time, from SINCE_EVER to FOREVER without a gap."""

    segments: tuple[Segment, ...]
    starts: tuple[Instant, ...]

    def at(self, instant: Instant) -> Segment:
        """The segment that holds an instant."""
        return self.segments[bisect_right(self.starts, instant) - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all keys of a tenant have in common."""

    zone: ZoneInfo
    terms: Terms
    cuts: tuple[Cut, ...]
    outlook: Outlook
    records: tuple[Record, ...]
    """The tenant's own, and its holder's where it shares services: the graver status of both counts."""

    def status(self, instant: Instant) -> Status:
        """The status of the tenant (domain.md 5)."""
        if any(r.archived for r in self.records):
            return Status.ARCHIVED
        held = any(b.starts_at <= instant < b.ends_at for r in self.records for b in r.blocks)
        return Status.SUSPENDED if held else Status.OPEN

    def edges(self) -> set[Instant]:
        """Every instant at which status or standing may change."""
        blocks = {edge for r in self.records for b in r.blocks for edge in (b.starts_at, b.ends_at)}
        return blocks | {self.outlook.owed_since, self.outlook.blocked_at}


@dataclass(frozen=True, slots=True)
class Run:
    """An unbroken run of grants' windows, and what the terms derive from its end."""

    starts_at: Instant
    ends_at: Instant
    grace_ends_at: Instant
    soon_at: Instant
    cuts: tuple[tuple[str, Instant, Instant], ...]

    def edges(self) -> set[Instant]:
        """Every instant at which something derived from the run may change."""
        cuts = {edge for _, start, end in self.cuts for edge in (start, end)}
        return {self.starts_at, self.ends_at, self.grace_ends_at, self.soon_at} | cuts


def key_timeline(grants: Sequence[Grant], context: Context) -> Timeline:
    """The timeline of one key, from all grants of that key on record, none of them with an empty window."""
    runs = _runs(grants, context)
    edges = context.edges().union(*(r.edges() for r in runs), *({g.starts_at, g.ends_at} for g in grants))
    return _timeline(edges, lambda t: _key_state(t, grants, runs, context))


def tenant_timeline(keys: Sequence[Timeline], context: Context) -> Timeline:
    """The timeline of a question without a key: the best phase of the tenant's keys, and neither end."""

    def state(t: Instant) -> State:
        states = [k.at(t).state for k in keys]
        return State(
            status=context.status(t),
            standing=context.outlook.at(t),
            phase=min((s.phase for s in states), key=RANK.__getitem__, default=Phase.UNLICENSED),
            begins_at=min((s.begins_at for s in states if s.begins_at is not None), default=None),
        )

    return _timeline(context.edges().union(*(k.starts for k in keys)), state)


def stretched(limit: Limit, overage: int) -> Limit:
    """A limit with `overage` percent on top, rounded down."""
    return UNLIMITED if limit is UNLIMITED else limit + limit * overage // 100


def total(limits: Iterable[Limit | None]) -> Limit:
    """The sum of what is granted; one unlimited grant makes it unlimited (domain.md 4)."""
    granted = [n for n in limits if n is not None]
    return UNLIMITED if UNLIMITED in granted else sum(n for n in granted if n is not UNLIMITED)


def _timeline(edges: set[Instant], state: Callable[[Instant], State]) -> Timeline:
    """The states from edge to edge, neighbors that differ in nothing made one."""
    ordered = sorted(edges - {SINCE_EVER, FOREVER})
    kept: list[tuple[Instant, State]] = []
    for start in (SINCE_EVER, *ordered):
        now = state(start)
        if not kept or kept[-1][1] != now:
            kept.append((start, now))
    starts = tuple(start for start, _ in kept)
    spans = pairwise((*starts, FOREVER))
    segments = (Segment(a, b, s, s.phase in COVERED) for (a, b), (_, s) in zip(spans, kept, strict=True))
    return Timeline(tuple(segments), starts)


def _runs(grants: Sequence[Grant], context: Context) -> list[Run]:
    spans: list[tuple[Instant, Instant]] = []
    for grant in sorted(grants, key=lambda g: g.starts_at):
        if spans and grant.starts_at <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], grant.ends_at))
        else:
            spans.append((grant.starts_at, grant.ends_at))
    return [_run(start, end, context) for start, end in spans]


def _run(start: Instant, end: Instant, context: Context) -> Run:
    grace_end = add_period(end, context.terms.grace, context.zone)
    anchors = {CutFrom.TERM_START: start, CutFrom.TERM_END: end, CutFrom.GRACE_END: grace_end}
    return Run(
        starts_at=start,
        ends_at=end,
        grace_ends_at=grace_end,
        soon_at=add_period(end, context.terms.expiring_soon, context.zone, times=-1),
        cuts=tuple((c.name, *_cut(anchors[c.from_], c.length, context.zone)) for c in context.cuts),
    )


def _cut(anchor: Instant, length: Period, zone: ZoneInfo) -> tuple[Instant, Instant]:
    """The window of a cut; of one counted from the end of time, nothing."""
    if anchor == FOREVER:
        return (FOREVER, FOREVER)
    other = add_period(anchor, length, zone)
    return (min(anchor, other), max(anchor, other))


def _key_state(t: Instant, grants: Sequence[Grant], runs: Sequence[Run], context: Context) -> State:
    holding = [g for g in grants if g.starts_at <= t < g.ends_at]
    run = next((r for r in reversed(runs) if r.starts_at <= t), None)
    begins_at = min((g.starts_at for g in grants if g.starts_at > t), default=None)
    status, standing = context.status(t), context.outlook.at(t)
    if run is None:
        phase = Phase.PENDING if grants else Phase.UNLICENSED
        return State(status=status, standing=standing, phase=phase, begins_at=begins_at)
    ends = run.ends_at != FOREVER
    return State(
        status=status,
        standing=standing,
        phase=_phase(t, holding, run),
        amount=stretched(total(g.amount for g in holding), context.terms.overage),
        users=stretched(total(g.users for g in holding), context.terms.overage),
        term_starts_at=run.starts_at,
        term_ends_at=run.ends_at if ends else None,
        grace_ends_at=run.grace_ends_at if ends else None,
        begins_at=begins_at,
        expiring_soon=bool(holding) and ends and t >= run.soon_at,
        cuts=tuple(name for name, start, end in run.cuts if start <= t < end),
    )


def _phase(t: Instant, holding: Sequence[Grant], run: Run) -> Phase:
    if holding:
        return Phase.TRIAL if all(g.trial for g in holding) else Phase.ACTIVE
    return Phase.GRACE if t < run.grace_ends_at else Phase.EXPIRED
