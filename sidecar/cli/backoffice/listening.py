"""The options of commands that serve: where to listen, and by which certificates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sidecar.address import Address, parse_address
from sidecar.core.errors import InvalidRequest

if TYPE_CHECKING:
    from sync.listening import ServerTls

Listen = Annotated[
    str, typer.Option(metavar="HOST:PORT", help="Where to listen; with TLS it may be reachable from elsewhere.")
]
Cert = Annotated[Path | None, typer.Option(help="The server's certificate chain, PEM.")]
Key = Annotated[Path | None, typer.Option(help="Its private key, PEM.")]
ClientCa = Annotated[
    Path | None, typer.Option(help="Let only clients in that have a certificate of this authority, PEM.")
]
LogFormat = Annotated[Literal["json", "console"], typer.Option(help="json or console.")]


def address_of(field: str, text: str) -> Address:
    """An address. Raises InvalidRequest."""
    try:
        return parse_address(text)
    except ValueError as e:
        raise InvalidRequest(field, str(e)) from e


def tls_of(cert: Path | None, key: Path | None, client_ca: Path | None) -> ServerTls | None:
    """The certificates that were named; None: there are none. Raises InvalidRequest for some without the others."""
    from sync.listening import ServerTls

    if (cert is None) != (key is None) or (client_ca is not None and cert is None):
        raise InvalidRequest("tls", "--tls-cert and --tls-key go together, and --tls-client-ca needs both")
    return ServerTls(cert=cert, key=key, client_ca=client_ca) if cert and key else None
