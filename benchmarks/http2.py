"""Just enough HTTP/2 to send prebuilt gRPC calls: frames are built ahead, answers cut out unread."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
FRAME_BYTES: Final = 16_384
"""The largest payload every peer takes."""
WINDOW: Final = 2**31 - 1
"""The largest flow-control window."""
FIRST_WINDOW: Final = 65_535
"""What both sides may send before anything was agreed."""

Frame = tuple[int, int, int, bytes]
"""Type, flags, stream, payload."""


class ProtocolError(Exception):
    """The other side broke the connection or the rules."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame. The payload is at most FRAME_BYTES."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", k, v) for k, v in values.items()))


def window_update(stream: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def _text(value: bytes) -> bytes:
    assert len(value) < 127
    return bytes((len(value),)) + value


def header_blocks(path: str, authority: str) -> tuple[bytes, bytes]:
    """The first call's header block, which fills the peer's table, and every later call's, which refers to it.

    That is what gRPC clients do too: later calls cost a byte a header.
    """
    static = b"\x83\x86"  # :method POST, :scheme http
    named = [
        b"\x44" + _text(path.encode()),
        b"\x41" + _text(authority.encode()),
        b"\x5f" + _text(b"application/grpc"),
        b"\x40" + _text(b"te") + _text(b"trailers"),
        b"\x7a" + _text(b"deskgate-bench/1"),
    ]
    # The newest entry of the peer's table has index 62, so the first of five has 66.
    return static + b"".join(named), static + bytes(0x80 | 62 + i for i in reversed(range(len(named))))


def literal_headers(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """A header block that touches no table."""
    return b"".join(b"\x00" + _text(k) + _text(v) for k, v in pairs)


def message(body: bytes) -> bytes:
    """A gRPC message, uncompressed, with its five-byte prefix."""
    return b"\x00" + struct.pack(">I", len(body)) + body


class Call:
    """One call, built but for the stream it will go out on."""

    __slots__ = ("_data", "size")

    def __init__(self, body: bytes) -> None:
        data = message(body)
        self.size = len(data)
        """Bytes that count against flow control."""
        cuts = [data[i : i + FRAME_BYTES] for i in range(0, len(data), FRAME_BYTES)]
        last = len(cuts) - 1
        self._data = [
            (struct.pack(">I", len(cut))[1:] + bytes((DATA, END_STREAM if i == last else 0)), cut)
            for i, cut in enumerate(cuts)
        ]

    def on(self, stream: bytes, headers: tuple[bytes, bytes]) -> bytes:
        """Its frames on a stream (four bytes). `headers` is a block cut by `open_headers`."""
        if len(self._data) == 1:
            head, data = self._data[0]
            return b"".join((headers[0], stream, headers[1], head, stream, data))
        return b"".join((headers[0], stream, headers[1], *(p for h, d in self._data for p in (h, stream, d))))


def open_headers(block: bytes) -> tuple[bytes, bytes]:
    """A HEADERS frame in two parts, between which the stream's four bytes go."""
    return struct.pack(">I", len(block))[1:] + bytes((HEADERS, END_HEADERS)), block


class Frames:
    """Cuts what arrives into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now."""
        buffer = self._rest + data if self._rest else data
        at, end = 0, len(buffer)
        while end - at >= 9:
            head = int.from_bytes(buffer[at : at + 9], "big")
            upto = at + 9 + (head >> 48)
            if upto > end:
                break
            yield (head >> 40) & 0xFF, (head >> 32) & 0xFF, head & 0x7FFFFFFF, buffer[at + 9 : upto]
            at = upto
        self._rest = buffer[at:]
