"""Who is let in at a feed server, and to which tenants: sidecars on record, by their token or their certificate."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from sidecar.core.errors import InvalidRequest
from sync.feed.errors import NotItsTenants, NotLetIn
from sync.store.db import Store
from sync.store.errors import Refused
from sync.store.operators import MOST_TENANTS, Operator, Role, authenticate, get_operator

HEADER: Final = "authorization"
LONGEST: Final = 512
"""Characters of a token that are looked at."""
COMMON_NAME: Final = "x509_common_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """Who calls: a sidecar, let in by its token or, without one, by the name on its certificate."""

    sidecar: Operator
    token: str = field(repr=False)
    name: str


def token_of(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The bearer token in a call's metadata; "": there is none. Raises NotLetIn when it is not of that form."""
    found = [value for key, value in metadata if key == HEADER]
    if not found:
        return ""
    scheme, _, token = str(found[0]).partition(" ")
    if len(found) > 1 or scheme.lower() != "bearer" or not 1 <= len(token.strip()) <= LONGEST:
        raise NotLetIn(f"the metadata `{HEADER}` is not of the form `Bearer TOKEN`")
    return token.strip()


def common_name(auth: Mapping[str, Iterable[bytes]]) -> str:
    """The name on the caller's certificate; "": it showed none."""
    return next((name.decode(errors="replace") for name in auth.get(COMMON_NAME, ())), "")


def on_record(store: Store, token: str, name: str) -> Operator:
    """The sidecar of a token, or of a certificate's name, as the store has it now. Raises NotLetIn, StoreError."""
    if not token and not name:
        raise NotLetIn(f"this call shows no token: the metadata `{HEADER}: Bearer TOKEN` is needed, or a certificate")
    with store.reading() as conn:
        found = authenticate(conn, token) if token else _named(conn, name)
    if found is None or found.disabled_at is not None:
        raise NotLetIn("no sidecar is known by this token or certificate: see `deskgate operator add --role sidecar`")
    if found.role is not Role.SIDECAR:
        raise NotLetIn(f"{found.name} is {found.role.name.lower()}, not a sidecar: the feed is for sidecars alone")
    return found


def _named(conn: Connection, name: str) -> Operator | None:
    try:
        return get_operator(conn, name)
    except Refused:
        return None


def narrowed(sidecar: Operator, asked: Collection[str]) -> frozenset[str] | None:
    """The tenants that a watch is of; None: all. Raises NotItsTenants, InvalidRequest."""
    if len(asked) > MOST_TENANTS:
        raise InvalidRequest("tenants", f"at most {MOST_TENANTS}, got {len(asked)}")
    wanted = frozenset(asked)
    if any(not 1 <= len(tenant_id.encode()) <= 256 for tenant_id in wanted):
        raise InvalidRequest("tenants", "1 to 256 bytes each")
    if sidecar.tenants is None:
        return wanted or None
    if beyond := wanted - sidecar.tenants:
        raise NotItsTenants(f"{sidecar.name} may not follow {sorted(beyond)[0]!r}")
    return wanted or sidecar.tenants


def refuse_other(sidecar: Operator, tenant_id: str) -> None:
    """Raises NotItsTenants for a tenant that a sidecar may not ask or tell about."""
    if sidecar.tenants is not None and tenant_id not in sidecar.tenants:
        raise NotItsTenants(f"{sidecar.name} may not ask or tell about {tenant_id!r}")
