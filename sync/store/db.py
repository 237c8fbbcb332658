"""Opening the store, and its transactions. A change and the records it alters are one transaction.

A store is kept in an SQLite file or in a PostgreSQL database: what is of one of them alone is in its place's module.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Select, func, select

from sync.store import audit, entitlements, lineage, schema
from sync.store.audit import By
from sync.store.errors import StoreForeign, StoreMissing, StoreTooNew, StoreTooOld, StoreUnavailable
from sync.store.place import Place
from sync.store.sqliteplace import SqlitePlace
from sync.storeurl import DATABASE

BUSY_TIMEOUT: Final = 5.0
"""Seconds that a transaction waits for another writer."""
FILE: Final = "sqlite:///"
HEAD: Final = select(schema.store.c.schema_version, schema.store.c.revision)
TURN: Final = HEAD.with_for_update()
"""The first statement of a change: in PostgreSQL it waits here until its turn has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    """What a store says of itself."""

    store_id: str
    schema_version: int
    revision: int
    tenants: int


class Writing:
    """One change on its way: a connection whose turn to write it is, who makes it, and what it alters.

    After it is committed `revision` is the one at which its effect can be seen.
    """

    def __init__(self, conn: Connection, revision: int, by: By) -> None:
        self.conn = conn
        self.revision = revision
        self.by = by
        self._touched: set[str] = set()
        self._unwritten: list[audit.Change] = []
        self._audited = False

    def audit(
        self, action: str, subject: str, *, tenant_id: str = "", before: object = None, after: object = None
    ) -> None:
        """Says in the audit trail what is changed: JSON-like values, None where there is nothing before or after."""
        self._unwritten.append(
            audit.Change(by=self.by, action=action, tenant_id=tenant_id, subject=subject, before=before, after=after)
        )

    def touch(self, tenant_id: str, *, subtree: bool = False) -> None:
        """Marks a tenant before its rows change: its record, that of its pool's owner, with `subtree` all below it."""
        self._touched |= {tenant_id} | lineage.holders(self.conn, [tenant_id])
        if subtree:
            self._touched |= lineage.descendants(self.conn, tenant_id)

    def touch_many(self, tenant_ids: Iterable[str]) -> None:
        """Marks tenants, and their pools' owners, set by set."""
        for chunk in lineage.chunks(tenant_ids):
            self._touched.update(chunk, lineage.holders(self.conn, chunk))

    def touch_only(self, tenant_ids: Iterable[str]) -> None:
        """Marks these tenants alone: new ones, or by one who knows whose pools they leave."""
        self._touched.update(tenant_ids)

    def touch_below(self, tenant_ids: Iterable[str]) -> None:
        """Marks all below some tenants."""
        for chunk in lineage.chunks(tenant_ids):
            self._touched |= lineage.below(self.conn, chunk)

    def finish(self) -> None:
        """Writes the audit entries so far, and the records that really changed, with the next revision."""
        if self._unwritten:
            audit.append(self.conn, [(change, secrets.token_hex(8)) for change in self._unwritten])
            self._unwritten.clear()
            self._audited = True
        if self._touched:
            before, self.revision = (
                self.revision,
                entitlements.write_changed(self.conn, self._touched, self.revision, self.by.at),
            )
            self._touched.clear()
            if self.revision != before and not self._audited:
                raise RuntimeError("records were changed without an entry in the audit trail")


class Store:
    """An open store. Threads may share it; a process opens its own."""

    def __init__(self, place: Place) -> None:
        self.place: Final = place

    @property
    def name(self) -> str:
        """What people call it, and `--store` takes: a path, or a URL without its password."""
        return self.place.name

    @property
    def file(self) -> Path | None:
        """Its file, where it is kept in one."""
        return self.place.file

    @property
    def path(self) -> Path:
        """Its file. Raises StoreUnavailable where there is none."""
        if self.place.file is None:
            raise StoreUnavailable(f"the store {self.name} is no file")
        return self.place.file

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view. Raises StoreError."""
        with _clearly(self.place), self.place.reading() as conn:
            _checked_revision(conn, self.place, HEAD)
            yield conn

    @contextmanager
    def writing(self, by: By | Callable[[], By]) -> Iterator[Writing]:
        """One change: committed with its records and audit entries when the block ends, undone when it raises.

        A `by` that is called says it once the change's turn has come: of two writers the later one has the later
        instant. Raises StoreError.
        """
        with _clearly(self.place), self.place.writing() as conn:
            before = _checked_revision(conn, self.place, TURN)
            writing = Writing(conn, before, by() if callable(by) else by)
            yield writing
            writing.finish()
            if writing.revision != before:
                self.place.announce(conn, writing.revision)

    def status(self) -> StoreStatus:
        """Identity, schema and revision."""
        with self.reading() as conn:
            row = conn.execute(select(schema.store)).one()
            tenants = conn.scalar(select(func.count()).select_from(schema.tenant))
            return StoreStatus(
                store_id=row.store_id,
                schema_version=row.schema_version,
                revision=row.revision,
                tenants=tenants or 0,
            )


def open_store(url_or_path: str | Path, *, create: bool = False, busy_timeout: float = BUSY_TIMEOUT) -> Store:
    """The store in a file or a database; with `create` it is made, or migrated to this version's schema, where needed.

    Takes a path, an `sqlite:///` URL or a `postgresql://` URL. Raises StoreMissing, StoreTooNew, StoreTooOld or another
    StoreError.
    """
    place = _place_of(url_or_path, busy_timeout)
    if create:
        _make(place)
    elif place.file is not None and not place.file.exists():
        raise _missing(place)
    store = Store(place)
    with store.reading():
        return store


def migrate_store(url_or_path: str | Path, *, busy_timeout: float = BUSY_TIMEOUT) -> Store:
    """A store that is there, brought to this version's schema. Raises StoreError, as `open_store`."""
    place = _place_of(url_or_path, busy_timeout)
    with _clearly(place):
        if not place.exists():
            raise _missing(place)
    return open_store(url_or_path, create=True, busy_timeout=busy_timeout)


def _missing(place: Place) -> StoreMissing:
    return StoreMissing(f"there is no store at {place.name}: make one with `deskgate store init --store {place.name}`")


def path_of(url_or_path: str | Path) -> Path:
    """The file meant. Raises StoreUnavailable for what is no file."""
    text = str(url_or_path)
    if text.startswith(FILE):
        return Path(text.removeprefix(FILE))
    if "://" in text:
        raise StoreUnavailable(
            f"{text.split('://')[0]}: a store is kept in an SQLite file or in PostgreSQL; give a path or postgresql://..."
        )
    return Path(text)


def _place_of(url_or_path: str | Path, busy_timeout: float) -> Place:
    text = str(url_or_path)
    if DATABASE.match(text) is None:
        return SqlitePlace(path_of(url_or_path), busy_timeout=busy_timeout)
    from sync.store.postgresplace import PostgresPlace  # 0.1 s, needed only there

    return PostgresPlace(text, busy_timeout=busy_timeout)


def _make(place: Place) -> None:
    with _clearly(place), place.making() as conn:
        _refuse_foreign(conn, place)
        _migrate(conn)
        place.made(conn)


def _refuse_foreign(conn: Connection, place: Place) -> None:
    tables = place.tables(conn)
    if tables and "store" not in tables:
        raise StoreForeign(
            f"{place.name} is a database of another kind: give the path of a store, of a new file, or an empty database"
        )
    if tables:
        _refuse_newer(_version(conn, place), place)


def _migrate(conn: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "sync.store:migrations")
    config.attributes["connection"] = conn
    command.upgrade(config, "head")


def _version(conn: Connection, place: Place) -> int:
    version = conn.scalar(select(schema.store.c.schema_version).with_for_update())
    if version is None:
        raise _identity_lost(place)
    return int(version)


def _identity_lost(place: Place) -> StoreForeign:
    return StoreForeign(f"the store {place.name} has lost its identity: restore it from a backup")


def _refuse_newer(version: int, place: Place) -> None:
    if version > schema.SCHEMA_VERSION:
        raise StoreTooNew(
            f"the store {place.name} has schema {version}, this deskgate knows {schema.SCHEMA_VERSION}: update deskgate"
        )


def _checked_revision(conn: Connection, place: Place, head: Select[tuple[int, int]]) -> int:
    """The store's revision, once its schema is known to be ours."""
    row = conn.execute(head).one_or_none()
    if row is None:
        raise _identity_lost(place)
    _refuse_newer(row.schema_version, place)
    if row.schema_version < schema.SCHEMA_VERSION:
        raise StoreTooOld(
            f"the store {place.name} has schema {row.schema_version}: run `deskgate store migrate --store {place.name}`"
        )
    return int(row.revision)


@contextmanager
def _clearly(place: Place) -> Iterator[None]:
    """Turns the driver's errors into ones that say what to do."""
    try:
        yield
    except place.errors as e:
        failure = place.failure(e)
        if failure is None:
            raise
        raise failure from e
