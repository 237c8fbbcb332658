"""`deskgate health`: the gRPC health protocol, for container health checks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sidecar.cli.target import Target, Timeout


def health(
    target: Target = "127.0.0.1:9290",
    timeout: Timeout = 2.0,
    service: Annotated[str, typer.Option(help="A service by its full name; empty: the whole server.")] = "",
    tls_ca: Annotated[
        Path | None, typer.Option(help="Of a feed server: who vouches for it, PEM. Empty: it is spoken to without TLS.")
    ] = None,
    tls_name: Annotated[str, typer.Option(help="The name on its certificate, where that is not the target's.")] = "",
) -> None:
    """Exit 0 when the sidecar or feed server is serving, 1 when it is not or cannot be reached."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from sidecar.client.calls import OPTIONS

    if tls_ca is None:
        opened = grpc.insecure_channel(target, OPTIONS)
    else:
        named = (("grpc.ssl_target_name_override", tls_name),) if tls_name else ()
        opened = grpc.secure_channel(target, grpc.ssl_channel_credentials(_read(tls_ca)), (*OPTIONS, *named))
    with opened as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        try:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            status = stub.Check(request, timeout=timeout).status
            told = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
        except grpc.RpcError as e:
            told = f"{e.code().name}: {e.details()}"
    typer.echo(told, err=told != "SERVING")
    if told != "SERVING":
        raise typer.Exit(1)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise typer.BadParameter(f"{path} cannot be read: {e.strerror}", param_hint="--tls-ca") from e
