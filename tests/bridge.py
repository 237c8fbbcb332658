"""The oracle's plain values as the engine's, and the engine's decisions as plain values: so they can be compared."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from sidecar.core.book import Book
from sidecar.core.decide import Decision, decide, weigh
from sidecar.core.facts import NO_DETAILS, Ask, glance_at, observe
from sidecar.core.model import (
    FOREVER,
    UNLIMITED,
    Account,
    Basis,
    Block,
    Freshness,
    Grant,
    Limit,
    Period,
    Record,
    Seat,
    Usage,
)
from sidecar.core.tenant import Tenant
from sidecar.core.variables import variables

Plain = dict[str, Any]


def limit(value: Any) -> Limit | None:
    return UNLIMITED if value == "unlimited" else value


def account(plain: Plain | None) -> Account | None:
    if plain is None:
        return None
    period = plain["period"] or {}
    return Account(
        basis=Basis.MONEY if plain["basis"] == "money" else Basis.DAYS,
        balance=plain["balance"],
        as_of=plain["as_of"],
        charge=plain["charge"],
        owed_since=plain["owed_since"],
        owed_charge=plain["owed_charge"] or 0,
        anchor=plain["anchor"] or 0,
        period=Period(months=period.get("months", 0), days=period.get("days", 0)),
        allowed_balance=plain["allowed_balance"],
        deferral_days=plain["deferral_days"],
    )


def record(plain: Plain) -> Record:
    shares = plain["holder"] is not None
    return Record(
        tenant_id=plain["tenant_id"],
        revision=1,
        zone=plain["zone"],
        archived=plain["archived"],
        blocks=tuple(
            Block(name=b["name"], starts_at=b["from"], ends_at=FOREVER if b["until"] is None else b["until"])
            for b in plain["blocks"]
        ),
        holder_id=plain["holder"]["tenant_id"] if shares else "",
        grants=() if shares else tuple(grant(g) for g in plain["grants"]),
        usage=MappingProxyType({} if shares else {k: usage(u) for k, u in plain["usage"].items()}),
        account=None if shares else account(plain["account"]),
    )


def grant(plain: Plain) -> Grant:
    return Grant(
        key=plain["key"],
        starts_at=plain["starts_at"],
        ends_at=FOREVER if plain["ends_at"] is None else plain["ends_at"],
        trial=plain["trial"],
        amount=limit(plain["amount"]),
        users=limit(plain["users"]),
    )


def usage(plain: Plain) -> Usage:
    return Usage(units=plain["units"], seats=tuple(Seat(t, u) for t, u in plain["seats"]))


def tenant(plain: Plain, book: Book) -> Tenant:
    own = record(plain)
    return Tenant(own, record(plain["holder"]) if plain["holder"] is not None else own, book)


def ask(plain: Plain, tenant_id: str = "acme") -> Ask:
    starts_at, ends_at = plain["window"] or (None, None)
    return Ask(
        tenant_id,
        plain["action"],
        plain["kind"] or "",
        plain["licensed"] is not False,
        plain["quantity"],
        plain["user_id"] or "",
        starts_at,
        ends_at,
    )


def decided(subject: Tenant, book: Book, question: Ask, now: int, freshness: str) -> Decision:
    facts = observe(subject, question, glance_at(subject, question, now), now, Freshness(freshness))
    outcomes = weigh(subject.applied.table.match(facts), variables(subject, question, NO_DETAILS, facts, now))
    return decide(tenant=subject, book=book, ask=question, facts=facts, outcomes=outcomes, languages=("en",))


def shown(limit_: Limit) -> int | str:
    return "unlimited" if limit_ is UNLIMITED else limit_


def plain(decision: Decision) -> Plain:
    """The parts that the oracle has an opinion on."""
    figures, state = decision.figures, decision.state
    return {
        "effect": decision.effect.value.upper(),
        "reason": decision.reason and decision.reason.code,
        "also": list(decision.also),
        "warnings": [code for code, _ in decision.warnings],
        "quota": figures
        and {
            "key": figures.key,
            "limit": shown(figures.limit),
            "used": figures.used,
            "fits": shown(figures.fits),
            "excess": figures.excess,
            "holder": figures.holder,
        },
        "phase": state and state.phase.value,
        "status": state and state.status.value,
        "standing": state and state.standing.value,
        "term_ends_at": state and state.term_ends_at,
        "grace_ends_at": state and state.grace_ends_at,
    }
