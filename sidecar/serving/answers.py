"""What a servicer gives back, whatever carries it: a status with a detail, or the bytes of an answer."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Code(IntEnum):
    """The gRPC status codes that deskgate uses, by their numbers on the wire."""

    OK = 0
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class Answer(NamedTuple):
    """`payload` counts when `code` is OK, `detail` when it is not."""

    code: Code
    payload: bytes = b""
    detail: str = ""
