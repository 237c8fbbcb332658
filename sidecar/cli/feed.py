"""`deskgate feed serve`: the store's changes for sidecars elsewhere. Any number of replicas, over one store."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Final, Literal, NoReturn

import typer

from sidecar.address import Address, parse_address
from sidecar.cli.backoffice.common import DEFAULT_STORE, StorePath, app_of, told
from sidecar.core.errors import InvalidRequest
from sidecar.observe.logs import configure, log

DRAIN_SECONDS: Final = 5.0
"""How long single calls that have begun may go on; watches end at once, and go on at another replica."""
_log: Final = log("feed")

app = app_of("feed", "The change feed: what sidecars on other machines follow.")


@app.callback()
def _group() -> None:
    """Keeps `serve` a sub-command, though it is the only one."""


@app.command()
@told
def serve(
    store: StorePath = DEFAULT_STORE,
    address: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; with TLS it may be reachable from elsewhere.")
    ] = "127.0.0.1:9293",
    metrics_address: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where Prometheus finds the metrics; empty: nowhere.")
    ] = "",
    tls_cert: Annotated[Path | None, typer.Option(help="The server's certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(
            help="Let only clients in that have a certificate of this authority, PEM: its CN is the sidecar's name."
        ),
    ] = None,
    heartbeat_seconds: Annotated[float, typer.Option(min=0.1, max=60, help="How often a word comes at least.")] = 5.0,
    keepalive_seconds: Annotated[float, typer.Option(min=1, max=600, help="How often an idle line is tried.")] = 20.0,
    log_format: Annotated[Literal["json", "console"], typer.Option(help="json or console.")] = "json",
) -> None:
    """Serve the change feed until SIGTERM or SIGINT. Sidecars are let in by `deskgate operator add --role sidecar`."""
    from sync.feed.bell import bell_of
    from sync.feed.server import FeedServer, FeedTls, FeedTuning
    from sync.store.db import open_store

    if (tls_cert is None) != (tls_key is None) or (tls_client_ca is not None and tls_cert is None):
        raise InvalidRequest("tls", "--tls-cert and --tls-key go together, and --tls-client-ca needs both")
    tls = FeedTls(cert=tls_cert, key=tls_key, client_ca=tls_client_ca) if tls_cert and tls_key else None
    where, scraped = _address("address", address), _address("metrics_address", metrics_address or "127.0.0.1:0")
    configure(log_format=log_format, level="info")
    tuning = FeedTuning(interval=heartbeat_seconds, keepalive=keepalive_seconds)
    opened = open_store(store)

    async def run() -> bool:
        server = FeedServer(opened, bell_of(opened), where, tls=tls, tuning=tuning)
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        if metrics_address:
            server.metrics.serve(scraped)
        await server.start()
        security = "none: this machine alone" if tls is None else "mtls" if tls.client_ca else "tls"
        _log.info("serving", address=str(server.address), metrics=metrics_address, security=security, store=opened.name)
        await stopping.wait()
        _log.info("draining", seconds=DRAIN_SECONDS)
        ended = await server.stop(DRAIN_SECONDS)
        _log.info("stopped")
        return ended

    if not asyncio.run(run()):
        _leave()


def _leave() -> NoReturn:
    """Ends the process at once: its usual end waits for threads that wait for the store."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


def _address(field: str, text: str) -> Address:
    try:
        return parse_address(text)
    except ValueError as e:
        raise InvalidRequest(field, str(e)) from e
