"""Server processes: started on a core of their own, waited for, and stopped by their own process id."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SERVER_CORE: Final = 0
CLIENT_CORE: Final = 1
ROOT: Final = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A running server process. Its output goes to `log`, which is shown when it fails."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], log: Path, core: int | None) -> None:
        self.command = list(command)
        self.log = log
        self.started_at = time.perf_counter()
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                self.command,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                cwd=ROOT,
                preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
            )
        self.pid = self._process.pid

    def wait_until(self, ready: Callable[[], bool], seconds: float = 60, every: float = 0.02) -> None:
        """Waits until `ready`. Raises RuntimeError with the log when the process ends or the time is up."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.command[0]} is not ready:\n{self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(every)

    def resident_mb(self) -> float:
        """Resident memory now, in MB of 2^20 bytes."""
        return _status_kb(self.pid, "VmRSS") / 1024

    def peak_mb(self) -> float:
        """The most memory it ever had resident, in MB of 2^20 bytes."""
        return _status_kb(self.pid, "VmHWM") / 1024

    def forget_peak(self) -> None:
        """Has `peak_mb` begin anew, at what is resident now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def cpu_seconds(self) -> float:
        """Processor time it has used, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends the process, by force after 15 s; returns its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(how)
            try:
                return self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()


def _status_kb(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise RuntimeError(f"no {name} of process {pid}")


def listening(target: str) -> bool:
    """Whether something accepts connections at "host:port" or "unix:PATH"."""
    unix = target.startswith("unix:")
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as probe:
        host, _, port = target.rpartition(":")
        try:
            probe.connect(port if unix else (host, int(port)))
        except OSError:
            return False
        return True


def scraped(http: str, name: str) -> float:
    """The value now of a metric served at "host:port"; of one with labels the sum. Raises OSError."""
    with urllib.request.urlopen(f"http://{http}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition(" ")[0].partition("{")[0] == name)


@contextmanager
def responder(folder: Path, *, unix: bool, answer_bytes: int = 300) -> Iterator[str]:
    """A running responder that does nothing; gives its target."""
    target = f"unix:{folder}/responder.sock" if unix else f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "benchmarks.responder", str(SERVER_CORE), target, str(answer_bytes)]
    server = Server(command, env={}, log=folder / "responder.log", core=SERVER_CORE)
    try:
        server.wait_until(lambda: b"ready" in server.log.read_bytes())
        yield target
    finally:
        server.stop(signal.SIGKILL)
