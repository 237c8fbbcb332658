"""A copy of the store to try things on, gone afterwards. Nobody waits for it: other writers go on meanwhile."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sync.store.db import Store, open_store
from sync.store.errors import StoreUnavailable

NAME: Final = "try.db"


@contextmanager
def copy_of(store: Store) -> Iterator[Store]:
    """The store as it is now, in a folder that only this user can read. Raises StoreError."""
    with tempfile.TemporaryDirectory(prefix="deskgate-try-") as folder:
        path = Path(folder) / NAME
        try:
            with (
                closing(sqlite3.connect(f"file:{quote(str(store.path))}?mode=ro", uri=True)) as source,
                closing(sqlite3.connect(path)) as copy,
            ):
                source.backup(copy)
        except (sqlite3.Error, OSError) as e:
            raise StoreUnavailable(f"the store {store.path} cannot be copied to {folder} for the try: {e}") from e
        yield open_store(path)
