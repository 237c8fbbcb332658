"""A store in a PostgreSQL database, for many sidecars and replicas of a feed.

Writers take turns by locking the store's only row before anything else (READ COMMITTED): so revisions, numbers of the
audit trail and row numbers come in the order of their commits, and whoever sees a revision sees all before it. Readers
have one view (REPEATABLE READ, READ ONLY), and wait for nobody. Texts are compared by their bytes, as SQLite does it.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

import psycopg
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine, RootTransaction, create_engine, event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sidecar.core.errors import DeskgateError, InvalidRequest
from sync.store import schema
from sync.store.errors import (
    StoreDenied,
    StoreError,
    StoreForeign,
    StoreFull,
    StoreLocked,
    StoreMissing,
    StoreUnavailable,
)
from sync.storeurl import DATABASE

FORM: Final = "postgresql://USER@HOST:PORT/DATABASE"
CHANNEL: Final = "deskgate"
"""What `LISTEN` names: each committed revision is notified there, as a decimal number."""
MAKERS: Final = 0x6465736B67617465
"""The advisory lock of those who make or migrate a store."""
KEPT: Final = 2
MOST: Final = 32
"""Connections of a process: kept open, and at most."""

DEFAULTS: Final[Mapping[str, str]] = {
    "fallback_application_name": "deskgate",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
"""Of each connection, where the URL says nothing else: a server that is gone is noticed within half a minute."""
SESSION: Final = """
    SELECT set_config('lock_timeout', %s, false),
           set_config('tcp_keepalives_idle', '10', false),
           set_config('tcp_keepalives_interval', '5', false),
           set_config('tcp_keepalives_count', '3', false),
           CASE current_setting('synchronous_commit')
               WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END
"""
"""So that a client that is gone soon lets go of the lock; and what was acknowledged survives a power cut."""
TABLES: Final = text("""
    SELECT c.relname FROM pg_class c
    WHERE c.relkind IN ('r', 'p', 'f') AND c.relnamespace = to_regnamespace(current_schema())
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                      AND d.deptype = 'e')
""")
"""All but those of extensions."""
SORTED_OTHERWISE: Final = text("""
    SELECT c.relname, array_agg(quote_ident(a.attname)) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = to_regnamespace(current_schema()) AND c.relname = ANY (:names) AND NOT a.attisdropped
      AND a.atttypid = 'text'::regtype AND a.attcollation <> 'pg_catalog."C"'::regcollation
    GROUP BY c.relname
""")

LOCKED: Final = "another process keeps the store {name} locked; try again when it is done"
LOST: Final = "the connection to the store {name} was lost ({error}); nothing was changed: try again"
UNKNOWN: Final = (
    "the connection to the store {name} was lost while a change was committed: whether it was made is not known; "
    "look, or try again with the same idempotency key"
)
AWAY: Final = "the store {name} cannot be reached ({error}): see that its server runs, and its address"
WHOLE: Final = "the store {name} is not whole any more ({error}): restore it from a backup"
NO_STORE: Final = "the database {name} holds no store: make one with `deskgate store init --store {name}`"
DENIED: Final = "the store {name} does not let this user in ({error}): see the user's name, password and rights"
NO_DATABASE: Final = "there is no such database ({error}): create it, then `deskgate store init --store {name}`"
NOT_ALLOWED: Final = "this user may not do that in the store {name} ({error}): use its owner, or grant the right"
FAILING: Final = "the server of the store {name} failed ({error}); nothing was changed: see its log"

FAILURES: Final[Mapping[str, tuple[type[StoreError], str]]] = {
    "08": (StoreUnavailable, LOST),
    "25006": (
        StoreUnavailable,
        "the store {name} may only be read there: give the address of its primary, not of a standby",
    ),
    "25P03": (StoreUnavailable, LOST),
    "28": (StoreDenied, DENIED),
    "3D000": (StoreMissing, NO_DATABASE),
    "3F000": (StoreUnavailable, NOT_ALLOWED),
    "40001": (StoreLocked, LOCKED),
    "40P01": (StoreLocked, LOCKED),
    "42501": (StoreDenied, NOT_ALLOWED),
    "42703": (StoreForeign, WHOLE),
    "42P01": (StoreForeign, WHOLE),
    "42P07": (
        StoreForeign,
        "{name} holds a table that is none of the store's ({error}): restore it from a backup",
    ),
    "53100": (StoreFull, "no room left to write the store {name}; nothing was changed: free some space"),
    "53300": (StoreUnavailable, "the server of the store {name} takes no more connections ({error}): try again"),
    "53": (StoreUnavailable, FAILING),
    "55P03": (StoreLocked, LOCKED),
    "57014": (StoreUnavailable, "a statement was cancelled at the store {name} ({error}); nothing was changed"),
    "57": (StoreUnavailable, LOST),
    "58": (StoreUnavailable, FAILING),
    "XX001": (StoreForeign, "the store {name} is damaged ({error}): restore it from a backup"),
    "XX002": (StoreForeign, "the store {name} is damaged ({error}): restore it from a backup"),
}
"""By SQLSTATE, or its class."""
NO_TABLE: Final = "42P01"
UNCONNECTED: Final = (
    (re.compile(r'database "[^"]*" does not exist'), *FAILURES["3D000"]),
    (re.compile(r"authentication failed|no password supplied|pg_hba\.conf|role .* does not exist"), *FAILURES["28"]),
    (re.compile(r"too many clients|too many connections|remaining connection slots"), *FAILURES["53300"]),
    (re.compile(r"connection failed|connection is bad|failed to resolve|connection timeout"), StoreUnavailable, AWAY),
)
"""By what is said when no connection was made: then there is no SQLSTATE."""


class PostgresPlace:
    """A database of a server. A writer waits for its turn `busy_timeout` seconds at most; so do all for a migration.

    Threads may share it, processes may not.
    """

    file: Final = None
    errors: Final = (DBAPIError, psycopg.Error, PoolTimeout)

    def __init__(
        self, url: str, *, busy_timeout: float, connect: Callable[..., psycopg.Connection] = psycopg.connect
    ) -> None:
        """`connect` makes each connection. Raises StoreUnavailable for a text that is no URL of a database."""
        given = _parsed(url)
        self.name: Final = _name(given)
        self._engine: Final = _engine(given, busy_timeout, connect)
        weakref.finalize(self, self._engine.dispose).atexit = False

    def failure(self, error: Exception) -> DeskgateError | None:
        """See Place. An InvalidRequest for a text that no database of PostgreSQL can hold."""
        if isinstance(error, PoolTimeout):
            return StoreLocked(f"all {MOST} connections of this process to the store {self.name} are taken: try again")
        statement = (error.statement or "") if isinstance(error, DBAPIError) else ""
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, psycopg.DataError) and "NUL" in str(cause):
            return InvalidRequest("text", "it has a NUL character")
        kind, advice = _told(cause)
        if kind is None:
            return None
        if getattr(cause, "sqlstate", None) == NO_TABLE and re.search(r"\bFROM store\b", statement):
            kind, advice = StoreMissing, NO_STORE
        return kind(advice.format(name=self.name, error=_said(cause)))

    def exists(self) -> bool:
        """Whether there is any table."""
        with self.reading() as conn:
            return bool(self.tables(conn))

    @contextmanager
    def making(self) -> Iterator[Connection]:
        """See Place. Raises StoreForeign where not every text can be held."""
        with self.writing() as conn:
            conn.execute(select(func.pg_advisory_xact_lock(MAKERS)))
            encoding = conn.scalar(text("SHOW server_encoding"))
            if encoding != "UTF8":
                raise StoreForeign(f"the database {self.name} holds texts as {encoding}: create one with ENCODING UTF8")
            yield conn

    def tables(self, conn: Connection) -> set[str]:
        """See Place."""
        return set(conn.scalars(TABLES))

    def made(self, conn: Connection) -> None:
        """See Place. A database's own order of texts is that of some language."""
        for table, columns in conn.execute(SORTED_OTHERWISE, {"names": list(schema.metadata.tables)}).all():
            altered = ", ".join(f'ALTER COLUMN {column} TYPE text COLLATE "C"' for column in columns)
            conn.exec_driver_sql(f"ALTER TABLE {table} {altered}")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """See Place."""
        with self._engine.connect() as conn:
            _begin(conn, IsolationLevel.REPEATABLE_READ, read_only=True)
            yield conn

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """See Place. Raises StoreUnavailable where it cannot be known whether the change was made."""
        with self._engine.connect() as conn:
            _begin(conn, IsolationLevel.READ_COMMITTED, read_only=None)
            transaction = conn.begin()
            try:
                yield conn
            except BaseException:
                _undo(conn, transaction)
                raise
            try:
                transaction.commit()
            except BaseException as e:
                conn.invalidate()  # nobody is to have it again
                if isinstance(e, DBAPIError) and _lost(e):
                    raise StoreUnavailable(UNKNOWN.format(name=self.name)) from e
                raise

    def announce(self, conn: Connection, revision: int) -> None:
        """See Place."""
        conn.execute(select(func.pg_notify(CHANNEL, str(revision))))


def _parsed(url: str) -> dict[str, Any]:
    try:
        return dict(conninfo_to_dict(DATABASE.sub("postgresql://", url, count=1)))
    except psycopg.Error:  # it may tell a part of the password
        raise StoreUnavailable(
            f"the store's URL cannot be read: write {FORM}, and signs such as @ : / % in a name or a password as %40"
        ) from None


def _name(given: Mapping[str, Any]) -> str:
    """The URL with nothing in it but the way to the database."""
    user = f"{quote(str(given['user']), safe='')}@" if "user" in given else ""
    hosts = str(given.get("host", "")).split(",")
    ports = str(given.get("port", "")).split(",")
    ports *= len(hosts) if len(ports) == 1 else 1
    ways = (f"{_host(host)}:{port}" if port else _host(host) for host, port in zip(hosts, ports, strict=False))
    return f"postgresql://{user}{','.join(ways)}/{quote(str(given.get('dbname', '')), safe='')}"


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else quote(host, safe="")


def _engine(given: Mapping[str, Any], busy_timeout: float, made_by: Callable[..., psycopg.Connection]) -> Engine:
    engine = create_engine(
        "postgresql+psycopg://",
        pool_size=KEPT,
        max_overflow=MOST - KEPT,
        pool_timeout=max(busy_timeout, 1.0),
        pool_pre_ping=True,
        hide_parameters=True,
        use_native_hstore=False,
        skip_autocommit_rollback=True,  # of who listens: on a lost line it would fail, in the log with a trace
    )
    patience = str(max(1, round(busy_timeout * 1000)))

    def connect(_dialect: object, _record: object, _args: object, kwargs: dict[str, Any]) -> Any:
        conn = made_by(**{**DEFAULTS, **given, "client_encoding": "UTF8", **kwargs})
        try:
            conn.execute(SESSION, [patience])
            conn.commit()
        except BaseException:
            conn.close()
            raise
        return conn

    event.listen(engine, "do_connect", connect)
    return engine


def _begin(conn: Connection, level: IsolationLevel, *, read_only: bool | None) -> None:
    """What the next transaction is; None: what the server says of itself, of which a standby is READ ONLY."""
    driven: Any = conn.connection.driver_connection
    driven.isolation_level, driven.read_only = level, read_only


def _undo(conn: Connection, transaction: RootTransaction) -> None:
    """Undoes a change; where the connection is lost already, the server does."""
    try:
        transaction.rollback()
    except DBAPIError:
        conn.invalidate()


def _told(cause: BaseException | None) -> tuple[type[StoreError] | None, str]:
    state = getattr(cause, "sqlstate", None)
    if state:
        return FAILURES.get(state) or FAILURES.get(state[:2]) or (None, "")
    for sign, kind, advice in UNCONNECTED:
        if sign.search(str(cause)):
            return kind, advice
    broken = isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError))
    return (StoreUnavailable, LOST) if broken else (None, "")


def _lost(error: DBAPIError) -> bool:
    """Whether there is no connection any more on which the server could have told how it ended."""
    return error.connection_invalidated or _told(error.orig) == (StoreUnavailable, LOST)


def _said(cause: BaseException | None) -> str:
    """What the server or the driver said, in a line."""
    primary = getattr(getattr(cause, "diag", None), "message_primary", None)
    return " ".join(str(primary or cause).split())
