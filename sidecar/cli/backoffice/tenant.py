"""`deskgate tenant`: who the tenants are, whom they are below, what blocks them."""

from __future__ import annotations

from typing import Annotated

import typer

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar._gen.desking.entitlements.v1 import entitlement_pb2 as record_pb
from sidecar.cli.backoffice.common import TenantId, app_of, table
from sidecar.cli.backoffice.office import Office, reading, writing
from sidecar.cli.backoffice.paging import Limit, PageToken, more, page
from sidecar.cli.backoffice.plain import plain, shown
from sidecar.core.calendar import format_instant
from sidecar.core.errors import InvalidRequest

app = app_of("tenant", "Tenants: create, change, block, archive, erase, show.")

Name = Annotated[str | None, typer.Option(help="Its name, for people.")]
Language = Annotated[str | None, typer.Option(help="BCP 47 language of its people, such as zh-CN.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A label that policies can match; may be repeated.")]
Contacts = Annotated[list[str] | None, typer.Option("--contact", help="E-mail address for notices; may be repeated.")]
Edition = Annotated[str | None, typer.Option(help="Edition, where no order names one.")]
Version = Annotated[int | None, typer.Option(help="Refuse when it is at another version by now.")]


@app.command()
@writing
def create(
    office: Office,
    tenant: TenantId,
    name: Name = None,
    parent: Annotated[str | None, typer.Option(help="Tenant that it is below.")] = None,
    zone: Annotated[str, typer.Option(help="IANA time zone in which its terms are counted.")] = "UTC",
    language: Language = None,
    tag: Tags = None,
    contact: Contacts = None,
    edition: Edition = None,
) -> None:
    """Adds a tenant."""
    request = pb.CreateTenantRequest(
        id=tenant,
        name=name,
        parent_id=parent,
        zone=zone,
        language=language,
        tags=tag,
        contacts=contact,
        edition=edition,
    )
    answer = office.write(request, pb.CreateTenantResponse)
    office.show(answer, f"{tenant} is created (revision {answer.revision})")


@app.command()
@writing
def update(
    office: Office,
    tenant: TenantId,
    name: Name = None,
    zone: Annotated[str | None, typer.Option(help="IANA time zone; moves no stored instant.")] = None,
    language: Language = None,
    tag: Tags = None,
    contact: Contacts = None,
    edition: Edition = None,
    expected_version: Version = None,
) -> None:
    """Changes what is given; an empty --edition, --tag or --contact takes it away."""
    request = pb.UpdateTenantRequest(
        id=tenant,
        name=name,
        zone=zone,
        language=language,
        tags=_texts(tag),
        contacts=_texts(contact),
        edition=edition,
        expected_version=expected_version,
    )
    answer = office.write(request, pb.UpdateTenantResponse)
    office.show(answer, f"{tenant} is at version {answer.tenant.version} (revision {answer.revision})")


def _texts(given: list[str] | None) -> pb.Texts | None:
    return None if given is None else pb.Texts(values=[each for each in given if each])


@app.command()
@writing
def move(
    office: Office,
    tenant: TenantId,
    parent: Annotated[str | None, typer.Option(help="The new parent.")] = None,
    root: Annotated[bool, typer.Option("--root", help="No parent any more.")] = False,
) -> None:
    """Puts a tenant, and all below it, under another parent or none."""
    if (parent is None) != root:
        raise InvalidRequest("parent", "give --parent or --root, one of them")
    answer = office.write(pb.MoveTenantRequest(id=tenant, parent_id=parent), pb.MoveTenantResponse)
    office.show(answer, f"{tenant} is moved (revision {answer.revision})")


@app.command()
@writing
def block(
    office: Office,
    tenant: TenantId,
    name: Annotated[str, typer.Argument(help="Who blocks: operator, fraud, legal...")],
    start: Annotated[
        str | None, typer.Option("--from", help="A date in the tenant's zone, or an instant; default: now.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            help="The last date, inclusive, in the tenant's zone; or the first instant after; default: until lifted."
        ),
    ] = None,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Also all that are below, even with their own orders.")
    ] = False,
) -> None:
    """Sets the block of this name; those of other names stay."""
    request = pb.BlockTenantRequest(tenant_id=tenant, name=name, starts=start, ends=until, cascade=cascade)
    answer = office.write(request, pb.BlockTenantResponse)
    office.show(answer, f"{tenant} has the block {name} (revision {answer.revision})")


@app.command()
@writing
def unblock(office: Office, tenant: TenantId, name: str) -> None:
    """Lifts the block of this name and no other."""
    answer = office.write(pb.UnblockTenantRequest(tenant_id=tenant, name=name), pb.UnblockTenantResponse)
    office.show(answer, f"{tenant} has no block {name} any more (revision {answer.revision})")


@app.command()
@writing
def archive(
    office: Office,
    tenant: TenantId,
    retention_days: Annotated[
        int | None, typer.Option(help="Days before which nothing may be erased; default: 365.")
    ] = None,
) -> None:
    """Deletes a tenant at once, erasing nothing."""
    request = pb.ArchiveTenantRequest(id=tenant, retention_days=retention_days)
    answer = office.write(request, pb.ArchiveTenantResponse)
    kept = shown(answer.tenant, "erase_after")
    office.show(answer, f"{tenant} is archived; what it is made of is kept until {kept} (revision {answer.revision})")


@app.command()
@writing
def restore(office: Office, tenant: TenantId) -> None:
    """Takes an archiving back."""
    answer = office.write(pb.RestoreTenantRequest(id=tenant), pb.RestoreTenantResponse)
    office.show(answer, f"{tenant} is restored (revision {answer.revision})")


@app.command()
@writing
def erase(
    office: Office,
    tenant: Annotated[str | None, typer.Argument(metavar="[TENANT]", help="Id of the tenant.")] = None,
    due: Annotated[bool, typer.Option("--due", help="All whose retention is over.")] = False,
) -> None:
    """Erases an archived tenant's people and texts once its retention is over; orders and money stay on record."""
    if (tenant is None) != due:
        raise InvalidRequest("tenant", "give a tenant or --due, one of them")
    if tenant is None:
        _erase_due(office)
        return
    answer = office.write(pb.EraseTenantRequest(id=tenant), pb.EraseTenantResponse)
    office.show(answer, f"{tenant} is erased (revision {answer.revision})")


def _erase_due(office: Office) -> None:
    """Call by call, so that a long run keeps nobody waiting."""
    erased: list[str] = []
    while (answer := office.write(pb.EraseDueTenantsRequest(), pb.EraseDueTenantsResponse)).tenant_ids:
        erased += answer.tenant_ids
        if office.key is not None:
            break
    told = pb.EraseDueTenantsResponse(revision=answer.revision, tenant_ids=erased)
    office.show(told, f"erased: {', '.join(erased)}" if erased else "no retention is over")


@app.command("list")
@reading
def list_(
    office: Office,
    parent: Annotated[str | None, typer.Option(help="Only those directly below this one.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only those with this label.")] = None,
    edition: Annotated[str | None, typer.Option(help="Only those for which this edition was set.")] = None,
    archived: Annotated[bool | None, typer.Option("--archived/--open", help="Only such; default: both.")] = None,
    text: Annotated[str | None, typer.Option(help="Only those with this in their id or name.")] = None,
    limit: Limit = 100,
    page_token: PageToken = None,
) -> None:
    """Tenants by id."""
    request = pb.ListTenantsRequest(
        parent_id=parent, tag=tag, edition=edition, archived=archived, text=text, **page(limit, page_token)
    )
    answer = office.read(request, pb.ListTenantsResponse)
    rows = [
        (
            t.id,
            shown(t, "name"),
            shown(t, "parent_id"),
            t.zone,
            shown(t, "language"),
            "erased" if t.HasField("erased_at") else "archived" if t.HasField("archived_at") else "",
        )
        for t in answer.tenants
    ]
    office.show(answer, table(("TENANT", "NAME", "PARENT", "ZONE", "LANGUAGE", ""), rows) + more(answer))


@app.command()
@reading
def show(office: Office, tenant: TenantId) -> None:
    """A tenant, and the entitlement record that the sidecars get."""
    answer = office.read(pb.GetTenantRequest(id=tenant), pb.GetTenantResponse)
    office.show(answer, _readable(answer))


def _readable(answer: pb.GetTenantResponse) -> str:
    facts = {
        "name": answer.tenant.name,
        "parent": answer.tenant.parent_id,
        "shares the services of": answer.record.holder_id,
        "plan": answer.plan_id,
        "zone": answer.tenant.zone,
        "language": answer.tenant.language,
        "tags": ", ".join(answer.tenant.tags),
        "contacts": ", ".join(answer.tenant.contacts),
        "edition": answer.record.edition,
        "archived": shown(answer.tenant, "archived_at", absent=""),
        "may be erased from": shown(answer.tenant, "erase_after", absent=""),
        "erased": shown(answer.tenant, "erased_at", absent=""),
        "version": answer.tenant.version,
        "revision": answer.record.revision,
    }
    head = "\n".join([answer.tenant.id, *(f"  {name}: {value}" for name, value in facts.items() if value)])
    blocks = [(b.name, shown(b, "starts_at"), shown(b, "ends_at", absent="lifted"), _cascade(b)) for b in answer.blocks]
    grants = [_grant(g) for g in answer.record.grants]
    used = [(u.key, u.units, ", ".join(s.user_id for s in u.seats)) for u in answer.record.usage]
    parts = (
        (("BLOCK", "FROM", "UNTIL", ""), blocks),
        (("KEY", "FROM", "UNTIL", "AMOUNT", "USERS", "", "SOURCE"), grants),
        (("USED", "UNITS", "SEATS"), used),
    )
    return "\n\n".join([head, *(table(header, rows) for header, rows in parts if rows)])


def _cascade(block: pb.TenantBlock) -> str:
    return "cascades" if block.cascade else ""


def _grant(grant: record_pb.Grant) -> tuple[object, ...]:
    value = plain(grant)
    until = format_instant(grant.ends_at) if grant.HasField("ends_at") else "no end"
    limits = (_limit(value["amount"]), _limit(value["users"]))
    trial = "trial" if grant.trial else ""
    return (grant.key, format_instant(grant.starts_at), until, *limits, trial, grant.source)


def _limit(value: dict[str, object] | None) -> object:
    return "-" if value is None else "unlimited" if value["unlimited"] else value["count"]
