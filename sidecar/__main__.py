"""`python -m sidecar` is `deskgate`."""

from sidecar.cli import main

main()
