"""`deskgate plan`: tariffs, and whom they are assigned to."""

from __future__ import annotations

from typing import Annotated

import typer

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.cli.backoffice.account import BASES, BasisName
from sidecar.cli.backoffice.common import TenantId, app_of, table
from sidecar.cli.backoffice.office import Office, reading, writing
from sidecar.cli.backoffice.paging import Limit, PageToken, more, page
from sidecar.cli.backoffice.plain import shown
from sidecar.cli.backoffice.terms import items
from sidecar.core.errors import InvalidRequest

app = app_of("plan", "Plans: services and blocking settings that can be assigned to tenants.")

PlanId = Annotated[str, typer.Argument(metavar="PLAN", help="Id of the plan.")]
Services = Annotated[list[str] | None, typer.Argument(metavar="[PRODUCT=QUANTITY...]", help="What it grants.")]
Basis = Annotated[BasisName | None, typer.Option(help="Of its blocking settings.")]
Allowed = Annotated[str | None, typer.Option("--allowed", help="How low a balance may fall under it.")]
Deferral = Annotated[int, typer.Option("--deferral-days", help="Days of 24 h between owing and being blocked.")]


@app.command()
@writing
def create(
    office: Office,
    plan: PlanId,
    services: Services = None,
    name: Annotated[str | None, typer.Option(help="For people; default: its id.")] = None,
    owner: Annotated[str | None, typer.Option(help="Tenant that it belongs to; default: the installation.")] = None,
    basis: Basis = None,
    allowed: Allowed = None,
    deferral_days: Deferral = 0,
) -> None:
    """Adds a plan; with --basis it brings blocking settings."""
    request = pb.CreatePlanRequest(
        id=plan,
        name=name or plan,
        owner_id=owner,
        services=_services(services),
        blocking=_blocking(basis, allowed, deferral_days),
    )
    answer = office.write(request, pb.CreatePlanResponse)
    office.show(answer, f"{plan} is created")


@app.command()
@writing
def update(
    office: Office,
    plan: PlanId,
    services: Services = None,
    name: Annotated[str | None, typer.Option(help="For people.")] = None,
    basis: Basis = None,
    allowed: Allowed = None,
    deferral_days: Deferral = 0,
    expected_version: Annotated[int | None, typer.Option(help="Refuse when it is at another version by now.")] = None,
) -> None:
    """Changes its name or, all of them together, services and blocking settings; not while it is assigned."""
    terms = None
    if services or basis:
        terms = pb.PlanTerms(services=_services(services), blocking=_blocking(basis, allowed, deferral_days))
    request = pb.UpdatePlanRequest(id=plan, name=name, terms=terms, expected_version=expected_version)
    answer = office.write(request, pb.UpdatePlanResponse)
    office.show(answer, f"{plan} is at version {answer.plan.version}")


def _services(lines: list[str] | None) -> list[pb.PlanService]:
    found = list(items(lines or ()))
    if any(item.HasField("unit_price") for item in found):
        raise InvalidRequest("services", "a plan's services have no price: give PRODUCT=QUANTITY")
    return [pb.PlanService(product_id=item.product_id, quantity=item.quantity) for item in found]


def _blocking(basis: BasisName | None, allowed: str | None, deferral_days: int) -> pb.PlanBlocking | None:
    if basis is None:
        if allowed is not None or deferral_days:
            raise InvalidRequest("basis", "blocking settings need --basis")
        return None
    return pb.PlanBlocking(basis=BASES[basis], allowed_balance=allowed, deferral_days=deferral_days)


@app.command()
@writing
def duplicate(
    office: Office,
    plan: PlanId,
    new_id: Annotated[str | None, typer.Argument(metavar="[NEW_PLAN]", help="Default: derived from the id.")] = None,
) -> None:
    """Makes another of it, by the name with (copy)."""
    answer = office.write(pb.DuplicatePlanRequest(id=plan, new_id=new_id), pb.DuplicatePlanResponse)
    office.show(answer, f"{answer.plan.id} is created: {answer.plan.name}")


@app.command()
@writing
def archive(office: Office, plan: PlanId) -> None:
    """Lets nobody be assigned to it any more; those who are stay."""
    office.show(office.write(pb.ArchivePlanRequest(id=plan), pb.ArchivePlanResponse), f"{plan} is archived")


@app.command()
@writing
def restore(office: Office, plan: PlanId) -> None:
    """Takes an archiving back."""
    office.show(office.write(pb.RestorePlanRequest(id=plan), pb.RestorePlanResponse), f"{plan} is active again")


@app.command()
@writing
def delete(office: Office, plan: PlanId) -> None:
    """Deletes a plan that is archived and assigned to nobody."""
    office.show(office.write(pb.DeletePlanRequest(id=plan), pb.DeletePlanResponse), f"{plan} is deleted")


@app.command()
@writing
def assign(office: Office, plan: PlanId, tenant: TenantId) -> None:
    """Grants its services from now on, without end, in place of the plan that is assigned."""
    answer = office.write(pb.AssignPlanRequest(tenant_id=tenant, plan_id=plan), pb.AssignPlanResponse)
    instead = f" in place of {answer.replaced_plan_id}" if answer.replaced_plan_id else ""
    office.show(answer, f"{tenant} is on {plan}{instead} (revision {answer.revision})")


@app.command()
@writing
def unassign(office: Office, tenant: TenantId) -> None:
    """Takes a tenant's plan away; its own blocking settings come back."""
    answer = office.write(pb.UnassignPlanRequest(tenant_id=tenant), pb.UnassignPlanResponse)
    office.show(answer, f"{tenant} is not on {answer.plan_id} any more (revision {answer.revision})")


@app.command("list")
@reading
def list_(
    office: Office,
    owner: Annotated[str | None, typer.Option(help="Only this tenant's; empty: only the installation's.")] = None,
    available_to: Annotated[str | None, typer.Option(help="Only those that this tenant can be assigned.")] = None,
    archived: Annotated[bool | None, typer.Option("--archived/--active", help="Only such; default: both.")] = None,
    limit: Limit = 100,
    page_token: PageToken = None,
) -> None:
    """Plans by id."""
    request = pb.ListPlansRequest(
        owner_id=owner, available_to=available_to, archived=archived, **page(limit, page_token)
    )
    answer = office.read(request, pb.ListPlansResponse)
    rows = [(p.id, p.name, shown(p, "owner_id"), _grants(p), _state(p)) for p in answer.plans]
    office.show(answer, table(("PLAN", "NAME", "OWNER", "SERVICES", ""), rows) + more(answer))


@app.command()
@reading
def show(office: Office, plan: PlanId) -> None:
    """A plan, and the tenants on it."""
    answer = office.read(pb.GetPlanRequest(id=plan), pb.GetPlanResponse)
    found = answer.plan
    facts = {
        "owner": found.owner_id or "the installation",
        "services": _grants(found),
        "blocking": _blocked(found),
        "version": found.version,
        "archived": shown(found, "archived_at", absent=""),
        "tenants": shown(answer, "tenant_ids"),
    }
    lines = [f"  {name}: {value}" for name, value in facts.items() if value]
    office.show(answer, "\n".join([f"{found.id}: {found.name}", *lines]))


def _grants(plan: pb.Plan) -> str:
    return ", ".join(f"{s.product_id}={s.quantity}" for s in plan.services) or "-"


def _state(plan: pb.Plan) -> str:
    return "archived" if plan.HasField("archived_at") else ""


def _blocked(plan: pb.Plan) -> str:
    if not plan.HasField("blocking"):
        return ""
    blocking = plan.blocking
    return f"{shown(blocking, 'basis')}, down to {blocking.allowed_balance}, {blocking.deferral_days} days of deferral"
