"""The client for asyncio."""

from __future__ import annotations

import asyncio
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


class AsyncDeskgate:
    """As Deskgate, for one event loop: make it where that loop runs. Use `async with`, or `close`."""

    def __init__(
        self, target: str = "127.0.0.1:9290", *, timeout: float = 1.0, on_unavailable: OnUnavailable = "raise"
    ) -> None:
        self._timeout: Final = calls.checked_timeout(timeout)
        self._mode: Final = calls.checked_mode(on_unavailable)
        self._channel: Final = grpc.aio.insecure_channel(target, options=calls.OPTIONS)
        self._methods: Final = {m.name: _stub(self._channel, m) for m in calls.METHODS}

    async def check(self, tenant: str, action: str, kind: str = "", **more: Unpack[Asked]) -> Answer:
        """As Deskgate.check."""
        question, timeout = asked(tenant, action, kind, more)
        return await self.ask(question, timeout=timeout)

    async def ask(self, question: Question, *, timeout: float | None = None) -> Answer:
        """As Deskgate.ask."""
        request = convert.question_message(question)
        try:
            return convert.answer_of(await self._call(calls.CHECK, request, timeout))
        except SidecarUnavailable as e:
            return calls.made_up(self._mode, e)

    async def check_batch(
        self, questions: Sequence[Question], *, min_revision: int = 0, timeout: float | None = None
    ) -> tuple[Answer | ItemError, ...]:
        """As Deskgate.check_batch."""
        request = calls.batch_message([convert.question_message(q) for q in questions], min_revision)
        try:
            answered = await self._call(calls.CHECK_BATCH, request, timeout)
        except SidecarUnavailable as e:
            return (calls.made_up(self._mode, e),) * len(questions)
        return tuple(convert.result_of(r) for r in answered.results)

    async def explain(
        self, question: Question, *, at: datetime | None = None, timeout: float | None = None
    ) -> Explanation:
        """As Deskgate.explain."""
        request = pb.ExplainRequest(
            check=convert.question_message(question), at=None if at is None else convert.timestamp("at", at)
        )
        return convert.explanation_of(await self._call(calls.EXPLAIN, request, timeout))

    async def adjust_usage(
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
        """As Deskgate.adjust_usage."""
        change = convert.change_of(delta, absolute, seats)
        request = convert.adjustment_message(tenant, key, change, idempotency_key)
        return convert.usage_of(await self._call(calls.ADJUST_USAGE, request, timeout))

    async def close(self) -> None:
        """Ends the connection, and calls in progress with it."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, method: calls.Method, request: Any, timeout: float | None) -> Any:
        deadline = time.monotonic() + (self._timeout if timeout is None else calls.checked_timeout(timeout))
        body, attempts = calls.body_of(request), calls.Attempts()
        while True:
            try:
                return await self._methods[method.name](body, timeout=max(0.001, deadline - time.monotonic()))
            except grpc.RpcError as e:
                failed = calls.error_of(e)
                pause = attempts.pause(failed.code, deadline - time.monotonic())
                if pause is None:
                    raise failed from e
                await asyncio.sleep(pause)


def _stub(channel: grpc.aio.Channel, method: calls.Method) -> Any:
    return channel.unary_unary(method.path, response_deserializer=method.response.FromString)
