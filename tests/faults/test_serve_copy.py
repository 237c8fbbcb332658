"""A local copy that is not whole is set aside, its reason told, and rebuilt; without a store nothing is served."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sync.store.demo import EXAMPLES
from tests.serving import Place, RunningSidecar

QUESTION = pb.CheckRequest(tenant_id="acme", action="booking.create", resource=pb.Resource(kind="shared_desk"))


def garbage(copy: Path) -> None:
    copy.write_bytes(b"not a database at all " * 1000)


def truncated(copy: Path) -> None:
    copy.write_bytes(copy.read_bytes()[: copy.stat().st_size // 2])


def foreign(copy: Path) -> None:
    copy.unlink()
    with closing(sqlite3.connect(copy)) as conn, conn:
        conn.execute("CREATE TABLE songs (title TEXT)")


def one_record_altered(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as conn, conn:
        conn.execute("UPDATE tenant SET record = (SELECT record FROM tenant WHERE id = 'vandelay') WHERE id = 'hooli'")


def one_record_lost(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as conn, conn:
        conn.execute("DELETE FROM tenant WHERE id = 'stark'")


Spoil = Callable[[Path], None]
SPOILED = {
    garbage: "foreign",
    truncated: "damaged",
    foreign: "foreign",
    one_record_altered: "damaged",
    one_record_lost: "damaged",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A sidecar was here, and has ended."""
    place = Place(tmp_path_factory.mktemp("served"))
    with place.serve() as sidecar:
        assert sidecar.stop() == 0
    return place


@pytest.fixture
def place(served: Place, tmp_path: Path) -> Place:
    place = Place(tmp_path)
    shutil.copytree(served.state, place.state)
    return place


def served_rightly(sidecar: RunningSidecar) -> None:
    assert sidecar.check("acme", "booking.create", "shared_desk").allowed
    assert sidecar.check("hooli", "booking.create", "shared_desk").reason == "SUBSCRIPTION_EXPIRED"
    assert sidecar.check("stark", "booking.create", "shared_desk").reason == "ACCOUNT_BLOCKED"
    assert sidecar.metric("tenants_held") == len(EXAMPLES)


def told(place: Place, sidecar: RunningSidecar, kind: str) -> None:
    (event,) = sidecar.events("the local copy was set aside, and is rebuilt from the store")
    assert str(place.copy) in event["reason"]
    assert Path(event["aside"]).exists()
    assert sidecar.metric(f'local_copy_failures_total{{kind="{kind}"}}') == 1


@pytest.mark.parametrize(("spoil", "kind"), SPOILED.items())
def test_a_bad_copy_is_rebuilt_from_the_store(place: Place, spoil: Spoil, kind: str) -> None:
    spoil(place.copy)
    with place.serve() as sidecar:
        served_rightly(sidecar)
        told(place, sidecar, kind)
        assert sidecar.stop() == 0
    place.hide_store()
    with place.serve() as again:
        served_rightly(again)
        assert again.metric(f'local_copy_failures_total{{kind="{kind}"}}') == 0


@pytest.mark.parametrize("spoil", [garbage, one_record_lost])
def test_without_copy_and_store_it_stays_up_and_serves_nothing_until_the_store_returns(
    place: Place, spoil: Spoil
) -> None:
    spoil(place.copy)
    place.hide_store()
    with place.serve(ready=False) as sidecar:
        sidecar.wait(lambda: sidecar.metric('sync_failures_total{kind="missing"}') >= 3)
        told(place, sidecar, SPOILED[spoil])
        assert sidecar.page("/livez")[0] == 200
        code, why = sidecar.page("/readyz")
        assert (code, "no complete entitlement data" in why, "no store at" in why) == (503, True, True)
        assert sidecar.health() == "NOT_SERVING"
        for method, request in (
            ("Check", QUESTION),
            ("CheckBatch", pb.CheckBatchRequest(items=[QUESTION])),
            ("Explain", pb.ExplainRequest(check=QUESTION)),
        ):
            code_name, detail = sidecar.call(method, request)
            assert (code_name, detail) == ("UNAVAILABLE", "no complete entitlement data is in place yet")
        assert sidecar.metric("ready") == 0
        assert sidecar.metric("tenants_held") == 0
        place.return_store()
        sidecar.wait(lambda: sidecar.health() == "SERVING")
        served_rightly(sidecar)
        assert sidecar.page("/readyz")[0] == 200


def test_a_copy_removed_while_it_is_in_use_is_rebuilt(place: Place) -> None:
    with place.serve() as sidecar:
        for sign in ("", "-wal", "-shm"):
            Path(f"{place.copy}{sign}").unlink(missing_ok=True)
        revision = place.use("acme", fixed_desk=34)
        sidecar.wait(lambda: sidecar.check("acme", "booking.create", "fixed_desk").entitlement_revision == revision)
        assert sidecar.metric('local_copy_failures_total{kind="lost"}') >= 1
        assert sidecar.stop() == 0
    place.hide_store()
    with place.serve() as again:
        assert again.check("acme", "space.create", "fixed_desk").reason == "QUOTA_REACHED"
        assert again.metric("tenants_held") == len(EXAMPLES)
