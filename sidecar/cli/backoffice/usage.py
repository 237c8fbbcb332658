"""`deskgate usage`: what exists, as Desking would state it."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

import typer

from sidecar.cli.backoffice.common import (
    DEFAULT_STORE,
    AsJson,
    At,
    StorePath,
    TenantId,
    answer,
    app_of,
    now_or,
    table,
    told,
)
from sync.store.db import open_store
from sync.store.usage import Absolute, Change, Delta, SeatChange, Seats, adjust_usage, list_usage

app = app_of("usage", "Usage: units and seats that exist.")

Key = Annotated[str, typer.Argument(metavar="KEY", help="What is counted: fixed_desk, layout_designer...")]
Users = Annotated[list[str], typer.Argument(metavar="USER...", help="In order of assignment.")]
Once = Annotated[str | None, typer.Option("--idempotency-key", help="The same key with the same content is done once.")]


@app.command("set")
@told
def set_(
    tenant: TenantId,
    key: Key,
    units: Annotated[int, typer.Argument(min=0)],
    once: Once = None,
    store: StorePath = DEFAULT_STORE,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """So many units exist, as counted."""
    _adjust(store, tenant, key, Absolute(units=units), once, at, as_json)


@app.command()
@told
def adjust(
    tenant: TenantId,
    key: Key,
    by: Annotated[int, typer.Option(help="So many more, or, negative, fewer.")],
    once: Once = None,
    store: StorePath = DEFAULT_STORE,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """More or fewer units exist than before."""
    _adjust(store, tenant, key, Delta(units=by), once, at, as_json)


@app.command()
@told
def assign(
    tenant: TenantId,
    key: Key,
    users: Users,
    once: Once = None,
    store: StorePath = DEFAULT_STORE,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Users get seats, after those who hold one; one who holds a seat keeps its place."""
    _adjust(store, tenant, key, _seats(users, held=True), once, at, as_json)


@app.command()
@told
def revoke(
    tenant: TenantId,
    key: Key,
    users: Users,
    once: Once = None,
    store: StorePath = DEFAULT_STORE,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Users lose their seats."""
    _adjust(store, tenant, key, _seats(users, held=False), once, at, as_json)


def _seats(users: list[str], *, held: bool) -> Seats:
    return Seats(changes=tuple(SeatChange(user_id=user, held=held) for user in users))


def _adjust(store: str, tenant: str, key: str, change: Change, once: str | None, at: str | None, as_json: bool) -> None:
    once = once or f"cli-{uuid4()}"
    used = adjust_usage(open_store(store), tenant, key, change, idempotency_key=once, now=now_or(at))
    seats = f", seats {', '.join(used.seats)}" if used.seats else ""
    text = f"{tenant} has {used.units} of {key}{seats} (revision {used.revision})"
    answer(as_json, text, units=used.units, seats=used.seats, revision=used.revision)


@app.command()
@told
def show(tenant: TenantId, store: StorePath = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """What exists at a tenant itself; `deskgate tenant show` of a pool's owner shows the pool."""
    with open_store(store).reading() as conn:
        found = list_usage(conn, tenant)
    text = table(("KEY", "UNITS", "SEATS"), [(key, used.units, ", ".join(used.seats)) for key, used in found.items()])
    answer(as_json, text, usage={key: {"units": used.units, "seats": used.seats} for key, used in found.items()})
