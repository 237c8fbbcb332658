"""AuthorizationService, free of any transport: a method and request bytes in, a status and answer bytes out."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

import structlog

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.core.errors import DeskgateError, InvalidRequest
from sidecar.core.model import Freshness, Instant
from sidecar.core.reasons import REVISION_NOT_REACHED, UNKNOWN_TENANT
from sidecar.observe.metrics import Metrics, Recorder
from sidecar.serving import codec
from sidecar.serving.adjust import UsageRefused, UsageWriter, read_adjustment
from sidecar.serving.answers import Answer, Code
from sidecar.serving.explain import explain
from sidecar.serving.judge import FreshnessOf, Judge
from sidecar.state.world import World, Worlds

SERVICE: Final = "desking.entitlements.v1.AuthorizationService"
LONGEST_WAIT: Final = 2.0
"""Seconds that a question may wait for its min_revision."""
MARGIN: Final = 0.05
"""Seconds before the caller's deadline at which waiting ends, so that the denial still arrives."""
log: Final = structlog.get_logger(__name__)


class Unready(DeskgateError):
    """A call that cannot be answered now, through no fault of its own."""

    def __init__(self, code: Code, problem: str) -> None:
        super().__init__(problem)
        self.code = code


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
        self._ids: Final = map(f"{instance}-{{}}".format, itertools.count(1))
        self._methods: Final[Mapping[str, Callable[[bytes, float | None], Answer]]] = {
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
        started = time.perf_counter()
        recorder = self._metrics.recorder()
        if remaining is not None and remaining <= 0:
            answer = Answer(Code.DEADLINE_EXCEEDED, detail="the deadline had passed before work began")
        else:
            answer = self._guarded(method, request, remaining)
        recorder.call(method, answer.code.name)
        if method == "Check":
            recorder.latency(time.perf_counter() - started)
        return answer

    def _guarded(self, method: str, request: bytes, remaining: float | None) -> Answer:
        try:
            return self._methods[method](request, remaining)
        except InvalidRequest as e:
            return Answer(Code.INVALID_ARGUMENT, detail=str(e))
        except UsageRefused as e:
            return Answer(e.code, detail=str(e))
        except Unready as e:
            return Answer(e.code, detail=str(e))
        except Exception:
            log.exception("call failed", method=method)
            return Answer(Code.INTERNAL, detail="this call failed through a fault of the sidecar's: its log says more")

    def _check(self, request: bytes, remaining: float | None) -> Answer:
        message = cast("pb.CheckRequest", codec.read_message(pb.CheckRequest, request, codec.CHECK_BYTES))
        recorder = self._metrics.recorder()
        world = self._world(message.min_revision, remaining)
        now, decision_id = self._now(), next(self._ids)
        if world.revision < message.min_revision:
            answer = self._judge.refusal(world, message, REVISION_NOT_REACHED, now, decision_id, recorder)
        else:
            answer = self._judge.answer(world, message, now, decision_id, recorder)
        return Answer(Code.OK, answer)

    def _check_batch(self, request: bytes, remaining: float | None) -> Answer:
        message = cast("pb.CheckBatchRequest", codec.read_message(pb.CheckBatchRequest, request, codec.BATCH_BYTES))
        if not 1 <= len(message.items) <= codec.BATCH_ITEMS:
            raise InvalidRequest("items", f"1 to {codec.BATCH_ITEMS} are needed, got {len(message.items)}")
        if message.min_revision < 0:
            raise InvalidRequest("min_revision", f"{message.min_revision} is below 0")
        world = self._world(message.min_revision, remaining)
        now, recorder = self._now(), self._metrics.recorder()
        reached = world.revision >= message.min_revision
        return Answer(Code.OK, b"".join(self._item(world, i, now, reached, recorder) for i in message.items))

    def _item(self, world: World, item: pb.CheckRequest, now: Instant, reached: bool, recorder: Recorder) -> bytes:
        try:
            if reached:
                answer = self._judge.answer(world, item, now, next(self._ids), recorder)
            else:
                answer = self._judge.refusal(world, item, REVISION_NOT_REACHED, now, next(self._ids), recorder)
        except InvalidRequest as e:
            return codec.batch_error(e)
        return codec.batch_item(answer)

    def _explain(self, request: bytes, remaining: float | None) -> Answer:
        message = cast("pb.ExplainRequest", codec.read_message(pb.ExplainRequest, request, codec.CHECK_BYTES))
        check, decision_id = message.check, next(self._ids)
        world = self._world(check.min_revision, remaining)
        now, recorder = self._now(), self._metrics.recorder()
        tenant = world.peek(check.tenant_id)
        late = world.revision < check.min_revision
        if tenant is None or late:
            code = REVISION_NOT_REACHED if late else UNKNOWN_TENANT
            answer = self._judge.refusal(world, check, code, now, decision_id, recorder)
            return Answer(Code.OK, pb.ExplainResponse(answer=pb.CheckResponse.FromString(answer)).SerializeToString())
        at = codec.read_timestamp("at", message.at) if message.HasField("at") else now
        freshness: Freshness = self._freshness_of(tenant.applied.thresholds, now)
        payload = explain(
            world=world, tenant=tenant, message=check, at=at, freshness=freshness, decision_id=decision_id
        )
        return Answer(Code.OK, payload)

    def _adjust_usage(self, request: bytes, remaining: float | None) -> Answer:
        message = cast("pb.AdjustUsageRequest", codec.read_message(pb.AdjustUsageRequest, request, codec.CHECK_BYTES))
        done = self._adjust(read_adjustment(message))
        response = pb.AdjustUsageResponse(units=done.units, seats=done.seats, revision=done.revision)
        return Answer(Code.OK, response.SerializeToString())

    def _world(self, min_revision: int, remaining: float | None) -> World:
        """The current world, or, once a wait that is bounded in time and number is over, whatever there is by then."""
        world = self._worlds.current
        if world is not None and world.revision < min_revision:
            world = self._wait(min_revision, remaining)
        if world is None:
            raise Unready(Code.UNAVAILABLE, "no complete entitlement data is in place yet")
        return world

    def _wait(self, min_revision: int, remaining: float | None) -> World | None:
        if not self._waiting.acquire(blocking=False):
            raise Unready(Code.RESOURCE_EXHAUSTED, "too many calls are waiting for a min_revision")
        try:
            timeout = LONGEST_WAIT if remaining is None else min(LONGEST_WAIT, remaining - MARGIN)
            return self._worlds.wait_for(min_revision, max(0.0, timeout))
        finally:
            self._waiting.release()
