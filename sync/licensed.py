"""A license's records with what exists on the spot put in: units added up and seats in order over each pool. Pure."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from sidecar import records
from sidecar.core.model import Record, Seat, Usage
from sync import digest
from sync.license import License
from sync.sources import Position

SHIFT: Final = 32
"""Bits of a revision that are the usage store's; those above them are the license's serial."""
MOST_REVISIONS: Final = (1 << SHIFT) - 1
HALF: Final = digest.HEX // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatRow:
    """A seat; `number` is the order of assignment over all tenants."""

    number: int
    tenant_id: str
    key: str
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """What exists, by tenant: units by key, seats, and the usage store's revision at which that last changed."""

    units: Mapping[str, Mapping[str, int]] = field(default_factory=lambda: MappingProxyType({}))
    seats: Sequence[SeatRow] = ()
    changed: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


class Licensed:
    """A license, and who shares whose pool by it."""

    def __init__(self, license_: License) -> None:
        self.license: Final = license_
        self.owner_of: Final = {r.tenant_id: r.holder_id or r.tenant_id for r in license_.records}
        """Tenant to whose pool its usage is in."""
        self.mark: Final = _mark(license_)
        """The half of a position's mark that is the license's."""
        self._records: Final = {r.tenant_id: r for r in license_.records}
        self._members: Final[dict[str, list[str]]] = defaultdict(list)
        for record in license_.records:
            if not record.archived:  # what archived ones have is not in the pool
                self._members[self.owner_of[record.tenant_id]].append(record.tenant_id)

    def members(self, owners: Iterable[str]) -> list[str]:
        """Whose usage is in these pools."""
        return [member for owner in owners for member in self._members.get(owner, ())]

    def records(self, existing: Existing, only: Collection[str] | None = None) -> Iterator[tuple[str, bytes]]:
        """Tenants and their records: of these owners of pools, or of everyone, as served while that exists."""
        seats = defaultdict(list)
        for seat in sorted(existing.seats, key=lambda seat: seat.number):
            if not self._records[seat.tenant_id].archived:
                seats[self.owner_of[seat.tenant_id]].append(seat)
        for tenant_id in self._records if only is None else only:
            yield tenant_id, records.encode(self._record(self._records[tenant_id], existing, seats.get(tenant_id, ())))

    def _record(self, record: Record, existing: Existing, seats: Sequence[SeatRow]) -> Record:
        """A record changes with the license, and with what any of its pool's members states."""
        members = [] if record.holder_id else self._members.get(record.tenant_id, [])
        last = max((existing.changed.get(member, 0) for member in members), default=0)
        usage = _pooled(record.tenant_id, [existing.units.get(member, {}) for member in members], seats)
        return replace(record, revision=revision_of(self.license, last), usage=MappingProxyType(usage))


def revision_of(license_: License, revision: int) -> int:
    """The revision of answers that stands for one of the usage store's under a license."""
    return license_.serial << SHIFT | revision


def split(revision: int) -> tuple[int, int]:
    """Serial, and the usage store's revision, of a revision of answers."""
    return revision >> SHIFT, revision & MOST_REVISIONS


def of_usage(position: Position) -> Position:
    """What a position says of the usage store's history alone."""
    return replace(position, revision=split(position.revision)[1], mark=position.mark[HALF:])


def usage_mark(store_id: str, held: str) -> str:
    """The half of a position's mark that is the usage store's: of its identity, and of the digest of all it holds."""
    return hashlib.sha256(f"{store_id} {held}".encode()).hexdigest()[:HALF]


def _mark(license_: License) -> str:
    total = sum(digest.row_mark(r.tenant_id, records.encode(r)) for r in license_.records)
    text = f"{license_.license_id} {license_.serial} {license_.issued_at} {digest.as_text(total)}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:HALF]


def _pooled(owner: str, units: Iterable[Mapping[str, int]], seats: Iterable[SeatRow]) -> dict[str, Usage]:
    counted: dict[str, int] = defaultdict(int)
    for own in units:
        for key, count in own.items():
            counted[key] += count
    held: dict[str, list[Seat]] = defaultdict(list)
    for seat in seats:
        held[seat.key].append(Seat("" if seat.tenant_id == owner else seat.tenant_id, seat.user_id))
    keys = sorted({*held, *(key for key, count in counted.items() if count)})
    return {key: Usage(units=counted.get(key, 0), seats=tuple(held.get(key, ()))) for key in keys}
