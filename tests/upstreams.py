"""Where entitlements can come from, each behind one way to change it, to break it and to follow it: `Upstream`.

tests/contract/test_sources.py runs over all of them. What a kind cannot do, it says in `lacks`, and why.
"""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import Connection, delete, insert, select, update

from sync.feed.reading import everything
from sync.opening import SourceOptions, open_source
from sync.postgressource import PostgresSource
from sync.sources import FailureKind, Position, Source
from sync.store import schema
from sync.store.audit import By
from sync.store.db import Store, open_store
from sync.store.revisions import mean_restored
from tests import postgresql
from tests.fakes import digest_of, record
from tests.proxy import Proxy

TENANTS: Final = ("a", "b", "c")
"""Those that every upstream has from the start."""


class Ability(Enum):
    """What not every upstream can do, or need."""

    ADD = auto()
    """It can have tenants that it did not have before."""
    TAKE = auto()
    """It can come to have a tenant no more."""
    BE_AWAY = auto()
    """It can be out of reach."""
    GO_BACK = auto()
    """It can be set back to an earlier state."""
    MEAN_IT = auto()
    """An operator can say that an earlier state is meant."""
    BE_ANOTHER = auto()
    """Another store can come to be in its place."""
    BE_EMPTIED = auto()
    """It can lose all that it holds, its identity included."""
    FORGET = auto()
    """It can forget what changed long ago."""
    LOSE_CHANGES = auto()
    """Its log of changes can be wrong."""
    CHANGE_SCHEMA = auto()
    """It can be of another version of deskgate."""
    TELL_TIME = auto()
    """Its clock settles what `now` is."""


class Upstream(Protocol):
    """A store, or what stands for one, that holds TENANTS."""

    @property
    def lacks(self) -> Mapping[Ability, str]:
        """What it cannot do, and why."""

    @property
    def away(self) -> FailureKind:
        """How it is told that it is out of reach."""

    @property
    def secret(self) -> str:
        """What nobody is to be told; "": nothing."""

    def source(self) -> Source:
        """Another follower of it."""

    def change(self, *ids: str) -> None:
        """Commits new records of these tenants, at once."""

    def take(self, *ids: str) -> None:
        """Has these tenants no more."""

    def position(self) -> Position:
        """Where its history is."""

    def records(self) -> dict[str, bytes]:
        """All that it holds."""

    def go_away(self) -> None:
        """Is out of reach, until it comes back. It can be changed meanwhile."""

    def come_back(self) -> None:
        """Is in reach again."""

    def remember(self) -> object:
        """Its present state, to be set back to."""

    def go_back(self, to: object) -> None:
        """Is as it was then."""

    def mean_it(self) -> None:
        """Says that the earlier state is meant."""

    def be_another(self) -> object:
        """Another store is in its place; gives what to `go_back` to."""

    def be_emptied(self) -> None:
        """Holds nothing any more."""

    def forget(self) -> None:
        """Knows of changes from now on only."""

    def lose_changes(self, *ids: str) -> None:
        """These tenants' changes so far are in its log no more."""

    def change_schema(self, by: int) -> None:
        """Is of a version later or earlier by so many."""

    def close(self) -> None:
        """Ends it."""


class Rows:
    """The tables of a real store that its followers look at, written without its rules."""

    def __init__(self, store: Store) -> None:
        self.store: Final = store

    def write(self, work: Callable[[Connection], object]) -> None:
        with self.store.place.writing() as conn:
            conn.execute(select(schema.store).with_for_update())
            work(conn)

    def commit(self, put: Iterable[str] = (), take: Iterable[str] = ()) -> int:
        """New records of `put`, none of `take`, with the next revision."""
        put, altered = list(put), [*put, *take]

        def work(conn: Connection) -> None:
            revision = conn.scalars(select(schema.store.c.revision)).one() + 1
            conn.execute(delete(schema.entitlement).where(schema.entitlement.c.tenant_id.in_(altered)))
            rows = [{"tenant_id": i, "revision": revision, "record": record(i, revision)} for i in put]
            if rows:
                conn.execute(insert(schema.entitlement), rows)
            if altered:
                conn.execute(insert(schema.change_log), [{"revision": revision, "tenant_id": i} for i in altered])
            held = digest_of((i, data or b"") for i, data in everything(conn))
            conn.execute(update(schema.store).values(revision=revision, digest=held))
            conn.execute(insert(schema.revision_log).values(revision=revision, digest=held, at=0))
            self.store.place.announce(conn, revision)

        self.write(work)
        return self.position().revision

    def position(self) -> Position:
        with self.store.place.reading() as conn:
            row = conn.execute(select(schema.store)).one()
            return Position(store_id=row.store_id, revision=row.revision, mark=row.digest)

    def records(self) -> dict[str, bytes]:
        with self.store.place.reading() as conn:
            return {i: data or b"" for i, data in everything(conn)}

    def set(self, **values: Any) -> None:
        """Alters what the store says of itself."""
        self.write(lambda conn: conn.execute(update(schema.store).values(**values)))


class _OfRows:
    """What is the same for all kinds of stores that are followed by their rows."""

    rows: Rows

    def change(self, *ids: str) -> None:
        self.rows.commit(ids)

    def take(self, *ids: str) -> None:
        self.rows.commit(take=ids)

    def position(self) -> Position:
        return self.rows.position()

    def records(self) -> dict[str, bytes]:
        return self.rows.records()

    def mean_it(self) -> None:
        with self.rows.store.writing(By(operator="tester", at=0)) as writing:
            mean_restored(writing)

    def forget(self) -> None:
        def work(conn: Connection) -> None:
            conn.execute(delete(schema.change_log))
            conn.execute(delete(schema.revision_log).where(schema.revision_log.c.revision < self.position().revision))

        self.rows.write(work)

    def lose_changes(self, *ids: str) -> None:
        log = schema.change_log
        self.rows.write(lambda conn: conn.execute(delete(log).where(log.c.tenant_id.in_(ids))))

    def change_schema(self, by: int) -> None:
        self.rows.set(schema_version=schema.SCHEMA_VERSION + by)


class SqliteUpstream(_OfRows):
    """A store's file."""

    lacks: Final = {Ability.TELL_TIME: "a file has the machine's own clock"}
    away: Final = FailureKind.MISSING
    secret: Final = ""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / "store.db"
        self._kept = 0
        self.rows = Rows(open_store(self._path, create=True))
        self.rows.commit(TENANTS)

    def source(self) -> Source:
        return open_source(str(self._path), SourceOptions(interval=0.005))

    def go_away(self) -> None:
        away = self._folder / "away"
        for file in self._folder.glob("store.db*"):
            file.rename(away.with_suffix(file.suffix))
        self.rows = Rows(open_store(away.with_suffix(".db")))

    def come_back(self) -> None:
        self.remember()  # all of it is in the file itself then
        (self._folder / "away.db").rename(self._path)
        self.rows = Rows(open_store(self._path))

    def remember(self) -> object:
        self._kept += 1
        path, kept = self.rows.store.path, self._folder / f"kept-{self._kept}.db"
        with closing(sqlite3.connect(path)) as conn:
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copyfile(path, kept)
        return kept

    def go_back(self, to: object) -> None:
        assert isinstance(to, Path)
        draft = self._folder / "draft"
        shutil.copyfile(to, draft)
        self._put(draft)

    def be_another(self) -> object:
        before, other = self.remember(), self._folder / "other.db"
        rows = Rows(open_store(other, create=True))
        for _ in range(self.position().revision + 2):
            rows.commit(["x"])
        with closing(sqlite3.connect(other)) as conn:
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._put(other)
        return before

    def be_emptied(self) -> None:
        draft = self._folder / "draft"
        draft.write_bytes(b"")
        self._put(draft)

    def _put(self, file: Path) -> None:
        for sign in ("-wal", "-shm"):
            Path(f"{self._path}{sign}").unlink(missing_ok=True)
        file.replace(self._path)

    def close(self) -> None:
        pass


class PostgresUpstream(_OfRows):
    """A store's database, at the end of a network."""

    lacks: Final[Mapping[Ability, str]] = {}
    away: Final = FailureKind.UNREACHABLE
    secret: Final = "s3cret"

    def __init__(self, patience: float = 30.0) -> None:
        self._patience = patience
        url = postgresql.fresh()
        self.name = url.rpartition("/")[2]
        self.rows = Rows(open_store(url))
        self.rows.commit(TENANTS)
        self.network = Proxy(to_server)

    @property
    def url(self) -> str:
        """Of the database, over the network."""
        return f"postgresql://postgres:{self.secret}@127.0.0.1:{self.network.port}/{self.name}"

    def source(self) -> PostgresSource:
        return PostgresSource(self.url, look_every=0.05, patience=self._patience)

    def go_away(self) -> None:
        self.network.cut()

    def come_back(self) -> None:
        self.network.restore()

    def remember(self) -> object:
        return postgresql.backup(self.name)

    def go_back(self, to: object) -> None:
        postgresql.replace(self.name, str(to))

    def be_another(self) -> object:
        before, revision = self.remember(), self.position().revision
        postgresql.replace(self.name, str(before))
        self.rows.set(store_id="another")
        self.rows.commit(["x"])
        assert self.position().revision > revision
        return before

    def be_emptied(self) -> None:
        postgresql.replace(self.name, "template0")

    def close(self) -> None:
        self.network.cut()


def to_server() -> socket.socket:
    """A connection to the tests' database server."""
    info = postgresql.server().get_postmaster_info()
    far = socket.socket(socket.AF_UNIX)
    far.connect(f"{info.socket_dir}/.s.PGSQL.{info.port}")
    return far
