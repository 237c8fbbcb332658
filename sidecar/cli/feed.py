"""`deskgate feed serve`: the store's changes for sidecars elsewhere. Any number of replicas, over one store."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Annotated, Final, NoReturn

import typer

from sidecar.cli.backoffice.common import DEFAULT_STORE, StorePath, app_of, told
from sidecar.cli.backoffice.listening import Cert, ClientCa, Key, Listen, LogFormat, address_of, tls_of
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
    address: Listen = "127.0.0.1:9293",
    metrics_address: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where Prometheus finds the metrics; empty: nowhere.")
    ] = "",
    tls_cert: Cert = None,
    tls_key: Key = None,
    tls_client_ca: ClientCa = None,
    heartbeat_seconds: Annotated[float, typer.Option(min=0.1, max=60, help="How often a word comes at least.")] = 5.0,
    keepalive_seconds: Annotated[float, typer.Option(min=1, max=600, help="How often an idle line is tried.")] = 20.0,
    log_format: LogFormat = "json",
) -> None:
    """Serve the change feed until SIGTERM or SIGINT. Sidecars are let in that `deskgate operator add --role sidecar`
    knows: by their token, or by a certificate whose common name is theirs."""
    from sync.feed.bell import bell_of
    from sync.feed.server import FeedServer, FeedTuning
    from sync.listening import security
    from sync.store.db import open_store

    tls = tls_of(tls_cert, tls_key, tls_client_ca)
    where, scraped = address_of("address", address), address_of("metrics_address", metrics_address or "127.0.0.1:0")
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
        kept, at = security(tls), str(server.address)
        _log.info("serving", address=at, metrics=metrics_address, security=kept, store=opened.name)
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
