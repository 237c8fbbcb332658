"""What a servicer gives back, whatever carries it: a status with a detail, or the bytes of an answer."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from sidecar.core.errors import DeskgateError


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


NAMES: Final = {code: code.name for code in Code}


class CannotAnswer(DeskgateError):
    """A call that ends with another status than OK, though the request may be sound; `code` says which."""

    def __init__(self, code: Code, problem: str) -> None:
        super().__init__(problem)
        self.code = code


class Answer(NamedTuple):
    """`payload` counts when `code` is OK, `detail` when it is not."""

    code: Code
    payload: bytes = b""
    detail: str = ""
