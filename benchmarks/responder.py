"""A gRPC server that does nothing: it answers every call with the same bytes, to show how fast the generator can go.

`python -m benchmarks.responder CORE TARGET [ANSWER_BYTES]`; it prints "ready" once it listens and serves until killed.
"""

from __future__ import annotations

import os
import selectors
import socket
import struct
import sys

from benchmarks import http2
from benchmarks.http2 import Frames


class Connection:
    """One client: takes its frames, answers each finished call."""

    def __init__(self, client: socket.socket, answer_bytes: int) -> None:
        self._socket = client
        self._skip = len(http2.PREFACE)
        self._frames = Frames()
        self._due = 0
        pieces = (
            http2.frame(http2.HEADERS, http2.END_HEADERS, 0, b"\x88" + http2.literal_headers(_CONTENT)),
            http2.frame(http2.DATA, 0, 0, http2.message(b"\x08\x01" + b"\x00" * (answer_bytes - 2))),
            http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, 0, http2.literal_headers(_STATUS)),
        )
        whole = b"".join(pieces)
        at = [len(pieces[0]), len(pieces[0]) + len(pieces[1])]
        self._parts = (whole[:5], whole[9 : at[0] + 5], whole[at[0] + 9 : at[1] + 5], whole[at[1] + 9 :])
        client.sendall(
            http2.settings({3: 1000, 4: http2.WINDOW}) + http2.window_update(0, http2.WINDOW - http2.FIRST_WINDOW)
        )

    def serve(self) -> bool:
        """Answers what has arrived; False once the client is gone."""
        data = self._socket.recv(262_144)
        if self._skip:
            cut = min(self._skip, len(data))
            self._skip -= cut
            if not data[cut:]:
                return bool(data)
            data = data[cut:]
        out = []
        for kind, flags, stream, payload in self._frames.feed(data):
            if kind == http2.DATA:
                self._due += len(payload)
                if flags & http2.END_STREAM:
                    out.append(struct.pack(">I", stream).join(self._parts))
            elif kind == http2.SETTINGS and not flags & http2.ACK:
                out.append(http2.frame(http2.SETTINGS, http2.ACK, 0))
        if self._due > 1 << 14:
            out.append(http2.window_update(0, self._due))
            self._due = 0
        if out:
            self._socket.sendall(b"".join(out))
        return bool(data)


_CONTENT = [(b"content-type", b"application/grpc")]
_STATUS = [(b"grpc-status", b"0")]


def listen(target: str) -> socket.socket:
    """A listening socket on loopback or at a path."""
    if target.startswith("unix:"):
        server = socket.socket(socket.AF_UNIX)
        server.bind(target.removeprefix("unix:"))
    else:
        host, port = target.rsplit(":", 1)
        server = socket.create_server((host, int(port)))
    server.listen()
    return server


def serve(target: str, answer_bytes: int) -> None:
    """Serves until killed."""
    server = listen(target)
    print("ready", flush=True)
    with selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select(0):  # spinning, so that its own wake-up is no part of the ceiling
                if key.data is None:
                    client, _ = server.accept()
                    if client.family == socket.AF_INET:
                        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(client, selectors.EVENT_READ, Connection(client, answer_bytes))
                elif not key.data.serve():
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    serve(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 100)
