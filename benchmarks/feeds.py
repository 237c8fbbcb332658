"""The feed server under measurement, started as its operators start it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.processes import SERVER_CORE, Server, free_port, listening, scraped
from sync.feed.reading import look
from sync.sources import Position
from sync.store.db import Store

COMMAND: Final = (str(Path(sys.executable).with_name("deskgate")), "feed", "serve")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A running replica and where it can be reached."""

    server: Server
    tcp: str
    http: str

    def counted(self, name: str) -> float:
        """A metric's value now; of one with labels the sum."""
        return scraped(self.http, name)


def start(folder: Path, store: str, *, tcp: str = "", core: int | None = SERVER_CORE) -> Feed:
    """Starts a replica and does not wait for it. `tcp`: where it is to listen."""
    folder.mkdir(parents=True, exist_ok=True)
    tcp, http = tcp or f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    command = [*COMMAND, "--store", store, "--address", tcp, "--metrics-address", http]
    return Feed(server=Server(command, env={}, log=folder / "feed.log", core=core), tcp=tcp, http=http)


@contextmanager
def running(folder: Path, store: str, **options: object) -> Iterator[Feed]:
    """A replica that listens, on one core; takes what `start` takes."""
    feed = start(folder, store, **options)  # type: ignore[arg-type]
    try:
        feed.server.wait_until(lambda: listening(feed.tcp))
        yield feed
    finally:
        feed.server.stop(signal.SIGKILL)


def position_of(store: Store) -> Position:
    """Where a store is now."""
    with store.reading() as conn:
        return look(conn, None).head.position
