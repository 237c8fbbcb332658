"""Calls about operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sync.backoffice import codec
from sync.backoffice.method import Change, View, reads, writes
from sync.store import operators
from sync.store.operators import Operator, Role

ROLES: Final[Mapping[int, Role]] = {
    pb.OPERATOR_ROLE_VIEWER: Role.VIEWER,
    pb.OPERATOR_ROLE_OPERATOR: Role.OPERATOR,
    pb.OPERATOR_ROLE_ADMIN: Role.ADMIN,
    pb.OPERATOR_ROLE_SIDECAR: Role.SIDECAR,
}


def _message(operator: Operator) -> pb.Operator:
    return pb.Operator(
        name=operator.name,
        role=f"OPERATOR_ROLE_{operator.role.name}",
        created_at=codec.stamp_of(operator.created_at),
        disabled_at=codec.stamp_of(operator.disabled_at),
        tenants=sorted(operator.tenants or ()),
    )


def _found(view: View, name: str) -> pb.Operator:
    return _message(operators.get_operator(view.conn, name))


def _add(change: Change, request: pb.AddOperatorRequest) -> pb.AddOperatorResponse:
    role = codec.choice("role", request.role, ROLES)
    tenants = list(request.tenants) or None
    token = operators.add_operator(change.writing, request.name, role, now=change.now, tenants=tenants)
    return pb.AddOperatorResponse(operator=_found(change, request.name), token=token)


def _set_role(change: Change, request: pb.SetOperatorRoleRequest) -> pb.SetOperatorRoleResponse:
    operators.set_role(change.writing, _name(request), codec.choice("role", request.role, ROLES))
    return pb.SetOperatorRoleResponse(operator=_found(change, request.name))


def _rotate(change: Change, request: pb.RotateOperatorTokenRequest) -> pb.RotateOperatorTokenResponse:
    token = operators.rotate_token(change.writing, _name(request))
    return pb.RotateOperatorTokenResponse(operator=_found(change, request.name), token=token)


def _disable(change: Change, request: pb.DisableOperatorRequest) -> pb.DisableOperatorResponse:
    operators.disable_operator(change.writing, _name(request), now=change.now)
    return pb.DisableOperatorResponse(operator=_found(change, request.name))


def _enable(change: Change, request: pb.EnableOperatorRequest) -> pb.EnableOperatorResponse:
    operators.enable_operator(change.writing, _name(request))
    return pb.EnableOperatorResponse(operator=_found(change, request.name))


def _list(view: View, request: pb.ListOperatorsRequest) -> pb.ListOperatorsResponse:
    size, answer = codec.page_size(request), pb.ListOperatorsResponse()
    found = operators.list_operators(view.conn, after=codec.after_name(request), limit=size + 1)
    answer.next_page_token = codec.fill_page(answer.operators, lambda o: o.name, size, found, _message)
    return answer


def _name(request: Any) -> str:
    return codec.name("name", request.name)


METHODS: Final = (
    writes("AddOperator", _add, role=Role.ADMIN, secret="token"),  # noqa: S106 - the name of a field
    writes("SetOperatorRole", _set_role, role=Role.ADMIN),
    writes("RotateOperatorToken", _rotate, role=Role.ADMIN, secret="token"),  # noqa: S106
    writes("DisableOperator", _disable, role=Role.ADMIN),
    writes("EnableOperator", _enable, role=Role.ADMIN),
    reads("ListOperators", _list),
)
