"""Reflection, whose streams, left open by idle tools, neither hold up the end nor take the threads of other calls."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Final

from grpc_reflection.v1alpha import reflection


class Reflection(reflection.ReflectionServicer):
    """The library's servicer. A stream of it takes a thread for as long as its client likes."""

    def __init__(self, names: tuple[str, ...]) -> None:
        """`names` of the services that can be asked about."""
        super().__init__(names)
        self._over = False
        self._open: Final[set[Any]] = set()
        self._guard: Final = threading.Lock()

    def ServerReflectionInfo(self, request_iterator: Any, context: Any) -> Iterator[Any]:  # noqa: N802 - the protocol's
        """Answers about services, one request after the other."""
        with self._guard:
            if self._over:
                return
            self._open.add(context)
        try:
            yield from super().ServerReflectionInfo(request_iterator, context)
        finally:
            self._open.discard(context)

    def shut_down(self) -> None:
        """Ends every stream, and any later one at once."""
        with self._guard:
            self._over = True
            streams = tuple(self._open)
        for context in streams:
            context.cancel()
