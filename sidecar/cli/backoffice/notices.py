"""`deskgate notices`: reminders and notices by e-mail, sent, listed, tried again, looked at."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Annotated, Any

import typer

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.cli.backoffice.common import DEFAULT_STORE, StorePath, app_of, table, told
from sidecar.cli.backoffice.mailing import Templates, run
from sidecar.cli.backoffice.office import Office, reading, writing
from sidecar.cli.backoffice.paging import Limit, PageToken, more, page
from sidecar.cli.backoffice.plain import shown
from sidecar.core.calendar import zone_of
from sidecar.core.errors import InvalidRequest
from sync.notices.letters import FACTS, SAMPLE_NOW, Letter, Letters, Reader, sample
from sync.store.db import open_store
from sync.store.names import checked_language
from sync.store.notices import get_addressed

KINDS = ", ".join(FACTS)
NUMBER = re.compile(r"[0-9]{1,18}")
Tenant = Annotated[str | None, typer.Option("--tenant", help="Only to this tenant.")]
KindName = Annotated[str | None, typer.Option("--kind", help=f"Only this: {KINDS}.")]
StateName = Annotated[str | None, typer.Option("--state", help="Only pending, sent, failed or cancelled.")]

app = app_of("notices", "Reminders and notices by e-mail to tenants' contacts.")
app.command()(run)


@app.command("list")
@reading
def list_(
    office: Office,
    tenant: Tenant = None,
    state: StateName = None,
    kind: KindName = None,
    limit: Limit = 100,
    page_token: PageToken = None,
) -> None:
    """Notices on their way, sent and failed, oldest first."""
    answer = _page(office, tenant, state, kind, page(limit, page_token))
    header = ("NOTICE", "TENANT", "KIND", "STATE", "DUE", "TRIED", "SENT", "WHAT WENT WRONG")
    office.show(answer, table(header, map(_row, answer.notices)) + more(answer))


def _page(
    office: Office, tenant: str | None, state: str | None, kind: str | None, which: dict[str, Any]
) -> pb.ListNoticesResponse:
    request = pb.ListNoticesRequest(tenant_id=tenant, state=state, kind=kind, **which)
    return office.read(request, pb.ListNoticesResponse)


def _row(notice: pb.Notice) -> tuple[object, ...]:
    shown_at = (shown(notice, "due_at"), notice.attempts, shown(notice, "sent_at"))
    return (notice.id, notice.tenant_id, notice.kind, notice.state, *shown_at, shown(notice, "error"))


@app.command()
@writing
def retry(
    office: Office,
    notice: Annotated[list[int] | None, typer.Argument(metavar="[NOTICE]...", help="Numbers of notices.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that failed, or those below.")] = False,
    tenant: Tenant = None,
    kind: KindName = None,
) -> None:
    """Has notices that failed tried again."""
    if bool(notice) == failed:
        raise InvalidRequest("notice", "give numbers of notices, or --failed")
    ids = notice or _failed(office, tenant, kind)
    for number in ids:
        one = replace(office, key=f"{office.key}-{number}") if office.key and len(ids) > 1 else office
        answer = one.write(pb.RetryNoticeRequest(id=number), pb.RetryNoticeResponse)
        office.show(answer, f"notice {number} is {answer.notice.state} again")


def _failed(office: Office, tenant: str | None, kind: str | None) -> list[int]:
    """The numbers of all that failed."""
    found: list[int] = []
    token: str | None = ""
    while token is not None:
        answer = _page(office, tenant, "failed", kind, page(1000, token))
        found += [notice.id for notice in answer.notices]
        token = answer.next_page_token or None
    return found


@app.command()
@told
def preview(
    what: Annotated[str, typer.Argument(metavar="KIND|NOTICE", help=f"{KINDS}; or a notice's number.")],
    language: Annotated[str | None, typer.Option(help="Default: the tenant's; of a kind: en.")] = None,
    zone: Annotated[str | None, typer.Option(help="Default: the tenant's; of a kind: UTC.")] = None,
    html: Annotated[bool, typer.Option("--html", help="The HTML instead of the text.")] = False,
    templates: Templates = None,
    store: StorePath = DEFAULT_STORE,
) -> None:
    """Print a notice as it would be sent: one on record, or a sample of a kind."""
    letters = Letters(templates)
    if NUMBER.fullmatch(what):
        letter = _recorded(letters, int(what), language, zone, store)
    elif what in FACTS:
        reader = Reader(tenant_id="acme", name="Acme", **_place(language or "en", zone or "UTC"))
        letter = letters.write(what, sample(what), reader, SAMPLE_NOW)
    else:
        raise InvalidRequest("kind", f"{what!r} is none of {KINDS}, and no number of a notice")
    typer.echo(letter.html if html else f"{letter.subject}\n\n{letter.text}", nl=False)


def _recorded(letters: Letters, number: int, language: str | None, zone: str | None, store: str) -> Letter:
    with open_store(store).reading() as conn:
        found = get_addressed(conn, number)
    place = _place(language or found.language, zone or found.zone)
    reader = Reader(tenant_id=found.notice.tenant_id, name=found.name, **place)
    return letters.write(found.notice.kind, found.notice.facts, reader, time.time_ns() // 1000)


def _place(language: str, zone: str) -> dict[str, Any]:
    return {"language": checked_language(language), "zone": zone_of(zone).key}
