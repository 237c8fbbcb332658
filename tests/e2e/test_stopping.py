"""SIGTERM: no more calls, those begun are answered, everything is let go, exit 0 within the budget."""

from __future__ import annotations

import signal
import stat
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.client.calls import OPTIONS
from sidecar.serving.fronts.grpcio import REFLECTED
from sidecar.serving.service import SERVICE
from tests.serving import Place, RunningSidecar

NAMES = health_pb2.HealthCheckResponse.ServingStatus.Name
QUESTION = pb.CheckRequest(tenant_id="acme", action="booking.create", resource=pb.Resource(kind="shared_desk"))


def waiting(sidecar: RunningSidecar, revision: int) -> Any:
    """A call that is at work: it waits for a revision."""
    question = pb.CheckRequest()
    question.CopyFrom(QUESTION)
    question.min_revision = revision
    method = sidecar.channel.unary_unary(f"/{SERVICE}/Check", response_deserializer=pb.CheckResponse.FromString)
    call = method.future(question.SerializeToString(), timeout=20)
    sidecar.wait(lambda: sidecar.metric("calls_in_flight") >= 1)
    return call


class Watch(threading.Thread):
    """Watches the health of the server, as orchestrators and clients do; `seen` grows."""

    def __init__(self, sidecar: RunningSidecar) -> None:
        super().__init__()
        self.seen: list[str] = []
        self._stream = health_pb2_grpc.HealthStub(sidecar.channel).Watch(health_pb2.HealthCheckRequest())
        self.start()

    def run(self) -> None:
        try:
            for answer in self._stream:
                self.seen.append(str(NAMES(answer.status)))
        except grpc.RpcError as e:
            self.seen.append(str(e.code().name))


def test_an_idle_sidecar_ends_at_once_and_lets_everything_go(place: Place) -> None:
    for how in (signal.SIGTERM, signal.SIGINT):  # the second one takes the same state directory and socket
        with place.serve() as sidecar:
            assert sidecar.check("acme", "booking.create", "shared_desk").allowed
            assert stat.S_IMODE(place.socket.stat().st_mode) == 0o660
            began = time.monotonic()
            assert sidecar.stop(how) == 0
            assert time.monotonic() - began < 5
            assert [len(sidecar.events(name)) for name in ("draining", "stopped")] == [1, 1]
            assert not place.socket.exists()
            assert not [p.name for p in place.state.iterdir() if p.name.endswith(("-wal", "-shm"))]


def test_a_stop_asked_for_while_it_starts(place: Place) -> None:
    with place.serve(ready=False) as sidecar:
        assert sidecar.stop() == 0
        assert not place.socket.exists()


def test_a_call_begun_before_is_answered_while_nothing_new_is_taken(place: Place) -> None:
    with place.serve() as sidecar:
        watch = Watch(sidecar)
        sidecar.wait(lambda: watch.seen == ["SERVING"])
        call = waiting(sidecar, revision=2)
        sidecar.process.terminate()
        sidecar.wait(lambda: "NOT_SERVING" in watch.seen)
        assert sidecar.page("/readyz") == (503, "not ready: draining\n")
        assert sidecar.page("/livez")[0] == 200
        assert place.use("acme", shared_desk=31) == 2  # is still followed: the answer rests on it
        assert call.result().entitlement_revision == 2
        assert call.result().effect == pb.EFFECT_ALLOW
        assert sidecar.process.wait(20) == 0
        watch.join(20)


def test_a_watcher_of_health_does_not_hold_up_the_end(place: Place) -> None:
    with place.serve(drain_seconds=15) as sidecar:
        watch = Watch(sidecar)
        sidecar.wait(lambda: watch.seen == ["SERVING"])
        began = time.monotonic()
        assert sidecar.stop() == 0
        assert time.monotonic() - began < 5
        watch.join(20)
        assert watch.seen[:2] == ["SERVING", "NOT_SERVING"]


def test_idle_reflection_streams_hold_up_neither_explanations_nor_the_end(place: Place) -> None:
    with place.serve(drain_seconds=15) as sidecar:
        idle = threading.Event()

        def requests() -> Iterator[reflection_pb2.ServerReflectionRequest]:
            yield reflection_pb2.ServerReflectionRequest(list_services="")
            idle.wait(60)

        stub = reflection_pb2_grpc.ServerReflectionStub(sidecar.channel)
        streams = []
        for number in range(REFLECTED + 2):
            streams.append(stub.ServerReflectionInfo(requests()))
            if number < REFLECTED:  # further ones wait
                assert next(streams[number]).list_services_response.service
        assert sidecar.call("Explain", pb.ExplainRequest(check=QUESTION))[0] == "OK"
        began = time.monotonic()
        assert sidecar.stop() == 0
        assert time.monotonic() - began < 5
        idle.set()


def test_calls_that_outlast_the_budget_are_cut_off(place: Place) -> None:
    with place.serve(drain_seconds=0.2) as sidecar:
        call = waiting(sidecar, revision=99)
        began = time.monotonic()
        assert sidecar.stop() == 0
        assert time.monotonic() - began < 1.5
        assert call.code().name in ("UNAVAILABLE", "CANCELLED")


class Caller(threading.Thread):
    """Asks, each call once, until refused; counts what its calls came to."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.ended: Counter[str] = Counter()
        self._target = target
        self.start()

    def run(self) -> None:
        with grpc.insecure_channel(self._target, options=OPTIONS) as channel:
            method = channel.unary_unary(f"/{SERVICE}/Check", response_deserializer=pb.CheckResponse.FromString)
            while not self.ended.keys() - {"allowed"}:
                self.ended[self._one(method)] += 1

    def _one(self, method: Any) -> str:
        try:
            answer = method(QUESTION.SerializeToString(), timeout=10)
        except grpc.RpcError as e:
            return str(e.code().name)
        return "allowed" if answer.effect == pb.EFFECT_ALLOW else str(answer.reason)


def test_under_load_every_call_is_answered_or_refused_and_none_is_lost(place: Place) -> None:
    with place.serve() as sidecar:
        callers = [Caller(target) for target in (sidecar.target, f"unix:{place.socket}") * 2]
        sidecar.wait(lambda: all(c.ended["allowed"] > 50 for c in callers))
        assert sidecar.stop() == 0
        for caller in callers:
            caller.join(20)
            assert not caller.is_alive()
        ended = sum((c.ended for c in callers), Counter())
        assert ended.keys() <= {"allowed", "UNAVAILABLE", "CANCELLED"}
        assert ended.total() - ended["allowed"] == len(callers)
