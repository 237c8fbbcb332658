"""Statements of usage, written to a store: durable before they are acknowledged (architecture 4)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sidecar.core.model import Instant
from sidecar.serving.adjust import Adjusted, Adjustment
from sidecar.serving.answers import CannotAnswer, Code

if TYPE_CHECKING:
    from sync.store.db import Store
    from sync.store.usage import Change

BUSY_TIMEOUT: Final = 2.0
"""Seconds that a statement waits for another writer."""
REFUSALS: Final[Mapping[str, Code]] = {
    "UNKNOWN_TENANT": Code.NOT_FOUND,
    "IDEMPOTENCY_CONFLICT": Code.ALREADY_EXISTS,
    "USAGE_BELOW_ZERO": Code.FAILED_PRECONDITION,
    "INVALID": Code.INVALID_ARGUMENT,
}


def refused(code: str, why: str) -> CannotAnswer:
    """How a store's refusal is told to whoever stated the usage."""
    return CannotAnswer(REFUSALS.get(code, Code.FAILED_PRECONDITION), why)


class StoreUsageWriter:
    """Writes to a store, in a file or a database. The store's library is imported when the first statement comes."""

    def __init__(
        self,
        store: str | Path,
        now: Callable[[], Instant],
        unfollowed: Callable[[], str] = str,
        map_revision: Callable[[int], int] = int,
    ) -> None:
        """`unfollowed` says why the store there is not the one that answers rest on; "": it is. `map_revision` makes a
        revision of the store one of the answers."""
        self._named: Final = store
        self._now: Final = now
        self._unfollowed: Final = unfollowed
        self._map_revision: Final = map_revision
        self._lock: Final = threading.Lock()
        self._store: Store | None = None

    def __call__(self, adjustment: Adjustment, patience: float = 0.0) -> Adjusted:
        """Writes one statement. Raises CannotAnswer, or InvalidRequest naming the field."""
        from sync.store.errors import Refused, StoreError
        from sync.store.usage import adjust_usage

        if why := self._unfollowed():  # nothing stated to another history would ever be seen in an answer
            raise CannotAnswer(Code.UNAVAILABLE, f"this store is not written to: {why}")
        try:
            done = adjust_usage(
                self._opened(),
                adjustment.tenant_id,
                adjustment.key,
                change_of(adjustment),
                idempotency_key=adjustment.idempotency_key,
                now=self._now(),
            )
            revision = self._map_revision(done.revision)
        except Refused as e:
            raise refused(e.code, str(e)) from e
        except StoreError as e:
            raise CannotAnswer(Code.UNAVAILABLE, f"the store cannot take this now: {e}") from e
        return Adjusted(units=done.units, seats=done.seats, revision=revision)

    def _opened(self) -> Store:
        from sync.store.db import open_store

        with self._lock:
            if self._store is None:
                self._store = open_store(self._named, busy_timeout=BUSY_TIMEOUT)
            return self._store


def change_of(adjustment: Adjustment) -> Change:
    """What is stated, as the store's library takes it."""
    from sync.store.usage import Absolute, Delta, SeatChange, Seats

    if adjustment.delta is not None:
        return Delta(units=adjustment.delta)
    if adjustment.absolute is not None:
        return Absolute(units=adjustment.absolute)
    return Seats(changes=tuple(SeatChange(user_id=user, held=held) for user, held in adjustment.seats or ()))
