"""The back office's desk as its commands see it: a store's file here, or a server's address, and who asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from uuid import uuid4

import typer
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar.cli.backoffice.common import DEFAULT_STORE, AsJson, At, StorePath, told
from sidecar.cli.backoffice.plain import plain
from sidecar.cli.options import given
from sidecar.core.calendar import parse_instant
from sidecar.core.errors import DeskgateError, InvalidRequest
from sync.backoffice.desk import Desk, LocalDesk, RemoteDesk
from sync.store.db import open_store
from sync.store.terms import in_calendar

R = TypeVar("R", bound=Message)
PANEL: Final = "Where and who"
OUT_OF_RANGE: Final = "Value out of range: "
"""How a message says that a number does not fit into a field."""

Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="HOST:PORT",
        envvar="DESKGATE_BACKOFFICE",
        help="A back office to ask over gRPC, instead of --store.",
        rich_help_panel=PANEL,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", help="Holds your token for --server; or DESKGATE_TOKEN.", rich_help_panel=PANEL),
]
Token = Annotated[str | None, typer.Option("--token", envvar="DESKGATE_TOKEN", hidden=True)]
TlsCa = Annotated[
    Path | None,
    typer.Option("--tls-ca", help="The authority that --server's certificate is of.", rich_help_panel=PANEL),
]
TlsCert = Annotated[
    Path | None,
    typer.Option("--tls-cert", help="Your certificate, for a --server that asks for one.", rich_help_panel=PANEL),
]
TlsKey = Annotated[Path | None, typer.Option("--tls-key", help="Its private key.", rich_help_panel=PANEL)]
Operator = Annotated[
    str | None,
    typer.Option(
        "--operator",
        envvar="DESKGATE_OPERATOR",
        help="Who you are, with --store; default: your login.",
        rich_help_panel=PANEL,
    ),
]
Key = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="The same key with the same content is done once; default: a new one."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """Where a command's question or change goes, and how it is answered."""

    desk: Desk
    as_json: bool
    at: str | None = None
    key: str | None = None

    def read(self, request: Message, kind: type[R]) -> R:
        """Asks; the method is what the request is named after. Raises DeskgateError."""
        return self._call(request, kind)

    def write(self, request: Any, kind: type[R]) -> R:
        """Changes something, once for its idempotency key. Raises DeskgateError."""
        request.idempotency_key = self.key or f"cli-{uuid4()}"
        if self.at is not None:
            request.at.CopyFrom(timestamp("at", self.at))
        return self._call(request, kind)

    def _call(self, request: Message, kind: type[R]) -> R:
        method = request.DESCRIPTOR.name.removesuffix("Request")
        answer = self.desk.call(method, request)
        if not isinstance(answer, kind):
            raise TypeError(f"{method} answered with {type(answer).__name__}")
        return answer

    def show(self, answer: Message, text: str) -> None:
        """Prints an answer: for people, or all of it in JSON."""
        typer.echo(json.dumps(plain(answer), ensure_ascii=False) if self.as_json else text)


def timestamp(field: str, text: str) -> Timestamp:
    """An instant in a request. Raises DeskgateError."""
    try:
        instant = parse_instant(text)
    except DeskgateError as e:
        raise InvalidRequest(field, str(e)) from e
    in_calendar(field, instant)
    return Timestamp(seconds=instant // 1_000_000, nanos=instant % 1_000_000 * 1000)


def _desk(
    store: StorePath = DEFAULT_STORE,
    server: Server = None,
    token_file: TokenFile = None,
    token: Token = None,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    operator: Operator = None,
) -> Desk:
    if server is None:
        return LocalDesk(open_store(store), operator)
    return RemoteDesk(
        server,
        _token(token_file, token),
        tls_ca=_bytes("tls_ca", tls_ca),
        tls_cert=_bytes("tls_cert", tls_cert),
        tls_key=_bytes("tls_key", tls_key),
    )


def _token(token_file: Path | None, token: str | None) -> str:
    told = (_bytes("token_file", token_file) or b"").decode("ascii", "replace").strip() or token
    if not told:
        raise InvalidRequest("token", "a back office wants to know who you are: give --token-file or DESKGATE_TOKEN")
    return told


def _bytes(field: str, path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as e:
        raise InvalidRequest(field, f"{path} cannot be read: {e.strerror}") from e


@given("desk", _desk)
def _reading(desk: Desk, as_json: AsJson = False) -> Office:
    return Office(desk=desk, as_json=as_json)


@given("desk", _desk)
def _writing(desk: Desk, at: At = None, idempotency_key: Key = None, as_json: AsJson = False) -> Office:
    return Office(desk=desk, as_json=as_json, at=at, key=idempotency_key)


def _with(build: Callable[..., Office]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options that `build` takes, and `office`; what is refused is told, with an exit status."""
    return lambda command: told(_sayable()(given("office", build)(command)))


@contextmanager
def _sayable() -> Iterator[None]:
    """What no message can say is bad usage. Raises InvalidRequest."""
    try:
        yield
    except UnicodeEncodeError as e:
        if e.encoding != "utf-8":  # it is the terminal that cannot say something
            raise
        raise InvalidRequest("arguments", "one of them is not text that UTF-8 can say") from e
    except ValueError as e:
        if not str(e).startswith(OUT_OF_RANGE):
            raise
        raise InvalidRequest("arguments", f"no number is so large: {str(e).removeprefix(OUT_OF_RANGE)}") from e


reading = _with(_reading)
"""A command that asks: `office` and its options."""
writing = _with(_writing)
"""A command that changes: `office` and its options, with `--at` and `--idempotency-key`."""
