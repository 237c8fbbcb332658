"""`deskgate audit`: who changed what, and whether the trail is whole."""

from __future__ import annotations

from typing import Annotated

import typer

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.cli.backoffice.common import app_of, table
from sidecar.cli.backoffice.office import Office, reading, timestamp
from sidecar.cli.backoffice.paging import Limit, PageToken, more, page
from sidecar.cli.backoffice.plain import shown

app = app_of("audit", "The audit trail: every change, by whom, when, before and after.")

BROKEN = 1
"""Exit status of `verify` when the trail is not whole."""


@app.command("list")
@reading
def list_(
    office: Office,
    tenant: Annotated[str | None, typer.Option(help="Only about this tenant.")] = None,
    operator_name: Annotated[str | None, typer.Option("--by", help="Only by this operator.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this, such as order.place.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only on this, such as order:7.")] = None,
    since: Annotated[str | None, typer.Option(help="Only from this instant on.")] = None,
    until: Annotated[str | None, typer.Option(help="Only before this instant.")] = None,
    details: Annotated[bool, typer.Option("--details", help="Also what was before and after.")] = False,
    limit: Limit = 100,
    page_token: PageToken = None,
) -> None:
    """Entries, oldest first."""
    request = pb.ListAuditEntriesRequest(
        tenant_id=tenant,
        operator=operator_name,
        action=action,
        subject=subject,
        recorded_from=None if since is None else timestamp("since", since),
        recorded_until=None if until is None else timestamp("until", until),
        **page(limit, page_token),
    )
    answer = office.read(request, pb.ListAuditEntriesResponse)
    rows = [row for entry in answer.entries for row in _rows(entry, details)]
    office.show(answer, table(("ENTRY", "WHEN", "BY", "ACTION", "ON"), rows) + more(answer))


def _rows(entry: pb.AuditEntry, details: bool) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        (entry.seq, shown(entry, "recorded_at"), entry.operator, entry.action, entry.subject)
    ]
    if details:
        said = (("before", entry.before_json), ("after", entry.after_json))
        rows += [("", name, "", "", value) for name, value in said if value]
    return rows


@app.command()
@reading
def verify(office: Office) -> None:
    """Looks at the whole trail: exits 1 when anything in it was altered, taken out or put in."""
    answer = office.read(pb.VerifyAuditRequest(), pb.VerifyAuditResponse)
    erased = f", of which {answer.erased} with details erased" if answer.erased else ""
    said = f"{answer.entries} entries hold together{erased}; the last one's hash is {answer.head or '-'}"
    office.show(answer, said if answer.intact else f"NOT INTACT: {answer.fault}")
    if not answer.intact:
        raise typer.Exit(BROKEN)
