"""Answering on the thread that takes the calls: no hand-over from thread to thread, which costs more than a check does.

grpcio's threaded server hands each call to a pool, where a thread waits for the call's message. Here the message is
waited for by nobody (`MessageFirst`), so a caller that sends nothing holds no thread, and calls in flight are counted
as they come. A check is then answered there and then (`InlinePool`), once what has come meanwhile is taken in.

This reaches into grpcio, so it is used with the versions it was tested with (`usable`); with others the pools serve as
grpcio means them to.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, NamedTuple

import grpc
import structlog
from grpc import _server
from grpc._cython import cygrpc  # type: ignore[attr-defined]

from sidecar.observe.metrics import Metrics
from sidecar.serving.answers import Answer, Code
from sidecar.serving.limits import BoundedPool

TESTED: Final = "1.85."
NEEDED: Final = (
    "_unary_response_in_pool",
    "_stream_response_in_pool",
    "_abort",
    "_CLOSED",
    "_receive_message",
    "_status",
    "_process_event_and_continue",
    "_RECEIVE_MESSAGE_TOKEN",
    "_ServerStage",
)
AHEAD: Final = 64
"""Events taken in between two answers: calls that come in a flood are counted, and refused, before work goes on."""
PAST: Final = 0.0
NO_MESSAGE: Final = b"this method takes exactly one message, and none came"
STATUS: Final = {code.value[0]: code for code in grpc.StatusCode}
Prompt = Callable[[bytes, Any, float], Answer | None]
"""From request bytes, metadata and seconds to the deadline: the answer; or None: it would have to wait."""

log: Final = structlog.get_logger(component="grpc")


def usable() -> bool:
    """Whether the installed grpcio is one that this was tested with."""
    return str(grpc.__version__).startswith(TESTED) and all(hasattr(_server, name) for name in NEEDED)


class Call(NamedTuple):
    """What grpcio would have a pool's thread run for a call, and the call's message."""

    run: Callable[..., Any]
    args: tuple[Any, ...]
    request: Any


class Prompted:
    """A behavior for grpcio's pool that can also be answered inline, by `prompt`."""

    def __init__(self, *, prompt: Prompt, patient: Callable[[bytes, Any], bytes], pool: ThreadPoolExecutor) -> None:
        self.prompt: Final = prompt
        self._patient: Final = patient
        self.experimental_thread_pool: Final = pool

    def __call__(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        return self._patient(request, context)


class MessageFirst(BoundedPool):
    """A pool for methods that take one message: a call gets a thread when its message has come, not before."""

    def __init__(self, *, threads: int, bound: int, metrics: Metrics) -> None:
        super().__init__(threads=threads, bound=bound, metrics=metrics)
        self._open = 0
        """Calls whose message is yet to come, or that wait to be answered inline; the serving thread's alone."""
        self._taken: Final[Future[None]] = Future()
        self._taken.set_result(None)

    @property
    def in_flight(self) -> int:
        """Calls waiting or at work."""
        return self._open + super().in_flight

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Called by grpcio, on its serving thread, with a call whose message has yet to come."""
        if not args or args[0] not in (_server._unary_response_in_pool, _server._stream_response_in_pool):
            return super().submit(fn, *args, **kwargs)
        _, event, call, _, _, deserializer, _ = args
        receive = _server._receive_message(call, event.call, deserializer)

        def received(message: Any) -> Any:
            ended = receive(message)
            self._open -= 1
            request, call.request = call.request, None
            if request is not None:
                self._go_on(Call(fn, args, request))
            elif call.client is _server._CLOSED and not call.statused:
                with call.condition:
                    _server._abort(call, event.call, cygrpc.StatusCode.unimplemented, NO_MESSAGE)
            return ended

        try:
            with call.condition:
                event.call.start_server_batch((cygrpc.ReceiveMessageOperation(0),), received)
                call.due.add(_server._RECEIVE_MESSAGE_TOKEN)
            self._open += 1
        except Exception:  # this thread serves everybody
            log.exception("a call could not be taken in")
            event.call.cancel()
        return self._taken

    def _go_on(self, call: Call) -> None:
        """Does what a call asks, now that its message is here. Never raises."""
        self._hand_over(call)

    def _hand_over(self, call: Call) -> None:
        """Lets a thread of the pool go on, as grpcio would have had it."""
        pooled, event, state, behavior, _, deserializer, serializer = call.args
        try:
            super().submit(call.run, pooled, event, state, behavior, lambda: call.request, deserializer, serializer)
        except Exception:
            log.exception("a call could not be handed over")
            event.call.cancel()


class InlinePool(MessageFirst):
    """Answers what need not wait on grpcio's own thread; the rest goes to the pool."""

    def __init__(self, *, threads: int, bound: int, metrics: Metrics) -> None:
        super().__init__(threads=threads, bound=bound, metrics=metrics)
        self._ready: Final[deque[Call]] = deque()
        self._answering = False
        self._state: Any = None

    def attach(self, server: grpc.Server) -> None:
        """Says whose calls these are; before it starts."""
        self._state = server._state  # type: ignore[attr-defined]

    def _go_on(self, call: Call) -> None:
        """Answers call after call, in order. Between two it takes in what has come, which may bring further ones."""
        self._open += 1
        self._ready.append(call)
        if self._answering:
            return
        self._answering = True
        try:
            while self._ready:
                self._take_in()
                self._answer(self._ready.popleft())
        finally:
            self._answering = False

    def _take_in(self) -> None:
        """Lets grpcio deal with events that are there already. It cannot come to its end here: a call is still open."""
        state = self._state
        for _ in range(AHEAD):
            if state.stage is not _server._ServerStage.STARTED:
                return
            event = state.completion_queue.poll(PAST)
            if event.completion_type == cygrpc.CompletionType.queue_timeout:
                return
            try:
                _server._process_event_and_continue(state, event)
            except Exception:  # the calls that are ready must be answered all the same
                log.exception("an event could not be dealt with")
            del event  # it may hold a call that has ended: grpcio does not poll while it does

    def _answer(self, call: Call) -> None:
        _, event, state, behavior, *_ = call.args
        try:
            remaining = event.call_details.deadline - time.time()
            answer = behavior.prompt(call.request, event.invocation_metadata, remaining)
            if answer is None:
                self._hand_over(call)
            else:
                self._send(event, state, answer)
        except Exception:  # this thread serves everybody
            log.exception("a call could not be answered")
            event.call.cancel()
        finally:
            self._open -= 1

    @staticmethod
    def _send(event: Any, state: Any, answer: Answer) -> None:
        if answer.code is not Code.OK:
            state.code, state.details = STATUS[answer.code], answer.detail.encode()
        _server._status(event, state, answer.payload)
