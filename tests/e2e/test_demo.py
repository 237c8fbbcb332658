"""The main job on the demo: a store made by the command line, a sidecar beside it, each tenant's story in answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from sidecar.client import Question
from sidecar.core.actions import ACTIONS
from sidecar.serving.service import SERVICE
from sync.store.demo import EXAMPLES
from tests.serving import Place, RunningSidecar, deskgate, told_by

ADVICE = "如需购买、续费、增加授权数量，请点击“联系我们”。"
KINDS = ("fixed_desk", "shared_desk", "meeting_room", "layout_designer", "timesheet", "helipad")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSidecar]:
    place = Place(tmp_path_factory.mktemp("demo"))
    place.store_path.unlink()
    assert told_by("demo", "seed", "--store", place.store_path)["tenants"].keys() == EXAMPLES.keys()
    with place.serve() as sidecar:
        yield sidecar


STORIES: tuple[tuple[str, str, str, dict[str, Any], str, list[str]], ...] = (
    ("acme", "booking.create", "shared_desk", {}, "", []),
    ("acme", "space.create", "fixed_desk", {}, "", []),
    ("acme", "space.create", "fixed_desk", {"quantity": 10}, "QUOTA_REACHED", []),
    ("acme", "feature.use", "timesheet", {}, "NOT_LICENSED", []),
    ("acme", "booking.create", "helipad", {}, "NOT_LICENSED", []),
    ("acme", "booking.create", "fixed_desk", {"licensed": False}, "SPACE_UNLICENSED", []),
    ("acme", "desk.dance", "fixed_desk", {}, "NO_RULE", []),
    ("acme-labs", "space.create", "fixed_desk", {"quantity": 4}, "", []),
    ("acme-labs", "space.create", "fixed_desk", {"quantity": 10}, "QUOTA_REACHED", []),
    ("globex", "booking.create", "shared_desk", {}, "", ["EXPIRING_SOON", "IN_TRIAL"]),
    ("initech", "space.create", "fixed_desk", {}, "", ["NEAR_QUOTA"]),
    ("initech", "space.create", "meeting_room", {}, "QUOTA_REACHED", []),
    ("initech", "booking.create", "meeting_room", {}, "", []),
    ("umbrella", "booking.create", "fixed_desk", {}, "OVER_QUOTA", []),
    ("umbrella", "booking.cancel", "fixed_desk", {}, "", []),
    ("umbrella", "booking.create", "meeting_room", {}, "", []),
    ("hooli", "booking.create", "shared_desk", {}, "SUBSCRIPTION_EXPIRED", []),
    ("hooli", "booking.check_in", "shared_desk", {}, "", []),
    ("hooli", "booking.cancel", "shared_desk", {}, "", []),
    ("soylent", "booking.cancel", "shared_desk", {}, "GRACE_ENDED", []),
    ("soylent", "tenant.export", "", {}, "", []),
    ("wonka", "booking.create", "fixed_desk", {}, "TENANT_SUSPENDED", []),
    ("wonka", "booking.cancel", "fixed_desk", {}, "", []),
    ("stark", "booking.create", "shared_desk", {}, "ACCOUNT_BLOCKED", []),
    ("stark", "booking.check_in", "shared_desk", {}, "", []),
    ("wayne", "booking.create", "shared_desk", {}, "", ["PAYMENT_PAST_DUE"]),
    ("vandelay", "booking.create", "shared_desk", {}, "", []),
    ("drafthouse", "feature.use", "layout_designer", {"user": "ada"}, "", []),
    ("drafthouse", "feature.use", "layout_designer", {"user": "linus"}, "OVER_QUOTA", []),
    ("drafthouse", "feature.use", "layout_designer", {"user": "nobody"}, "SEAT_NOT_HELD", []),
    ("drafthouse", "license.assign", "layout_designer", {"user": "nobody"}, "QUOTA_REACHED", []),
    ("tempo", "feature.use", "timesheet", {}, "", []),
    ("oscorp", "booking.create", "fixed_desk", {}, "NOT_STARTED", []),
    ("tyrell", "tenant.read", "", {}, "TENANT_ARCHIVED", []),
    ("huaxia", "booking.create", "fixed_desk", {}, "", ["EXPIRING_SOON"]),
    ("huaxia", "space.create", "fixed_desk", {}, "QUOTA_REACHED", []),
    ("nobody", "booking.create", "fixed_desk", {}, "UNKNOWN_TENANT", []),
)


def test_every_demo_tenant_has_a_story() -> None:
    assert {story[0] for story in STORIES} == EXAMPLES.keys() | {"nobody"}


@pytest.mark.parametrize(("tenant", "action", "kind", "more", "reason", "warnings"), STORIES)
def test_a_story(
    demo: RunningSidecar, tenant: str, action: str, kind: str, more: dict[str, Any], reason: str, warnings: list[str]
) -> None:
    answer = demo.check(tenant, action, kind, **more)
    assert (answer.allowed, answer.reason) == (not reason, reason)
    assert [w.code for w in answer.warnings] == warnings
    assert bool(answer.message) == bool(reason)
    assert answer.freshness == "LIVE"


def test_figures_and_remedies_are_in_the_answer(demo: RunningSidecar) -> None:
    labs = demo.check("acme-labs", "space.create", "fixed_desk")
    assert labs.quota is not None
    assert (labs.quota.holder, labs.quota.limit, labs.quota.used, labs.quota.fits) == ("acme", 40, 31, 9)
    over = demo.check("umbrella", "booking.create", "fixed_desk")
    assert [(r.kind, r.quantity) for r in over.remedies] == [("release", 2), ("upgrade", 0), ("contact", 0)]


def test_messages_are_in_the_tenants_language(demo: RunningSidecar) -> None:
    assert demo.check("huaxia", "space.create", "fixed_desk").message.endswith(ADVICE)
    assert "contact us" in demo.check("huaxia", "space.create", "fixed_desk", locale="en").message.lower()


def test_the_command_line_asks_and_says_the_answer(demo: RunningSidecar) -> None:
    allowed = deskgate("check", "acme", "booking.create", "shared_desk", "--target", demo.target)
    assert (allowed.returncode, allowed.stderr) == (0, "")
    denied = deskgate("check", "hooli", "booking.create", "shared_desk", "--target", demo.target, "--json")
    assert (denied.returncode, json.loads(denied.stdout)["reason"]) == (1, "SUBSCRIPTION_EXPIRED")
    later = deskgate(
        "explain", "acme", "booking.create", "shared_desk", "--at", "2099-01-01", "--target", demo.target, "--json"
    )
    assert json.loads(later.stdout)["answer"]["reason"] == "GRACE_ENDED"


def test_probes_and_health_say_that_it_serves(demo: RunningSidecar) -> None:
    assert demo.page("/livez") == (200, "live\n")
    assert demo.page("/readyz") == (200, "ready\n")
    assert demo.health() == "SERVING"
    assert deskgate("health", "--target", demo.target).returncode == 0


def test_status_for_people_and_programs(demo: RunningSidecar) -> None:
    status = demo.status()
    assert status["serving"]["ready"] is True
    assert status["store"]["revision"] == 1
    assert (status["store"]["freshness"], status["store"]["last_error"]) == ("LIVE", "")
    assert (status["policies"]["names"], status["policies"]["last_reload_ok"]) == (["desking"], True)
    assert status["tenants"]["held"] == len(EXAMPLES)
    assert json.loads(demo.page("/statusz", Accept="application/json")[1]).keys() == status.keys()
    code, text = demo.page("/statusz")
    assert (code, text.startswith("<!doctype html>")) == (200, True)
    assert status["policies"]["revision"] in text


def test_reflection_knows_the_service(demo: RunningSidecar) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(demo.channel)
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    (answer,) = stub.ServerReflectionInfo(asked, timeout=10)
    assert {SERVICE, "grpc.health.v1.Health"} <= {s.name for s in answer.list_services_response.service}


def test_unknown_actions_count_as_other(demo: RunningSidecar) -> None:
    series = 'decisions_total{action="other",effect="deny",reason="NO_RULE"}'
    before = demo.metric(series)
    for name in ("a.b", "c.d", "e.f"):
        demo.check("acme", name, "fixed_desk")
    assert demo.metric(series) == before + 3
    assert not [name for name in demo.metrics() if "a.b" in name]


def test_at_most_200_series_once_everything_was_asked_and_none_by_tenant(demo: RunningSidecar) -> None:
    asked = [
        Question(tenant=tenant, action=action, kind=kind, user=user, quantity=quantity, licensed=licensed)
        for tenant, action, kind, (user, quantity, licensed) in product(
            (*EXAMPLES, "nobody"),
            (*ACTIONS, "desk.dance"),
            KINDS,
            (("ada", 1, True), ("linus", 1, True), ("nobody", 1, False), ("nobody", 50, True)),
        )
    ]
    for start in range(0, len(asked), 1000):
        demo.client.check_batch(asked[start : start + 1000])
    series = demo.metrics()
    assert len(series) <= 200
    assert not [name for name in series if any(tenant in name for tenant in (*EXAMPLES, "nobody"))]
