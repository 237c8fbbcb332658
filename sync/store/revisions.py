"""The store's history, as those who follow it see it: an operator's word that an earlier state of it is meant, and what
of it is no longer kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, insert, select, update

from sidecar.core.model import Instant
from sync.store import schema
from sync.store.db import Writing
from sync.store.errors import Refused

S: Final = schema.store
C: Final = schema.change_log
R: Final = schema.revision_log

LEAP: Final = 1_000_000
"""By how many revisions a restored store is taken to have been further, where nobody says it."""
HIGHEST: Final = 1 << 53
"""Of a revision that an operator may name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was forgotten, and from which revision on changes can still be had."""

    changes: int
    revisions: int
    since: int


def mean_restored(writing: Writing, past: int | None = None) -> int:
    """Says that the store's present state is meant, though it is an earlier one: as after restoring a backup.

    Its revision goes past the highest that anyone may have seen, `past`; whoever holds an earlier one takes everything
    anew. Returns the revision. Raises Refused: REVISION_NOT_PAST.
    """
    before = writing.revision
    highest = before + LEAP if past is None else past
    if highest < before:
        raise Refused(
            "REVISION_NOT_PAST",
            f"the store is at revision {before}, past {highest} already: name the highest revision that a sidecar tells"
            " (`deskgate_sync_revision`), or none",
        )
    if highest >= HIGHEST:
        raise Refused("REVISION_NOT_PAST", f"revisions below {HIGHEST} can be named, not {highest}")
    following = highest + 1
    held = writing.conn.scalars(select(S.c.digest)).one()
    writing.conn.execute(update(S).values(revision=following, restored=following))
    writing.conn.execute(insert(R).values(revision=following, digest=held, at=writing.by.at))
    writing.revision = following
    writing.audit("store.restored", "store", before={"revision": before}, after={"revision": following})
    return following


def prune(writing: Writing, before: Instant) -> Pruned:
    """Forgets which tenants changed at revisions that came before an instant; never the latest revision.

    Whoever holds an earlier one than is kept takes everything anew.
    """
    kept = select(func.min(R.c.revision)).where(R.c.at >= before)
    since = writing.conn.scalar(kept)
    since = writing.revision if since is None else min(int(since), writing.revision)
    changes = writing.conn.execute(delete(C).where(C.c.revision <= since)).rowcount
    revisions = writing.conn.execute(delete(R).where(R.c.revision < since)).rowcount
    done = Pruned(changes=changes, revisions=revisions, since=since)
    if changes or revisions:
        writing.audit("store.prune", "store", after={"changes": changes, "revisions": revisions, "since": since})
    return done
