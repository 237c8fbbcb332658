"""A feed server's single calls, over a file and over a database: one tenant, and statements of usage."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as auth
from sidecar._gen.desking.entitlements.v1 import feed_pb2 as pb
from sidecar.outbox.forward import FeedForward, Unreachable
from sync.feed.calls import FeedCalls, FeedRefused
from sync.feed.channel import FeedTarget
from sync.feed.wire import position_message
from sync.store import schema
from tests import wrong
from tests.feeding import Ended, Feed, FeedTuning, Watch, called, feeding, position_of, rows_of, sidecar_token, target
from tests.storing import Shop, months, on_every_database, per_unit

pytestmark = on_every_database


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("desk", "fixed_desk"))
    shop.tenant("owner")
    shop.new("owner", {"desk": 10}, "2026-01-02", months(12))
    shop.tenant("child", parent_id="owner")
    return shop


@pytest.fixture
def feed(shop: Shop) -> Iterator[Feed]:
    with feeding(shop.store) as feed:
        yield feed


@pytest.fixture
def to(shop: Shop, feed: Feed) -> FeedTarget:
    return target(feed, sidecar_token(shop.store, "desk-9"))


def got(to: FeedTarget, tenant_id: str, min_revision: int = 0, timeout: float = 10.0) -> pb.GetResponse:
    request = pb.GetRequest(tenant_id=tenant_id, min_revision=min_revision)
    answer: pb.GetResponse = called(to, "Get", request, pb.GetResponse, timeout)
    return answer


def adjusted(to: FeedTarget, once: str = "k1", /, **fields: Any) -> auth.AdjustUsageResponse:
    given = {"tenant_id": "owner", "key": "fixed_desk", "idempotency_key": once} | fields
    answer: auth.AdjustUsageResponse = called(
        to, "AdjustUsage", auth.AdjustUsageRequest(**given), auth.AdjustUsageResponse
    )
    return answer


def ends(call: Any, *given: Any, **named: Any) -> tuple[str, str]:
    """Status and code of a call that fails."""
    with pytest.raises(Ended) as ended:
        call(*given, **named)
    return ended.value.status.name, ended.value.code


def seats(*held: tuple[str, bool]) -> auth.SeatChanges:
    return auth.SeatChanges(changes=[auth.SeatChange(user_id=user, held=on) for user, on in held])


# Get


def test_a_tenant_comes_with_whose_services_it_shares(shop: Shop, to: FeedTarget) -> None:
    rows = rows_of(shop.store)
    for tenant_id, expected in (("owner", {"owner"}), ("child", {"child", "owner"}), ("nobody", set())):
        answer = got(to, tenant_id)
        assert {change.tenant_id: change.record for change in answer.records} == {i: rows[i] for i in expected}
        assert answer.position == position_message(position_of(shop.store))
        assert abs(answer.store_instant - time.time_ns() // 1000) < 60_000_000


def test_a_revision_to_come_is_waited_for(shop: Shop, to: FeedTarget) -> None:
    after = position_of(shop.store).revision + 2
    timers = [threading.Timer(0.1 * n, lambda n=n: shop.use("owner", fixed_desk=n)) for n in (1, 2)]  # type: ignore[misc]
    for timer in timers:
        timer.start()
    answer = got(to, "owner", after)
    assert answer.position.revision == after
    assert answer.records[0].record == rows_of(shop.store)["owner"]
    for timer in timers:
        timer.join()


def test_a_revision_that_does_not_come_is_told_by_the_deadline(
    shop: Shop, to: FeedTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = position_of(shop.store).revision + 1
    assert ends(got, to, "owner", after, timeout=0.2)[0] == "DEADLINE_EXCEEDED"
    monkeypatch.setattr("sync.feed.server.LONGEST_GET", 0.1)
    assert ends(got, to, "owner", after, timeout=20) == ("DEADLINE_EXCEEDED", "DEADLINE")


def test_who_waits_for_a_revision_is_told_when_the_replica_stops(shop: Shop) -> None:
    token = sidecar_token(shop.store)
    with feeding(shop.store) as feed:
        to = target(feed, token)
        got(to, "owner")
        timer = threading.Timer(0.2, lambda: feed.within(feed.server.hub.close))
        timer.start()
        assert ends(got, to, "owner", 99, timeout=20) == ("UNAVAILABLE", "STOPPING")
        assert ends(got, to, "owner") == ("UNAVAILABLE", "STOPPING")
        timer.join()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (pb.GetRequest(), "tenant_id"),
        (pb.GetRequest(tenant_id="x" * 257), "tenant_id"),
        (pb.GetRequest(tenant_id="owner", min_revision=-1), "min_revision"),
        (b"\xff\xff", "request"),
    ],
    ids=str,
)
def test_a_request_for_a_tenant_that_makes_no_sense(to: FeedTarget, request_: Any, said: str) -> None:
    with pytest.raises(Ended) as ended:
        called(to, "Get", request_, pb.GetResponse)
    assert (ended.value.status.name, ended.value.code) == ("INVALID_ARGUMENT", "INVALID")
    assert said in ended.value.text


# AdjustUsage


def test_units_and_seats_are_stated_and_durable_when_it_is_answered(shop: Shop, to: FeedTarget) -> None:
    first = adjusted(to, "k1", absolute=5)
    assert (first.units, first.revision) == (5, position_of(shop.store).revision)
    assert shop.record("owner").usage["fixed_desk"].units == 5
    assert adjusted(to, "k2", delta=-2).units == 3
    assert adjusted(to, "k3", delta=0).units == 3
    answer = adjusted(to, "k4", key="designer", seats=seats(("u1", True), ("u2", True), ("u1", False)))
    assert list(answer.seats) == ["u2"]
    assert adjusted(to, "k5", tenant_id="child", absolute=4).units == 4
    assert shop.record("owner").usage["fixed_desk"].units == 7


def test_one_key_is_done_once_and_answered_as_it_was_then(shop: Shop, to: FeedTarget) -> None:
    first = adjusted(to, "k1", delta=2)
    adjusted(to, "k2", delta=5)
    before = position_of(shop.store)
    assert adjusted(to, "k1", delta=2) == first
    assert position_of(shop.store) == before
    assert ends(adjusted, to, "k1", delta=3) == ("ALREADY_EXISTS", "IDEMPOTENCY_CONFLICT")
    assert ends(adjusted, to, "k1", delta=2, tenant_id="child") == ("ALREADY_EXISTS", "IDEMPOTENCY_CONFLICT")


def test_many_at_once_with_one_key_are_one(shop: Shop, to: FeedTarget) -> None:
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(adjusted(to, "k", delta=1).units)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [1] * 12
    assert shop.record("owner").usage["fixed_desk"].units == 1


def test_what_the_store_refuses_is_told_by_its_code(shop: Shop, to: FeedTarget) -> None:
    before = position_of(shop.store)
    assert ends(adjusted, to, tenant_id="nobody", delta=1) == ("NOT_FOUND", "UNKNOWN_TENANT")
    assert ends(adjusted, to, delta=-1) == ("FAILED_PRECONDITION", "USAGE_BELOW_ZERO")
    assert position_of(shop.store) == before


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tenant_id": "", "delta": 1}, "tenant_id"),
        ({"key": "", "delta": 1}, "key"),
        ({"idempotency_key": "", "delta": 1}, "idempotency_key"),
        ({"idempotency_key": "x" * 257, "delta": 1}, "idempotency_key"),
        ({}, "change"),
        ({"absolute": -1}, ""),
        ({"absolute": 2**53 + 1}, ""),
        ({"delta": 2**62}, ""),
        ({"seats": auth.SeatChanges()}, "seats"),
        ({"seats": seats(("", True))}, "user_id"),
    ],
    ids=str,
)
def test_statements_that_make_no_sense(shop: Shop, to: FeedTarget, fields: dict[str, Any], said: str) -> None:
    before = position_of(shop.store)
    given = {"tenant_id": "owner", "key": "fixed_desk", "idempotency_key": "k"} | fields
    with pytest.raises(Ended) as ended:
        called(to, "AdjustUsage", auth.AdjustUsageRequest(**given), auth.AdjustUsageResponse)
    assert (ended.value.status.name, ended.value.code) == ("INVALID_ARGUMENT", "INVALID")
    assert said in ended.value.text
    assert position_of(shop.store) == before


def test_each_way_to_make_a_call_wrong_is_an_answer_or_the_callers_fault(feed: Feed, to: FeedTarget) -> None:
    requests: list[tuple[str, Any, Any]] = [
        ("Get", pb.GetRequest(tenant_id="owner", min_revision=1), pb.GetResponse),
        (
            "AdjustUsage",
            auth.AdjustUsageRequest(tenant_id="owner", key="fixed_desk", idempotency_key="k", delta=1),
            auth.AdjustUsageResponse,
        ),
        (
            "AdjustUsage",
            auth.AdjustUsageRequest(tenant_id="owner", key="d", idempotency_key="s", seats=seats(("u", True))),
            auth.AdjustUsageResponse,
        ),
    ]
    for method, request, answer in requests:
        for path, variant in wrong.variants(request):
            timeout = 0.05 if "revision" in path else 20.0
            with suppress(Ended):
                called(to, method, variant, answer, timeout)
    failed = [labels for labels in calls(feed) if labels["status"] in ("INTERNAL", "UNKNOWN", "UNAVAILABLE")]
    assert failed == []


def calls(feed: Feed) -> list[dict[str, str]]:
    """Methods and statuses that a server has counted."""
    families = feed.server.metrics.registry.collect()
    return [s.labels for family in families for s in family.samples if s.name == "deskgate_feed_calls_total"]


def test_the_audit_trail_tells_which_sidecar_stated_it(shop: Shop, to: FeedTarget) -> None:
    adjusted(to, "k1", absolute=5)
    a = schema.audit
    with shop.store.reading() as conn:
        last = conn.execute(select(a).order_by(a.c.seq.desc()).limit(1)).one()
    assert (last.operator, last.tenant_id, last.idempotency_key) == ("sidecar:desk-9", "owner", "k1")


def test_what_is_stated_comes_to_those_who_watch(shop: Shop, to: FeedTarget) -> None:
    with feeding(shop.store, tuning=FeedTuning(interval=60.0)) as other, Watch(target(other, to.token)) as watch:
        watch.update()
        revision = adjusted(to, "k1", delta=1).revision
        assert watch.update()[0].position.revision == revision


def test_a_method_that_is_none(to: FeedTarget) -> None:
    with pytest.raises(Ended) as ended:
        called(to, "Nothing", pb.GetRequest(), pb.GetResponse)
    assert ended.value.status.name == "UNIMPLEMENTED"


def test_a_statement_for_another_store_is_not_taken(shop: Shop, to: FeedTarget) -> None:
    statement = auth.AdjustUsageRequest(tenant_id="owner", key="fixed_desk", idempotency_key="k1", absolute=5)
    calls = FeedCalls(to)
    with pytest.raises(FeedRefused) as refused:
        calls.adjust(statement, 10.0, "another store")
    assert refused.value.code == "ANOTHER_STORE"
    with pytest.raises(Unreachable, match="another store"):
        FeedForward(calls, lambda: "another store")(statement.SerializeToString(), 10.0)
    assert FeedForward(calls, lambda: shop.store.status().store_id)(statement.SerializeToString(), 10.0).units == 5
    calls.close()
