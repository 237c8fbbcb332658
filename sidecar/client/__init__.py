"""The Python client that Desking services import. It needs grpcio and protobuf, and nothing of the sidecar's inside.

with Deskgate(on_unavailable="deny") as gate:
    answer = gate.check("acme", "booking.create", "shared_desk", window=(start, end), locale="zh-CN")
    if not answer.allowed:
        show(answer.message)
"""

from sidecar.client.aio import AsyncDeskgate
from sidecar.client.blocking import Deskgate
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
from sidecar.client.types import (
    Answer,
    Explanation,
    ItemError,
    Notice,
    OnUnavailable,
    Question,
    Quota,
    Remedy,
    RuleTrace,
    Segment,
    UsageNow,
)

__all__ = [
    "Answer",
    "AsyncDeskgate",
    "ClientError",
    "Deskgate",
    "Explanation",
    "IdempotencyConflict",
    "InvalidQuestion",
    "ItemError",
    "NotAllowed",
    "Notice",
    "OnUnavailable",
    "Question",
    "Quota",
    "Remedy",
    "RuleTrace",
    "Segment",
    "SidecarFailed",
    "SidecarUnavailable",
    "UnknownTenant",
    "UsageNow",
    "UsageRefused",
]
