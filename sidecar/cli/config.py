"""`deskgate config`: what a sidecar started here and now would be told."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sidecar.cli.options import with_settings
from sidecar.settings import Loaded, Settings

app = typer.Typer(no_args_is_help=True, help="Show the settings and where each comes from.")


@app.command()
@with_settings
def show(loaded: Loaded, as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False) -> None:
    """Print every setting, its value and where that comes from."""
    values = loaded.settings.model_dump(mode="json")
    if as_json:
        told = {key: {"value": value, "origin": loaded.origins[key]} for key, value in values.items()}
        typer.echo(json.dumps({"digest": loaded.settings.digest, "settings": told}, ensure_ascii=False, indent=2))
        return
    texts = {key: _text(value) for key, value in values.items()}
    first, second = max(map(len, texts)), max(map(len, texts.values()))
    for key, text in texts.items():
        typer.echo(f"{key:<{first}}  {text:<{second}}  {loaded.origins[key]}")


@app.command()
def schema() -> None:
    """Print the JSON schema of a settings file."""
    typer.echo(json.dumps(Settings.model_json_schema(), ensure_ascii=False, indent=2))


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)
