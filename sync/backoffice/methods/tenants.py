"""Calls about tenants and what blocks them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import select

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar._gen.desking.entitlements.v1 import entitlement_pb2 as records_pb
from sidecar.core.calendar import zone_of
from sidecar.core.errors import InvalidRecord, InvalidRequest
from sidecar.core.model import FOREVER
from sync.backoffice import codec
from sync.backoffice.method import Change, View, reads, writes
from sync.store import assignments, blocks, erasure, schema, seeking, tenants
from sync.store.blocks import TenantBlock
from sync.store.operators import Role
from sync.store.tenants import Tenant

MOST_VALUES: Final = 64

MOST_ERASED: Final = 100
"""Tenants that one call erases: others wait for it."""


def message_of(tenant: Tenant) -> pb.Tenant:
    """A tenant in an answer."""
    return pb.Tenant(
        id=tenant.id,
        name=tenant.name,
        parent_id=tenant.parent_id or "",
        zone=tenant.zone,
        language=tenant.language,
        tags=tenant.tags,
        edition=tenant.edition or "",
        contacts=tenant.contacts,
        version=tenant.version,
        created_at=codec.stamp_of(tenant.created_at),
        archived_at=codec.stamp_of(tenant.archived_at),
        erase_after=codec.stamp_of(tenant.erase_after),
        erased_at=codec.stamp_of(tenant.erased_at),
    )


def _found(view: View, tenant_id: str) -> pb.Tenant:
    return message_of(tenants.get_tenant(view.conn, tenant_id))


def _zone(field: str, text: str) -> str:
    try:
        return zone_of(codec.name(field, text)).key
    except InvalidRecord as e:
        raise InvalidRequest(field, str(e).removeprefix("zone: ")) from e


def _names(field: str, values: Iterable[str]) -> list[str]:
    found = codec.few(field, values, MOST_VALUES)
    return [codec.name(f"{field}[{i}]", value) for i, value in enumerate(found)]


def _create(change: Change, request: pb.CreateTenantRequest) -> pb.CreateTenantResponse:
    tenants.create_tenant(
        change.writing,
        codec.name("id", request.id),
        now=change.now,
        name=codec.short("name", request.name),
        parent_id=codec.name_or_none("parent_id", request.parent_id),
        zone=_zone("zone", request.zone) if request.zone else "UTC",
        language=request.language,
        tags=_names("tags", request.tags),
        edition=codec.name_or_none("edition", request.edition),
        contacts=_names("contacts", request.contacts),
    )
    return pb.CreateTenantResponse(tenant=_found(change, request.id))


def _update(change: Change, request: pb.UpdateTenantRequest) -> pb.UpdateTenantResponse:
    given: dict[str, Any] = {
        "expected_version": lambda: request.expected_version,
        "name": lambda: codec.short("name", request.name),
        "zone": lambda: _zone("zone", request.zone),
        "language": lambda: request.language,
        "tags": lambda: _names("tags.values", request.tags.values),
        "edition": lambda: codec.short("edition", request.edition),
        "contacts": lambda: _names("contacts.values", request.contacts.values),
    }
    tenants.update_tenant(
        change.writing,
        codec.name("id", request.id),
        now=change.now,
        **{field: read() for field, read in given.items() if request.HasField(field)},
    )
    return pb.UpdateTenantResponse(tenant=_found(change, request.id))


def _move(change: Change, request: pb.MoveTenantRequest) -> pb.MoveTenantResponse:
    parent_id = codec.name_or_none("parent_id", request.parent_id)
    tenants.move_tenant(change.writing, codec.name("id", request.id), parent_id)
    return pb.MoveTenantResponse(tenant=_found(change, request.id))


def _archive(change: Change, request: pb.ArchiveTenantRequest) -> pb.ArchiveTenantResponse:
    stated = request.HasField("retention_days")
    days = request.retention_days if stated else tenants.RETENTION_DAYS
    tenants.archive_tenant(change.writing, codec.name("id", request.id), now=change.now, retention_days=days)
    return pb.ArchiveTenantResponse(tenant=_found(change, request.id))


def _restore(change: Change, request: pb.RestoreTenantRequest) -> pb.RestoreTenantResponse:
    tenants.restore_tenant(change.writing, codec.name("id", request.id))
    return pb.RestoreTenantResponse(tenant=_found(change, request.id))


def _erase(change: Change, request: pb.EraseTenantRequest) -> pb.EraseTenantResponse:
    erasure.erase_tenant(change.writing, codec.name("id", request.id), now=change.now)
    return pb.EraseTenantResponse(tenant=_found(change, request.id))


def _erase_due(change: Change, request: pb.EraseDueTenantsRequest) -> pb.EraseDueTenantsResponse:
    return pb.EraseDueTenantsResponse(tenant_ids=erasure.erase_due(change.writing, now=change.now, limit=MOST_ERASED))


def _block(change: Change, request: pb.BlockTenantRequest) -> pb.BlockTenantResponse:
    tenant_id, name = codec.name("tenant_id", request.tenant_id), codec.name("name", request.name)
    zone = change.zone(tenant_id)
    starts_at = codec.start("starts", request.starts, zone) if request.starts else change.now
    ends_at = codec.end("ends", request.ends, zone) if request.ends else FOREVER
    if ends_at <= starts_at:
        raise InvalidRequest("ends", "a block ends after it starts")
    blocks.block_tenant(change.writing, tenant_id, name, starts_at=starts_at, ends_at=ends_at, cascade=request.cascade)
    block = TenantBlock(name=name, starts_at=starts_at, ends_at=ends_at, cascade=request.cascade)
    return pb.BlockTenantResponse(block=_message_of_block(block))


def _message_of_block(block: TenantBlock) -> pb.TenantBlock:
    return pb.TenantBlock(
        name=block.name,
        starts_at=codec.stamp_of(block.starts_at),
        ends_at=codec.stamp_of(block.ends_at),
        cascade=block.cascade,
    )


def _unblock(change: Change, request: pb.UnblockTenantRequest) -> pb.UnblockTenantResponse:
    tenant_id, name = codec.name("tenant_id", request.tenant_id), codec.name("name", request.name)
    blocks.unblock_tenant(change.writing, tenant_id, name)
    return pb.UnblockTenantResponse()


def _get(view: View, request: pb.GetTenantRequest) -> pb.GetTenantResponse:
    tenant_id = codec.name("id", request.id)
    tenant = _found(view, tenant_id)
    e = schema.entitlement
    record = view.conn.scalar(select(e.c.record).where(e.c.tenant_id == tenant_id))
    return pb.GetTenantResponse(
        tenant=tenant,
        blocks=[_message_of_block(block) for block in blocks.list_blocks(view.conn, tenant_id)],
        record=None if record is None else records_pb.EntitlementRecord.FromString(record),
        plan_id=assignments.assigned_plan(view.conn, tenant_id) or "",
    )


def _list(view: View, request: pb.ListTenantsRequest) -> pb.ListTenantsResponse:
    size, answer = codec.page_size(request), pb.ListTenantsResponse()
    found = seeking.tenant_ids(
        view.conn,
        after=codec.after_name(request),
        limit=size + 1,
        parent_id=codec.short("parent_id", request.parent_id),
        tag=codec.short("tag", request.tag),
        edition=codec.short("edition", request.edition),
        archived=request.archived if request.HasField("archived") else None,
        text=codec.short("text", request.text),
    )
    answer.next_page_token = codec.fill_page(answer.tenants, str, size, found, lambda i: _found(view, i))
    return answer


METHODS: Final = (
    writes("CreateTenant", _create),
    writes("UpdateTenant", _update),
    writes("MoveTenant", _move),
    writes("ArchiveTenant", _archive),
    writes("RestoreTenant", _restore),
    writes("EraseTenant", _erase, role=Role.ADMIN),
    writes("EraseDueTenants", _erase_due, role=Role.ADMIN),
    writes("BlockTenant", _block),
    writes("UnblockTenant", _unblock),
    reads("GetTenant", _get),
    reads("ListTenants", _list),
)
