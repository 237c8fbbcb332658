"""Every tenant's record as bytes, in a map that is replaced, never changed (architecture 2.4 and 2.9).

The map is cut into shards, so that a change copies the shards it touches and not the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

SHARDS: Final = 1024


class Tenants:
    """Tenant id to record bytes. Frozen: `changed` gives another one, sharing what did not change."""

    __slots__ = ("_shards", "count")

    def __init__(self, shards: tuple[Mapping[str, bytes], ...] | None = None, count: int = 0) -> None:
        self._shards: Final = shards if shards is not None else tuple({} for _ in range(SHARDS))
        self.count: Final = count

    def get(self, tenant_id: str) -> bytes | None:
        """The record of a tenant, or None."""
        return self._shards[hash(tenant_id) % SHARDS].get(tenant_id)

    def parts(self) -> list[Mapping[str, bytes]]:
        """What it is made of: whoever holds that can let go of it piece by piece."""
        return list(self._shards)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        for shard in self._shards:
            yield from shard.items()

    def changed(self, changes: Iterable[tuple[str, bytes | None]]) -> Tenants:
        """The map after each change: a record to put, or None to take the tenant out."""
        shards = list(self._shards)
        copied: dict[int, dict[str, bytes]] = {}
        count = self.count
        for tenant_id, record in changes:
            number = hash(tenant_id) % SHARDS
            shard = copied.get(number)
            if shard is None:
                shard = shards[number] = copied[number] = dict(shards[number])
            count -= tenant_id in shard
            if record is None:
                shard.pop(tenant_id, None)
            else:
                shard[tenant_id] = record
                count += 1
        return Tenants(tuple(shards), count)
