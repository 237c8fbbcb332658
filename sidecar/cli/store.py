"""Every sub-command that works on the central store, by name: what `deskgate` adds to itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import typer

from sidecar.cli.backoffice import account, files, order, product, tenant, usage

APPS: Final[Mapping[str, typer.Typer]] = {
    "store": files.store,
    "demo": files.demo,
    "tenant": tenant.app,
    "product": product.app,
    "order": order.app,
    "account": account.app,
    "usage": usage.app,
}
