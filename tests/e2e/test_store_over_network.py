"""A sidecar whose store is behind a feed server: usage it states, and tenants that it does not follow."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from tests.feeding import Feed, feeding, sidecar_token
from tests.serving import Place, RunningSidecar, deskgate

DESK = {"tenant_id": "acme", "key": "fixed_desk"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    (tmp_path / "token").write_text(sidecar_token(place.store))
    return place


@pytest.fixture
def feed(place: Place) -> Iterator[Feed]:
    with feeding(place.store) as feed:
        yield feed


@contextmanager
def serving(place: Place, feed: Feed, *, followed: bool = True, **more: object) -> Iterator[RunningSidecar]:
    """A sidecar behind the feed; once its outbox sends, unless the feed is away."""
    given = {"store": f"deskgate://{feed.address}", "store_token_file": place.folder / "token"} | more
    with place.serve(**given) as sidecar:
        if followed:
            sidecar.wait(lambda: not sidecar.status()["outbox"]["not_sent_because"])
        yield sidecar


@pytest.fixture
def sidecar(place: Place, feed: Feed) -> Iterator[RunningSidecar]:
    with serving(place, feed) as sidecar:
        yield sidecar


def statement(once: str, **more: Any) -> pb.AdjustUsageRequest:
    return pb.AdjustUsageRequest(**(DESK | {"idempotency_key": once} | more))


def state(sidecar: RunningSidecar, once: str, **more: Any) -> Any:
    code, answer = sidecar.call("AdjustUsage", statement(once, **more))
    assert code == "OK", answer
    return answer


def used(sidecar: RunningSidecar, min_revision: int = 0) -> int:
    answer = sidecar.check("acme", "space.create", "fixed_desk", min_revision=min_revision)
    assert answer.quota is not None
    return answer.quota.used


def outbox(place: Place, *args: str) -> Any:
    done = deskgate("outbox", *args, "--state-dir", place.state)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "--json" in args else done.stdout


def test_usage_is_stated_through_the_feed_and_seen_at_its_revision(sidecar: RunningSidecar) -> None:
    before = used(sidecar)
    answer = state(sidecar, "k1", delta=2)
    assert (answer.queued, answer.units > 0) == (False, True)
    assert used(sidecar, answer.revision) == before + 2
    assert state(sidecar, "k1", delta=2) == answer
    assert sidecar.call("AdjustUsage", statement("k1", delta=3))[0] == "ALREADY_EXISTS"
    assert sidecar.call("AdjustUsage", statement("k2", delta=-99999))[0] == "FAILED_PRECONDITION"
    assert sidecar.call("AdjustUsage", statement("k3", tenant_id="nobody", delta=1))[0] == "NOT_FOUND"
    sidecar.wait(lambda: sidecar.metric("outbox_pending") == sidecar.metric("outbox_kept") == 0)
    assert sidecar.metric("outbox_sent_total") == 2
    client = sidecar.client.adjust_usage("acme", "fixed_desk", idempotency_key="k4", absolute=7)
    assert (client.units, client.queued) == (7, False)


def test_while_the_feed_is_away_usage_is_queued_and_then_sent_in_order(
    place: Place, feed: Feed, sidecar: RunningSidecar
) -> None:
    feed.stop()
    first = state(sidecar, "k1", absolute=3)
    assert first == pb.AdjustUsageResponse(queued=True)
    sidecar.wait(lambda: sidecar.status()["outbox"]["not_sent_because"])
    for n in range(2, 6):
        assert state(sidecar, f"k{n}", absolute=n).queued
    assert state(sidecar, "k2", absolute=2).queued
    code, detail = sidecar.call("AdjustUsage", statement("k2", absolute=9))
    assert (code, "another content" in detail) == ("ALREADY_EXISTS", True)
    assert state(sidecar, "late", tenant_id="nobody", delta=1).queued
    told = sidecar.status()["outbox"]
    assert (told["pending"], told["refused"], told["usable"]) == (6, 0, True)
    assert sidecar.metric("outbox_pending") == 6
    assert sidecar.metric("outbox_oldest_timestamp_seconds") > 0
    assert [s["idempotency_key"] for s in outbox(place, "list", "--json")] == ["k1", "k2", "k3", "k4", "k5", "late"]

    feed.start()
    sidecar.wait(lambda: sidecar.metric("outbox_pending") == 0)
    answer = state(sidecar, "k5", absolute=5)
    assert (answer.queued, answer.units) == (False, 5)
    assert used(sidecar, answer.revision) >= 5

    sidecar.wait(lambda: sidecar.metric("outbox_kept") == 1)
    assert sidecar.metric('outbox_refused_total{code="UNKNOWN_TENANT"}') == 1
    (kept,) = outbox(place, "list", "--refused", "--json")
    assert (kept["idempotency_key"], kept["code"], kept["change"]) == ("late", "UNKNOWN_TENANT", "+1")
    outbox(place, "retry", "late")
    sidecar.wait(lambda: sidecar.metric('outbox_refused_total{code="UNKNOWN_TENANT"}') == 2)
    outbox(place, "drop", "late")
    sidecar.wait(lambda: sidecar.metric("outbox_kept") == 0)
    assert outbox(place, "list") == "the outbox is empty\n"


def test_what_is_queued_outlives_a_restart(place: Place, feed: Feed) -> None:
    with serving(place, feed) as first:
        feed.stop()
        assert state(first, "k1", absolute=21).queued
        assert first.stop() == 0
    with serving(place, feed, followed=False) as second:
        assert second.metric("outbox_pending") == 1
        feed.start()
        second.wait(lambda: second.metric("outbox_pending") == 0)
        answer = state(second, "k1", absolute=21)
        assert (answer.units, answer.queued) == (21, False)


def test_a_full_outbox_takes_no_more(place: Place, feed: Feed) -> None:
    with serving(place, feed, outbox_limit=2) as sidecar:
        feed.stop()
        assert state(sidecar, "k1", delta=1).queued
        assert state(sidecar, "k2", delta=1).queued
        code, detail = sidecar.call("AdjustUsage", statement("k3", delta=1))
        assert (code, "the outbox is full" in detail) == ("RESOURCE_EXHAUSTED", True)
        feed.start()
        sidecar.wait(lambda: sidecar.metric("outbox_pending") == 0)
        assert not state(sidecar, "k3", delta=1).queued


def test_a_damaged_outbox_is_set_aside_and_told(place: Place, feed: Feed) -> None:
    place.state.mkdir()
    (place.state / "outbox.db").write_bytes(b"damaged" * 1000)
    with serving(place, feed) as sidecar:
        assert sidecar.metric("outbox_set_aside") == 1
        assert sidecar.status()["outbox"]["set_aside"] == [str(place.state / "outbox.db.aside-1")]
        assert sidecar.events("the outbox was set aside: statements in it are not sent")
        assert not state(sidecar, "k1", delta=1).queued


def test_nothing_is_sent_to_a_history_that_went_back(place: Place, feed: Feed) -> None:
    earlier = place.store_path.read_bytes()
    with serving(place, feed) as sidecar:
        right = state(sidecar, "k1", absolute=11)
        sidecar.wait(lambda: sidecar.metric("sync_revision") == right.revision)
        feed.stop()
        after = place.folder / "after.db"
        with closing(sqlite3.connect(place.store_path)) as conn:
            conn.execute("VACUUM INTO ?", (str(after),))
        place.put_store(earlier)
        with feeding(place.store, address=feed.address):
            sidecar.wait(lambda: sidecar.metric("sync_history_gone_back"))
            assert state(sidecar, "k2", absolute=12).queued
            sidecar.wait(lambda: "set back" in sidecar.status()["outbox"]["not_sent_because"])
            assert place.store_path.read_bytes() == earlier
        place.put_store(after.read_bytes())
        with feeding(place.store, address=feed.address):
            sidecar.wait(lambda: sidecar.metric("outbox_pending") == 0)
            assert state(sidecar, "k2", absolute=12).units == 12


# --- tenants that are not followed ---


def test_a_tenant_that_is_not_followed_is_fetched(place: Place, feed: Feed) -> None:
    with serving(place, feed, only_tenants="acme") as sidecar:
        assert sidecar.metric("tenants_held") == 1
        answer = sidecar.check("initech", "booking.create", "shared_desk")
        assert (answer.reason != "UNKNOWN_TENANT", answer.entitlement_revision) == (True, 1)
        assert sidecar.check("nobody", "booking.create", "shared_desk").reason == "UNKNOWN_TENANT"
        assert sidecar.metric('fetches_total{result="got"}') == 1
        assert sidecar.metric('fetches_total{result="unknown"}') == 1
        revision = place.use("initech", shared_desk=1)
        again = sidecar.check("initech", "booking.create", "shared_desk", min_revision=revision)
        assert again.entitlement_revision == revision
        feed.stop()
        request = pb.CheckRequest(tenant_id="globex", action="tenant.read")
        code, detail = sidecar.call("Check", request)
        assert (code, "not held here" in detail) == ("UNAVAILABLE", True)
        assert sidecar.check("acme", "booking.create", "shared_desk").allowed


def test_a_tenant_that_the_feed_keeps_from_this_sidecar_is_unknown(place: Place, feed: Feed) -> None:
    token = place.folder / "few"
    token.write_text(sidecar_token(place.store, "desk-2", ["acme"]))
    with serving(place, feed, only_tenants="acme", store_token_file=token) as sidecar:
        assert sidecar.check("initech", "booking.create", "shared_desk").reason == "UNKNOWN_TENANT"
        assert sidecar.metric('fetches_total{result="denied"}') == 1
        code, detail = sidecar.call("AdjustUsage", statement("k1", tenant_id="initech", delta=1))
        assert (code, "initech" in detail) == ("FAILED_PRECONDITION", True)
        assert not state(sidecar, "k2", delta=1).queued
