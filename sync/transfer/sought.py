"""What of a kind is exported: a tenant's, those of open tenants, those of a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Row, Select, select

from sidecar.core.calendar import format_instant
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Instant
from sync.store import schema
from sync.transfer.formats import Values

PAGE: Final = 1000
"""Rows that are in memory at a time."""
S = TypeVar("S", bound=Select[Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Only what is of `tenant`, of tenants that are not archived, and of [since, until). None and False: all."""

    tenant: str | None = None
    open: bool = False
    since: Instant | None = None
    until: Instant | None = None

    def narrow(self, query: S, *, tenant: Any = None, at: Any = None) -> S:
        """The query with what is sought: `tenant` and `at` are its columns. Raises InvalidRequest where it has none."""
        if self.tenant is not None:
            query = query.where(_column("tenant", tenant) == self.tenant)
        if self.open:
            archived = select(schema.tenant.c.id).where(schema.tenant.c.archived_at.is_not(None))
            query = query.where(_column("open", tenant).not_in(archived))
        if self.since is not None:
            query = query.where(_column("since", at) >= self.since)
        if self.until is not None:
            query = query.where(_column("until", at) < self.until)
        return query


def _column(field: str, column: Any) -> Any:
    if column is None:
        raise InvalidRequest(field, "this export cannot be narrowed by it: leave it out")
    return column


def pages(conn: Connection, query: Select[Any]) -> Iterator[list[Row[Any]]]:
    """A query's rows, PAGE at a time."""
    yield from map(list, conn.execute(query, execution_options={"yield_per": PAGE}).partitions())


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Something that can be exported. `numbers` are columns whose texts are numbers."""

    name: str
    about: str
    columns: tuple[str, ...]
    rows: Callable[[Connection, Sought], Iterator[Values]]
    numbers: frozenset[str] = frozenset()


def moment(instant: Instant | None) -> str | None:
    """RFC 3339; None where there is none."""
    return None if instant is None else format_instant(instant)
