"""The sidecar under measurement, started as its operators start it."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.processes import CLIENT_CORE, ROOT, SERVER_CORE, Server, free_port, scraped

COMMAND: Final = (str(Path(sys.executable).with_name("deskgate")), "serve")
POLICIES: Final = ROOT / "policies" / "desking.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A running sidecar and where it can be reached."""

    server: Server
    tcp: str
    unix: str
    http: str

    def target(self, *, unix: bool) -> str:
        """Where gRPC is served."""
        return self.unix if unix else self.tcp

    def counted(self, name: str) -> float:
        """A metric's value now; of one with labels the sum."""
        return scraped(self.http, name)

    def ready(self) -> bool:
        """Whether it says it is."""
        try:
            with urllib.request.urlopen(f"http://{self.http}/readyz", timeout=1) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def start(
    folder: Path,
    store: Path | str,
    *,
    state: Path | None = None,
    policies: Path = POLICIES,
    core: int | None = SERVER_CORE,
    env: Mapping[str, str] | None = None,
) -> Sidecar:
    """Starts a sidecar and does not wait for it. `store`: a file, or the URL of another kind of store."""
    folder.mkdir(parents=True, exist_ok=True)
    tcp, http = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    settings = {
        "DESKGATE_STORE": store if isinstance(store, str) else f"sqlite:///{store}",
        "DESKGATE_POLICIES": str(policies),
        "DESKGATE_STATE_DIR": str(state or folder / "state"),
        "DESKGATE_GRPC_ADDRESS": tcp,
        "DESKGATE_GRPC_SOCKET": str(folder / "deskgate.sock"),
        "DESKGATE_HTTP_ADDRESS": http,
        "DESKGATE_LOG_LEVEL": "warning",
        **(env or {}),
    }
    server = Server(COMMAND, env=settings, log=folder / "deskgate.log", core=core)
    return Sidecar(server=server, tcp=tcp, unix=f"unix:{folder}/deskgate.sock", http=http)


@contextmanager
def running(folder: Path, store: Path | str, **kwargs: object) -> Iterator[Sidecar]:
    """A sidecar that is ready, on one core; takes what `start` takes."""
    sidecar = start(folder, store, **kwargs)  # type: ignore[arg-type]
    try:
        sidecar.server.wait_until(sidecar.ready)
        yield sidecar
    finally:
        sidecar.server.stop()


@contextmanager
def following(folder: Path, feed: str, token: str, *, core: int | None = CLIENT_CORE) -> Iterator[Sidecar]:
    """A sidecar that follows a feed server, ready."""
    with running(folder, f"deskgate://{feed}", core=core, env={"DESKGATE_STORE_TOKEN": token}) as sidecar:
        yield sidecar
