"""Where something listens: a host and a port."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple


class Address(NamedTuple):
    """A host (a name or an IP address, IPv6 without brackets) and a port, 0 meaning any free one."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether nobody but this machine can reach it. A name other than localhost is taken as not."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """`host:port` or `[ipv6]:port`. Raises ValueError saying what is wrong."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ValueError(f"host:port is needed, as 127.0.0.1:9290, got {text!r}")
    if host.startswith("[") and host.endswith("]"):
        return Address(str(ipaddress.IPv6Address(host[1:-1])), int(port))
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", host):
        raise ValueError(f"{host!r} is neither a host name nor an IP address (IPv6 goes in brackets)")
    return Address(host, int(port))
