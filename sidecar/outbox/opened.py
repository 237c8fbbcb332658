"""The outbox as an operator sees and changes it, beside a sidecar that may be running or not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from sidecar.outbox import rows
from sidecar.outbox.rows import NotThere, State, Statement


class Opened:
    """The outbox in a file. Raises OutboxUnusable or OutboxDamaged when that cannot be used."""

    def __init__(self, path: Path) -> None:
        """Raises NotThere."""
        if not path.exists():
            raise NotThere(f"there is no outbox at {path}: nothing was ever put there")
        self.path: Final = path

    def statements(self) -> Sequence[Statement]:
        """All of them, in order."""
        with closing(rows.connect(self.path, durable=True, create=False)) as conn, rows.told(self.path):
            return [rows.statement(row) for row in conn.execute(f"{rows.SELECT} ORDER BY id")]

    def retry(self, idempotency_key: str) -> Statement:
        """Has a refused statement sent once more; a running sidecar does it within a second. Raises NotThere."""
        return self._changed(idempotency_key, rows.repend)

    def drop(self, idempotency_key: str, *, pending: bool = False) -> Statement:
        """Takes a refused statement out; with `pending`, also one that is yet to be sent. Raises NotThere."""

        def remove(conn: sqlite3.Connection, number: int) -> None:
            conn.execute("DELETE FROM statement WHERE id = ?", (number,))

        return self._changed(idempotency_key, remove, refused_only=not pending)

    def _changed(
        self, idempotency_key: str, change: Callable[[sqlite3.Connection, int], None], *, refused_only: bool = True
    ) -> Statement:
        with closing(rows.connect(self.path, durable=True, create=False)) as conn, rows.told(self.path):
            conn.execute("BEGIN IMMEDIATE")
            try:
                found = rows.first(conn, f"{rows.SELECT} WHERE idempotency_key = ?", [idempotency_key])
                if found is None:
                    raise NotThere(
                        f"there is no statement {idempotency_key!r} in the outbox: see `deskgate outbox list`"
                    )
                if refused_only and found.state is not State.REFUSED:
                    raise NotThere(f"{idempotency_key!r} was not refused: it is still to be sent")
                change(conn, found.id)
            finally:
                conn.execute("COMMIT")
        return found
