"""An import killed at any moment and run again ends as one that nobody disturbed: nothing twice, nothing missing, the
audit trail whole; and the files it writes are those of a whole run, or not there.

`DESKGATE_SOAK=1` does so 7 times for each kind instead of once.
"""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from sidecar.core.calendar import parse_instant
from sync.store import audit, schema
from sync.store.audit import By
from sync.store.catalogue import create_product
from sync.store.db import Store, open_store
from sync.store.products import product_of
from sync.store.tenants import NewTenant, create_tenants
from tests.serving import COMMAND, PATIENCE, ROOT, deskgate, environment, wait_for
from tests.storing import stored

SOAK = os.environ.get("DESKGATE_SOAK") == "1"
TIMES = 7 if SOAK else 1
KILLS = 3
ROWS = 4_000
BATCH = 1_000
AT = "2026-07-14T09:30:00Z"
LEFT_OUT = {
    "audit": {"recorded_at", "details", "digest", "hash"},
    "idempotency": {"at"},
    "revision_log": {"at"},
    "store": {"audit_hash"},
}
"""What depends on the clock, or on chance, by table."""


def tenants() -> Iterator[str]:
    yield "tenant,parent,tags,zone"
    for n in range(ROWS):
        yield f"t{n},{'nobody' if n % 50 == 0 else f't{n - 1}' if n % 50 > 1 else ''},a;b,Asia/Shanghai"


def usage() -> Iterator[str]:
    yield "tenant,key,units,user"
    for n in range(ROWS):
        yield f"held{n % 700},desk,{n},"[: None if n % 3 else -1] if n % 2 else f"held{n % 700},seat,,u{n % 40}"


def orders() -> Iterator[str]:
    yield "order,tenant,kind,product,quantity,months"
    for n in range(0, ROWS, 2):
        tenant, kind = f"held{n // 2 % 700}", "NEW" if n // 2 < 700 else "RENEW"
        yield f"{n},{tenant},{kind},desk,{n % 9 + 1},12"
        yield f"{n},{tenant if n % 100 else ''},{kind},room,{'x' if n % 150 == 0 else n % 7 + 1},12"


KINDS = {"tenants": tenants, "usage": usage, "orders": orders}


WHERE = [("sqlite", kind) for kind in KINDS] + [("postgresql", "tenants")]
"""In PostgreSQL those whose rows have no numbers: what was undone leaves gaps in them."""


def begun(store: Store) -> None:
    """Products and tenants."""
    with store.writing(By(operator="o", at=parse_instant(AT))) as writing:
        for key in ("desk", "room"):
            entry = {"name": key, "amount": 1, "amount_calculation": "per_qty"}
            create_product(writing, product_of({"id": key, "license_template": [entry]}), now=0)
        create_tenants(writing, [NewTenant(id=f"held{n}") for n in range(700)], now=0)


def state(store: Store) -> dict[str, list[Any]]:
    """All that a store holds, but for what depends on the clock and on chance."""
    found = {}
    with store.reading() as conn:
        assert audit.verify(conn).fault == ""
        for table in schema.metadata.sorted_tables:
            columns = [c for c in table.c if c.name not in LEFT_OUT.get(table.name, ())]
            found[table.name] = [tuple(row) for row in conn.execute(select(*columns).order_by(*table.primary_key))]
    return found


def remembered(store: Store) -> int:
    """Rows that were done."""
    with store.reading() as conn:
        return conn.scalar(select(func.count()).select_from(schema.idempotency)) or 0


def outcomes(report: Path) -> list[str]:
    with report.open(newline="") as read:
        return [row["outcome"] for row in csv.DictReader(read)]


def start(*args: object) -> subprocess.Popen[bytes]:
    command = [*COMMAND, *map(str, args)]
    return subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def strike(victim: subprocess.Popen[bytes], store: Store, rng: random.Random, *, early: bool) -> None:
    """Kills it about as it starts, or some time after a transaction more of it has ended."""
    if early:
        time.sleep(rng.uniform(0, 1))
    else:
        before = remembered(store)
        wait_for(lambda: remembered(store) > before or victim.poll() is not None)
        time.sleep(rng.uniform(0, 0.2))
    victim.send_signal(signal.SIGKILL)
    victim.wait(PATIENCE)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(TIMES))
@pytest.mark.parametrize(("each_place", "kind"), WHERE, indirect=["each_place"])
def test_killed_while_importing(each_place: str, kind: str, number: int, tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text("\n".join(KINDS[kind]()) + "\n")
    calm, torn = (open_store(stored(tmp_path / name, begun)) for name in ("calm.db", "torn.db"))
    report = tmp_path / "report.csv"
    args = ("import", kind, file, "--at", AT, "--operator", "ada")
    told = deskgate(*args, "--store", calm.name)
    assert told.returncode == 1, told.stderr
    rng, left = random.Random(f"{kind} {number} 20261125"), []
    for kill in range(KILLS):
        victim = start(*args, "--store", torn.name, "--report", report)
        strike(victim, torn, rng, early=kill > 0 and rng.random() < 0.3)
        left.append(remembered(torn))
        if report.exists():
            assert len(outcomes(report)) == ROWS, "a report was put in its place before it was whole"
            report.unlink()
    done = deskgate(*args, "--store", torn.name, "--report", report)
    assert done.returncode == 1, done.stderr
    assert state(torn) == state(calm)
    found = outcomes(report)
    assert len(found) == ROWS
    assert set(found) == {"already", "bad"} | ({"done"} if left[-1] < remembered(calm) else set())
    print(f"{kind}: {KILLS} kills left {left} of {remembered(calm)} done")  # noqa: T201
    assert any(0 < each < remembered(calm) for each in left), "no kill came in the middle"
