"""Usage taken over set by set: Desking's own count held against what is on record, and many tenants at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from sidecar.core.errors import DeskgateError, InvalidRequest
from sync.store import lineage, schema
from sync.store.db import Writing
from sync.store.errors import erased_tenant, unknown_tenant
from sync.store.names import sized_name
from sync.store.tenants import present
from sync.store.usage import Told, Used, audit_usage, checked_units, list_usage, told_seats, write_units

T: Final = schema.tenant
U: Final = schema.usage
S: Final = schema.seat
MOST_USERS: Final = 10_000
NOTHING: Final = Used(units=0, seats=(), revision=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What Desking counted of a key: units, and the users who hold a seat, in order of assignment."""

    key: str
    units: int = 0
    seats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where a count was not what was on record."""

    key: str
    units_before: int
    units_after: int
    removed: tuple[str, ...]
    added: tuple[str, ...]


def reconcile_usage(
    writing: Writing, tenant_id: str, counts: Sequence[Count], *, complete: bool = False
) -> list[Difference]:
    """Takes Desking's own count over, and returns where it differed. Users who were counted keep their places, others
    lose their seats, new ones go to the end. `complete`: a key that was not counted does not exist.

    Raises InvalidRequest, or Refused: UNKNOWN_TENANT, TENANT_ERASED.
    """
    present(writing.conn, tenant_id)
    held = list_usage(writing.conn, tenant_id)
    counted = {count.key: count for count in counts}
    if len(counted) < len(counts):
        raise InvalidRequest("counts", "a key may stand once only")
    gone = [Count(key=key) for key in held if complete and key not in counted]
    compared = ((count, held.get(count.key, NOTHING)) for count in (*map(_checked, counts), *gone))
    found = [difference for difference in (_difference(count, used) for count, used in compared) if difference]
    if found:
        writing.touch(tenant_id)
        _take_over(writing.conn, tenant_id, found)
        told = [_told(difference, len(held.get(difference.key, NOTHING).seats)) for difference in found]
        before, after = dict(each[0] for each in told), dict(each[1] for each in told)
        writing.audit("usage.reconcile", f"tenant:{tenant_id}", tenant_id=tenant_id, before=before, after=after)
    return found


def _checked(count: Count) -> Count:
    sized_name("key", count.key)
    checked_units(count.units)
    if len(count.seats) > MOST_USERS:
        raise InvalidRequest("seats", f"at most {MOST_USERS}, got {len(count.seats)}")
    for user in count.seats:
        sized_name("user_id", user)
    if len(set(count.seats)) < len(count.seats):
        raise InvalidRequest("seats", f"{count.key}: a user may stand once only")
    return count


def _difference(count: Count, used: Used) -> Difference | None:
    counted, holding = set(count.seats), set(used.seats)
    removed = tuple(user for user in used.seats if user not in counted)
    added = tuple(user for user in count.seats if user not in holding)
    if (used.units, removed, added) == (count.units, (), ()):
        return None
    return Difference(key=count.key, units_before=used.units, units_after=count.units, removed=removed, added=added)


def _take_over(conn: Connection, tenant_id: str, differences: Sequence[Difference]) -> None:
    counted = [d for d in differences if d.units_before != d.units_after]
    units = [{"tenant_id": tenant_id, "key": d.key, "units": d.units_after} for d in counted]
    removed = [{"seat_key": d.key, "seat_user": user} for d in differences for user in d.removed]
    added = [{"tenant_id": tenant_id, "key": d.key, "user_id": user} for d in differences for user in d.added]
    if units:
        write_units(conn, units)
    if removed:
        mine = delete(S).where(S.c.tenant_id == tenant_id)
        conn.execute(mine.where(S.c.key == bindparam("seat_key"), S.c.user_id == bindparam("seat_user")), removed)
    if added:
        conn.execute(insert(S), added)


def _told(difference: Difference, held: int) -> tuple[tuple[str, Told], tuple[str, Told]]:
    before, after = told_seats(held, difference.added, difference.removed)
    return (
        (difference.key, before | {"units": difference.units_before}),
        (difference.key, after | {"units": difference.units_after}),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageAsk:
    """What is stated of one key of one tenant: so many units exist, or a user holds a seat; one of them."""

    tenant_id: str
    key: str
    units: int | None = None
    user_id: str | None = None


def set_usages(writing: Writing, asks: Sequence[UsageAsk]) -> list[DeskgateError | None]:
    """States usage of many tenants; for each ask None, or why it was not done: InvalidRequest, UNKNOWN_TENANT,
    TENANT_ERASED.
    """
    misstated = [_misstated(ask) for ask in asks]
    named = sorted({ask.tenant_id for ask, problem in zip(asks, misstated, strict=True) if problem is None})
    found = (_rows(writing.conn, T.c.id, T.c.erased_at, ids=ids) for ids in lineage.chunks(named))
    erased = {row.id: row.erased_at for rows in found for row in rows}
    outcomes = [problem or _refusal(ask, erased) for ask, problem in zip(asks, misstated, strict=True)]
    good = [ask for ask, problem in zip(asks, outcomes, strict=True) if problem is None]
    _write_units(writing, [ask for ask in good if ask.units is not None])
    _write_seats(writing, [ask for ask in good if ask.user_id is not None])
    return outcomes


def _rows(conn: Connection, *columns: Any, ids: Sequence[str]) -> Any:
    owner = columns[0]
    return conn.execute(select(*columns).where(owner.in_(ids)))


def _misstated(ask: UsageAsk) -> DeskgateError | None:
    try:
        sized_name("tenant_id", ask.tenant_id)
        sized_name("key", ask.key)
        if (ask.units is None) == (ask.user_id is None):
            return InvalidRequest("units", "give units or a user, one of them")
        if ask.units is not None:
            checked_units(ask.units)
        if ask.user_id is not None:
            sized_name("user_id", ask.user_id)
    except InvalidRequest as e:
        return e
    return None


def _refusal(ask: UsageAsk, erased: Mapping[str, int | None]) -> DeskgateError | None:
    if ask.tenant_id not in erased:
        return unknown_tenant(ask.tenant_id)
    return None if erased[ask.tenant_id] is None else erased_tenant(ask.tenant_id)


def _write_units(writing: Writing, asks: Sequence[UsageAsk]) -> None:
    held: dict[tuple[str, str], int] = {}
    for ids in lineage.chunks(sorted({ask.tenant_id for ask in asks})):
        held |= {(r.tenant_id, r.key): r.units for r in _rows(writing.conn, U.c.tenant_id, U.c.key, U.c.units, ids=ids)}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for ask in asks:
        place, before = (ask.tenant_id, ask.key), held.get((ask.tenant_id, ask.key), 0)
        if ask.units == before:
            continue
        rows[place] = {"tenant_id": ask.tenant_id, "key": ask.key, "units": ask.units}
        held[place] = ask.units or 0
        audit_usage(writing, ask.tenant_id, ask.key, {"units": before}, {"units": ask.units})
    if rows:
        writing.touch_many(sorted({tenant_id for tenant_id, _ in rows}))
        write_units(writing.conn, list(rows.values()))


def _write_seats(writing: Writing, asks: Sequence[UsageAsk]) -> None:
    held: dict[tuple[str, str], set[str]] = defaultdict(set)
    for ids in lineage.chunks(sorted({ask.tenant_id for ask in asks})):
        for row in _rows(writing.conn, S.c.tenant_id, S.c.key, S.c.user_id, ids=ids):
            held[row.tenant_id, row.key].add(row.user_id)
    rows = []
    for ask in asks:
        users, user = held[ask.tenant_id, ask.key], ask.user_id or ""
        if user not in users:
            audit_usage(writing, ask.tenant_id, ask.key, *told_seats(len(users), [user], []))
            users.add(user)
            rows.append({"tenant_id": ask.tenant_id, "key": ask.key, "user_id": user})
    if rows:
        writing.touch_many(sorted({row["tenant_id"] for row in rows}))
        writing.conn.execute(insert(S), rows)
