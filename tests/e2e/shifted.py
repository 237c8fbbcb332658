"""Runs the command line on a machine whose clock is wrong: `shifted.py FILE ARGS...`.

FILE holds by how many seconds the clock is ahead; it is read anew at every look at the clock, so it can be changed
under a running process. Nothing but the clock that instants are taken from is touched.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

machine = time.time_ns
shift = Path(sys.argv.pop(1))
time.time_ns = lambda: machine() + int(shift.read_text()) * 1_000_000_000

from sidecar.cli import main  # noqa: E402 - what it imports takes the clock as it finds it

main()
