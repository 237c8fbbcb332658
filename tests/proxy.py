"""A network that tests break: what connects here is passed on, until it is cut, or stalls."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

CHUNK: Final = 65_536


class Proxy:
    """A port on this machine behind which something else listens."""

    def __init__(self, onward: Callable[[], socket.socket]) -> None:
        """`onward` connects to what is behind it."""
        self._onward: Final = onward
        self._lock: Final = threading.Lock()
        self._stalled: Final = threading.Event()
        self._pairs: Final[list[tuple[socket.socket, socket.socket]]] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self.restore()

    def restore(self) -> None:
        """Passes on again; whoever was held up goes on."""
        self._stalled.clear()
        if self._listener is None:
            listener = self._listener = socket.create_server(("127.0.0.1", self.port))
            self.port = listener.getsockname()[1]
            threading.Thread(target=self._accept, args=[listener], daemon=True).start()

    def cut(self) -> None:
        """Ends every connection, and refuses others."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            pairs = list(self._pairs)
            self._pairs.clear()
        for both in pairs:
            _end(*both)

    def stall(self) -> None:
        """Lets nothing pass, and takes connections without an answer."""
        self._stalled.set()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=[near], daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        try:
            far = self._onward()
        except OSError:
            near.close()
            return
        with self._lock:
            self._pairs.append((near, far))
        with suppress(OSError, ValueError), selectors.DefaultSelector() as ready:
            ready.register(near, selectors.EVENT_READ, far)
            ready.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in ready.select(0.05):
                    while self._stalled.is_set():
                        if near.fileno() < 0:
                            return
                        threading.Event().wait(0.01)
                    data = key.fileobj.recv(CHUNK)  # type: ignore[union-attr]
                    if not data:
                        _end(near, far)
                        return
                    key.data.sendall(data)
        _end(near, far)


def _end(*both: socket.socket) -> None:
    for one in both:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
