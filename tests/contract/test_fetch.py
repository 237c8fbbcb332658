"""Single tenants, fetched when a question needs one that is not held, or newer than it is held: over every front."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import grpc
import pytest

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.core.model import Record, Usage
from sidecar.records import encode
from sidecar.serving import seeking
from sidecar.serving.answers import Code
from sidecar.serving.fetching import Fetched, FetchFailed
from sidecar.serving.seeking import BATCH_FETCHES
from tests import shipped
from tests.contract.conftest import Caller, Stage, front_of, over_grpc
from tests.contract.test_authorization import ACME, checked, request
from tests.serving import wait_for

WAIT = 10.0
FULL = replace(ACME, usage={"fixed_desk": Usage(units=10)})
SPEND = {"action": "space.create"}


def tenant(name: str, like: Record = ACME) -> Record:
    return replace(like, tenant_id=name)


class Shop:
    """The store behind the service: what it has, how often it was asked, and what goes wrong."""

    def __init__(self, *records: Record, revision: int = 5) -> None:
        self.records = {r.tenant_id: r for r in records}
        self.revision = revision
        self.asked: list[tuple[str, int]] = []
        self.denied: set[str] = set()
        self.failure: Exception | None = None
        self.pause: Callable[[str], object] = lambda _: None
        self.most = self._now = 0
        """Calls at a time."""
        self._lock = threading.Lock()

    def __call__(self, tenant_id: str, min_revision: int, timeout: float) -> Fetched | None:
        with self._lock:
            self.asked.append((tenant_id, min_revision))
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            self.pause(tenant_id)
        finally:
            with self._lock:
                self._now -= 1
        if self.failure is not None:
            raise self.failure
        if tenant_id in self.denied:
            return None
        found = self.records.get(tenant_id)
        wanted = [found, self.records.get(found.holder_id)] if found is not None else []
        records = tuple((r.tenant_id, encode(r)) for r in wanted if r is not None)
        return Fetched(store_id="store", revision=self.revision, records=records)


class Held:
    """Calls are held here until the test lets them go."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.began = threading.Semaphore(0)

    def __call__(self, _: str) -> None:
        self.began.release()
        assert self.opened.wait(WAIT)


@pytest.fixture
def shop() -> Shop:
    return Shop(tenant("far"), tenant("full", FULL))


@pytest.fixture
def stage(shop: Shop) -> Stage:
    """A service that follows acme alone, at revision 3."""
    stage = Stage(fetch=shop, partial=True, max_waiting=3)
    stage.put(ACME, revision=3)
    return stage


@pytest.fixture
def held(shop: Shop) -> Iterator[Held]:
    held = Held()
    shop.pause = held
    yield held
    held.opened.set()


def ask(call: Caller, name: str, **more: Any) -> pb.CheckResponse:
    return checked(call, request(tenant_id=name, **more))


def batch(call: Caller, *names: str, **more: Any) -> list[pb.CheckResult]:
    message = pb.CheckBatchRequest(items=[request(tenant_id=n) for n in names], **more)
    code, payload, detail = call("CheckBatch", message.SerializeToString())
    assert code is Code.OK, detail
    return list(pb.CheckBatchResponse.FromString(payload).results)


# --- tenants that are not held ---


def test_a_tenant_that_is_held_costs_no_call(stage: Stage, call: Caller, shop: Shop) -> None:
    assert ask(call, "acme").effect == pb.EFFECT_ALLOW
    assert [r.response.effect for r in batch(call, "acme", "acme")] == [pb.EFFECT_ALLOW] * 2
    explained = pb.ExplainRequest(check=request()).SerializeToString()
    assert call("Explain", explained)[0] is Code.OK
    assert ask(call, "acme", min_revision=3).entitlement_revision == 3
    assert shop.asked == []


def test_another_is_fetched_and_judged_as_if_it_were(stage: Stage, call: Caller, shop: Shop) -> None:
    answer = ask(call, "far", **SPEND)
    assert (answer.effect, answer.entitlement_revision, answer.quota.used) == (pb.EFFECT_ALLOW, 5, 9)
    answer = ask(call, "full", **SPEND)
    assert (answer.reason, answer.quota.used) == ("QUOTA_REACHED", 10)
    assert shop.asked == [("far", 0), ("full", 0)]


def test_what_was_fetched_is_kept_for_a_while(stage: Stage, call: Caller, shop: Shop) -> None:
    for _ in range(3):
        assert ask(call, "far").effect == pb.EFFECT_ALLOW
    assert batch(call, "far")[0].response.entitlement_revision == 5
    assert shop.asked == [("far", 0)]
    assert b'deskgate_fetches_total{result="got"} 1.0' in stage.metrics.exposition()[0]


def test_one_that_shares_anothers_services_comes_with_it(stage: Stage, call: Caller, shop: Shop) -> None:
    shop.records["child"] = Record(tenant_id="child", revision=5, zone="UTC", holder_id="full")
    answer = ask(call, "child", **SPEND)
    assert (answer.reason, answer.quota.holder) == ("QUOTA_REACHED", "full")


@pytest.mark.parametrize("denied", [False, True])
def test_one_that_the_store_has_not_or_not_for_us_is_unknown(
    denied: bool, stage: Stage, call: Caller, shop: Shop
) -> None:
    if denied:
        shop.denied.add("nobody")
    for _ in range(3):
        answer = ask(call, "nobody")
        assert (answer.effect, answer.reason) == (pb.EFFECT_DENY, "UNKNOWN_TENANT")
        assert answer.entitlement_revision == (3 if denied else 5)
    assert shop.asked == [("nobody", 0)]


def test_one_that_cannot_be_had_is_no_denial(stage: Stage, call: Caller, shop: Shop) -> None:
    shop.failure = FetchFailed("nobody answers")
    code, _, detail = call("Check", request(tenant_id="far").SerializeToString())
    assert code is Code.UNAVAILABLE
    assert detail == "far is not held here, and could not be fetched: nobody answers"
    shop.failure = RuntimeError("a bug")
    code, _, detail = call("Check", request(tenant_id="far").SerializeToString())
    assert (code, "its log says more" in detail) == (Code.UNAVAILABLE, True)
    shop.failure = None
    assert ask(call, "far").effect == pb.EFFECT_ALLOW
    assert ask(call, "acme").effect == pb.EFFECT_ALLOW


def test_nothing_is_waited_for_longer_than_the_caller_does(
    stage: Stage, call: Caller, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeking, "MARGIN", 1.5)  # for a machine that is busy
    code, _, detail = call("Check", request(tenant_id="far").SerializeToString(), timeout=1.8)
    assert (code, detail) == (
        Code.UNAVAILABLE,
        "far is not held here, and could not be fetched: the store did not answer in time",
    )


def test_what_cannot_be_judged_is_not_fetched(stage: Stage, call: Caller, shop: Shop) -> None:
    for wrong in (request(tenant_id="x" * 257), request(tenant_id="far", resource=pb.Resource())):
        assert call("Check", wrong.SerializeToString())[0] is Code.INVALID_ARGUMENT
        message = pb.CheckBatchRequest(items=[wrong])
        code, payload, _ = call("CheckBatch", message.SerializeToString())
        assert code is Code.OK
        assert pb.CheckBatchResponse.FromString(payload).results[0].error.code == 3
    assert shop.asked == []


def test_explain_fetches_too(stage: Stage, call: Caller, shop: Shop) -> None:
    message = pb.ExplainRequest(check=request(tenant_id="full", **SPEND))
    code, payload, _ = call("Explain", message.SerializeToString())
    explained = pb.ExplainResponse.FromString(payload)
    assert (code, explained.answer.reason, explained.answer.entitlement_revision) == (Code.OK, "QUOTA_REACHED", 5)
    assert explained.rules


def test_a_record_that_is_held_and_worthless_is_not_fetched(stage: Stage, call: Caller, shop: Shop) -> None:
    stage.worlds.publish(store_id="store", revision=4, snapshot=False, changes=[("bad", encode(ACME))])
    assert ask(call, "bad").reason == "UNKNOWN_TENANT"
    assert shop.asked == []


def test_new_policies_hold_for_what_was_fetched_before(stage: Stage, call: Caller, shop: Shop) -> None:
    assert ask(call, "full", **SPEND).reason == "QUOTA_REACHED"
    stage.worlds.adopt(shipped.without("quota-reached"))
    assert ask(call, "full", **SPEND).effect == pb.EFFECT_ALLOW
    assert len(shop.asked) == 1


# --- batches ---


def test_a_batch_mixes_tenants_that_are_held_with_others(stage: Stage, call: Caller, shop: Shop) -> None:
    results = batch(call, "acme", "far", "nobody", "far", "acme")
    assert [(r.response.reason, r.response.entitlement_revision) for r in results] == [
        ("", 3),
        ("", 5),
        ("UNKNOWN_TENANT", 5),
        ("", 5),
        ("", 3),
    ]
    assert sorted(shop.asked) == [("far", 0), ("nobody", 0)]


def test_of_a_batch_the_items_that_cannot_be_had_fail_alone(stage: Stage, call: Caller, shop: Shop) -> None:
    shop.failure = FetchFailed("nobody answers")
    results = batch(call, "acme", "far")
    assert results[0].response.effect == pb.EFFECT_ALLOW
    assert results[1].error.code == 14
    assert "nobody answers" in results[1].error.message


def test_a_batch_fetches_so_many_tenants_and_no_more(stage: Stage, call: Caller, shop: Shop) -> None:
    names = [f"t{n}" for n in range(BATCH_FETCHES + 2)]
    shop.records |= {n: tenant(n) for n in names}
    results = batch(call, *names)
    assert [r.WhichOneof("result") for r in results] == ["response"] * BATCH_FETCHES + ["error"] * 2
    assert {r.error.code for r in results[BATCH_FETCHES:]} == {8}
    assert len(shop.asked) == BATCH_FETCHES
    assert [r.WhichOneof("result") for r in batch(call, *names)] == ["response"] * (BATCH_FETCHES + 2)


def test_a_batch_that_waited_for_its_revision_has_no_second_wait(
    stage: Stage, call: Caller, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeking, "MARGIN", 0.5)  # for a machine that is busy
    items = [request(tenant_id=name) for name in ("acme", "far")]
    message = pb.CheckBatchRequest(items=items, min_revision=99)
    began = time.monotonic()
    code, payload, detail = call("CheckBatch", message.SerializeToString(), 1.0)
    assert code is Code.OK, detail
    assert time.monotonic() - began < 1.0
    held_here, far = pb.CheckBatchResponse.FromString(payload).results
    assert (held_here.response.reason, far.error.code) == ("REVISION_NOT_REACHED", 14)


# --- a revision that is not there yet ---


def test_a_min_revision_is_asked_for_beside_the_wait(stage: Stage, call: Caller, shop: Shop) -> None:
    shop.records["acme"] = FULL
    answer = ask(call, "acme", min_revision=5, **SPEND)
    assert (answer.reason, answer.entitlement_revision) == ("QUOTA_REACHED", 5)
    assert ask(call, "acme", min_revision=5, **SPEND).entitlement_revision == 5
    assert shop.asked == [("acme", 5)], "one that came is kept"
    assert ask(call, "acme", **SPEND).entitlement_revision == 3


def test_a_revision_that_comes_at_once_costs_no_call(
    stage: Stage, call: Caller, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeking, "HEAD_START", WAIT)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(ask, call, "acme", min_revision=4)
        stage.put(ACME, revision=4)
        assert waiting.result(WAIT).entitlement_revision == 4
    assert shop.asked == []


def test_the_feed_may_be_first(stage: Stage, call: Caller, held: Held) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(ask, call, "acme", min_revision=4)
        assert held.began.acquire(timeout=WAIT)
        stage.put(ACME, revision=4)
        assert waiting.result(WAIT).entitlement_revision == 4


def test_a_call_that_fails_or_is_behind_is_silent_and_the_wait_goes_on(stage: Stage, call: Caller, shop: Shop) -> None:
    for failure, revision in ((FetchFailed("nobody answers"), 9), (None, 3)):
        shop.failure, shop.revision = failure, revision
        before = len(shop.asked)
        current = stage.worlds.current
        assert current is not None
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(ask, call, "acme", min_revision=current.revision + 1)
            wait_for(lambda before=before: len(shop.asked) > before)
            stage.put(ACME, revision=current.revision + 1)
            assert waiting.result(WAIT).entitlement_revision == current.revision + 1


def test_a_revision_that_comes_by_neither_way_is_a_denial(stage: Stage, call: Caller, shop: Shop) -> None:
    shop.failure = FetchFailed("nobody answers")
    code, payload, _ = call("Check", request(min_revision=99).SerializeToString(), timeout=0.3)
    answer = pb.CheckResponse.FromString(payload)
    assert (code, answer.reason, answer.entitlement_revision) == (Code.OK, "REVISION_NOT_REACHED", 3)


def test_a_tenant_that_went_meanwhile_is_unknown_at_the_newer_revision(stage: Stage, call: Caller) -> None:
    answer = ask(call, "acme", min_revision=5)
    assert (answer.reason, answer.entitlement_revision) == ("UNKNOWN_TENANT", 5)


def test_one_that_is_not_held_is_fetched_at_its_revision(stage: Stage, call: Caller, shop: Shop) -> None:
    assert ask(call, "far").entitlement_revision == 5
    assert ask(call, "far", min_revision=4).entitlement_revision == 5
    shop.revision = 8
    assert ask(call, "far", min_revision=6).entitlement_revision == 8
    assert ask(call, "far", min_revision=9).reason == "REVISION_NOT_REACHED"
    assert shop.asked == [("far", 0), ("far", 6), ("far", 9)]


def test_a_batchs_revision_is_waited_for_alone(stage: Stage, call: Caller, shop: Shop) -> None:
    shop.records["acme"] = ACME
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(batch, call, "acme", "far", min_revision=5)
        stage.put(ACME, revision=5)
        assert [r.response.entitlement_revision for r in waiting.result(WAIT)] == [5, 5]
    assert shop.asked == [("far", 5)]


# --- who does not wait, and who is not asked ---


def test_a_thread_that_must_not_wait_begins_no_call(stage: Stage, shop: Shop) -> None:
    def prompt(method: str, message: Any) -> Any:
        return stage.service.prompt(method, message.SerializeToString(), (), 10.0)

    far, newer = request(tenant_id="far"), request(min_revision=5)
    far_batch = pb.CheckBatchRequest(items=[request(), far])
    for method, message in (("Check", far), ("Check", newer), ("CheckBatch", far_batch)):
        assert prompt(method, message) is None
    assert shop.asked == []
    assert prompt("Check", request()).code is Code.OK
    shop.records["acme"] = ACME
    assert stage.service.handle("Check", far.SerializeToString(), (), 10.0).code is Code.OK
    assert stage.service.handle("Check", newer.SerializeToString(), (), 10.0).code is Code.OK
    for method, message in (("Check", far), ("Check", newer), ("CheckBatch", far_batch)):
        assert prompt(method, message).code is Code.OK, "what is kept is there at once"


def test_one_that_follows_every_tenant_knows_who_is_unknown(shop: Shop) -> None:
    stage = Stage(fetch=shop)
    stage.put(ACME, revision=3)
    for method, message in (
        ("Check", request(tenant_id="far")),
        ("CheckBatch", pb.CheckBatchRequest(items=[request(tenant_id="far")])),
        ("Explain", pb.ExplainRequest(check=request(tenant_id="far"))),
    ):
        assert stage.service.handle(method, message.SerializeToString(), (), WAIT).code is Code.OK
    assert shop.asked == []
    answer = stage.service.handle("Check", request(tenant_id="far", min_revision=5).SerializeToString(), (), WAIT)
    assert pb.CheckResponse.FromString(answer.payload).entitlement_revision == 5
    assert shop.asked == [("far", 5)]


def test_before_the_first_complete_data_nothing_is_fetched(shop: Shop) -> None:
    stage = Stage(fetch=shop, partial=True)
    for message in (request(tenant_id="far"), request(min_revision=5)):
        assert stage.service.handle("Check", message.SerializeToString(), (), WAIT).code is Code.UNAVAILABLE
    assert shop.asked == []


# --- bounds ---


def test_many_who_want_the_same_are_one_call(stage: Stage, call: Caller, shop: Shop, held: Held) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(ask, call, "far") for _ in range(stage.max_waiting)]
        assert held.began.acquire(timeout=WAIT)
        wait_for(lambda: places(stage) == 0)
        code, _, detail = call("Check", request(tenant_id="far").SerializeToString())
        assert (code, "too many calls are waiting" in detail) == (Code.RESOURCE_EXHAUSTED, True)
        assert ask(call, "acme").effect == pb.EFFECT_ALLOW, "and nobody else is held up"
        held.opened.set()
        assert {w.result(WAIT).entitlement_revision for w in waiting} == {5}
    assert shop.asked == [("far", 0)]


def places(stage: Stage) -> int:
    """Free places among those who may wait."""
    return stage.service._seeker._waiting._value  # type: ignore[attr-defined]


@pytest.mark.parametrize("inline", [True, False])
def test_a_flood_of_tenants_that_are_not_there_is_no_flood_of_calls(stage: Stage, shop: Shop, inline: bool) -> None:
    front = front_of(stage, address="127.0.0.1:0", inline=inline, threads=8, max_in_flight=64)
    front.start()
    shop.pause = lambda _: threading.Event().wait(0.002)
    codes: dict[Code, int] = {}
    with grpc.insecure_channel(f"127.0.0.1:{front.port}") as channel, ThreadPoolExecutor(16) as pool:
        jobs: list[Future[Any]] = [
            pool.submit(over_grpc, channel, "Check", request(tenant_id=f"no{n % 40}").SerializeToString(), WAIT)
            for n in range(400)
        ]
        for job in jobs:
            code, payload, _ = job.result(WAIT)
            codes[code] = codes.get(code, 0) + 1
            if code is Code.OK:
                assert pb.CheckResponse.FromString(payload).reason == "UNKNOWN_TENANT"
    front.stop(0)
    assert set(codes) <= {Code.OK, Code.RESOURCE_EXHAUSTED}
    assert codes[Code.OK] >= 40
    assert shop.most <= stage.max_waiting
    assert len(shop.asked) <= 40
