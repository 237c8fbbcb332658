"""How old the data may be (domain.md 7). Pure."""

from __future__ import annotations

from sidecar.core.model import Freshness, Instant
from sidecar.core.rules import Thresholds


def freshness(last_contact: Instant | None, thresholds: Thresholds, now: Instant) -> Freshness:
    """LIVE, or STALE or BLIND once the last contact is longer ago than its threshold; BLIND without any contact.

    A contact that lies ahead of `now`, as after the clock was settled, is LIVE.
    """
    if last_contact is None:
        return Freshness.BLIND
    age = now - last_contact
    if age <= thresholds.stale_after and age <= thresholds.blind_after:
        return Freshness.LIVE
    return Freshness.BLIND if age > thresholds.blind_after else Freshness.STALE
