"""Calls about notices to tenants' contacts."""

from __future__ import annotations

from typing import Final

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.core.errors import InvalidRequest
from sync.backoffice import codec
from sync.backoffice.method import Change, View, reads, writes
from sync.store import notices
from sync.store.notices import Notice, State


def _message(notice: Notice) -> pb.Notice:
    waiting = notice.state is State.PENDING
    return pb.Notice(
        id=notice.id,
        tenant_id=notice.tenant_id,
        kind=notice.kind,
        state=notice.state.value,
        due_at=codec.stamp_of(notice.due_at),
        attempts=notice.attempts,
        next_attempt_at=codec.stamp_of(notice.next_attempt_at) if waiting else None,
        sent_at=codec.stamp_of(notice.sent_at),
        recipients=notice.recipients,
        message_id=notice.message_id,
        error=notice.error,
    )


def _list(view: View, request: pb.ListNoticesRequest) -> pb.ListNoticesResponse:
    size, answer = codec.page_size(request), pb.ListNoticesResponse()
    found = notices.list_notices(
        view.conn,
        after=codec.after_number(request),
        limit=size + 1,
        tenant_id=view.sought("tenant_id", request.tenant_id),
        state=_state(request.state),
        kind=codec.short("kind", request.kind),
    )
    answer.next_page_token = codec.fill_page(answer.notices, lambda n: str(n.id), size, found, _message)
    return answer


def _state(text: str) -> str:
    if text and text not in set(State):
        raise InvalidRequest("state", f"{codec.short('state', text)!r} is none of {', '.join(State)}")
    return text


def _retry(change: Change, request: pb.RetryNoticeRequest) -> pb.RetryNoticeResponse:
    return pb.RetryNoticeResponse(notice=_message(notices.retry_notice(change.writing, request.id, now=change.now)))


METHODS: Final = (reads("ListNotices", _list), writes("RetryNotice", _retry))
