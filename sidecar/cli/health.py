"""`deskgate health`: the gRPC health protocol, for container health checks."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sidecar.cli.target import Target, Timeout


def health(
    target: Target = "127.0.0.1:9290",
    timeout: Timeout = 2.0,
    service: Annotated[str, typer.Option(help="A service by its full name; empty: the whole server.")] = "",
) -> None:
    """Exit 0 when the sidecar is serving, 1 when it is not or cannot be reached."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from sidecar.client.calls import OPTIONS

    with grpc.insecure_channel(target, options=OPTIONS) as channel:
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
