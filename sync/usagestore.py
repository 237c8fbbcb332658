"""The embedded store of what exists, where a signed license says what is granted (domain.md 3, private deployments).

It is an ordinary store with the license's tenants, and nothing sold in it: statements of usage, idempotency and the
audit trail work there as everywhere. Its table of licenses has those that were accepted.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, insert, select

from sync.license import License, older, other_license
from sync.licensed import SHIFT, Existing, SeatRow
from sync.store import lineage, schema
from sync.store.audit import By
from sync.store.db import Store, open_store
from sync.store.errors import StoreTooOld
from sync.store.tenants import NewTenant, create_tenants

OPERATOR: Final = "license"
"""Who, in the audit trail, adds the tenants that a license brings."""

L: Final = schema.issued_license
T: Final = schema.tenant


class VisibleAt:
    """The revision of answers in which a usage store's revision can be seen; asked for once that is committed.

    A license is put on record before what exists is looked at for it: so an answer by the serial read here, or by a
    later one, has seen it.
    """

    def __init__(self, path: Path, *, busy_timeout: float = 2.0) -> None:
        """Nothing is opened yet."""
        self._path: Final = path
        self._busy_timeout: Final = busy_timeout
        self._store: Store | None = None

    def __call__(self, revision: int) -> int:
        """From any thread. Raises StoreError."""
        if self._store is None:
            self._store = open_store(self._path, busy_timeout=self._busy_timeout)
        with self._store.reading() as conn:
            last = _last(conn)
        return (0 if last is None else last[1]) << SHIFT | revision


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageHead:
    """What the store says of itself."""

    store_id: str
    revision: int
    digest: str
    restored: int


class UsageStore:
    """The store's file, as the sidecar that it belongs to sees it. Calls come from one thread."""

    def __init__(self, path: Path, *, busy_timeout: float = 0.5) -> None:
        self.path: Final = path
        self._busy_timeout: Final = busy_timeout
        self._conn: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    @property
    def there(self) -> bool:
        """Whether there is a store, or something else, with anything in it."""
        try:
            return self.path.stat().st_size > 0
        except FileNotFoundError:
            return False

    def accept(self, license_: License) -> None:
        """Puts a license on record with the tenants that are new by it, once; makes the store where there is none.

        Raises LicenseError when it may not follow those on record, or StoreError.
        """
        store = self._opened()
        with store.reading() as conn:
            if _known(conn, license_):
                return
        with store.writing(By(operator=OPERATOR, at=time.time_ns() // 1000)) as writing:
            if _known(writing.conn, license_):
                return
            new = _new(writing.conn, license_)
            for problem in create_tenants(writing, new, now=writing.by.at):
                if problem is not None:
                    raise problem
            tenants = [record.tenant_id for record in license_.records]
            row = {"license_id": license_.license_id, "serial": license_.serial, "issued_at": license_.issued_at}
            named = {"operator": license_.issuer, "key_id": license_.key_id, "tenants": json.dumps(tenants)}
            writing.conn.execute(insert(L).values(**row, **named))
            writing.audit("license.install", f"license:{license_.license_id}", after=row | {"tenants": tenants})

    def version(self) -> tuple[int, ...]:
        """What is another one after every change that anybody made. Raises sqlite3.Error, OSError."""
        conn = self._connected()
        (number,) = conn.execute("PRAGMA data_version").fetchone()
        return (*(self._identity or ()), number)

    @contextmanager
    def looking(self) -> Iterator[UsageLook]:
        """One consistent view. Raises sqlite3.Error, OSError."""
        conn = self._connected()
        conn.execute("BEGIN")
        try:
            yield UsageLook(conn)
        finally:
            conn.execute("ROLLBACK")

    def close(self) -> None:
        """Closes the file."""
        if self._conn is not None:
            conn, self._conn = self._conn, None
            conn.close()

    def _opened(self) -> Store:
        if not self.there:
            return open_store(self.path, create=True, busy_timeout=self._busy_timeout)
        try:
            return open_store(self.path, busy_timeout=self._busy_timeout)
        except StoreTooOld:
            return open_store(self.path, create=True, busy_timeout=self._busy_timeout)

    def _connected(self) -> sqlite3.Connection:
        found = self.path.stat()
        identity = found.st_dev, found.st_ino
        if self._conn is None or identity != self._identity:
            self.close()
            uri = f"file:{quote(str(self.path))}?mode=ro"
            self._conn = sqlite3.connect(uri, uri=True, timeout=self._busy_timeout, isolation_level=None)
            self._identity = identity
        return self._conn


class UsageLook:
    """What the store held at one moment."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn: Final = conn
        row = conn.execute("SELECT store_id, revision, digest, restored FROM store").fetchone()
        self.head: Final = UsageHead(store_id=row[0], revision=row[1], digest=row[2], restored=row[3])

    def logged(self, revision: int) -> str | None:
        """The digest of all that it held at a revision; None: it does not know."""
        row = self._conn.execute("SELECT digest FROM revision_log WHERE revision = ?", (revision,)).fetchone()
        return None if row is None else str(row[0])

    def changed_since(self, revision: int) -> set[str]:
        """Tenants whose usage changed after a revision."""
        query = "SELECT DISTINCT tenant_id FROM change_log WHERE revision > ?"
        return {tenant_id for (tenant_id,) in self._conn.execute(query, (revision,))}

    def existing(self, tenant_ids: Collection[str]) -> Existing:
        """What exists at these tenants."""
        units: dict[str, dict[str, int]] = {}
        seats: list[SeatRow] = []
        changed: dict[str, int] = {}
        for chunk in lineage.chunks(sorted(tenant_ids)):
            for tenant_id, key, count in self._of("SELECT tenant_id, key, units FROM usage", chunk):
                units.setdefault(tenant_id, {})[key] = count
            for number, tenant_id, key, user_id in self._of("SELECT id, tenant_id, key, user_id FROM seat", chunk):
                seats.append(SeatRow(number=number, tenant_id=tenant_id, key=key, user_id=user_id))
            changed.update(self._of("SELECT tenant_id, revision FROM entitlement", chunk))
        return Existing(units=units, seats=seats, changed=changed)

    def _of(self, query: str, ids: list[str]) -> Iterator[Any]:
        return self._conn.execute(f"{query} WHERE tenant_id IN ({','.join('?' * len(ids))})", ids)


def _last(conn: Connection) -> tuple[str, int] | None:
    """License id and serial of the latest license on record."""
    row = conn.execute(select(L.c.license_id, L.c.serial).order_by(L.c.serial.desc()).limit(1)).one_or_none()
    return None if row is None else (row.license_id, row.serial)


def _known(conn: Connection, license_: License) -> bool:
    last = _last(conn)
    if last is None:
        return False
    if last[0] != license_.license_id:
        raise other_license(license_.license_id, last[0])
    if last[1] > license_.serial:
        raise older(license_.serial, last[1])
    return last[1] == license_.serial


def _new(conn: Connection, license_: License) -> list[NewTenant]:
    ids = [record.tenant_id for record in license_.records]
    known: set[str] = set()
    for chunk in lineage.chunks(ids):
        known.update(conn.scalars(select(T.c.id).where(T.c.id.in_(chunk))))
    return [NewTenant(id=r.tenant_id, zone=r.zone) for r in license_.records if r.tenant_id not in known]
