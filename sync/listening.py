"""Where a server of this side listens, and by what it shows who it is: the same for the back office and the feed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from sidecar.address import Address
from sidecar.core.errors import DeskgateError


class CannotServe(DeskgateError):
    """An address cannot be listened on, or a certificate cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """The server's certificate and key, PEM; with `client_ca` only clients with a certificate of it are let in."""

    cert: Path
    key: Path
    client_ca: Path | None = None


NO_TLS: Final = "none: this machine alone"


def security(tls: ServerTls | None) -> str:
    """What keeps others out, for the log."""
    return NO_TLS if tls is None else "mtls" if tls.client_ca else "tls"


def listen(server: Any, address: Address, tls: ServerTls | None) -> Address:
    """Has a gRPC server, of either kind, listen; port 0: any that is free. Gives the address. Raises CannotServe."""
    if tls is None and not address.loopback:
        raise CannotServe(f"{address} is reachable from other machines: that takes --tls-cert and --tls-key")
    try:
        if tls is None:
            port = server.add_insecure_port(str(address))
        else:
            port = server.add_secure_port(str(address), _credentials(tls))
    except RuntimeError as e:
        raise CannotServe(
            f"{address} cannot be listened on: is it in use, and do certificate and key belong together? ({e})"
        ) from e
    return Address(address.host, int(port))


def _credentials(tls: ServerTls) -> grpc.ServerCredentials:
    try:
        pair = (tls.key.read_bytes(), tls.cert.read_bytes())
        ca = None if tls.client_ca is None else tls.client_ca.read_bytes()
    except OSError as e:
        raise CannotServe(f"a certificate cannot be read: {e}") from e
    return grpc.ssl_server_credentials([pair], root_certificates=ca, require_client_auth=ca is not None)
