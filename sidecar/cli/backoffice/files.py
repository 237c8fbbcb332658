"""`deskgate store` and `deskgate demo`: the store itself, and something to try in it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from sidecar.cli.backoffice.common import DEFAULT_STORE, AsJson, At, StorePath, answer, app_of, now_or, table, told
from sync.store.bulk import seed_many
from sync.store.db import Store, migrate_store, open_store
from sync.store.demo import seed_demo

store = app_of("store", "The store itself: make it, migrate it, ask it.")
demo = app_of("demo", "Tenants to try things on.")

Where = StorePath


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
