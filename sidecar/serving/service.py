"""AuthorizationService, free of any transport: a method and request bytes in, a status and answer bytes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from sidecar.serving.fetching import Fetch, Fetching
from sidecar.serving.judge import FreshnessOf, Judge
from sidecar.serving.seeking import LONGEST_WAIT, NO_PATIENCE, Seeker, WouldWait, less, patience
from sidecar.serving.stamps import Stamps
from sidecar.state.world import World, Worlds

SERVICE: Final = "desking.entitlements.v1.AuthorizationService"
log: Final = structlog.get_logger(__name__)


QUICK_BYTES: Final = 8 * 1024
"""A batch of more bytes (about 80 questions) is work for a thread that may be interrupted."""


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
        fetch: Fetch | None = None,
        fetched_seconds: float = 5.0,
        partial: bool = False,
    ) -> None:
        """`instance` begins every decision id: it tells this start of this process from any other.

        `fetch` brings single tenants, which are kept for `fetched_seconds`. `partial`: the worlds hold some of the
        store's tenants only, and any other is fetched.
        """
        self._worlds: Final = worlds
        self._now: Final = now
        self._freshness_of: Final = freshness_of
        self._metrics: Final = metrics
        self._adjust: Final = adjust
        self._judge: Final = Judge(metrics=metrics, freshness_of=freshness_of)
        self._stamps: Final = Stamps(instance)
        fetching = (
            Fetching(fetch, worlds, seconds=fetched_seconds, timeout=LONGEST_WAIT, on_result=metrics.fetch)
            if fetch is not None
            else None
        )
        self._seeker: Final = Seeker(worlds, max_waiting=max_waiting, fetching=fetching, partial=partial)
        self._partial: Final = self._seeker.partial
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
            left = remaining if patient else NO_PATIENCE
            answer = Answer(Code.OK, self._methods[method](request, left, recorder))
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
        min_revision, world = message.min_revision, self._worlds.current
        if world is None or min_revision or self._partial:
            world = self._seeker.world(message, len(request), remaining)
        now = self._now()
        constant = self._late if world.revision < min_revision else self._judge.constant
        return constant(world, message, len(request), now, recorder) + self._stamp(world, now)

    def _check_batch(self, request: bytes, remaining: float | None, recorder: Recorder) -> bytes:
        if remaining == NO_PATIENCE and len(request) > QUICK_BYTES:
            raise WouldWait
        message = read_message(pb.CheckBatchRequest, request, BATCH_BYTES)
        items = message.items
        if not 1 <= len(items) <= BATCH_ITEMS:
            raise InvalidRequest("items", f"1 to {BATCH_ITEMS} are needed, got {len(items)}")
        began = time.monotonic()
        world = self._seeker.reached(message.min_revision, remaining)
        if self._partial:
            return self._mixed_batch(world, message, less(remaining, time.monotonic() - began), recorder)
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

    def _mixed_batch(
        self, world: World, message: pb.CheckBatchRequest, remaining: float | None, recorder: Recorder
    ) -> bytes:
        """A batch of which some tenants may have to be fetched, each in a world of its own."""
        min_revision = message.min_revision
        others = self._seeker.others(world, _asked_about(world, message.items), min_revision, remaining)
        now, framed = self._now(), self._stamps.item
        results = []
        for item in message.items:
            here = others.get(item.tenant_id, world)
            if isinstance(here, CannotAnswer):
                results.append(batch_error(here, here.code))
                continue
            constant = self._late if here.revision < min_revision else self._judge.constant
            moment = self._stamps.moment(here.revision, now)
            try:
                results.append(framed(constant(here, item, _checked_size(item), now, recorder), moment))
            except InvalidRequest as e:
                results.append(batch_error(e))
        return b"".join(results)

    def _late(self, world: World, message: pb.CheckRequest, size: int, now: Instant, recorder: Recorder) -> bytes:
        return self._judge.refused(world, message, size, REVISION_NOT_REACHED, now, recorder)

    def _explain(self, request: bytes, remaining: float | None, recorder: Recorder) -> bytes:
        message = read_message(pb.ExplainRequest, request, CHECK_BYTES)
        check, size = message.check, len(request)
        world = self._seeker.world(check, size, remaining)
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
        done = self._adjust(adjustment, patience(remaining))
        return pb.AdjustUsageResponse(
            units=done.units, seats=done.seats, revision=done.revision, queued=done.queued
        ).SerializeToString()

    def _stamp(self, world: World, as_of: Instant) -> bytes:
        return self._stamps.moment(world.revision, as_of) + self._stamps.next_id()


def _asked_about(world: World, items: Iterable[pb.CheckRequest]) -> Iterator[str]:
    """The tenants that a world does not hold, of questions that can be judged."""
    for item in items:
        if not world.holds(item.tenant_id):
            try:
                read_ask(item, _checked_size(item))
            except InvalidRequest:
                continue
            yield item.tenant_id


def _checked_size(item: pb.CheckRequest) -> int:
    size = item.ByteSize()
    if size > CHECK_BYTES:
        raise InvalidRequest("request", f"{size} bytes are more than the {CHECK_BYTES} that are taken")
    return size
