"""`deskgate check`, `explain` and `health`: what is asked, what is printed, and the exit status."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
import trustme
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar._gen.desking.entitlements.v1 import entitlement_pb2
from sidecar.cli import main

NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)
SERVICE = "/desking.entitlements.v1.AuthorizationService/"


def stamp(instant: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(instant)
    return message


DENIAL = pb.CheckResponse(
    effect=pb.EFFECT_DENY,
    reason="OVER_QUOTA",
    message="已有 10 个 [bold]",
    also=["DATA_TOO_OLD"],
    quota=pb.Quota(key="fixed_desk", limit=8, used=10, fits=0, excess=2, holder="umbrella"),
    phase=pb.PHASE_ACTIVE,
    term_ends_at=stamp(NOON),
    remedies=[
        pb.Remedy(kind="release", quantity=2),
        pb.Remedy(kind="top_up", amount_micros=1_500_000),
        pb.Remedy(kind="wait", until=stamp(NOON)),
    ],
    rule=pb.RuleRef(policy="desking", id="over-quota"),
    policy_revision="p1",
    entitlement_revision=7,
    as_of=stamp(NOON),
    freshness=pb.FRESHNESS_LIVE,
    decision_id="d-1",
)
ALLOWED = pb.CheckResponse(
    effect=pb.EFFECT_ALLOW,
    warnings=[pb.Warning(code="NEAR_QUOTA", message="almost full")],
    quota=pb.Quota(key="room", unlimited=True, used=3, holder="acme"),
)


class Sidecar(grpc.GenericRpcHandler):
    """Gives one answer to every question, and keeps the questions."""

    def __init__(self) -> None:
        self.answer: pb.CheckResponse | grpc.StatusCode = ALLOWED
        self.seen: list[Any] = []
        self.target = ""
        self.health = health.HealthServicer()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = {SERVICE + "Check": self.check, SERVICE + "Explain": self.explain}.get(handler_call_details.method)
        return method and grpc.unary_unary_rpc_method_handler(method)

    def check(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.seen.append(pb.CheckRequest.FromString(request))
        if isinstance(self.answer, grpc.StatusCode):
            context.abort(self.answer, "action: empty")
        return self.answer.SerializeToString()

    def explain(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.seen.append(pb.ExplainRequest.FromString(request))
        assert isinstance(self.answer, pb.CheckResponse)
        rules = [
            pb.RuleTrace(
                rule=pb.RuleRef(policy="desking", id="over-quota"),
                matched=True,
                effect=pb.EFFECT_DENY,
                reason="OVER_QUOTA",
            ),
            pb.RuleTrace(rule=pb.RuleRef(policy="desking", id="blind"), effect=pb.EFFECT_DENY, why="freshness is LIVE"),
            pb.RuleTrace(rule=pb.RuleRef(policy="desking", id="trial"), why="phase is ACTIVE, not TRIAL"),
        ]
        timeline = [
            pb.TimelineSegment(ends_at=stamp(NOON), phase=pb.PHASE_ACTIVE, amount=entitlement_pb2.Limit(count=8)),
            pb.TimelineSegment(starts_at=stamp(NOON), phase=pb.PHASE_GRACE, expiring_soon=True, cuts=["early_grace"]),
        ]
        facts = [pb.Fact(name="usage", value="over")]
        return pb.ExplainResponse(answer=self.answer, facts=facts, rules=rules, timeline=timeline).SerializeToString()


@pytest.fixture
def sidecar() -> Iterator[Sidecar]:
    fake = Sidecar()
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((fake,))
    health_pb2_grpc.add_HealthServicer_to_server(fake.health, server)
    fake.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield fake
    server.stop(0).wait()


class Ended(NamedTuple):
    """How a run of the command line ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("COLUMNS", "200")

    def call(*args: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["deskgate", *args])
        with pytest.raises(SystemExit) as left:
            main()
        code = left.value.code
        assert isinstance(code, int)
        return Ended(code, *capsys.readouterr())

    return call


def test_an_allowed_answer_exits_0_and_says_what_to_know(run: Run, sidecar: Sidecar) -> None:
    ended = run("check", "acme", "booking.create", "room", "--target", sidecar.target)
    assert ended.status == 0
    assert ended.out.startswith("ALLOW  booking.create room for acme")
    assert "NEAR_QUOTA: almost full" in ended.out
    assert "room: 3 used, no limit" in ended.out


def test_a_denial_exits_1_and_says_why_and_what_would_lift_it(run: Run, sidecar: Sidecar) -> None:
    sidecar.answer = DENIAL
    ended = run("check", "acme", "booking.create", "fixed_desk", "--target", sidecar.target)
    assert ended.status == 1
    for text in (
        "DENY  booking.create fixed_desk for acme  OVER_QUOTA",
        "已有 10 个 [bold]",
        "DATA_TOO_OLD",
        "fixed_desk: 10 of 8 used, 0 fit, 2 too many (pool of umbrella)",
        "release 2; top up at least 1.50; wait until 2027-01-01T12:00:00Z",
        "desking/over-quota",
        "revision 7, policies p1, LIVE, as of 2027-01-01T12:00:00Z",
        "d-1",
    ):
        assert text in ended.out


def test_every_option_reaches_the_sidecar(run: Run, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESKGATE_TARGET", sidecar.target)
    ended = run(
        *("check", "acme", "space.create", "fixed_desk", "--quantity", "3", "--user", "u1", "--unlicensed"),
        *("--window", "2027-01-01..2027-01-01T20:00+08:00", "--locale", "zh-CN", "--min-revision", "5"),
        *("--attr", "site=a=b", "--attr", "x=", "--resource-attr", "entry=bulk_import"),
    )
    assert ended.status == 0
    assert sidecar.seen == [
        pb.CheckRequest(
            tenant_id="acme",
            action="space.create",
            resource=pb.Resource(kind="fixed_desk", licensed=False, attributes={"entry": "bulk_import"}),
            quantity=3,
            subject=pb.Subject(user_id="u1"),
            window=pb.Window(starts_at=stamp(NOON - timedelta(hours=12)), ends_at=stamp(NOON)),
            locale="zh-CN",
            min_revision=5,
            attributes={"site": "a=b", "x": ""},
        )
    ]


def test_json_is_the_whole_answer(run: Run, sidecar: Sidecar) -> None:
    sidecar.answer = DENIAL
    ended = run("check", "acme", "booking.create", "fixed_desk", "--json", "--target", sidecar.target)
    told = json.loads(ended.out)
    assert ended.status == 1
    assert (told["effect"], told["reason"], told["quota"]["excess"]) == ("deny", "OVER_QUOTA", 2)
    assert (told["message"], told["term_ends_at"]) == ("已有 10 个 [bold]", "2027-01-01T12:00:00Z")
    assert told["remedies"][2]["until"] == "2027-01-01T12:00:00Z"


def test_an_explanation_shows_facts_rules_and_timeline(run: Run, sidecar: Sidecar) -> None:
    sidecar.answer = DENIAL
    ended = run("explain", "acme", "booking.create", "fixed_desk", "--at", "2027-01-01", "--target", sidecar.target)
    assert ended.status == 1
    assert sidecar.seen[0].at == stamp(NOON - timedelta(hours=12))
    for text in ("Facts", "usage", "over", "Rules", "desking/blind", "freshness is LIVE", "warn", "Timeline", "GRACE"):
        assert text in ended.out
    assert "early_grace, expiring soon" in ended.out
    assert "ever                  2027-01-01 12:00:00Z" in ended.out


def test_an_explanation_as_json(run: Run, sidecar: Sidecar) -> None:
    ended = run("explain", "acme", "booking.create", "room", "--json", "--target", sidecar.target)
    told = json.loads(ended.out)
    assert ended.status == 0
    assert not sidecar.seen[0].HasField("at")
    assert told["rules"][1]["why"] == "freshness is LIVE"
    assert told["timeline"][0]["ends_at"] == "2027-01-01T12:00:00Z"


def test_a_question_that_the_sidecar_cannot_judge_exits_2(run: Run, sidecar: Sidecar) -> None:
    sidecar.answer = grpc.StatusCode.INVALID_ARGUMENT
    ended = run("check", "acme", "", "--target", sidecar.target)
    assert (ended.status, ended.out) == (2, "")
    assert "action: empty" in ended.err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--window", "2027-01-01"), "A..B is needed"),
        (("--window", "2027-01-01..soon"), "neither an instant nor a date"),
        (("--window", "0001-01-01T00:00+14:00..2027-01-01"), "out of range"),
        (("--attr", "x"), "K=V is needed"),
        (("--resource-attr", "=x"), "K=V is needed"),
        (("--quantity", "many"), "--quantity"),
        (("--timeout", "0"), "--timeout"),
        (("--quantiti", "1"), "--quantiti"),
    ],
)
def test_bad_usage_exits_2_before_anything_is_asked(run: Run, options: tuple[str, ...], why: str) -> None:
    ended = run("check", "acme", "booking.create", "room", *options)
    assert ended.status == 2
    assert why in ended.err


@pytest.fixture
def nobody() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{found.getsockname()[1]}"


@pytest.mark.parametrize("command", ["check", "explain"])
def test_without_a_sidecar_it_exits_3(run: Run, nobody: str, command: str) -> None:
    ended = run(command, "acme", "booking.create", "room", "--target", nobody, "--timeout", "0.2")
    assert (ended.status, ended.out) == (3, "")
    assert nobody in ended.err


def test_health_exits_0_only_when_serving(run: Run, sidecar: Sidecar, nobody: str) -> None:
    sidecar.health.set("", health_pb2.HealthCheckResponse.SERVING)
    assert run("health", "--target", sidecar.target)[:2] == (0, "SERVING\n")
    sidecar.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    ended = run("health", "--target", sidecar.target)
    assert (ended.status, ended.err) == (1, "NOT_SERVING\n")
    assert "NOT_FOUND" in run("health", "--target", sidecar.target, "--service", "x").err
    assert run("health", "--target", nobody, "--timeout", "0.2").status == 1


def test_health_is_asked_over_tls_by_the_name_on_the_certificate(run: Run, tmp_path: Path) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("feed.example")
    pair = made.private_key_pem.bytes(), b"".join(pem.bytes() for pem in made.cert_chain_pems)
    ca, other = tmp_path / "ca.pem", tmp_path / "other.pem"
    authority.cert_pem.write_to_path(str(ca))
    trustme.CA().cert_pem.write_to_path(str(other))
    server = grpc.server(ThreadPoolExecutor(1))
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        asked = ("health", "--target", f"127.0.0.1:{port}", "--timeout", "5")
        assert run(*asked, "--tls-ca", str(ca), "--tls-name", "feed.example")[:2] == (0, "SERVING\n")
        for wrong in ((str(ca), ""), (str(other), "feed.example")):
            assert run(*asked, "--tls-ca", wrong[0], "--tls-name", wrong[1]).status == 1
        missing = run(*asked, "--tls-ca", str(tmp_path / "none.pem"))
        assert missing.status == 2
        assert "No such file" in missing.err
    finally:
        server.stop(None)
