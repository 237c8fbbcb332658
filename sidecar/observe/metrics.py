"""What is counted and measured, and how it is shown to Prometheus. Never by tenant.

The hot path counts through a `Recorder`, one per thread; everything else is a gauge that is asked at each scrape.
"""

from __future__ import annotations

import platform
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from sidecar.observe.slots import Family, Labels, Tallies, Tally

PREFIX: Final = "deskgate_"
BOUNDS: Final = (
    *(0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005),
    *(0.01, 0.02, 0.05, 0.1, 0.5, 2.5),
)
"""Upper bounds of the latency buckets, in seconds."""

GaugeValue = float | Mapping[Labels, float] | None
"""A number; or, for a gauge with labels, one for each set of their values; None: nothing to show now."""
GaugeFunction = Callable[[], GaugeValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What a metric is called (without prefix), what it tells, and by what it is told apart."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    bound: int = 2
    """How many label sets a counter keeps apart at most, "other" included."""


COUNTERS: Final = (
    Described(
        name="decisions_total",
        help="Decisions, by action (one that no policy names counts as other), effect and reason.",
        labels=("action", "effect", "reason"),
        bound=1024,
    ),
    Described(name="calls_total", help="gRPC calls, by method and status.", labels=("method", "status"), bound=128),
    Described(name="calls_shed_total", help="Calls refused because too many were in flight."),
    Described(name="memo_hits_total", help="Decisions answered from what a timeline's segment remembers."),
    Described(name="memo_misses_total", help="Decisions worked out anew."),
    Described(
        name="when_errors_total", help="Expressions of policy rules that failed, by rule.", labels=("rule",), bound=256
    ),
    Described(name="records_invalid_total", help="Entitlement records that broke their own invariants."),
    Described(
        name="sync_failures_total",
        help="Attempts to follow the store that failed, by kind.",
        labels=("kind",),
        bound=32,
    ),
    Described(
        name="local_copy_failures_total",
        help="Attempts to read or write the local copy that failed, by kind.",
        labels=("kind",),
        bound=32,
    ),
    Described(name="clock_failures_total", help="Times that the clock's memory could not be kept on disk."),
    Described(
        name="fetches_total",
        help="Calls to the store for a single tenant, by result: got, unknown, denied or failed.",
        labels=("result",),
        bound=5,
    ),
    Described(name="outbox_sent_total", help="Statements of usage that the store took from the outbox."),
    Described(
        name="outbox_refused_total",
        help="Statements of usage that were acknowledged and then refused by the store, by its code.",
        labels=("code",),
        bound=16,
    ),
    Described(name="policy_reloads_total", help="Policy sets read, by result: ok or bad.", labels=("result",), bound=3),
)

LATENCY: Final = Described(name="check_seconds", help="Time from a Check's request bytes to its answer bytes.")

GAUGES: Final = (
    Described(name="build_info", help="1; which version runs, on which Python.", labels=("version", "python")),
    Described(name="ready", help="1 when calls are answered, else 0."),
    Described(name="calls_in_flight", help="Calls waiting or at work."),
    Described(name="tenants_held", help="Tenants whose records are held."),
    Described(name="tenants_compiled", help="Tenants whose timelines are held compiled."),
    Described(name="sync_revision", help="Highest revision of the store wholly applied."),
    Described(name="sync_last_contact_timestamp_seconds", help="When the store was last in touch."),
    Described(name="sync_last_applied_timestamp_seconds", help="When a revision was last applied."),
    Described(name="sync_history_gone_back", help="1 while the store offered is not followed: replaced or set back."),
    Described(
        name="freshness", help="1 for the state that holds by default terms, 0 for the others.", labels=("state",)
    ),
    Described(name="clock_offset_seconds", help="The machine's clock less the instant that is decided by."),
    Described(name="outbox_pending", help="Statements of usage that wait to be sent to the store."),
    Described(name="outbox_oldest_timestamp_seconds", help="When the oldest of them was stated."),
    Described(name="outbox_kept", help="Statements of usage that the store refused, kept for an operator."),
    Described(name="outbox_set_aside", help="Damaged files of the outbox that were set aside and are still there."),
    Described(name="policy_info", help="1; the revision of the policy set in force.", labels=("revision",)),
    Described(name="policy_last_reload_ok", help="1 when the policy files as last read were good, else 0."),
    Described(name="policy_last_reload_timestamp_seconds", help="When the policy files were last read anew."),
)

CATALOGUE: Final[Mapping[str, Described]] = {PREFIX + d.name: d for d in (*COUNTERS, LATENCY, *GAUGES)}
"""Every metric of deskgate's own, by its full name."""


class Recorder:
    """Counts for one thread; get it by `Metrics.recorder()` in that very thread."""

    __slots__ = ("_buckets", "_calls", "_counts", "_hit", "_miss", "_tally")

    def __init__(self, tally: Tally, calls: Family, hit: int, miss: int) -> None:
        self._tally: Final = tally
        self._counts: Final = tally.counts
        self._buckets: Final = tally.buckets
        self._calls: Final = calls
        self._hit: Final = hit
        self._miss: Final = miss

    def decision(self, slot: int, remembered: bool) -> None:
        """One decision, remembered or worked out anew; `slot` is from `Metrics.decision_slot`."""
        counts = self._counts
        counts[slot] += 1
        counts[self._hit if remembered else self._miss] += 1

    def call(self, method: str, status: str) -> None:
        """One call that ended with the named gRPC status."""
        self._counts[self._calls.slot(method, status)] += 1

    def latency(self, seconds: float) -> None:
        """How long one Check took."""
        self._buckets[bisect_left(BOUNDS, seconds)] += 1
        self._tally.seconds += seconds

    def count(self, slot: int) -> None:
        """One of whatever `slot` counts."""
        self._counts[slot] += 1


class Metrics(Collector):
    """All metrics of one sidecar, in a registry of their own."""

    def __init__(self, *, version: str) -> None:
        self._families: Final = _families()
        self._decisions: Final = self._families["decisions_total"]
        self._tallies: Final = Tallies(slots=sum(d.bound for d in COUNTERS), bounds=BOUNDS)
        self._gauges: Final[dict[str, GaugeFunction]] = {}
        self._local: Final = threading.local()
        for described in COUNTERS:
            if not described.labels:
                self._families[described.name].declare()
        for result in ("ok", "bad"):
            self._families["policy_reloads_total"].declare(result)
        self.gauge("build_info", lambda: {(version, platform.python_version()): 1})
        self.registry: Final = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def recorder(self) -> Recorder:
        """The calling thread's recorder."""
        try:
            return self._local.recorder  # type: ignore[no-any-return]
        except AttributeError:
            recorder = self._local.recorder = Recorder(
                self._tallies.join(),
                self._families["calls_total"],
                self._families["memo_hits_total"].slot(),
                self._families["memo_misses_total"].slot(),
            )
            return recorder

    def decision_slot(self, action: str, effect: str, reason: str) -> int:
        """The slot that counts decisions of this kind, for `Recorder.decision`; `reason` is empty when allowed."""
        return self._decisions.slot(action, effect, reason)

    def shed(self) -> None:
        """Counts a call refused because too many were in flight."""
        self._count("calls_shed_total")

    def when_error(self, rule: str) -> None:
        """Counts an expression that failed."""
        self._count("when_errors_total", rule)

    def record_invalid(self) -> None:
        """Counts a record that nothing may be decided from."""
        self._count("records_invalid_total")

    def sync_failure(self, kind: str) -> None:
        """Counts a failed attempt to follow the store."""
        self._count("sync_failures_total", kind)

    def local_copy_failure(self, kind: str) -> None:
        """Counts a failed attempt to read or write the local copy."""
        self._count("local_copy_failures_total", kind)

    def fetch(self, result: str) -> None:
        """Counts a call for a single tenant."""
        self._count("fetches_total", result)

    def outbox_sent(self) -> None:
        """Counts a statement that the store took from the outbox."""
        self._count("outbox_sent_total")

    def outbox_refused(self, code: str) -> None:
        """Counts a statement that was acknowledged and then refused."""
        self._count("outbox_refused_total", code)

    def clock_failure(self) -> None:
        """Counts a time that the clock's memory could not be kept."""
        self._count("clock_failures_total")

    def policy_reload(self, *, ok: bool) -> None:
        """Counts a reading of the policy files."""
        self._count("policy_reloads_total", "ok" if ok else "bad")

    def declare(self, name: str, *values: str) -> None:
        """Shows a counter's label values from the start, at zero; `name` as in COUNTERS."""
        self._families[name].declare(*values)

    def gauge(self, name: str, function: GaugeFunction) -> None:
        """Says how a gauge of GAUGES is measured, at each scrape; quick, and from any thread. Raises KeyError."""
        if PREFIX + name not in CATALOGUE:
            raise KeyError(f"{name} is not in the catalogue of metrics")
        self._gauges[name] = function

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics as text and its content type, in the format that an Accept header asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def collect(self) -> Iterator[Metric]:
        """Every family that has something to show; what the registry calls at each scrape."""
        total = self._tallies.total()
        for described in COUNTERS:
            yield self._counter(described, total)
        yield _latency(total)
        for described in GAUGES:
            function = self._gauges.get(described.name)
            value = None if function is None else function()
            if value is not None:
                yield _gauge(described, value)

    def _count(self, name: str, *values: str) -> None:
        self.recorder().count(self._families[name].slot(*values))

    def _counter(self, described: Described, total: Tally) -> Metric:
        metric = CounterMetricFamily(PREFIX + described.name, described.help, labels=described.labels)
        for values, count in self._families[described.name].read(total.counts):
            metric.add_metric(values, count)
        return metric


def _families() -> dict[str, Family]:
    families, first = {}, 0
    for described in COUNTERS:
        families[described.name] = Family(first=first, labels=described.labels, bound=described.bound)
        first += described.bound
    return families


def _latency(total: Tally) -> Metric:
    rising, buckets = 0, []
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), total.buckets, strict=True):
        rising += count
        buckets.append((bound, float(rising)))
    return HistogramMetricFamily(PREFIX + LATENCY.name, LATENCY.help, buckets=buckets, sum_value=total.seconds)


def _gauge(described: Described, value: float | Mapping[Labels, float]) -> Metric:
    metric = GaugeMetricFamily(PREFIX + described.name, described.help, labels=described.labels)
    for values, number in value.items() if isinstance(value, Mapping) else [((), value)]:
        metric.add_metric(values, number)
    return metric
