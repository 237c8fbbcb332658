"""Answering on the thread that takes the calls: no hand-over from thread to thread, which costs more than a check does.

grpcio's threaded server hands each call to a pool, where a thread waits for the call's message. Here the message is
waited for by nobody: when it has come, and no other call is to be taken in first, it is answered there and then. So a
caller that sends nothing holds no thread, and calls in flight are counted as they come, before any is worked on.

This reaches into grpcio, so it is used with the versions it was tested with (`usable`); with others the pool serves.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

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
    "_receive_message",
    "_status",
    "_process_event_and_continue",
    "_RECEIVE_MESSAGE_TOKEN",
    "_ServerStage",
)
AHEAD: Final = 64
"""Events taken in between two answers: calls that come in a flood are counted, and refused, before work goes on."""
PAST: Final = 0.0
STATUS: Final = {code.value[0]: code for code in grpc.StatusCode}
Prompt = Callable[[bytes, Any, float], Answer | None]
"""From request bytes, metadata and seconds to the deadline: the answer; or None: it would have to wait."""

log: Final = structlog.get_logger(component="grpc")


def usable() -> bool:
    """Whether the installed grpcio is one that this was tested with."""
    return str(grpc.__version__).startswith(TESTED) and all(hasattr(_server, name) for name in NEEDED)


class Prompted:
    """A behavior for grpcio's pool that can also be answered inline, by `prompt`."""

    def __init__(self, *, prompt: Prompt, patient: Callable[[bytes, Any], bytes], pool: ThreadPoolExecutor) -> None:
        self.prompt: Final = prompt
        self._patient: Final = patient
        self.experimental_thread_pool: Final = pool

    def __call__(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        return self._patient(request, context)


class InlinePool(BoundedPool):
    """Takes what grpcio would have a pool's thread do, and does it on grpcio's own; what has to wait goes to the pool.

    All of its work is done by the one thread that serves the server it is attached to.
    """

    def __init__(self, *, threads: int, bound: int, metrics: Metrics) -> None:
        super().__init__(threads=threads, bound=bound, metrics=metrics)
        self._open = 0
        self._ready: Final[deque[tuple[Any, Any, Prompted, bytes]]] = deque()
        self._answering = False
        self._state: Any = None
        self._done: Final[Future[None]] = Future()
        self._done.set_result(None)

    def attach(self, server: grpc.Server) -> None:
        """Says whose calls these are; before it starts."""
        self._state = server._state  # type: ignore[attr-defined]

    @property
    def in_flight(self) -> int:
        """Calls waiting or at work, inline and in the pool."""
        return self._open + super().in_flight

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Called by grpcio with a call whose message has yet to come."""
        if self._state is None or len(args) < 4 or not isinstance(args[3], Prompted):
            return super().submit(fn, *args, **kwargs)
        _, event, call, behavior = args[:4]
        receive = _server._receive_message(call, event.call, None)

        def received(message: Any) -> Any:
            ended = receive(message)
            if call.request is None:  # cut off before its message came
                self._open -= 1
            else:
                request, call.request = call.request, None
                self._ready.append((event, call, behavior, request))
                self._answer_all()
            return ended

        with call.condition:
            event.call.start_server_batch((cygrpc.ReceiveMessageOperation(0),), received)
            call.due.add(_server._RECEIVE_MESSAGE_TOKEN)
        self._open += 1
        return self._done

    def _answer_all(self) -> None:
        """Answers call after call, in order. Between two it takes in what has come, which may bring further ones."""
        if self._answering:
            return
        self._answering = True
        while self._ready:
            self._take_in()
            self._answer(*self._ready.popleft())
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
            _server._process_event_and_continue(state, event)

    def _answer(self, event: Any, call: Any, behavior: Prompted, request: bytes) -> None:
        try:
            remaining = event.call_details.deadline - time.time()
            answer = behavior.prompt(request, event.invocation_metadata, remaining)
            if answer is None:
                wait = (_server._unary_response_in_pool, event, call, behavior, lambda: request, None, None)
                super().submit(call.context.run, *wait)
            else:
                self._send(event, call, answer)
        except Exception:  # this thread serves everybody
            log.exception("a call could not be answered")
            event.call.cancel()
        finally:
            self._open -= 1

    @staticmethod
    def _send(event: Any, call: Any, answer: Answer) -> None:
        if answer.code is not Code.OK:
            call.code, call.details = STATUS[answer.code], answer.detail.encode()
        _server._status(event, call, answer.payload)
