"""Calls about plans, and whom they are assigned to."""

from __future__ import annotations

from typing import Any, Final

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.core.errors import InvalidRequest
from sync.backoffice import codec
from sync.backoffice.method import Change, View, reads, writes
from sync.backoffice.methods.accounts import BASES
from sync.store import accounts, assignments, plans, seeking
from sync.store.placing import MOST
from sync.store.plandoc import MOST_SERVICES, BlockingTerms, PlanTerms, terms_of
from sync.store.plans import Plan

MOST_TENANTS: Final = 1000
"""Of a plan, that are named."""


def _message(plan: Plan) -> pb.Plan:
    blocking = plan.terms.blocking
    return pb.Plan(
        id=plan.id,
        name=plan.name,
        owner_id=plan.owner_id or "",
        version=plan.version,
        services=[pb.PlanService(product_id=s.product, quantity=s.quantity) for s in plan.terms.services],
        blocking=None if blocking is None else _message_of(blocking),
        created_at=codec.stamp_of(plan.created_at),
        archived_at=codec.stamp_of(plan.archived_at),
    )


def _message_of(blocking: BlockingTerms) -> pb.PlanBlocking:
    return pb.PlanBlocking(
        basis=f"BASIS_{blocking.basis.name}",
        allowed_balance=codec.amount(blocking.allowed_balance),
        deferral_days=blocking.deferral_days,
    )


def _found(view: View, plan_id: str) -> pb.Plan:
    return _message(plans.get_plan(view.conn, plan_id))


def _terms(prefix: str, message: Any) -> PlanTerms:
    """What a plan brings, from a message with services and blocking. Raises InvalidRequest."""
    field = f"{prefix}services"
    document: dict[str, Any] = {
        "services": [
            {
                "product": codec.name(f"{field}[{i}].product_id", each.product_id),
                "quantity": codec.number(f"{field}[{i}].quantity", each.quantity, 1, MOST),
            }
            for i, each in enumerate(codec.few(field, message.services, MOST_SERVICES))
        ]
    }
    if message.HasField("blocking"):
        document["blocking"] = _blocking(f"{prefix}blocking", message.blocking)
    try:
        return terms_of(document)
    except InvalidRequest as e:
        raise InvalidRequest(field, e.problem) from e


def _blocking(field: str, blocking: pb.PlanBlocking) -> dict[str, Any]:
    most = accounts.LONGEST_DEFERRAL
    return {
        "basis": codec.choice(f"{field}.basis", blocking.basis, BASES),
        "allowed_balance": codec.millionths_or(f"{field}.allowed_balance", blocking.allowed_balance, 0),
        "deferral_days": codec.number(f"{field}.deferral_days", blocking.deferral_days, 0, most),
    }


def _id(request: Any) -> str:
    return codec.name("id", request.id)


def _create(change: Change, request: pb.CreatePlanRequest) -> pb.CreatePlanResponse:
    plans.create_plan(
        change.writing,
        _id(request),
        name=codec.name("name", request.name),
        terms=_terms("", request),
        owner_id=codec.name_or_none("owner_id", request.owner_id),
        now=change.now,
    )
    return pb.CreatePlanResponse(plan=_found(change, request.id))


def _update(change: Change, request: pb.UpdatePlanRequest) -> pb.UpdatePlanResponse:
    plans.update_plan(
        change.writing,
        _id(request),
        name=codec.name("name", request.name) if request.HasField("name") else None,
        terms=_terms("terms.", request.terms) if request.HasField("terms") else None,
        expected_version=request.expected_version if request.HasField("expected_version") else None,
    )
    return pb.UpdatePlanResponse(plan=_found(change, request.id))


def _duplicate(change: Change, request: pb.DuplicatePlanRequest) -> pb.DuplicatePlanResponse:
    new_id = codec.name_or_none("new_id", request.new_id)
    copy = plans.duplicate_plan(change.writing, _id(request), now=change.now, new_id=new_id)
    return pb.DuplicatePlanResponse(plan=_message(copy))


def _archive(change: Change, request: pb.ArchivePlanRequest) -> pb.ArchivePlanResponse:
    plans.archive_plan(change.writing, _id(request), now=change.now)
    return pb.ArchivePlanResponse(plan=_found(change, request.id))


def _restore(change: Change, request: pb.RestorePlanRequest) -> pb.RestorePlanResponse:
    plans.restore_plan(change.writing, _id(request))
    return pb.RestorePlanResponse(plan=_found(change, request.id))


def _delete(change: Change, request: pb.DeletePlanRequest) -> pb.DeletePlanResponse:
    plans.delete_plan(change.writing, _id(request))
    return pb.DeletePlanResponse()


def _get(view: View, request: pb.GetPlanRequest) -> pb.GetPlanResponse:
    plan = _found(view, _id(request))
    return pb.GetPlanResponse(plan=plan, tenant_ids=plans.tenants_on(view.conn, plan.id, limit=MOST_TENANTS))


def _list(view: View, request: pb.ListPlansRequest) -> pb.ListPlansResponse:
    size, answer = codec.page_size(request), pb.ListPlansResponse()
    available_to = view.sought("available_to", request.available_to)
    found = seeking.plan_ids(
        view.conn,
        after=codec.after_name(request),
        limit=size + 1,
        owner_id=view.sought("owner_id", request.owner_id) if request.HasField("owner_id") else None,
        available_to=available_to,
        archived=request.archived if request.HasField("archived") else None,
    )
    answer.next_page_token = codec.fill_page(answer.plans, str, size, found, lambda plan_id: _found(view, plan_id))
    return answer


def _assign(change: Change, request: pb.AssignPlanRequest) -> pb.AssignPlanResponse:
    tenant_id, plan_id = codec.name("tenant_id", request.tenant_id), codec.name("plan_id", request.plan_id)
    replaced = assignments.assign_plan(change.writing, tenant_id, plan_id, now=change.now)
    return pb.AssignPlanResponse(replaced_plan_id=replaced or "")


def _unassign(change: Change, request: pb.UnassignPlanRequest) -> pb.UnassignPlanResponse:
    tenant_id = codec.name("tenant_id", request.tenant_id)
    return pb.UnassignPlanResponse(plan_id=assignments.unassign_plan(change.writing, tenant_id, now=change.now))


METHODS: Final = (
    writes("CreatePlan", _create),
    writes("UpdatePlan", _update),
    writes("DuplicatePlan", _duplicate),
    writes("ArchivePlan", _archive),
    writes("RestorePlan", _restore),
    writes("DeletePlan", _delete),
    reads("GetPlan", _get),
    reads("ListPlans", _list),
    writes("AssignPlan", _assign),
    writes("UnassignPlan", _unassign),
)
