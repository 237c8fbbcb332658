"""Operators and their tokens, as the store keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from sidecar.core.errors import InvalidRequest
from sync.store import audit, operators, schema
from sync.store.audit import Entry, Sought
from sync.store.db import Store
from sync.store.operators import Operator, Role
from tests.storing import TESTER, Shop, at, everything, on_every_database, refused

pytestmark = on_every_database

NOW, LATER = at("2026-02-01"), at("2026-03-01")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Shop(tmp_path / "store.db").store


def added(store: Store, name: str = "ann", role: Role = Role.OPERATOR) -> str:
    with store.writing(TESTER) as writing:
        return operators.add_operator(writing, name, role, now=NOW)


def whose(store: Store, token: str) -> Operator | None:
    with store.reading() as conn:
        return operators.authenticate(conn, token)


def trail(store: Store) -> list[Entry]:
    with store.reading() as conn:
        return audit.entries(conn, Sought())


def test_a_token_is_its_operators_until_it_is_rotated(store: Store) -> None:
    token = added(store)
    assert whose(store, token) == Operator(name="ann", role=Role.OPERATOR, created_at=NOW, disabled_at=None)
    with store.writing(TESTER) as writing:
        other = operators.rotate_token(writing, "ann")
    assert whose(store, token) is None
    assert whose(store, other) is not None
    assert len({token, other}) == 2


@pytest.mark.parametrize("token", ["", "x", "x" * 10_000, "令牌", "\udc80", "0" * 64])
def test_what_is_no_token_is_nobodys(store: Store, token: str) -> None:
    added(store)
    assert whose(store, token) is None


def test_the_digest_that_is_kept_is_no_token(store: Store) -> None:
    added(store)
    with store.reading() as conn:
        digest = conn.scalars(select(schema.operator.c.token_hash)).one()
    assert whose(store, digest) is None


def test_a_disabled_operator_is_not_let_in_and_comes_back_with_its_token(store: Store) -> None:
    token = added(store)
    with store.writing(TESTER) as writing:
        operators.disable_operator(writing, "ann", now=LATER)
    assert whose(store, token) is None
    with store.reading() as conn:
        assert operators.get_operator(conn, "ann").disabled_at == LATER
    with store.writing(TESTER) as writing:
        operators.enable_operator(writing, "ann")
    assert whose(store, token) == Operator(name="ann", role=Role.OPERATOR, created_at=NOW, disabled_at=None)


def test_a_role_is_changed(store: Store) -> None:
    token = added(store)
    with store.writing(TESTER) as writing:
        operators.set_role(writing, "ann", Role.VIEWER)
    found = whose(store, token)
    assert found is not None
    assert found.role is Role.VIEWER


def test_operators_are_listed_by_name_page_by_page(store: Store) -> None:
    for name in ("cem", "ann", "bob@example.com"):
        added(store, name)
    with store.reading() as conn:
        assert [o.name for o in operators.list_operators(conn)] == ["ann", "bob@example.com", "cem"]
        assert [o.name for o in operators.list_operators(conn, after="ann", limit=1)] == ["bob@example.com"]


def test_every_change_is_in_the_audit_trail_without_the_token(store: Store) -> None:
    token = added(store)
    with store.writing(TESTER) as writing:
        operators.set_role(writing, "ann", Role.ADMIN)
        other = operators.rotate_token(writing, "ann")
        operators.disable_operator(writing, "ann", now=LATER)
        operators.enable_operator(writing, "ann")
    found = trail(store)
    actions = ["operator.add", "operator.set_role", "operator.rotate_token", "operator.disable", "operator.enable"]
    assert [entry.action for entry in found] == actions
    assert {(entry.subject, entry.operator) for entry in found} == {("operator:ann", "tester")}
    add, role, rotate, disable, _ = [entry.details or {} for entry in found]
    assert add["before"] is None
    assert (role["before"]["role"], role["after"]["role"]) == ("OPERATOR", "ADMIN")
    assert rotate["before"]["token"] != rotate["after"]["token"]
    assert disable["after"]["disabled_at"] == "2026-03-01T00:00:00Z"
    held = everything(store)
    assert "operator:ann" in held
    assert token not in held
    assert other not in held


def test_what_changes_nothing_leaves_no_entry(store: Store) -> None:
    added(store)
    with store.writing(TESTER) as writing:
        operators.set_role(writing, "ann", Role.OPERATOR)
        operators.enable_operator(writing, "ann")
        operators.disable_operator(writing, "ann", now=LATER)
    with store.writing(TESTER) as writing:
        operators.disable_operator(writing, "ann", now=LATER + 1)
    assert [entry.action for entry in trail(store)] == ["operator.add", "operator.disable"]


def test_a_name_is_taken_once(store: Store) -> None:
    added(store)
    with refused("OPERATOR_EXISTS"):
        added(store)


@pytest.mark.parametrize("name", ["", " ann", "a\nb", "x" * 257, "local:ann"])
def test_a_name_that_could_be_mistaken_is_not_taken(store: Store, name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^name: "):
        added(store, name)


def test_unknown_operators_are_refused(store: Store) -> None:
    with store.writing(TESTER) as writing:
        with refused("UNKNOWN_OPERATOR"):
            operators.set_role(writing, "nobody", Role.ADMIN)
        with refused("UNKNOWN_OPERATOR"):
            operators.rotate_token(writing, "nobody")
        with refused("UNKNOWN_OPERATOR"):
            operators.disable_operator(writing, "nobody", now=NOW)
        with refused("UNKNOWN_OPERATOR"):
            operators.enable_operator(writing, "nobody")
        with refused("UNKNOWN_OPERATOR"):
            operators.get_operator(writing.conn, "nobody")


def test_the_audit_trail_is_searched(store: Store) -> None:
    for name in ("ann", "bob"):
        added(store, name)
    with store.writing(audit.By(operator="boss", at=LATER)) as writing:
        operators.set_role(writing, "ann", Role.VIEWER)

    def found(limit: int = 10, after: int = 0, **sought: object) -> list[int]:
        with store.reading() as conn:
            return [e.seq for e in audit.entries(conn, Sought(**sought), after=after, limit=limit)]  # type: ignore[arg-type]

    assert found() == [1, 2, 3]
    assert found(limit=1, after=1) == [2]
    assert found(operator="boss") == [3]
    assert found(subject="operator:ann") == [1, 3]
    assert found(action="operator.add") == [1, 2]
    assert found(action="operator.") == [1, 2, 3]
    assert found(action="operator") == []
    assert found(action="%.") == []
    assert found(tenant_id="acme") == []
    assert found(recorded_from=LATER) == [3]
    assert found(recorded_until=LATER) == [1, 2]


def test_a_sidecar_is_limited_to_its_tenants_and_stays_a_sidecar(store: Store) -> None:
    with store.writing(TESTER) as writing:
        token = operators.add_operator(writing, "desk-7", Role.SIDECAR, now=NOW, tenants=["b", "a", "a"])
    found = whose(store, token)
    assert found is not None
    assert (found.role, found.tenants) == (Role.SIDECAR, {"a", "b"})
    assert (trail(store)[-1].details or {})["after"]["tenants"] == ["a", "b"]
    with refused("ROLE_FIXED"), store.writing(TESTER) as writing:
        operators.set_role(writing, "desk-7", Role.VIEWER)
    added(store, "ann")
    with refused("ROLE_FIXED"), store.writing(TESTER) as writing:
        operators.set_role(writing, "ann", Role.SIDECAR)


@pytest.mark.parametrize(
    ("role", "tenants"),
    [(Role.SIDECAR, []), (Role.SIDECAR, [""]), (Role.SIDECAR, ["x" * 257]), (Role.ADMIN, ["a"])],
)
def test_a_limit_that_makes_no_sense_is_told(store: Store, role: Role, tenants: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="tenants"), store.writing(TESTER) as writing:
        operators.add_operator(writing, "desk-7", role, now=NOW, tenants=tenants)
