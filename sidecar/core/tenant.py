"""A tenant as decisions see it: its record and its holder's under a policy book, timelines compiled when asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sidecar.core.book import Applied, Book
from sidecar.core.calendar import zone_of
from sidecar.core.facts import Judged, judge
from sidecar.core.model import NO_USAGE, Grant, Instant, Record
from sidecar.core.rules import Terms, Thresholds
from sidecar.core.standing import outlook
from sidecar.core.timeline import Context, Segment, Timeline, key_timeline, tenant_timeline, total

WHOLE: Final = ""
"""Stands for the tenant as a whole, of which a question without a key asks."""
UNGRANTED: Final = "\0"
"""Stands for every key that the record does not grant: they all share one timeline."""


class Tenant:
    """Frozen in what it says: what is filled in later follows from the record and the book alone.

    Threads may fill the same place twice, with equal values.
    """

    __slots__ = (
        "_grants",
        "_seats",
        "_timelines",
        "applied",
        "context",
        "grouped",
        "holder",
        "keys",
        "per_user",
        "record",
        "segments",
        "terms",
        "thresholds",
    )

    def __init__(self, record: Record, holder: Record, book: Book) -> None:
        """`holder` is the record whose services are used: the tenant's own, or the ancestor's it names."""
        self.record: Final = record
        self.holder: Final = holder
        self.applied: Final[Applied] = book.applied(record)
        self.thresholds: Final[Thresholds] = self.applied.thresholds
        self.grouped: Final = bool(self.applied.table.groups)
        """Whether some rule judges by a group of keys."""
        self.terms: Final[Terms] = book.applied(holder).terms
        zone = zone_of(holder.zone)
        self.context: Final = Context(
            zone=zone,
            terms=self.terms,
            cuts=book.cuts,
            outlook=outlook(holder.account, zone),
            records=(record,) if record is holder else (record, holder),
        )
        self._grants: Final = _by_key(holder)
        self.keys: Final = frozenset(self._grants)
        self.per_user: Final = frozenset(
            k for k, grants in self._grants.items() if any(g.users is not None for g in grants)
        )
        self._timelines: Final[dict[str, Timeline]] = {}
        self.segments: Final[dict[str, Segment]] = {}
        """By key, the segment last found: as a rule it still holds."""
        self._seats: Final[dict[str, Mapping[tuple[str, str], int]]] = {}

    def segment(self, kind: str, now: Instant) -> Segment:
        """The segment of a key, or, for "", of the tenant as a whole, that holds an instant."""
        if kind and kind not in self.keys:
            kind = UNGRANTED
        found = self.segments.get(kind)
        if found is None or not found.starts_at <= now < found.ends_at:
            found = self.segments[kind] = self.timeline(kind).at(now)
        return found

    def timeline(self, kind: str) -> Timeline:
        """The whole timeline of a key, or, for "", of the tenant."""
        found = self._timelines.get(kind)
        if found is None:
            if kind == WHOLE:
                found = tenant_timeline([self.timeline(k) for k in sorted(self.keys)], self.context)
            else:
                found = key_timeline(self._grants.get(kind, ()), self.context)
            if kind in self.keys or kind in (WHOLE, UNGRANTED):
                self._timelines[kind] = found
        return found

    def used(self, kind: str, seated: bool) -> int:
        """Seats held of a key, or units that exist of it."""
        usage = self.holder.usage.get(kind, NO_USAGE)
        return len(usage.seats) if seated else usage.units

    def seat(self, kind: str, user_id: str) -> int | None:
        """The place, from 0, of this tenant's user in the order of assignment; None: the user holds no seat."""
        places = self._seats.get(kind)
        if places is None:
            usage = self.holder.usage.get(kind)
            if usage is None:
                return None
            own = self.holder.tenant_id
            places = {(s.tenant_id or own, s.user_id): i for i, s in enumerate(usage.seats)}
            self._seats[kind] = places
        return places.get((self.record.tenant_id, user_id))

    def epoch(self, kind: str, now: Instant) -> tuple[Instant, ...]:
        """What tells one state of the key groups that are judged with a key from another; usually there are none."""
        groups = self.applied.table.groups
        return tuple(self.segment(k, now).starts_at for keys in groups.values() if kind in keys for k in keys)

    def pools(self, kind: str, seated: bool, n: int, now: Instant) -> tuple[tuple[str, Judged, Instant], ...]:
        """Usage against the limit of each judged key group that holds the key: sums over its keys."""
        groups = self.applied.table.groups
        return tuple((name, *self._pool(keys, seated, n, now)) for name, keys in groups.items() if kind in keys)

    def _pool(self, keys: tuple[str, ...], seated: bool, n: int, now: Instant) -> tuple[Judged, Instant]:
        segments = [self.segment(k, now) for k in keys]
        limit = total(s.state.users if seated else s.state.amount for s in segments)
        used = sum(self.used(k, seated) for k in keys)
        covered = any(s.covered for s in segments)
        return judge(limit, used, n, covered, self.terms.near_quota), min(s.ends_at for s in segments)


def _by_key(record: Record) -> Mapping[str, list[Grant]]:
    """Grants by key; one whose window is empty is no grant (domain.md 4)."""
    found: dict[str, list[Grant]] = {}
    for grant in record.grants:
        if grant.starts_at < grant.ends_at:
            found.setdefault(grant.key, []).append(grant)
    return found
