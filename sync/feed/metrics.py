"""What a feed server counts and measures, for Prometheus. Never by tenant, and never by watcher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server
from prometheus_client.process_collector import ProcessCollector

from sidecar.address import Address
from sync.feed.hub import Hub
from sync.listening import CannotServe


class FeedMetrics:
    """All metrics of one server, in a registry of their own."""

    def __init__(self, hub: Hub, watchers: Callable[[], int]) -> None:
        registry = CollectorRegistry()
        self.registry: Final = registry
        ProcessCollector(registry=registry)

        def gauge(name: str, text: str, value: Callable[[], float]) -> None:
            Gauge(f"deskgate_feed_{name}", text, registry=registry).set_function(value)

        gauge("watchers", "Watches that are open.", watchers)
        gauge("revision", "Where the store is, as far as is known here.", lambda: hub.head.revision if hub.head else 0)
        gauge("in_touch", "1 while the store answers, else 0.", lambda: float(hub.in_touch))
        gauge("window_bytes", "Memory that the latest changes take.", lambda: hub.window.size)
        self.events: Final = Counter("deskgate_feed_events_total", "Events sent to watchers.", registry=registry)
        self.bytes: Final = Counter("deskgate_feed_bytes_total", "Bytes of them.", registry=registry)
        self.snapshots: Final = Counter(
            "deskgate_feed_snapshots_total", "Times that a watcher was sent the whole store.", registry=registry
        )
        labels = ("method", "status")
        self.calls: Final = Counter(
            "deskgate_feed_calls_total", "Calls that were ended here, by method and status.", labels, registry=registry
        )

    def serve(self, address: Address) -> None:
        """Serves them over HTTP, on a thread of its own, for as long as the process lives. Raises CannotServe."""
        try:
            start_http_server(address.port, address.host, registry=self.registry)
        except OSError as e:
            raise CannotServe(f"the metrics cannot be served at {address}: {e}") from e
