"""How what goes wrong at a feed server is told to a caller: a status, and the code beside it."""

from __future__ import annotations

from typing import Final

import grpc

from sidecar.core.errors import DeskgateError, InvalidRequest
from sync.feed.channel import CODE
from sync.sources import FailureKind, SyncFailed
from sync.store.errors import Refused, StoreError

DETAIL_CHARACTERS: Final = 600


class NotLetIn(DeskgateError):
    """The caller is nobody's sidecar."""


class NotItsTenants(DeskgateError):
    """The caller is limited to other tenants than those it asks about."""


class Stopping(DeskgateError):
    """The server is about to end: another replica, or this one again, will answer."""


STATUS: Final = (
    (NotLetIn, grpc.StatusCode.UNAUTHENTICATED, "NOT_LET_IN"),
    (NotItsTenants, grpc.StatusCode.PERMISSION_DENIED, "NOT_ITS_TENANTS"),
    (InvalidRequest, grpc.StatusCode.INVALID_ARGUMENT, "INVALID"),
    (StoreError, grpc.StatusCode.UNAVAILABLE, "STORE"),
    (Stopping, grpc.StatusCode.UNAVAILABLE, "STOPPING"),
    (TimeoutError, grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE"),
    (OSError, grpc.StatusCode.UNAVAILABLE, "DISK"),
)
REFUSALS: Final = {
    "UNKNOWN_TENANT": grpc.StatusCode.NOT_FOUND,
    "IDEMPOTENCY_CONFLICT": grpc.StatusCode.ALREADY_EXISTS,
}
"""Refusals of the store with a status of their own; the others are FAILED_PRECONDITION."""


def told(error: Exception) -> tuple[grpc.StatusCode, str, str] | None:
    """Status, text and code of what is foreseen; None: it is a fault of ours."""
    text = str(error)[:DETAIL_CHARACTERS]
    if isinstance(error, Refused):
        return REFUSALS.get(error.code, grpc.StatusCode.FAILED_PRECONDITION), text, error.code
    if isinstance(error, SyncFailed) and error.kind is FailureKind.HISTORY_WENT_BACK:
        return grpc.StatusCode.FAILED_PRECONDITION, error.problem[:DETAIL_CHARACTERS], error.kind.name
    for kind, status, code in STATUS:
        if isinstance(error, kind):
            return status, text, code
    return None


def trailing(code: str) -> tuple[tuple[str, str], ...]:
    """The trailing metadata that carries a code."""
    return ((CODE, code),)
