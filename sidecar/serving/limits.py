"""A bound on calls in flight: what comes on top is refused at once, not queued."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from sidecar.observe.metrics import Metrics


class BoundedPool(ThreadPoolExecutor):
    """A thread pool that knows how much it has in hand, waiting or at work, and whether that is too much.

    Work is counted by the pool itself, from `submit` to its end, so that no fate of a call (cancelled, cut off, failed)
    can leave a count behind.
    """

    def __init__(self, *, threads: int, bound: int, metrics: Metrics) -> None:
        super().__init__(max_workers=threads, thread_name_prefix="check")
        self._bound: Final = bound
        self._metrics: Final = metrics
        self._pending: Final[set[Future[Any]]] = set()

    @property
    def in_flight(self) -> int:
        """Calls waiting or at work."""
        return len(self._pending)

    def full(self) -> bool:
        """Whether a further call is too much; it is counted as shed."""
        if self.in_flight < self._bound:
            return False
        self._metrics.shed()
        return True

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Counts the work until it is done."""
        future = super().submit(fn, *args, **kwargs)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future
