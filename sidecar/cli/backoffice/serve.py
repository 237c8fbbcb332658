"""`deskgate backoffice serve`: the back office over gRPC, for those who are not at the store's own machine."""

from __future__ import annotations

import signal
from queue import SimpleQueue
from types import FrameType
from typing import Final

from sidecar.cli.backoffice.common import DEFAULT_STORE, StorePath, app_of, told
from sidecar.cli.backoffice.listening import Cert, ClientCa, Key, Listen, LogFormat, address_of, tls_of
from sidecar.observe.logs import configure, log

DRAIN_SECONDS: Final = 10.0
"""How long calls that have begun may go on."""
_log: Final = log("backoffice")

app = app_of("backoffice", "The back office as a service.")


@app.callback()
def _group() -> None:
    """Keeps `serve` a sub-command, though it is the only one."""


@app.command()
@told
def serve(
    store: StorePath = DEFAULT_STORE,
    address: Listen = "127.0.0.1:9292",
    tls_cert: Cert = None,
    tls_key: Key = None,
    tls_client_ca: ClientCa = None,
    log_format: LogFormat = "json",
) -> None:
    """Serve the back office until SIGTERM or SIGINT; then started calls end, within ten seconds."""
    from sync.backoffice.front import BackOfficeFront
    from sync.listening import security
    from sync.store.db import open_store

    tls = tls_of(tls_cert, tls_key, tls_client_ca)
    configure(log_format=log_format, level="info")
    opened = open_store(store)
    front = BackOfficeFront(opened, address_of("address", address), tls)
    stopping = _stopping()
    front.start()
    _log.info("serving", address=str(front.address), security=security(tls), store=opened.name)
    stopping.get()
    _log.info("draining", seconds=DRAIN_SECONDS)
    front.stop(DRAIN_SECONDS)
    _log.info("stopped")


def _stopping() -> SimpleQueue[int]:
    """Gets the number of the signal that ends the process."""
    came: SimpleQueue[int] = SimpleQueue()

    def stop(number: int, _frame: FrameType | None) -> None:
        came.put(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return came
