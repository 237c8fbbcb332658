"""`deskgate store` and `deskgate demo`: the store itself, and something to try in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from sidecar.cli.backoffice.common import DEFAULT_STORE, AsJson, At, StorePath, answer, app_of, now_or, table, told
from sidecar.core.calendar import add_period
from sidecar.core.errors import InvalidRequest
from sidecar.policy.values import period
from sync.backoffice.auth import at_this_machine
from sync.store.audit import By
from sync.store.bulk import seed_many
from sync.store.db import Store, migrate_store, open_store
from sync.store.demo import seed_demo
from sync.store.revisions import mean_restored, prune

store = app_of("store", "The store itself: make it, migrate it, ask it, and what is kept of its history.")
demo = app_of("demo", "Tenants to try things on.")

Where = StorePath
Operator = Annotated[
    str | None, typer.Option("--operator", envvar="DESKGATE_OPERATOR", help="Who you are; default: your login.")
]


@store.command()
@told
def init(store: Where = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Makes the store where there is none; one that is there stays as it is, migrated where needed."""
    _tell(open_store(store, create=True), as_json)


@store.command()
@told
def migrate(store: Where = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Brings the store to this version's schema, in one transaction."""
    _tell(migrate_store(store), as_json)


@store.command()
@told
def status(store: Where = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Identity, schema, revision and size."""
    _tell(open_store(store), as_json)


@store.command()
@told
def restored(
    past: Annotated[
        int | None,
        typer.Option(min=0, help="The highest revision that anyone may have seen; default: a million further."),
    ] = None,
    operator: Operator = None,
    store: Where = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Says that the store's present state is meant, though it is an earlier one: after restoring a backup.

    Until then sidecars serve on what they had. From then on they take everything from the store anew.
    """
    with open_store(store).writing(_by(operator)) as writing:
        revision = mean_restored(writing, past)
    answer(as_json, f"meant as it is, from revision {revision} on: sidecars take it over", revision=revision)


@store.command("prune")
@told
def prune_(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="PERIOD", help="Such as P30D, or P3M, before now, in UTC.")
    ],
    operator: Operator = None,
    store: Where = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Forgets which tenants changed longer ago than that. Sidecars that were away for longer take everything anew."""
    try:
        age = period(older_than)
    except ValueError as e:
        raise InvalidRequest("older-than", str(e)) from e
    with open_store(store).writing(_by(operator)) as writing:
        done = prune(writing, add_period(now_or(None), age, ZoneInfo("UTC"), -1))
    text = f"{done.changes} changes forgotten: they can be had one by one since revision {done.since}"
    answer(as_json, text, **asdict(done))


def _by(operator: str | None) -> Callable[[], By]:
    name = at_this_machine(operator).name
    return lambda: By(operator=name, at=now_or(None))


def _tell(opened: Store, as_json: bool) -> None:
    said = {"url" if opened.file is None else "path": opened.name} | asdict(opened.status())
    answer(as_json, "\n".join(f"{name}: {value}" for name, value in said.items()), **said)


@demo.command()
@told
def seed(store: Where = DEFAULT_STORE, at: At = None, as_json: AsJson = False) -> None:
    """Fills the store, made if there is none, with one tenant for each thing that can be so. Done once."""
    made = seed_demo(open_store(store, create=True), now_or(at))
    text = table(("TENANT", "SHOWS"), made.items()) if made else "the demo tenants are there already"
    answer(as_json, text, tenants=dict(made))


@demo.command()
@told
def many(
    count: Annotated[int, typer.Argument(min=1, max=10_000_000, help="How many.")],
    seed: Annotated[int, typer.Option(help="The same seed makes the same tenants.")] = 0,
    prefix: Annotated[str, typer.Option(help="Of their ids.")] = "t",
    store: Where = DEFAULT_STORE,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Fills the store, made if there is none, with synthetic tenants to measure with."""
    made = seed_many(open_store(store, create=True), count, now_or(at), seed=seed, prefix=prefix)
    counts = {shape: len(ids) for shape, ids in made.items()}
    answer(as_json, table(("SHAPE", "TENANTS"), counts.items()), made=counts)
