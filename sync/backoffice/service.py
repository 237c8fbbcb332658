"""BackOfficeService, free of any transport: a method, a request and an identity in, an answer or a typed error out.

Here alone is decided who may do what, what is done once, who is named in the audit trail, and where a transaction ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import DecodeError, Message

from sidecar.core.errors import DeskgateError, InvalidRequest
from sidecar.core.model import Instant
from sync.backoffice import codec
from sync.backoffice.auth import Identity
from sync.backoffice.contract import check_size
from sync.backoffice.errors import DeskError, NotAllowed
from sync.backoffice.method import Change, Method, View
from sync.backoffice.methods import METHODS
from sync.store import once
from sync.store.audit import By
from sync.store.db import Store, Writing
from sync.store.errors import Refused, StoreError
from sync.store.operators import Role

TYPED: Final = (Refused, InvalidRequest, StoreError, DeskError)


def machine_now() -> Instant:
    """The instant by this machine's clock."""
    return time.time_ns() // 1000


class BackOffice:
    """Every call of BackOfficeService. Threads may make them at once."""

    def __init__(self, store: Store, clock: Callable[[], Instant] = machine_now) -> None:
        self._store: Final = store
        self._clock: Final = clock

    def handle(self, method: str, request: Message | bytes, identity: Identity) -> Any:
        """Answers a call. Raises Refused, InvalidRequest, StoreError or NotAllowed, and then nothing was changed."""
        called = _called(METHODS, method)
        if identity.role < called.role:
            raise NotAllowed(f"{method} is for the role {called.role.name}; {identity.name} is {identity.role.name}")
        message = _read(called, request)
        try:
            return self._write(called, message, identity) if called.writes else self._look(called, message)
        except InvalidRequest as e:
            raise called.named(e) from e
        except TYPED:
            raise
        except DeskgateError as e:  # a value that breaks an invariant further down
            raise InvalidRequest("request", str(e)) from e

    def _look(self, called: Method, message: Any) -> Any:
        with self._store.reading() as conn:
            return called.run(View(conn=conn, now=self._clock()), message)

    def _write(self, called: Method, message: Any, identity: Identity) -> Any:
        stated = _stated(message, identity)
        if getattr(message, "dry_run", False):
            return self._try(called, message, identity, stated)
        key = codec.name("idempotency_key", message.idempotency_key)
        content = _content(called, message)
        with self._store.writing(self._by(identity, key)) as writing:
            known = once.answered(writing.conn, key, content)
            if known is not None:
                return ParseDict(known, called.call.response())
            answer = _run(called, message, writing, stated)
            answer.revision = writing.revision
            done = [(key, content, _kept(called, answer))]
            once.remember(writing.conn, done, at=writing.by.at, tenant_id=_about(message, answer))
        return answer

    def _by(self, identity: Identity, key: str = "") -> Callable[[], By]:
        return lambda: By(operator=identity.name, at=self._clock(), key=key)

    def _try(self, called: Method, message: Any, identity: Identity, stated: Instant | None) -> Any:
        """Does it and undoes it: the answer is what it would be."""
        try:
            with self._store.writing(self._by(identity)) as writing:
                before = writing.revision
                answer = _run(called, message, writing, stated)
                answer.revision = before
                raise _Undone(answer)
        except _Undone as undone:
            return undone.answer


class _Undone(Exception):
    """Ends a transaction without its changes."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer


def _run(called: Method, message: Any, writing: Writing, stated: Instant | None) -> Any:
    now = writing.by.at if stated is None else stated
    answer = called.run(Change(conn=writing.conn, now=now, writing=writing), message)
    writing.finish()
    return answer


def _called(methods: Mapping[str, Method], name: str) -> Method:
    if name not in methods:
        raise InvalidRequest("method", f"there is no call {name!r}")
    return methods[name]


def _read(called: Method, request: Message | bytes) -> Any:
    kind = called.call.request
    check_size(len(request) if isinstance(request, bytes) else request.ByteSize())
    if not isinstance(request, bytes):
        if not isinstance(request, kind):
            raise InvalidRequest("request", f"{called.name} takes a {kind.DESCRIPTOR.name}")
        return request
    try:
        return kind.FromString(request)
    except DecodeError as e:
        raise InvalidRequest("request", f"these bytes are no {kind.DESCRIPTOR.name}: {e}") from e


def _stated(message: Any, identity: Identity) -> Instant | None:
    """The instant of the change, where it is another than now."""
    if not message.HasField("at"):
        return None
    if identity.role < Role.ADMIN:
        raise NotAllowed(f"only the role ADMIN may state `at`; {identity.name} is {identity.role.name}: leave it out")
    return codec.instant("at", message.at)


def _content(called: Method, message: Any) -> str:
    """The digest of all that a request says, its key apart."""
    bare = called.call.request()
    bare.CopyFrom(message)
    bare.ClearField("idempotency_key")
    return once.digest_of([called.name, bare.SerializeToString(deterministic=True).hex()])


def _about(message: Any, answer: Any) -> str:
    """The tenant that a call is about; "" where it is about another thing."""
    if "tenant" in answer.DESCRIPTOR.fields_by_name:
        return str(answer.tenant.id)
    return str(getattr(message, "tenant_id", ""))


def _kept(called: Method, answer: Any) -> object:
    """An answer as it is kept, to be given again."""
    kept = MessageToDict(answer, preserving_proto_field_name=True)
    kept.pop(called.secret, None)
    return kept
