"""`deskgate policy`: tools for the authors of policies. They need no sidecar and no store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Check policies, and print their JSON schema.")


@app.callback()
def _policy() -> None:
    """Check policies, and print their JSON schema."""


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Policy files, or directories of them, that make one set.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Tell every error of every file; exit 1 if there is one."""
    from dataclasses import asdict

    from sidecar.policy.load import PolicyErrors, load

    try:
        found = load(files)
    except PolicyErrors as e:
        count = len(e.errors)
        told = json.dumps({"ok": False, "errors": [asdict(x) for x in e.errors]}, ensure_ascii=False)
        typer.echo(told if as_json else f"{e}\n{count} error{'s' if count > 1 else ''}", err=not as_json)
        raise typer.Exit(1) from None
    rules = sum(len(p.rules) for p in found.policies)
    names = [p.name for p in found.policies]
    told = json.dumps({"ok": True, "revision": found.revision, "policies": names, "rules": rules})
    typer.echo(told if as_json else f"ok: {', '.join(names)}; {rules} rules, revision {found.revision}")


@app.command()
def schema() -> None:
    """Print the JSON schema of a policy file, as in policies/policy.schema.json."""
    from sidecar.policy.documents import schema_text

    typer.echo(schema_text(), nl=False)
