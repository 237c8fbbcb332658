"""How long does it take to import 100,000 rows of each kind, tenants first, then their usage, then their orders?

Each is imported by the command line in a process of its own into the store that the one before has left, reports and
rejects written; then orders once more, when all of them are known already.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.figures import Figure, calibrate
from benchmarks.setup import Setup
from benchmarks.world import SPACES
from sync.store.audit import By
from sync.store.catalogue import create_product
from sync.store.db import open_store
from sync.store.products import Product, TemplateEntry

ROWS: Final = 100_000
LONG: Final = 3
"""A round takes so much longer than a repeat elsewhere that there are so many times fewer."""
PARENTS: Final = 50
"""Of so many tenants the first is the parent of some that follow it."""
PAIRS: Final = 10_000
"""Orders of two lines; all others have one."""


def _tenants() -> Iterator[str]:
    yield "tenant,name,parent,zone,language,contacts,tags,edition"
    for n in range(ROWS):
        parent = f"t{n - n % PARENTS}" if n % PARENTS % 10 == 1 else ""
        yield f"t{n},Company {n},{parent},Asia/Shanghai,zh-CN,desk@t{n}.example,pilot;wave {n % 7},"


def _usage() -> Iterator[str]:
    yield "tenant,key,units,user"
    for n in range(ROWS):
        yield f"t{n % (ROWS // 2)},layout_designer,,user-{n}" if n % 4 == 3 else f"t{n},{SPACES[n % 3]},{n % 90},"


def _orders() -> Iterator[str]:
    yield "order,tenant,product,quantity,starts,ends,edition,unit_price,currency,purchased_on"
    for n in range(ROWS - PAIRS):
        shared = "2026-07-01,2027-06-30,flagship,49.90,CNY,2026-06-20"
        yield f"{n},t{n},{SPACES[0]},{n % 90 + 1},{shared}"
        if n < PAIRS:
            yield f"{n},t{n},{SPACES[1]},{n % 40 + 1},{shared}"


FILES: Final = {"tenants": _tenants, "usage": _usage, "orders": _orders}


def measure(setup: Setup) -> list[Figure]:
    """Seconds, and rows a second."""
    folder = setup.folder / "importing"
    folder.mkdir()
    for kind, lines in FILES.items():
        (folder / f"{kind}.csv").write_text("\n".join(lines()) + "\n")
    rounds = [_round(folder / f"store-{n}.db", setup.now) for n in range(max(1, setup.effort.repeats // LONG))]
    figures = []
    for name in rounds[0]:
        seconds, loops = zip(*(each[name] for each in rounds), strict=True)
        loop = sorted(loops)[len(loops) // 2]
        rates = tuple(ROWS / each for each in seconds)
        figures += [
            Figure(name=f"import.{name}", unit="s", values=seconds, calibration_ms=loop, note=f"{ROWS:,} rows"),
            Figure(name=f"import.{name}.rate", unit="rows/s", values=rates, calibration_ms=loop),
        ]
    return figures


def _round(store: Path, now: int) -> dict[str, tuple[float, float]]:
    """Name to seconds, and to the fixed loop's milliseconds just before."""
    _make(store, now)
    found = {}
    for name, kind, outcome in (*((kind, kind, "done") for kind in FILES), ("again", "orders", "already")):
        loop = calibrate()
        found[name] = (_import(store, kind, outcome), loop)
    store.unlink()
    return found


def _make(path: Path, now: int) -> None:
    with open_store(path, create=True).writing(By(operator="benchmark", at=now)) as writing:
        for key in SPACES:
            entry = TemplateEntry(name=key, amount=1, amount_calculation="per_qty")
            create_product(writing, Product(id=key, license_template=(entry,)), now=now)


def _import(store: Path, kind: str, outcome: str) -> float:
    """Seconds that the import says it took. Raises RuntimeError unless all rows came to this."""
    files = [str(store.with_name(f"{kind}.{name}.csv")) for name in ("report", "rejects")]
    command = [sys.executable, "-m", "sidecar", "import", kind, str(store.with_name(f"{kind}.csv")), "--json"]
    command += ["--store", str(store), "--report", files[0], "--rejects", files[1]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout) if done.returncode == 0 else {}
    if told.get(outcome) != ROWS:
        raise RuntimeError(f"import of {kind}: {done.stdout} {done.stderr}")
    return float(told["seconds"])
