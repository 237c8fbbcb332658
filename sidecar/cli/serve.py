"""`deskgate serve`: runs a sidecar until it is told to stop."""

from __future__ import annotations

from sidecar.cli.options import with_settings
from sidecar.observe.logs import configure
from sidecar.settings import Loaded


@with_settings
def serve(loaded: Loaded) -> None:
    """Run the sidecar until SIGTERM or SIGINT; then started calls end, within the drain budget."""
    settings = loaded.settings
    configure(log_format=settings.log_format, level=settings.log_level)
    from sidecar.app import run

    run(settings)
