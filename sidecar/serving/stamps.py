"""The part of an answer that differs from call to call: revision, instant and decision id, written by hand.

It is on the path of every check. What is written is plain protobuf: tests/unit/test_stamps.py reads it back.
"""

from __future__ import annotations

import itertools
from typing import Final

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.core.model import SECOND, Instant

_FIELDS: Final = pb.CheckResponse.DESCRIPTOR.fields_by_name
VARINT: Final = 0
BYTES: Final = 2


def varint(n: int) -> bytes:
    """A number of 0 or more as protobuf writes it."""
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def tag(field: str, wire: int) -> bytes:
    """What precedes a field of CheckResponse."""
    return varint(_FIELDS[field].number << 3 | wire)


LONGEST: Final = 4096
LENGTHS: Final = tuple(varint(n) for n in range(LONGEST + 3))
"""Answers are shorter than this as a rule; longer ones are counted out."""
REVISION: Final = tag("entitlement_revision", VARINT)
AS_OF: Final = tag("as_of", BYTES)
DECISION_ID: Final = tag("decision_id", BYTES)
NANOS_BYTES: Final = 6
"""The field's tag, and always five bytes of a number: less than 2^30, so the last ones may carry no bits."""


class Stamps:
    """Makes the varying parts of one process' answers. Threads may share it."""

    def __init__(self, instance: str) -> None:
        """`instance`, of up to 100 letters, begins every decision id."""
        head = f"{instance}-".encode()
        self._id: Final = DECISION_ID + varint(len(head) + 12) + head
        self._id_size: Final = len(self._id) + 12
        self._counter: Final = itertools.count(1)
        self._last: tuple[int, int, bytes] = (-1, -1, b"")

    def moment(self, revision: int, as_of: Instant) -> bytes:
        """The revision and the instant (from 1970 on), for any number of answers."""
        second, micros = divmod(as_of, SECOND)
        of_revision, of_second, head = self._last
        if of_second != second or of_revision != revision:
            head = self._head(revision, second)
            self._last = (revision, second, head)
        n = micros * 1000
        return head + bytes((16, n & 127 | 128, n >> 7 & 127 | 128, n >> 14 & 127 | 128, n >> 21 & 127 | 128, n >> 28))

    def next_id(self) -> bytes:
        """The decision id of one answer."""
        return b"%b%012d" % (self._id, next(self._counter))

    def item(self, constant: bytes, moment: bytes) -> bytes:
        """An answer, given its constant part, as one result of a CheckBatchResponse: results are concatenated."""
        size = len(constant) + len(moment) + self._id_size
        inner = LENGTHS[size] if size < LONGEST else varint(size)
        outer = size + 1 + len(inner)
        return b"\n%b\n%b%b%b%b%012d" % (
            LENGTHS[outer] if size < LONGEST else varint(outer),
            inner,
            constant,
            moment,
            self._id,
            next(self._counter),
        )

    @staticmethod
    def _head(revision: int, second: int) -> bytes:
        seconds = b"\x08" + varint(second)
        return REVISION + varint(revision) + AS_OF + varint(len(seconds) + NANOS_BYTES) + seconds
