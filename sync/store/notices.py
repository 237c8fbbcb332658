"""Notices: e-mails to a tenant's contacts, on their way, sent or failed (domain.md 3, payments and reminders).

Facts by kind. payment_recorded: order_id, amount (millionths; below 0 it takes back), currency, paid_on, reference.
provisioned: order_id, provisioned_at (an instant), reference. expiring, ended, grace_monthly: a reminder's, which
sync/notices plans. What is left out is not told. A notice's own way (claims, attempts, sending) is no change to what is
sold and is not audited; that an operator has one tried again is.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, insert, select, update

from sidecar.core.model import Instant
from sync.store import schema, seeking
from sync.store.db import Writing
from sync.store.errors import Refused, erased_tenant
from sync.store.lineage import chunks

N: Final = schema.notice
T: Final = schema.tenant
LONGEST_ERROR: Final = 1000

Facts = Mapping[str, str | int | Sequence[str]]


class State(StrEnum):
    """Where a notice is on its way. `CANCELLED`: what it was to say no longer held."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notice on record. `recipients`: to whom it has gone; `claimed_until`: when its runner must be done with it."""

    id: int
    dedupe: str
    tenant_id: str
    kind: str
    facts: Facts
    due_at: Instant
    state: State
    attempts: int
    next_attempt_at: Instant
    claimed_by: str
    claimed_until: Instant
    message_id: str
    recipients: tuple[str, ...]
    sent_at: Instant | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressed:
    """A notice, and what its tenant says of those who read it."""

    notice: Notice
    name: str
    zone: str
    language: str
    contacts: tuple[str, ...]
    archived: bool
    erased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """Something to be told of once: `dedupe` names the occasion."""

    dedupe: str
    tenant_id: str
    kind: str
    facts: Facts
    due_at: Instant


def queue(writing: Writing, tenant_id: str, kind: str, facts: Facts, *, dedupe: str, now: Instant) -> None:
    """Has the tenant's contacts told, once for `dedupe`: at once, also when the change was made as of another instant.

    Part of the change that it tells of, whose audit entry is the only one.
    """
    occasion = Occasion(dedupe=dedupe, tenant_id=tenant_id, kind=kind, facts=facts, due_at=now)
    if not writing.conn.scalar(select(N.c.id).where(N.c.dedupe == dedupe)):
        writing.conn.execute(insert(N), [_fresh(occasion, min(now, writing.by.at))])


def plan(writing: Writing, occasions: Collection[Occasion]) -> int:
    """Queues what is not yet on record, and what was cancelled and holds again; returns how many that were."""
    found = _states(writing.conn, [o.dedupe for o in occasions])
    fresh = [_fresh(o, o.due_at) for o in occasions if o.dedupe not in found]
    again = [o for o in occasions if found.get(o.dedupe) is State.CANCELLED]
    if fresh:
        writing.conn.execute(insert(N), fresh)
    for occasion in again:
        values = {"state": State.PENDING.value, "facts": _json(occasion.facts), "attempts": 0, "error": ""}
        values |= {"next_attempt_at": occasion.due_at}
        writing.conn.execute(update(N).where(N.c.dedupe == occasion.dedupe).values(values))
    return len(fresh) + len(again)


def unplanned(conn: Connection, occasions: Iterable[Occasion]) -> list[Occasion]:
    """Those that `plan` would queue."""
    asked = list(occasions)
    found = _states(conn, [o.dedupe for o in asked])
    return [o for o in asked if found.get(o.dedupe, State.CANCELLED) is State.CANCELLED]


def _states(conn: Connection, dedupes: Iterable[str]) -> dict[str, State]:
    rows = (conn.execute(select(N.c.dedupe, N.c.state).where(N.c.dedupe.in_(some))) for some in chunks(dedupes))
    return {row.dedupe: State(row.state) for found in rows for row in found}


def _fresh(occasion: Occasion, at: Instant) -> dict[str, Any]:
    return {
        "dedupe": occasion.dedupe,
        "tenant_id": occasion.tenant_id,
        "kind": occasion.kind,
        "facts": _json(occasion.facts),
        "due_at": occasion.due_at,
        "state": State.PENDING.value,
        "attempts": 0,
        "next_attempt_at": at,
        "claimed_by": "",
        "claimed_until": 0,
        "message_id": "",
        "recipients": "[]",
        "error": "",
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def get_notice(conn: Connection, notice_id: int) -> Notice:
    """A notice. Refused: UNKNOWN_NOTICE."""
    row = conn.execute(select(N).where(N.c.id == notice_id)).one_or_none()
    if row is None:
        raise Refused("UNKNOWN_NOTICE", f"there is no notice {notice_id}: see `deskgate notices list`")
    return _notice(row)


def list_notices(
    conn: Connection, *, tenant_id: str = "", state: str = "", kind: str = "", after: int = 0, limit: int = 1000
) -> list[Notice]:
    """Notices by number, at most `limit`, those after a number; a filter that is "" leaves all."""
    ids = seeking.notice_ids(conn, after=after, limit=limit, tenant_id=tenant_id, state=state, kind=kind)
    return [_notice(row) for row in conn.execute(select(N).where(N.c.id.in_(ids)).order_by(N.c.id))]


def retry_notice(writing: Writing, notice_id: int, *, now: Instant) -> Notice:
    """Has a notice that failed tried again, with all attempts anew; its Message-ID stays.

    Refused: UNKNOWN_NOTICE, NOTICE_NOT_FAILED, TENANT_ERASED.
    """
    before = get_notice(writing.conn, notice_id)
    if before.state is not State.FAILED:
        raise Refused("NOTICE_NOT_FAILED", f"notice {notice_id} is {before.state}: only one that failed is retried")
    if writing.conn.scalar(select(T.c.erased_at).where(T.c.id == before.tenant_id)) is not None:
        raise erased_tenant(before.tenant_id)
    at = min(now, writing.by.at)
    _put(writing.conn, notice_id, state=State.PENDING.value, attempts=0, next_attempt_at=at, claimed_until=0)
    after = get_notice(writing.conn, notice_id)
    subject, told = f"notice:{notice_id}", (_told(before), _told(after))
    writing.audit("notice.retry", subject, tenant_id=before.tenant_id, before=told[0], after=told[1])
    return after


def _told(notice: Notice) -> dict[str, object]:
    return {"kind": notice.kind, "state": notice.state, "attempts": notice.attempts, "error": notice.error}


def get_addressed(conn: Connection, notice_id: int) -> Addressed:
    """A notice as it would be sent. Refused: UNKNOWN_NOTICE."""
    get_notice(conn, notice_id)
    return _addressed(conn.execute(ADDRESSED.where(N.c.id == notice_id)).one())


def due(conn: Connection, *, now: Instant, limit: int) -> list[Addressed]:
    """Notices whose time has come and that no runner holds, those that wait longest first."""
    waiting = and_(N.c.state == State.PENDING.value, N.c.next_attempt_at <= now, N.c.claimed_until <= now)
    query = ADDRESSED.where(waiting).order_by(N.c.next_attempt_at, N.c.id).limit(limit)
    return [_addressed(row) for row in conn.execute(query)]


def claim(writing: Writing, notice_id: int, *, by: str, until: Instant, message_id: str, facts: Facts) -> None:
    """Gives a runner a notice until an instant: nobody else sends it before. `facts` are those that it will tell."""
    values = {"claimed_by": by, "claimed_until": until, "message_id": message_id, "facts": _json(facts)}
    _put(writing.conn, notice_id, **values)


def release(writing: Writing, notice_ids: Iterable[int], *, by: str) -> None:
    """Gives back what a runner holds and has not tried."""
    ids = list(notice_ids)
    writing.conn.execute(update(N).where(N.c.id.in_(ids), *_held(by)).values(claimed_by="", claimed_until=0))


def cancel(writing: Writing, notice_id: int, why: str) -> None:
    """Takes a notice off the way that no longer holds."""
    _put(writing.conn, notice_id, state=State.CANCELLED.value, error=why, claimed_by="", claimed_until=0)


def sent(writing: Writing, notice_id: int, *, at: Instant, recipients: Sequence[str], error: str = "") -> None:
    """A mail server took it for `recipients`; `error` names those for whom it did not.

    That holds whoever has claimed the notice meanwhile: it must not be sent once more.
    """
    possible = N.c.state.in_([State.PENDING.value, State.FAILED.value])
    _finish(writing, notice_id, [possible], State.SENT, recipients, error, attempts=N.c.attempts + 1, sent_at=at)


def failed(writing: Writing, notice_id: int, *, by: str, error: str) -> None:
    """A mail server will not take it, or not within the attempts that there are. Nothing, unless `by` holds it."""
    _finish(writing, notice_id, _held(by), State.FAILED, (), error, attempts=N.c.attempts + 1)


def unsendable(writing: Writing, notice_id: int, error: str) -> None:
    """It cannot even be tried."""
    _finish(writing, notice_id, [N.c.state == State.PENDING.value], State.FAILED, (), error)


def postponed(
    writing: Writing, notice_id: int, *, by: str, recipients: Sequence[str], error: str, until: Instant
) -> None:
    """It could not be sent to all, or to anyone, and is tried again at an instant. Nothing, unless `by` holds it."""
    values = {"attempts": N.c.attempts + 1, "next_attempt_at": until}
    _finish(writing, notice_id, _held(by), State.PENDING, recipients, error, **values)


def _finish(
    writing: Writing,
    notice_id: int,
    where: list[ColumnElement[bool]],
    state: State,
    recipients: Sequence[str],
    error: str,
    **values: Any,
) -> None:
    """Writes how an attempt ended. Of an erased tenant nobody is named."""
    n = N.c
    erased = writing.conn.scalar(select(T.c.erased_at).join(N, n.tenant_id == T.c.id).where(n.id == notice_id))
    values |= {"recipients": "[]" if erased else _json(list(recipients)), "error": "" if erased else _cut(error)}
    values |= {"state": state.value, "claimed_by": "", "claimed_until": 0}
    writing.conn.execute(update(N).where(n.id == notice_id, *where).values(values))


def _cut(error: str) -> str:
    return error if len(error) <= LONGEST_ERROR else error[: LONGEST_ERROR - 3] + "..."


def _held(by: str) -> list[ColumnElement[bool]]:
    return [N.c.state == State.PENDING.value, N.c.claimed_by == by]


def _put(conn: Connection, notice_id: int, **values: Any) -> None:
    conn.execute(update(N).where(N.c.id == notice_id).values(values))


ADDRESSED: Final = select(N, T.c.name, T.c.zone, T.c.language, T.c.contacts, T.c.archived_at, T.c.erased_at).join(
    T, T.c.id == N.c.tenant_id
)


def _notice(row: Row[Any]) -> Notice:
    return Notice(
        id=row.id,
        dedupe=row.dedupe,
        tenant_id=row.tenant_id,
        kind=row.kind,
        facts=json.loads(row.facts),
        due_at=row.due_at,
        state=State(row.state),
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        claimed_by=row.claimed_by,
        claimed_until=row.claimed_until,
        message_id=row.message_id,
        recipients=tuple(json.loads(row.recipients)),
        sent_at=row.sent_at,
        error=row.error,
    )


def _addressed(row: Row[Any]) -> Addressed:
    return Addressed(
        notice=_notice(row),
        name=row.name,
        zone=row.zone,
        language=row.language,
        contacts=tuple(json.loads(row.contacts)),
        archived=row.archived_at is not None,
        erased=row.erased_at is not None,
    )
