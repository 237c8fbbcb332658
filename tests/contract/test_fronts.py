"""What a front adds to the service: bounds, deadlines, health, reflection, sockets, and an end that loses nothing."""

from __future__ import annotations

import socket
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.serving.answers import Code
from sidecar.serving.fronts.grpcio import CannotListen, GrpcioFront
from sidecar.serving.fronts.inline import InlinePool
from sidecar.serving.service import SERVICE
from tests.contract.conftest import Stage, front_of, over_grpc
from tests.contract.test_authorization import ACME, _Adjusted, adjustment, request

WAIT = 10.0


class Gate:
    """Calls are held here until the test lets them go; it knows how many began and ended."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.began = threading.Semaphore(0)
        self.ended = 0

    def __call__(self) -> None:
        self.began.release()
        assert self.opened.wait(WAIT)
        self.ended += 1

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.began.acquire(timeout=WAIT)


@pytest.fixture
def gate(stage: Stage) -> Iterator[Gate]:
    gate = Gate()
    stage.pause = gate
    stage.put(ACME)
    yield gate
    gate.opened.set()


@pytest.fixture
def narrow(stage: Stage) -> Iterator[GrpcioFront]:
    """One thread at work, two calls of a kind in flight."""
    front = front_of(stage, address="127.0.0.1:0", threads=1, max_in_flight=2, inline=False)
    front.start()
    yield front
    front.stop(0)


@pytest.fixture
def channel(narrow: GrpcioFront) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{narrow.port}") as channel:
        yield channel


ADJUST = adjustment(delta=1).SerializeToString()
CHECK = request().SerializeToString()
EXPLAIN = pb.ExplainRequest(check=request()).SerializeToString()


def in_flight(front: GrpcioFront, count: int) -> None:
    deadline = threading.Event()
    for _ in range(1000):
        if front.in_flight == count:
            return
        deadline.wait(0.01)
    pytest.fail(f"{front.in_flight} calls in flight, not {count}")


def ask_until_refused(channel: grpc.Channel) -> None:
    while True:
        channel.unary_unary(f"/{SERVICE}/Check")(CHECK, timeout=1.0)


def test_what_is_too_much_is_refused_at_once_and_the_rest_is_answered(
    stage: Stage, narrow: GrpcioFront, channel: grpc.Channel, gate: Gate
) -> None:
    with ThreadPoolExecutor() as pool:
        held = [pool.submit(over_grpc, channel, "Check", CHECK, WAIT) for _ in range(2)]
        gate.wait_for(1)
        in_flight(narrow, 2)
        assert over_grpc(channel, "Check", CHECK, WAIT)[0] is Code.RESOURCE_EXHAUSTED
        gate.opened.set()
        assert [h.result()[0] for h in held] == [Code.OK, Code.OK]
    in_flight(narrow, 0)
    assert over_grpc(channel, "Check", CHECK, WAIT)[0] is Code.OK
    assert b"deskgate_calls_shed_total 1.0" in stage.metrics.exposition()[0]


def test_calls_that_are_cancelled_leave_no_count_behind(narrow: GrpcioFront, channel: grpc.Channel, gate: Gate) -> None:
    method = channel.unary_unary(f"/{SERVICE}/Check")
    calls = [method.future(CHECK, timeout=WAIT) for _ in range(2)]
    gate.wait_for(1)
    in_flight(narrow, 2)
    for call in calls:
        call.cancel()
    gate.opened.set()
    in_flight(narrow, 0)
    assert over_grpc(channel, "Check", CHECK, WAIT)[0] is Code.OK


def test_a_call_whose_deadline_passed_while_it_waited_is_not_worked_on(
    narrow: GrpcioFront, channel: grpc.Channel, gate: Gate
) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(over_grpc, channel, "Check", CHECK, WAIT)
        gate.wait_for(1)
        assert over_grpc(channel, "Check", CHECK, 0.05)[0] is Code.DEADLINE_EXCEEDED
        gate.opened.set()
        assert first.result()[0] is Code.OK
    in_flight(narrow, 0)
    assert gate.ended == 1


def test_checks_do_not_wait_for_statements_of_usage(
    stage: Stage, narrow: GrpcioFront, channel: grpc.Channel, gate: Gate
) -> None:
    stage.pause = lambda: None
    stage.adjust = lambda _: (gate(), _Adjusted)[1]
    with ThreadPoolExecutor() as pool:
        held = [pool.submit(over_grpc, channel, "AdjustUsage", ADJUST, WAIT) for _ in range(2)]
        gate.wait_for(2)
        assert over_grpc(channel, "Check", CHECK, WAIT)[0] is Code.OK
        assert over_grpc(channel, "AdjustUsage", ADJUST, WAIT)[0] is Code.RESOURCE_EXHAUSTED
        gate.opened.set()
        assert [h.result()[0] for h in held] == [Code.OK, Code.OK]


def test_an_expired_deadline_is_told_without_work(stage: Stage) -> None:
    answer = stage.service.handle("AdjustUsage", ADJUST, (), 0.0)
    assert answer.code is Code.DEADLINE_EXCEEDED


def test_waiting_for_a_revision_is_bounded_apart(stage: Stage) -> None:
    stage.put(ACME)
    waiting = request(min_revision=99).SerializeToString()
    answers: list[Code] = []
    threads = [
        threading.Thread(target=lambda: answers.append(stage.service.handle("Check", waiting, (), 1.0).code))
        for _ in range(stage.max_waiting + 3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert sorted(answers) == [Code.OK] * stage.max_waiting + [Code.RESOURCE_EXHAUSTED] * 3


def test_started_calls_end_before_the_front_does(stage: Stage, gate: Gate) -> None:
    front = front_of(stage, address="127.0.0.1:0", inline=False)
    front.start()
    front.serving(True)
    with grpc.insecure_channel(f"127.0.0.1:{front.port}") as channel, ThreadPoolExecutor() as pool:
        held = [pool.submit(over_grpc, channel, "Check", CHECK, WAIT) for _ in range(3)]
        gate.wait_for(3)
        stopping = pool.submit(front.stop, WAIT)
        with grpc.insecure_channel(f"127.0.0.1:{front.port}") as late, pytest.raises(grpc.RpcError):
            ask_until_refused(late)
        gate.opened.set()
        assert [h.result()[0] for h in held] == [Code.OK] * 3
        stopping.result(WAIT)


# --- answering inline: nothing is handed over, so no caller can hold a thread ---


@pytest.fixture
def inline(stage: Stage) -> Iterator[GrpcioFront]:
    stage.put(ACME)
    front = front_of(stage, address="127.0.0.1:0", max_in_flight=8)
    front.start()
    yield front
    front.stop(0)


class Silent:
    """Calls that are begun and whose message never comes."""

    def __init__(self, channel: grpc.Channel, count: int, method: str = f"/{SERVICE}/Check") -> None:
        self._ended = threading.Event()
        multi = channel.stream_unary(method)
        self.calls = [multi.future(self._messages(), timeout=60) for _ in range(count)]

    def _messages(self) -> Iterator[bytes]:
        self._ended.wait(60)
        yield from ()

    def cancel(self) -> None:
        for call in self.calls:
            call.cancel()
        self._ended.set()

    def end(self) -> None:
        """Half-closes them all without a message."""
        self._ended.set()


def test_callers_that_send_nothing_stall_nobody(inline: GrpcioFront) -> None:
    target = f"127.0.0.1:{inline.port}"
    with grpc.insecure_channel(target) as silent_channel, grpc.insecure_channel(target) as channel:
        silent = Silent(silent_channel, 7)
        in_flight(inline, 7)
        assert over_grpc(channel, "Check", CHECK, WAIT)[0] is Code.OK
        silent.cancel()
        in_flight(inline, 0)


def test_calls_that_end_without_a_message_are_told_so(inline: GrpcioFront) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{inline.port}") as channel:
        for method in (f"/{SERVICE}/Check", f"/{SERVICE}/Explain", "/grpc.health.v1.Health/Check"):
            with pytest.raises(grpc.RpcError) as raised:
                channel.stream_unary(method)(iter(()), timeout=WAIT)
            assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert raised.value.details() == "this method takes exactly one message, and none came"


@pytest.mark.parametrize("method", ["Check", "CheckBatch", "Explain", "AdjustUsage"])
def test_silent_callers_of_any_method_hold_up_no_other_call(method: str, stage: Stage, inline: GrpcioFront) -> None:
    stage.adjust = lambda _: _Adjusted
    target = f"127.0.0.1:{inline.port}"
    with grpc.insecure_channel(target) as silent_channel, grpc.insecure_channel(target) as channel:
        silent = Silent(silent_channel, 7, f"/{SERVICE}/{method}")
        watching = Silent(silent_channel, 7, "/grpc.health.v1.Health/Check")
        in_flight(inline, 7)
        assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=WAIT).status
        assert over_grpc(channel, "AdjustUsage", ADJUST, WAIT)[0] is Code.OK
        assert over_grpc(channel, "Explain", EXPLAIN, WAIT)[0] is Code.OK
        assert over_grpc(channel, "Check", CHECK, WAIT)[0] is Code.OK
        silent.cancel()
        watching.cancel()
        in_flight(inline, 0)


def test_a_large_batch_does_not_hold_up_a_check(stage: Stage, inline: GrpcioFront) -> None:
    held = threading.Event()
    stage.pause = lambda: threading.current_thread().name.startswith("check") and held.wait(WAIT) and None
    batch = pb.CheckBatchRequest(items=[request()] * 1000).SerializeToString()
    with grpc.insecure_channel(f"127.0.0.1:{inline.port}") as channel, ThreadPoolExecutor() as pool:
        large = pool.submit(over_grpc, channel, "CheckBatch", batch, WAIT)
        in_flight(inline, 1)
        assert over_grpc(channel, "Check", CHECK, WAIT)[0] is Code.OK
        held.set()
        assert large.result()[0] is Code.OK


def test_a_watcher_that_reads_nothing_holds_up_nobody(inline: GrpcioFront) -> None:
    with socket.create_connection(("127.0.0.1", inline.port or 0)) as deaf:
        deaf.sendall(deaf_watch())
        with grpc.insecure_channel(f"127.0.0.1:{inline.port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            for ready in (True, False, True):
                inline.serving(ready)
                assert stub.Check(health_pb2.HealthCheckRequest(), timeout=WAIT).status == (1 if ready else 2)


def deaf_watch() -> bytes:
    """Raw HTTP/2: a connection that takes no data (an initial window of 0) and begins a Watch."""

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload

    def header(name: bytes, value: bytes) -> bytes:
        return b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value

    headers = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": b"/grpc.health.v1.Health/Watch",
        b":authority": b"localhost",
        b"content-type": b"application/grpc",
        b"te": b"trailers",
    }
    return b"".join(
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            frame(4, 0, 0, (4).to_bytes(2) + (0).to_bytes(4)),
            frame(1, 4, 1, b"".join(header(*pair) for pair in headers.items())),
            frame(0, 1, 1, b"\0\0\0\0\0"),
        )
    )


@pytest.mark.parametrize("end", [Silent.cancel, Silent.end], ids=["cancelled", "half-closed"])
def test_calls_without_a_message_are_bounded_and_leave_no_count_behind(
    end: Callable[[Silent], None], inline: GrpcioFront
) -> None:
    target = f"127.0.0.1:{inline.port}"
    with grpc.insecure_channel(target) as silent_channel, grpc.insecure_channel(target) as channel:
        silent = Silent(silent_channel, 8)
        in_flight(inline, 8)
        assert over_grpc(channel, "Check", CHECK, WAIT)[0] is Code.RESOURCE_EXHAUSTED
        end(silent)
        in_flight(inline, 0)
        assert over_grpc(channel, "Check", CHECK, WAIT)[0] is Code.OK


def test_of_a_flood_some_is_answered_and_the_rest_refused(stage: Stage, inline: GrpcioFront) -> None:
    stage.pause = lambda: threading.Event().wait(0.001) and None
    with grpc.insecure_channel(f"127.0.0.1:{inline.port}") as channel:
        method = channel.unary_unary(f"/{SERVICE}/Check")
        calls = [method.future(CHECK, timeout=WAIT) for _ in range(400)]
        codes = Counter(call.code() for call in calls)
    assert codes.keys() == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    shed = codes[grpc.StatusCode.RESOURCE_EXHAUSTED]
    assert f"deskgate_calls_shed_total {float(shed)}".encode() in stage.metrics.exposition()[0]
    in_flight(inline, 0)


def test_inline_calls_that_wait_hold_up_nobody(stage: Stage, inline: GrpcioFront) -> None:
    waiting = request(min_revision=5).SerializeToString()
    with grpc.insecure_channel(f"127.0.0.1:{inline.port}") as channel, ThreadPoolExecutor() as pool:
        held = [pool.submit(over_grpc, channel, "Check", waiting, WAIT) for _ in range(stage.max_waiting)]
        in_flight(inline, stage.max_waiting)
        assert over_grpc(channel, "Check", CHECK, WAIT)[0] is Code.OK
        stage.put(ACME, revision=5)
        assert [h.result()[0] for h in held] == [Code.OK] * stage.max_waiting
    in_flight(inline, 0)


def test_an_inline_front_ends_under_load(stage: Stage) -> None:
    stage.put(ACME)
    front = front_of(stage, address="127.0.0.1:0", max_in_flight=1000)
    front.start()
    with grpc.insecure_channel(f"127.0.0.1:{front.port}") as channel:
        method = channel.unary_unary(f"/{SERVICE}/Check")
        assert method(CHECK, timeout=WAIT)
        calls = [method.future(CHECK, timeout=WAIT) for _ in range(500)]
        front.stop(WAIT)
        codes = {call.code() for call in calls}
    assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert front.in_flight == 0


def test_an_answer_that_cannot_be_sent_ends_its_call_alone(
    stage: Stage, inline: GrpcioFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{inline.port}") as channel:
        with monkeypatch.context() as patch:
            patch.setattr(InlinePool, "_send", staticmethod(lambda *_: 1 / 0))
            with pytest.raises(grpc.RpcError):
                channel.unary_unary(f"/{SERVICE}/Check")(CHECK, timeout=WAIT)
        assert over_grpc(channel, "Check", CHECK, WAIT)[0] is Code.OK
    in_flight(inline, 0)


def test_another_grpcio_is_served_by_threads(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc, "__version__", "9.9.9")
    front = front_of(stage, address="127.0.0.1:0")
    assert front.inline is False
    front.stop(0)


def test_health_follows_what_is_said(narrow: GrpcioFront, channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", SERVICE):
        check = health_pb2.HealthCheckRequest(service=name)
        assert stub.Check(check, timeout=WAIT).status == health_pb2.HealthCheckResponse.NOT_SERVING
    narrow.serving(True)
    assert stub.Check(health_pb2.HealthCheckRequest(), timeout=WAIT).status == health_pb2.HealthCheckResponse.SERVING


def test_health_is_answered_while_calls_are_refused(narrow: GrpcioFront, channel: grpc.Channel, gate: Gate) -> None:
    narrow.serving(True)
    with ThreadPoolExecutor() as pool:
        held = [pool.submit(over_grpc, channel, "Check", CHECK, WAIT) for _ in range(2)]
        in_flight(narrow, 2)
        stub = health_pb2_grpc.HealthStub(channel)
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=WAIT).status == 1
        gate.opened.set()
        assert [h.result()[0] for h in held] == [Code.OK, Code.OK]


def test_reflection_lists_the_service(narrow: GrpcioFront, channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    (answer,) = stub.ServerReflectionInfo(asked, timeout=WAIT)
    assert SERVICE in {s.name for s in answer.list_services_response.service}


def test_an_unknown_method(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary(f"/{SERVICE}/Frobnicate")(b"", timeout=WAIT)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_the_sockets_mode_is_set(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "made" / "s"
    front = front_of(stage, socket_path=path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    front.start()
    front.stop(0)
    assert not path.exists()


def test_a_stale_socket_is_replaced(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    front = front_of(stage, socket_path=path)
    front.start()
    stage.put(ACME)
    with grpc.insecure_channel(f"unix:{path}") as channel:
        assert over_grpc(channel, "Check", CHECK, WAIT)[0] is Code.OK
    front.stop(0)


def test_a_socket_in_use_and_a_file_in_its_place_are_refused(stage: Stage, tmp_path: Path) -> None:
    used, file = tmp_path / "used", tmp_path / "file"
    file.write_text("precious")
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(used))
        living.listen()
        with pytest.raises(CannotListen, match="another process listens"):
            front_of(stage, socket_path=used)
    with pytest.raises(CannotListen, match="is not a socket"):
        front_of(stage, socket_path=file)
    assert file.read_text() == "precious"


def test_an_address_in_use_is_refused(stage: Stage, narrow: GrpcioFront) -> None:
    with pytest.raises(CannotListen, match="grpc_address"):
        front_of(stage, address=f"127.0.0.1:{narrow.port}")
