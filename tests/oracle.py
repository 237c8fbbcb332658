"""The rules of `domain.md` sections 4 to 7, said a second time in the plainest way there is.

The engine is compared with this file, so nothing here may come from the engine: the standard library only, no compiled
timelines, no closed formulas. Due instants are walked one by one, grants are looped over, gaps in a zone are searched.

Everything is a plain value. An instant is an int: microseconds since 1970-01-01T00:00Z. An end of None is "forever".
The string "unlimited" is the value unlimited.

A record is {"tenant_id", "zone", "archived", "blocks", "holder", "grants", "usage", "account"}:
  blocks   [{"name", "from", "until" | None}], those that cascade from above already among them
  holder   None, or the record of the ancestor whose services are shared; its grants, zone, usage and account then count
  grants   [{"key", "starts_at", "ends_at" | None, "trial", "amount": n | "unlimited" | None, "users": the same}]
  usage    {key: {"units": n, "seats": [[tenant_id, user_id], ...] in order of assignment}}
  account  None, or {"basis": "money" | "days", "balance", "as_of", "owed_since" | None, "owed_charge" | None, "charge",
           "anchor", "period": {"months": n} or {"days": n}, "allowed_balance", "deferral_days"}; money in millionths
           of the unit, days in millionths of a day; anchor, period and charge matter for money alone
An ask is {"action", "kind" | None, "licensed": bool | None, "quantity", "user_id" | None, "window": None | [from, to]}.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

Record = dict[str, Any]
Account = dict[str, Any]
Ask = dict[str, Any]
Grant = dict[str, Any]
Terms = dict[str, Any]
Decision = dict[str, Any]
Limit = Any  # an int, or "unlimited"

UNLIMITED = "unlimited"
DEFAULT: Terms = {
    "grace": {"months": 3, "days": 0},
    "expiring_soon": {"days": 30},
    "near_quota": 90,
    "overage": 0,
}

SPEND = {"space.create", "space.license", "space.convert", "license.assign"}
USE = {"booking.create", "booking.update", "binding.create", "feature.use"}
ATTEND = {"booking.check_in"}
UNDO = {
    "booking.cancel",
    "booking.check_out",
    "booking.finish",
    "binding.release",
    "space.unlicense",
    "space.delete",
    "license.revoke",
}
READ = {"tenant.read", "tenant.export"}
KNOWN = SPEND | USE | ATTEND | UNDO | READ

PHASES_BEST_FIRST = ["ACTIVE", "TRIAL", "GRACE", "PENDING", "EXPIRED", "UNLICENSED"]
STATUSES_GRAVEST_FIRST = ["ARCHIVED", "SUSPENDED", "OPEN"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
HOUR = 3_600_000_000
DAY = 24 * HOUR
ONE_DAY_OF_BALANCE = 1_000_000


# --- calendar arithmetic (section 4) ---


def wall(instant: int, zone: str) -> datetime:
    """What the clock on the wall shows in the zone: a naive date and time."""
    return (EPOCH + timedelta(microseconds=instant)).astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def _as_if_utc(local: datetime) -> int:
    return (local.replace(tzinfo=UTC) - EPOCH) // MICROSECOND


@lru_cache(maxsize=1 << 19)
def local_to_instant(local: datetime, zone: str) -> int:
    """The earliest instant at which the wall shows `local`; if it never does, the first instant after the gap.

    No zone is ever 18 hours away from UTC, so the instant lies within 18 hours of `local` read as UTC. Every offset in
    use around there is tried (none has ever lasted less than 6 hours).
    """
    read_as_utc = _as_if_utc(local)
    probes = [read_as_utc + hours * HOUR for hours in range(-18, 19, 6)]
    offsets = {_as_if_utc(wall(probe, zone)) - probe for probe in probes}
    found = [read_as_utc - offset for offset in offsets if wall(read_as_utc - offset, zone) == local]
    if found:
        return min(found)
    before, after = read_as_utc - 18 * HOUR, read_as_utc + 18 * HOUR  # the wall shows less than `local`, and more
    while after - before > 1:
        middle = (before + after) // 2
        if wall(middle, zone) < local:
            before = middle
        else:
            after = middle
    return after


def days_in_month(year: int, month: int) -> int:
    first_of_next = datetime(year + month // 12, month % 12 + 1, 1)  # noqa: DTZ001 - a wall time has no zone
    return (first_of_next - timedelta(days=1)).day


def add_period(instant: int, zone: str, months: int, days: int) -> int:
    """Calendar months, clamped to the month's end, and then calendar days, on the wall of the zone."""
    if months == 0 and days == 0:
        return instant
    local = wall(instant, zone)
    month_count = local.year * 12 + (local.month - 1) + months
    year, month = month_count // 12, month_count % 12 + 1
    local = local.replace(year=year, month=month, day=min(local.day, days_in_month(year, month)))
    return local_to_instant(local + timedelta(days=days), zone)


# --- whose services, status (sections 3 and 5) ---


def services_of(record: Record) -> Record:
    """The record whose grants, zone, usage and account count: the holder's if there is one."""
    return record if record["holder"] is None else services_of(record["holder"])


def status_of(record: Record, t: int) -> str:
    statuses = ["OPEN"]
    if record["archived"]:
        statuses.append("ARCHIVED")
    for block in record["blocks"]:
        if block["from"] <= t and (block["until"] is None or t < block["until"]):
            statuses.append("SUSPENDED")
    if record["holder"] is not None:
        statuses.append(status_of(record["holder"], t))
    return min(statuses, key=STATUSES_GRAVEST_FIRST.index)


# --- grants, limit, phase (sections 4 and 5) ---


def grants_of(record: Record, key: str | None = None) -> list[Grant]:
    """The grants that count, of one key or of all; a grant whose window is empty is no grant."""
    return [
        grant
        for grant in services_of(record)["grants"]
        if (key is None or grant["key"] == key) and (grant["ends_at"] is None or grant["starts_at"] < grant["ends_at"])
    ]


def holds(grant: Grant, t: int) -> bool:
    return bool(grant["starts_at"] <= t and (grant["ends_at"] is None or t < grant["ends_at"]))


def covered(record: Record, key: str, t: int) -> bool:
    return any(holds(grant, t) for grant in grants_of(record, key))


def limit_of(record: Record, key: str, t: int, dimension: str, terms: Terms = DEFAULT) -> Limit:
    """The sum of "amount" or of "users" over the grants that hold t, raised by the policy's overage."""
    total = 0
    for grant in grants_of(record, key):
        if not holds(grant, t) or grant[dimension] is None:
            continue
        if grant[dimension] == UNLIMITED:
            return UNLIMITED
        total += grant[dimension]
    return total + total * terms["overage"] // 100


def is_per_user(record: Record, key: str) -> bool:
    """Any grant on record of the key gives users, whatever its window."""
    return any(grant["users"] is not None for grant in grants_of(record, key))


def coverage_end(record: Record, key: str, t: int) -> int | None:
    """The end of the unbroken run of windows that holds t; None when it has none. Ask only where t is covered."""
    assert covered(record, key, t)
    end = t
    while True:
        reaching = [grant["ends_at"] for grant in grants_of(record, key) if holds(grant, end)]
        if not reaching:
            return end
        if None in reaching:
            return None
        end = max(reaching)


def latest_past_end(record: Record, key: str, t: int) -> int | None:
    ends = [g["ends_at"] for g in grants_of(record, key) if g["ends_at"] is not None and g["ends_at"] <= t]
    return max(ends, default=None)


def grace_end(record: Record, end: int, terms: Terms = DEFAULT) -> int:
    return add_period(end, services_of(record)["zone"], terms["grace"].get("months", 0), terms["grace"].get("days", 0))


def phase_of(record: Record, key: str, t: int, terms: Terms = DEFAULT) -> str:
    grants = grants_of(record, key)
    holding = [grant for grant in grants if holds(grant, t)]
    if holding:
        return "TRIAL" if all(grant["trial"] for grant in holding) else "ACTIVE"
    end = latest_past_end(record, key, t)
    if end is not None:
        return "GRACE" if t < grace_end(record, end, terms) else "EXPIRED"
    return "PENDING" if grants else "UNLICENSED"


def best_phase(record: Record, t: int, terms: Terms = DEFAULT) -> str:
    """The phase where no key is asked about: the best of the tenant's keys."""
    phases = ["UNLICENSED"]
    for key in {grant["key"] for grant in grants_of(record)}:
        phases.append(phase_of(record, key, t, terms))
    return min(phases, key=PHASES_BEST_FIRST.index)


# --- standing (section 6) ---


def schedule(account: Account, zone: str) -> Iterator[int]:
    """All that may be due: anchor + k periods, or every local midnight (from a while before `as_of`)."""
    k = 0
    if account["basis"] == "money":
        months, days = account["period"].get("months", 0), account["period"].get("days", 0)
        while True:
            yield add_period(account["anchor"], zone, k * months, k * days)
            k += 1
    first = wall(account["as_of"], zone).date() - timedelta(days=2)
    while True:
        yield local_to_instant(datetime.combine(first + timedelta(days=k), time.min), zone)
        k += 1


def due_instants(account: Account, zone: str) -> Iterator[int]:
    """Strictly after `as_of`, in order, without end; those that coincide are one."""
    last = account["as_of"]
    for due in schedule(account, zone):
        if due > last:
            yield due
            last = due


def charge_of(account: Account) -> int:
    return ONE_DAY_OF_BALANCE if account["basis"] == "days" else int(account["charge"])


def settle(account: Account, zone: str, t: int) -> Account:
    """The account as it is at t, every due instant up to and including t dealt with; before `as_of`, as it was then."""
    if t < account["as_of"]:
        return account
    balance, owed_since, owed_charge = account["balance"], account["owed_since"], account["owed_charge"]
    charge = charge_of(account)
    if owed_since is None:
        for due in due_instants(account, zone):
            if due > t:
                break
            if balance - charge < account["allowed_balance"]:
                owed_since, owed_charge = due, charge
                break  # while something is owed, later due instants add nothing
            balance -= charge
    return {**account, "as_of": t, "balance": balance, "owed_since": owed_since, "owed_charge": owed_charge}


def change(account: Account, zone: str, t: int, top_up: int = 0, **settings: Any) -> Account:
    """A change at t: settle under the old settings, then try what is owed under the new."""
    account = {**settle(account, zone, t), **settings}
    account["balance"] += top_up
    owed = account["owed_charge"]
    if account["owed_since"] is not None and account["balance"] - owed >= account["allowed_balance"]:
        account.update(balance=account["balance"] - owed, owed_since=None, owed_charge=None)
    return account


def standing_of(record: Record, t: int) -> str:
    services = services_of(record)
    if services["account"] is None:
        return "GOOD"
    account = settle(services["account"], services["zone"], t)
    if account["owed_since"] is None or t < account["owed_since"]:
        return "GOOD"
    return "PAST_DUE" if t < account["owed_since"] + account["deferral_days"] * DAY else "BLOCKED"


# --- the default policy (section 7) ---


def key_of(ask: Ask) -> str | None:
    return None if ask["action"] in READ else ask["kind"]


def dimension_of(record: Record, ask: Ask) -> str | None:
    """Whether the ask is judged by "users" (seats), by "amount" (units), or by no number at all."""
    action, key = ask["action"], key_of(ask)
    if key is None or action not in KNOWN:
        return None
    if action == "feature.use":
        return "users" if is_per_user(record, key) else None
    return "users" if action in {"license.assign", "license.revoke"} else "amount"


def seats_of(record: Record, key: str) -> list[tuple[str, str]]:
    usage = services_of(record)["usage"].get(key, {"units": 0, "seats": []})
    return [(tenant_id, user_id) for tenant_id, user_id in usage["seats"]]


def used_of(record: Record, key: str, dimension: str) -> int:
    if dimension == "users":
        return len(seats_of(record, key))
    return int(services_of(record)["usage"].get(key, {"units": 0, "seats": []})["units"])


def seat_position(record: Record, ask: Ask) -> int | None:
    """Where the user stands in the order of assignment, from 0; None when the user holds no seat."""
    seats = seats_of(record, ask["kind"])
    me = (record["tenant_id"], ask["user_id"])
    return seats.index(me) if me in seats else None


def consumed(record: Record, ask: Ask) -> int:
    """How many the ask would add."""
    if ask["action"] not in SPEND:
        return 0
    if ask["action"] in {"space.create", "space.convert"} and ask["licensed"] is False:
        return 0
    if ask["action"] == "license.assign" and seat_position(record, ask) is not None:
        return 0
    return int(ask["quantity"])


def quota_of(record: Record, ask: Ask, now: int, terms: Terms) -> Decision | None:
    key, dimension = key_of(ask), dimension_of(record, ask)
    if key is None or dimension is None:
        return None
    used = used_of(record, key, dimension)
    limit: Limit = 0
    fits: Limit = 0
    excess = 0
    if covered(record, key, now):
        limit = limit_of(record, key, now, dimension, terms)
        fits = UNLIMITED if limit == UNLIMITED else max(0, limit - used)
        excess = 0 if limit == UNLIMITED else max(0, used - limit)
    holder = services_of(record)["tenant_id"]
    return {"key": key, "limit": limit, "used": used, "fits": fits, "excess": excess, "holder": holder}


def ends_of(record: Record, key: str | None, now: int, terms: Terms) -> tuple[int | None, int | None]:
    """`term_ends_at` and `grace_ends_at`."""
    if key is None:
        return None, None
    end = coverage_end(record, key, now) if covered(record, key, now) else latest_past_end(record, key, now)
    return (None, None) if end is None else (end, grace_end(record, end, terms))


def denials(record: Record, ask: Ask, now: int, freshness: str, terms: Terms) -> list[str]:
    """The reason of every line of the table that applies, in the order of the table."""
    action, key = ask["action"], key_of(ask)
    spend, use, attend, undo = action in SPEND, action in USE, action in ATTEND, action in UNDO
    status = status_of(record, now)
    phase = best_phase(record, now, terms) if key is None else phase_of(record, key, now, terms)
    running = phase in {"ACTIVE", "TRIAL"}
    books = action in {"booking.create", "booking.update", "binding.create"}
    seated = action == "feature.use" and key is not None and is_per_user(record, key)
    quota = quota_of(record, ask, now, terms)
    finite = quota is not None and quota["limit"] != UNLIMITED
    reasons = []
    if status == "ARCHIVED":
        reasons.append("TENANT_ARCHIVED")
    if status == "SUSPENDED" and (spend or use or attend):
        reasons.append("TENANT_SUSPENDED")
    if phase == "UNLICENSED" and (spend or use or attend):
        reasons.append("NOT_LICENSED")
    if phase == "PENDING" and (spend or use or attend):
        reasons.append("NOT_STARTED")
    if phase == "EXPIRED" and (spend or use or attend or undo):
        reasons.append("GRACE_ENDED")
    if phase == "GRACE" and (spend or use):
        reasons.append("SUBSCRIPTION_EXPIRED")
    if standing_of(record, now) == "BLOCKED" and (spend or use):
        reasons.append("ACCOUNT_BLOCKED")
    if ask["licensed"] is False and books:
        reasons.append("SPACE_UNLICENSED")
    if seated and seat_position(record, ask) is None:
        reasons.append("SEAT_NOT_HELD")
    if running and finite and quota is not None:
        if books and quota["used"] > quota["limit"]:
            reasons.append("OVER_QUOTA")
        position = seat_position(record, ask) if seated else None
        if position is not None and position >= quota["limit"]:
            reasons.append("OVER_QUOTA")
        n = consumed(record, ask)
        if spend and n > 0 and quota["used"] + n > quota["limit"]:
            reasons.append("QUOTA_REACHED")
    if freshness == "BLIND" and (spend or use or attend):
        reasons.append("DATA_TOO_OLD")
    return reasons


def warnings_of(record: Record, ask: Ask, now: int, freshness: str, terms: Terms) -> list[str]:
    """What an allowed answer says beside."""
    action, key = ask["action"], key_of(ask)
    phase = best_phase(record, now, terms) if key is None else phase_of(record, key, now, terms)
    quota = quota_of(record, ask, now, terms)
    end = coverage_end(record, key, now) if key is not None and covered(record, key, now) else None
    n = consumed(record, ask)
    warnings = []
    if end is not None and now >= expiring_soon_from(record, end, terms):
        warnings.append("EXPIRING_SOON")
    counted = quota is not None and quota["limit"] != UNLIMITED and n > 0 and phase in {"ACTIVE", "TRIAL"}
    if counted and quota is not None and (quota["used"] + n) * 100 >= terms["near_quota"] * quota["limit"]:
        warnings.append("NEAR_QUOTA")
    if standing_of(record, now) == "PAST_DUE":
        warnings.append("PAYMENT_PAST_DUE")
    if phase == "TRIAL":
        warnings.append("IN_TRIAL")
    booked_until = ask["window"][1] if action in {"booking.create", "booking.update"} and ask["window"] else None
    if end is not None and booked_until is not None and booked_until > end:
        warnings.append("BEYOND_TERM")
    if freshness in {"STALE", "BLIND"}:
        warnings.append("STALE_DATA")
    return warnings


def expiring_soon_from(record: Record, end: int, terms: Terms = DEFAULT) -> int:
    soon = terms["expiring_soon"]
    return add_period(end, services_of(record)["zone"], -soon.get("months", 0), -soon.get("days", 0))


def decide(record: Record | None, ask: Ask, now: int, freshness: str, terms: Terms = DEFAULT) -> Decision:
    if record is None:
        return {
            "effect": "DENY",
            "reason": "UNKNOWN_TENANT",
            "also": [],
            "warnings": [],
            "quota": None,
            "phase": None,
            "status": None,
            "standing": None,
            "term_ends_at": None,
            "grace_ends_at": None,
        }
    key = key_of(ask)
    reasons = denials(record, ask, now, freshness, terms)
    if not reasons and ask["action"] not in KNOWN:
        reasons = ["NO_RULE"]
    term_ends_at, grace_ends_at = ends_of(record, key, now, terms)
    return {
        "effect": "DENY" if reasons else "ALLOW",
        "reason": reasons[0] if reasons else None,
        "also": reasons[1:],
        "warnings": [] if reasons else warnings_of(record, ask, now, freshness, terms),
        "quota": quota_of(record, ask, now, terms),
        "phase": best_phase(record, now, terms) if key is None else phase_of(record, key, now, terms),
        "status": status_of(record, now),
        "standing": standing_of(record, now),
        "term_ends_at": term_ends_at,
        "grace_ends_at": grace_ends_at,
    }


# --- when an answer changes ---

DUE_INSTANTS_LOOKED_AT = 1_000


def account_edges(account: Account, zone: str) -> set[int]:
    """Where the account moves: the first few due instants, where it comes to be owed, and the end of the deferral."""
    edges = {account["as_of"]}
    owed_since = account["owed_since"]
    balance = account["balance"]
    if owed_since is None:
        for count, due in enumerate(due_instants(account, zone)):
            if count < 3:
                edges.add(due)
            balance -= charge_of(account)
            if balance < account["allowed_balance"]:
                owed_since = due
                break
            if count == DUE_INSTANTS_LOOKED_AT:
                return edges
    return edges | {owed_since, owed_since + account["deferral_days"] * DAY}


def boundaries(record: Record, terms: Terms = DEFAULT) -> list[int]:
    """Every instant at which a decision about the tenant may change, in order."""
    services = services_of(record)
    edges: set[int] = set()
    for grant in grants_of(record):
        edges.add(grant["starts_at"])
        if grant["ends_at"] is not None:
            edges.add(grant["ends_at"])
            edges.add(grace_end(record, grant["ends_at"], terms))
            edges.add(expiring_soon_from(record, grant["ends_at"], terms))
    level: Record | None = record
    while level is not None:
        for block in level["blocks"]:
            edges.add(block["from"])
            if block["until"] is not None:
                edges.add(block["until"])
        level = level["holder"]
    if services["account"] is not None:
        edges |= account_edges(services["account"], services["zone"])
    return sorted(edges)


def shown(decision: Decision) -> tuple[Any, ...]:
    """The parts of an answer that `next_change_at` promises about."""
    return decision["effect"], decision["reason"], decision["also"], decision["warnings"]


def first_change(record: Record, ask: Ask, now: int, freshness: str, terms: Terms = DEFAULT) -> int | None:
    """The first instant after now at which the answer shows a change: `next_change_at` is never later than this.

    None: no change within the first 1,000 due instants of the account, and none at all when there is no account.
    """
    before = shown(decide(record, ask, now, freshness, terms))
    for edge in boundaries(record, terms):
        if edge > now and shown(decide(record, ask, edge, freshness, terms)) != before:
            return edge
    return None
