"""What the table of calls is made of: for each call who may make it, and what it does in one transaction."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from sidecar.core.calendar import zone_of
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Instant
from sync.backoffice.codec import short
from sync.backoffice.contract import Call, call_of
from sync.store.db import Writing
from sync.store.operators import Role
from sync.store.tenants import get_tenant

PATH: Final = re.compile(r"[.\[]")
"""What the steps of a field's path are parted by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a call that reads is given: one consistent view of the store, at an instant."""

    conn: Connection
    now: Instant

    def zone(self, tenant_id: str) -> ZoneInfo:
        """The zone that a tenant's dates are read in. Refused: UNKNOWN_TENANT."""
        return zone_of(get_tenant(self.conn, tenant_id).zone)

    def sought(self, field: str, tenant_id: str) -> str:
        """The tenant that a list is narrowed to; "": it is not. A slip is not to look like an empty list.

        Raises InvalidRequest, or Refused: UNKNOWN_TENANT.
        """
        if short(field, tenant_id):
            get_tenant(self.conn, tenant_id)
        return tenant_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(View):
    """What a call that writes is given: a transaction of the store, and the instant of the change."""

    writing: Writing


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One call. `secret` names the field of its answer that is told once and kept nowhere; `fields` the fields of its
    request that the domain has other names for.
    """

    name: str
    call: Call
    role: Role
    writes: bool
    run: Callable[[Any, Any], Any]
    secret: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)

    def named(self, error: InvalidRequest) -> InvalidRequest:
        """An error that names what is wrong by the request's own field."""
        known = self.call.request.DESCRIPTOR.fields_by_name
        root = PATH.split(error.field)[0]
        if root in known:
            return error
        if root in self.fields:
            return InvalidRequest(self.fields[root], error.problem)
        return InvalidRequest("request", str(error))


def reads(name: str, run: Callable[[View, Any], Any]) -> Method:
    """A call that every operator may make."""
    return Method(name=name, call=call_of(name), role=Role.VIEWER, writes=False, run=run)


def writes(
    name: str,
    run: Callable[[Change, Any], Any],
    *,
    role: Role = Role.OPERATOR,
    secret: str = "",
    fields: Mapping[str, str] | None = None,
) -> Method:
    """A call that changes something; `run` leaves the answer's revision to the service."""
    return Method(name=name, call=call_of(name), role=role, writes=True, run=run, secret=secret, fields=fields or {})
