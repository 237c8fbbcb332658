"""What the store refuses, and the ways in which its place can fail. Each has a stable code and says what to do."""

from __future__ import annotations

from typing import ClassVar

from sidecar.core.errors import DeskgateError


class Refused(DeskgateError):
    """A change that the rules of domain.md 3 do not allow. `code` is stable; `advice` says why, and what to do."""

    def __init__(self, code: str, advice: str) -> None:
        super().__init__(f"{code}: {advice}")
        self.code = code
        self.advice = advice


def unknown_tenant(tenant_id: str) -> Refused:
    """There is none of this id."""
    return Refused("UNKNOWN_TENANT", f"there is no tenant {tenant_id!r}: see `deskgate tenant list`")


def erased_tenant(tenant_id: str) -> Refused:
    """Nothing can be done with a tenant that is erased."""
    return Refused("TENANT_ERASED", f"{tenant_id} is erased, and stays so: create another tenant")


def archived_tenant(tenant_id: str) -> Refused:
    """Nothing can be sold to a tenant that is archived."""
    return Refused("TENANT_ARCHIVED", f"{tenant_id} is archived: restore it first, `deskgate tenant restore`")


class StoreError(DeskgateError):
    """The store cannot be used as it is. Nothing was changed, unless its text says that this is not known."""

    code: ClassVar[str] = "STORE_FAILED"

    def __init__(self, advice: str) -> None:
        super().__init__(advice)
        self.advice = advice


class StoreMissing(StoreError):
    """There is no file, no such database, or no store in it."""

    code = "STORE_MISSING"


class StoreForeign(StoreError):
    """What is there is no store of deskgate's, or no longer a whole one."""

    code = "STORE_FOREIGN"


class StoreTooNew(StoreError):
    """A newer deskgate has written the store."""

    code = "STORE_TOO_NEW"


class StoreTooOld(StoreError):
    """The store's schema has to be migrated first."""

    code = "STORE_TOO_OLD"


class StoreLocked(StoreError):
    """Another writer held the store for longer than the busy timeout."""

    code = "STORE_LOCKED"


class StoreFull(StoreError):
    """No room for the change on the disk."""

    code = "STORE_FULL"


class StoreUnavailable(StoreError):
    """The file cannot be opened, read or written; the server cannot be reached, or the way to it broke."""

    code = "STORE_UNAVAILABLE"


class StoreDenied(StoreUnavailable):
    """The server does not let this user in, or not do that."""

    code = "STORE_DENIED"
