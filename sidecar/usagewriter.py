"""Statements of usage, written to the central store: durable before they are acknowledged (architecture 4)."""

from __future__ import annotations

import threading
from collections.abc import Callable
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
REFUSALS: Final = {
    "UNKNOWN_TENANT": Code.NOT_FOUND,
    "IDEMPOTENCY_CONFLICT": Code.ALREADY_EXISTS,
    "USAGE_BELOW_ZERO": Code.FAILED_PRECONDITION,
}


class StoreUsageWriter:
    """Writes to the store in one file. The store's library is imported when the first statement comes."""

    def __init__(self, path: Path, now: Callable[[], Instant], unfollowed: Callable[[], str] = str) -> None:
        """`unfollowed` says why the store there is not the one that answers rest on; "": it is."""
        self._path: Final = path
        self._now: Final = now
        self._unfollowed: Final = unfollowed
        self._lock: Final = threading.Lock()
        self._store: Store | None = None

    def __call__(self, adjustment: Adjustment) -> Adjusted:
        """Writes one statement. Raises CannotAnswer, or InvalidRequest naming the field."""
        from sync.store.errors import Refused, StoreError
        from sync.store.usage import adjust_usage

        if why := self._unfollowed():  # nothing stated to another history would ever be seen in an answer
            raise CannotAnswer(Code.UNAVAILABLE, f"this store is not written to: {why}")
        try:
            return adjust_usage(
                self._opened(),
                adjustment.tenant_id,
                adjustment.key,
                _change(adjustment),
                idempotency_key=adjustment.idempotency_key,
                now=self._now(),
            )
        except Refused as e:
            raise CannotAnswer(REFUSALS.get(e.code, Code.FAILED_PRECONDITION), str(e)) from e
        except StoreError as e:
            raise CannotAnswer(Code.UNAVAILABLE, f"the store cannot take this now: {e}") from e

    def _opened(self) -> Store:
        from sync.store.db import open_store

        with self._lock:
            if self._store is None:
                self._store = open_store(self._path, busy_timeout=BUSY_TIMEOUT)
            return self._store


def _change(adjustment: Adjustment) -> Change:
    from sync.store.usage import Absolute, Delta, SeatChange, Seats

    if adjustment.delta is not None:
        return Delta(units=adjustment.delta)
    if adjustment.absolute is not None:
        return Absolute(units=adjustment.absolute)
    return Seats(changes=tuple(SeatChange(user_id=user, held=held) for user, held in adjustment.seats or ()))
