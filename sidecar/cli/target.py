"""The options of the commands that ask a running sidecar."""

from __future__ import annotations

from typing import Annotated

import typer

Target = Annotated[
    str, typer.Option(envvar="DESKGATE_TARGET", help="The sidecar: host:port, or unix:/path of its socket.")
]
Timeout = Annotated[float, typer.Option(help="Seconds to wait for an answer.", min=0.001, max=600)]
