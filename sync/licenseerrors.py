"""All ways in which a signed license can be wrong. Each has a stable code, and says what is wrong and what to do."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sidecar.core.errors import DeskgateError


class Fault(StrEnum):
    """What is wrong with a license, its file or its keys; stable."""

    MISSING = "LICENSE_MISSING"
    """There is no file."""
    UNREADABLE = "LICENSE_UNREADABLE"
    """The file is there and cannot be read."""
    TOO_LARGE = "LICENSE_TOO_LARGE"
    """More bytes than any license has."""
    NOT_SIGNED = "LICENSE_NOT_SIGNED"
    """Not a signed token at all."""
    OTHER_TYPE = "LICENSE_OTHER_TYPE"
    """A signed token of another kind."""
    OTHER_ALGORITHM = "LICENSE_OTHER_ALGORITHM"
    """Signed, or said to be, in another way than by Ed25519."""
    UNKNOWN_KEY = "LICENSE_UNKNOWN_KEY"
    """Signed with a key that is not trusted here."""
    ALTERED = "LICENSE_ALTERED"
    """The signature is not that of this text."""
    OTHER_VERSION = "LICENSE_OTHER_VERSION"
    """Of a later form than this version of deskgate reads."""
    BAD_CLAIM = "LICENSE_BAD_CLAIM"
    """Something that a license says is missing, or of another type."""
    BAD_RECORD = "LICENSE_BAD_RECORD"
    """An entitlement record in it breaks its invariants."""
    TENANT_TWICE = "LICENSE_TENANT_TWICE"
    """Two records of one tenant."""
    TENANT_MISSING = "LICENSE_TENANT_MISSING"
    """No record of the tenant that it is for."""
    HOLDER_MISSING = "LICENSE_HOLDER_MISSING"
    """No record of the tenant whose services another one shares."""
    OLDER = "LICENSE_OLDER"
    """Its serial is older than that of the license in use."""
    OTHER_LICENSE = "LICENSE_OTHER_LICENSE"
    """It is of another installation than the license in use."""
    SAME_SERIAL = "LICENSE_SAME_SERIAL"
    """Another text than the license in use, under the same serial."""
    KEYS = "LICENSE_KEYS"
    """A file of keys is missing or wrong."""


ASK: Final = "ask the vendor for a license of this installation"


class LicenseError(DeskgateError):
    """A license cannot be used. `advice` says why, and what would help."""

    def __init__(self, code: Fault, advice: str) -> None:
        super().__init__(f"{code}: {advice}")
        self.code: Final = code
        self.advice: Final = advice
