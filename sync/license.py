"""A signed license: the entitlement of an installation without a central store (domain.md 3), checked where it is used.

It is a JWT in compact form, signed by Ed25519. What it grants are entitlement records without usage, each as the bytes
that stores and sidecars keep: one form, so nothing can be said in a license that a record cannot say, or the reverse.

`sign` and `verify` know no clock and no files: a license says nothing of when it may be used, its grants do.
"""

from __future__ import annotations

import base64
import json
import re
from binascii import Error as NotBase64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jwt import PyJWS
from jwt.exceptions import PyJWTError
from jwt.utils import base64url_decode, base64url_encode

from sidecar import records
from sidecar.core.calendar import format_instant, zone_of
from sidecar.core.errors import InvalidRecord
from sidecar.core.model import SECOND, Instant, Record
from sync.licenseerrors import ASK, Fault, LicenseError
from sync.licensekeys import SigningKey, TrustedKeys

TYPE: Final = "deskgate-license+jwt"
ALGORITHM: Final = "EdDSA"
VERSION: Final = 1
"""Of the claims' form."""
LARGEST: Final = 4 << 20
"""Bytes of a token."""
LAST_SERIAL: Final = 2**31 - 1
LONGEST: Final = 256
"""Bytes of a name; a note may have four times as many."""
TOKEN: Final = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class License:
    """What a license says. `license_id` names the installation, in all its licenses; of two the one with the greater
    `serial`, 1 to 2^31 - 1, is in force. `records` are of `tenant_id`, of tenants below it if so issued, and of those
    whose services they share, by tenant id; their usage is empty.
    """

    license_id: str
    serial: int
    issuer: str
    tenant_id: str
    issued_at: Instant
    key_id: str
    records: tuple[Record, ...]
    note: str = ""

    @property
    def store_id(self) -> str:
        """What stands for a store's identity where entitlements come from this license."""
        return f"license:{self.license_id}"

    def tell(self) -> str:
        """For people, in a line."""
        issued = format_instant(self.issued_at)
        return f"license {self.license_id}, serial {self.serial}, of {issued}, for {self.tenant_id}"


def sign(license_: License, key: SigningKey) -> str:
    """The token. Raises LicenseError when the license is none that `verify` would take."""
    claims = {
        "iss": license_.issuer,
        "sub": license_.tenant_id,
        "iat": license_.issued_at // SECOND,
        "issued_at": license_.issued_at,
        "version": VERSION,
        "license_id": license_.license_id,
        "serial": license_.serial,
        "records": [base64url_encode(records.encode(record)).decode() for record in license_.records],
    } | ({"note": license_.note} if license_.note else {})
    payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode()
    token = PyJWS().encode(payload, key.private, ALGORITHM, {"typ": TYPE, "kid": key.key_id}, sort_headers=True)
    verify(token, {key.key_id: key.public})
    return token


def verify(token: str | bytes, keys: TrustedKeys) -> License:
    """What a token says, once it is known to be signed with one of these keys, and to be whole. Raises LicenseError."""
    parts = _parts(token)
    header = _header(parts)
    key_id = header["kid"]
    if key_id not in keys:
        known = ", ".join(sorted(keys))
        raise LicenseError(
            Fault.UNKNOWN_KEY,
            f"it is signed with the key {key_id!r}; trusted here: {known}. Add the vendor's newest keys",
        )
    try:
        checked = PyJWS().decode_complete(parts.token, keys[key_id], algorithms=[ALGORITHM])
    except PyJWTError as e:
        raise _altered() from e
    if base64url_encode(checked["signature"]) != parts.signature:  # other letters for the same bytes
        raise _altered()
    return _license(_object(checked["payload"], "the license"), key_id)


def read_untrusted(token: str | bytes) -> License:
    """What a token says, whoever signed it: for people to look at, never to act on. Raises LicenseError."""
    parts = _parts(token)
    header = _header(parts)
    return _license(_object(_decoded(parts.payload, "the license"), "the license"), header["kid"])


def refuse_followed(new: License, used: License) -> None:
    """Raises LicenseError when a license may not come after the one in use: of another installation, or older."""
    if new.license_id != used.license_id:
        raise other_license(new.license_id, used.license_id)
    if new.serial < used.serial:
        raise older(new.serial, used.serial)
    if new.serial == used.serial and new != used:
        raise same_serial(new.serial)


def other_license(found: str, used: str) -> LicenseError:
    """It is of another installation."""
    return LicenseError(
        Fault.OTHER_LICENSE, f"it is of license id {found!r}, this installation is {used!r}: {ASK}, or see the docs"
    )


def older(found: int, used: int) -> LicenseError:
    """A later one was in use already."""
    return LicenseError(Fault.OLDER, f"its serial is {found}, serial {used} was in use already: install the latest one")


def same_serial(serial: int) -> LicenseError:
    """Two texts with one serial: the vendor's store was set back."""
    return LicenseError(
        Fault.SAME_SERIAL, f"it says something else than the license in use, with the same serial {serial}: {ASK}, anew"
    )


@dataclass(frozen=True, slots=True)
class _Parts:
    token: bytes
    header: bytes
    payload: bytes
    signature: bytes


def _parts(token: str | bytes) -> _Parts:
    data = token if isinstance(token, bytes) else token.encode("utf-8", "replace")
    if len(data) > LARGEST:
        raise LicenseError(Fault.TOO_LARGE, f"it has {len(data)} bytes, a license has at most {LARGEST}")
    data = data.strip(b" \t\r\n")
    found = TOKEN.fullmatch(data)
    if found is None:
        raise LicenseError(
            Fault.NOT_SIGNED,
            "it is not a license: three parts of letters, digits, - and _ with dots between are needed",
        )
    return _Parts(data, found[1], found[2], found[3])


def _header(parts: _Parts) -> Mapping[str, Any]:
    header = _object(_decoded(parts.header, "its header"), "its header")
    if header.get("typ") != TYPE:
        raise LicenseError(Fault.OTHER_TYPE, f"it is a token of type {header.get('typ')!r}, a license is {TYPE!r}")
    if "crit" in header or "b64" in header:
        raise LicenseError(Fault.OTHER_TYPE, f"its header asks for what this deskgate does not know: {ASK}")
    if header.get("alg") != ALGORITHM:
        raise LicenseError(
            Fault.OTHER_ALGORITHM, f"it is signed by {header.get('alg')!r}, only {ALGORITHM} is taken: {ASK}"
        )
    if not isinstance(header.get("kid"), str):
        raise LicenseError(Fault.UNKNOWN_KEY, f"it does not name the key that it is signed with (kid): {ASK}")
    return header


def _decoded(part: bytes, place: str) -> bytes:
    try:
        decoded = base64url_decode(part)
    except (NotBase64, ValueError) as e:
        raise LicenseError(Fault.NOT_SIGNED, f"it is not a license: {place} is cut off or no base64url") from e
    return decoded


def _object(data: bytes, place: str) -> dict[str, Any]:
    try:
        found = json.loads(data, object_pairs_hook=_once)
    except (ValueError, RecursionError) as e:
        raise LicenseError(Fault.NOT_SIGNED, f"it is not a license: {place} is no JSON ({e})") from e
    if not isinstance(found, dict):
        raise LicenseError(Fault.NOT_SIGNED, f"it is not a license: {place} is no JSON object")
    return found


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _altered() -> LicenseError:
    return LicenseError(
        Fault.ALTERED, f"it was altered or cut after it was signed, or its key is another one of that name: {ASK}"
    )


def _license(claims: Mapping[str, Any], key_id: str) -> License:
    version = _number(claims, "version", 1, LAST_SERIAL)
    if version != VERSION:
        raise LicenseError(
            Fault.OTHER_VERSION, f"it is of version {version}, this deskgate reads {VERSION}: update deskgate"
        )
    tenant_id = _text(claims, "sub")
    found = License(
        license_id=_text(claims, "license_id"),
        serial=_number(claims, "serial", 1, LAST_SERIAL),
        issuer=_text(claims, "iss"),
        tenant_id=tenant_id,
        issued_at=_issued(claims),
        key_id=key_id,
        records=_records(claims),
        note=_text(claims, "note", most=4 * LONGEST) if "note" in claims else "",
    )
    _refuse_incomplete(found)
    return found


def _issued(claims: Mapping[str, Any]) -> Instant:
    at, seconds = _number(claims, "issued_at", 0, 2**60), _number(claims, "iat", 0, 2**60)
    if at // SECOND != seconds:
        raise LicenseError(Fault.BAD_CLAIM, "its claims iat and issued_at are not one instant")
    return at


def _text(claims: Mapping[str, Any], name: str, *, most: int = LONGEST) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 1 <= _size(value) <= most:
        raise LicenseError(Fault.BAD_CLAIM, f"its claim {name} must be a text of 1 to {most} bytes: {ASK}")
    return value


def _size(text: str) -> int:
    """Bytes of a text; 0 for one that cannot be written down."""
    try:
        return 0 if "\0" in text else len(text.encode())
    except UnicodeEncodeError:
        return 0


def _number(claims: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = claims.get(name)
    if type(value) is not int or not least <= value <= most:
        raise LicenseError(Fault.BAD_CLAIM, f"its claim {name} must be a whole number, {least} to {most}: {ASK}")
    return value


def _records(claims: Mapping[str, Any]) -> tuple[Record, ...]:
    texts = claims.get("records")
    if not isinstance(texts, list) or not texts:
        raise LicenseError(Fault.BAD_CLAIM, f"its claim records must be a list with one record or more: {ASK}")
    return tuple(_record(text, number) for number, text in enumerate(texts, 1))


def _record(text: object, number: int) -> Record:
    if not isinstance(text, str):
        raise LicenseError(
            Fault.BAD_CLAIM, f"its claim records must be a list of texts; number {number} is none: {ASK}"
        )
    try:
        record = records.decode(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        zone_of(record.zone)
    except (InvalidRecord, ValueError) as e:
        raise LicenseError(Fault.BAD_RECORD, f"record {number} in it cannot be used: {e}. {ASK.capitalize()}") from e
    if record.usage:
        raise LicenseError(Fault.BAD_RECORD, f"record {record.tenant_id} in it states usage, which no license does")
    return record


def _refuse_incomplete(license_: License) -> None:
    found = by_tenant(license_.records)
    if len(found) != len(license_.records):
        raise LicenseError(Fault.TENANT_TWICE, f"it has two records of one tenant: {ASK}")
    if license_.tenant_id not in found:
        raise LicenseError(Fault.TENANT_MISSING, f"it is for {license_.tenant_id} and has no record of it: {ASK}")
    for record in license_.records:
        if not record.holder_id:
            continue
        holder = found.get(record.holder_id)
        if holder is None:
            raise LicenseError(
                Fault.HOLDER_MISSING,
                f"{record.tenant_id} shares the services of {record.holder_id}, of whom it has no record: {ASK}",
            )
        if holder.holder_id:
            raise LicenseError(
                Fault.BAD_RECORD, f"{record.tenant_id} shares the services of {holder.tenant_id}, who has none: {ASK}"
            )


def by_tenant(found: Iterable[Record]) -> dict[str, Record]:
    """Records by their tenants."""
    return {record.tenant_id: record for record in found}
