"""Signed licenses for tests: a vendor's keys, and licenses of tenants that need no store."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from typing import Any

from sidecar.core.calendar import parse_instant
from sidecar.core.model import Grant, Record
from sync.license import License, sign
from sync.licensekeys import SigningKey, as_text, new_key, public_jwk

ISSUED = parse_instant("2027-01-15T08:00:00.000001Z")
"""When the first serial was issued; each later one a day after the one before."""
STARTS, ENDS = parse_instant("2027-01-01"), parse_instant("2028-01-01")
DAY = 86_400_000_000


_made = cache(new_key)


def key(key_id: str = "k1") -> SigningKey:
    """The vendor's key of this id, the same throughout a run."""
    return _made(key_id)


def trusted(*key_ids: str) -> dict[str, Any]:
    """Public keys by their ids."""
    return {key_id: key(key_id).public for key_id in key_ids or ("k1",)}


def write_keys(path: Path, *key_ids: str) -> None:
    """A set of public keys."""
    path.write_text(as_text({"keys": [public_jwk(key(key_id)) for key_id in key_ids or ("k1",)]}))


def grant(name: str = "fixed_desk", amount: int | None = 10, **more: Any) -> Grant:
    """So many of a key, for a year."""
    return Grant(**{"key": name, "starts_at": STARTS, "ends_at": ENDS, "amount": amount, "source": "order:1"} | more)


def record(tenant_id: str, *grants: Grant, **more: Any) -> Record:
    """A tenant's record, as it stands in a license."""
    return Record(tenant_id=tenant_id, revision=7, zone="UTC", grants=grants, **more)


def license_of(*records: Record, serial: int = 1, license_id: str = "site", **more: Any) -> License:
    """A license of the first record's tenant."""
    given = records or (record("acme", grant()),)
    fields = {
        "license_id": license_id,
        "serial": serial,
        "issuer": "deskgate-store:test",
        "tenant_id": given[0].tenant_id,
        "issued_at": ISSUED + (serial - 1) * DAY,
        "key_id": "k1",
        "records": given,
    }
    return License(**fields | more)


def token(license_: License | None = None) -> str:
    """A license's text, signed with the key that it names."""
    made = license_ or license_of()
    return sign(made, key(made.key_id))


def part(value: object) -> str:
    """A part of a token, as it is encoded."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unpart(text: str) -> bytes:
    """What a part says."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def raw(claims: object, header: object = None, signer: SigningKey | None = None) -> str:
    """A rightly signed token of anything at all."""
    given = {"alg": "EdDSA", "kid": "k1", "typ": "deskgate-license+jwt"} if header is None else header
    text = f"{part(given)}.{part(claims)}"
    return f"{text}.{part((signer or key()).private.sign(text.encode()))}"


def claims_of(text: str) -> dict[str, Any]:
    """What a token claims."""
    found: dict[str, Any] = json.loads(unpart(text.split(".")[1]))
    return found
