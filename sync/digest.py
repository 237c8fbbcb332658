"""Digests of sets of entitlement records, by which two who hold a copy find out whether they hold the same.

A digest is the sum of the SHA-256 of each row, modulo 2^256: it depends on no order, and is kept up with every change
without looking at the rows that stay. It finds faults; against forgery a connection has TLS.
"""

from __future__ import annotations

import hashlib
from typing import Final

MODULUS: Final = 1 << 256
HEX: Final = 64
"""Digits of a digest as text."""
EMPTY: Final = "0" * HEX
"""Of no rows at all."""


def row_mark(tenant_id: str, record: bytes) -> int:
    """What one row adds: 0 to 2^256 - 1."""
    name = tenant_id.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(b"%d:%b%b" % (len(name), name, record)).digest())


def as_text(total: int) -> str:
    """A sum of row marks, as it is stored and sent: 64 hexadecimal digits."""
    return f"{total % MODULUS:064x}"


def as_number(digest: str) -> int:
    """The sum that a digest stands for. Raises ValueError when it is none."""
    raw = bytes.fromhex(digest)
    if raw.hex() != digest or len(digest) != HEX:
        raise ValueError(f"a digest has {HEX} lower-case hexadecimal digits")
    return int.from_bytes(raw)
