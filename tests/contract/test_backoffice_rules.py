"""What holds for every call of the back office alike: roles, `at`, idempotency, identity, one transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import func, select

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.core.errors import InvalidRequest
from sync.backoffice.auth import Identity
from sync.backoffice.errors import NotAllowed
from sync.backoffice.methods import METHODS
from sync.backoffice.service import BackOffice
from sync.store import audit, schema
from sync.store.audit import Sought
from sync.store.db import Store, open_store
from sync.store.errors import Refused
from sync.store.operators import Role
from sync.store.orders import place_order
from sync.store.placing import Kind
from tests.desks import DeskFor, Here, ask, desks, furnished, in_threads, marks, valid
from tests.storing import TESTER, Shop, at, months, on_every_database, per_unit, refused, stored

pytestmark = on_every_database

VALID = valid()
WRITES = [name for name, method in METHODS.items() if method.writes]
READS = [name for name, method in METHODS.items() if not method.writes]
FOR_ADMINS = {
    "EraseTenant",
    "EraseDueTenants",
    "CreateProduct",
    "UpdateProduct",
    "PutEdition",
    "AddOperator",
    "SetOperatorRole",
    "RotateOperatorToken",
    "DisableOperator",
    "EnableOperator",
}
SECRETS = {"AddOperator", "RotateOperatorToken"}
STATED = Timestamp(seconds=4_000_000_000)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(stored(tmp_path / "store.db", furnished))


@pytest.fixture(params=["here", "over grpc"])
def desk_for(request: pytest.FixtureRequest, store: Store) -> Iterator[DeskFor]:
    with desks(store, remote=request.param == "over grpc") as desk_for:
        yield desk_for


def copied(method: str, **fields: Any) -> Any:
    """A valid request with other fields."""
    request = type(VALID[method])()
    request.CopyFrom(VALID[method])
    for name, value in fields.items():
        if isinstance(value, Timestamp):
            getattr(request, name).CopyFrom(value)
        else:
            setattr(request, name, value)
    return request


def entries(store: Store) -> list[audit.Entry]:
    with store.reading() as conn:
        return audit.entries(conn, Sought())


def test_every_call_that_is_not_a_look_is_a_write() -> None:
    looks = ("Get", "List", "Verify")
    assert set(READS) == {name for name in METHODS if name.startswith(looks)}
    for name in WRITES:
        fields = METHODS[name].call.request.DESCRIPTOR.fields_by_name
        assert fields["idempotency_key"].number == 1
        assert fields["at"].number == 2
        assert METHODS[name].call.response.DESCRIPTOR.fields_by_name["revision"].number == 1


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("method", METHODS)
def test_a_role_reaches_as_far_as_it_should_and_no_further(store: Store, method: str, role: Role) -> None:
    needed = Role.ADMIN if method in FOR_ADMINS else Role.OPERATOR if method in WRITES else Role.VIEWER
    before = marks(store)
    if role >= needed:
        Here(store, role).call(method, VALID[method])
        assert (marks(store) != before) == (method in WRITES)
        return
    with pytest.raises(NotAllowed, match=f"^NOT_ALLOWED: {method} is for the role {needed.name}"):
        Here(store, role).call(method, VALID[method])
    assert marks(store) == before


def test_roles_hold_over_every_road(desk_for: DeskFor, store: Store) -> None:
    before = marks(store)
    for method in METHODS:
        if method in WRITES:
            with pytest.raises(NotAllowed):
                desk_for(Role.VIEWER).call(method, VALID[method])
        if method in FOR_ADMINS:
            with pytest.raises(NotAllowed):
                desk_for(Role.OPERATOR).call(method, VALID[method])
        if method in READS:
            desk_for(Role.VIEWER).call(method, VALID[method])
    assert marks(store) == before


@pytest.mark.parametrize("method", [name for name in WRITES if name not in FOR_ADMINS])
def test_only_an_admin_states_when(store: Store, method: str) -> None:
    before = marks(store)
    with pytest.raises(NotAllowed, match="`at`"):
        Here(store, Role.OPERATOR).call(method, copied(method, at=STATED))
    assert marks(store) == before


def test_what_an_admin_states_is_the_instant_of_the_change_and_not_of_its_record(
    desk_for: DeskFor, store: Store
) -> None:
    made = ask(desk_for(Role.ADMIN), "CreateTenant", id="new", at=STATED)
    assert made.tenant.created_at == STATED
    assert entries(store)[-1].recorded_at < 4_000_000_000 * 1_000_000


@pytest.mark.parametrize("method", WRITES)
def test_the_same_key_with_the_same_content_is_done_once_and_answered_alike(
    desk_for: DeskFor, store: Store, method: str
) -> None:
    desk, before = desk_for(Role.ADMIN), len(entries(store))
    first = desk.call(method, VALID[method])
    after = marks(store)
    again = desk.call(method, VALID[method])
    if method in SECRETS:
        assert first.token
        assert not again.token
        first.ClearField("token")
    assert first == again
    assert marks(store) == after
    made = entries(store)[before:]
    assert len(made) == 1 or method == "ReconcileUsage"  # which has one for what it changes of each key
    assert {entry.idempotency_key for entry in made} == {VALID[method].idempotency_key}
    assert {entry.operator for entry in made} == {"admin"}
    with refused("IDEMPOTENCY_CONFLICT"):
        desk.call(method, copied(method, at=STATED))
    assert marks(store) == after


def test_a_key_of_one_call_is_no_key_of_another(desk_for: DeskFor) -> None:
    desk = desk_for(Role.ADMIN)
    ask(desk, "ArchivePlan", id="spare", idempotency_key="k")
    with refused("IDEMPOTENCY_CONFLICT"):
        ask(desk, "RestorePlan", id="spare", idempotency_key="k")


def test_a_key_of_what_was_refused_can_be_used_again(desk_for: DeskFor) -> None:
    desk = desk_for(Role.ADMIN)
    with refused("UNKNOWN_TENANT"):
        ask(desk, "MoveTenant", id="nobody", idempotency_key="k")
    assert ask(desk, "MoveTenant", id="child", idempotency_key="k").tenant.parent_id == ""


def test_an_answer_names_the_revision_at_which_it_can_be_seen(desk_for: DeskFor, store: Store) -> None:
    desk = desk_for(Role.ADMIN)
    done = ask(desk, "ChangeUsage", tenant_id="acme", key="fixed_desk", delta=1)
    assert done.revision == store.status().revision
    assert ask(desk, "ListOperators") == ask(desk, "ListOperators")
    assert ask(desk, "DisableOperator", name="bob").revision == done.revision


@pytest.mark.parametrize("method", WRITES)
def test_what_fails_halfway_changes_nothing(store: Store, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step of every write is to keep its answer: if that fails, nothing of it stays."""

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the lights went out")

    before = marks(store)
    monkeypatch.setattr("sync.store.once.remember", fail)
    with pytest.raises(RuntimeError, match="lights"):
        Here(store, Role.ADMIN).call(method, VALID[method])
    assert marks(store) == before
    monkeypatch.undo()
    Here(store, Role.ADMIN).call(method, VALID[method])
    assert marks(store) != before


def test_a_dry_run_says_what_would_be_and_leaves_nothing(desk_for: DeskFor, store: Store) -> None:
    desk, before = desk_for(Role.OPERATOR), marks(store)
    for method in ("PlaceOrder", "ReconcileUsage"):
        quoted = desk.call(method, copied(method, dry_run=True, idempotency_key=""))
        assert quoted.revision == before[3]
        assert marks(store) == before
        done = desk_for(Role.ADMIN).call(method, VALID[method])
        assert done.revision > quoted.revision
        before = marks(store)


def test_operators_at_once_on_one_tenant_lose_nothing(desk_for: DeskFor, store: Store) -> None:
    desk = desk_for(Role.OPERATOR)
    found = in_threads(
        8, lambda n: ask(desk, "ChangeUsage", tenant_id="acme", key="fixed_desk", delta=1, idempotency_key=f"k{n}")
    )
    assert sorted(each.usage.units for each in found) == list(range(4, 12))
    assert ask(desk, "GetUsage", tenant_id="acme").usage[0].units == 11
    assert len({each.revision for each in found}) == 8


def test_operators_at_once_with_one_version_are_told_that_one_was_first(desk_for: DeskFor) -> None:
    desk = desk_for(Role.OPERATOR)
    found = in_threads(4, lambda n: ask(desk, "UpdateTenant", id="acme", expected_version=1, name=f"name {n}"))
    done = [each for each in found if not isinstance(each, Exception)]
    late = [each for each in found if isinstance(each, Refused)]
    assert (len(done), {each.code for each in late}, len(late)) == (1, {"CONFLICT"}, 3)
    assert ask(desk, "GetTenant", id="acme").tenant == done[0].tenant


def test_operators_at_once_with_one_key_do_it_once(desk_for: DeskFor, store: Store) -> None:
    desk = desk_for(Role.OPERATOR)
    found = in_threads(4, lambda n: ask(desk, "TopUpAccount", tenant_id="delta", amount="5", idempotency_key="k"))
    assert all(each == found[0] for each in found)
    assert found[0].account.balance == "105"


def test_operators_at_once_buy_one_first_order(desk_for: DeskFor, store: Store) -> None:
    desk = desk_for(Role.OPERATOR)
    request = copied("PlaceOrder")
    found = in_threads(4, lambda n: desk.call("PlaceOrder", copied("PlaceOrder", idempotency_key=f"k{n}")))
    assert sorted(type(each).__name__ for each in found) == ["PlaceOrderResponse", *["Refused"] * 3]
    assert {each.code for each in found if isinstance(each, Refused)} == {"TERM_RUNNING"}
    assert len(ask(desk, "ListOrders", tenant_id=request.tenant_id).orders) == 1


class Announced(Store):
    """A store that says that a change waits for its turn."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.place)
        self.asked = threading.Event()

    def writing(self, by: Any) -> Any:
        self.asked.set()
        return super().writing(by)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_change_is_made_at_the_instant_at_which_its_turn_comes(tmp_path: Path, dry_run: bool) -> None:
    """An upgrade that waited for another one does not begin before it: it would end as the other one begins."""
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("fd", "fixed_desk"))
    shop.tenant("acme")
    shop.order("NEW", "acme", {"fd": 10}, "2026-01-01", months(12))
    clock, store = [at("2026-02-01T09:00:00Z")], Announced(shop.store)
    office = BackOffice(store, lambda: clock[0])
    items = [pb.OrderItem(product_id="fd", quantity=20)]
    request = pb.PlaceOrderRequest(
        idempotency_key="k", dry_run=dry_run, tenant_id="acme", kind=pb.ORDER_KIND_UPGRADE, items=items
    )
    with ThreadPoolExecutor(1) as other:
        with shop.store.writing(TESTER) as writing:
            late = other.submit(office.handle, "PlaceOrder", request, Identity(name="olga", role=Role.OPERATOR))
            assert store.asked.wait(10)
            place_order(writing, "acme", Kind.UPGRADE, {"fd": 15}, now=at("2026-02-01T09:00:01Z"))
            clock[0] = at("2026-02-01T09:00:02Z")
        (line,) = late.result().order.lines
    assert (line.starts_at.ToMicroseconds(), line.ends_at.ToMicroseconds()) == (clock[0], at("2027-01-01"))
    assert shop.amount("acme", "fixed_desk", "2026-02-02") == (15 if dry_run else 20)


def test_every_list_goes_on_page_by_page_to_its_end(desk_for: DeskFor) -> None:
    desk = desk_for(Role.VIEWER)
    for method in METHODS:
        request = METHODS[method].call.request()
        if "page_size" not in request.DESCRIPTOR.fields_by_name:
            continue
        if method in ("GetPurchaseHistory", "ListLedger"):
            request.tenant_id = {"GetPurchaseHistory": "acme", "ListLedger": "delta"}[method]
        whole, pages = _items(desk.call(method, request)), []
        request.page_size = 1
        while True:
            answer = desk.call(method, request)
            pages += _items(answer)
            if not answer.next_page_token:
                break
            request.page_token = answer.next_page_token
        assert pages == whole
        assert whole, f"{method} has nothing to list"


def _items(answer: Any) -> list[Any]:
    repeated = next(field for field in answer.DESCRIPTOR.fields if field.is_repeated)
    return list(getattr(answer, repeated.name))


def test_a_page_token_of_another_list_is_invalid(desk_for: DeskFor) -> None:
    with pytest.raises(InvalidRequest, match=r"^page_token: "):
        ask(desk_for(Role.VIEWER), "ListOrders", page_token="acme")


def test_the_trail_holds_after_everything(store: Store) -> None:
    desk = Here(store, Role.ADMIN)
    for method in WRITES:
        try:
            desk.call(method, VALID[method])
        except Refused as e:
            assert e.code  # noqa: PT017 - one that another made impossible
    found = ask(desk, "VerifyAudit")
    assert (found.intact, found.fault) == (True, "")
    with store.reading() as conn:
        assert found.entries == conn.scalar(select(func.count()).select_from(schema.audit))
