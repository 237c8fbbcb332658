"""Random cases for comparing the engine with `oracle.py`: plain dicts in its shapes, the same ones for the same seed.

The instants of a case come from a small pool, so that terms meet, overlap and leave gaps, and edges fall together; as
often as not the pool lies near a change of the clocks. Nearly half of the asks come within a microsecond of a boundary.
"""

from __future__ import annotations

import random
from datetime import datetime, time, timedelta
from typing import Any

from tests import oracle
from tests.oracle import DAY, DEFAULT, HOUR, KNOWN, UNLIMITED, Ask, Record, Terms, local_to_instant

# Zones, each with days on which something odd happens to its clock.
ODD_DAYS = {
    "UTC": ["2024-02-29", "2025-01-31"],
    "Asia/Shanghai": ["1991-04-14", "1991-09-15", "2026-06-30"],
    "America/New_York": ["2026-03-08", "2026-11-01"],
    "America/Sao_Paulo": ["2017-10-15", "2018-02-18", "2018-11-04"],  # midnight missing, 23:00 doubled
    "America/Havana": ["2026-03-08", "2026-11-01"],  # midnight missing, midnight doubled
    "Europe/London": ["2026-03-29", "2026-10-25"],
    "Australia/Lord_Howe": ["2026-04-05", "2026-10-04"],  # half an hour
    "Asia/Kathmandu": ["1986-01-01", "2025-02-28"],  # a quarter of an hour
    "Asia/Kolkata": ["2025-08-31"],
    "Pacific/Apia": ["2011-12-30", "2011-12-31", "2011-09-24"],  # a whole day missing
    "Pacific/Kiritimati": ["1994-12-31"],
    "Pacific/Chatham": ["2026-09-27"],
    "Africa/Cairo": ["2024-04-26", "2024-10-31"],  # midnight missing, 23:00 doubled
    "Asia/Beirut": ["2024-03-31", "2024-10-26"],  # midnight missing, 23:00 doubled
    "Africa/Casablanca": ["2026-02-15", "2026-03-22"],
    "America/St_Johns": ["2010-03-14", "2010-11-07"],  # one minute past midnight
}
ZONES = sorted(ODD_DAYS)
KEYS = ["fixed_desk", "shared_desk", "meeting_room", "layout_designer", "timesheet"]
UNKNOWN_ACTIONS = ["space.paint", "booking.archive", "tenant.erase", "frobnicate"]
ACTIONS = [*sorted(KNOWN), *sorted(oracle.SPEND | oracle.USE) * 2]
USERS = ["u1", "u2", "u3", "u4", "u5"]
UNIT = 1_000_000


def _instant(rng: random.Random, zone: str, center: datetime, spread: int) -> int:
    day = center + timedelta(days=rng.randint(-spread, spread))
    style = rng.random()
    if style < 0.45:
        clock = time.min
    elif style < 0.6:
        clock = rng.choice([time(23, 59, 59, 999_999), time(0, 30), time(1), time(1, 30), time(2, 30), time(23, 30)])
    else:
        clock = time(rng.randrange(24), rng.randrange(60), rng.randrange(60), rng.choice([0, rng.randrange(1_000_000)]))
    if rng.random() < 0.1:  # the month's last day
        day = day.replace(day=oracle.days_in_month(day.year, day.month))
    instant = local_to_instant(datetime.combine(day.date(), clock), zone)
    return instant + rng.choice([0] * 18 + [HOUR, -HOUR])  # an hour on, a doubled time is the later one


def _pool(rng: random.Random, zone: str) -> list[int]:
    if rng.random() < 0.5:
        center = datetime.fromisoformat(rng.choice(ODD_DAYS[zone]))
    else:
        center = datetime(rng.randint(2012, 2030), rng.randint(1, 12), rng.randint(1, 28))  # noqa: DTZ001 - a wall time
    spreads = rng.choice([[0, 1, 3], [1, 30, 120], [5, 100, 400], [0, 31, 200]])
    return sorted({_instant(rng, zone, center, rng.choice(spreads)) for _ in range(rng.randint(5, 9))})


def _window(rng: random.Random, pool: list[int], forever: float) -> tuple[int, int | None]:
    start = rng.choice(pool)
    if rng.random() < forever:
        return start, None
    later = [instant for instant in pool if instant > start] or [start + rng.choice([1, HOUR, 14 * DAY])]
    if rng.random() < 0.03:
        return start, rng.choice([start, start - 1])  # an empty window
    return start, rng.choice(later)


def _number(rng: random.Random, most: int) -> int | str:
    return UNLIMITED if rng.random() < 0.07 else rng.randint(0, most)


def _grants(rng: random.Random, key: str, pool: list[int]) -> list[dict[str, Any]]:
    shape = rng.choice(["amount", "amount", "amount", "users", "users", "both", "neither", "mixed"])
    count = rng.choice([0, 1, 1, 2, 2, 3, 4])
    chained = rng.random() < 0.3
    forever = rng.choice([0.0, 0.0, 0.1, 0.3])
    trials = rng.choice([0.0, 0.3, 1.0])
    grants: list[dict[str, Any]] = []
    for position in range(count):
        starts_at, ends_at = _window(rng, pool, forever)
        previous = grants[-1]["ends_at"] if grants else None
        if chained and previous is not None:
            starts_at = previous
            ends_at = starts_at + rng.choice([1, DAY, 30 * DAY, 90 * DAY])
        gives = rng.choice(["amount", "users", "both", "neither"]) if shape == "mixed" else shape
        grants.append(
            {
                "key": key,
                "starts_at": starts_at,
                "ends_at": ends_at,
                "trial": rng.random() < trials if position else rng.random() < max(trials, 0.2),
                "amount": _number(rng, 12) if gives in {"amount", "both"} else None,
                "users": _number(rng, 4) if gives in {"users", "both"} else None,
            }
        )
    rng.shuffle(grants)
    return grants


def _usage(rng: random.Random, keys: list[str], grants: list[dict[str, Any]], tenants: list[str]) -> dict[str, Any]:
    usage = {}
    for key in keys:
        if rng.random() < 0.1:
            continue  # nothing was ever reported
        holders = [[tenant, user] for tenant in tenants for user in USERS]
        seats = rng.sample(holders, min(len(holders), rng.choice([0, 1, 2, 3, 4, 6])))
        given = [grant["amount"] for grant in grants if grant["key"] == key and isinstance(grant["amount"], int)]
        near = max(0, sum(rng.sample(given, rng.randint(0, len(given)))) - rng.choice([0, 0, 1, 1, 2, -1]))
        usage[key] = {"units": rng.choice([0, near, near, near, rng.randint(0, 25)]), "seats": seats}
    return usage


def _account(rng: random.Random, pool: list[int]) -> dict[str, Any] | None:
    if rng.random() < 0.6:
        return None
    as_of = rng.choice(pool)
    allowed = rng.choice([0, 0, 0, -50 * UNIT, -3 * UNIT, 2 * UNIT, 1])
    charges = rng.choice([rng.randint(-2, 3), rng.randint(0, 15), rng.randint(0, 15), rng.randint(0, 200)])
    account: dict[str, Any] = {"as_of": as_of, "owed_since": None, "owed_charge": None, "allowed_balance": allowed}
    if rng.random() < 0.5:
        charge = 0 if rng.random() < 0.02 else rng.choice([UNIT, 60 * UNIT, 7, 12_345_678])
        account |= {"basis": "money", "charge": charge}
        earlier = as_of - rng.randint(0, 300) * DAY - rng.randint(0, DAY)
        account["anchor"] = rng.choice([rng.choice(pool), as_of, earlier])
        account["period"] = rng.choice([{"months": rng.choice([1, 3, 12])}, {"days": rng.choice([1, 7, 30])}])
    else:
        charge = UNIT
        account |= {"basis": "days", "charge": charge, "anchor": None, "period": None}
    account["balance"] = allowed + charges * charge + rng.choice([0, 0, 0, -1, 1, charge // 2])
    account["deferral_days"] = rng.choice([0, 1, 5, 30, 90])
    if rng.random() < 0.25:
        account["owed_since"] = as_of - rng.choice([0, 1, HOUR, DAY, 4 * DAY, rng.randint(0, 40) * DAY])
        account["owed_charge"] = rng.choice([charge, 5 * UNIT])
        account["balance"] = allowed + account["owed_charge"] - rng.randint(1, 5 * UNIT)
    return account


def _blocks(rng: random.Random, pool: list[int]) -> list[dict[str, Any]]:
    blocks = []
    for _ in range(rng.choice([0] * 8 + [1, 2])):
        start, until = _window(rng, pool, 0.2)
        blocks.append({"name": rng.choice(["operator", "fraud", "legal"]), "from": start, "until": until})
    return blocks


def _tenant(rng: random.Random, tenant_id: str, zone: str, pool: list[int], pooled_with: list[str]) -> Record:
    keys = rng.sample(KEYS, rng.randint(1, 3))
    grants = [grant for key in keys for grant in _grants(rng, key, pool)]
    rng.shuffle(grants)
    return {
        "tenant_id": tenant_id,
        "zone": zone,
        "archived": rng.random() < 0.05,
        "blocks": _blocks(rng, pool),
        "holder": None,
        "grants": grants,
        "usage": _usage(rng, keys, grants, [tenant_id, *pooled_with]),
        "account": _account(rng, pool),
    }


def _record(rng: random.Random, zone: str, pool: list[int]) -> Record:
    if rng.random() < 0.75:
        return _tenant(rng, "acme", zone, pool, [])
    holder = _tenant(rng, "parent", zone, pool, ["acme", "sister"])
    child = _tenant(rng, "acme", rng.choice(ZONES), pool, [])
    if rng.random() < 0.9:
        child |= {"grants": [], "usage": {}, "account": None}
    return child | {"holder": holder}


def _ask(rng: random.Random, record: Record, pool: list[int]) -> Ask:
    action = rng.choice(UNKNOWN_ACTIONS) if rng.random() < 0.05 else rng.choice(ACTIONS)
    granted = sorted({grant["key"] for grant in oracle.services_of(record)["grants"]})
    per_user = [key for key in granted if oracle.is_per_user(record, key)]
    kinds: list[str | None] = [*granted, *granted, *granted, rng.choice([*KEYS, "parking_spot"])]
    if action in {"feature.use", "license.assign", "license.revoke"} and per_user and rng.random() < 0.8:
        kinds = [*per_user]
    if action not in oracle.SPEND | oracle.USE | oracle.ATTEND:
        kinds += [None]
    user_id: str | None = rng.choice([*USERS, "nobody"])
    if action != "license.assign" and rng.random() < (0.1 if action == "feature.use" else 0.5):
        user_id = None
    window = None
    if rng.random() < (0.8 if action.startswith("booking.") else 0.05):
        ends = [g["ends_at"] for g in oracle.grants_of(record) if g["ends_at"] is not None]
        end = rng.choice([*pool, *ends, *ends]) + rng.choice([-1, 0, 1, 1, DAY])
        window = [end - rng.choice([1, HOUR, DAY]), end]
    return {
        "action": action,
        "kind": rng.choice(kinds),
        "licensed": rng.choice([None, None, None, True, True, False]),
        "quantity": 1 if action == "license.assign" else rng.choice([1, 1, 1, 1, 2, 2, 5, 1_000]),
        "user_id": user_id,
        "window": window,
    }


def random_case(rng: random.Random) -> tuple[Record | None, Ask, int, str]:
    """A record (None: the tenant is unknown), an ask, an instant and a freshness."""
    zone = rng.choice(ZONES)
    pool = _pool(rng, zone)
    record = _record(rng, zone, pool)
    ask = _ask(rng, record, pool)
    edges = boundaries(record, ask=ask)
    nearby = [edge for edge in edges if pool[0] - 400 * DAY <= edge <= pool[-1] + 400 * DAY]
    asked_about = [grant for grant in oracle.grants_of(record) if ask["kind"] in {None, grant["key"]}]
    draw = rng.random()
    if nearby and draw < 0.45:
        now = rng.choice(nearby) + rng.choice([-1, 0, 1])
    elif asked_about and draw < 0.85:  # somewhere within a term
        grant = rng.choice(asked_about)
        now = rng.randrange(grant["starts_at"], grant["ends_at"] or grant["starts_at"] + 400 * DAY)
    else:
        now = rng.randint(pool[0] - 10 * DAY, pool[-1] + rng.choice([0, 10, 130]) * DAY)
    freshness = rng.choice(["LIVE"] * 8 + ["STALE", "BLIND"])
    return (None if rng.random() < 0.005 else record), ask, now, freshness


def boundaries(record: Record, terms: Terms = DEFAULT, ask: Ask | None = None) -> list[int]:
    """Every instant worth asking about (and one microsecond either side of it), in order: the edges of grants, grace,
    the warning before an end, blocks and the account, and those of the booking's window when the ask is given."""
    edges = set(oracle.boundaries(record, terms))
    if ask is not None and ask["window"] is not None:
        edges.update(ask["window"])
    return sorted(edges)
