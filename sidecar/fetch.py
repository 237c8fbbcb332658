"""Single tenants from a store over a network: by a feed server, or from a store that this sidecar reads by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sidecar.serving.fetching import Fetched, FetchFailed
from sync.sources import Position

if TYPE_CHECKING:
    from sync.feed.calls import FeedCalls
    from sync.store.db import Store

BUSY_TIMEOUT: Final = 2.0
Held = Callable[[], Position | None]
"""How far the world is that answers rest on; None: there is none."""


class FeedFetch:
    """From feed servers."""

    def __init__(self, calls: FeedCalls, *, held: Held, unfollowed: Callable[[], str] = str) -> None:
        """`unfollowed` says why the store there is not the one that answers rest on; "": it is."""
        self._calls: Final = calls
        self._held: Final = held
        self._unfollowed: Final = unfollowed

    def __call__(self, tenant_id: str, min_revision: int, timeout: float) -> Fetched | None:
        """See Fetch."""
        from sync.feed.calls import FeedDenied, FeedError

        _refuse(self._unfollowed())
        held = self._held()
        try:
            got = self._calls.get(tenant_id, min_revision, timeout)
        except FeedDenied as e:
            if e.known:
                return None
            raise FetchFailed(e.problem) from e
        except FeedError as e:
            raise FetchFailed(e.problem) from e
        _refuse(_elsewhere(held, got.position))
        return Fetched(store_id=got.position.store_id, revision=got.position.revision, records=got.records)


class StoreFetch:
    """From a store at a URL, whose own timeouts hold. It does not wait for a revision: the store is where that is made.

    The store's library is imported when the first tenant is asked for.
    """

    def __init__(self, url: str, *, held: Held, unfollowed: Callable[[], str] = str) -> None:
        """`unfollowed` says why the store there is not the one that answers rest on; "": it is."""
        self._url: Final = url
        self._held: Final = held
        self._unfollowed: Final = unfollowed
        self._lock: Final = threading.Lock()
        self._store: Store | None = None

    def __call__(self, tenant_id: str, min_revision: int, timeout: float) -> Fetched | None:
        """See Fetch."""
        from sync.feed.reading import look, with_holders
        from sync.store.errors import StoreError

        _refuse(self._unfollowed())
        held = self._held()
        try:
            with self._opened().reading() as conn:
                position = look(conn, None).head.position
                found = with_holders(conn, [tenant_id])
        except StoreError as e:
            raise FetchFailed(str(e)) from e
        _refuse(_elsewhere(held, position))
        records = tuple(found.items()) if tenant_id in found else ()
        return Fetched(store_id=position.store_id, revision=position.revision, records=records)

    def _opened(self) -> Store:
        from sync.store.db import open_store

        with self._lock:
            if self._store is None:
                self._store = open_store(self._url, busy_timeout=BUSY_TIMEOUT)
            return self._store


def _elsewhere(held: Position | None, found: Position) -> str:
    """Why the store is not where it must be, given how far the world was when it was asked; "": it may be."""
    if held is None or held.precedes(found):
        return ""
    return "the store answers from another history than the one that is followed, or an earlier state of it"


def _refuse(why: str) -> None:
    if why:
        raise FetchFailed(why)
