"""Who calls: a bearer token, or whoever works at the store's own machine."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sync.backoffice.errors import NotAuthenticated
from sync.store.db import Store
from sync.store.names import checked_name
from sync.store.operators import Role, authenticate

HEADER: Final = "authorization"
SCHEME: Final = "bearer"
LONGEST: Final = 512
"""Characters of a token that are looked at; ours have 43."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who makes a call, by the name that the audit trail gets, and what they may do."""

    name: str
    role: Role


def at_this_machine(user: str | None = None) -> Identity:
    """A user here; None: whoever runs this process. Who can write the store's file is an admin whatever we say."""
    return Identity(name=f"local:{_login() if user is None else checked_name('operator', user)}", role=Role.ADMIN)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # nobody has named the number, as in a container
        return str(os.getuid())


def bearer(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The token in a call's metadata. Raises NotAuthenticated when there is not exactly one."""
    found = [value for key, value in metadata if key == HEADER]
    if len(found) != 1 or not isinstance(found[0], str):
        raise NotAuthenticated(f"show one token in the metadata, as `{HEADER}: Bearer TOKEN`")
    scheme, _, token = found[0].partition(" ")
    token = token.strip()
    if scheme.lower() != SCHEME or not 1 <= len(token) <= LONGEST:
        raise NotAuthenticated(f"the metadata `{HEADER}` is not of the form `Bearer TOKEN`")
    return token


def identify(store: Store, token: str) -> Identity:
    """Whose token it is. Raises NotAuthenticated, in the same words whatever is wrong with it, or StoreError."""
    with store.reading() as conn:
        operator = authenticate(conn, token)
    if operator is None:
        raise NotAuthenticated("this token is not in force: ask an admin for another one")
    return Identity(name=operator.name, role=operator.role)
