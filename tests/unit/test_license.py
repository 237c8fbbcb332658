"""A signed license says what was signed or nothing: every token that is wrong in any way is refused, each with a reason
of its own (domain.md 3, private deployments).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import stat
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar import records
from sidecar.core.model import Account, Basis, Block, Period, Usage
from sync.license import LARGEST, LAST_SERIAL, TYPE, read_untrusted, refuse_followed, sign, verify
from sync.licenseerrors import Fault, LicenseError
from sync.licensekeys import (
    add_public,
    as_text,
    load_private,
    load_public,
    new_key,
    private_jwk,
    public_jwk,
    write_private,
)
from tests.licensing import (
    ISSUED,
    claims_of,
    grant,
    key,
    license_of,
    part,
    raw,
    record,
    token,
    trusted,
    unpart,
    write_keys,
)

GOOD = license_of(record("acme", grant()), record("acme-labs", holder_id="acme"), note="for the site in Bern")
TOKEN = token(GOOD)
HEADER, PAYLOAD, SIGNATURE = TOKEN.split(".")
CLAIMS = claims_of(TOKEN)
HEAD = {"alg": "EdDSA", "kid": "k1", "typ": TYPE}


def refusal(text: str | bytes, **keys: Any) -> LicenseError:
    with pytest.raises(LicenseError) as e:
        verify(text, keys or trusted())
    return e.value


def encoded(*tenants: Any) -> list[str]:
    return [part(records.encode(each)) for each in tenants]


# What is signed


def test_what_was_signed_is_what_is_read() -> None:
    account = Account(basis=Basis.MONEY, balance=5, as_of=ISSUED, charge=3, period=Period(months=1))
    blocked = record(
        "globex",
        grant("layout_designer", None, users=3, trial=True),
        account=account,
        blocks=(Block(name="fraud", starts_at=ISSUED),),
        archived=True,
        tags=("a", "b"),
    )
    made = license_of(blocked, note="für Zürich", serial=LAST_SERIAL, issued_at=ISSUED)
    assert verify(token(made), trusted()) == made
    assert read_untrusted(token(made)) == made
    assert made.store_id == "license:site"


def test_blanks_around_a_token_are_none_of_it() -> None:
    assert verify(f"\n {TOKEN}\r\n", trusted()) == GOOD
    assert verify(TOKEN.encode(), trusted("k0", "k1")) == GOOD


def test_the_library_by_itself_reads_it_too() -> None:
    """It is an ordinary JWT, whatever the moment: it says nothing of when it may be used."""
    claims = jwt.decode(TOKEN, key().public, ["EdDSA"], options={"verify_iat": False})
    assert (claims["sub"], claims["iat"], claims["serial"]) == ("acme", ISSUED // 10**6, 1)


def test_nothing_is_signed_that_would_not_be_taken() -> None:
    with pytest.raises(LicenseError, match=Fault.HOLDER_MISSING):
        sign(license_of(record("acme", holder_id="globex")), key())


# What is not taken

HS256 = part({"alg": "HS256", "kid": "k1", "typ": TYPE}) + "." + PAYLOAD


def hmac_by(secret: bytes) -> str:
    return f"{HS256}.{part(hmac.digest(secret, HS256.encode(), hashlib.sha256))}"


PUBLIC_FORMS = [
    key().public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw),
    key().public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
    key().public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH),
    public_jwk(key())["x"].encode(),
]
TWICE = b'{"alg":"none","alg":"EdDSA","kid":"k1"}'
SIGNED_448 = ed448.Ed448PrivateKey.generate().sign(f"{HEADER}.{PAYLOAD}".encode())


def without(name: str) -> dict[str, Any]:
    return {k: v for k, v in CLAIMS.items() if k != name}


WRONG: dict[str, tuple[str | bytes, Fault, str]] = {
    "nothing": ("", Fault.NOT_SIGNED, "three parts"),
    "blanks": (" \n ", Fault.NOT_SIGNED, "three parts"),
    "a word": ("license", Fault.NOT_SIGNED, "three parts"),
    "bytes": (b"\xff\xfe\x00", Fault.NOT_SIGNED, "three parts"),
    "two parts": (f"{HEADER}.{PAYLOAD}", Fault.NOT_SIGNED, "three parts"),
    "two signatures": (f"{TOKEN}.{SIGNATURE}", Fault.NOT_SIGNED, "three parts"),
    "two tokens": (f"{TOKEN}\n{TOKEN}", Fault.NOT_SIGNED, "three parts"),
    "JSON serialization": (
        json.dumps({"payload": PAYLOAD, "signatures": [{"protected": HEADER, "signature": SIGNATURE}] * 2}),
        Fault.NOT_SIGNED,
        "three parts",
    ),
    "padding": (f"{TOKEN}==", Fault.NOT_SIGNED, "three parts"),
    "blanks inside": (f"{HEADER}. {PAYLOAD}.{SIGNATURE}", Fault.NOT_SIGNED, "three parts"),
    "too large": ("a" * (LARGEST + 1), Fault.TOO_LARGE, "at most"),
    "header no base64": (f"A.{PAYLOAD}.{SIGNATURE}", Fault.NOT_SIGNED, "header"),
    "header no JSON": (f"{part(b'{')}.{PAYLOAD}.{SIGNATURE}", Fault.NOT_SIGNED, "JSON"),
    "header a list": (raw(CLAIMS, [1]), Fault.NOT_SIGNED, "object"),
    "header too deep": (f"{part(b'[' * 100_000)}.{PAYLOAD}.{SIGNATURE}", Fault.NOT_SIGNED, "JSON"),
    "header twice the same name": (
        f"{part(TWICE)}.{PAYLOAD}.{SIGNATURE}",
        Fault.NOT_SIGNED,
        "twice",
    ),
    "no type": (raw(CLAIMS, {"alg": "EdDSA", "kid": "k1"}), Fault.OTHER_TYPE, "None"),
    "another type": (raw(CLAIMS, HEAD | {"typ": "JWT"}), Fault.OTHER_TYPE, "'JWT'"),
    "type in capitals": (raw(CLAIMS, HEAD | {"typ": TYPE.upper()}), Fault.OTHER_TYPE, "DESKGATE"),
    "no algorithm": (raw(CLAIMS, {"kid": "k1", "typ": TYPE}), Fault.OTHER_ALGORITHM, "None"),
    "algorithm none": (f"{part(HEAD | {'alg': 'none'})}.{PAYLOAD}.", Fault.OTHER_ALGORITHM, "'none'"),
    "algorithm None": (f"{part(HEAD | {'alg': 'None'})}.{PAYLOAD}.{SIGNATURE}", Fault.OTHER_ALGORITHM, "'None'"),
    "algorithm a list": (raw(CLAIMS, HEAD | {"alg": ["EdDSA"]}), Fault.OTHER_ALGORITHM, "EdDSA"),
    "algorithm ES256": (
        jwt.encode(CLAIMS, ec.generate_private_key(ec.SECP256R1()), "ES256", {"kid": "k1", "typ": TYPE}),
        Fault.OTHER_ALGORITHM,
        "'ES256'",
    ),
    **{
        f"HS256 with the public key, form {n}": (hmac_by(secret), Fault.OTHER_ALGORITHM, "'HS256'")
        for n, secret in enumerate(PUBLIC_FORMS)
    },
    "no signature": (f"{HEADER}.{PAYLOAD}.", Fault.ALTERED, "altered"),
    "half a signature": (f"{HEADER}.{PAYLOAD}.{SIGNATURE[:43]}", Fault.ALTERED, "cut"),
    "cut off": (TOKEN[:-4], Fault.ALTERED, "altered"),
    "zeros for a signature": (f"{HEADER}.{PAYLOAD}.{part(bytes(64))}", Fault.ALTERED, "altered"),
    "a signature of Ed448": (f"{HEADER}.{PAYLOAD}.{part(SIGNED_448)}", Fault.ALTERED, "altered"),
    "another license's signature": (
        f"{HEADER}.{PAYLOAD}.{token(license_of(serial=2)).split('.')[2]}",
        Fault.ALTERED,
        "altered",
    ),
    "no key named": (raw(CLAIMS, {"alg": "EdDSA", "typ": TYPE}), Fault.UNKNOWN_KEY, "kid"),
    "a key that is no text": (raw(CLAIMS, HEAD | {"kid": 1}), Fault.UNKNOWN_KEY, "kid"),
    "an unknown key": (token(license_of(key_id="k2")), Fault.UNKNOWN_KEY, "'k2'; trusted here: k1"),
    "a key of its own": (raw(CLAIMS, HEAD | {"jwk": public_jwk(key("k2"))}, key("k2")), Fault.ALTERED, "altered"),
    "another key of that name": (raw(CLAIMS, HEAD, key("k2")), Fault.ALTERED, "another one of that name"),
    "critical extension": (raw(CLAIMS, HEAD | {"crit": ["exp"], "exp": 1}), Fault.OTHER_TYPE, "asks for"),
    "payload not encoded": (raw(CLAIMS, HEAD | {"b64": False, "crit": ["b64"]}), Fault.OTHER_TYPE, "asks for"),
    "no JSON": (raw(b"acme"), Fault.NOT_SIGNED, "JSON"),
    "no JSON, not UTF-8": (raw(b"\xff"), Fault.NOT_SIGNED, "JSON"),
    "a list": (raw([CLAIMS]), Fault.NOT_SIGNED, "object"),
    "a claim twice": (raw(b'{"serial":1,"serial":2}'), Fault.NOT_SIGNED, "twice"),
    "a later version": (raw(CLAIMS | {"version": 2}), Fault.OTHER_VERSION, "update deskgate"),
    **{
        f"without {name}": (raw(without(name)), Fault.BAD_CLAIM, name)
        for name in ("iss", "sub", "iat", "issued_at", "version", "license_id", "serial", "records")
    },
    **{
        f"{name} {value!r:.20}": (raw(CLAIMS | {name: value}), Fault.BAD_CLAIM, name)
        for name, values in {
            "license_id": (1, "", "x" * 257, None, "a\0", "\ud800"),
            "sub": ("", ["acme"]),
            "iss": (None,),
            "note": (1, "", "x" * 1025),
            "serial": (0, -1, 2**31, 1.0, "1", True, None),
            "iat": ("now", -1),
            "issued_at": (1.5, 2**70),
            "version": ("1", True),
            "records": ([], {}, "x", [1], [None]),
        }.items()
        for value in values
    },
    "two instants": (raw(CLAIMS | {"iat": CLAIMS["iat"] + 1}), Fault.BAD_CLAIM, "one instant"),
    "no record in a record": (raw(CLAIMS | {"records": [part(b"\xff")]}), Fault.BAD_RECORD, "record 1"),
    "a record no base64": (raw(CLAIMS | {"records": ["!"]}), Fault.BAD_RECORD, "record 1"),
    "a record without a tenant": (raw(CLAIMS | {"records": [""]}), Fault.BAD_RECORD, "tenant_id"),
    "usage in a record": (
        raw(CLAIMS | {"records": encoded(record("acme", usage={"a": Usage(units=1)}))}),
        Fault.BAD_RECORD,
        "usage",
    ),
    "a tenant twice": (raw(CLAIMS | {"records": encoded(record("acme"), record("acme"))}), Fault.TENANT_TWICE, "two"),
    "not its own tenant": (raw(CLAIMS | {"records": encoded(record("globex"))}), Fault.TENANT_MISSING, "acme"),
    "no holder": (
        raw(CLAIMS | {"records": encoded(record("acme", holder_id="globex"))}),
        Fault.HOLDER_MISSING,
        "globex",
    ),
    "a holder that has none": (
        raw(
            CLAIMS
            | {"records": encoded(record("acme", holder_id="b"), record("b", holder_id="c"), record("c", grant()))}
        ),
        Fault.BAD_RECORD,
        "acme shares the services of b",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_every_wrong_token_is_refused_for_its_own_reason(name: str) -> None:
    text, fault, word = WRONG[name]
    found = refusal(text)
    assert found.code is fault, found
    assert word in found.advice


def test_a_zone_that_nobody_knows_is_no_record() -> None:
    message = records.pb.EntitlementRecord(tenant_id="acme", revision=1, zone="Mars/Olympus")
    found = refusal(raw(CLAIMS | {"records": [part(message.SerializeToString())]}))
    assert (found.code, "Mars/Olympus" in found.advice) == (Fault.BAD_RECORD, True)


@given(at=st.integers(0, len(TOKEN) - 1), byte=st.integers(0, 255))
@example(at=len(TOKEN) - 1, byte=ord("A"))
def test_a_token_with_any_byte_changed_is_refused(at: int, byte: int) -> None:
    data = bytearray(TOKEN.encode())
    if data[at] == byte:
        byte ^= 1
    data[at] = byte
    with pytest.raises(LicenseError):
        verify(bytes(data), trusted())


def test_no_last_letter_but_the_one_that_was_written_is_taken() -> None:
    """64 bytes leave four bits of the last letter unused: 16 letters stand for the same bytes."""
    letters = [chr(n) for n in range(128) if chr(n).isalnum() or chr(n) in "-_"]
    same = [c for c in letters if unpart(SIGNATURE[:-1] + c) == unpart(SIGNATURE)]
    assert len(same) == 16
    assert [c for c in letters if _taken(TOKEN[:-1] + c)] == [TOKEN[-1]]


def _taken(text: str) -> bool:
    try:
        verify(text, trusted())
    except LicenseError:
        return False
    return True


@given(cut=st.integers(0, len(TOKEN) - 1), more=st.text(max_size=3))
def test_a_token_cut_off_or_patched_together_is_refused(cut: int, more: str) -> None:
    text = TOKEN[:cut] + more
    assert text.strip(" \t\r\n") == TOKEN or not _taken(text)


@given(text=st.binary(max_size=200))
def test_anything_else_is_refused_and_nothing_fails(text: bytes) -> None:
    assert not _taken(text.decode("latin-1"))
    with pytest.raises(LicenseError):
        read_untrusted(text)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.text(), s),
        max_leaves=8,
    ),
    name=st.sampled_from(sorted(CLAIMS)),
)
def test_whatever_a_signed_claim_is_it_is_taken_or_refused(value: object, name: str) -> None:
    _taken(raw(CLAIMS | {name: value}))


# What comes after what


@pytest.mark.parametrize(
    ("new", "fault"),
    [
        (license_of(serial=5), None),
        (license_of(serial=6), None),
        (license_of(serial=4), Fault.OLDER),
        (license_of(serial=9, license_id="other"), Fault.OTHER_LICENSE),
        (license_of(record("acme", grant(amount=99)), serial=5), Fault.SAME_SERIAL),
    ],
)
def test_only_the_next_ones_of_the_same_installation_follow(new: Any, fault: Fault | None) -> None:
    expected = nullcontext() if fault is None else pytest.raises(LicenseError, match=fault)
    with expected:
        refuse_followed(new, license_of(serial=5))


# Keys


def test_keys_are_kept_in_files(tmp_path: Path) -> None:
    made, path = new_key("2027-a"), tmp_path / "private.jwk"
    write_private(path, made)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = load_private(path)
    assert (loaded.key_id, private_jwk(loaded)) == ("2027-a", private_jwk(made))
    public = tmp_path / "public.jwks"
    public.write_text(add_public(public, made))
    public.write_text(add_public(public, key("k2")))
    assert sorted(load_public(public)) == ["2027-a", "k2"]
    assert '"d"' not in public.read_text()
    assert verify(token(license_of(key_id="k2")), load_public(public)).key_id == "k2"


def write(path: Path, value: object) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    path.chmod(0o600)
    return path


PUBLIC, PRIVATE = public_jwk(key()), private_jwk(key())


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ([], "no JSON object"),
        ({}, "no set of keys"),
        ({"keys": []}, "no set of keys"),
        ({"keys": {}}, "no set of keys"),
        ({"keys": [1]}, "key 1 is no JSON object"),
        ({"keys": [PUBLIC, PUBLIC]}, "key 2: there are two keys 'k1'"),
        ({"keys": [PRIVATE]}, "key 1 is a private key"),
        ({"keys": [PUBLIC | {"kid": ""}]}, "kid"),
        ({"keys": [PUBLIC | {"kid": None}]}, "kid"),
        ({"keys": [PUBLIC | {"kty": "RSA"}]}, "no Ed25519 key"),
        ({"keys": [PUBLIC | {"crv": "Ed448"}]}, "no Ed25519 key"),
        ({"keys": [PUBLIC | {"alg": "HS256"}]}, "no Ed25519 key"),
        ({"keys": [PUBLIC | {"x": "AAAA"}]}, "damaged"),
        ({"keys": [PUBLIC | {"x": 7}]}, "damaged"),
        ({"keys": [{k: v for k, v in PUBLIC.items() if k != "x"}]}, "damaged"),
        ({"keys": ["x" * (1 << 20)]}, "larger than"),
    ],
)
def test_a_wrong_set_of_keys_is_told(tmp_path: Path, document: object, word: str) -> None:
    with pytest.raises(LicenseError, match=Fault.KEYS) as e:
        load_public(write(tmp_path / "keys", document))
    assert word in e.value.advice


@pytest.mark.parametrize(
    ("document", "word"),
    [
        (PUBLIC, "no private key in it"),
        (PRIVATE | {"x": public_jwk(key("k2"))["x"]}, "damaged"),
        (PRIVATE | {"d": "AA"}, "damaged"),
        ({"keys": [PRIVATE]}, "no Ed25519 key"),
        (PRIVATE | {"kid": " "}, "kid"),
    ],
)
def test_a_wrong_private_key_is_told(tmp_path: Path, document: object, word: str) -> None:
    with pytest.raises(LicenseError, match=Fault.KEYS) as e:
        load_private(write(tmp_path / "keys", document))
    assert word in e.value.advice


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o666])
def test_a_private_key_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "private.jwk", PRIVATE)
    path.chmod(mode)
    with pytest.raises(LicenseError, match="chmod 600"):
        load_private(path)


def test_no_private_key_is_written_over(tmp_path: Path) -> None:
    path = write(tmp_path / "private.jwk", PRIVATE)
    with pytest.raises(LicenseError, match="never written over"):
        write_private(path, new_key("other"))
    assert load_private(path).key_id == "k1"


@pytest.mark.parametrize("call", [load_public, load_private])
def test_a_missing_key_file_is_told(tmp_path: Path, call: Callable[[Path], object]) -> None:
    with pytest.raises(LicenseError, match="cannot be read"):
        call(tmp_path / "nothing")
    with pytest.raises(LicenseError, match="cannot be written"):
        write_private(tmp_path / "no" / "folder", key())


def test_a_key_id_stands_once_in_a_set(tmp_path: Path) -> None:
    write_keys(tmp_path / "keys", "k1")
    with pytest.raises(LicenseError, match="already"):
        add_public(tmp_path / "keys", key())


@pytest.mark.parametrize("name", ["", " k", "k" * 65, "a\nb"])
def test_key_ids_are_words(name: str) -> None:
    with pytest.raises(LicenseError, match="printable"):
        new_key(name)
    assert os.linesep in as_text({"keys": []})
