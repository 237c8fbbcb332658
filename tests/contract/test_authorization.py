"""What every front owes a Desking service: right answers, and clear errors that name the field."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.core.model import FOREVER, Freshness, Grant, Record, Seat, Usage
from sidecar.serving.adjust import Adjusted, Adjustment
from sidecar.serving.answers import CannotAnswer, Code
from tests import bridge
from tests.contract.conftest import NOW, Caller, Stage
from tests.worked import MICROS, Case, cases, instant

ACME = Record(
    tenant_id="acme",
    revision=1,
    zone="UTC",
    grants=(
        Grant(key="fixed_desk", starts_at=instant("2026-01-01"), ends_at=instant("2027-01-01"), amount=10),
        Grant(key="layout_designer", starts_at=instant("2026-01-01"), ends_at=FOREVER, users=2),
    ),
    usage={"fixed_desk": Usage(units=9), "layout_designer": Usage(seats=(Seat("", "u1"),))},
)


def request(**fields: Any) -> pb.CheckRequest:
    given = {"tenant_id": "acme", "action": "booking.create", "resource": pb.Resource(kind="fixed_desk")}
    return pb.CheckRequest(**(given | fields))


def checked(call: Caller, message: pb.CheckRequest, **options: Any) -> pb.CheckResponse:
    code, payload, detail = call("Check", message.SerializeToString(), **options)
    assert code is Code.OK, detail
    return pb.CheckResponse.FromString(payload)


def window(starts_at: str, ends_at: str) -> pb.Window:
    message = pb.Window()
    message.starts_at.seconds = instant(starts_at) // MICROS
    message.ends_at.seconds = instant(ends_at) // MICROS
    return message


def nanos(starts: int, ends: int) -> pb.Window:
    message = window("2026-06-01", "2026-06-02")
    message.starts_at.nanos, message.ends_at.nanos = starts, ends
    return message


def wire(case: Case) -> pb.CheckRequest:
    ask = case.ask
    message = pb.CheckRequest(tenant_id="acme", action=ask["action"], attributes=ask["attributes"])
    if ask["kind"]:
        message.resource.kind = ask["kind"]
    if ask["licensed"] is not None:
        message.resource.licensed = ask["licensed"]
    if ask["quantity"] != 1:
        message.quantity = ask["quantity"]
    if ask["user_id"]:
        message.subject.user_id = ask["user_id"]
    for end, at in zip((message.window.starts_at, message.window.ends_at), ask["window"] or (), strict=False):
        end.seconds, end.nanos = at // MICROS, at % MICROS * 1000
    return message


@pytest.mark.parametrize("case", list(cases()), ids=lambda c: c.name)
def test_worked_cases(case: Case, stage: Stage, call: Caller) -> None:
    stage.now, stage.freshness = case.at, Freshness(case.freshness)
    stage.put(*(bridge.record(r) for r in (case.record, case.record["holder"]) if r is not None))
    answer = checked(call, wire(case))
    expect, quota = case.expect, answer.quota
    got: dict[str, Any] = {
        "effect": pb.Effect.Name(answer.effect).removeprefix("EFFECT_"),
        "reason": answer.reason or None,
        "also": list(answer.also),
        "warnings": [w.code for w in answer.warnings],
        "phase": pb.Phase.Name(answer.phase).removeprefix("PHASE_"),
        "standing": pb.Standing.Name(answer.standing).removeprefix("STANDING_"),
        "status": pb.Status.Name(answer.status).removeprefix("STATUS_"),
        "limit": quota.limit,
        "used": quota.used,
        "fits": quota.fits,
        "excess": quota.excess,
        "holder": quota.holder,
        "remedies": [[r.kind, *filter(None, [r.quantity, r.amount_micros // MICROS])] for r in answer.remedies],
    }
    for end in ("term_ends_at", "grace_ends_at"):
        stamp = getattr(answer, end)
        got[end] = stamp.seconds * MICROS + stamp.nanos // 1000
    wanted = {k: instant(v) if k.endswith("_at") else v for k, v in expect.items()}
    assert {k: got[k] for k in wanted} == wanted
    assert bool(answer.message) == (answer.effect == pb.EFFECT_DENY)


def test_what_an_answer_rests_on(stage: Stage, call: Caller) -> None:
    stage.put(ACME, revision=7)
    answer = checked(call, request())
    assert answer.entitlement_revision == 7
    assert answer.policy_revision == stage.worlds.book.policy_set.revision
    assert answer.as_of.ToMicroseconds() == NOW
    assert answer.freshness == pb.FRESHNESS_LIVE
    assert answer.rule.policy == "desking"
    assert answer.decision_id.startswith("test-")
    assert answer.next_change_at.ToMicroseconds() == instant("2026-12-02")
    assert checked(call, request()).decision_id != answer.decision_id


def test_the_message_is_in_the_asked_language(stage: Stage, call: Caller) -> None:
    stage.put(Record(tenant_id="acme", revision=1, zone="UTC", language="zh-CN"))
    assert "联系我们" in checked(call, request()).message
    assert "contact us" in checked(call, request(locale="en-GB")).message
    assert "联系我们" in checked(call, request(locale="fr")).message
    assert "联系我们" in checked(call, request(locale="zh")).message


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"tenant_id": ""}, "tenant_id"),
        ({"tenant_id": "x" * 257}, "tenant_id"),
        ({"tenant_id": "界" * 86}, "tenant_id"),
        ({"action": ""}, "action"),
        ({"action": "a" * 257}, "action"),
        ({"resource": pb.Resource()}, "resource.kind"),
        ({"resource": pb.Resource(kind="k" * 257)}, "resource.kind"),
        ({"resource": pb.Resource(kind="fixed_desk", id="i" * 257)}, "resource.id"),
        ({"subject": pb.Subject(user_id="u" * 257)}, "subject.user_id"),
        ({"request_id": "r" * 257}, "request_id"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": 2**31 + 1}, "quantity"),
        ({"action": "license.assign"}, "subject.user_id"),
        ({"action": "license.assign", "subject": pb.Subject(user_id="u"), "quantity": 2}, "quantity"),
        ({"window": window("2026-06-02", "2026-06-01")}, "window.ends_at"),
        ({"window": window("2026-06-01", "2026-06-01")}, "window.ends_at"),
        ({"window": window("2026-06-01", "2126-06-01")}, "window.ends_at"),
        ({"window": pb.Window(starts_at=window("2026-06-01", "2026-06-02").starts_at)}, "window.ends_at"),
        ({"window": pb.Window(ends_at=window("2026-06-01", "2026-06-02").ends_at)}, "window.starts_at"),
        ({"window": pb.Window()}, "window.starts_at"),
        ({"window": nanos(2_000_000_000, 0)}, "window.starts_at"),
        ({"window": nanos(0, -7)}, "window.ends_at"),
        ({"locale": "not a locale"}, "locale"),
        ({"locale": "zh_CN!"}, "locale"),
        ({"min_revision": -1}, "min_revision"),
        ({"attributes": {str(i): "" for i in range(65)}}, "attributes"),
        ({"resource": pb.Resource(kind="k", attributes={str(i): "" for i in range(65)})}, "resource.attributes"),
    ],
    ids=str,
)
def test_a_wrong_field_is_named(fields: dict[str, Any], field: str, stage: Stage, call: Caller) -> None:
    stage.put(ACME)
    code, _, detail = call("Check", request(**fields).SerializeToString())
    assert code is Code.INVALID_ARGUMENT
    assert detail.startswith(f"{field}: ")


def test_the_longest_names_are_taken(stage: Stage, call: Caller) -> None:
    stage.put(ACME)
    longest = request(tenant_id="x" * 256, quantity=2**31, request_id="r" * 256, attributes={"a" * 300: "b" * 300})
    assert checked(call, longest).reason == "UNKNOWN_TENANT"


@pytest.mark.parametrize(
    "data", [b"\xff\xff\xff", request(tenant_id="abc").SerializeToString().replace(b"abc", b"a\xffc")]
)
def test_bytes_that_are_no_request(data: bytes, stage: Stage, call: Caller) -> None:
    stage.put(ACME)
    code, _, detail = call("Check", data)
    assert code is Code.INVALID_ARGUMENT
    assert detail.startswith("request: ")


def test_a_message_over_the_limit(stage: Stage, call: Caller) -> None:
    stage.put(ACME)
    code, _, detail = call("Check", request(attributes={"a": "x" * 66_000}).SerializeToString())
    assert code is Code.INVALID_ARGUMENT
    assert "65536" in detail


def test_unknown_tenant_action_and_resource(stage: Stage, call: Caller) -> None:
    stage.put(ACME)
    assert checked(call, request(tenant_id="nobody")).reason == "UNKNOWN_TENANT"
    unknown = checked(call, request(action="desk.dance"))
    assert (unknown.reason, unknown.retry, unknown.HasField("quota")) == ("NO_RULE", pb.RETRY_NEVER, False)
    assert checked(call, request(resource=pb.Resource(kind="helipad"))).reason == "NOT_LICENSED"


def test_a_record_that_breaks_its_invariants_decides_nothing(stage: Stage, call: Caller) -> None:
    stage.worlds.publish(store_id="s", revision=1, snapshot=True, changes=[("acme", b"\xff")])
    assert checked(call, request()).reason == "UNKNOWN_TENANT"
    assert checked(call, request()).reason == "UNKNOWN_TENANT"
    assert stage.invalid == ["acme"]
    stage.put(ACME, revision=2)
    assert checked(call, request()).effect == pb.EFFECT_ALLOW


def test_a_holder_that_is_missing_or_shares_itself(stage: Stage, call: Caller) -> None:
    stage.put(
        Record(tenant_id="acme", revision=1, zone="UTC", holder_id="middle"),
        Record(tenant_id="middle", revision=1, zone="UTC", holder_id="top"),
        Record(tenant_id="other", revision=1, zone="UTC", holder_id="nowhere"),
    )
    assert checked(call, request()).reason == "UNKNOWN_TENANT"
    assert checked(call, request(tenant_id="other")).reason == "UNKNOWN_TENANT"


def test_nothing_is_answered_before_the_first_complete_data(stage: Stage, call: Caller) -> None:
    for method, message in (
        ("Check", request()),
        ("CheckBatch", pb.CheckBatchRequest(items=[request()])),
        ("Explain", pb.ExplainRequest(check=request())),
    ):
        assert call(method, message.SerializeToString())[0] is Code.UNAVAILABLE


def test_a_change_is_in_the_next_answer(stage: Stage, call: Caller) -> None:
    stage.put(ACME)
    assert checked(call, request(action="space.create")).effect == pb.EFFECT_ALLOW
    full = Record(tenant_id="acme", revision=2, zone="UTC", grants=ACME.grants, usage={"fixed_desk": Usage(units=10)})
    stage.put(full, revision=2)
    assert checked(call, request(action="space.create")).reason == "QUOTA_REACHED"
    stage.worlds.publish(store_id="s", revision=3, snapshot=False, changes=[("acme", None)])
    assert checked(call, request()).reason == "UNKNOWN_TENANT"


def test_a_change_of_the_pools_owner_is_in_the_childs_next_answer(stage: Stage, call: Caller) -> None:
    stage.put(ACME, Record(tenant_id="child", revision=1, zone="UTC", holder_id="acme"))
    assert checked(call, request(tenant_id="child")).quota.holder == "acme"
    stage.put(Record(tenant_id="acme", revision=2, zone="UTC", grants=ACME.grants[1:]), revision=2)
    assert checked(call, request(tenant_id="child")).reason == "NOT_LICENSED"


def test_min_revision_waits_for_the_change(stage: Stage, call: Caller) -> None:
    stage.put(ACME)
    later = threading.Timer(0.1, stage.put, [ACME], {"revision": 5})
    later.start()
    assert checked(call, request(min_revision=5), timeout=5.0).entitlement_revision == 5
    later.join()


def test_min_revision_not_reached(stage: Stage, call: Caller) -> None:
    stage.put(ACME)
    answer = checked(call, request(min_revision=9), timeout=0.3)
    assert (answer.reason, answer.retry) == ("REVISION_NOT_REACHED", pb.RETRY_TRANSIENT)
    assert answer.entitlement_revision == 1
    batch = pb.CheckBatchRequest(items=[request(), request(tenant_id="")], min_revision=9)
    code, payload, _ = call("CheckBatch", batch.SerializeToString(), timeout=0.3)
    assert code is Code.OK
    results = pb.CheckBatchResponse.FromString(payload).results
    assert results[0].response.reason == "REVISION_NOT_REACHED"
    assert results[1].error.code == Code.INVALID_ARGUMENT


def test_batch_answers_in_order_and_a_bad_item_fails_alone(stage: Stage, call: Caller) -> None:
    stage.put(ACME)
    items = [request(), request(quantity=0), request(tenant_id="nobody"), request(action="space.create", quantity=2)]
    code, payload, _ = call("CheckBatch", pb.CheckBatchRequest(items=items).SerializeToString())
    assert code is Code.OK
    results = pb.CheckBatchResponse.FromString(payload).results
    assert [r.WhichOneof("result") for r in results] == ["response", "error", "response", "response"]
    assert [r.response.reason for r in results] == ["", "", "UNKNOWN_TENANT", "QUOTA_REACHED"]
    assert results[1].error.message.startswith("quantity: ")
    assert len({r.response.decision_id for r in results}) == 4


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_of_too_few_or_many(count: int, stage: Stage, call: Caller) -> None:
    stage.put(ACME)
    code, _, detail = call("CheckBatch", pb.CheckBatchRequest(items=[request()] * count).SerializeToString())
    assert (code, detail) == (Code.INVALID_ARGUMENT, f"items: 1 to 1000 are needed, got {count}")


def test_a_batch_of_a_thousand(stage: Stage, call: Caller) -> None:
    stage.put(ACME)
    _, payload, _ = call("CheckBatch", pb.CheckBatchRequest(items=[request()] * 1000).SerializeToString())
    results = pb.CheckBatchResponse.FromString(payload).results
    assert len(results) == 1000
    assert all(r.response.effect == pb.EFFECT_ALLOW for r in results)


def explained(call: Caller, message: pb.ExplainRequest) -> pb.ExplainResponse:
    code, payload, detail = call("Explain", message.SerializeToString())
    assert code is Code.OK, detail
    return pb.ExplainResponse.FromString(payload)


def test_explain_another_instant(stage: Stage, call: Caller) -> None:
    stage.put(ACME)
    message = pb.ExplainRequest(check=request())
    message.at.FromJsonString("2027-01-01T00:00:00Z")
    explanation = explained(call, message)
    assert explanation.answer.reason == "SUBSCRIPTION_EXPIRED"
    assert explanation.answer.as_of.ToJsonString() == "2027-01-01T00:00:00Z"
    facts = {f.name: f.value for f in explanation.facts}
    assert (facts["phase"], facts["key"], facts["used"]) == ("GRACE", "fixed_desk", "9")
    rules = {r.rule.id: r for r in explanation.rules}
    assert rules["subscription-expired"].matched
    assert rules["over-quota"].why == "phase is GRACE, not ACTIVE or TRIAL; usage is uncounted, not over"
    assert [pb.Phase.Name(s.phase) for s in explanation.timeline] == [
        "PHASE_PENDING",
        "PHASE_ACTIVE",
        "PHASE_ACTIVE",
        "PHASE_GRACE",
        "PHASE_EXPIRED",
    ]
    assert explanation.timeline[1].amount.count == 10


def test_explain_agrees_with_check(stage: Stage, call: Caller) -> None:
    stage.put(ACME)
    for message in (request(), request(action="space.create", quantity=5), request(action="tenant.read")):
        check = checked(call, message)
        answer = explained(call, pb.ExplainRequest(check=message)).answer
        check.decision_id = answer.decision_id = ""
        assert check == answer


def test_explain_an_unknown_tenant_and_bad_instants(stage: Stage, call: Caller) -> None:
    stage.put(ACME)
    assert explained(call, pb.ExplainRequest(check=request(tenant_id="x"))).answer.reason == "UNKNOWN_TENANT"
    message = pb.ExplainRequest(check=request())
    message.at.seconds = -1
    code, _, detail = call("Explain", message.SerializeToString())
    assert (code, detail.split(":")[0]) == (Code.INVALID_ARGUMENT, "at")


_Adjusted = Adjusted(units=3, seats=("u1",), revision=12)


def adjustment(**change: Any) -> pb.AdjustUsageRequest:
    return pb.AdjustUsageRequest(tenant_id="acme", key="fixed_desk", idempotency_key="k1", **change)


def test_a_statement_may_be_acknowledged_as_queued(stage: Stage, call: Caller) -> None:
    stage.adjust = lambda _: Adjusted(queued=True)
    code, payload, _ = call("AdjustUsage", adjustment(delta=1).SerializeToString())
    assert (code, pb.AdjustUsageResponse.FromString(payload)) == (Code.OK, pb.AdjustUsageResponse(queued=True))


@pytest.mark.parametrize(("remaining", "most"), [(None, 2.0), (60.0, 2.0), (1.0, 0.95), (0.01, 0.0)])
def test_a_statement_waits_as_long_as_its_caller_does(remaining: float | None, most: float, stage: Stage) -> None:
    waited: list[float] = []
    stage.adjust = lambda _: Adjusted()
    stage.patience = waited.append
    stage.service.handle("AdjustUsage", adjustment(delta=1).SerializeToString(), (), remaining)
    assert waited == [pytest.approx(most)]


def test_adjust_usage(stage: Stage, call: Caller) -> None:
    stated: list[Adjustment] = []
    stage.adjust = lambda a: (stated.append(a), _Adjusted)[1]
    code, payload, _ = call("AdjustUsage", adjustment(delta=-2).SerializeToString())
    assert code is Code.OK
    assert pb.AdjustUsageResponse.FromString(payload) == pb.AdjustUsageResponse(units=3, seats=["u1"], revision=12)
    seats = pb.SeatChanges(changes=[pb.SeatChange(user_id="u1", held=True), pb.SeatChange(user_id="u2")])
    call("AdjustUsage", adjustment(absolute=0).SerializeToString())
    call("AdjustUsage", adjustment(seats=seats).SerializeToString())
    assert [(a.delta, a.absolute, a.seats) for a in stated] == [
        (-2, None, None),
        (None, 0, None),
        (None, None, (("u1", True), ("u2", False))),
    ]


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (pb.AdjustUsageRequest(key="k", idempotency_key="i", delta=1), "tenant_id"),
        (pb.AdjustUsageRequest(tenant_id="t", idempotency_key="i", delta=1), "key"),
        (pb.AdjustUsageRequest(tenant_id="t", key="k", delta=1), "idempotency_key"),
        (pb.AdjustUsageRequest(tenant_id="t", key="k", idempotency_key="i" * 257, delta=1), "idempotency_key"),
        (adjustment(), "change"),
        (adjustment(absolute=-1), "absolute"),
        (adjustment(absolute=2**53 + 1), "absolute"),
        (adjustment(delta=-(2**53) - 1), "delta"),
        (adjustment(seats=pb.SeatChanges()), "seats.changes"),
        (adjustment(seats=pb.SeatChanges(changes=[pb.SeatChange(held=True)])), "seats.changes[0].user_id"),
    ],
    ids=str,
)
def test_a_wrong_adjustment_names_its_field(message: pb.AdjustUsageRequest, field: str, call: Caller) -> None:
    code, _, detail = call("AdjustUsage", message.SerializeToString())
    assert code is Code.INVALID_ARGUMENT
    assert detail.startswith(f"{field}: ")


def test_an_adjustment_that_the_store_will_not_take(stage: Stage, call: Caller) -> None:
    def refuse(_: Adjustment) -> Any:
        raise CannotAnswer(Code.UNAVAILABLE, "the store is locked")

    stage.adjust = refuse
    assert call("AdjustUsage", adjustment(delta=1).SerializeToString())[::2] == (
        Code.UNAVAILABLE,
        "the store is locked",
    )


def test_a_fault_of_ours_is_told_as_ours(stage: Stage, call: Caller) -> None:
    def fail(_: Adjustment) -> Any:
        raise ZeroDivisionError

    stage.adjust = fail
    code, _, detail = call("AdjustUsage", adjustment(delta=1).SerializeToString())
    assert (code, detail) == (Code.INTERNAL, "the sidecar failed: its log says more")
