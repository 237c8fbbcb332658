"""`deskgate usage`: what exists, as Desking would state it."""

from __future__ import annotations

from typing import Annotated

import typer

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as ask_pb
from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.cli.backoffice.common import TenantId, app_of, table
from sidecar.cli.backoffice.office import Office, reading, writing
from sidecar.core.errors import InvalidRequest

app = app_of("usage", "Usage: units and seats that exist.")

Key = Annotated[str, typer.Argument(metavar="KEY", help="What is counted: fixed_desk, layout_designer...")]
Users = Annotated[list[str], typer.Argument(metavar="USER...", help="In order of assignment.")]


@app.command("set")
@writing
def set_(office: Office, tenant: TenantId, key: Key, units: Annotated[int, typer.Argument(min=0)]) -> None:
    """So many units exist, as counted."""
    _change(office, pb.ChangeUsageRequest(tenant_id=tenant, key=key, absolute=units))


@app.command()
@writing
def adjust(
    office: Office,
    tenant: TenantId,
    key: Key,
    by: Annotated[int, typer.Option(help="So many more, or, negative, fewer.")],
) -> None:
    """More or fewer units exist than before."""
    _change(office, pb.ChangeUsageRequest(tenant_id=tenant, key=key, delta=by))


@app.command()
@writing
def assign(office: Office, tenant: TenantId, key: Key, users: Users) -> None:
    """Users get seats, after those who hold one; one who holds a seat keeps its place."""
    _change(office, pb.ChangeUsageRequest(tenant_id=tenant, key=key, seats=_seats(users, held=True)))


@app.command()
@writing
def revoke(office: Office, tenant: TenantId, key: Key, users: Users) -> None:
    """Users lose their seats."""
    _change(office, pb.ChangeUsageRequest(tenant_id=tenant, key=key, seats=_seats(users, held=False)))


def _seats(users: list[str], *, held: bool) -> ask_pb.SeatChanges:
    return ask_pb.SeatChanges(changes=[ask_pb.SeatChange(user_id=user, held=held) for user in users])


def _change(office: Office, request: pb.ChangeUsageRequest) -> None:
    answer = office.write(request, pb.ChangeUsageResponse)
    used = answer.usage
    seats = f", seats {', '.join(used.seats)}" if used.seats else ""
    office.show(answer, f"{request.tenant_id} has {used.units} of {used.key}{seats} (revision {answer.revision})")


@app.command()
@writing
def reconcile(
    office: Office,
    tenant: TenantId,
    counted: Annotated[list[str] | None, typer.Argument(metavar="KEY=UNITS...", help="What Desking counted.")] = None,
    seat: Annotated[
        list[str] | None, typer.Option(metavar="KEY=USER", help="A user who holds a seat, in order; may be repeated.")
    ] = None,
    complete: Annotated[bool, typer.Option("--complete", help="What is not named does not exist.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell the differences.")] = False,
) -> None:
    """Holds what is on record against Desking's own count, tells the differences, and takes the count over."""
    counts: dict[str, pb.UsageCount] = {}
    for key, units in (_split("counted", each) for each in counted or ()):
        counts.setdefault(key, pb.UsageCount(key=key)).units = _units(units)
    for key, user in (_split("seat", each) for each in seat or ()):
        counts.setdefault(key, pb.UsageCount(key=key)).seats.append(user)
    request = pb.ReconcileUsageRequest(tenant_id=tenant, counts=counts.values(), complete=complete, dry_run=dry_run)
    answer = office.write(request, pb.ReconcileUsageResponse)
    rows = [
        (d.key, d.units_before, d.units_after, ", ".join(d.seats_removed) or "-", ", ".join(d.seats_added) or "-")
        for d in answer.differences
    ]
    told = table(("KEY", "ON RECORD", "COUNTED", "SEATS GONE", "SEATS NEW"), rows) if rows else "no difference"
    office.show(answer, told)


def _split(field: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise InvalidRequest(field, f"{text!r} is not KEY=VALUE")
    return key, value


def _units(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise InvalidRequest("counted", f"{text!r} is not a number of units")
    return int(text)


@app.command()
@reading
def show(office: Office, tenant: TenantId) -> None:
    """What exists at a tenant itself; `deskgate tenant show` of a pool's owner shows the pool."""
    answer = office.read(pb.GetUsageRequest(tenant_id=tenant), pb.GetUsageResponse)
    rows = [(u.key, u.units, ", ".join(u.seats)) for u in answer.usage]
    office.show(answer, table(("KEY", "UNITS", "SEATS"), rows))
