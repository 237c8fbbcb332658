"""The client for threads."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self, Unpack

import grpc

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.client import calls, convert
from sidecar.client.asking import Asked, asked
from sidecar.client.errors import SidecarUnavailable
from sidecar.client.types import Answer, Explanation, ItemError, OnUnavailable, Question, UsageNow


class Deskgate:
    """Asks the sidecar at `target`: "127.0.0.1:9290" or "unix:/path". Threads may share one; make it after a fork.

    `timeout`: seconds that a call may take, retries included. `on_unavailable` says what a check does when there is no
    answer by then: raise SidecarUnavailable, or give a synthetic Answer that denies or allows. Use `with`, or `close`.
    """

    def __init__(
        self, target: str = "127.0.0.1:9290", *, timeout: float = 1.0, on_unavailable: OnUnavailable = "raise"
    ) -> None:
        self._timeout: Final = calls.checked_timeout(timeout)
        self._mode: Final = calls.checked_mode(on_unavailable)
        self._channel: Final = grpc.insecure_channel(target, options=calls.OPTIONS)
        self._methods: Final = {m.name: _stub(self._channel, m) for m in calls.METHODS}

    def check(self, tenant: str, action: str, kind: str = "", **more: Unpack[Asked]) -> Answer:
        """May `tenant` do `action` to `kind`? Further fields as in Question; `timeout` for this call alone.

        Raises InvalidQuestion, and, unless declared otherwise, SidecarUnavailable.
        """
        question, timeout = asked(tenant, action, kind, more)
        return self.ask(question, timeout=timeout)

    def ask(self, question: Question, *, timeout: float | None = None) -> Answer:
        """The answer to a question; as `check`."""
        request = convert.question_message(question)
        try:
            return convert.answer_of(self._call(calls.CHECK, request, timeout))
        except SidecarUnavailable as e:
            return calls.made_up(self._mode, e)

    def check_batch(
        self, questions: Sequence[Question], *, min_revision: int = 0, timeout: float | None = None
    ) -> tuple[Answer | ItemError, ...]:
        """Up to 1,000 independent questions on one state of the world; answers in the order asked. As `check`."""
        request = calls.batch_message([convert.question_message(q) for q in questions], min_revision)
        try:
            return tuple(convert.result_of(r) for r in self._call(calls.CHECK_BATCH, request, timeout).results)
        except SidecarUnavailable as e:
            return (calls.made_up(self._mode, e),) * len(questions)

    def explain(self, question: Question, *, at: datetime | None = None, timeout: float | None = None) -> Explanation:
        """What a check would answer at an instant (None: now), and why. For people."""
        request = pb.ExplainRequest(
            check=convert.question_message(question), at=None if at is None else convert.timestamp("at", at)
        )
        return convert.explanation_of(self._call(calls.EXPLAIN, request, timeout))

    def adjust_usage(
        self,
        tenant: str,
        key: str,
        *,
        idempotency_key: str,
        delta: int | None = None,
        absolute: int | None = None,
        seats: Mapping[str, bool] | None = None,
        timeout: float | None = None,
    ) -> UsageNow:
        """States what now exists: one of `delta`, `absolute`, and `seats` (user id to held). Durable when it returns.

        Sent again when unavailable: the same idempotency key with the same content counts once. Raises UnknownTenant,
        IdempotencyConflict, UsageRefused, and SidecarUnavailable: it may have been done all the same, so repeat it with
        the same key.
        """
        change = convert.change_of(delta, absolute, seats)
        request = convert.adjustment_message(tenant, key, change, idempotency_key)
        return convert.usage_of(self._call(calls.ADJUST_USAGE, request, timeout))

    def close(self) -> None:
        """Ends the connection, and calls in progress with it."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(self, method: calls.Method, request: Any, timeout: float | None) -> Any:
        deadline = time.monotonic() + (self._timeout if timeout is None else calls.checked_timeout(timeout))
        body, attempts = calls.body_of(request), calls.Attempts()
        while True:
            try:
                return self._methods[method.name](body, timeout=max(0.001, deadline - time.monotonic()))
            except grpc.RpcError as e:
                failed = calls.error_of(e)
                pause = attempts.pause(failed.code, deadline - time.monotonic())
                if pause is None:
                    raise failed from e
                time.sleep(pause)


def _stub(channel: grpc.Channel, method: calls.Method) -> Any:
    return channel.unary_unary(method.path, response_deserializer=method.response.FromString)
