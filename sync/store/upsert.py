"""Inserts that may meet a row with the same key: SQLAlchemy has them for each database apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite

INSERTS: Final[Mapping[str, Callable[[Table], Any]]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def replacing(conn: Connection, table: Table, *key: str) -> Insert:
    """An insert of rows, no two with the same key; each takes the place of the row with its key."""
    return _replacing(conn.dialect.name, table, key)


def adding(conn: Connection, table: Table) -> Insert:
    """An insert that leaves a row with the same key as it is."""
    return _adding(conn.dialect.name, table)


@cache
def _replacing(dialect: str, table: Table, key: tuple[str, ...]) -> Insert:
    put = INSERTS[dialect](table)
    values = {column.name: put.excluded[column.name] for column in table.c if column.name not in key}
    done: Insert = put.on_conflict_do_update(index_elements=list(key), set_=values)
    return done


@cache
def _adding(dialect: str, table: Table) -> Insert:
    done: Insert = INSERTS[dialect](table).on_conflict_do_nothing()
    return done
