"""Where entitlements come from, as people write it: a URL, or the path of a file. Pure: nothing is opened.

Whatever is wrong is told without the text itself where it may hold a password.
"""

from __future__ import annotations

import re
from typing import Final

from sidecar.address import parse_address

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
DESKGATE: Final = "deskgate"
LICENSE: Final = "license"
NEEDED: Final = "sqlite:///PATH (or just the path), postgresql://..., deskgate://HOST:PORT or license:///PATH is needed"

DATABASE: Final = re.compile(r"postgres(ql)?(\+psycopg)?://")
"""How the URL of a database begins, as other tools write it too."""
_FORM: Final = (
    "the URL cannot be read: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and signs such as @ : / ? # % in a"
    " name or a password as %40"
)
_HOST: Final = r"(\[[0-9A-Fa-f:.%]+\]|[^:@/?#\[\]\s,]*)(:\d{1,5})?"
_AUTHORITY: Final = re.compile(
    r"((?P<user>[^:@/?#\s]*)(:[^:@/?#\s]*)?@)?"
    rf"(?P<hosts>{_HOST}(,{_HOST})*)"
    r"(/(?P<database>[^/?#\s]*))?(\?[^#\s]*)?"
)


def kind_of(url: str) -> str:
    """Its scheme, one of the four; of a URL as `parsed` gives it."""
    return url.partition("://")[0]


def path_of(url: str) -> str:
    """The file that an sqlite:/// or license:/// URL names."""
    return url.partition(":///")[2]


def parsed(text: str) -> str:
    """What is written, as a URL of one of the four kinds. Raises ValueError saying what is wrong."""
    if DATABASE.match(text):
        return _postgresql(text)
    scheme, found, rest = text.partition("://")
    if not found:
        return _file(SQLITE, f"/{text}", text)
    if scheme in (SQLITE, LICENSE):
        return _file(scheme, rest, text)
    if scheme == DESKGATE:
        return _feed(rest)
    raise ValueError(f"{scheme!r} is not a store that this version knows: {NEEDED}")


def shown(url: str) -> str:
    """A URL as `parsed` gives it, without what nobody is to see: of a database only the way there."""
    found = _AUTHORITY.fullmatch(url.partition("://")[2]) if kind_of(url) == POSTGRESQL else None
    if found is None:
        return url
    user = f"{found['user']}@" if found["user"] else ""
    return f"{POSTGRESQL}://{user}{found['hosts']}/{found['database'] or ''}"


def _file(scheme: str, rest: str, text: str) -> str:
    if not rest.startswith("/"):
        raise ValueError(f"{text!r}: write {scheme}:///relative/path or {scheme}:////absolute/path")
    if not rest[1:]:
        raise ValueError(f"the path of the {'store' if scheme == SQLITE else LICENSE}'s file is missing")
    return f"{scheme}://{rest}"


def _postgresql(text: str) -> str:
    rest = DATABASE.sub("", text, count=1)
    if _AUTHORITY.fullmatch(rest) is None:
        raise ValueError(_FORM)
    return f"{POSTGRESQL}://{rest}"


def _feed(rest: str) -> str:
    if "@" in rest:
        raise ValueError("a token does not go into the URL: name its file by store_token_file")
    for part in rest.rstrip("/").split(","):
        parse_address(part.strip())
    return f"{DESKGATE}://{rest}"
