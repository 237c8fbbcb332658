"""A store that is missing, locked, damaged, newer, replaced or set back: the last world serves on, and that is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sync.store.db import open_store
from sync.store.demo import seed_demo
from tests.serving import Place, RunningSidecar

FRESHNESS = "freshness: {stale_after: PT5M, blind_after: PT24H}"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def sidecar(place: Place) -> Iterator[RunningSidecar]:
    with place.serve() as sidecar:
        yield sidecar


def statement(once: str) -> pb.AdjustUsageRequest:
    return pb.AdjustUsageRequest(tenant_id="acme", key="fixed_desk", idempotency_key=once, delta=1)


def asked(sidecar: RunningSidecar) -> tuple[bool, int, str]:
    answer = sidecar.check("acme", "booking.create", "shared_desk", timeout=1.0)
    return answer.allowed, answer.entitlement_revision, answer.freshness


def not_followed(sidecar: RunningSidecar, kind: str) -> None:
    """Waits until the store is not followed for a reason of this kind, and sees that this is told everywhere."""
    sidecar.wait(lambda: sidecar.metric(f'sync_failures_total{{kind="{kind}"}}'))
    assert [e["kind"] for e in sidecar.events("the store cannot be followed")][-1] == kind
    assert sidecar.status()["store"]["last_error"].startswith(f"{kind}: ")
    assert sidecar.page("/readyz")[0] == 200


def followed(sidecar: RunningSidecar, revision: int) -> None:
    """Waits until the store is followed, up to a revision, and nothing of the trouble is left."""
    sidecar.wait(lambda: asked(sidecar) == (True, revision, "LIVE"))
    sidecar.wait(lambda: not sidecar.status()["store"]["last_error"])
    assert sidecar.metric("sync_history_gone_back") == 0


def test_a_missing_store(place: Place, sidecar: RunningSidecar) -> None:
    place.hide_store()
    not_followed(sidecar, "missing")
    assert asked(sidecar) == (True, 1, "LIVE")
    code, detail = sidecar.call("AdjustUsage", statement("missing"))
    assert (code, str(place.store_path) in detail) == ("UNAVAILABLE", True)
    place.return_store()
    code, used = sidecar.call("AdjustUsage", statement("missing"))
    assert code == "OK"
    followed(sidecar, used.revision)


def test_a_locked_store_holds_up_statements_and_no_check(place: Place, sidecar: RunningSidecar) -> None:
    with closing(sqlite3.connect(place.store_path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        stub = sidecar.channel.unary_unary("/desking.entitlements.v1.AuthorizationService/AdjustUsage")
        stated = stub.future(statement("locked").SerializeToString(), timeout=20)
        checks = 0
        while not stated.done():
            assert asked(sidecar) == (True, 1, "LIVE")
            checks += 1
        assert stated.code().name == "UNAVAILABLE"
        assert "locked" in stated.details()
        assert checks >= 100
        writer.execute("ROLLBACK")
    code, used = sidecar.call("AdjustUsage", statement("locked"))
    assert (code, used.units, used.revision) == ("OK", 26, 2)
    followed(sidecar, 2)


def test_a_store_of_a_newer_schema(place: Place, sidecar: RunningSidecar) -> None:
    with closing(sqlite3.connect(place.store_path)) as conn, conn:
        conn.execute("UPDATE store SET schema_version = schema_version + 1")
    not_followed(sidecar, "newer_schema")
    assert asked(sidecar)[:2] == (True, 1)
    assert "update deskgate" in sidecar.status()["store"]["last_error"]
    assert sidecar.call("AdjustUsage", statement("newer"))[0] == "UNAVAILABLE"
    with closing(sqlite3.connect(place.store_path)) as conn, conn:
        conn.execute("UPDATE store SET schema_version = schema_version - 1")
    followed(sidecar, 1)


def another_store(place: Place) -> bytes:
    path = place.folder / "another.db"
    seed_demo(open_store(path, create=True), 1_700_000_000_000_000)
    return path.read_bytes()


def an_emptied_store(place: Place) -> bytes:
    return b""


def an_earlier_state(place: Place) -> bytes:
    return (place.folder / "earlier.db").read_bytes()


@pytest.mark.parametrize("put", [another_store, an_emptied_store, an_earlier_state])
def test_a_history_that_went_back_is_not_followed(place: Place, put: Callable[[Place], bytes]) -> None:
    (place.folder / "earlier.db").write_bytes(place.store_path.read_bytes())
    revision = place.use("acme", shared_desk=31)
    right = place.store_path.read_bytes()
    with place.serve() as sidecar:
        sidecar.wait(lambda: asked(sidecar) == (True, revision, "LIVE"))
        assert sidecar.metric("sync_history_gone_back") == 0
        place.put_store(put(place))
        sidecar.wait(lambda: sidecar.metric("sync_history_gone_back"))
        not_followed(sidecar, "history_went_back")
        answer = sidecar.check("acme", "space.create", "shared_desk")
        assert (answer.entitlement_revision, answer.quota and answer.quota.used) == (revision, 35)
        assert sidecar.status()["store"]["history_gone_back"] is True
        before = place.store_path.read_bytes()
        code, detail = sidecar.call("AdjustUsage", statement("elsewhere"))
        assert (code, "not written to" in detail) == ("UNAVAILABLE", True)
        assert place.store_path.read_bytes() == before
        place.put_store(right)
        followed(sidecar, revision)
        followed(sidecar, place.use("acme", shared_desk=32))


def test_a_history_that_went_back_while_the_sidecar_was_down(place: Place) -> None:
    with place.serve() as first:
        assert first.stop() == 0
    right = place.store_path.read_bytes()
    place.put_store(another_store(place))
    with place.serve() as second:
        not_followed(second, "history_went_back")
        assert asked(second)[:2] == (True, 1)
        assert second.metric("sync_history_gone_back") == 1
        place.put_store(right)
        followed(second, 1)


def test_a_restart_without_the_store_serves_the_local_copy_at_once(place: Place) -> None:
    with place.serve() as first:
        revision = place.use("acme", fixed_desk=34)
        first.wait(lambda: asked(first)[1] == revision)
        assert first.stop() == 0
    place.hide_store()
    with place.serve() as second:
        assert second.wait_for_event("serving")["ready"] is True
        assert second.events("the local copy serves")[0]["revision"] == revision
        assert second.check("acme", "space.create", "fixed_desk").reason == "QUOTA_REACHED"
        assert second.check("hooli", "booking.create", "shared_desk").reason == "SUBSCRIPTION_EXPIRED"
        assert second.health() == "SERVING"
        place.return_store()
        followed(second, revision)


def test_freshness_falls_without_the_store_and_comes_back_with_it(place: Place) -> None:
    shipped = place.policy.read_text()
    assert FRESHNESS in shipped
    place.policy.write_text(shipped.replace(FRESHNESS, "freshness: {stale_after: PT0.5S, blind_after: PT3S}"))
    with place.serve() as first:
        assert asked(first)[2] == "LIVE"
        place.hide_store()
        first.wait(lambda: asked(first)[2] == "STALE")
        stale = first.check("acme", "booking.create", "shared_desk")
        assert (stale.allowed, [w.code for w in stale.warnings]) == (True, ["STALE_DATA"])
        assert first.metric('freshness{state="STALE"}') == 1
        assert first.stop() == 0
    with place.serve() as second:  # the last contact survives a restart
        assert asked(second)[2] != "LIVE"
        second.wait(lambda: asked(second)[2] == "BLIND")
        blind = second.check("acme", "booking.create", "shared_desk")
        assert (blind.reason, blind.retry) == ("DATA_TOO_OLD", "TRANSIENT")
        cancel = second.check("acme", "booking.cancel", "shared_desk")
        assert (cancel.allowed, [w.code for w in cancel.warnings]) == (True, ["STALE_DATA"])
        place.return_store()
        second.wait(lambda: asked(second) == (True, 1, "LIVE"))
        assert second.metric('freshness{state="LIVE"}') == 1
