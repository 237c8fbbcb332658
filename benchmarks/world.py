"""The tenants that the benchmarks ask about, and what is known of each without asking the engine.

A hot tenant is built for a case: its record is written so that a few plain facts hold (status, phase, standing, how
full its quotas are) from some days ago until some days ahead, whatever the clock says while a benchmark runs.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sidecar.core.model import (
    DAY,
    FOREVER,
    MICROS,
    UNLIMITED,
    Account,
    Basis,
    Block,
    Grant,
    Instant,
    Limit,
    Period,
    Record,
    Seat,
    Usage,
)
from sidecar.records import encode
from sync import digest
from sync.store.db import open_store

HOT: Final = 1_000
"""Tenants that are asked about."""
SPACES: Final = ("fixed_desk", "shared_desk", "meeting_room")
PER_USER: Final = "layout_designer"
FEATURE: Final = "timesheet"
_ZONES: Final = ("UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York")
_LANGUAGES: Final = ("en", "zh-CN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a tenant is made for. `share` of 100 hot tenants; `starts` and `ends` are days from now."""

    share: int
    starts: int = -200
    ends: int | None = 200
    trial: bool = False
    fill: str = "ample"
    status: str = "OPEN"
    phase: str = "ACTIVE"
    standing: str = "GOOD"
    child: bool = False


CASES: Final[MappingProxyType[str, Case]] = MappingProxyType(
    {
        "ample": Case(share=36),
        "expiring": Case(share=5, ends=20),
        "unlimited": Case(share=5, ends=None, fill="unlimited"),
        "trial": Case(share=6, trial=True, phase="TRIAL", ends=12, starts=-2),
        "child": Case(share=5, child=True),
        "past_due": Case(share=3, standing="PAST_DUE"),
        "full": Case(share=8, fill="full"),
        "over": Case(share=8, fill="over"),
        "grace": Case(share=5, ends=-10, phase="GRACE"),
        "expired": Case(share=5, ends=-120, phase="EXPIRED"),
        "suspended": Case(share=4, status="SUSPENDED"),
        "blocked": Case(share=4, standing="BLOCKED"),
        "archived": Case(share=3, status="ARCHIVED"),
        "pending": Case(share=3, starts=30, phase="PENDING"),
    }
)
"""In order; the shares add up to 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hot:
    """A hot tenant: its record, and the facts that hold of it. Of a child they are those of its holder."""

    record: Record
    case: Case
    limits: dict[str, Limit] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    seated: tuple[str, ...] = ()
    """Its users who hold a seat, in order of assignment; a child's users hold none in the pool."""


def hot_tenants(now: Instant, count: int = HOT, seed: int = 7) -> list[Hot]:
    """The hot tenants, the same ones for the same seed; of every hundred, CASES' shares."""
    rng = random.Random(seed)
    shares = [name for name, case in CASES.items() for _ in range(case.share)]
    if len(shares) != 100:
        raise ValueError(f"the shares add up to {len(shares)}, not 100")
    built: list[Hot] = []
    for number in range(count):
        case = CASES[shares[number % 100]]
        holder = built[number - number % 100] if case.child else None
        tenant_id = f"tenant-{number:06d}"
        built.append(_child(tenant_id, holder, case) if holder else _tenant(tenant_id, case, now, rng))
    return built


def cold_records(count: int) -> Iterator[Record]:
    """Further tenants, never asked about: the hot ones' records under other names."""
    patterns = [hot.record for hot in hot_tenants(0, 100) if not hot.case.child]
    for number in range(count):
        pattern = patterns[number % len(patterns)]
        yield Record(
            tenant_id=f"cold-{number:06d}",
            revision=1,
            zone=pattern.zone,
            language=pattern.language,
            edition=pattern.edition,
            grants=pattern.grants,
            usage=pattern.usage,
            account=pattern.account,
            blocks=pattern.blocks,
            archived=pattern.archived,
        )


def records(now: Instant, total: int, hot: int = HOT) -> Iterator[Record]:
    """The hot tenants' records and as many cold ones as `total` leaves room for."""
    for tenant in hot_tenants(now, hot):
        yield tenant.record
    yield from cold_records(total - hot)


def write_store(path: Path, now: Instant, total: int, hot: int = HOT) -> int:
    """Makes a central store at `path` whose records are those of `total` tenants, at revision 1.

    Only the tables that sidecars follow are filled: nothing behind them is asked here.
    """
    open_store(path, create=True)
    with closing(sqlite3.connect(path)) as store, store:
        rows = [(record.tenant_id, encode(record)) for record in records(now, total, hot)]
        store.executemany("INSERT INTO entitlement (tenant_id, revision, record) VALUES (?, 1, ?)", rows)
        store.execute("INSERT INTO change_log (revision, tenant_id) SELECT 1, tenant_id FROM entitlement")
        held = digest.as_text(sum(digest.row_mark(*row) for row in rows))
        store.execute("UPDATE store SET revision = 1, digest = ?", (held,))
        store.execute("INSERT INTO revision_log (revision, digest, at) VALUES (1, ?, 0)", (held,))
    return 1


def _child(tenant_id: str, holder: Hot, case: Case) -> Hot:
    record = Record(tenant_id=tenant_id, revision=1, zone=holder.record.zone, holder_id=holder.record.tenant_id)
    return Hot(record=record, case=case, limits=holder.limits, used=holder.used)


def _tenant(tenant_id: str, case: Case, now: Instant, rng: random.Random) -> Hot:
    limits: dict[str, Limit] = {}
    used: dict[str, int] = {}
    for key in (*SPACES, PER_USER):
        limit = rng.randint(4, 12) if key == PER_USER else rng.choice((20, 50, 100, 400))
        limits[key] = UNLIMITED if case.fill == "unlimited" else limit
        used[key] = {"full": limit, "over": limit + rng.randint(1, 3)}.get(case.fill, limit // 2)
    users = tuple(f"user-{n}" for n in range(used[PER_USER]))
    window = {"starts_at": now + case.starts * DAY, "ends_at": FOREVER if case.ends is None else now + case.ends * DAY}
    grants = [Grant(key=key, trial=case.trial, amount=limits[key], source="order:1", **window) for key in SPACES]
    grants.append(Grant(key=PER_USER, trial=case.trial, users=limits[PER_USER], source="order:1", **window))
    grants.append(Grant(key=FEATURE, trial=case.trial, source="order:1", **window))
    usage = {key: Usage(units=used[key]) for key in SPACES}
    usage[PER_USER] = Usage(seats=tuple(Seat("", user) for user in users))
    record = Record(
        tenant_id=tenant_id,
        revision=1,
        zone=rng.choice(_ZONES),
        language=rng.choice(_LANGUAGES),
        edition=rng.choice(("basic", "advanced", "flagship")),
        archived=case.status == "ARCHIVED",
        blocks=(Block(name="operator", starts_at=now - 5 * DAY),) if case.status == "SUSPENDED" else (),
        grants=tuple(grants),
        usage=MappingProxyType(usage),
        account=_account(case, now, rng),
    )
    return Hot(record=record, case=case, limits=limits, used=used, seated=users)


def _account(case: Case, now: Instant, rng: random.Random) -> Account | None:
    """Most are not billed from a balance; one in ten of those in good standing is."""
    if case.standing == "GOOD" and rng.random() > 0.1:
        return None
    owed = None if case.standing == "GOOD" else now - 20 * DAY
    return Account(
        basis=Basis.MONEY,
        balance=10_000 * MICROS if owed is None else 0,
        as_of=now - 20 * DAY,
        charge=50 * MICROS,
        owed_since=owed,
        owed_charge=50 * MICROS if owed else 0,
        anchor=now - 20 * DAY,
        period=Period(months=1),
        deferral_days=60 if case.standing == "PAST_DUE" else 3,
    )
