"""What a `when:` expression may read, made from a question and a tenant (core/rules.py VARIABLES)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sidecar.core.calendar import EPOCH_UTC
from sidecar.core.facts import Ask, Details, Facts
from sidecar.core.model import UNLIMITED, Instant
from sidecar.core.rules import Used
from sidecar.core.tenant import Tenant


def variables(tenant: Tenant, ask: Ask, details: Details, facts: Facts, now: Instant) -> Mapping[str, object]:
    """Every variable by name, timestamps as aware datetimes in UTC."""
    record, state = tenant.record, facts.segment.state
    return {
        "now": _moment(now),
        "action": ask.action,
        "group": facts.shape.group.value if facts.shape.group else "",
        "quantity": ask.quantity,
        "tenant.id": record.tenant_id,
        "tenant.edition": record.edition,
        "tenant.tags": list(record.tags),
        "tenant.language": record.language,
        "tenant.time_zone": tenant.context.zone.key,
        "tenant.status": state.status.value,
        "tenant.standing": state.standing.value,
        "resource.kind": facts.kind,
        "resource.id": details.resource_id,
        "resource.licensed": ask.licensed,
        "resource.attributes": dict(details.resource_attributes),
        "subject.user_id": details.user_id,
        "request.attributes": dict(details.attributes),
        "window.given": ask.window_ends_at is not None,
        "window.starts_at": _moment(ask.window_starts_at),
        "window.ends_at": _moment(ask.window_ends_at),
        "phase": state.phase.value,
        "freshness": facts.freshness.value,
        "term.ends": state.term_ends_at is not None,
        "term.ends_at": _moment(state.term_ends_at),
        **_quota(facts),
    }


def _quota(facts: Facts) -> Mapping[str, object]:
    own = facts.own
    numbers = {"quota.limit": 0, "quota.used": 0, "quota.fits": 0, "quota.excess": 0}
    if own is not None:
        numbers["quota.used"] = own.used
        if own.limit is not UNLIMITED and own.usage is not Used.UNCOUNTED:
            numbers["quota.limit"] = own.limit
            numbers["quota.fits"] = max(0, own.limit - own.used)
            numbers["quota.excess"] = max(0, own.used - own.limit)
    unlimited = own is not None and own.limit is UNLIMITED
    return {"quota.counted": own is not None, "quota.unlimited": unlimited, **numbers}


def _moment(instant: Instant | None) -> datetime:
    return EPOCH_UTC + timedelta(microseconds=min(max(instant or 0, -62135596800_000000), 253402300799_999999))
