"""The calls of BackOfficeService by name, as the contract states them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message_factory import GetMessageClass

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.core.errors import InvalidRequest

_SERVICE: Final = pb.DESCRIPTOR.services_by_name["BackOfficeService"]
SERVICE: Final[str] = _SERVICE.full_name
CODE: Final = "deskgate-code"
FIELD: Final = "deskgate-field"
"""Trailing metadata of a call that failed: the error's code, and the field that is wrong."""
MOST_BYTES: Final = 1024 * 1024
"""Of a request."""
MOST_ANSWERED: Final = 64 * 1024 * 1024
"""Of an answer, as far as our own client takes it; a page of a list has far less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call's messages."""

    request: type[Any]
    response: type[Any]


CALLS: Final[Mapping[str, Call]] = {
    method.name: Call(request=GetMessageClass(method.input_type), response=GetMessageClass(method.output_type))
    for method in _SERVICE.methods
}


def check_size(size: int) -> None:
    """Raises InvalidRequest when a request of so many bytes is too large."""
    if size > MOST_BYTES:
        raise InvalidRequest("request", f"{size} bytes are more than the {MOST_BYTES} that are taken")


def call_of(method: str) -> Call:
    """The messages of a call. Raises InvalidRequest when there is none of this name."""
    if method not in CALLS:
        raise InvalidRequest("method", f"there is no call {method!r}")
    return CALLS[method]
