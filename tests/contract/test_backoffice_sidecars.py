"""Identities of sidecars are given and taken at the back office, at which they may do nothing themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.core.errors import InvalidRequest
from sync.backoffice.desk import Desk, RemoteDesk
from sync.backoffice.errors import NotAllowed
from sync.store.db import Store, open_store
from sync.store.operators import Role
from tests.desks import ask, desks, serving
from tests.storing import on_every_database, refused, stored

pytestmark = on_every_database


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(stored(tmp_path / "store.db"))


@pytest.fixture(params=["here", "over grpc"])
def desk(request: pytest.FixtureRequest, store: Store) -> Iterator[Desk]:
    with desks(store, remote=request.param == "over grpc") as desk_for:
        yield desk_for(Role.ADMIN)


def test_a_sidecar_is_added_with_its_tenants(desk: Desk) -> None:
    made = ask(desk, "AddOperator", name="desk-7", role=pb.OPERATOR_ROLE_SIDECAR, tenants=["globex", "acme"])
    assert (made.operator.role, list(made.operator.tenants)) == (pb.OPERATOR_ROLE_SIDECAR, ["acme", "globex"])
    assert len(made.token) == 43
    listed = {o.name: list(o.tenants) for o in ask(desk, "ListOperators").operators}
    assert listed["desk-7"] == ["acme", "globex"]


def test_only_sidecars_are_limited_to_tenants(desk: Desk) -> None:
    with pytest.raises(InvalidRequest, match="tenants"):
        ask(desk, "AddOperator", name="ann", role=pb.OPERATOR_ROLE_VIEWER, tenants=["acme"])


def test_a_sidecar_becomes_no_person(desk: Desk) -> None:
    ask(desk, "AddOperator", name="desk-7", role=pb.OPERATOR_ROLE_SIDECAR)
    with refused("ROLE_FIXED"):
        ask(desk, "SetOperatorRole", name="desk-7", role=pb.OPERATOR_ROLE_ADMIN)


def test_a_sidecars_token_opens_nothing_here(desk: Desk, store: Store) -> None:
    token = ask(desk, "AddOperator", name="desk-7", role=pb.OPERATOR_ROLE_SIDECAR).token
    with serving(store) as target, RemoteDesk(target, token) as its:
        for method in ("ListTenants", "ListOperators", "ListAuditEntries"):
            with pytest.raises(NotAllowed, match="desk-7 is SIDECAR"):
                ask(its, method)
