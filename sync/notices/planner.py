"""Planning at a store: what reminders hold there, queued once each; and whether one that is queued still holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, select

from sidecar import records
from sidecar.core.book import Book
from sidecar.core.errors import InvalidRecord
from sidecar.core.model import SINCE_EVER, Instant, Record
from sidecar.core.tenant import Tenant
from sidecar.observe.logs import log
from sync.notices.planning import OFFSETS, Kind, Reminder, quiet, reminders, still
from sync.store import notices, schema
from sync.store.audit import By
from sync.store.db import Store
from sync.store.notices import Facts, Notice, Occasion

E: Final = schema.entitlement
STEP: Final = 1000
"""Tenants that are looked at in one view of the store."""
FOLLOWING: Final = (
    select(E.c.tenant_id, E.c.record).where(E.c.tenant_id > bindparam("after")).order_by(E.c.tenant_id).limit(STEP)
)
RUNNER: Final = "notices"
"""By whom the store is written; such writes are in no audit trail."""
_log: Final = log("notices")


class Planner:
    """Plans by a policy set, which may be replaced at any time. Reminders of `since` or before are left alone."""

    def __init__(self, book: Book, offsets: Sequence[int] = OFFSETS, since: Instant = SINCE_EVER) -> None:
        self.book = book
        self._offsets: Final = tuple(sorted(set(offsets)))
        self._since: Final = since

    def plan(self, store: Store, now: Instant, stopped: Callable[[], bool] = lambda: False) -> int:
        """Queues every reminder that holds and is not on record; returns how many. Raises StoreError.

        Each tenant is looked at, some in one short view of the store; it is written only where something is new.
        """
        queued, after, done = 0, "", False
        while not done and not stopped():
            with store.reading() as conn:
                rows = conn.execute(FOLLOWING, {"after": after}).all()
                found = [o for row in rows for o in self._occasions(row.tenant_id, row.record, now)]
                fresh = notices.unplanned(conn, found)
            if fresh:
                with store.writing(By(operator=RUNNER, at=now)) as writing:
                    queued += notices.plan(writing, fresh)
            done = len(rows) < STEP
            after = rows[-1].tenant_id if rows else ""
        return queued

    def recheck(self, conn: Connection, notice: Notice, now: Instant) -> Facts | None:
        """The facts of a reminder as they are now; None: it holds no more."""
        data = conn.scalar(select(E.c.record).where(E.c.tenant_id == notice.tenant_id))
        tenant = None if data is None else self._tenant(notice.tenant_id, data, now)
        count = notice.facts.get("count", 0)
        if tenant is None or not isinstance(count, int):
            return None
        found = still(tenant, self._offsets, notice.dedupe, count, now)
        return None if found is None else facts_of(found)

    def _occasions(self, tenant_id: str, data: bytes, now: Instant) -> Iterator[Occasion]:
        tenant = self._tenant(tenant_id, data, now)
        for reminder in reminders(tenant, self._offsets, now, self._since) if tenant else ():
            yield Occasion(
                dedupe=reminder.dedupe,
                tenant_id=reminder.tenant_id,
                kind=reminder.kind,
                facts=facts_of(reminder),
                due_at=reminder.at,
            )

    def _tenant(self, tenant_id: str, data: bytes, now: Instant) -> Tenant | None:
        """A tenant of whom something may have to be told. A record that breaks its own invariants tells nothing."""
        try:
            record = records.decode(data)
            return None if self._quiet(record, now) else Tenant(record, record, self.book)
        except InvalidRecord as e:
            _log.error("record cannot be used", tenant=tenant_id, problem=str(e))
            return None

    def _quiet(self, record: Record, now: Instant) -> bool:
        return quiet(record, self.book.applied(record).terms, self._offsets, now)


def is_reminder(notice: Notice) -> bool:
    """Whether a notice tells of an end, which may move."""
    return notice.kind in set(Kind)


def facts_of(reminder: Reminder) -> Facts:
    """What the templates are told."""
    return {
        "count": reminder.count,
        "ends_at": reminder.ends_at,
        "grace_ends_at": reminder.grace_ends_at,
        "keys": reminder.keys,
        "trials": reminder.trials,
    }
