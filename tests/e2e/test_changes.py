"""A change that another process commits is in the answers; usage stated over gRPC is in the store, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.client import IdempotencyConflict, UnknownTenant
from sync.store.usage import list_usage
from tests.serving import Place, RunningSidecar, told_by, wait_for


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("changes"))


@pytest.fixture(scope="module")
def sidecar(place: Place) -> Iterator[RunningSidecar]:
    with place.serve() as sidecar:
        yield sidecar


def adjustment(once: str, tenant: str = "acme", key: str = "meeting_room", **change: int) -> pb.AdjustUsageRequest:
    return pb.AdjustUsageRequest(tenant_id=tenant, key=key, idempotency_key=once, **change)


def test_a_change_by_the_command_line_comes_by_itself(place: Place, sidecar: RunningSidecar) -> None:
    assert sidecar.check("umbrella", "booking.create", "fixed_desk").reason == "OVER_QUOTA"
    told_by("usage", "set", "umbrella", "fixed_desk", "8", "--store", place.store_path)
    sidecar.wait(lambda: sidecar.check("umbrella", "booking.create", "fixed_desk").allowed)


def test_an_order_is_in_the_answer_that_asks_for_its_revision(place: Place, sidecar: RunningSidecar) -> None:
    assert sidecar.check("initech", "space.create", "meeting_room").reason == "QUOTA_REACHED"
    placed = told_by("order", "upgrade", "initech", "meeting-room=5", "--store", place.store_path)
    answer = sidecar.check("initech", "space.create", "meeting_room", min_revision=placed["revision"])
    assert answer.allowed
    assert answer.quota is not None
    assert (answer.quota.limit, answer.entitlement_revision >= placed["revision"]) == (5, True)


def test_a_revision_just_committed_is_waited_for_every_time(place: Place, sidecar: RunningSidecar) -> None:
    for units in range(20, 30):
        revision = place.use("acme", fixed_desk=units)
        answer = sidecar.check("acme", "space.create", "fixed_desk", min_revision=revision)
        assert answer.quota is not None
        assert (answer.entitlement_revision, answer.quota.used) == (revision, units + 6)


def test_a_revision_that_does_not_come_is_told_so(place: Place, sidecar: RunningSidecar) -> None:
    far = place.store.status().revision + 1000
    answer = sidecar.check("acme", "booking.create", "fixed_desk", min_revision=far, timeout=0.3)
    assert (answer.reason, answer.retry) == ("REVISION_NOT_REACHED", "TRANSIENT")


def test_usage_stated_over_grpc_is_in_the_answers_and_in_the_store(place: Place, sidecar: RunningSidecar) -> None:
    used = sidecar.client.adjust_usage("hooli", "shared_desk", idempotency_key="stated", delta=3)
    assert used.units == 25
    answer = sidecar.check("hooli", "space.create", "shared_desk", min_revision=used.revision)
    assert answer.entitlement_revision >= used.revision
    with place.store.reading() as conn:
        assert list_usage(conn, "hooli")["shared_desk"].units == 25


def test_seats_stated_over_grpc(sidecar: RunningSidecar) -> None:
    used = sidecar.client.adjust_usage("drafthouse", "layout_designer", idempotency_key="seats", seats={"ada": False})
    assert used.seats == ("grace", "linus")
    linus = sidecar.check("drafthouse", "feature.use", "layout_designer", user="linus", min_revision=used.revision)
    assert linus.allowed
    assert sidecar.check("drafthouse", "feature.use", "layout_designer", user="ada").reason == "SEAT_NOT_HELD"


def test_a_statement_repeated_counts_once_and_is_answered_as_it_was(place: Place, sidecar: RunningSidecar) -> None:
    first = sidecar.client.adjust_usage("wayne", "shared_desk", idempotency_key="again", delta=1)
    other = sidecar.client.adjust_usage("wayne", "shared_desk", idempotency_key="another", delta=1)
    assert sidecar.client.adjust_usage("wayne", "shared_desk", idempotency_key="again", delta=1) == first
    assert place.store.status().revision == other.revision


def test_a_key_used_for_something_else_is_a_conflict(sidecar: RunningSidecar) -> None:
    sidecar.client.adjust_usage("wonka", "fixed_desk", idempotency_key="taken", delta=1)
    with pytest.raises(IdempotencyConflict) as conflict:
        sidecar.client.adjust_usage("wonka", "fixed_desk", idempotency_key="taken", delta=2)
    assert conflict.value.code == "ALREADY_EXISTS"


def test_usage_of_an_unknown_tenant(sidecar: RunningSidecar) -> None:
    with pytest.raises(UnknownTenant) as unknown:
        sidecar.client.adjust_usage("nobody", "fixed_desk", idempotency_key="unknown", delta=1)
    assert unknown.value.code == "NOT_FOUND"


def test_usage_cannot_fall_below_zero(place: Place, sidecar: RunningSidecar) -> None:
    before = place.store.status().revision
    code, detail = sidecar.call("AdjustUsage", adjustment("below", delta=-1000))
    assert (code, "USAGE_BELOW_ZERO" in detail) == ("FAILED_PRECONDITION", True)
    assert place.store.status().revision == before
    assert sidecar.call("AdjustUsage", adjustment("below", absolute=5))[0] == "OK"


def test_usage_of_a_pools_child_is_in_its_parents_answer(place: Place, sidecar: RunningSidecar) -> None:
    def used() -> int:
        quota = sidecar.check("acme", "space.create", "shared_desk").quota
        assert quota is not None
        return quota.used

    assert used() == 34
    told_by("usage", "adjust", "acme-labs", "shared_desk", "--by", "6", "--store", place.store_path)
    sidecar.wait(lambda: used() == 40)
    stated = sidecar.client.adjust_usage("acme-labs", "shared_desk", idempotency_key="child", delta=21)
    answer = sidecar.check("acme", "space.create", "shared_desk", min_revision=stated.revision)
    assert (answer.reason, stated.units) == ("QUOTA_REACHED", 31)
    assert sidecar.check("acme-labs", "booking.create", "shared_desk").reason == "OVER_QUOTA"


def test_what_was_acknowledged_is_served_after_a_restart(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.serve() as first:
        used = first.client.adjust_usage("acme", "fixed_desk", idempotency_key="kept", absolute=34)
        first.check("acme", "booking.create", "fixed_desk", min_revision=used.revision)
        assert first.stop() == 0
    with place.serve() as second:
        assert second.wait_for_event("serving")["revision"] == used.revision
        assert second.client.adjust_usage("acme", "fixed_desk", idempotency_key="kept", absolute=34) == used
        wait_for(lambda: second.check("acme", "space.create", "fixed_desk").reason == "QUOTA_REACHED")
