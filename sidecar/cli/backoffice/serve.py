"""`deskgate backoffice serve`: the back office over gRPC, for those who are not at the store's own machine."""

from __future__ import annotations

import signal
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Annotated, Final, Literal

import typer

from sidecar.address import Address, parse_address
from sidecar.cli.backoffice.common import DEFAULT_STORE, StorePath, app_of, told
from sidecar.core.errors import InvalidRequest
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
    address: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; with TLS it may be reachable from elsewhere.")
    ] = "127.0.0.1:9292",
    tls_cert: Annotated[Path | None, typer.Option(help="The server's certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="Let only clients in that have a certificate of this authority, PEM.")
    ] = None,
    log_format: Annotated[Literal["json", "console"], typer.Option(help="json or console.")] = "json",
) -> None:
    """Serve the back office until SIGTERM or SIGINT; then started calls end, within ten seconds."""
    from sync.backoffice.front import BackOfficeFront, ServerTls
    from sync.store.db import open_store

    if (tls_cert is None) != (tls_key is None) or (tls_client_ca is not None and tls_cert is None):
        raise InvalidRequest("tls", "--tls-cert and --tls-key go together, and --tls-client-ca needs both")
    tls = ServerTls(cert=tls_cert, key=tls_key, client_ca=tls_client_ca) if tls_cert and tls_key else None
    configure(log_format=log_format, level="info")
    security = "none: this machine alone" if tls is None else "mtls" if tls.client_ca else "tls"
    front = BackOfficeFront(open_store(store), _address(address), tls)
    stopping = _stopping()
    front.start()
    _log.info("serving", address=str(front.address), security=security, store=store)
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


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as e:
        raise InvalidRequest("address", str(e)) from e
