"""The clients, against a real server with a fake servicer: what they send and read, retries, and no sidecar at all."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar._gen.desking.entitlements.v1 import entitlement_pb2
from sidecar.client import (
    Answer,
    AsyncDeskgate,
    ClientError,
    Deskgate,
    IdempotencyConflict,
    InvalidQuestion,
    ItemError,
    NotAllowed,
    OnUnavailable,
    Question,
    SidecarFailed,
    SidecarUnavailable,
    UnknownTenant,
    UsageRefused,
)
from sidecar.client.calls import FIRST_PAUSE, LONGEST_PAUSE, MAX_BYTES, Attempts

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
ALLOW = pb.CheckResponse(effect=pb.EFFECT_ALLOW)
SERVICE = "/desking.entitlements.v1.AuthorizationService/"
REQUESTS: dict[str, Any] = {
    SERVICE + "Check": pb.CheckRequest,
    SERVICE + "CheckBatch": pb.CheckBatchRequest,
    SERVICE + "Explain": pb.ExplainRequest,
    SERVICE + "AdjustUsage": pb.AdjustUsageRequest,
}

Step = Any
"""A message to answer with, a grpc.StatusCode to fail with, or a function of the context that gives one of them."""


class Sidecar(grpc.GenericRpcHandler):
    """Answers call after call by a script, the last step again and again, and keeps what it was sent."""

    def __init__(self) -> None:
        self.script: list[Step] = [ALLOW]
        self.seen: list[Any] = []
        self.target = ""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        request = REQUESTS[handler_call_details.method]
        return grpc.unary_unary_rpc_method_handler(
            self.answer, request_deserializer=request.FromString, response_serializer=lambda m: m.SerializeToString()
        )

    def answer(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.seen.append(request)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if callable(step):
            step = step(context)
        if isinstance(step, grpc.StatusCode):
            context.abort(step, "said the fake")
        return step


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    fake = Sidecar()
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((fake,))
    fake.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield fake
    server.stop(0).wait()


Ask = Callable[..., Any]
"""Calls a method of either client by name: ask(target, method, *arguments, **keywords)."""


def _blocking(target: str, method: str, *args: Any, mode: OnUnavailable = "raise", **kwargs: Any) -> Any:
    with Deskgate(target, timeout=kwargs.pop("within", 5.0), on_unavailable=mode) as gate:
        return getattr(gate, method)(*args, **kwargs)


def _aio(target: str, method: str, *args: Any, mode: OnUnavailable = "raise", **kwargs: Any) -> Any:
    async def call() -> Any:
        async with AsyncDeskgate(target, timeout=kwargs.pop("within", 5.0), on_unavailable=mode) as gate:
            return await getattr(gate, method)(*args, **kwargs)

    return asyncio.run(call())


@pytest.fixture(params=[_blocking, _aio], ids=["blocking", "aio"])
def ask(request: pytest.FixtureRequest) -> Ask:
    return request.param  # type: ignore[no-any-return]


def stamp(instant: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(instant)
    return message


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"


def test_everything_asked_is_sent(sidecar: Sidecar, ask: Ask) -> None:
    ask(
        sidecar.target,
        "check",
        "acme",
        "space.create",
        "fixed_desk",
        resource_id="d1",
        licensed=False,
        resource_attributes={"entry": "manual"},
        quantity=3,
        user="u1",
        window=(NOON, NOON + timedelta(hours=1)),
        locale="zh-CN",
        min_revision=9,
        attributes={"site": "北京"},
        request_id="r1",
    )
    assert sidecar.seen == [
        pb.CheckRequest(
            tenant_id="acme",
            action="space.create",
            resource=pb.Resource(kind="fixed_desk", id="d1", licensed=False, attributes={"entry": "manual"}),
            quantity=3,
            subject=pb.Subject(user_id="u1"),
            window=pb.Window(starts_at=stamp(NOON), ends_at=stamp(NOON + timedelta(hours=1))),
            locale="zh-CN",
            min_revision=9,
            request_id="r1",
            attributes={"site": "北京"},
        )
    ]


def test_what_is_not_said_is_not_sent(sidecar: Sidecar, ask: Ask) -> None:
    ask(sidecar.target, "check", "acme", "tenant.read")
    assert sidecar.seen == [pb.CheckRequest(tenant_id="acme", action="tenant.read")]


def test_every_field_of_an_answer_is_read(sidecar: Sidecar, ask: Ask) -> None:
    sidecar.script = [
        pb.CheckResponse(
            effect=pb.EFFECT_DENY,
            reason="OVER_QUOTA",
            reason_class=pb.REASON_CLASS_QUOTA,
            retry=pb.RETRY_AFTER_CHANGE,
            also=["DATA_TOO_OLD"],
            message="too many",
            warnings=[pb.Warning(code="IN_TRIAL", message="trial")],
            quota=pb.Quota(key="fixed_desk", limit=8, used=10, fits=0, excess=2, holder="acme"),
            phase=pb.PHASE_ACTIVE,
            standing=pb.STANDING_GOOD,
            status=pb.STATUS_OPEN,
            term_ends_at=stamp(NOON),
            next_change_at=stamp(NOON),
            remedies=[pb.Remedy(kind="release", quantity=2), pb.Remedy(kind="wait", until=stamp(NOON))],
            rule=pb.RuleRef(policy="desking", id="over-quota"),
            policy_revision="p",
            entitlement_revision=7,
            as_of=stamp(NOON),
            freshness=pb.FRESHNESS_STALE,
            decision_id="d-1",
        )
    ]
    answer = ask(sidecar.target, "check", "acme", "booking.create", "fixed_desk")
    assert (answer.effect, answer.allowed, answer.synthetic) == ("deny", False, False)
    assert (answer.reason, answer.reason_class, answer.retry) == ("OVER_QUOTA", "QUOTA", "AFTER_CHANGE")
    assert (answer.phase, answer.standing, answer.status, answer.freshness) == ("ACTIVE", "GOOD", "OPEN", "STALE")
    assert (answer.quota.limit, answer.quota.fits, answer.quota.excess, answer.quota.holder) == (8, 0, 2, "acme")
    assert (answer.term_ends_at, answer.grace_ends_at, answer.as_of) == (NOON, None, NOON)
    assert [(r.kind, r.quantity, r.until) for r in answer.remedies] == [("release", 2, None), ("wait", 0, NOON)]
    assert (answer.policy, answer.rule, answer.also) == ("desking", "over-quota", ("DATA_TOO_OLD",))
    assert [(w.code, w.message) for w in answer.warnings] == [("IN_TRIAL", "trial")]
    assert (answer.policy_revision, answer.entitlement_revision, answer.decision_id) == ("p", 7, "d-1")


def test_unlimited_has_no_number_and_an_unknown_value_is_shown_as_it_is(sidecar: Sidecar, ask: Ask) -> None:
    sidecar.script = [pb.CheckResponse(effect=pb.EFFECT_ALLOW, quota=pb.Quota(key="k", unlimited=True), phase=99)]  # type: ignore[arg-type]
    answer = ask(sidecar.target, "check", "acme", "booking.create", "k")
    assert (answer.quota.unlimited, answer.quota.limit, answer.quota.fits) == (True, None, None)
    assert answer.phase == "99"
    assert answer.standing == ""


def test_an_answer_is_not_taken_for_a_truth_value() -> None:
    with pytest.raises(TypeError, match="allowed"):
        bool(Answer(effect="deny"))


def test_a_batch_keeps_its_order_and_a_bad_item_fails_alone(sidecar: Sidecar, ask: Ask) -> None:
    bad = pb.CheckResult(error=pb.ItemError(code=3, message="action: empty"))
    sidecar.script = [pb.CheckBatchResponse(results=[pb.CheckResult(response=ALLOW), bad])]
    questions = [Question(tenant="a", action="tenant.read"), Question(tenant="a", action="")]
    first, second = ask(sidecar.target, "check_batch", questions, min_revision=4)
    assert first.allowed
    assert second == ItemError(code="INVALID_ARGUMENT", message="action: empty")
    assert sidecar.seen[0].min_revision == 4
    assert [item.action for item in sidecar.seen[0].items] == ["tenant.read", ""]


def test_an_explanation_is_read_whole(sidecar: Sidecar, ask: Ask) -> None:
    count, unlimited = entitlement_pb2.Limit(count=10), entitlement_pb2.Limit(unlimited=True)
    sidecar.script = [
        pb.ExplainResponse(
            answer=ALLOW,
            facts=[pb.Fact(name="phase", value="ACTIVE")],
            rules=[
                pb.RuleTrace(
                    rule=pb.RuleRef(policy="p", id="r"), effect=pb.EFFECT_DENY, reason="X", why="phase is ACTIVE"
                )
            ],
            timeline=[
                pb.TimelineSegment(ends_at=stamp(NOON), phase=pb.PHASE_TRIAL, amount=count, cuts=["early"]),
                pb.TimelineSegment(starts_at=stamp(NOON), phase=pb.PHASE_ACTIVE, users=unlimited, expiring_soon=True),
            ],
        )
    ]
    told = ask(sidecar.target, "explain", Question(tenant="a", action="tenant.read"), at=NOON)
    assert sidecar.seen[0].at == stamp(NOON)
    assert told.answer.allowed
    assert told.facts == (("phase", "ACTIVE"),)
    assert (told.rules[0].rule, told.rules[0].effect, told.rules[0].matched) == ("r", "deny", False)
    first, second = told.timeline
    assert (first.starts_at, first.ends_at, first.amount, first.users, first.cuts) == (None, NOON, 10, None, ("early",))
    assert (second.ends_at, second.amount, second.users, second.expiring_soon) == (None, None, "unlimited", True)


@pytest.mark.parametrize("change", [{"delta": -2}, {"absolute": 0}, {"seats": {"u1": True, "u2": False}}])
def test_usage_is_stated_in_one_of_three_ways(sidecar: Sidecar, ask: Ask, change: dict[str, Any]) -> None:
    sidecar.script = [pb.AdjustUsageResponse(units=5, seats=["u1"], revision=8)]
    now = ask(sidecar.target, "adjust_usage", "acme", "fixed_desk", idempotency_key="i", **change)
    assert (now.units, now.seats, now.revision) == (5, ("u1",), 8)
    (sent,) = sidecar.seen
    assert (sent.tenant_id, sent.key, sent.idempotency_key) == ("acme", "fixed_desk", "i")
    assert sent.WhichOneof("change") == next(iter(change))


@pytest.mark.parametrize("change", [{}, {"delta": 1, "absolute": 2}])
def test_no_change_and_two_changes_are_refused(ask: Ask, nobody: str, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidQuestion, match="exactly one"):
        ask(nobody, "adjust_usage", "acme", "k", idempotency_key="i", **change)


@pytest.mark.parametrize(
    "fields",
    [
        {"quantity": 2**63},
        {"locale": "\ud800"},
        {"window": (datetime(2026, 1, 1), NOON)},  # noqa: DTZ001 - naive is what is refused
        {"attributes": {"a": "x" * MAX_BYTES}},
    ],
    ids=["too large a number", "not text", "no zone", "too many bytes"],
)
def test_what_no_message_can_hold_is_refused_before_it_is_sent(ask: Ask, nobody: str, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidQuestion):
        ask(nobody, "check", "acme", "booking.create", "k", mode="allow", **fields)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidQuestion),
        (grpc.StatusCode.NOT_FOUND, UnknownTenant),
        (grpc.StatusCode.ALREADY_EXISTS, IdempotencyConflict),
        (grpc.StatusCode.FAILED_PRECONDITION, UsageRefused),
        (grpc.StatusCode.PERMISSION_DENIED, NotAllowed),
        (grpc.StatusCode.INTERNAL, SidecarFailed),
    ],
)
def test_what_is_no_outage_is_raised_at_once_whatever_was_declared(
    sidecar: Sidecar, ask: Ask, code: grpc.StatusCode, error: type[ClientError]
) -> None:
    sidecar.script = [code]
    with pytest.raises(error, match="said the fake") as caught:
        ask(sidecar.target, "check", "acme", "tenant.read", mode="allow")
    assert caught.value.code == code.name
    assert len(sidecar.seen) == 1


def test_unavailable_is_tried_again_within_the_deadline(sidecar: Sidecar, ask: Ask) -> None:
    sidecar.script = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE, ALLOW]
    assert ask(sidecar.target, "check", "acme", "tenant.read").allowed
    assert len(sidecar.seen) == 4


def test_shedding_is_tried_again_once(sidecar: Sidecar, ask: Ask) -> None:
    sidecar.script = [grpc.StatusCode.RESOURCE_EXHAUSTED, ALLOW]
    assert ask(sidecar.target, "check", "acme", "tenant.read").allowed
    sidecar.script = [grpc.StatusCode.RESOURCE_EXHAUSTED]
    sidecar.seen.clear()
    with pytest.raises(SidecarUnavailable, match="RESOURCE_EXHAUSTED"):
        ask(sidecar.target, "check", "acme", "tenant.read")
    assert len(sidecar.seen) == 2


def test_a_statement_of_usage_is_repeated_with_the_same_key(sidecar: Sidecar, ask: Ask) -> None:
    sidecar.script = [grpc.StatusCode.UNAVAILABLE, pb.AdjustUsageResponse(units=1)]
    ask(sidecar.target, "adjust_usage", "acme", "k", idempotency_key="i", delta=1)
    assert sidecar.seen[0] == sidecar.seen[1]


def test_a_slow_sidecar_is_unavailable_when_the_deadline_is_over(sidecar: Sidecar, ask: Ask) -> None:
    release = threading.Event()

    def slow(context: grpc.ServicerContext) -> Any:
        release.wait(30)
        return ALLOW

    sidecar.script = [slow]
    started = time.monotonic()
    with pytest.raises(SidecarUnavailable, match="DEADLINE_EXCEEDED"):
        ask(sidecar.target, "check", "acme", "tenant.read", timeout=0.2)
    release.set()
    assert time.monotonic() - started < 10
    assert len(sidecar.seen) == 1


def test_the_sidecar_is_told_the_deadline(sidecar: Sidecar, ask: Ask) -> None:
    remaining: list[float | None] = []

    def look(context: grpc.ServicerContext) -> Any:
        remaining.append(context.time_remaining())
        return ALLOW

    sidecar.script = [look]
    ask(sidecar.target, "check", "acme", "tenant.read", within=4.0)
    (left,) = remaining
    assert left is not None
    assert 0 < left <= 4.0 * 1.01  # the wire carries it rounded up


def test_without_a_sidecar_it_raises_as_declared(ask: Ask, nobody: str) -> None:
    with pytest.raises(SidecarUnavailable):
        ask(nobody, "check", "acme", "tenant.read", within=0.3)


@pytest.mark.parametrize("mode", ["deny", "allow"])
def test_without_a_sidecar_the_declared_answer_is_given_and_flagged(ask: Ask, nobody: str, mode: OnUnavailable) -> None:
    answer = ask(nobody, "check", "acme", "tenant.read", mode=mode, within=0.3)
    assert (answer.effect, answer.synthetic, answer.reason) == (mode, True, "SIDECAR_UNAVAILABLE")
    assert (answer.reason_class, answer.retry) == ("UNKNOWN", "TRANSIENT")
    questions = [Question(tenant="a", action="tenant.read")] * 2
    assert [a.effect for a in ask(nobody, "check_batch", questions, mode=mode, within=0.3)] == [mode, mode]


@pytest.mark.parametrize("mode", ["deny", "allow"])
def test_explanations_and_statements_are_never_made_up(ask: Ask, nobody: str, mode: OnUnavailable) -> None:
    with pytest.raises(SidecarUnavailable):
        ask(nobody, "explain", Question(tenant="a", action="tenant.read"), mode=mode, within=0.2)
    with pytest.raises(SidecarUnavailable):
        ask(nobody, "adjust_usage", "a", "k", idempotency_key="i", delta=1, mode=mode, within=0.2)


def test_a_sidecar_that_comes_up_late_is_found_within_the_deadline(ask: Ask, nobody: str) -> None:
    fake = Sidecar()
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((fake,))
    answers: list[Answer] = []
    thread = threading.Thread(
        target=lambda: answers.append(ask(nobody, "check", "acme", "tenant.read", mode="deny", within=20.0))
    )
    thread.start()
    try:
        thread.join(0.3)
        server.add_insecure_port(nobody)
        server.start()
        thread.join()
    finally:
        server.stop(0).wait()
    assert [(a.effect, a.synthetic) for a in answers] == [("allow", False)]


def test_a_unix_socket_will_do(ask: Ask, tmp_path: Path) -> None:
    fake = Sidecar()
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((fake,))
    server.add_insecure_port(f"unix:{tmp_path}/d.sock")
    server.start()
    try:
        assert ask(f"unix:{tmp_path}/d.sock", "check", "acme", "tenant.read").allowed
    finally:
        server.stop(0).wait()


@pytest.mark.parametrize("client", [Deskgate, AsyncDeskgate])
def test_bad_declarations_are_refused_when_the_client_is_made(client: Any) -> None:
    with pytest.raises(ValueError, match="on_unavailable"):
        client(on_unavailable="shrug")
    for timeout in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="timeout"):
            client(timeout=timeout)


def test_pauses_are_drawn_from_a_bound_that_doubles_up_to_the_longest() -> None:
    attempts = Attempts(draw=lambda: 1.0)
    pauses = [attempts.pause("UNAVAILABLE", 100.0) for _ in range(8)]
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    assert Attempts(draw=lambda: 0.0).pause("UNAVAILABLE", 100.0) == 0


def test_no_pause_is_longer_than_what_is_left() -> None:
    assert Attempts(draw=lambda: 1.0).pause("UNAVAILABLE", FIRST_PAUSE) is None
    assert Attempts().pause("DEADLINE_EXCEEDED", 1.0) is None


def test_importing_the_client_brings_nothing_of_the_sidecar_inside() -> None:
    code = (
        "import sys, sidecar.client; print([m for m in sys.modules if m.startswith(('sidecar.', 'sync', 'pydantic'))])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for room in ("core", "state", "serving", "policy", "observe", "settings", "sync", "pydantic"):
        assert f"'sidecar.{room}" not in loaded
        assert f"'{room}" not in loaded
