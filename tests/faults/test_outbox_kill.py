"""kill -9 of a sidecar at any moment, its feed coming and going: what was acknowledged reaches the store once.

Each caller states its own count in steps, and states a step again under the same key until it is acknowledged, as
Desking does. So in the end the store must hold every step exactly once, each caller's in its order.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import grpc
from sqlalchemy import select

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.serving.service import SERVICE
from sync.store import schema
from sync.store.db import Store
from sync.store.usage import list_usage
from tests.feeding import Feed, feeding, sidecar_token
from tests.feedstub import FeedStub, UsageBook
from tests.serving import Place, RunningSidecar, wait_for

SOAK = bool(os.environ.get("DESKGATE_SOAK"))
KILLS = 40 if SOAK else 4
SEED = 20261125
CALLERS = ("fixed_desk", "shared_desk", "meeting_room")
Status = grpc.StatusCode
METHOD = f"/{SERVICE}/AdjustUsage"


class Caller:
    """States one count, step by step: every second step as a difference, the others as what was counted."""

    def __init__(self, place: Place, key: str) -> None:
        self.key = key
        self.acknowledged: list[str] = []
        self.queued = 0
        self.failures: set[grpc.StatusCode] = set()
        self.over = threading.Event()
        self._target = f"unix:{place.socket}"
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self.over.set()
        self._thread.join()

    @property
    def units(self) -> int:
        return len(self.acknowledged)

    def _run(self) -> None:
        while not self.over.is_set():
            step = len(self.acknowledged) + 1
            once = f"{self.key}-{step}"
            change = {"delta": 1} if step % 2 else {"absolute": step}
            request = pb.AdjustUsageRequest(tenant_id="acme", key=self.key, idempotency_key=once, **change)
            if not self._stated(request):
                return
            self.acknowledged.append(once)

    def _stated(self, request: pb.AdjustUsageRequest) -> bool:
        """Until it is acknowledged: also once the test is over, for what was begun is to be known."""
        while True:
            options = (("grpc.use_local_subchannel_pool", 1),)
            try:
                with grpc.insecure_channel(self._target, options=options) as channel:
                    data = channel.unary_unary(METHOD)(request.SerializeToString(), timeout=5)
            except grpc.RpcError as e:
                self.failures.add(e.code())
                threading.Event().wait(0.02)
                continue
            self.queued += pb.AdjustUsageResponse.FromString(data).queued
            return True


@contextmanager
def calling(place: Place) -> Iterator[list[Caller]]:
    callers = [Caller(place, key) for key in CALLERS]
    for caller in callers:
        caller.start()
    try:
        yield callers
    finally:
        for caller in callers:
            caller.end()


def put_at_zero(place: Place) -> None:
    place.use("acme", **dict.fromkeys(CALLERS, 0))


def sent(sidecar: RunningSidecar) -> bool:
    return sidecar.metric("ready") == 1 and sidecar.metric("outbox_pending") == 0


def test_what_was_acknowledged_reaches_the_store_once_and_in_order(tmp_path: Path) -> None:
    rng = Random(SEED)
    place = Place(tmp_path)
    put_at_zero(place)
    (tmp_path / "token").write_text(sidecar_token(place.store))
    with feeding(place.store) as feed, calling(place) as callers:
        serve = partial(
            place.serve,
            store=f"deskgate://{feed.address}",
            store_token_file=tmp_path / "token",
            http_address="127.0.0.1:0",
        )
        away = False
        for _ in range(KILLS):
            with serve(ready=False) as sidecar:
                before = min(caller.units for caller in callers)
                wait_for(lambda before=before: min(c.units for c in callers) >= before + 3, "no statement is taken")
                away = turned(feed, away)
                threading.Event().wait(rng.uniform(0, 0.8))
                sidecar.kill()
        if away:
            feed.start()
        with serve() as sidecar:
            for caller in callers:
                caller.end()
            sidecar.wait(lambda: sent(sidecar))
            assert sidecar.metric("outbox_kept") == sidecar.metric("outbox_set_aside") == 0
    assert sum(caller.queued for caller in callers) > 0
    assert set.union(*(caller.failures for caller in callers)) <= {Status.UNAVAILABLE, Status.DEADLINE_EXCEEDED}
    judge(place.store, callers)


def turned(feed: Feed, away: bool) -> bool:
    """The feed goes, or comes back."""
    if away:
        feed.start()
    else:
        feed.stop()
    return not away


def judge(store: Store, callers: list[Caller]) -> None:
    with store.reading() as conn:
        used = list_usage(conn, "acme")
        known = set(conn.scalars(select(schema.idempotency.c.key)))
        told = conn.execute(
            select(schema.audit.c.idempotency_key)
            .where(schema.audit.c.action == "usage.adjust", schema.audit.c.operator != "tester")
            .order_by(schema.audit.c.seq)
        ).all()
    for caller in callers:
        mine = [row.idempotency_key for row in told if row.idempotency_key.startswith(f"{caller.key}-")]
        assert mine == caller.acknowledged
        assert used[caller.key].units == caller.units
        assert set(caller.acknowledged) <= known


def test_killed_in_the_middle_of_a_call_it_sends_it_again_and_it_counts_once(tmp_path: Path) -> None:
    """The store has it, the sidecar does not know: the moment between the answer and the row that goes."""
    book = UsageBook()
    answered, hold = threading.Event(), threading.Event()

    def adjust(request: pb.AdjustUsageRequest) -> pb.AdjustUsageResponse:
        answer = book(request)
        answered.set()
        hold.wait(20)
        return answer

    place = Place(tmp_path)
    (tmp_path / "token").write_text(sidecar_token(place.store))
    with feeding(place.store) as real, FeedStub(adjust=adjust, watch=real.address) as feed:
        flags = {"store": f"deskgate://{feed.address}", "store_token_file": tmp_path / "token"}
        with place.serve(**flags) as first:
            request = pb.AdjustUsageRequest(tenant_id="acme", key="fixed_desk", idempotency_key="k1", delta=1)
            code, answer = first.call("AdjustUsage", request, timeout=0.5)
            assert (code, answer.queued) == ("OK", True)
            assert answered.wait(20)
            first.kill()
        hold.set()
        with place.serve(**flags) as second:
            second.wait(lambda: sent(second))
    assert [r.idempotency_key for r in book.told] == ["k1", "k1"]
    assert book.units == {("acme", "fixed_desk"): 1}
