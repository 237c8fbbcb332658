"""`deskgate license`: signed licenses, for installations without a central store."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, ParamSpec

import typer

from sidecar.cli.backoffice.common import DEFAULT_STORE, AsJson, StorePath, answer, app_of, limit, moment, table, told
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import Grant, Limit, Record
from sync.backoffice.auth import at_this_machine
from sync.license import LARGEST, License, read_untrusted, refuse_followed, verify
from sync.licenseerrors import Fault, LicenseError
from sync.licensefile import read_text
from sync.licensekeys import TrustedKeys, add_public, load_private, load_public, new_key, write_private
from sync.store.db import open_store
from sync.store.errors import Refused
from sync.store.licenses import Asked, preview
from sync.store.licenses import issue as issue_license
from sync.transfer.drafts import draft

P = ParamSpec("P")
STDIN: Final = "-"

app = app_of("license", "Signed licenses, for installations without a central store.")

Token = Annotated[str, typer.Argument(metavar="LICENSE", help="A file, the text itself, or - for standard input.")]
Keys = Annotated[Path, typer.Option("--keys", metavar="FILE", help="The vendor's public keys, a JWK set.")]


def _clearly(command: Callable[P, None]) -> Callable[P, None]:
    """Says what is wrong with a license as the store's commands say what they refuse."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except LicenseError as e:
            raise Refused(e.code, e.advice) from e

    return told(run)


@app.command()
@_clearly
def keygen(
    key_id: Annotated[str, typer.Option("--key-id", metavar="ID", help="By which licenses name the key.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The private key; must not be there yet.")],
    public: Annotated[
        Path, typer.Option("--public", metavar="FILE", help="The public keys; the new one is added to those there.")
    ],
    as_json: AsJson = False,
) -> None:
    """Makes a key to sign licenses with, and adds its public half to the set that installations get."""
    key = new_key(key_id)
    text = add_public(public, key)
    write_private(out, key)
    with draft(public) as file:
        file.write(text)
    saying = (
        f"{out}: the private key {key_id}; who has it can issue licenses\n{public}: its public half, for installations"
    )
    answer(as_json, saying, key_id=key_id, private=str(out), public=str(public))


@app.command()
@_clearly
def issue(
    tenant: Annotated[str, typer.Option("--tenant", metavar="ID", help="Whom the license is for.")],
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The private key to sign with.")],
    with_children: Annotated[bool, typer.Option("--with-children", help="And for everyone below it.")] = False,
    license_id: Annotated[
        str, typer.Option("--license-id", metavar="ID", help="Names the installation; default: as its tenant.")
    ] = "",
    note: Annotated[str, typer.Option("--note", help="For those who inspect it.")] = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Written whole or not at all; default: standard output."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be signed.")] = False,
    operator: Annotated[
        str | None, typer.Option("--operator", envvar="DESKGATE_OPERATOR", help="Who you are; default: your login.")
    ] = None,
    store: StorePath = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Signs what a tenant is granted now, as the next license of its installation, and puts that on record.

    The text of a license is kept nowhere: whoever loses it issues the next one.
    """
    signing, opened = load_private(key), open_store(store)
    asked = Asked(tenant_id=tenant, children=with_children, license_id=license_id, note=note)
    if dry_run:
        _show(preview(opened, asked, signing.key_id, now=_now()), as_json, "nothing was signed", dry_run=True)
        return
    who = at_this_machine(operator).name
    if out is None:
        made, token = issue_license(opened, asked, signing, operator=who, clock=_now)
        answer(as_json, token, **_told(made), token=token)
        return
    with draft(out) as file:
        made, token = issue_license(opened, asked, signing, operator=who, clock=_now)
        file.write(token + "\n")
    answer(as_json, f"{out}: {made.tell()}", **_told(made), path=str(out))


@app.command()
@_clearly
def inspect(token: Token, as_json: AsJson = False) -> None:
    """Shows what a license says, whoever signed it. What is shown is not to be trusted: see `verify`."""
    found = read_untrusted(_given(token))
    _show(
        found, as_json, "NOT VERIFIED: anybody can have written this; `deskgate license verify` tells", verified=False
    )


@app.command("verify")
@_clearly
def verify_(token: Token, keys: Keys, as_json: AsJson = False) -> None:
    """Whether a license is whole, and signed with one of these keys: exit status 0 if so, else 1, and why not."""
    found = verify(_given(token), load_public(keys))
    answer(as_json, f"verified: {found.tell()}, signed with {found.key_id}", verified=True, **_told(found))


@app.command()
@_clearly
def install(
    token: Token,
    keys: Keys,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where the sidecar looks for its license.")],
    as_json: AsJson = False,
) -> None:
    """Puts a license where the sidecar looks for it, once it is known to be good and not older than the one there.

    A running sidecar takes it up at once. The same one again is fine.
    """
    text = _given(token)
    trusted = load_public(keys)
    found = verify(text, trusted)
    before = _installed(to, trusted)
    if before is not None:
        refuse_followed(found, before)
    with draft(to) as file:
        file.write(text + "\n")
    answer(as_json, f"{to}: {found.tell()}", path=str(to), **_told(found))


def _installed(path: Path, trusted: TrustedKeys) -> License | None:
    """The license that is there; None: none, or one that nobody can use."""
    try:
        return verify(read_text(path), trusted)
    except LicenseError as e:
        if e.code is not Fault.MISSING:
            typer.echo(f"what was there is replaced: {e.code}: {e.advice}", err=True)
        return None


def _given(token: str) -> str:
    """A license's text. Raises LicenseError, InvalidRequest."""
    if token == STDIN:
        return _joined(sys.stdin.buffer.read(LARGEST + 1).decode("ascii", "replace"))
    if token.count(".") == 2 and not os.path.exists(token):
        return _joined(token)
    return _joined(read_text(Path(token)).decode("ascii", "replace"))


def _joined(text: str) -> str:
    """Text as it was before an e-mail broke it into lines."""
    joined = "".join(text.split())
    if not joined:
        raise InvalidRequest("license", "there is no text")
    return joined


def _now() -> int:
    return time.time_ns() // 1000


def _show(found: License, as_json: bool, about: str, **more: object) -> None:
    head = [
        ("license id", found.license_id),
        ("serial", found.serial),
        ("issued at", moment(found.issued_at)),
        ("issued by", found.issuer),
        ("key", found.key_id),
        ("for", found.tenant_id),
        ("note", found.note or "-"),
    ]
    lines = [about, "", *(f"{name:<12}{value}" for name, value in head), ""]
    rows = [row for record in found.records for row in _rows(record)]
    answer(
        as_json,
        "\n".join(lines) + table(("TENANT", "GRANTED", "AMOUNT", "USERS", "FROM", "UNTIL", ""), rows),
        **more,
        **_told(found),
    )


def _rows(record: Record) -> list[tuple[object, ...]]:
    state = "archived" if record.archived else ", ".join(f"blocked: {block.name}" for block in record.blocks)
    if record.holder_id:
        return [(record.tenant_id, f"as {record.holder_id}", "", "", "", "", state)]
    if not record.grants:
        return [(record.tenant_id, "nothing", "", "", "", "", state)]
    return [(record.tenant_id, *_granted(grant), state) for grant in record.grants]


def _granted(grant: Grant) -> tuple[object, ...]:
    until = moment(grant.ends_at) or "without end"
    key = f"{grant.key} (trial)" if grant.trial else grant.key
    return key, _cell(grant.amount), _cell(grant.users), moment(grant.starts_at), until


def _cell(value: Limit | None) -> object:
    return "-" if value is None else limit(value)


def _told(found: License) -> dict[str, object]:
    return {
        "license_id": found.license_id,
        "serial": found.serial,
        "issued_at": moment(found.issued_at),
        "issuer": found.issuer,
        "key_id": found.key_id,
        "tenant": found.tenant_id,
        "note": found.note,
        "tenants": [_told_record(record) for record in found.records],
    }


def _told_record(record: Record) -> dict[str, object]:
    return {
        "tenant": record.tenant_id,
        "zone": record.zone,
        "edition": record.edition or None,
        "archived": record.archived,
        "blocks": [block.name for block in record.blocks],
        "shares_services_of": record.holder_id or None,
        "grants": [
            {
                "key": grant.key,
                "trial": grant.trial,
                "amount": limit(grant.amount),
                "users": limit(grant.users),
                "starts_at": moment(grant.starts_at),
                "ends_at": moment(grant.ends_at),
            }
            for grant in record.grants
        ],
    }
