"""kill -9 of the sidecar, the feed server or PostgreSQL at any moment, while the store is written, usage is stated
through the sidecar and checks are asked: no answer is wrong, no acknowledged statement is lost or counted twice, no
sidecar goes back, and once all of them run again the sidecar is where the store is within ten seconds.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
from sqlalchemy import func, select

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.serving.service import SERVICE
from sync.feed.backoff import HEALTHY_AFTER
from sync.store import schema
from sync.store.db import open_store
from sync.store.errors import StoreError
from sync.store.usage import Absolute, adjust_usage, list_usage
from tests.faults.postgres import Postgres
from tests.feeding import sidecar_token
from tests.serving import COMMAND, ROOT, Place, RunningSidecar, environment, wait_for
from tests.storing import TESTER, Shop, months, per_unit

SOAK = bool(os.environ.get("DESKGATE_SOAK"))
KILLS = 100 if SOAK else 10
CONVERGED_WITHIN = 10.0
LIMIT = 20
PATIENCE = 30.0


class Feed:
    """A `deskgate feed serve` process that comes back at the same address."""

    def __init__(self, store_url: str, folder: Path) -> None:
        self._url, self._folder = store_url, folder
        self.address = "127.0.0.1:0"
        self._starts = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._starts += 1
        log = self._folder / f"feed-{self._starts}.log"
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    *COMMAND,
                    "feed",
                    "serve",
                    "--store",
                    self._url,
                    "--address",
                    self.address,
                    "--heartbeat-seconds",
                    "0.5",
                ],
                cwd=ROOT,
                env=environment(),
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self._running = RunningSidecar(self.process, log)
        self.address = self._running.wait_for_event("serving")["address"]

    @property
    def log(self) -> str:
        """What it says."""
        return self._running.log

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)


class World:
    """All three, the store's rows, and what was seen."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.postgres = Postgres()
        stack.callback(self.postgres.end)
        self.url = self.postgres.create("deskgate")
        self.store = open_store(self.url, create=True)
        shop = Shop.at(self.store)
        shop.product(per_unit("desk", "fixed_desk"))
        for tenant_id in ("counted", "stated"):
            shop.tenant(tenant_id)
            shop.new(tenant_id, {"desk": LIMIT}, "2026-01-01", months(1200))
        token_file = folder / "token"
        token_file.write_text(sidecar_token(self.store))
        self.feed = Feed(self.url, folder)
        self.feed.start()
        stack.callback(self.feed.kill)
        self.place = Place(folder)
        self._flags = {"store": f"deskgate://{self.feed.address}", "store_token_file": token_file}
        self._stack = stack
        self.start_sidecar()
        self.over = threading.Event()
        self.written: dict[int, int] = {}
        """Revision to the units of `counted` from it on."""
        self.seen: list[tuple[int, int, str]] = []
        """Of each answer about `counted`: revision, units, reason."""
        self.acknowledged: set[str] = set()
        self.stated = 0

    def start_sidecar(self) -> None:
        self.sidecar: RunningSidecar = self._stack.enter_context(self.place.serve(ready=False, **self._flags))
        self.channel = grpc.insecure_channel(
            f"unix:{self.place.socket}", options=(("grpc.use_local_subchannel_pool", 1),)
        )

    def kill_sidecar(self) -> None:
        self.channel.close()
        self.sidecar.kill()

    # What goes on all the time

    def write(self) -> None:
        """The back office: states another count of `counted`, again and again, until it is told that it was written."""
        number = 0
        while not self.over.is_set():
            number += 1
            units = number * 7 % (2 * LIMIT)
            while True:
                try:
                    change = Absolute(units=units)
                    done = adjust_usage(
                        self.store, "counted", "fixed_desk", change, idempotency_key=f"count-{number}", now=TESTER.at
                    )
                    break
                except StoreError:
                    if self.over.wait(0.05):
                        return
            self.written[done.revision] = done.units
            self.over.wait(0.01)

    def ask(self) -> None:
        """Desking: may `counted` be booked?"""
        request = pb.CheckRequest(tenant_id="counted", action="booking.create")
        request.resource.kind = "fixed_desk"
        while not self.over.is_set():
            answer = self._call("Check", request, pb.CheckResponse)
            if answer is None:
                self.over.wait(0.02)
            elif answer.reason != "UNKNOWN_TENANT" or self.seen:
                self.seen.append((answer.entitlement_revision, answer.quota.used, answer.reason))

    def state(self) -> None:
        """Desking: one more of `stated` exists."""
        while not self.over.is_set():
            self.stated += 1
            key = f"one-more-{self.stated}"
            request = pb.AdjustUsageRequest(tenant_id="stated", key="fixed_desk", idempotency_key=key, delta=1)
            if self._call("AdjustUsage", request, pb.AdjustUsageResponse, timeout=1.0) is not None:
                self.acknowledged.add(key)
            self.over.wait(0.1)

    def _call(self, method: str, request: Any, response: Any, timeout: float = 2.0) -> Any:
        call: Any = None
        with suppress(ValueError, grpc.RpcError):  # it is closed, or nobody answers
            made: Any = self.channel.unary_unary(f"/{SERVICE}/{method}")
            call = response.FromString(made(request.SerializeToString(), timeout=timeout))
        return call

    # What is expected

    def converge(self, what: str) -> None:
        """Waits until the sidecar answers from what the store held when all ran again, or later."""
        newest = max(self.written, default=0)
        wait_for(
            lambda: self.seen[-1][0] >= newest,
            lambda: f"{what}: at {self.seen[-1][0]}, not {newest}:\n{self.sidecar.log}\n{self.feed.log}",
            CONVERGED_WITHIN,
        )


VICTIMS: dict[str, Callable[[World], Iterator[None]]] = {}


def victim(name: str) -> Callable[[Callable[[World], Iterator[None]]], Callable[[World], Iterator[None]]]:
    def named(kill: Callable[[World], Iterator[None]]) -> Callable[[World], Iterator[None]]:
        VICTIMS[name] = kill
        return kill

    return named


@victim("sidecar")
def kill_sidecar(world: World) -> Iterator[None]:
    world.kill_sidecar()
    yield
    world.start_sidecar()


@victim("feed")
def kill_feed(world: World) -> Iterator[None]:
    world.feed.kill()
    yield
    world.feed.start()


@victim("postgresql")
def kill_postgresql(world: World) -> Iterator[None]:
    world.postgres.kill()
    yield
    world.postgres.start()


@pytest.mark.timeout(7200 if SOAK else 240)
def test_killed_at_random(tmp_path: Path) -> None:
    rng = Random(20_261_125)
    with ExitStack() as stack:
        world = World(tmp_path, stack)
        threads = [threading.Thread(target=work) for work in (world.write, world.ask, world.state)]
        stack.callback(lambda: [thread.join() for thread in threads])
        stack.callback(world.over.set)
        for thread in threads:
            thread.start()
        wait_for(lambda: world.seen, lambda: world.sidecar.log, PATIENCE)
        names = list(VICTIMS)
        for number in range(KILLS):
            time.sleep(HEALTHY_AFTER + rng.uniform(0.5, 1.0))  # it was well; the moment is what is drawn
            name = names[number] if number < len(names) else rng.choice(names)
            killed = VICTIMS[name](world)
            next(killed)
            time.sleep(rng.uniform(0.0, 0.6))
            next(killed, None)
            world.converge(f"after kill {number}, of {name}")
        world.over.set()
        for thread in threads:
            thread.join()
        check_answers(world)
        check_statements(world)


def check_answers(world: World) -> None:
    """Each answer was right for the revision that it says it rests on, and none rests on an earlier one than before."""
    revisions = sorted(world.written)
    assert len(world.seen) > 10 * KILLS
    assert [r for r, _, _ in world.seen] == sorted(r for r, _, _ in world.seen)
    judged = 0
    for revision, used, reason in world.seen:
        before = [r for r in revisions if r <= revision]
        if before:
            judged += 1
            assert used == world.written[before[-1]], f"at revision {revision}"
            assert (reason == "OVER_QUOTA") == (used > LIMIT), (used, reason)
    assert judged > KILLS


def check_statements(world: World) -> None:
    """What was acknowledged is in the store, once; so is what was not, or not at all."""
    keys = select(schema.idempotency.c.key).where(schema.idempotency.c.key.like("one-more-%"))

    def written() -> set[str]:
        with world.store.reading() as conn:
            return set(conn.scalars(keys))

    assert world.acknowledged
    wait_for(
        lambda: world.acknowledged <= written(),
        lambda: f"lost: {sorted(world.acknowledged - written())}\n{world.sidecar.log}",
        PATIENCE,
    )
    with world.store.reading() as conn:
        units = list_usage(conn, "stated")["fixed_desk"].units
        count = conn.scalar(select(func.count()).select_from(keys.subquery()))
    assert units == count
