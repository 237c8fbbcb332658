"""Keys of signed licenses: Ed25519, in JWK files. The vendor signs with a private one; installations trust public ones.

A file of public keys is a JWK set: a new key is added to it before the first license is signed with that key, and the
old one is taken out when no license of it is in use any more.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import OKPAlgorithm
from jwt.exceptions import InvalidKeyError

from sync.licenseerrors import Fault, LicenseError

TrustedKeys = Mapping[str, Ed25519PublicKey]
"""Public keys by their ids."""
LARGEST: Final = 1 << 20
"""Bytes of a key file."""
LONGEST_ID: Final = 64
PRIVATE_MODE: Final = 0o600
USES: Final = {"alg": "EdDSA", "use": "sig"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """The vendor's private key, and the id by which installations find its public one."""

    key_id: str
    private: Ed25519PrivateKey

    @property
    def public(self) -> Ed25519PublicKey:
        """What installations need."""
        return self.private.public_key()


def new_key(key_id: str) -> SigningKey:
    """A key made now. Raises LicenseError for an id that cannot be one."""
    return SigningKey(key_id=_checked_id(key_id, "the key id"), private=Ed25519PrivateKey.generate())


def private_jwk(key: SigningKey) -> dict[str, Any]:
    """The private key as a JWK."""
    return {**OKPAlgorithm.to_jwk(key.private, as_dict=True), "kid": key.key_id, **USES}


def public_jwk(key: SigningKey) -> dict[str, Any]:
    """Its public half as a JWK."""
    return {**OKPAlgorithm.to_jwk(key.public, as_dict=True), "kid": key.key_id, **USES}


def as_text(document: Mapping[str, Any]) -> str:
    """A JWK or a set of them, as it is written down."""
    return json.dumps(document, indent=2) + "\n"


def write_private(path: Path, key: SigningKey) -> None:
    """Writes a private key that only its owner can read, where there is no file yet. Raises LicenseError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_MODE)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(as_text(private_jwk(key)))
            file.flush()
            os.fsync(fd)
    except FileExistsError as e:
        raise LicenseError(Fault.KEYS, f"there is a file {path} already: a private key is never written over") from e
    except OSError as e:
        raise LicenseError(Fault.KEYS, f"{path} cannot be written: {e.strerror or e}") from e


def add_public(path: Path, key: SigningKey) -> str:
    """The set of public keys at a path, or an empty one, with this one added: the text to write there. Raises
    LicenseError, also when there is one of its id.
    """
    entries = []
    if path.exists():
        document = _document(path, private=False)
        if key.key_id in parse_public(document, str(path)):
            raise LicenseError(Fault.KEYS, f"{path} has a key {key.key_id!r} already: give the new one another id")
        entries = document["keys"]
    return as_text({"keys": [*entries, public_jwk(key)]})


def load_private(path: Path) -> SigningKey:
    """The key to sign with. Raises LicenseError, also when others than its owner can read the file."""
    document = _document(path, private=True)
    key = _key(document, f"{path}")
    if not isinstance(key, Ed25519PrivateKey):
        raise LicenseError(Fault.KEYS, f"{path} has no private key in it: give the file that `keygen --out` wrote")
    return SigningKey(key_id=_checked_id(document.get("kid"), f"{path}: kid"), private=key)


def load_public(path: Path) -> TrustedKeys:
    """The keys in a JWK set. Raises LicenseError."""
    return parse_public(_document(path, private=False), str(path))


def parse_public(document: Mapping[str, Any], name: str) -> TrustedKeys:
    """The keys in a JWK set. Raises LicenseError, naming the entry."""
    entries = document.get("keys")
    if not isinstance(entries, list) or not entries:
        raise LicenseError(Fault.KEYS, f'{name} is no set of keys: it needs "keys", a list with one key or more')
    found: dict[str, Ed25519PublicKey] = {}
    for number, entry in enumerate(entries, 1):
        place = f"{name}: key {number}"
        if not isinstance(entry, dict):
            raise LicenseError(Fault.KEYS, f"{place} is no JSON object")
        key_id = _checked_id(entry.get("kid"), f"{place}: kid")
        key = _key(entry, place)
        if isinstance(key, Ed25519PrivateKey):
            raise LicenseError(Fault.KEYS, f"{place} is a private key: it belongs to the vendor alone, replace it")
        if key_id in found:
            raise LicenseError(Fault.KEYS, f"{place}: there are two keys {key_id!r}")
        found[key_id] = key
    return found


def _key(entry: Mapping[str, Any], place: str) -> Ed25519PrivateKey | Ed25519PublicKey:
    if entry.get("kty") != "OKP" or entry.get("crv") != "Ed25519" or entry.get("alg", "EdDSA") != "EdDSA":
        raise LicenseError(Fault.KEYS, f'{place} is no Ed25519 key: "kty": "OKP" and "crv": "Ed25519" are needed')
    try:
        key = OKPAlgorithm.from_jwk(dict(entry))
    except (InvalidKeyError, ValueError, TypeError) as e:
        raise LicenseError(Fault.KEYS, f"{place} is damaged: {e}") from e
    if not isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
        raise LicenseError(Fault.KEYS, f"{place} is no Ed25519 key")
    return key


def _checked_id(value: object, place: str) -> str:
    if (
        not isinstance(value, str)
        or not 1 <= len(value) <= LONGEST_ID
        or not value.isprintable()
        or value.strip() != value
    ):
        raise LicenseError(Fault.KEYS, f"{place}: 1 to {LONGEST_ID} printable characters are needed, got {value!r}")
    return value


def _document(path: Path, *, private: bool) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if private and stat.S_IMODE(found.st_mode) & 0o077:
                raise LicenseError(Fault.KEYS, f"others can read the private key {path}: `chmod 600 {path}`")
            text = file.read(LARGEST + 1)
    except OSError as e:
        raise LicenseError(Fault.KEYS, f"the key file {path} cannot be read: {e.strerror or e}") from e
    if len(text) > LARGEST:
        raise LicenseError(Fault.KEYS, f"{path} is larger than {LARGEST} bytes: it is no file of keys")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise LicenseError(Fault.KEYS, f"{path} is no JSON: {e}") from e
    if not isinstance(document, dict):
        raise LicenseError(Fault.KEYS, f"{path} is no JSON object")
    return document
