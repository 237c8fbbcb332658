"""What a sidecar asks of its store beside following it: usage is stated there, and single tenants are fetched.

A store on this machine is written to directly, and all of it is held here. With a store over a network, statements go
by an outbox on disk, and what is not held yet can be fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sidecar.core.calendar import format_instant
from sidecar.fetch import FeedFetch, StoreFetch
from sidecar.observe.logs import log
from sidecar.observe.metrics import Metrics
from sidecar.observe.status import OutboxStatus
from sidecar.outbox.file import Outbox
from sidecar.outbox.forward import FeedForward, Forward, StoreForward
from sidecar.outbox.rows import Counts, OutboxError
from sidecar.outbox.sender import Sender
from sidecar.outbox.writer import OutboxUsageWriter
from sidecar.serving.adjust import UsageWriter
from sidecar.serving.fetching import RESULTS, Fetch
from sidecar.settings import Settings
from sidecar.state.applier import Applier
from sidecar.state.clock import Clock
from sidecar.usagewriter import StoreUsageWriter
from sync import storeurl
from sync.sources import Position

if TYPE_CHECKING:
    from sync.feed.calls import FeedCalls

WRITERS: Final = 2
"""Calls that state usage to a store on this machine at a time: its writers take turns."""
WAITING_WRITERS: Final = 16
"""Calls that state usage to a store over a network at a time: they only wait."""
_log: Final = log("outbox")


class Reach:
    """The way to a store on this machine: nothing to start, and nothing is fetched."""

    writers: int = WRITERS
    fetch: Fetch | None = None

    def __init__(self, adjust: UsageWriter) -> None:
        self.adjust: Final = adjust

    def start(self) -> None:
        """Begins to send what waits to be sent."""

    def wake(self) -> None:
        """The store is in touch again."""

    def stop(self) -> None:
        """Sends no more; after the last call."""

    def counts(self) -> Counts | None:
        """What waits to be sent; None: nothing ever does, or nobody can say."""
        return None

    def set_aside(self) -> int:
        """Damaged outboxes that are still there."""
        return 0

    def status(self) -> OutboxStatus | None:
        """All about it, for people; None: there is no outbox."""
        return None


class NetworkReach(Reach):
    """The way to a store over a network."""

    writers = WAITING_WRITERS

    def __init__(
        self, outbox: Outbox, sender: Sender, clock: Clock, fetch: Fetch, calls: FeedCalls | None = None
    ) -> None:
        super().__init__(OutboxUsageWriter(sender, clock.now))
        self.fetch = fetch
        self._outbox: Final = outbox
        self._sender: Final = sender
        self._calls: Final = calls

    def start(self) -> None:
        """See Reach. An outbox that cannot be opened now is opened when a statement comes."""
        try:
            self._outbox.open()
        except OutboxError as e:
            _log.error("the outbox cannot be opened: statements of usage are not taken", problem=str(e))
        self._sender.start()

    def wake(self) -> None:
        """See Reach."""
        self._sender.wake()

    def stop(self) -> None:
        """See Reach."""
        if self._calls is not None:
            self._calls.close()
        self._sender.stop()
        self._outbox.close()

    def counts(self) -> Counts | None:
        """See Reach."""
        try:
            return self._outbox.counts()
        except OutboxError:
            return None

    def set_aside(self) -> int:
        """See Reach."""
        return len(self._outbox.aside())

    def status(self) -> OutboxStatus:
        """See Reach."""
        counts = self.counts()
        return OutboxStatus(
            file=str(self._outbox.path),
            pending=counts.pending if counts else 0,
            refused=counts.refused if counts else 0,
            oldest_at=format_instant(counts.oldest) if counts and counts.oldest is not None else "",
            not_sent_because=self._sender.problem,
            set_aside=tuple(map(str, self._outbox.aside())),
            usable=counts is not None,
        )


def reach_of(
    settings: Settings,
    *,
    path: Path,
    applier: Applier,
    clock: Clock,
    metrics: Metrics,
    unfollowed: Callable[[], str],
) -> Reach:
    """The way to the store that the settings name; `path` is that of the outbox. `unfollowed` says why the store there
    is not the one that answers rest on; "": it is. Raises UnknownSource."""
    if settings.store_kind not in (storeurl.POSTGRESQL, storeurl.DESKGATE):
        revisions = _revisions_of_answers(settings)
        return Reach(StoreUsageWriter(settings.written_store or "", clock.now, unfollowed, revisions))
    for result in RESULTS:
        metrics.declare("fetches_total", result)
    calls, forward, fetch = _ways(settings, applier, clock, unfollowed)
    outbox = Outbox(path, limit=settings.outbox_limit)

    def held_back() -> str:
        """Only a store that is followed is known to be of the history that the statements belong to."""
        if applier.in_touch:
            return ""
        return applier.failing.problem if applier.failing else "the store has not been in touch yet"

    sender = Sender(
        outbox, forward, held_back=held_back, on_sent=metrics.outbox_sent, on_refused=metrics.outbox_refused
    )
    return NetworkReach(outbox, sender, clock, fetch, calls)


def _ways(
    settings: Settings, applier: Applier, clock: Clock, unfollowed: Callable[[], str]
) -> tuple[FeedCalls | None, Forward, Fetch]:
    """How statements go there, and tenants come from there."""

    def held() -> Position | None:
        return applier.held

    def store_id() -> str:
        return applier.held.store_id if applier.held else ""

    if settings.store_kind == storeurl.POSTGRESQL:
        url = settings.store
        return None, StoreForward(url, clock.now, store_id), StoreFetch(url, held=held, unfollowed=unfollowed)
    from sync.feed.calls import FeedCalls
    from sync.opening import feed_target

    calls = FeedCalls(feed_target(settings.store, settings.source_options))
    return (
        calls,
        FeedForward(calls, store_id),
        FeedFetch(calls, held=held, unfollowed=unfollowed),
    )


def _revisions_of_answers(settings: Settings) -> Callable[[int], int]:
    """What makes a revision of the store that is written to one of answers."""
    if settings.store_kind != storeurl.LICENSE:
        return int
    from sync.usagestore import VisibleAt

    return VisibleAt(settings.usage_store)
