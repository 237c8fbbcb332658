"""Reads tests/cases/*.yaml: what is given, what is asked, what is expected. Instants are texts in UTC there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

CASES = Path(__file__).parent / "cases"
MICROS = 1_000_000
MONEY = ("balance", "charge", "owed_charge", "allowed_balance")
INSTANTS = ("as_of", "owed_since", "anchor")
Plain = dict[str, Any]


class Case(NamedTuple):
    name: str
    record: Plain
    ask: Plain
    at: int
    freshness: str
    expect: Plain


class Texts(yaml.SafeLoader):
    """Leaves timestamps as the texts they are."""


Texts.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def cases(file: str = "worked.yaml") -> Iterator[Case]:
    for given in yaml.load((CASES / file).read_text(), Texts):
        zone = given.get("zone", "UTC")
        holder = _record("parent", zone, given["holder"]) if "holder" in given else None
        record = _record("acme", zone, given["record"]) | {"holder": holder}
        for i, asked in enumerate(given["asks"], 1):
            yield Case(
                f"{given['case']}, ask {i}",
                record,
                _ask(asked),
                instant(asked["at"]),
                asked.get("freshness", "LIVE"),
                asked["expect"],
            )


def instant(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return round(moment.timestamp()) * MICROS if not moment.microsecond else _exact(moment)


def _exact(moment: datetime) -> int:
    return int(moment.replace(microsecond=0).timestamp()) * MICROS + moment.microsecond


def _when(text: str | None) -> int | None:
    return None if text is None else instant(text)


def _record(tenant_id: str, zone: str, given: Plain) -> Plain:
    return {
        "tenant_id": tenant_id,
        "zone": zone,
        "archived": False,
        "blocks": [{"name": n, "from": instant(a), "until": _when(b)} for n, a, b in given.get("blocks", [])],
        "holder": None,
        "grants": [_grant(*g) for g in given.get("grants", [])],
        "usage": {k: _usage(tenant_id, u) for k, u in given.get("usage", {}).items()},
        "account": _account(given["account"]) if "account" in given else None,
    }


def _grant(key: str, starts_at: str, ends_at: str | None, what: Plain) -> Plain:
    return {
        "key": key,
        "starts_at": instant(starts_at),
        "ends_at": _when(ends_at),
        "trial": what.get("trial", False),
        "amount": what.get("amount"),
        "users": what.get("users"),
    }


def _usage(tenant_id: str, used: int | list[str]) -> Plain:
    if isinstance(used, int):
        return {"units": used, "seats": []}
    return {"units": 0, "seats": [[tenant_id, user] for user in used]}


def _account(given: Plain) -> Plain:
    defaults = {"owed_since": None, "owed_charge": None, "anchor": None, "period": None}
    money = {k: given[k] * MICROS for k in MONEY if k in given}
    return defaults | given | money | {k: instant(given[k]) for k in INSTANTS if k in given}


def _ask(given: Plain) -> Plain:
    action, kind = given["ask"]
    window = given.get("window")
    return {
        "action": action,
        "kind": kind,
        "licensed": given.get("licensed"),
        "quantity": given.get("quantity", 1),
        "user_id": given.get("user"),
        "window": window and [instant(w) for w in window],
        "attributes": given.get("attributes", {}),
    }


def differences(expect: Plain, got: Plain) -> Plain:
    """What is expected and not so: name to (expected, got). `got` is a plain decision, as tests/bridge.py gives it."""
    flat = got | (got["quota"] or {})
    wanted = {k: instant(v) if k.endswith("_at") else v for k, v in expect.items() if k != "remedies"}
    return {k: (v, flat.get(k)) for k, v in wanted.items() if flat.get(k) != v}
