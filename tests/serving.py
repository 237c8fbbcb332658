"""Real sidecars for tests: started as users start them, waited for by what they say, stopped by their own pid."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from sidecar.client import Answer, Deskgate
from sidecar.client.calls import OPTIONS
from sidecar.serving.service import SERVICE
from sync.store.audit import By
from sync.store.db import Store, open_store
from sync.store.demo import seed_demo
from sync.store.usage import Absolute, change_usage

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-m", "sidecar")
PATIENCE = 20.0
"""Seconds after which a condition that does not come about fails a test."""
TESTER = By(operator="tester", at=0)
RESPONSES = {
    "Check": pb.CheckResponse,
    "CheckBatch": pb.CheckBatchResponse,
    "Explain": pb.ExplainResponse,
    "AdjustUsage": pb.AdjustUsageResponse,
}


def wait_for(condition: Callable[[], Any], what: object = "", seconds: float = PATIENCE) -> Any:
    """What `condition` gives once that is true. `what` is shown, or called and shown, when it does not become so."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.01)
    return found


def environment() -> dict[str, str]:
    """This process' environment, without settings of whoever runs the tests, or of the tests themselves."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("DESKGATE_", "GRPC_"))}


def deskgate(*args: object, command: Sequence[str] = COMMAND) -> subprocess.CompletedProcess[str]:
    """Runs the command line in a process of its own, to its end."""
    return subprocess.run(
        [*command, *map(str, args)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def told_by(*args: object) -> Any:
    """What a command that works on the store answers in JSON."""
    done = deskgate(*args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@cache
def _demo_store() -> bytes:
    """The file of a store of demo tenants, filled once: all tests' stores are copies, and so have one identity."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        seed_demo(open_store(path, create=True), time.time_ns() // 1000)
        return path.read_bytes()


class Place:
    """Where one sidecar lives: a store of demo tenants, its state directory, policies and socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store_path = folder / "store.db"
        self.state = folder / "state"
        self.policies = folder / "policies"
        self.policy = self.policies / "desking.yaml"
        self.socket = folder / "s"
        self.copy = self.state / "entitlements.db"
        self.policies.mkdir()
        shutil.copy(ROOT / "policies" / "desking.yaml", self.policy)
        self.store_path.write_bytes(_demo_store())
        self._starts = 0

    @property
    def store(self) -> Store:
        """The store, opened by this process, which to a sidecar is another one."""
        return open_store(self.store_path)

    def use(self, tenant: str, **units: int) -> int:
        """States what exists, in one change; gives the revision."""
        with self.store.writing(TESTER) as writing:
            for key, count in units.items():
                change_usage(writing, tenant, key, Absolute(units=count))
        return writing.revision

    def hide_store(self) -> None:
        """Moves the store away. Nobody may be writing."""
        self._move_store("", ".hidden")

    def return_store(self) -> None:
        """Moves it back."""
        self._move_store(".hidden", "")

    def put_store(self, content: bytes) -> None:
        """Puts another file in the store's place, at once, as restoring a backup does."""
        draft = self.folder / "draft"
        draft.write_bytes(content)
        for sign in ("-wal", "-shm"):
            Path(f"{self.store_path}{sign}").unlink(missing_ok=True)
        draft.replace(self.store_path)

    def _move_store(self, before: str, after: str) -> None:
        for sign in ("", "-wal", "-shm"):
            source = Path(f"{self.store_path}{before}{sign}")
            if source.exists():
                source.rename(f"{self.store_path}{after}{sign}")

    def flags(self, **settings: object) -> list[str]:
        """The flags of `serve`, on any free loopback ports; `settings` change or add some, None leaves one out."""
        given = {
            "store": self.store_path,
            "policies": self.policies,
            "state_dir": self.state,
            "grpc_address": "127.0.0.1:0",
            "grpc_socket": self.socket,
            "http_address": "127.0.0.1:0",
        } | settings
        return [f"--{k.replace('_', '-')}={v}" for k, v in given.items() if v is not None]

    def refused(self, **settings: object) -> str:
        """Why a sidecar does not start: what it says when it exits with 2."""
        done = deskgate("serve", *self.flags(**settings))
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        return done.stderr

    @contextmanager
    def serve(
        self, *, ready: bool = True, command: Sequence[str] = COMMAND, **settings: object
    ) -> Iterator[RunningSidecar]:
        """A running sidecar, ready unless that is not to be waited for; ended when the block ends, if not before."""
        self._starts += 1
        log = self.folder / f"serve-{self._starts}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*command, "serve", *self.flags(**settings)],
                cwd=ROOT,
                env=environment(),
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        sidecar = RunningSidecar(process, log)
        try:
            sidecar.wait_for_event("serving")
            if ready:
                sidecar.wait(lambda: sidecar.page("/readyz")[0] == 200)
            yield sidecar
        finally:
            sidecar.end()


class RunningSidecar:
    """A `deskgate serve` process, and all the ways to ask it."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log_path = log

    # --- what it says -----------------------------------------------------------------------------------------------

    @property
    def log(self) -> str:
        """All it has written."""
        return self.log_path.read_text(errors="replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of a name that it has logged."""
        lines = [line for line in self.log.splitlines(keepends=True) if line.startswith("{") and line.endswith("}\n")]
        return [event for line in lines if (event := json.loads(line))["event"] == name]

    def wait_for_event(self, name: str) -> dict[str, Any]:
        """The first event of a name."""
        return self.wait(lambda: self.events(name))[0]

    def wait(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """As wait_for; shows the log when the condition does not come about, or the process ends before."""

        def met() -> Any:
            found = condition()
            assert found or self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log}"
            return found

        return wait_for(met, lambda: f"not in time:\n{self.log}", seconds)

    # --- asking -----------------------------------------------------------------------------------------------------

    @cached_property
    def _addresses(self) -> dict[str, str]:
        told = self.wait_for_event("serving")["addresses"]
        return {("socket" if " unix:" in a else a.split()[0]): a.split(maxsplit=1)[1] for a in told}

    @property
    def target(self) -> str:
        """Where gRPC is served over TCP."""
        return self._addresses["grpc"]

    @cached_property
    def channel(self) -> grpc.Channel:
        """A channel over TCP; nothing on it is tried again."""
        return grpc.insecure_channel(self.target, options=OPTIONS)

    @cached_property
    def client(self) -> Deskgate:
        """The client, over TCP."""
        return Deskgate(self.target, timeout=PATIENCE)

    def check(self, tenant: str, action: str, kind: str = "", **more: Any) -> Answer:
        """The client's answer."""
        return self.client.check(tenant, action, kind, **more)

    def call(self, method: str, request: Message, timeout: float = PATIENCE) -> tuple[str, Any]:
        """One call, once: the name of its status, and the answer or the detail."""
        try:
            data = self.channel.unary_unary(f"/{SERVICE}/{method}")(request.SerializeToString(), timeout=timeout)
        except grpc.RpcError as e:
            return str(e.code().name), e.details()
        return "OK", RESPONSES[method].FromString(data)

    def health(self) -> str:
        """What the health protocol says of the whole server."""
        answer = health_pb2_grpc.HealthStub(self.channel).Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    def page(self, path: str, **headers: str) -> tuple[int, str]:
        """A page over HTTP: its status and text; 0 when it cannot be had."""
        host, _, port = self._addresses["http"].rpartition(":")
        connection = HTTPConnection(host, int(port), timeout=PATIENCE)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        """/statusz as JSON."""
        return dict(json.loads(self.page("/statusz?format=json")[1]))

    def metrics(self) -> Mapping[str, float]:
        """Every series of deskgate's own, by name and labels as they are written, without the prefix."""
        lines = [line for line in self.page("/metrics")[1].splitlines() if line.startswith("deskgate_")]
        return {name.removeprefix("deskgate_"): float(value) for name, value in (x.rsplit(" ", 1) for x in lines)}

    def metric(self, name: str) -> float:
        """One series; 0 when it is not there."""
        return self.metrics().get(name, 0.0)

    # --- the end ----------------------------------------------------------------------------------------------------

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Sends a signal and waits for the end; gives the exit status."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """Ends it with SIGKILL."""
        assert self.stop(signal.SIGKILL) == -signal.SIGKILL

    def end(self) -> None:
        """Ends it in whatever state it is, and lets go of what asked it."""
        for opened in ("client", "channel"):
            if opened in self.__dict__:
                self.__dict__.pop(opened).close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
