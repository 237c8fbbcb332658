"""The back office from all sides: a store, whoever works at it, and a server in front of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sidecar.address import Address
from sync.backoffice.auth import Identity
from sync.backoffice.desk import Desk, RemoteDesk
from sync.backoffice.front import BackOfficeFront, ServerTls
from sync.backoffice.service import BackOffice
from sync.store.db import Store
from sync.store.operators import Role

LOOPBACK = Address("127.0.0.1", 0)
ROLES = {
    Role.VIEWER: pb.OPERATOR_ROLE_VIEWER,
    Role.OPERATOR: pb.OPERATOR_ROLE_OPERATOR,
    Role.ADMIN: pb.OPERATOR_ROLE_ADMIN,
}
_keys = iter(range(10**9))


class Here:
    """The service in this process, for an operator of any role."""

    def __init__(self, store: Store, role: Role) -> None:
        self._office = BackOffice(store)
        self._identity = Identity(name=role.name.lower(), role=role)

    def call(self, method: str, request: Message) -> Any:
        return self._office.handle(method, request, self._identity)


DeskFor = Callable[[Role], Desk]


@contextmanager
def serving(store: Store, tls: ServerTls | None = None, address: Address = LOOPBACK) -> Iterator[str]:
    """A server before a store: its address."""
    front = BackOfficeFront(store, address, tls)
    front.start()
    try:
        yield str(front.address)
    finally:
        front.stop(0)


def token_of(store: Store, role: Role, name: str | None = None) -> str:
    """A new operator's token."""
    request = pb.AddOperatorRequest(idempotency_key=key(), name=name or role.name.lower(), role=ROLES[role])
    return str(Here(store, Role.ADMIN).call("AddOperator", request).token)


@contextmanager
def desks(store: Store, *, remote: bool) -> Iterator[DeskFor]:
    """Desks for each role, in this process or over gRPC with tokens."""
    if not remote:
        yield lambda role: Here(store, role)
        return
    tokens = {role: token_of(store, role) for role in Role}
    with serving(store) as target:
        opened = {role: RemoteDesk(target, token) for role, token in tokens.items()}
        yield opened.__getitem__
        for desk in opened.values():
            desk.close()


def key() -> str:
    """A new idempotency key."""
    return f"key-{next(_keys)}"


def ask(desk: Desk, method: str, **fields: Any) -> Any:
    """Makes a call with these fields; a write gets a new key unless one is given."""
    request = getattr(pb, f"{method}Request")()
    if "idempotency_key" in request.DESCRIPTOR.fields_by_name:
        fields = {"idempotency_key": key()} | fields
    return desk.call(method, type(request)(**fields))


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work` gives, or the error that it raises, in so many threads that begin together."""
    ready, found = threading.Barrier(count), [None] * count

    def run(number: int) -> None:
        ready.wait()
        try:
            found[number] = work(number)
        except Exception as e:
            found[number] = e  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def marks(path: Path, store: Store) -> tuple[Any, ...]:
    """What changes when anything is changed: revision, and number and hash of the last entry of the audit trail."""
    from sqlalchemy import select

    from sync.store import schema

    with store.reading() as conn:
        return tuple(conn.execute(select(schema.store)).one())
