"""The entitlement record that follows from the model, in the shape that tests/oracle.py decides on."""

from __future__ import annotations

from typing import Any

from tests.model import accounts, lineage
from tests.model.grants import own_grants
from tests.model.state import NEVER, Office, Plain


def record(office: Office, tenant_id: str) -> Plain:
    """One that shares an ancestor's services has nothing of its own but its blocks and being archived."""
    tenant = office.tenants[tenant_id]
    shared = lineage.holder(office, tenant_id)
    own = shared is None
    return {
        "tenant_id": tenant_id,
        "zone": tenant.zone,
        "archived": tenant.archived_at is not None,
        "blocks": blocks(office, tenant_id),
        "holder": record(office, shared) if shared is not None else None,
        "grants": own_grants(office, tenant_id) if own else [],
        "usage": usage(office, tenant_id) if own else {},
        "account": accounts.effective(office, tenant) if own else None,
    }


def blocks(office: Office, tenant_id: str) -> list[Plain]:
    """Its own, and those of every ancestor that cascade."""
    own = list(office.tenants[tenant_id].blocks.items())
    above = [
        (name, block)
        for ancestor in lineage.ancestors(office, tenant_id)
        for name, block in office.tenants[ancestor].blocks.items()
        if block[2]
    ]
    return [
        {"name": name, "from": start, "until": None if until == NEVER else until}
        for name, (start, until, _) in [*own, *above]
    ]


def usage(office: Office, owner: str) -> dict[str, Any]:
    members = lineage.pool(office, owner)
    found: dict[str, Any] = {}
    for member in members:
        for key, units in office.tenants[member].units.items():
            found.setdefault(key, {"units": 0, "seats": []})["units"] += units
    for tenant, key, user in office.seats:
        if tenant in members:
            found.setdefault(key, {"units": 0, "seats": []})["seats"].append([tenant, user])
    return {key: used for key, used in found.items() if used["units"] or used["seats"]}
