"""A copy of the store to try things on, gone afterwards. Nobody waits for it: other writers go on meanwhile."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy import Connection, Table, delete, insert, select, text
from sqlalchemy.exc import DBAPIError

from sync.store import schema
from sync.store.db import Store, open_store
from sync.store.errors import StoreUnavailable

NAME: Final = "try.db"
NEVER_READ: Final = {schema.audit, schema.change_log, schema.revision_log}
"""By changes: a copy goes without what only tells of earlier ones."""
PAGE: Final = 1000
"""Rows that are in memory at a time."""


@contextmanager
def copy_of(store: Store) -> Iterator[Store]:
    """The store as it is now, in a file that only this user can read, whatever it is kept in. Raises StoreError."""
    with tempfile.TemporaryDirectory(prefix="deskgate-try-") as folder:
        path = Path(folder) / NAME
        try:
            if store.file is None:
                _copy_rows(store, path)
            else:
                _copy_file(store.file, path)
        except (sqlite3.Error, DBAPIError, OSError) as e:
            cause = e.orig if isinstance(e, DBAPIError) else e
            raise StoreUnavailable(f"the store {store.name} cannot be copied to {folder} for the try: {cause}") from e
        yield open_store(path)


def _copy_file(file: Path, path: Path) -> None:
    with (
        closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(path)) as copy,
    ):
        source.backup(copy)


def _copy_rows(store: Store, path: Path) -> None:
    """Table by table, in one view: the schema is the same."""
    with store.reading() as source, open_store(path, create=True).place.writing() as copy:
        copy.execute(text("PRAGMA defer_foreign_keys = ON"))  # a tenant may come before the one that it is below
        for table in reversed(schema.metadata.sorted_tables):
            copy.execute(delete(table))
        for table in schema.metadata.sorted_tables:
            if table not in NEVER_READ:
                _copy_table(source, copy, table)


def _copy_table(source: Connection, copy: Connection, table: Table) -> None:
    rows = source.execute(select(table), execution_options={"yield_per": PAGE})
    for page in rows.mappings().partitions():
        copy.execute(insert(table), [dict(row) for row in page])
