"""`deskgate tenant`: who there is, whom they are below, what blocks them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from sqlalchemy import Connection, select

from sidecar import records
from sidecar.cli.backoffice.common import (
    DEFAULT_STORE,
    AsJson,
    At,
    StorePath,
    TenantId,
    account_json,
    answer,
    app_of,
    changing,
    limit,
    moment,
    now_or,
    table,
    told,
)
from sidecar.core.calendar import parse_instant
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import FOREVER, Record
from sync.store import schema, tenants
from sync.store.db import open_store
from sync.store.tenants import Tenant

app = app_of("tenant", "Tenants: create, change, block, archive.")

Language = Annotated[str | None, typer.Option(help="Language tag, such as zh-CN.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A label that policies can match; may be given again.")]
Edition = Annotated[str | None, typer.Option(help="Edition set by the operator; an order that names one comes first.")]


@app.command()
@told
def create(
    tenant: TenantId,
    parent: Annotated[str | None, typer.Option(help="Tenant that it is below.")] = None,
    zone: Annotated[str, typer.Option(help="IANA time zone in which its terms are counted.")] = "UTC",
    language: Language = None,
    tag: Tags = None,
    edition: Edition = None,
    store: StorePath = DEFAULT_STORE,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Adds a tenant."""
    with changing(store) as writing:
        tenants.create_tenant(
            writing,
            tenant,
            now=now_or(at),
            parent_id=parent,
            zone=zone,
            language=language or "",
            tags=tag or (),
            edition=edition,
        )
    _done(as_json, f"{tenant} is created", tenant, writing.revision)


@app.command()
@told
def update(
    tenant: TenantId,
    zone: Annotated[str | None, typer.Option(help="IANA time zone; moves no stored instant.")] = None,
    language: Language = None,
    tag: Tags = None,
    edition: Edition = None,
    store: StorePath = DEFAULT_STORE,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Changes what is given; an empty --edition or --tag takes it away."""
    tags = None if tag is None else [each for each in tag if each]
    with changing(store) as writing:
        tenants.update_tenant(writing, tenant, now=now_or(at), zone=zone, language=language, tags=tags, edition=edition)
    _done(as_json, f"{tenant} is changed", tenant, writing.revision)


@app.command()
@told
def move(
    tenant: TenantId,
    parent: Annotated[str | None, typer.Option(help="The new parent.")] = None,
    root: Annotated[bool, typer.Option("--root", help="No parent any more.")] = False,
    store: StorePath = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Puts a tenant, and all below it, under another parent or none."""
    if (parent is None) != root:
        raise InvalidRequest("parent", "give --parent or --root, one of them")
    with changing(store) as writing:
        tenants.move_tenant(writing, tenant, parent)
    _done(as_json, f"{tenant} is moved", tenant, writing.revision)


@app.command()
@told
def block(
    tenant: TenantId,
    name: Annotated[str, typer.Argument(help="Who blocks: operator, fraud, legal...")],
    start: Annotated[str | None, typer.Option("--from", help="First instant; default: now.")] = None,
    until: Annotated[str | None, typer.Option(help="First instant after it; default: until lifted.")] = None,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Also all that are below, even with their own orders.")
    ] = False,
    store: StorePath = DEFAULT_STORE,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Sets the block of this name; those of other names stay."""
    with changing(store) as writing:
        tenants.block_tenant(
            writing,
            tenant,
            name,
            starts_at=now_or(at) if start is None else parse_instant(start),
            ends_at=FOREVER if until is None else parse_instant(until),
            cascade=cascade,
        )
    _done(as_json, f"{tenant} has the block {name}", tenant, writing.revision)


@app.command()
@told
def unblock(tenant: TenantId, name: str, store: StorePath = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Lifts the block of this name and no other."""
    with changing(store) as writing:
        tenants.unblock_tenant(writing, tenant, name)
    _done(as_json, f"{tenant} has no block {name} any more", tenant, writing.revision)


@app.command()
@told
def archive(tenant: TenantId, store: StorePath = DEFAULT_STORE, at: At = None, as_json: AsJson = False) -> None:
    """Deletes a tenant at once, erasing nothing."""
    with changing(store) as writing:
        tenants.archive_tenant(writing, tenant, now=now_or(at))
    _done(as_json, f"{tenant} is archived", tenant, writing.revision)


@app.command()
@told
def restore(tenant: TenantId, store: StorePath = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Takes an archiving back."""
    with changing(store) as writing:
        tenants.restore_tenant(writing, tenant)
    _done(as_json, f"{tenant} is restored", tenant, writing.revision)


def _done(as_json: bool, text: str, tenant: str, revision: int) -> None:
    answer(as_json, f"{text} (revision {revision})", tenant_id=tenant, revision=revision)


@app.command("list")
@told
def list_(
    after: Annotated[str, typer.Option(help="Only ids after this one.")] = "",
    limit_: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")] = 1000,
    store: StorePath = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Tenants by id."""
    with open_store(store).reading() as conn:
        found = tenants.list_tenants(conn, after=after, limit=limit_)
    rows = [(t.id, t.parent_id or "-", t.zone, t.language or "-", "archived" if t.archived_at else "") for t in found]
    text = table(("TENANT", "PARENT", "ZONE", "LANGUAGE", ""), rows)
    answer(as_json, text, tenants=[_tenant_json(each) for each in found])


@app.command()
@told
def show(tenant: TenantId, store: StorePath = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """A tenant, and the entitlement record that the sidecars get."""
    with open_store(store).reading() as conn:
        found = tenants.get_tenant(conn, tenant)
        record = _record(conn, tenant)
    answer(as_json, _readable(found, record), tenant=_tenant_json(found), record=_record_json(record))


def _record(conn: Connection, tenant: str) -> Record:
    e = schema.entitlement
    return records.decode(conn.scalars(select(e.c.record).where(e.c.tenant_id == tenant)).one())


def _tenant_json(tenant: Tenant) -> dict[str, Any]:
    return {
        "id": tenant.id,
        "parent": tenant.parent_id,
        "zone": tenant.zone,
        "language": tenant.language,
        "tags": tenant.tags,
        "edition": tenant.edition,
        "created_at": moment(tenant.created_at),
        "archived_at": moment(tenant.archived_at),
    }


def _record_json(record: Record) -> dict[str, Any]:
    return {
        "revision": record.revision,
        "edition": record.edition,
        "holder": record.holder_id or None,
        "blocks": [{"name": b.name, "from": moment(b.starts_at), "until": moment(b.ends_at)} for b in record.blocks],
        "grants": [
            {
                "key": g.key,
                "starts_at": moment(g.starts_at),
                "ends_at": moment(g.ends_at),
                "trial": g.trial,
                "amount": limit(g.amount),
                "users": limit(g.users),
                "source": g.source,
            }
            for g in record.grants
        ],
        "usage": {
            key: {"units": used.units, "seats": [{"tenant": s.tenant_id, "user": s.user_id} for s in used.seats]}
            for key, used in record.usage.items()
        },
        "account": account_json(record.account) if record.account else None,
    }


def _readable(tenant: Tenant, record: Record) -> str:
    facts = {
        "parent": tenant.parent_id,
        "shares the services of": record.holder_id,
        "zone": tenant.zone,
        "language": tenant.language,
        "tags": ", ".join(tenant.tags),
        "edition": record.edition,
        "archived": moment(tenant.archived_at),
        "revision": record.revision,
    }
    head = "\n".join([tenant.id, *(f"  {name}: {value}" for name, value in facts.items() if value)])
    blocks = [(b.name, moment(b.starts_at), moment(b.ends_at) or "lifted") for b in record.blocks]
    grants = [_grant_row(g) for g in _record_json(record)["grants"]]
    used = [(key, u.units, ", ".join(s.user_id for s in u.seats)) for key, u in record.usage.items()]
    parts = (
        (("BLOCK", "FROM", "UNTIL"), blocks),
        (("KEY", "FROM", "UNTIL", "AMOUNT", "USERS", "", "SOURCE"), grants),
        (("USED", "UNITS", "SEATS"), used),
    )
    return "\n\n".join([head, *(table(header, rows) for header, rows in parts if rows)])


def _grant_row(grant: dict[str, Any]) -> tuple[object, ...]:
    numbers = ("-" if grant[name] is None else grant[name] for name in ("amount", "users"))
    trial = "trial" if grant["trial"] else ""
    return (grant["key"], grant["starts_at"], grant["ends_at"] or "no end", *numbers, trial, grant["source"])
