"""One way to make the back office's calls, whether the store is here or behind a server: `Desk`."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import grpc
from google.protobuf.message import Message

from sidecar.address import parse_address
from sidecar.core.errors import DeskgateError, InvalidRequest
from sync.backoffice.contract import CODE, FIELD, MOST_ANSWERED, SERVICE, call_of, check_size
from sync.backoffice.errors import DeskFailed, NotAllowed, NotAuthenticated, Overloaded, Unreachable
from sync.store import errors
from sync.store.errors import Refused, StoreError

if TYPE_CHECKING:
    from sync.store.db import Store

SECONDS: Final = 60.0
"""How long a call may take; verifying a long audit trail takes the longest."""
OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", MOST_ANSWERED),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)
STORE_ERRORS: Final = {
    kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StoreError)
}
NO_BACK_OFFICE: Final = "what answers there is no back office: is it the port of `deskgate backoffice serve`?"
ENDINGS: Final = {
    grpc.StatusCode.UNAUTHENTICATED: NotAuthenticated,
    grpc.StatusCode.PERMISSION_DENIED: NotAllowed,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: Unreachable,
    grpc.StatusCode.DEADLINE_EXCEEDED: Unreachable,
    grpc.StatusCode.CANCELLED: Unreachable,
}
REFUSALS: Final = frozenset(
    {
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
)


class Desk(Protocol):
    """Where calls are made. Raises Refused, InvalidRequest, StoreError or a DeskError."""

    def call(self, method: str, request: Message) -> Any:
        """The answer to a call, of the message type that the contract states for it."""


class LocalDesk:
    """The store is here: whoever can write its file is an admin."""

    def __init__(self, store: Store, operator: str | None = None) -> None:
        """`operator`: the user who makes the calls. None: whoever runs this process."""
        from sync.backoffice.auth import at_this_machine
        from sync.backoffice.service import BackOffice

        self._office: Final = BackOffice(store)
        self._identity: Final = at_this_machine(operator)

    def call(self, method: str, request: Message) -> Any:
        """As Desk.call."""
        return self._office.handle(method, request, self._identity)


class RemoteDesk:
    """`deskgate backoffice serve` is somewhere else."""

    def __init__(
        self,
        target: str,
        token: str,
        *,
        tls_ca: bytes | None = None,
        tls_cert: bytes | None = None,
        tls_key: bytes | None = None,
        seconds: float = SECONDS,
    ) -> None:
        """`target`: host:port. A server on this machine is asked without TLS, unless some of it is given; any other is
        known by `tls_ca`, or as this machine knows others. `tls_cert` and `tls_key`: for a server that asks for them.

        Raises InvalidRequest.
        """
        self._seconds: Final = seconds
        self._metadata: Final = (("authorization", f"Bearer {_printable(token)}"),)
        self.secured: Final = not _loopback(target) or bool(tls_ca or tls_cert or tls_key)
        if self.secured:
            credentials = grpc.ssl_channel_credentials(tls_ca, tls_key, tls_cert)
            self._channel = grpc.secure_channel(target, credentials, OPTIONS)
        else:
            self._channel = grpc.insecure_channel(target, OPTIONS)

    def call(self, method: str, request: Message) -> Any:
        """As Desk.call."""
        kinds = call_of(method)
        if not isinstance(request, kinds.request):
            raise InvalidRequest("request", f"{method} takes a {kinds.request.DESCRIPTOR.name}")
        check_size(request.ByteSize())
        made = self._channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=kinds.request.SerializeToString,
            response_deserializer=kinds.response.FromString,
        )
        try:
            return made(request, timeout=self._seconds, metadata=self._metadata)
        except grpc.RpcError as e:
            raise _meant(e) from e

    def close(self) -> None:
        """Lets the connection go."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _printable(token: str) -> str:
    if not token or not token.isascii() or not token.isprintable() or token != token.strip():
        raise InvalidRequest("token", "it is a text of printable ASCII characters")
    return token


def _loopback(target: str) -> bool:
    try:
        return parse_address(target).loopback
    except ValueError as e:
        raise InvalidRequest("target", str(e)) from e


def _meant(error: Any) -> DeskgateError:
    """The error that the service raised, as it came over the wire."""
    status, detail = error.code(), error.details() or ""
    told = dict(error.trailing_metadata() or ())
    code = str(told.get(CODE, ""))
    advice = detail.removeprefix(f"{code}: ")
    if status is grpc.StatusCode.INVALID_ARGUMENT and code:
        field = str(told.get(FIELD, "request"))
        return InvalidRequest(field, advice.removeprefix(f"{field}: "))
    if status in REFUSALS and code:
        return Refused(code, advice)
    if code in STORE_ERRORS:
        return STORE_ERRORS[code](advice)
    if status is grpc.StatusCode.UNIMPLEMENTED:
        return DeskFailed(NO_BACK_OFFICE)
    return ENDINGS.get(status, DeskFailed)(advice or status.name)
