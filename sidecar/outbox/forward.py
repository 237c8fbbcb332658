"""Where statements of usage go from the outbox: to a feed, or to a store that this sidecar reaches by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.core.errors import DeskgateError, InvalidRequest
from sidecar.core.model import Instant
from sidecar.serving.adjust import Adjusted, read_adjustment
from sidecar.usagewriter import BUSY_TIMEOUT, change_of

if TYPE_CHECKING:
    from sync.feed.calls import FeedCalls
    from sync.store.db import Store

INVALID: Final = "INVALID"
DENIED: Final = "DENIED"
"""Codes of refusals that are not the store's own: the statement makes no sense; the feed does not take it from us."""

ELSEWHERE: Final = "ANOTHER_STORE"
"""The code of a store that is not the one that the statement is meant for: it may come back."""


class Unreachable(DeskgateError):
    """Nobody takes statements now. Whether this one was taken is not known."""


class Stuck(DeskgateError):
    """This statement is not taken now, though others may well be."""


class Refusal(DeskgateError):
    """The store will not take this statement. `code` is its own, or INVALID, or DENIED."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


def _refused(code: str, why: str) -> Unreachable | Refusal:
    return Unreachable(why) if code == ELSEWHERE else Refusal(code, why)


class Forward(Protocol):
    """Sends statements. Sending one again comes to the same: each carries an idempotency key."""

    def __call__(self, request: bytes, timeout: float) -> Adjusted:
        """Sends a serialized AdjustUsageRequest; durable in the store when it returns. `timeout`: seconds.

        Raises Unreachable, Stuck or Refusal.
        """

    def close(self) -> None:
        """Ends what is under way, and every later call, with Unreachable."""


class FeedForward:
    """To a feed server."""

    def __init__(self, calls: FeedCalls, store_id: Callable[[], str] = str) -> None:
        """`store_id`: of the store that answers rest on, "" while it is not known. No other is written to."""
        self._calls: Final = calls
        self._store_id: Final = store_id

    def __call__(self, request: bytes, timeout: float) -> Adjusted:
        """See Forward."""
        from sync.feed.calls import FeedDenied, FeedFailed, FeedRefused, FeedUnreachable

        try:
            done = self._calls.adjust(pb.AdjustUsageRequest.FromString(request), timeout, self._store_id())
        except FeedFailed as e:
            raise Stuck(e.problem) from e
        except FeedUnreachable as e:
            raise Unreachable(e.problem) from e
        except FeedRefused as e:
            raise _refused(e.code, e.problem) from e
        except FeedDenied as e:
            if e.known:
                raise Refusal(DENIED, e.problem) from e
            raise Unreachable(e.problem) from e
        return Adjusted(units=done.units, seats=tuple(done.seats), revision=done.revision)

    def close(self) -> None:
        """See Forward."""
        self._calls.close()


class StoreForward:
    """To a store at a URL, whose own timeouts hold. Its library is imported when the first statement comes."""

    def __init__(self, url: str, now: Callable[[], Instant], store_id: Callable[[], str] = str) -> None:
        """`store_id`: of the store that answers rest on, "" while it is not known. No other is written to."""
        self._url: Final = url
        self._now: Final = now
        self._store_id: Final = store_id
        self._lock: Final = threading.Lock()
        self._store: Store | None = None

    def __call__(self, request: bytes, timeout: float) -> Adjusted:
        """See Forward."""
        from sync.store.errors import Refused, StoreError
        from sync.store.usage import adjust_usage

        try:
            adjustment = read_adjustment(pb.AdjustUsageRequest.FromString(request))
            done = adjust_usage(
                self._opened(),
                adjustment.tenant_id,
                adjustment.key,
                change_of(adjustment),
                idempotency_key=adjustment.idempotency_key,
                now=self._now(),
                store_id=self._store_id(),
            )
        except Refused as e:
            raise _refused(e.code, str(e)) from e
        except InvalidRequest as e:
            raise Refusal(INVALID, str(e)) from e
        except StoreError as e:
            raise Unreachable(str(e)) from e
        return Adjusted(units=done.units, seats=done.seats, revision=done.revision)

    def close(self) -> None:
        """See Forward: a store's call ends by itself."""

    def _opened(self) -> Store:
        from sync.store.db import open_store

        with self._lock:
            if self._store is None:
                self._store = open_store(self._url, busy_timeout=BUSY_TIMEOUT)
            return self._store
