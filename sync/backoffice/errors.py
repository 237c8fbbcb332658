"""What the back office can end a call with, beside `Refused`, `InvalidRequest` and `StoreError`."""

from __future__ import annotations

from typing import ClassVar

from sidecar.core.errors import DeskgateError


class DeskError(DeskgateError):
    """A call that came to nothing. `code` is stable; `advice` says why, and what to do."""

    code: ClassVar[str] = "DESK_FAILED"

    def __init__(self, advice: str) -> None:
        super().__init__(f"{self.code}: {advice}")
        self.advice = advice


class NotAuthenticated(DeskError):
    """The caller did not show a token that is in force."""

    code = "NOT_AUTHENTICATED"


class NotAllowed(DeskError):
    """The caller's role does not reach so far."""

    code = "NOT_ALLOWED"


class Overloaded(DeskError):
    """Too many calls wait. Nothing was changed."""

    code = "OVERLOADED"


class Unreachable(DeskError):
    """No back office answered in time. A write may have been done: the same idempotency key tells."""

    code = "UNREACHABLE"


class DeskFailed(DeskError):
    """The back office failed where it should not; its log says more. A write was not done."""
