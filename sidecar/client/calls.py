"""What both clients share, free of any transport: the calls, when to try again, what to make of failure."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.client.errors import (
    ClientError,
    IdempotencyConflict,
    InvalidQuestion,
    NotAllowed,
    SidecarFailed,
    SidecarUnavailable,
    UnknownTenant,
    UsageRefused,
)
from sidecar.client.types import Answer, OnUnavailable

SERVICE: Final = "/desking.entitlements.v1.AuthorizationService/"
FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.5
"""Seconds: a pause is drawn between 0 and a bound that doubles from the first to the longest."""

MAX_BYTES: Final = 4 * 1024 * 1024
"""What the sidecar takes in one message."""

OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),  # the sidecar is on this machine
    ("grpc.enable_retries", 0),  # done here, within the call's deadline
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)

_SHED: Final = "RESOURCE_EXHAUSTED"
_AWAY: Final = frozenset({"UNAVAILABLE", "CANCELLED"})
"""Nobody is there. A sidecar that is stopping ends calls it has not begun with CANCELLED; the caller's own cancelling
never comes this way."""
_ERRORS: Final[dict[str, type[ClientError]]] = {
    "UNAVAILABLE": SidecarUnavailable,
    "CANCELLED": SidecarUnavailable,
    "DEADLINE_EXCEEDED": SidecarUnavailable,
    _SHED: SidecarUnavailable,
    "INVALID_ARGUMENT": InvalidQuestion,
    "NOT_FOUND": UnknownTenant,
    "ALREADY_EXISTS": IdempotencyConflict,
    "FAILED_PRECONDITION": UsageRefused,
    "PERMISSION_DENIED": NotAllowed,
    "UNAUTHENTICATED": NotAllowed,
}


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the service. Every one may be sent twice: AdjustUsage because it carries an idempotency key."""

    name: str
    response: Any

    @property
    def path(self) -> str:
        """As gRPC calls it."""
        return SERVICE + self.name


CHECK: Final = Method("Check", pb.CheckResponse)
CHECK_BATCH: Final = Method("CheckBatch", pb.CheckBatchResponse)
EXPLAIN: Final = Method("Explain", pb.ExplainResponse)
ADJUST_USAGE: Final = Method("AdjustUsage", pb.AdjustUsageResponse)
METHODS: Final = (CHECK, CHECK_BATCH, EXPLAIN, ADJUST_USAGE)


@dataclass(slots=True)
class Attempts:
    """One call's attempts: says whether, and after what pause, there is another one."""

    draw: Callable[[], float] = field(default=random.random)
    failed: int = 0
    shed: int = 0

    def pause(self, code: str, remaining: float) -> float | None:
        """Seconds until the next attempt after one failed with `code`; None: give up.

        One that is away is tried again while the pause ends before the deadline, RESOURCE_EXHAUSTED once, others not.
        """
        self.failed += 1
        self.shed += code == _SHED
        if code not in (*_AWAY, _SHED) or self.shed > 1:
            return None
        pause = self.draw() * min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.failed - 1, 16))
        return pause if pause < remaining else None


def body_of(request: Any) -> bytes:
    """The request's bytes. Raises InvalidQuestion for more than the sidecar takes.

    The transport would answer those with RESOURCE_EXHAUSTED, as if the sidecar were busy, and `on_unavailable` would
    decide what only the size of the question was to blame for.
    """
    body: bytes = request.SerializeToString()
    if len(body) > MAX_BYTES:
        raise InvalidQuestion("", f"the request has {len(body)} bytes, at most {MAX_BYTES} are taken")
    return body


def error_of(error: grpc.RpcError) -> ClientError:
    """A failed call as the client's own error."""
    code, detail = _code_of(error), str(error.details() or "")
    return _ERRORS.get(code, SidecarFailed)(code, detail)


def _code_of(error: grpc.RpcError) -> str:
    return str(error.code().name)


def made_up(mode: OnUnavailable, error: SidecarUnavailable) -> Answer:
    """The answer that the caller declared for when there is none. Raises the error itself for "raise"."""
    if mode == "raise":
        raise error
    return Answer(
        effect=mode,
        reason="SIDECAR_UNAVAILABLE",
        reason_class="UNKNOWN",
        retry="TRANSIENT",
        message=str(error),
        synthetic=True,
    )


def checked_mode(mode: OnUnavailable) -> OnUnavailable:
    """`mode` itself. Raises ValueError when it is none."""
    if mode not in ("raise", "deny", "allow"):
        raise ValueError(f'on_unavailable: "raise", "deny" or "allow" is needed, got {mode!r}')
    return mode


def checked_timeout(timeout: float) -> float:
    """`timeout` itself. Raises ValueError unless it is a number of seconds above 0."""
    if not 0 < timeout < float("inf"):
        raise ValueError(f"timeout: seconds above 0 are needed, got {timeout!r}")
    return timeout


def batch_message(items: Sequence[pb.CheckRequest], min_revision: int) -> pb.CheckBatchRequest:
    """The request that asks several questions at once. Raises InvalidQuestion."""
    try:
        return pb.CheckBatchRequest(items=items, min_revision=min_revision)
    except (TypeError, ValueError) as e:
        raise InvalidQuestion("", str(e)) from e
