"""What the back office's front owes: nobody gets in who may not, errors mean what the contract says, and it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from structlog.testing import capture_logs

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.address import Address
from sidecar.core.errors import DeskgateError, InvalidRequest
from sync.backoffice import front as fronts
from sync.backoffice.auth import Identity, identify
from sync.backoffice.contract import CALLS, CODE, FIELD, MOST_BYTES, SERVICE
from sync.backoffice.desk import RemoteDesk
from sync.backoffice.errors import DeskFailed, NotAuthenticated, Overloaded, Unreachable
from sync.backoffice.front import BackOfficeFront
from sync.backoffice.methods import METHODS
from sync.listening import CannotServe, ServerTls
from sync.store.db import Store, open_store
from sync.store.errors import StoreLocked
from sync.store.operators import Role
from tests.desks import LOOPBACK, ROLES, Here, ask, furnished, serving, token_of
from tests.serving import wait_for
from tests.storing import TESTER, Shop, again, refused, stored

SECONDS = 10.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Shop(tmp_path / "store.db").store


@pytest.fixture
def target(store: Store) -> Iterator[str]:
    with serving(store) as target:
        yield target


@pytest.fixture
def admin(store: Store, target: str) -> Iterator[RemoteDesk]:
    with RemoteDesk(target, token_of(store, Role.ADMIN)) as desk:
        yield desk


class Ended(Exception):
    """How a call ended that was made by hand."""

    def __init__(self, error: Any) -> None:
        super().__init__(error.details())
        self.status: grpc.StatusCode = error.code()
        self.detail: str = error.details()
        self.told = dict(error.trailing_metadata())


def by_hand(target: str, method: str, data: bytes, *metadata: tuple[str, str]) -> bytes:
    """Makes a call without any of our own client."""
    with grpc.insecure_channel(target, (("grpc.max_send_message_length", -1),)) as channel:
        try:
            return bytes(channel.unary_unary(f"/{SERVICE}/{method}")(data, metadata=metadata, timeout=SECONDS))
        except grpc.RpcError as e:
            raise Ended(e) from e


def ending(target: str, method: str, message: Any, token: str) -> Ended:
    with pytest.raises(Ended) as caught:
        by_hand(target, method, message.SerializeToString(), ("authorization", f"Bearer {token}"))
    return caught.value


def test_the_contract_and_the_table_of_calls_name_the_same() -> None:
    assert set(METHODS) == set(CALLS)


def test_every_call_is_served(target: str) -> None:
    for method in CALLS:
        with pytest.raises(Ended) as caught:
            by_hand(target, method, b"")
        assert caught.value.status is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(Ended) as caught:
        by_hand(target, "SellTheShop", b"")
    assert caught.value.status is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", ""),),
        (("authorization", "Bearer"),),
        (("authorization", "Bearer "),),
        (("authorization", "Basic {token}"),),
        (("authorization", "{token}"),),
        (("authorization", "Bearer x{token}"),),
        (("authorization", "Bearer {token}{token}"),),
        (("authorization", "Bearer " + "x" * 5000),),
        (("authorization", "Bearer {token}"), ("authorization", "Bearer {token}")),
    ],
)
def test_without_a_token_in_force_nobody_gets_in(store: Store, target: str, metadata: Any) -> None:
    token = token_of(store, Role.ADMIN)
    given = [(name, value.replace("{token}", token)) for name, value in metadata]
    with pytest.raises(Ended) as caught:
        by_hand(target, "ListOperators", b"", *given)
    assert caught.value.status is grpc.StatusCode.UNAUTHENTICATED
    assert caught.value.told[CODE] == "NOT_AUTHENTICATED"
    assert caught.value.detail.startswith("NOT_AUTHENTICATED: ")


@pytest.mark.parametrize("header", ["Bearer {token}", "bearer {token}", "BEARER   {token} "])
def test_a_token_lets_in_however_its_scheme_is_written(store: Store, target: str, header: str) -> None:
    given = header.replace("{token}", token_of(store, Role.VIEWER))
    assert pb.ListOperatorsResponse.FromString(by_hand(target, "ListOperators", b"", ("authorization", given)))


def test_a_token_is_void_at_once_when_it_is_rotated_or_its_operator_disabled(
    store: Store, target: str, admin: RemoteDesk
) -> None:
    with RemoteDesk(target, token_of(store, Role.VIEWER, "vic")) as vic:
        assert ask(vic, "ListOperators").operators
        ask(admin, "DisableOperator", name="vic")
        with pytest.raises(NotAuthenticated) as disabled:
            ask(vic, "ListOperators")
        ask(admin, "EnableOperator", name="vic")
        assert ask(vic, "ListOperators").operators
        other = ask(admin, "RotateOperatorToken", name="vic").token
        with pytest.raises(NotAuthenticated) as rotated:
            ask(vic, "ListOperators")
    assert str(disabled.value) == str(rotated.value)
    with RemoteDesk(target, other) as vic:
        assert ask(vic, "ListOperators").operators


def test_a_token_is_void_at_once_also_for_a_call_that_was_begun_before(
    store: Store, target: str, admin: RemoteDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, let_in, over = token_of(store, Role.ADMIN, "eve"), threading.Event(), threading.Event()

    def seen(store: Store, shown: str) -> Identity:
        found = identify(store, shown)
        if found.name == "eve":
            let_in.set()
        return found

    request = pb.AddOperatorRequest(idempotency_key="k", name="bob", role=pb.OPERATOR_ROLE_ADMIN)

    def late() -> Iterator[bytes]:
        assert over.wait(SECONDS)
        yield request.SerializeToString()

    monkeypatch.setattr(fronts, "identify", seen)
    with grpc.insecure_channel(target) as channel, capture_logs() as logs:
        call = channel.stream_unary(f"/{SERVICE}/AddOperator")
        begun = call.future(late(), timeout=SECONDS, metadata=(("authorization", f"Bearer {token}"),))
        try:
            assert let_in.wait(SECONDS)
            ask(admin, "DisableOperator", name="eve")
        finally:
            over.set()
        assert begun.code() is grpc.StatusCode.UNAUTHENTICATED
    assert [log["code"] for log in logs] == ["NOT_AUTHENTICATED"]
    assert {each.name for each in ask(admin, "ListOperators").operators} == {"admin", "eve"}


def test_a_role_holds_from_the_next_call_on(store: Store, target: str, admin: RemoteDesk) -> None:
    with RemoteDesk(target, token_of(store, Role.VIEWER, "vic")) as vic:
        ask(admin, "SetOperatorRole", name="vic", role=pb.OPERATOR_ROLE_ADMIN)
        assert ask(vic, "AddOperator", name="bob", role=pb.OPERATOR_ROLE_VIEWER).token


def test_changes_carry_the_operators_name(admin: RemoteDesk) -> None:
    ask(admin, "AddOperator", name="bob", role=pb.OPERATOR_ROLE_VIEWER)
    assert [e.operator for e in ask(admin, "ListAuditEntries", subject="operator:bob").entries] == ["admin"]


ENDINGS: dict[str, tuple[grpc.StatusCode, str, dict[str, Any]]] = {
    "INVALID": (grpc.StatusCode.INVALID_ARGUMENT, "AddOperator", {"name": "x"}),
    "UNKNOWN_TENANT": (grpc.StatusCode.NOT_FOUND, "ArchiveTenant", {"id": "nobody"}),
    "UNKNOWN_ORDER": (grpc.StatusCode.NOT_FOUND, "VoidOrder", {"order_id": 99}),
    "TENANT_EXISTS": (grpc.StatusCode.ALREADY_EXISTS, "CreateTenant", {"id": "acme"}),
    "IDEMPOTENCY_CONFLICT": (grpc.StatusCode.ALREADY_EXISTS, "CreateTenant", {"id": "x", "idempotency_key": "used"}),
    "CONFLICT": (grpc.StatusCode.ABORTED, "UpdateTenant", {"id": "acme", "expected_version": 7}),
    "NO_ACCOUNT": (grpc.StatusCode.FAILED_PRECONDITION, "CloseAccount", {"tenant_id": "acme", "reason": "x"}),
    "PARENT_CYCLE": (grpc.StatusCode.FAILED_PRECONDITION, "MoveTenant", {"id": "acme", "parent_id": "child"}),
    "NOT_ALLOWED": (grpc.StatusCode.PERMISSION_DENIED, "AddOperator", {"name": "x"}),
}


@pytest.mark.parametrize("code", ENDINGS)
def test_an_error_has_its_status_its_code_beside_it_and_advice(tmp_path: Path, code: str) -> None:
    store = open_store(stored(tmp_path / "furnished.db", furnished))
    ask(Here(store, Role.ADMIN), "ArchivePlan", id="spare", idempotency_key="used")
    status, method, fields = ENDINGS[code]
    token = token_of(store, Role.OPERATOR if code == "NOT_ALLOWED" else Role.ADMIN)
    request = CALLS[method].request(**({"idempotency_key": "k"} | fields))
    with serving(store) as target:
        ended = ending(target, method, request, token)
        assert (ended.status, ended.told[CODE]) == (status, code)
        assert ended.detail.startswith(f"{code}: ")
        assert len(ended.detail) > len(code) + 10
        assert ended.told.get(FIELD) == ("role" if code == "INVALID" else None)
        with RemoteDesk(target, token) as desk, pytest.raises(DeskgateError) as caught:
            desk.call(method, request)
    assert getattr(caught.value, "code", "INVALID") == code
    assert code == "INVALID" or str(caught.value) == ended.detail


def test_what_fails_where_it_should_not_is_logged_and_told_without_its_inside(store: Store, admin: RemoteDesk) -> None:
    with store.writing(TESTER) as writing:
        writing.conn.exec_driver_sql("UPDATE operator SET role = 'KING' WHERE name = 'admin'")
    with capture_logs() as logs, pytest.raises(DeskFailed) as caught:
        ask(admin, "ListOperators")
    assert "KING" not in str(caught.value)
    assert [(each["event"], each["method"]) for each in logs] == [("call failed", "ListOperators")]


def test_a_long_or_foreign_advice_fits_the_wire(admin: RemoteDesk) -> None:
    for name in ("x" * 256, "客户" * 40, "é" * 128):
        with refused("UNKNOWN_OPERATOR") as caught:
            ask(admin, "RotateOperatorToken", name=name)
        assert name[:20] in str(caught.value)
    for name in ("\n" * 300_000, "客\t" * 200_000):
        with pytest.raises(InvalidRequest, match=r"^name: "):
            ask(admin, "RotateOperatorToken", name=name)


def test_what_is_too_long_to_be_told_is_cut() -> None:
    assert fronts._fitting("x" * 100) == "x" * 100
    cut = fronts._fitting("客" * 10_000)
    assert cut.endswith("客...")
    assert 2500 < len(cut.removesuffix("...")) * 9 <= fronts.DETAIL_BYTES


def test_bytes_that_are_no_message_are_invalid(store: Store, target: str) -> None:
    token = token_of(store, Role.ADMIN)
    with pytest.raises(Ended) as caught:
        by_hand(target, "AddOperator", b"\xff\xff\xff", ("authorization", f"Bearer {token}"))
    assert caught.value.status is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.told[FIELD] == "request"


def test_a_request_that_is_too_large_is_not_taken(store: Store, target: str, admin: RemoteDesk) -> None:
    large = pb.AddOperatorRequest(idempotency_key="k", name="x" * MOST_BYTES)
    with pytest.raises(InvalidRequest, match=r"^request: "):
        admin.call("AddOperator", large)
    ended = ending(target, "AddOperator", large, token_of(store, Role.ADMIN, "boss"))
    assert ended.status in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT)


def test_a_store_that_is_locked_is_told_as_such(store: Store) -> None:
    token = token_of(store, Role.ADMIN)
    hasty = again(store, busy_timeout=0.1)
    with serving(hasty) as target, RemoteDesk(target, token) as admin:
        with store.writing(TESTER), pytest.raises(StoreLocked):
            ask(admin, "AddOperator", name="bob", role=pb.OPERATOR_ROLE_VIEWER)
        assert ask(admin, "AddOperator", name="bob", role=pb.OPERATOR_ROLE_VIEWER).token


def test_messages_that_never_come_keep_nobody_from_being_answered(store: Store, target: str) -> None:
    token = token_of(store, Role.VIEWER)
    with grpc.insecure_channel(target) as channel:
        over = threading.Event()

        def never() -> Iterator[bytes]:
            over.wait(SECONDS)
            yield from ()

        call = channel.stream_unary(f"/{SERVICE}/ListOperators")
        held = [call.future(never(), timeout=SECONDS) for _ in range(fronts.THREADS * 4)]
        try:
            with RemoteDesk(target, token, seconds=5.0) as desk:
                assert ask(desk, "ListOperators").operators
            for each in held:
                assert each.code() is grpc.StatusCode.UNAUTHENTICATED
        finally:
            over.set()


def test_a_call_without_a_message_is_an_empty_one(store: Store, target: str) -> None:
    metadata = (("authorization", f"Bearer {token_of(store, Role.VIEWER)}"),)
    with grpc.insecure_channel(target) as channel:
        call = channel.stream_unary(f"/{SERVICE}/ListOperators")
        assert call(iter(()), metadata=metadata, timeout=SECONDS)


def test_more_than_can_wait_is_refused_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fronts, "MOST_WAITING", 2)
    token = token_of(store, Role.ADMIN)
    front = BackOfficeFront(store, LOOPBACK)
    front.start()
    with RemoteDesk(str(front.address), token) as desk, ThreadPoolExecutor() as pool:
        with store.writing(TESTER):  # writes wait for this one
            held = [pool.submit(ask, desk, "AddOperator", name=f"o{n}", role=ROLES[Role.VIEWER]) for n in range(2)]
            wait_for(lambda: front.in_hand == 2)
            with pytest.raises(Overloaded):
                ask(desk, "ListOperators")
        assert all(each.result().token for each in held)
        wait_for(lambda: front.in_hand == 0)
        assert ask(desk, "ListOperators").operators
    front.stop(0)


def test_health_is_told_and_nobody_needs_a_token_for_it(target: str) -> None:
    with grpc.insecure_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=SECONDS)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="other"), timeout=SECONDS)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]


def test_the_contract_can_be_asked_for(target: str) -> None:
    with grpc.insecure_channel(target) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answer = next(iter(stub.ServerReflectionInfo(iter([request]), timeout=SECONDS)))
        assert SERVICE in {each.name for each in answer.list_services_response.service}


def test_a_stream_that_is_left_open_holds_up_neither_calls_nor_the_end(store: Store) -> None:
    token = token_of(store, Role.VIEWER)
    front = BackOfficeFront(store, LOOPBACK)
    front.start()
    over = threading.Event()

    def asking() -> Iterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        over.wait(SECONDS * 3)

    with grpc.insecure_channel(str(front.address)) as channel, RemoteDesk(str(front.address), token) as desk:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        streams = [stub.ServerReflectionInfo(asking()) for _ in range(fronts.BESIDE)]
        for stream in streams:
            assert next(stream).list_services_response.service
        assert ask(desk, "ListOperators").operators
        began = time.monotonic()
        front.stop(SECONDS * 2)
        assert time.monotonic() - began < SECONDS
        over.set()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "::", "office.example.com"])
def test_without_tls_only_this_machine_is_served(store: Store, host: str) -> None:
    with pytest.raises(CannotServe, match="--tls-cert"):
        BackOfficeFront(store, Address(host, 0))


def test_with_tls_other_machines_may_be_served(store: Store, certificates: Certificates) -> None:
    front = BackOfficeFront(store, Address("0.0.0.0", 0), certificates.server)
    assert front.address.port
    front.stop(0)


def test_an_address_in_use_is_told(store: Store, target: str) -> None:
    port = int(target.rpartition(":")[2])
    with pytest.raises(CannotServe, match="cannot be listened on"):
        BackOfficeFront(store, Address("127.0.0.1", port))


def test_a_desk_without_a_server_is_unreachable(store: Store) -> None:
    with serving(store) as target:
        pass
    with RemoteDesk(target, "x", seconds=2.0) as desk, pytest.raises(Unreachable):
        ask(desk, "ListOperators")


@pytest.mark.parametrize("token", ["", " x", "x\n", "令牌", "x\x00"])
def test_a_token_that_cannot_be_sent_is_told(token: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^token: "):
        RemoteDesk("127.0.0.1:1", token)


@pytest.mark.parametrize("target", ["", "localhost", "http://localhost:1", "localhost:99999"])
def test_a_target_that_is_none_is_told(target: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^target: "):
        RemoteDesk(target, "x")


def test_calls_and_requests_that_do_not_exist_are_told_alike(store: Store, admin: RemoteDesk) -> None:
    for desk in (admin, Here(store, Role.ADMIN)):
        with pytest.raises(InvalidRequest, match=r"^method: "):
            desk.call("SellTheShop", pb.ListOperatorsRequest())
        with pytest.raises(InvalidRequest, match=r"^request: "):
            desk.call("ListOperators", pb.AddOperatorRequest())


def test_a_call_that_has_begun_is_answered_after_the_end_has(store: Store) -> None:
    token = token_of(store, Role.ADMIN)
    front = BackOfficeFront(store, LOOPBACK)
    front.start()
    with RemoteDesk(str(front.address), token) as desk, ThreadPoolExecutor() as pool:
        assert ask(desk, "ListOperators").operators
        wait_for(lambda: front.in_hand == 0)
        with store.writing(TESTER):
            held = pool.submit(ask, desk, "AddOperator", name="bob", role=pb.OPERATOR_ROLE_VIEWER)
            wait_for(lambda: front.in_hand == 1)
            stopping = pool.submit(front.stop, SECONDS)
            wait_for(lambda: not front.serving)
        assert held.result().token
        stopping.result()
        with pytest.raises(Unreachable):
            ask(desk, "ListOperators")


@dataclass(frozen=True)
class Certificates:
    """Two authorities and what they have issued, in files and as bytes."""

    server: ServerTls
    ca: bytes
    other_ca: bytes
    client: tuple[bytes, bytes]
    other_client: tuple[bytes, bytes]


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    ours, others = trustme.CA(), trustme.CA()
    server = ours.issue_cert("localhost", "127.0.0.1")
    paths = {name: tmp_path / f"{name}.pem" for name in ("cert", "key", "client_ca")}
    server.cert_chain_pems[0].write_to_path(str(paths["cert"]))
    server.private_key_pem.write_to_path(str(paths["key"]))
    ours.cert_pem.write_to_path(str(paths["client_ca"]))

    def client(ca: trustme.CA) -> tuple[bytes, bytes]:
        leaf = ca.issue_cert("client@example.com")
        return leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes()

    return Certificates(
        server=ServerTls(**paths),
        ca=ours.cert_pem.bytes(),
        other_ca=others.cert_pem.bytes(),
        client=client(ours),
        other_client=client(others),
    )


def test_over_tls_the_server_is_known_by_its_certificate(store: Store, certificates: Certificates) -> None:
    token = token_of(store, Role.VIEWER)
    tls = replace(certificates.server, client_ca=None)
    with serving(store, tls) as target:
        port = target.rpartition(":")[2]
        for host in ("localhost", "127.0.0.1"):
            with RemoteDesk(f"{host}:{port}", token, tls_ca=certificates.ca) as desk:
                assert ask(desk, "ListOperators").operators
        for ca in (certificates.other_ca, None):
            with RemoteDesk(target, token, tls_ca=ca, seconds=2.0) as desk, pytest.raises(Unreachable):
                ask(desk, "ListOperators")
        with RemoteDesk(target, "x", tls_ca=certificates.ca) as desk, pytest.raises(NotAuthenticated):
            ask(desk, "ListOperators")


def test_with_mtls_a_client_needs_a_certificate_and_a_token(store: Store, certificates: Certificates) -> None:
    token = token_of(store, Role.VIEWER)

    def asked(token: str, pair: tuple[bytes, bytes] | None) -> Any:
        cert, private = pair or (None, None)
        given = {"tls_ca": certificates.ca, "tls_cert": cert, "tls_key": private}
        with RemoteDesk(target, token, seconds=2.0, **given) as desk:  # type: ignore[arg-type]
            return ask(desk, "ListOperators").operators

    with serving(store, certificates.server) as target:
        assert asked(token, certificates.client)
        with pytest.raises(NotAuthenticated):
            asked("x", certificates.client)
        for pair in (None, certificates.other_client):
            with pytest.raises(Unreachable):
                asked(token, pair)


def test_a_token_goes_to_another_machine_over_tls_alone() -> None:
    with RemoteDesk("office.example.invalid:1", "x", seconds=1.0) as desk:
        assert desk.secured


@pytest.mark.parametrize("wrong", ["missing", "garbage", "of another"])
def test_certificates_that_cannot_be_used_are_told(
    store: Store, certificates: Certificates, tmp_path: Path, wrong: str
) -> None:
    path = tmp_path / "wrong.pem"
    if wrong == "garbage":
        path.write_text("no certificate")
    if wrong == "of another":
        trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(str(path))
    tls = replace(certificates.server, key=path, client_ca=None)
    with pytest.raises(CannotServe, match="certificate"):
        BackOfficeFront(store, LOOPBACK, tls)
