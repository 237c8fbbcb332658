"""Licenses that are issued for installations without a central store: each serial once, on record and audited."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, insert, select

from sidecar import records
from sidecar.core.calendar import format_instant
from sidecar.core.model import Instant, Record
from sync.license import LAST_SERIAL, License, sign
from sync.licensekeys import SigningKey
from sync.store import lineage, schema
from sync.store.audit import By
from sync.store.db import Store
from sync.store.errors import Refused
from sync.store.names import checked_name
from sync.store.tenants import present

L: Final = schema.issued_license
E: Final = schema.entitlement
T: Final = schema.tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be licensed. `license_id` names the installation; "": as its tenant."""

    tenant_id: str
    children: bool = False
    license_id: str = ""
    note: str = ""


def issue(
    store: Store, asked: Asked, key: SigningKey, *, operator: str, clock: Callable[[], Instant]
) -> tuple[License, str]:
    """Puts the next license of an installation on record, and gives it with its signed text. Whoever loses the text
    issues another one: a serial is never given out twice.

    Raises StoreError, LicenseError, InvalidRequest or Refused: UNKNOWN_TENANT, TENANT_ERASED, LICENSE_OF_ANOTHER,
    CLOCK_WENT_BACK, NO_SERIAL_LEFT.
    """
    with store.writing(lambda: By(operator=operator, at=clock())) as writing:
        made = _next(writing.conn, asked, key.key_id, writing.by.at)
        token = sign(made, key)
        tenants = _told_tenants(made)
        row = {"license_id": made.license_id, "serial": made.serial, "issued_at": made.issued_at}
        writing.conn.execute(insert(L).values(**row, operator=operator, key_id=key.key_id, tenants=json.dumps(tenants)))
        told = row | {"issued_at": format_instant(made.issued_at), "key_id": key.key_id, "tenants": tenants}
        writing.audit(
            "license.issue", f"license:{made.license_id}", tenant_id=made.tenant_id, after=told | {"note": made.note}
        )
    return made, token


def preview(store: Store, asked: Asked, key_id: str, *, now: Instant) -> License:
    """The license that `issue` would give now, not signed: nothing is changed. Raises as `issue`."""
    with store.reading() as conn:
        return _next(conn, asked, key_id, now)


def _next(conn: Connection, asked: Asked, key_id: str, now: Instant) -> License:
    present(conn, asked.tenant_id)
    license_id = checked_name("license_id", asked.license_id or asked.tenant_id)
    last = conn.execute(
        select(L).where(L.c.license_id == license_id).order_by(L.c.serial.desc()).limit(1)
    ).one_or_none()
    if last is not None:
        _refuse_other(license_id, json.loads(last.tenants)[0], asked.tenant_id)
        _refuse_earlier(last.issued_at, now)
    serial = 1 if last is None else last.serial + 1
    if serial > LAST_SERIAL:
        raise Refused("NO_SERIAL_LEFT", f"license id {license_id!r} has none left: give the installation another id")
    return License(
        license_id=license_id,
        serial=serial,
        issuer=f"deskgate-store:{conn.scalar(select(schema.store.c.store_id))}",
        tenant_id=asked.tenant_id,
        issued_at=now,
        key_id=key_id,
        records=tuple(_records(conn, asked)),
        note=checked_name("note", asked.note) if asked.note else "",
    )


def _refuse_other(license_id: str, before: str, now: str) -> None:
    if before != now:
        raise Refused(
            "LICENSE_OF_ANOTHER",
            f"license id {license_id!r} is of an installation of {before}: give --license-id, another one",
        )


def _refuse_earlier(last: Instant, now: Instant) -> None:
    if now < last:
        raise Refused(
            "CLOCK_WENT_BACK",
            f"the last license of this id was issued on {format_instant(last)}, this machine's clock says"
            f" {format_instant(now)}: set it right, since the installation's clock is settled by what a license says",
        )


def _records(conn: Connection, asked: Asked) -> Iterator[Record]:
    """Of the tenant, of those below it if asked for, and of those whose services they share; without usage."""
    ids = {asked.tenant_id}
    if asked.children:
        ids |= _not_erased(conn, lineage.descendants(conn, asked.tenant_id))
    for chunk in lineage.chunks(sorted(ids)):
        ids |= lineage.holders(conn, chunk)
    for chunk in lineage.chunks(sorted(ids)):
        query = select(E.c.record).where(E.c.tenant_id.in_(chunk)).order_by(E.c.tenant_id)
        for record in conn.scalars(query):
            yield replace(records.decode(record), usage=MappingProxyType({}))


def _not_erased(conn: Connection, ids: Collection[str]) -> set[str]:
    found: set[str] = set()
    for chunk in lineage.chunks(sorted(ids)):
        found.update(conn.scalars(select(T.c.id).where(T.c.id.in_(chunk), T.c.erased_at.is_(None))))
    return found


def _told_tenants(made: License) -> list[str]:
    """Ids on record: first whom it is for."""
    return [made.tenant_id, *(r.tenant_id for r in made.records if r.tenant_id != made.tenant_id)]
