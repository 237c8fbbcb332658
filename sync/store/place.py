"""What of a store is its database's own: where it is kept, its transactions, and what its driver's errors mean."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from sidecar.core.errors import DeskgateError


class Place(Protocol):
    """A database that holds a store, or may come to hold one. Its transactions raise the driver's errors, which
    `failure` tells.
    """

    @property
    def name(self) -> str:
        """What people call it, and `--store` takes: a path, or a URL without its password."""

    @property
    def file(self) -> Path | None:
        """The store's file, where it is one."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What the driver raises."""

    def failure(self, error: Exception) -> DeskgateError | None:
        """What an error of the driver's means, mostly a StoreError; None: nothing that the place is to blame for."""

    def exists(self) -> bool:
        """Whether there is anything, of whatever kind. Raises the driver's errors."""

    def making(self) -> AbstractContextManager[Connection]:
        """A transaction in which tables may be made; one at a time."""

    def tables(self, conn: Connection) -> set[str]:
        """Names of all tables that are there, whoever made them."""

    def made(self, conn: Connection) -> None:
        """Ends the making: after it, texts are compared and sorted by their bytes."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction with one view of the store, in which nothing can be changed or, in a file, is not to be."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction whose first statement, `FOR UPDATE` of the store's row, waits for its turn; committed when the
        block ends.
        """

    def announce(self, conn: Connection, revision: int) -> None:
        """Has those who listen told of a revision once the transaction is committed."""
