"""What a sidecar tells of itself: gauges for Prometheus, status for people. It only reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidecar.core.calendar import format_instant
from sidecar.core.model import SECOND, Freshness, Instant
from sidecar.observe.status import ClockStatus, ServingStatus, Status, StoreStatus, TenantStatus
from sidecar.version import VERSION

if TYPE_CHECKING:
    from sidecar.app import Sidecar
    from sidecar.outbox.rows import Counts


class Telling:
    """Reads one sidecar."""

    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar: Final = sidecar
        self._started_at: Final = sidecar.clock.machine

    def measure(self) -> None:
        """Says how each gauge is measured, at each scrape."""
        sidecar = self._sidecar
        gauge, applier, policies, worlds = (
            sidecar.metrics.gauge,
            sidecar.applier,
            sidecar.policies,
            sidecar.worlds,
        )
        gauge("ready", lambda: float(not sidecar.unready()))
        gauge("calls_in_flight", lambda: sidecar.front.in_flight)
        gauge("tenants_held", self._held)
        gauge("tenants_compiled", lambda: worlds.compiled_count)
        gauge("sync_revision", lambda: applier.revision)
        gauge("sync_last_contact_timestamp_seconds", lambda: _seconds(applier.last_contact))
        gauge("sync_last_applied_timestamp_seconds", lambda: _seconds(applier.last_applied))
        gauge("sync_history_gone_back", lambda: float(applier.history_gone_back))
        gauge("freshness", lambda: {(f.value,): float(f is self._freshness()) for f in Freshness})
        gauge("clock_offset_seconds", lambda: sidecar.clock.offset / SECOND)
        gauge("policy_info", lambda: {(policies.policy_set.revision,): 1.0})
        gauge("policy_last_reload_ok", lambda: float(policies.last_reload_ok))
        gauge("policy_last_reload_timestamp_seconds", lambda: _seconds(policies.last_reload_at))
        reach = sidecar.reach
        gauge("outbox_pending", lambda: _count(reach.counts(), "pending"))
        gauge("outbox_oldest_timestamp_seconds", lambda: _oldest(reach.counts()))
        gauge("outbox_kept", lambda: _count(reach.counts(), "refused"))
        gauge("outbox_set_aside", reach.set_aside)

    def status(self) -> Status:
        """The whole state at this moment."""
        sidecar = self._sidecar
        return Status(
            version=VERSION,
            settings_digest=sidecar.settings.digest,
            serving=ServingStatus(
                ready=not sidecar.unready(),
                not_ready_because=tuple(sidecar.unready()),
                addresses=sidecar.addresses,
                in_flight=sidecar.front.in_flight,
                started_at=format_instant(self._started_at),
            ),
            policies=sidecar.policies.status(),
            store=self._store(),
            outbox=sidecar.reach.status(),
            clock=ClockStatus(
                now=format_instant(sidecar.clock.now()),
                machine=format_instant(sidecar.clock.machine),
                offset_seconds=sidecar.clock.offset / SECOND,
                floor=format_instant(sidecar.clock.floor),
                source=sidecar.clock.source,
            ),
            tenants=TenantStatus(held=self._held(), compiled=sidecar.worlds.compiled_count),
        )

    def _store(self) -> StoreStatus:
        applier = self._sidecar.applier
        return StoreStatus(
            source=self._sidecar.settings.store_name,
            store_id=applier.held.store_id if applier.held else "",
            revision=applier.revision,
            last_contact_at=_shown(applier.last_contact),
            last_applied_at=_shown(applier.last_applied),
            freshness=self._freshness().value,
            history_gone_back=applier.history_gone_back,
            last_error=str(applier.failing or ""),
        )

    def _held(self) -> int:
        world = self._sidecar.worlds.current
        return world.tenants.count if world else 0

    def _freshness(self) -> Freshness:
        """By the thresholds that hold for everyone."""
        sidecar = self._sidecar
        return sidecar.applier.freshness_of(sidecar.worlds.book.general.thresholds, sidecar.clock.now())


def _count(counts: Counts | None, name: str) -> float | None:
    return None if counts is None else float(getattr(counts, name))


def _oldest(counts: Counts | None) -> float | None:
    return None if counts is None else _seconds(counts.oldest)


def _seconds(instant: Instant | None) -> float | None:
    return None if instant is None else instant / SECOND


def _shown(instant: Instant | None) -> str:
    return "" if instant is None else format_instant(instant)
