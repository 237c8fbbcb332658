"""The keyword arguments of `check`, alike for both clients."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict

from sidecar.client.types import Question


class Asked(TypedDict, total=False):
    """The further fields of a Question, and a time-out in seconds for one call."""

    resource_id: str
    licensed: bool | None
    resource_attributes: Mapping[str, str]
    quantity: int | None
    user: str
    window: tuple[datetime, datetime] | None
    locale: str
    min_revision: int
    attributes: Mapping[str, str]
    request_id: str
    timeout: float | None


def asked(tenant: str, action: str, kind: str, more: Asked) -> tuple[Question, float | None]:
    """The question and the call's own time-out."""
    fields = {name: value for name, value in more.items() if name != "timeout"}
    return Question(tenant=tenant, action=action, kind=kind, **fields), more.get("timeout")  # type: ignore[arg-type]
