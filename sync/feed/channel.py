"""Connections to feed servers: where they are, how they are known, who we are, and keep-alives on an idle line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import grpc

from sidecar.address import Address, parse_address

SERVICE: Final = "desking.entitlements.v1.FeedService"
CODE: Final = "deskgate-code"
"""Trailing metadata of a call that failed: the error's code."""
STORE: Final = "deskgate-store"
"""Metadata of a statement of usage: the id of the store that it is meant for."""
SCHEME: Final = "deskgate"
MOST_ADDRESSES: Final = 16
MOST_BYTES: Final = 16 * 1024 * 1024
"""Of one message that is taken; servers send batches of 256 KiB, or one record that is larger."""

KEEPALIVE_SECONDS: Final = 20.0
"""How often an idle connection is tried by a ping."""
KEEPALIVE_PATIENCE: Final = 10.0
"""Seconds within which a ping is to be answered, or the connection is taken as dead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedTarget:
    """One or more feed servers over the same store, and what it takes to be let in.

    Servers on this machine are spoken to without TLS unless some of it is given. Others are known by `ca` (PEM), or as
    this machine knows others; `cert` and `key` (PEM) show who we are, or `token` does.
    """

    addresses: tuple[Address, ...]
    token: str = field(default="", repr=False)
    ca: bytes | None = None
    cert: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    keepalive: float = KEEPALIVE_SECONDS
    keepalive_patience: float = KEEPALIVE_PATIENCE

    def secured(self, address: Address) -> bool:
        """Whether a server is spoken to by TLS."""
        return not address.loopback or any((self.ca, self.cert, self.key))

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()


def parse_target(url: str) -> tuple[Address, ...]:
    """The addresses in `deskgate://host:port[,host:port]`. Raises ValueError saying what is wrong."""
    text = url.removeprefix(f"{SCHEME}://")
    if text == url:
        raise ValueError(f"{url!r}: write {SCHEME}://host:port, or several with commas between them")
    found = tuple(parse_address(part.strip()) for part in text.rstrip("/").split(","))
    if len(set(found)) < len(found):
        raise ValueError(f"{url!r} names a server twice")
    if len(found) > MOST_ADDRESSES:
        raise ValueError(f"at most {MOST_ADDRESSES} feed servers, got {len(found)}")
    return found


def keepalive_options(seconds: float, patience: float) -> list[tuple[str, int]]:
    """Channel and server options by which a dead line is noticed though nothing is sent: the same on both ends."""
    return [
        ("grpc.keepalive_time_ms", int(seconds * 1000)),
        ("grpc.keepalive_timeout_ms", int(patience * 1000)),
        ("grpc.http2.ping_timeout_ms", int(patience * 1000)),  # a minute unless it is said, whatever stands above
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]


def open_channel(target: FeedTarget, address: Address) -> grpc.Channel:
    """A new connection, made when the first call is. It is not to be kept after a failure: gRPC's own waiting between
    two attempts is not ours.
    """
    options = [
        *keepalive_options(target.keepalive, target.keepalive_patience),
        ("grpc.max_receive_message_length", MOST_BYTES),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_retries", 0),
    ]
    if not target.secured(address):
        return grpc.insecure_channel(str(address), options)
    credentials = grpc.ssl_channel_credentials(target.ca, target.key, target.cert)
    return grpc.secure_channel(str(address), credentials, options)
