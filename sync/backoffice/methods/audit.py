"""Calls about the audit trail."""

from __future__ import annotations

import json
from typing import Final

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sync.backoffice import codec
from sync.backoffice.method import View, reads
from sync.store import audit
from sync.store.audit import Entry, Sought


def _message(entry: Entry) -> pb.AuditEntry:
    return pb.AuditEntry(
        seq=entry.seq,
        recorded_at=codec.stamp_of(entry.recorded_at),
        operator=entry.operator,
        action=entry.action,
        tenant_id=entry.tenant_id,
        subject=entry.subject,
        idempotency_key=entry.idempotency_key,
        before_json=_json(entry, "before"),
        after_json=_json(entry, "after"),
        hash=entry.hash,
    )


def _json(entry: Entry, side: str) -> str:
    return "" if entry.details is None else json.dumps(entry.details[side], ensure_ascii=False, sort_keys=True)


def _list(view: View, request: pb.ListAuditEntriesRequest) -> pb.ListAuditEntriesResponse:
    sought = Sought(
        tenant_id=view.sought("tenant_id", request.tenant_id),
        operator=codec.short("operator", request.operator),
        action=codec.short("action", request.action),
        subject=codec.short("subject", request.subject),
        recorded_from=codec.instant_or_none("recorded_from", request),
        recorded_until=codec.instant_or_none("recorded_until", request),
    )
    size, answer = codec.page_size(request), pb.ListAuditEntriesResponse()
    found = audit.entries(view.conn, sought, after=codec.after_number(request), limit=size + 1)
    answer.next_page_token = codec.fill_page(answer.entries, lambda e: str(e.seq), size, found, _message)
    return answer


def _verify(view: View, request: pb.VerifyAuditRequest) -> pb.VerifyAuditResponse:
    found = audit.verify(view.conn)
    return pb.VerifyAuditResponse(
        intact=not found.fault,
        entries=found.entries,
        erased=found.erased,
        head=found.head,
        fault=found.fault,
        fault_at=found.at,
    )


METHODS: Final = (reads("ListAuditEntries", _list), reads("VerifyAudit", _verify))
