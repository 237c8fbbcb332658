"""The standard health protocol, with watchers that are told of the end and do not hold it up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Final

import grpc
import structlog
from grpc_health.v1 import health

Send = Callable[[Any], None]
"""Sends a response on a stream; None ends the stream."""
log: Final = structlog.get_logger(component="health")


WATCHERS: Final = 32
"""Streams at a time; more are refused."""


class Health(health.HealthServicer):
    """The library's servicer. Its streams last until their clients end them, so a server would wait for them to its
    last second; `shut_down` ends them itself. Whoever says what the health is never waits for those who watch."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        """`pool` takes the streams in."""
        self._over = False
        self._watching: Final[set[_Stream]] = set()
        self._guard: Final = threading.Lock()
        super().__init__(experimental_non_blocking=True, experimental_thread_pool=pool)

    def Watch(  # type: ignore[override]  # noqa: N802 - as grpcio calls it
        self, request: Any, context: Any, send_response_callback: Send
    ) -> None:
        """Tells a service's health now and whenever it changes."""
        stream = _Stream(send_response_callback)
        with self._guard:
            over, room = self._over, len(self._watching) < WATCHERS
            if room:
                self._watching.add(stream)
        if not room:
            context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
            context.set_details(f"{WATCHERS} streams of health are open already")
            stream(None)
            return
        if not context.add_callback(lambda: self._forget(stream)):
            self._forget(stream)
        super().Watch(request, context, stream)
        if over:
            stream(None)

    def shut_down(self) -> None:
        """Says NOT_SERVING for good, and ends every stream after that word."""
        self.enter_graceful_shutdown()
        with self._guard:
            self._over = True
            watching = tuple(self._watching)
        for stream in watching:
            stream(None)

    def _forget(self, stream: _Stream) -> None:
        self._watching.discard(stream)
        stream(None)


class _Stream:
    """Sends on a stream, from a thread of its own: a client that reads nothing keeps that one waiting and no other."""

    def __init__(self, send: Send) -> None:
        self._send: Final = send
        self._queue: Final[SimpleQueue[Any]] = SimpleQueue()
        threading.Thread(target=self._run, name="health-watch", daemon=True).start()

    def __call__(self, response: Any) -> None:
        """Has a response sent, or, with None, the stream ended; what comes after that is left out."""
        self._queue.put(response)

    def _run(self) -> None:
        response: Any = self
        while response is not None:
            response = self._queue.get()
            try:
                self._send(response)
            except Exception:  # the client has gone: there is nobody to tell
                log.debug("a watcher of health has gone", exc_info=True)
                return
