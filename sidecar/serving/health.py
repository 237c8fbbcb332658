"""The standard health protocol, with watchers that are told of the end and do not hold it up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from grpc_health.v1 import health

Send = Callable[[Any], None]
"""Sends a response on a stream; None ends the stream."""


class Health(health.HealthServicer):
    """The library's servicer. Its streams last until their clients end them, so a server would wait for them to its
    last second; `shut_down` ends them itself."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        """`pool` serves the streams."""
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
            over = self._over
            self._watching.add(stream)
        if not context.add_callback(lambda: self._watching.discard(stream)):
            self._watching.discard(stream)
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


class _Stream:
    """Sends on a stream, and ends it once: from whichever side the end comes first."""

    def __init__(self, send: Send) -> None:
        self._send: Final = send
        self._ended = False
        self._lock: Final = threading.Lock()

    def __call__(self, response: Any) -> None:
        with self._lock:
            if not self._ended:
                self._ended = response is None
                self._send(response)
