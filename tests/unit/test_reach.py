"""What a sidecar asks of its store beside following it, by the kind of its store; and while it is not followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sidecar.observe.metrics import Metrics
from sidecar.outbox.rows import Counts
from sidecar.reach import WAITING_WRITERS, WRITERS, NetworkReach, Reach, reach_of
from sidecar.serving.adjust import Adjusted, Adjustment
from sidecar.settings import load
from sidecar.state.applier import Applier
from sidecar.state.clock import Clock
from sidecar.state.clockfile import ClockFile
from sidecar.state.localcopy import LocalCopy
from sync.opening import UnknownSource
from sync.sources import FailureKind, SyncFailed
from tests.fakes import FakeWorld
from tests.serving import wait_for
from tests.unit.test_feed_calls import unused

STATEMENT = Adjustment(tenant_id="acme", key="desk", idempotency_key="k1", delta=1)


class Bench:
    """A sidecar's parts, without the sidecar."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock(ClockFile(folder / "clock"))
        self.followed = 0
        self.applier = Applier(
            copy=LocalCopy(folder / "copy.db"),
            clock=self.clock,
            publish=FakeWorld().publish,
            on_followed=self._count,
        )
        self.metrics = Metrics(version="test")

    def _count(self) -> None:
        self.followed += 1

    def reach(self, **flags: Any) -> Reach:
        return reach_of(
            load(flags=flags, environ={}).settings,
            path=self.folder / "outbox.db",
            applier=self.applier,
            clock=self.clock,
            metrics=self.metrics,
            unfollowed=str,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_store_on_this_machine_has_no_outbox_and_nothing_is_fetched(bench: Bench) -> None:
    reach = bench.reach(store=str(bench.folder / "store.db"))
    assert (reach.fetch, reach.writers, reach.counts(), reach.status(), reach.set_aside()) == (
        None,
        WRITERS,
        None,
        None,
        0,
    )
    reach.start()
    reach.wake()
    reach.stop()
    assert not (bench.folder / "outbox.db").exists()


@pytest.mark.parametrize("store", ["deskgate://{}", "postgresql://nobody@{}/nothing"])
def test_a_store_over_a_network_has_both(bench: Bench, store: str) -> None:
    reach = bench.reach(store=store.format(unused()))
    assert isinstance(reach, NetworkReach)
    assert (reach.fetch is not None, reach.writers) == (True, WAITING_WRITERS)
    assert reach.counts() is None, "not begun yet"
    assert reach.status().usable is False
    reach.start()
    assert reach.counts() == Counts()
    assert reach.adjust(STATEMENT, 0.0) == Adjusted(queued=True)
    wait_for(lambda: reach.status().not_sent_because == "the store has not been in touch yet")
    bench.applier.failed(SyncFailed(FailureKind.UNREACHABLE, "nobody answers"))
    wait_for(lambda: reach.status().not_sent_because == "nobody answers")
    told = reach.status()
    assert (told.pending, told.refused, told.set_aside) == (1, 0, ())
    assert told.oldest_at
    bench.applier.contact()
    reach.wake()
    wait_for(lambda: reach.status().not_sent_because not in ("", "nobody answers"), "it is tried")
    reach.stop()
    assert reach.counts() == Counts(pending=1, oldest=reach.counts().oldest)  # type: ignore[union-attr]


def test_a_token_that_is_not_there_is_told_at_the_start(bench: Bench) -> None:
    with pytest.raises(UnknownSource, match="cannot be read"):
        bench.reach(store="deskgate://127.0.0.1:1", store_token_file=str(bench.folder / "none"))


def test_an_outbox_that_cannot_be_opened_stops_no_start(bench: Bench) -> None:
    (bench.folder / "outbox.db").mkdir()
    reach = bench.reach(store=f"deskgate://{unused()}")
    reach.start()
    assert reach.counts() is None
    reach.stop()


def test_the_store_is_in_touch_from_the_first_contact_to_the_next_failure(bench: Bench) -> None:
    applier = bench.applier
    assert not applier.in_touch
    applier.contact()
    applier.contact()
    assert (applier.in_touch, bench.followed) == (True, 1)
    applier.failed(SyncFailed(FailureKind.UNREACHABLE, "nobody answers"))
    assert not applier.in_touch
    applier.contact()
    assert (applier.in_touch, bench.followed) == (True, 2)
