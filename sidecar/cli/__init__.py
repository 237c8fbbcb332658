"""The command line, `deskgate`. A sub-command is imported when it is called: the others do not pay for it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand
from typer.main import get_command, get_group

from sidecar.core.errors import DeskgateError

USAGE: Final = 2
"""Exit status for what cannot be done as asked."""

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "serve": ("sidecar.cli.serve:serve", "Run the sidecar."),
    "check": ("sidecar.cli.check:check", "Ask a sidecar: may this tenant do this now?"),
    "explain": ("sidecar.cli.check:explain", "Ask a sidecar why, at any instant."),
    "health": ("sidecar.cli.health:health", "Ask a sidecar whether it is serving."),
    "policy": ("sidecar.cli.policy:app", "Check policies, and print their JSON schema."),
    "config": ("sidecar.cli.config:app", "Show the settings and where each comes from."),
    "clock": ("sidecar.cli.clock:app", "Show and settle the instant that a sidecar decides by."),
    "license": ("sidecar.cli.license:app", "Signed licenses, for installations without a central store."),
    "outbox": ("sidecar.cli.outbox:app", "Statements of usage on their way to a store over a network."),
    "tenant": ("sidecar.cli.backoffice.tenant:app", "Tenants: create, change, block, archive, show."),
    "product": ("sidecar.cli.backoffice.catalog:products", "Products: what is sold, and what each grants."),
    "edition": ("sidecar.cli.backoffice.catalog:editions", "Editions: caps on desks, and price lists."),
    "order": ("sidecar.cli.backoffice.order:app", "Orders: NEW, RENEW, UPGRADE, VOID; payments; purchase history."),
    "plan": ("sidecar.cli.backoffice.plan:app", "Plans, and whom they are assigned to."),
    "account": ("sidecar.cli.backoffice.account:app", "Accounts billed from a balance."),
    "usage": ("sidecar.cli.backoffice.usage:app", "Usage and seats: what exists."),
    "forecast": (
        "sidecar.cli.backoffice.forecast:forecast",
        "Who will expire, owe, be blocked or over quota, and when.",
    ),
    "notices": ("sidecar.cli.backoffice.notices:app", "Reminders and notices by e-mail: send, list, retry, preview."),
    "operator": ("sidecar.cli.backoffice.operator:app", "Operators of the back office, and their tokens."),
    "audit": ("sidecar.cli.backoffice.audit:app", "Who changed what, and whether the trail is whole."),
    "backoffice": ("sidecar.cli.backoffice.serve:app", "Serve the back office over gRPC."),
    "feed": ("sidecar.cli.feed:app", "Serve the store's changes to sidecars on other machines."),
    "import": ("sidecar.cli.backoffice.importing:app", "Import tenants, usage and orders from CSV."),
    "export": ("sidecar.cli.backoffice.exporting:app", "Export what is on record, as CSV or JSON."),
    "store": ("sidecar.cli.backoffice.files:store", "The central store's file."),
    "demo": ("sidecar.cli.backoffice.files:demo", "Tenants to try things on."),
}
"""Name to where it is found, and what it is for. There stands a command's function, or a Typer app."""


class _Lazy(TyperCommand):
    """Stands for a sub-command in lists and help; the real one is imported when it is called."""

    def __init__(self, name: str, place: str, about: str) -> None:
        super().__init__(name, help=about)
        self._place: Final = place

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        return _imported(str(self.name), self._place).make_context(info_name, args, parent=parent, **extra)


def _imported(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        return get_group(found)
    app = typer.Typer(add_completion=False)
    app.command(name)(found)
    return get_command(app)


def root() -> Any:
    """The whole command, for `main` and for tests."""
    app = typer.Typer(no_args_is_help=True, add_completion=False)
    app.callback()(_options)
    group = get_group(app)
    for name, (place, about) in COMMANDS.items():
        group.add_command(_Lazy(name, place, about))
    return group


def _print_version(asked: bool) -> None:
    if asked:
        from sidecar.version import VERSION

        typer.echo(f"deskgate {VERSION}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
]


def _options(version: Version = False) -> None:
    """deskgate: the entitlement gate beside every Desking instance."""


def main() -> None:
    """Runs the command line. What deskgate refuses on purpose is told in a line or a few, without a traceback."""
    try:
        root()(prog_name="deskgate")
    except DeskgateError as e:
        sys.stderr.write(f"deskgate: {e}\n")
        sys.exit(USAGE)
