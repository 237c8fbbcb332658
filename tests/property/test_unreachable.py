"""A day without a store over a network: terms end, grace ends, blocks begin and balances block on time, and data grow
old on time, whatever is done to the machine's clock (domain.md 4 to 7): at many instants the real applier, clock, local
copy and world decide what the oracle says.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from sidecar.core.model import FOREVER
from sidecar.records import encode
from sidecar.state.applier import Applier
from sidecar.state.clock import Clock
from sidecar.state.clockfile import ClockFile
from sidecar.state.localcopy import LocalCopy
from sidecar.state.world import Worlds
from sync.sources import FailureKind, Position, SyncFailed, Update
from tests import bridge, oracle, shipped
from tests.fakes import Hands, digest_of
from tests.oracle import DAY, HOUR, Ask, Record
from tests.strategies import boundaries, random_case

CASES = 2_000 if os.environ.get("DESKGATE_SOAK") else 120
CHUNKS = 4
INSTANTS = 24
STALE, BLIND = 5 * 60 * 1_000_000, 24 * HOUR
YEAR = 365 * DAY
REACHED = {"LIVE", "STALE", "BLIND", "SUBSCRIPTION_EXPIRED", "GRACE_ENDED", "TENANT_SUSPENDED", "ACCOUNT_BLOCKED"}
AWAY = SyncFailed(FailureKind.UNREACHABLE, "nobody answers")


class Machine:
    """A sidecar's state on a machine whose clock may say anything; time itself goes on by `passes`."""

    def __init__(self, folder: Path, rng: random.Random, at: int) -> None:
        self.folder, self._rng = folder, rng
        self.hands, self.boot = Hands(at + rng.randint(-YEAR, YEAR)), Hands(rng.randint(0, YEAR))
        self.begin()

    def begin(self) -> None:
        self.clock = Clock(ClockFile(self.folder / "clock"), machine=self.hands, boot=self.boot)
        self.worlds = Worlds(book=shipped.book(), compiled_bound=10, on_invalid=lambda tenant, _: pytest.fail(tenant))
        self.sink = Applier(copy=LocalCopy(self.folder / "copy.db"), clock=self.clock, publish=self.worlds.publish)
        self.sink.load()

    def takes(self, *records: Record, at: int) -> None:
        """Everything, from a store whose clock says `at`."""
        rows = [(r["tenant_id"], encode(bridge.record(r))) for r in records]
        mark = digest_of(rows)
        position = Position(store_id="store", revision=1, mark=mark)
        self.sink.apply(Update(position=position, snapshot=True, changes=rows, digest=mark))
        self.sink.contact(at)

    def passes(self, micros: int) -> None:
        """Time goes by; the machine's clock is set to anything, now and then."""
        self.boot.micros += micros
        self.hands.micros += micros
        if self._rng.random() < 0.3:
            self.hands.micros = self.boot.micros + self._rng.randint(-YEAR, YEAR)

    def restarts(self, machine: int) -> None:
        """The process ends and starts anew, on a machine whose clock says this."""
        self.clock.save()
        self.sink.close()
        self.hands.micros = machine
        self.begin()

    def decides(self, ask: Ask) -> dict[str, object]:
        now = self.clock.now()
        world = self.worlds.current
        assert world is not None
        tenant = world.tenant("acme")
        assert tenant is not None
        freshness = self.sink.freshness_of(tenant.applied.thresholds, now)
        return bridge.plain(bridge.decided(tenant, world.book, bridge.ask(ask), now, freshness.value))


def freshness(age: int) -> str:
    return "LIVE" if age <= STALE else "STALE" if age <= BLIND else "BLIND"


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_day_without_the_store(chunk: int, tmp_path: Path) -> None:
    told: set[object] = set()
    for seed in range(chunk, CASES, CHUNKS):
        (folder := tmp_path / str(seed)).mkdir()
        told |= _a_day(seed, folder)
    assert told >= REACHED


def _a_day(seed: int, folder: Path) -> set[object]:
    rng = random.Random(seed)
    record, ask, around, _ = random_case(rng)
    if record is None or record["tenant_id"] != "acme":
        return set()
    edges = [e for e in boundaries(record, ask=ask) if abs(e) < FOREVER // 2] or [around]
    contact = rng.choice(edges) - rng.randint(0, 24 * HOUR)
    machine = Machine(folder, rng, contact)
    machine.takes(record, *([record["holder"]] if record["holder"] else []), at=contact)
    until = contact + 26 * HOUR
    within = [e + d for e in (*edges, contact + STALE, contact + BLIND) if contact < e < until for d in (-1, 0, 1)]
    within += [rng.randint(contact, until) for _ in range(INSTANTS)]
    instants = sorted(rng.sample(within, min(INSTANTS, len(within))))
    restart_at = rng.choice(instants) if rng.random() < 0.5 else until
    now, told = contact, set()
    for instant in instants:
        machine.passes(instant - now)
        now = instant
        if now == restart_at and machine.clock.source == "store":
            machine.restarts(machine=now - rng.choice([0, DAY]))  # right, or set back: then the floor holds
        elif now >= restart_at:  # no store settles the clock any more: the machine's goes on
            machine.hands.micros = now
        machine.sink.failed(AWAY)
        assert machine.clock.now() == now, seed
        assert machine.sink.last_contact == contact, seed
        fresh = freshness(now - contact)
        want = oracle.decide(record, ask, now, fresh)
        assert machine.decides(ask) == want, (seed, now, fresh)
        told |= {fresh, want["reason"], want["effect"]}
    machine.sink.close()
    return told
