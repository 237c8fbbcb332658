"""A feed server whose store goes away, comes back, or is another one; and one that stops: nobody is told a lie."""

from __future__ import annotations

import errno
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as auth
from sidecar._gen.desking.entitlements.v1 import feed_pb2 as pb
from sidecar.address import Address
from sync.feed import hub, spool
from sync.feed.channel import SERVICE, FeedTarget
from sync.feed.client import FeedSource
from sync.feed.protocol import Event, Heartbeat
from sync.listening import CannotServe
from sync.sources import FailureKind, Position
from sync.store.db import open_store
from tests.feeding import Ended, Feed, FeedUpstream, Held, Watch, called, feeding, follow, refused, target
from tests.serving import wait_for
from tests.upstreams import PostgresUpstream, SqliteUpstream


@pytest.fixture(params=["sqlite", "postgresql"])
def upstream(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FeedUpstream]:
    monkeypatch.setattr(hub, "OUT_OF_TOUCH", 0.3)
    behind = SqliteUpstream(tmp_path) if request.param == "sqlite" else PostgresUpstream()
    upstream = FeedUpstream(behind)
    yield upstream
    upstream.close()


@pytest.fixture
def to(upstream: FeedUpstream) -> FeedTarget:
    return target(upstream.feed, upstream.secret)


def in_touch(event: Event) -> bool:
    return isinstance(event, Heartbeat) and event.position is not None


def out_of_touch(event: Event) -> bool:
    return isinstance(event, Heartbeat) and event.problem != ""


def known(upstream: FeedUpstream) -> None:
    """Waits until the replica knows where its store is, and who is let in."""
    feed = upstream.feed
    wait_for(lambda: feed.within(lambda: feed.server.hub.head) == upstream.position())
    wait_for(lambda: feed.within(lambda: feed.server.hub.named("desk-1")))


# The store goes away


@pytest.mark.parametrize("tenants", [(), ("a",)], ids=["all", "some"])
def test_watches_stay_open_while_the_store_is_away_and_claim_no_contact(
    upstream: FeedUpstream, to: FeedTarget, tenants: tuple[str, ...]
) -> None:
    with Watch(to, tenants=tenants) as watch:
        watch.update()
        watch.until(in_touch)
        upstream.behind.go_away()
        event = watch.until(out_of_touch)
        assert isinstance(event, Heartbeat)
        assert event.position is None
        assert upstream.behind.secret in ("", "s3cret")
        assert "s3cret" not in event.problem
        for _ in range(3):
            assert out_of_touch(watch.next())
        upstream.change("a")
        upstream.behind.come_back()
        batch, changes, _ = watch.update()
        assert (batch.position, set(changes)) == (upstream.position(), {"a"})
        watch.until(in_touch)


def test_a_sidecar_serves_on_and_says_why(upstream: FeedUpstream, to: FeedTarget) -> None:
    source, held = FeedSource(to), Held()
    follow(source, held, lambda: held.contacts)
    with capture_logs() as logs:
        upstream.behind.go_away()
        follow(source, held, lambda: len(held.failures) >= 2)
        contacts = len(held.contacts)
        follow(source, held, lambda: len(held.failures) >= 4)
        assert len(held.contacts) == contacts
        upstream.change("b")
        upstream.behind.come_back()
        follow(source, held, lambda: held.held == upstream.position() and len(held.contacts) > contacts)
    assert {failure.kind for failure in held.failures} == {FailureKind.UNREACHABLE}
    assert all(f"{to.addresses[0]} is out of touch with its store: " in f.problem for f in held.failures)
    assert not [log for log in logs if log["event"] == "a watch begins"]
    assert held.rows == upstream.records()
    source.close()


def test_what_can_be_known_without_the_store_is_served_and_the_rest_is_unavailable(
    upstream: FeedUpstream, to: FeedTarget
) -> None:
    known(upstream)
    early = upstream.position()
    upstream.change("a")
    known(upstream)
    now = upstream.position()
    with Watch(to) as watch:
        rows = watch.update()[1]
    upstream.behind.go_away()
    wait_for(lambda: not upstream.feed.within(lambda: upstream.feed.server.hub.in_touch))
    with Watch(to, since=now) as watch:  # a fleet that comes back
        assert out_of_touch(watch.next())
        with Watch(to, since=early) as behind:  # what changed is at hand
            assert set(behind.update()[1]) == {"a"}
        with Watch(to) as new:  # as is the snapshot
            assert new.update()[1] == rows
        upstream.behind.come_back()
        watch.until(in_touch)
        upstream.behind.go_away()
        wait_for(lambda: not upstream.feed.within(lambda: upstream.feed.server.hub.in_touch))
    unknown = Position(store_id=now.store_id, revision=now.revision, mark="0" * 64)
    stranger = FeedTarget(addresses=to.addresses, token="x" * 43)
    for ended in (
        refused(to, since=unknown),
        refused(to, since=unknown, tenants=["a"]),
        refused(to, tenants=["a"]),
        refused(stranger),
    ):
        assert (ended.status.name, ended.code) == ("UNAVAILABLE", "STORE"), ended
        assert "s3cret" not in ended.text
    for method, request in (
        ("Get", pb.GetRequest(tenant_id="a")),
        ("AdjustUsage", auth.AdjustUsageRequest(tenant_id="a", key="k", idempotency_key="k", delta=1)),
    ):
        with pytest.raises(Ended) as call:
            called(to, method, request, pb.GetResponse)
        assert (call.value.status.name, call.value.code) == ("UNAVAILABLE", "STORE")
    upstream.behind.come_back()


def test_a_replica_that_begins_without_its_store_comes_to_it(upstream: FeedUpstream, to: FeedTarget) -> None:
    upstream.feed.stop()
    upstream.behind.go_away()
    upstream.feed.start()
    assert refused(to).code == "STORE"
    upstream.behind.come_back()
    source, held = FeedSource(to), Held()
    follow(source, held, lambda: held.contacts, failing=True)
    assert held.rows == upstream.records()
    source.close()


def test_with_several_servers_one_that_is_out_of_touch_is_left(
    upstream: FeedUpstream, to: FeedTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "OUT_OF_TOUCH", 1.5)  # a busy machine makes the other one slow, and it is not to be left
    other = open_store(upstream.rows.store.name)
    if isinstance(upstream.behind, SqliteUpstream):
        pytest.skip("a file is away for all")
    with feeding(other) as well:
        both = FeedTarget(addresses=(*to.addresses, well.address), token=to.token)
        sources = [(FeedSource(both), Held()) for _ in range(6)]
        for source, held in sources:
            follow(source, held, lambda held=held: held.contacts)  # type: ignore[misc]
        upstream.behind.go_away()
        wait_for(lambda: not upstream.feed.within(lambda: upstream.feed.server.hub.in_touch))
        upstream.change("c")
        for source, held in sources:
            caught = lambda held=held: held.held == upstream.position()  # noqa: E731
            follow(source, held, caught, failing=True)
            contacts = len(held.contacts)
            follow(source, held, lambda held=held, n=contacts: len(held.contacts) > n + 1)  # type: ignore[misc]
            source.close()


def test_looking_goes_on_whatever_happens(
    upstream: FeedUpstream, to: FeedTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = True
    real = upstream.feed.server._eye._bell.wait

    def wait(timeout: float) -> bool:
        if failing:
            raise ValueError("nobody thought of this")
        return real(timeout)

    monkeypatch.setattr(upstream.feed.server._eye._bell, "wait", wait)
    with Watch(to) as watch, capture_logs() as logs:
        watch.update()
        for _ in range(3):
            upstream.change("a")
            watch.update()
        failing = False
        upstream.change("b")
        watch.update()
    assert any(log["event"] == "looking at the store failed unexpectedly" for log in logs)


def test_no_room_for_a_snapshot_is_told_and_got_over(
    upstream: FeedUpstream, to: FeedTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(spool.tempfile, "TemporaryFile", full)
        ended = refused(to)
        assert (ended.status.name, ended.code) == ("UNAVAILABLE", "DISK")
    with Watch(to) as watch:
        assert watch.update()[1] == upstream.records()


# The store's history


@pytest.mark.parametrize("tenants", [(), ("a",)], ids=["all", "some"])
@pytest.mark.parametrize("change", ["go back", "another", "another way"])
def test_a_history_that_went_back_under_a_servers_feet_ends_its_watches(
    upstream: FeedUpstream, to: FeedTarget, tenants: tuple[str, ...], change: str
) -> None:
    backup = upstream.remember()
    upstream.change("a")
    with Watch(to, tenants=tenants) as watch:
        watch.update()
        watch.until(lambda event: in_touch(event) and event.position == upstream.position())  # type: ignore[union-attr]
        before = upstream.position()
        if change == "another":
            upstream.be_another()
        else:
            upstream.go_back(backup)
            for _ in range(2 * (change == "another way")):
                upstream.change("b")
        ended = watch.ended()
    assert (ended.status.name, ended.code) == ("FAILED_PRECONDITION", "HISTORY_WENT_BACK")
    assert refused(to, since=before, tenants=tenants).code == "HISTORY_WENT_BACK"
    assert refused(to, since=before, whole=True).code == "HISTORY_WENT_BACK"
    known(upstream)
    with Watch(to) as watch:  # who holds nothing is sent what there is, and not what there was
        batch, changes, _ = watch.update()
        assert (batch.position, changes) == (upstream.position(), upstream.records())


def test_an_earlier_state_that_is_meant_is_sent_once_and_as_it_is(upstream: FeedUpstream, to: FeedTarget) -> None:
    backup = upstream.remember()
    upstream.change("a")
    watches = [(FeedSource(to), Held()) for _ in range(3)]
    for source, held in watches:
        follow(source, held, lambda held=held: held.held == upstream.position())  # type: ignore[misc]
    upstream.go_back(backup)
    upstream.mean_it()
    for source, held in watches:
        follow(source, held, lambda held=held: held.held == upstream.position(), failing=True)  # type: ignore[misc]
        contacts = len(held.contacts)
        follow(source, held, lambda held=held, n=contacts: len(held.contacts) > n + 1)  # type: ignore[misc]
        assert (held.rows, held.snapshots) == (upstream.records(), 2)
        source.close()


# A server that stops


@pytest.mark.parametrize("tenants", [(), ("a",)], ids=["all", "some"])
def test_a_server_that_stops_ends_its_watches_and_another_one_goes_on(
    upstream: FeedUpstream, to: FeedTarget, tenants: tuple[str, ...]
) -> None:
    with feeding(open_store(upstream.rows.store.name)) as other:
        both = FeedTarget(addresses=(*to.addresses, other.address), token=to.token)
        source, held = FeedSource(both, only=tenants), Held()
        follow(source, held, lambda: held.contacts)
        with Watch(to, tenants=tenants) as watch:
            watch.update()
            upstream.feed.stop()
            ended = watch.ended()
        assert (ended.status.name, ended.code) == ("UNAVAILABLE", "STOPPING")
        upstream.change("a")
        follow(source, held, lambda: held.held == upstream.position(), failing=True)
        assert held.snapshots == (2 if tenants and held.failures else 1)
        source.close()


def test_no_thread_and_no_file_is_left_of_a_server_that_stopped(upstream: FeedUpstream, to: FeedTarget) -> None:
    with Watch(to) as watch:
        watch.update()
        upstream.feed.stop()
    names = lambda: {t.name for t in threading.enumerate() if t.name.startswith(("deskgate-eye", "feed"))}  # noqa: E731
    wait_for(lambda: not names(), names)


# What it tells of itself


def value(feed: Feed, name: str, **labels: str) -> float:
    return feed.server.metrics.registry.get_sample_value(f"deskgate_feed_{name}", labels or None) or 0.0


def test_metrics_are_served_and_right(upstream: FeedUpstream, to: FeedTarget) -> None:
    feed = upstream.feed
    with Watch(to) as watch, Watch(to, tenants=["a"]) as some:
        watch.update(), some.update()
        assert value(feed, "watchers") == 2
        assert value(feed, "snapshots_total") == 1
        upstream.change("a")
        watch.update()
        assert value(feed, "revision") == upstream.position().revision
        assert value(feed, "window_bytes") == feed.server.hub.window.size > 0
        assert value(feed, "events_total") >= 5
        assert value(feed, "bytes_total") > 100
        assert value(feed, "in_touch") == 1
        with pytest.raises(Ended):
            called(to, "Get", pb.GetRequest(), pb.GetResponse)
        called(to, "Get", pb.GetRequest(tenant_id="a"), pb.GetResponse)
        assert value(feed, "calls_total", method="Get", status="OK") == 1
        assert value(feed, "calls_total", method="Get", status="INVALID_ARGUMENT") == 1
        upstream.behind.go_away()
        wait_for(lambda: value(feed, "in_touch") == 0)
        upstream.behind.come_back()
        wait_for(lambda: value(feed, "in_touch") == 1)
    wait_for(lambda: value(feed, "watchers") == 0)
    port = free_port()
    feed.server.metrics.serve(Address("127.0.0.1", port))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    assert "deskgate_feed_watchers 0.0" in text
    assert "process_resident_memory_bytes" in text
    assert "desk-1" not in text
    with pytest.raises(CannotServe, match="metrics cannot be served"):
        feed.server.metrics.serve(Address("127.0.0.1", port))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def test_its_health_is_told_to_anybody(upstream: FeedUpstream, to: FeedTarget) -> None:
    with grpc.insecure_channel(str(to.addresses[0])) as channel:
        stub = health_pb2_grpc.HealthStub(channel)  # type: ignore[no-untyped-call]
        for service in ("", SERVICE):
            told = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
            assert told.status == health_pb2.HealthCheckResponse.SERVING
        watch: Any = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=20)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        upstream.feed.stop()
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
