"""The actions a Desking service asks about, and their groups (domain.md 2)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sidecar.core.model import Group

_BY_GROUP: Final = {
    Group.SPEND: ("space.create", "space.license", "space.convert", "license.assign"),
    Group.USE: ("booking.create", "booking.update", "binding.create", "feature.use"),
    Group.ATTEND: ("booking.check_in",),
    Group.UNDO: (
        "booking.cancel",
        "booking.check_out",
        "booking.finish",
        "binding.release",
        "space.unlicense",
        "space.delete",
        "license.revoke",
    ),
    Group.READ: ("tenant.read", "tenant.export"),
}

ACTIONS: Final[Mapping[str, Group]] = MappingProxyType({a: g for g, actions in _BY_GROUP.items() for a in actions})

NEEDS_KIND: Final = frozenset({Group.SPEND, Group.USE, Group.ATTEND})
"""Groups whose questions are invalid without a resource kind."""

GUARDED: Final = frozenset({Group.SPEND, Group.USE, Group.ATTEND})
"""Groups denied when an expression fails; for undo and read a failing rule is ignored (architecture 2.6)."""

UNLICENSED_IS_FREE: Final = frozenset({"space.create", "space.convert"})
"""Actions that consume nothing when the space is not licensed."""

ASSIGN: Final = "license.assign"
FEATURE: Final = "feature.use"


def is_about_seats(action: str) -> bool:
    """Whether an action is judged by users and seats whatever the key is; feature.use is, for a per-user license."""
    return action.startswith("license.")
