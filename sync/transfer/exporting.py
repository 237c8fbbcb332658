"""Exporting: one view of the store, row after row, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, islice
from typing import Final

from sync.store.db import Store
from sync.store.tenants import get_tenant
from sync.transfer import books, outgoing
from sync.transfer.formats import WRITERS, Format, Out
from sync.transfer.sought import Export, Sought

EXPORTS: Final[Mapping[str, Export]] = {export.name: export for export in (*outgoing.EXPORTS, *books.EXPORTS)}


def export_to(out: Out, store: Store, export: Export, sought: Sought, form: Format) -> None:
    """Writes what is sought. Raises StoreError, InvalidRequest for what it cannot be narrowed by, or Refused:
    UNKNOWN_TENANT.
    """
    with store.reading() as conn:
        if sought.tenant is not None:
            get_tenant(conn, sought.tenant)
        rows = export.rows(conn, sought)
        first = list(islice(rows, 1))  # what is refused is refused before anything is written
        WRITERS[form](out, export.columns, export.numbers, chain(first, rows))
