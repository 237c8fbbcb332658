"""`deskgate operator`: who may do what at the back office."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.cli.backoffice.common import app_of, table
from sidecar.cli.backoffice.office import Office, reading, writing
from sidecar.cli.backoffice.paging import Limit, PageToken, more, page
from sidecar.cli.backoffice.plain import number, shown

SHOWN = 4
"""Tenants of a sidecar that the list names."""

app = app_of("operator", "Operators: who may ask the back office over gRPC, and for what.")


class RoleName(StrEnum):
    """What an operator may do: each of the first three what those before it may; sidecars follow the feed, no more."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    SIDECAR = "sidecar"


Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the operator.")]
Role = Annotated[
    RoleName,
    typer.Option(
        help="viewer: look; operator: sell and serve; admin: also catalog, operators, erasing, other instants;"
        " sidecar: no person, follows the feed."
    ),
]

Tenants = Annotated[
    list[str] | None,
    typer.Option(
        "--tenant", metavar="ID", help="Of a sidecar: a tenant that it may follow, and no others; can repeat."
    ),
]


@app.command()
@writing
def add(office: Office, name: Name, role: Role = RoleName.OPERATOR, tenant: Tenants = None) -> None:
    """Adds an operator, and tells the token once: it is kept nowhere."""
    request = pb.AddOperatorRequest(name=name, role=_role(role), tenants=tenant or ())
    answer = office.write(request, pb.AddOperatorResponse)
    office.show(answer, _token(answer))


@app.command()
@writing
def rotate(office: Office, name: Name) -> None:
    """Gives an operator a new token; the old one ends at once."""
    answer = office.write(pb.RotateOperatorTokenRequest(name=name), pb.RotateOperatorTokenResponse)
    office.show(answer, _token(answer))


@app.command()
@writing
def role(office: Office, name: Name, role: Role) -> None:
    """Changes what an operator may do."""
    answer = office.write(pb.SetOperatorRoleRequest(name=name, role=_role(role)), pb.SetOperatorRoleResponse)
    office.show(answer, f"{name} is {role.value}")


@app.command()
@writing
def disable(office: Office, name: Name) -> None:
    """Lets an operator do nothing any more; what it did stays on record."""
    office.show(office.write(pb.DisableOperatorRequest(name=name), pb.DisableOperatorResponse), f"{name} is disabled")


@app.command()
@writing
def enable(office: Office, name: Name) -> None:
    """Takes a disabling back."""
    office.show(office.write(pb.EnableOperatorRequest(name=name), pb.EnableOperatorResponse), f"{name} is enabled")


@app.command("list")
@reading
def list_(office: Office, limit: Limit = 100, page_token: PageToken = None) -> None:
    """Every operator, disabled ones too."""
    answer = office.read(pb.ListOperatorsRequest(**page(limit, page_token)), pb.ListOperatorsResponse)
    rows = [
        (
            o.name,
            shown(o, "role"),
            shown(o, "created_at"),
            "disabled" if o.HasField("disabled_at") else "",
            ", ".join(o.tenants[:SHOWN]) + (", ..." if len(o.tenants) > SHOWN else ""),
        )
        for o in answer.operators
    ]
    office.show(answer, table(("OPERATOR", "ROLE", "SINCE", "", "ONLY TENANTS"), rows) + more(answer))


def _role(role: RoleName) -> Any:
    return number(pb.DESCRIPTOR.enum_types_by_name["OperatorRole"], role.value)


def _token(answer: Any) -> str:
    if not answer.token:
        return f"{answer.operator.name}: the token was told the first time; `rotate` gives a new one"
    return f"{answer.operator.name} ({shown(answer.operator, 'role')}), token, told this once:\n{answer.token}"
