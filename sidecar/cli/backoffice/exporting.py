"""`deskgate export`: what is on record, as CSV or JSON, for spreadsheets, other systems and `deskgate import`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Final

import typer

from sidecar.cli.backoffice.common import DEFAULT_STORE, StorePath, app_of, told
from sidecar.core.calendar import parse_instant
from sidecar.core.errors import DeskgateError, InvalidRequest
from sidecar.core.model import Instant
from sync.store.db import open_store
from sync.transfer.drafts import draft, refuse_same
from sync.transfer.exporting import EXPORTS, export_to
from sync.transfer.formats import Format
from sync.transfer.sought import Export, Sought

app = app_of("export", "Export what is on record, as CSV or JSON.")

MARK: Final = "\ufeff"

How = Annotated[Format, typer.Option("--format", help="CSV has one header line; JSON is one array, amounts as texts.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="Written whole or not at all; default: standard output."),
]
Mark = Annotated[bool, typer.Option("--bom", help="A byte order mark first, by which Excel knows UTF-8; CSV only.")]
Of = Annotated[str | None, typer.Option("--tenant", help="Only what is this tenant's; of plans: that it owns.")]
Open = Annotated[bool, typer.Option("--open", help="Nothing of archived tenants.")]
Since = Annotated[str | None, typer.Option(help="Only what was recorded from this date (UTC) or instant on.")]
Until = Annotated[str | None, typer.Option(help="Only what was recorded before this date (UTC) or instant.")]


class _Standard:
    """Standard output, in UTF-8 whatever the terminal is set to."""

    def write(self, text: str) -> None:
        sys.stdout.buffer.write(text.encode())


def _command(export: Export) -> Callable[..., None]:
    def run(
        form: How = Format.CSV,
        output: Output = None,
        bom: Mark = False,
        tenant: Of = None,
        open_: Open = False,
        since: Since = None,
        until: Until = None,
        store: StorePath = DEFAULT_STORE,
    ) -> None:
        sought = Sought(tenant=tenant, open=open_, since=_instant("since", since), until=_instant("until", until))
        if bom and form is not Format.CSV:
            raise InvalidRequest("bom", "only CSV has a byte order mark")
        opened = open_store(store)
        if output is not None:
            refuse_same("output", output, [] if opened.file is None else [opened.file])
        with nullcontext(_Standard()) if output is None else draft(output) as out:
            if bom:
                out.write(MARK)
            export_to(out, opened, export, sought, form)

    run.__doc__ = f"{export.about}\n\nColumns: {', '.join(export.columns)}."
    return told(run)


def _instant(field: str, text: str | None) -> Instant | None:
    try:
        return None if text is None else parse_instant(text)
    except DeskgateError as e:
        raise InvalidRequest(field, str(e)) from e


for _export in EXPORTS.values():
    app.command(_export.name)(_command(_export))
