"""`deskgate outbox`: statements of usage that a store over a network has yet to take, or has refused."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sidecar.core.calendar import format_instant

if TYPE_CHECKING:
    from sidecar.outbox.opened import Opened
    from sidecar.outbox.rows import Statement

app = typer.Typer(no_args_is_help=True, help="Statements of usage on their way to a store over a network.")

StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", metavar="PATH", help="The sidecar's state directory; else as its settings say."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
NAMES: Final = ("idempotency_key", "at", "tenant_id", "key", "change")
HEADER: Final = ("idempotency key", "stated at", "tenant", "of", "what", "state", "attempts", "why")
Key = Annotated[str, typer.Argument(metavar="KEY", help="The statement's idempotency key.")]


@app.command("list")
def list_statements(
    state_dir: StateDir = None,
    refused: Annotated[bool, typer.Option("--refused", help="Only those that the store refused.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print every statement in the order in which it was made; the sidecar may be running."""
    found = [_told(s) for s in _opened(state_dir).statements() if s.state == "refused" or not refused]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    if not found:
        typer.echo("the outbox is empty" if not refused else "none was refused")
        return
    from sidecar.cli.backoffice.common import table

    typer.echo(table(HEADER, map(_cells, found)))


@app.command()
def retry(key: Key, state_dir: StateDir = None) -> None:
    """Have a refused statement sent once more, in its old place; a running sidecar does so within a second."""
    _opened(state_dir).retry(key)
    typer.echo(f"{key} is to be sent once more")


@app.command()
def drop(
    key: Key,
    state_dir: StateDir = None,
    pending: Annotated[
        bool,
        typer.Option("--pending", help="Also one that is yet to be sent: it was acknowledged, and is lost by this."),
    ] = False,
) -> None:
    """Take a refused statement out for good."""
    told = _told(_opened(state_dir).drop(key, pending=pending))
    typer.echo(f"dropped: {told['tenant_id']} {told['key']} {told['change']}, stated at {told['at']}")


def _opened(state_dir: Path | None) -> Opened:
    from sidecar.outbox.opened import Opened
    from sidecar.settings import load
    from sidecar.state.directory import OUTBOX

    flags = {"state_dir": str(state_dir)} if state_dir else {}
    return Opened(load(flags=flags, environ=os.environ).settings.state_dir / OUTBOX)


def _told(statement: Statement) -> dict[str, Any]:
    return {
        "idempotency_key": statement.idempotency_key,
        "at": format_instant(statement.at),
        "tenant_id": statement.tenant_id,
        "key": statement.key,
        "change": ", ".join(_changes(statement)),
        "state": statement.state.value,
        "attempts": statement.attempts,
        "code": statement.code,
        "why": statement.why,
    }


def _changes(statement: Statement) -> Iterator[str]:
    from google.protobuf.message import DecodeError

    from sidecar._gen.desking.entitlements.v1.authorization_pb2 import AdjustUsageRequest

    try:
        request = AdjustUsageRequest.FromString(statement.request)
    except DecodeError:
        yield "altered on disk"
        return
    match request.WhichOneof("change"):
        case "delta":
            yield f"{request.delta:+}"
        case "absolute":
            yield f"={request.absolute}"
        case "seats":
            yield from (f"{'assign' if c.held else 'revoke'} {c.user_id}" for c in request.seats.changes)


def _cells(told: dict[str, Any]) -> Iterator[str]:
    """A row for people; a control character must not play with their terminal."""
    state = f"{told['state']} {told['code']}".strip()
    for cell in (*(told[name] for name in NAMES), state, told["attempts"], told["why"]):
        yield "".join(c if c.isprintable() else "?" for c in str(cell))
