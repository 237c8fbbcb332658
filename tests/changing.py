"""One change of a shop's store at a time, and what it leaves: altered records, audit entries, movements of balances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sync.store import audit, ledger
from sync.store.audit import By, Entry, Sought, Verdict
from sync.store.ledger import Movement
from sync.store.plandoc import PlanTerms, terms_of
from sync.store.plans import create_plan
from tests.storing import START, TESTER, Shop, at

MILLION: Final = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a change returned, whose records it altered, and what it added to the audit trail."""

    answer: Any
    records: set[str]
    entries: list[Entry]


def change(shop: Shop, make: Callable[..., Any], *args: Any, by: By = TESTER, **kwargs: Any) -> Left:
    """Makes one change in a transaction of its own; instants named `now` may be dates as text."""
    if isinstance(kwargs.get("now"), str):
        kwargs["now"] = at(kwargs["now"])
    revision, before = shop.revision(), len(entries(shop))
    with shop.store.writing(by) as writing:
        answer = make(writing, *args, **kwargs)
    return Left(answer=answer, records=shop.changed_since(revision), entries=entries(shop)[before:])


def entries(shop: Shop) -> list[Entry]:
    """The audit trail."""
    with shop.store.reading() as conn:
        return audit.entries(conn, Sought(), limit=10**6)


def verdict(shop: Shop) -> Verdict:
    """What a look at the whole trail finds."""
    with shop.store.reading() as conn:
        return audit.verify(conn)


def movements(shop: Shop, tenant_id: str) -> list[Movement]:
    """A tenant's ledger."""
    with shop.store.reading() as conn:
        return [entry.movement for entry in ledger.list_ledger(conn, tenant_id=tenant_id, limit=10**6)]


def terms(services: dict[str, int] | None = None, **blocking: Any) -> PlanTerms:
    """What a plan brings: product to quantity, and blocking settings where some are named."""
    found: dict[str, Any] = {"services": [{"product": p, "quantity": q} for p, q in (services or {}).items()]}
    return terms_of(found | ({"blocking": blocking} if blocking else {}))


def plan(shop: Shop, plan_id: str, services: dict[str, int] | None = None, **fields: Any) -> None:
    """Adds a plan; `owner_id` and `name` apart, fields are blocking settings."""
    own = {name: fields.pop(name) for name in ("owner_id", "name") if name in fields}
    given = {"name": plan_id.title()} | own
    change(shop, create_plan, plan_id, terms=terms(services, **fields), now=START, **given)
