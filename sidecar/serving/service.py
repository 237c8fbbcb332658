"""AuthorizationService, free of any transport: a method and request bytes in, a status and answer bytes out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Instant
from sidecar.core.reasons import REVISION_NOT_REACHED, UNKNOWN_TENANT
from sidecar.observe.metrics import Metrics, Recorder
from sidecar.serving.adjust import UsageWriter, read_adjustment
from sidecar.serving.answers import NAMES, Answer, CannotAnswer, Code
from sidecar.serving.codec import (
    BATCH_BYTES,
    BATCH_ITEMS,
    CHECK_BYTES,
    batch_error,
    read_ask,
    read_message,
    read_timestamp,
)
from sidecar.serving.explain import explain
from sidecar.serving.judge import FreshnessOf, Judge
from sidecar.serving.stamps import Stamps
from sidecar.state.world import World, Worlds

SERVICE: Final = "desking.entitlements.v1.AuthorizationService"
LONGEST_WAIT: Final = 2.0
"""Seconds that a question may wait for its min_revision, and a statement of usage for a store over a network."""
MARGIN: Final = 0.05
"""Seconds before the caller's deadline at which waiting ends, so that the answer still arrives."""
log: Final = structlog.get_logger(__name__)


QUICK_BYTES: Final = 8 * 1024
"""A batch of more bytes (about 80 questions) is work for a thread that may be interrupted."""
NO_PATIENCE: Final = -1.0
"""Instead of the seconds to a deadline: waiting is out of the question."""


class WouldWait(Exception):
    """A call that must be answered at once would have to wait, or takes too long."""


class Service:
    """Every method of AuthorizationService. Threads may call it at once."""

    def __init__(
        self,
        *,
        worlds: Worlds,
        now: Callable[[], Instant],
        freshness_of: FreshnessOf,
        metrics: Metrics,
        adjust: UsageWriter,
        max_waiting: int,
        instance: str,
    ) -> None:
        """`instance` begins every decision id: it tells this start of this process from any other."""
        self._worlds: Final = worlds
        self._now: Final = now
        self._freshness_of: Final = freshness_of
        self._metrics: Final = metrics
        self._adjust: Final = adjust
        self._judge: Final = Judge(metrics=metrics, freshness_of=freshness_of)
        self._waiting: Final = threading.BoundedSemaphore(max_waiting)
        self._stamps: Final = Stamps(instance)
        self._methods: Final[Mapping[str, Callable[[bytes, float | None, Recorder], bytes]]] = {
            "Check": self._check,
            "CheckBatch": self._check_batch,
            "Explain": self._explain,
            "AdjustUsage": self._adjust_usage,
        }

    @property
    def methods(self) -> Sequence[str]:
        """The names of the methods."""
        return tuple(self._methods)

    def handle(self, method: str, request: bytes, metadata: object, remaining: float | None) -> Answer:
        """Answers a call. `remaining`: seconds to the caller's deadline; None: there is none. Never raises."""
        return self._handle(method, request, remaining, patient=True)

    def prompt(self, method: str, request: bytes, metadata: object, remaining: float | None) -> Answer | None:
        """Like `handle`, for a thread that must not wait: None, with nothing counted, where it would have to."""
        try:
            return self._handle(method, request, remaining, patient=False)
        except WouldWait:
            return None

    def _handle(self, method: str, request: bytes, remaining: float | None, *, patient: bool) -> Answer:
        started = time.perf_counter()
        recorder = self._metrics.recorder()
        try:
            if remaining is not None and remaining <= 0:
                raise CannotAnswer(Code.DEADLINE_EXCEEDED, "the deadline had passed before work began")
            patience = remaining if patient else NO_PATIENCE
            answer = Answer(Code.OK, self._methods[method](request, patience, recorder))
        except WouldWait:
            raise
        except InvalidRequest as e:
            answer = Answer(Code.INVALID_ARGUMENT, detail=str(e))
        except CannotAnswer as e:
            answer = Answer(e.code, detail=str(e))
        except Exception:
            log.exception("call failed", method=method)
            answer = Answer(Code.INTERNAL, detail="the sidecar failed: its log says more")
        recorder.call(method, NAMES[answer.code])
        if method == "Check":
            recorder.latency(time.perf_counter() - started)
        return answer

    def _check(self, request: bytes, remaining: float | None, recorder: Recorder) -> bytes:
        message = read_message(pb.CheckRequest, request, CHECK_BYTES)
        world = self._world(message.min_revision, remaining)
        now = self._now()
        constant = self._late if world.revision < message.min_revision else self._judge.constant
        return constant(world, message, len(request), now, recorder) + self._stamp(world, now)

    def _check_batch(self, request: bytes, remaining: float | None, recorder: Recorder) -> bytes:
        if remaining == NO_PATIENCE and len(request) > QUICK_BYTES:
            raise WouldWait
        message = read_message(pb.CheckBatchRequest, request, BATCH_BYTES)
        items = message.items
        if not 1 <= len(items) <= BATCH_ITEMS:
            raise InvalidRequest("items", f"1 to {BATCH_ITEMS} are needed, got {len(items)}")
        world = self._world(message.min_revision, remaining)
        now = self._now()
        constant = self._late if world.revision < message.min_revision else self._judge.constant
        moment, framed = self._stamps.moment(world.revision, now), self._stamps.item
        results = []
        for item in items:
            try:
                results.append(framed(constant(world, item, _checked_size(item), now, recorder), moment))
            except InvalidRequest as e:
                results.append(batch_error(e))
        return b"".join(results)

    def _late(self, world: World, message: pb.CheckRequest, size: int, now: Instant, recorder: Recorder) -> bytes:
        return self._judge.refused(world, message, size, REVISION_NOT_REACHED, now, recorder)

    def _explain(self, request: bytes, remaining: float | None, recorder: Recorder) -> bytes:
        message = read_message(pb.ExplainRequest, request, CHECK_BYTES)
        check, size = message.check, len(request)
        world = self._world(check.min_revision, remaining)
        now = self._now()
        at = read_timestamp("at", message.at) if message.HasField("at") else now
        read_ask(check, size)
        tenant = world.peek(check.tenant_id)
        late = world.revision < check.min_revision
        if tenant is None or late:
            code = REVISION_NOT_REACHED if late else UNKNOWN_TENANT
            answer = self._judge.refused(world, check, size, code, now, recorder) + self._stamp(world, now)
            return pb.ExplainResponse(answer=pb.CheckResponse.FromString(answer)).SerializeToString()
        freshness = self._freshness_of(tenant.applied.thresholds, now)
        return explain(
            world=world,
            tenant=tenant,
            message=check,
            size=size,
            at=at,
            freshness=freshness,
            stamp=self._stamp(world, at),
        )

    def _adjust_usage(self, request: bytes, remaining: float | None, recorder: Recorder) -> bytes:
        adjustment = read_adjustment(read_message(pb.AdjustUsageRequest, request, CHECK_BYTES))
        done = self._adjust(adjustment, _patience(remaining))
        return pb.AdjustUsageResponse(
            units=done.units, seats=done.seats, revision=done.revision, queued=done.queued
        ).SerializeToString()

    def _stamp(self, world: World, as_of: Instant) -> bytes:
        return self._stamps.moment(world.revision, as_of) + self._stamps.next_id()

    def _world(self, min_revision: int, remaining: float | None) -> World:
        """The current world, or, once a wait that is bounded in time and number is over, whatever there is by then."""
        world = self._worlds.current
        if min_revision:
            if min_revision < 0:
                raise InvalidRequest("min_revision", f"{min_revision} is below 0")
            if world is not None and world.revision < min_revision:
                world = self._wait(min_revision, remaining)
        if world is None:
            raise CannotAnswer(Code.UNAVAILABLE, "no complete entitlement data is in place yet")
        return world

    def _wait(self, min_revision: int, remaining: float | None) -> World | None:
        if remaining == NO_PATIENCE:
            raise WouldWait
        if not self._waiting.acquire(blocking=False):
            raise CannotAnswer(Code.RESOURCE_EXHAUSTED, "too many calls are waiting for a min_revision")
        try:
            return self._worlds.wait_for(min_revision, _patience(remaining))
        finally:
            self._waiting.release()


def _patience(remaining: float | None) -> float:
    """How many seconds a call may wait, given those to its deadline."""
    return LONGEST_WAIT if remaining is None else max(0.0, min(LONGEST_WAIT, remaining - MARGIN))


def _checked_size(item: pb.CheckRequest) -> int:
    size = item.ByteSize()
    if size > CHECK_BYTES:
        raise InvalidRequest("request", f"{size} bytes are more than the {CHECK_BYTES} that are taken")
    return size
