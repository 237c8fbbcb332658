"""A sidecar whose store is a database at the end of a network: followed, lost and found again, set back; and its clock
settles the machine's (domain.md 4, 7, 8.27).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.state.clockfile import ClockFile, Remembered
from sync.feed.backoff import CAP
from sync.store.db import open_store
from sync.store.demo import seed_demo
from tests import postgresql
from tests.proxy import Proxy
from tests.serving import ROOT, Place, RunningSidecar, deskgate, told_by
from tests.upstreams import to_server

DAY = 86_400
AHEAD = 300 * DAY
"""Acme's term ends in 265 days, and its grace three months later."""
SECRET = "s3cret"
LONGEST = CAP + 5
"""Seconds within which a sidecar tries again, however long it has been failing."""


class Network:
    """A store of demo tenants in a database, which is reached through a proxy."""

    def __init__(self) -> None:
        self.direct = postgresql.fresh()
        self.name = self.direct.rpartition("/")[2]
        seed_demo(open_store(self.direct), time.time_ns() // 1000)
        self.proxy = Proxy(to_server)
        self.url = f"postgresql://postgres:{SECRET}@127.0.0.1:{self.proxy.port}/{self.name}"


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.proxy.cut()


def asked(sidecar: RunningSidecar, tenant: str = "acme") -> str:
    return sidecar.check(tenant, "booking.create", "shared_desk").reason


def test_what_is_committed_arrives_and_the_password_is_told_nowhere(place: Place, network: Network) -> None:
    with place.serve(store=network.url) as sidecar:
        assert asked(sidecar) == ""
        told_by("tenant", "block", "acme", "fraud", "--store", network.direct)
        sidecar.wait(lambda: asked(sidecar) == "TENANT_SUSPENDED", seconds=2)
        status = sidecar.status()
        shown = network.url.replace(f":{SECRET}", "")
        assert (status["store"]["source"], status["store"]["freshness"]) == (shown, "LIVE")
        assert status["clock"]["source"] == "store"
        pages = [sidecar.page(path)[1] for path in ("/statusz", "/statusz?format=json", "/metrics")]
        assert sidecar.stop() == 0
        assert SECRET not in "".join([*pages, sidecar.log])
    for form in ((), ("--json",)):
        done = deskgate("config", "show", *place.flags(store=network.url), *form)
        assert done.returncode == 0
        assert shown in done.stdout
        assert SECRET not in done.stdout + done.stderr


def test_a_store_that_is_away_is_told_of_without_the_password_too(place: Place, network: Network) -> None:
    with place.serve(store=network.url) as sidecar:
        network.proxy.cut()
        sidecar.wait(lambda: sidecar.metric('sync_failures_total{kind="unreachable"}') > 0)
        assert asked(sidecar) == ""
        sidecar.wait(lambda: "cannot be reached" in sidecar.status()["store"]["last_error"])
        assert SECRET not in sidecar.page("/statusz")[1]
        began = time.monotonic()
        assert sidecar.stop() == 0
        assert time.monotonic() - began < 5
        assert SECRET not in sidecar.log


def test_a_store_set_back_is_alarmed_and_taken_over_once_that_is_meant(place: Place, network: Network) -> None:
    backup = postgresql.backup(network.name)
    with place.serve(store=network.url) as sidecar:
        revision = told_by("tenant", "block", "acme", "fraud", "--store", network.direct)["revision"]
        sidecar.wait(lambda: asked(sidecar) == "TENANT_SUSPENDED")
        postgresql.replace(network.name, backup)
        sidecar.wait(lambda: sidecar.metric("sync_history_gone_back") == 1, seconds=LONGEST)
        assert asked(sidecar) == "TENANT_SUSPENDED"
        assert "store restored" in sidecar.status()["store"]["last_error"]
        told_by("store", "restored", "--past", revision, "--store", network.direct)
        sidecar.wait(lambda: asked(sidecar) == "", seconds=LONGEST)
        sidecar.wait(lambda: sidecar.metric("sync_history_gone_back") == 0)  # by the contact that follows
        assert sidecar.metric("sync_revision") > float(revision)


class Machine:
    """A machine whose clock can be set."""

    def __init__(self, folder: Path) -> None:
        self._shift = folder / "shift"
        self.command = (sys.executable, str(ROOT / "tests" / "e2e" / "shifted.py"), str(self._shift))
        self.set(0)

    def set(self, ahead: int) -> None:
        draft = self._shift.with_suffix(".draft")
        draft.write_text(str(ahead))
        draft.replace(self._shift)


def test_case_27_a_clock_that_had_jumped_ahead_is_settled_by_the_store(
    place: Place, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    machine = Machine(place.folder)
    with place.serve(store=network.url, command=machine.command) as first:
        assert asked(first) == ""
        assert first.stop() == 0
    network.proxy.cut()
    with place.serve(store=network.url, command=machine.command) as sidecar:
        contact = sidecar.status()["store"]["last_contact_at"]
        assert contact != ""  # that of the process before
        machine.set(AHEAD)
        assert asked(sidecar) == "SUBSCRIPTION_EXPIRED"
        machine.set(0)
        assert asked(sidecar) == "SUBSCRIPTION_EXPIRED"
        assert sidecar.status()["clock"]["source"] == "floor"
        sidecar.wait_for_event(FAR_OFF)
        network.proxy.restore()
        sidecar.wait(lambda: asked(sidecar) == "", seconds=LONGEST)
        assert sidecar.status()["clock"]["source"] == "store"
        assert abs(sidecar.metric("clock_offset_seconds")) < 5
        assert sidecar.status()["store"]["last_contact_at"] > contact
        sidecar.wait_for_event(AGREES)
        machine.set(AHEAD)  # from now on the machine's clock decides nothing
        assert asked(sidecar) == ""
        assert sidecar.metric("clock_offset_seconds") > AHEAD - DAY
        sidecar.wait(lambda: any(e["decided_by"] == "store" for e in sidecar.events(FAR_OFF)))
        assert asked(sidecar) == ""


AGREES = "the machine's clock agrees again with the instant decided by"
FAR_OFF = "the machine's clock is far from the instant decided by; if it is right, run `deskgate clock settle`"


def test_a_settlement_is_told_in_the_databases_audit_trail_and_not_over_a_feed(place: Place, network: Network) -> None:
    place.state.mkdir()
    ahead = Remembered(floor=time.time_ns() // 1000 + AHEAD * 1_000_000, last_contact=None)
    options = ("--state-dir", place.state, "--by", "ops", "--json")
    for store, complaint in ((network.url, ""), ("deskgate://127.0.0.1:1", "takes no entries over a feed")):
        file = ClockFile(place.state / "clock")
        file.read()
        file.write(ahead)
        done = deskgate("clock", "settle", *options, "--store", store)
        assert done.returncode == 0, done.stderr
        assert complaint in done.stderr
        assert SECRET not in done.stdout + done.stderr
    (entry,) = told_by("audit", "list", "--action", "clock.settle", "--store", network.direct)["entries"]
    assert entry["operator"] == "local:ops"
