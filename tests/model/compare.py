"""The store's records beside the model's: as plain values that are equal when they mean the same."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from sidecar.core.book import Book
from sidecar.core.model import FOREVER, UNLIMITED, Record
from sidecar.core.tenant import Tenant
from tests import bridge, oracle
from tests.model import lineage, records
from tests.model.author import KEYS, USERS
from tests.model.state import Office, Plain

PROBES = 14
"""Instants at which decisions about a tenant are compared, each at most three times: before, at and after."""


# --- records ---


def told(record: Record) -> Plain:
    """A record of the store's."""
    return {
        "zone": record.zone,
        "archived": record.archived,
        "edition": record.edition or None,
        "holder": record.holder_id or None,
        "blocks": sorted({(b.name, b.starts_at, b.ends_at) for b in record.blocks}),
        "grants": sorted(
            (g.key, g.starts_at, g.ends_at, g.trial, plain_limit(g.amount), plain_limit(g.users)) for g in record.grants
        ),
        "usage": {
            key: (used.units, [(seat.tenant_id or record.tenant_id, seat.user_id) for seat in used.seats])
            for key, used in record.usage.items()
            if used.units or used.seats
        },
        "account": told_account(record),
    }


def plain_limit(limit: Any) -> str:
    return "unlimited" if limit is UNLIMITED else str(limit)


def told_account(record: Record) -> Plain | None:
    held = record.account
    if held is None:
        return None
    period = {"months": held.period.months} if held.period.months else {"days": held.period.days}
    money = held.basis.name == "MONEY"
    return {
        "basis": held.basis.name.lower(),
        "balance": held.balance,
        "as_of": held.as_of,
        "owed_since": held.owed_since,
        "owed_charge": held.owed_charge if held.owed_since is not None else None,
        "charge": held.charge,
        "anchor": held.anchor if money else None,
        "period": period if money else None,
        "allowed_balance": held.allowed_balance,
        "deferral_days": held.deferral_days,
    }


def meant(office: Office, tenant_id: str) -> Plain:
    """The same of the model's."""
    record = records.record(office, tenant_id)
    return {
        "zone": record["zone"],
        "archived": record["archived"],
        "edition": lineage.edition(office, tenant_id),
        "holder": lineage.holder(office, tenant_id),
        "blocks": sorted(
            {(b["name"], b["from"], FOREVER if b["until"] is None else b["until"]) for b in record["blocks"]}
        ),
        "grants": sorted(
            (
                g["key"],
                g["starts_at"],
                FOREVER if g["ends_at"] is None else g["ends_at"],
                g["trial"],
                str(g["amount"]),
                str(g["users"]),
            )
            for g in record["grants"]
        ),
        "usage": {key: (u["units"], [tuple(seat) for seat in u["seats"]]) for key, u in record["usage"].items()},
        "account": record["account"],
    }


def differences(office: Office, told_records: Mapping[str, Record]) -> list[str]:
    """Every tenant's record, field by field. Accounts are the same when they are once both are settled."""
    found = []
    if set(told_records) != set(office.tenants):
        found.append(f"tenants: the model has {sorted(office.tenants)}, the store {sorted(told_records)}")
    for tenant_id in sorted(set(office.tenants) & set(told_records)):
        want, got = meant(office, tenant_id), told(told_records[tenant_id])
        settle_alike(want, got)
        found += [
            f"{tenant_id}.{name}: the model has {want[name]}, the store {got[name]}"
            for name in want
            if want[name] != got[name]
        ]
    return found


def settle_alike(want: Plain, got: Plain) -> None:
    if want["account"] is not None and got["account"] is not None:
        latest = max(want["account"]["as_of"], got["account"]["as_of"])
        for side in (want, got):
            side["account"] = oracle.settle(side["account"], side["zone"], latest)


# --- decisions ---


def ask(rng: random.Random, tenant_id: str, instants: list[int]) -> Plain:
    actions = sorted(oracle.KNOWN)
    action = rng.choice(["booking.create", "space.create", "license.assign", "feature.use", rng.choice(actions)])
    kind = rng.choice([*KEYS, "fixed_desk", "timesheet"])
    if action in {"license.assign", "feature.use"}:
        kind = rng.choice(["layout_designer", "projects", "timesheet"])
    window = None
    if action.startswith("booking.") and rng.random() < 0.5:
        until = rng.choice(instants) + rng.choice([-1, 0, 1])
        window = [until - oracle.HOUR, until]
    return {
        "action": action,
        "kind": kind,
        "licensed": rng.choice([None, None, True, False]),
        "quantity": 1 if action == "license.assign" else rng.choice([1, 1, 2, 5]),
        "user_id": rng.choice(USERS),
        "window": window,
    }


def decisions(
    rng: random.Random, office: Office, told_records: Mapping[str, Record], book: Book, now: int
) -> list[str]:
    """The engine on the store's records, and the oracle on the model's, at and around what may change an answer."""
    found = []
    for tenant_id in office.tenants:
        want_of = records.record(office, tenant_id)
        own = told_records[tenant_id]
        tenant = Tenant(own, told_records[own.holder_id] if own.holder_id else own, book)
        edges = oracle.boundaries(want_of)
        some = rng.sample(edges, min(PROBES, len(edges)))
        instants = [e + d for e in some for d in (-1, 0, 1)]
        instants += [now, now + rng.randrange(400 * oracle.DAY), now - rng.randrange(400 * oracle.DAY)]
        for instant in instants:
            question = ask(rng, tenant_id, instants)
            want = oracle.decide(want_of, question, instant, "LIVE")
            got = bridge.plain(bridge.decided(tenant, book, bridge.ask(question, tenant_id), instant, "LIVE"))
            if want != got:
                unlike = {k: (want[k], got[k]) for k in want if want[k] != got[k]}
                found.append(f"{tenant_id} at {instant}, {question}: model and engine say {unlike}")
    return found


# --- what may never be lowered ---


def paid_sums(record: Record | None) -> dict[tuple[str, str], list[tuple[int, int, float]]]:
    """Key and dimension to the windows and numbers that paid license templates of orders grant."""
    found: dict[tuple[str, str], list[tuple[int, int, float]]] = {}
    for grant in record.grants if record is not None else ():
        if grant.trial or not grant.source.startswith("order:"):
            continue
        for dimension, limit in (("amount", grant.amount), ("users", grant.users), ("switch", 1)):
            if limit is not None:
                number = float("inf") if limit is UNLIMITED else float(limit)  # type: ignore[arg-type]
                found.setdefault((grant.key, dimension), []).append((grant.starts_at, grant.ends_at, number))
    return found


def lowered(before: Record | None, after: Record | None) -> set[str]:
    """Keys of which paid license templates grant less than before at some instant."""
    was, now = paid_sums(before), paid_sums(after)
    found = set()
    for name, windows in was.items():
        later = now.get(name, [])
        instants = {edge for start, end, _ in [*windows, *later] for edge in (start, end) if edge != FOREVER}
        if any(sum_at(name, later, instant) < sum_at(name, windows, instant) for instant in instants):
            found.add(name[0])
    return found


def sum_at(name: tuple[str, str], windows: list[tuple[int, int, float]], instant: int) -> float:
    """A switch is on if any grant has it on."""
    given = [number for start, end, number in windows if start <= instant < end]
    return max(given, default=0.0) if name[1] == "switch" else sum(given)
