"""Handing a letter to a mail server, and what comes of it: taken, refused for good, or not now.

A server that does not answer, or drips, is given up at a deadline that covers the whole conversation about a letter.
"""

from __future__ import annotations

import os
import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from enum import StrEnum
from math import inf
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Final, Self

from sidecar.address import Address as Place
from sidecar.core.calendar import EPOCH_UTC, MICROSECOND
from sidecar.core.errors import DeskgateError, InvalidRequest
from sidecar.core.model import Instant
from sync.notices.letters import Letter

PERMANENT: Final = 500
"""Replies from here on say that trying again is of no use."""
PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
"""Where a server listens when nobody says otherwise."""


class Security(StrEnum):
    """How the connection is secured."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class NotSent(DeskgateError):
    """The letter has gone to nobody. `final`: trying again is of no use."""

    final = False


class Rejected(NotSent):
    """The server will never take this letter."""

    final = True


class Unreachable(NotSent):
    """There is no server to talk to, or none that lets us: that is so for every letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A mail server, and who writes. `timeout`, in seconds, is for reaching it, and for each letter as a whole."""

    place: Place
    sender: Address
    security: Security = Security.STARTTLS
    user: str = ""
    password: str = field(default="", repr=False)
    ca: Path | None = None
    timeout: float = 30.0

    def __post_init__(self) -> None:
        if bool(self.user) != bool(self.password):
            raise InvalidRequest("smtp", "a user and a password go together")
        if self.user and self.security is Security.NONE and not self.place.loopback:
            raise InvalidRequest("smtp", "the password would go over the network in the clear: use starttls or tls")
        if not 0 < self.timeout < inf:
            raise InvalidRequest("smtp", "a timeout is a number of seconds above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Who is served, and why the others, if any, are not. `unfinished`: some of them may be later."""

    accepted: tuple[str, ...]
    problem: str
    unfinished: bool


def message(letter: Letter, *, sender: Address, to: Sequence[str], message_id: str, at: Instant) -> EmailMessage:
    """The letter as a mail: text and HTML of the same, marked as sent by a machine. Raises Rejected."""
    mail = EmailMessage(policy=WIRE)
    try:
        mail["From"] = sender
        mail["To"] = [Address(addr_spec=address) for address in to]
        mail["Subject"] = letter.subject
    except (ValueError, IndexError, MessageError) as e:
        raise Rejected(f"no mail can be made of it: {e}") from e
    mail["Date"] = EPOCH_UTC + at * MICROSECOND
    mail["Message-ID"] = message_id
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(letter.text, cte=_encoding(letter.text))
    mail.add_alternative(letter.html, subtype="html", cte=_encoding(letter.html))
    return mail


def _encoding(text: str) -> str:
    return "quoted-printable" if text.isascii() else "base64"


class Mailer:
    """A connection for several letters, made when it is needed, and anew when the server has ended it."""

    def __init__(self, server: Server) -> None:
        self._server: Final = server
        self._smtp: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._smtp is not None:
            with suppress(OSError, smtplib.SMTPException), _deadline(self._smtp, self._server.timeout):
                self._smtp.quit()
            self._smtp.close()

    def connect(self) -> None:
        """Makes the connection, unless there is one. Raises Unreachable."""
        self._connected()

    def send(self, mail: EmailMessage, to: Sequence[str]) -> Delivery:
        """Hands a mail over for some of those it is to. Raises NotSent."""
        smtp = self._connected()
        try:
            with _deadline(smtp, self._server.timeout):
                refused = smtp.send_message(mail, str(self._server.sender.addr_spec), list(to))
        except smtplib.SMTPRecipientsRefused as e:
            raise _not_sent(_least(e.recipients), _listed(e.recipients)) from e
        except smtplib.SMTPResponseException as e:
            raise _not_sent(e.smtp_code, _said(e.smtp_code, e.smtp_error)) from e
        except (OSError, smtplib.SMTPException) as e:
            self._drop()
            raise NotSent(f"{self._server.place} ended the conversation: {e}") from e
        return Delivery(
            accepted=tuple(address for address in to if address not in refused),
            problem=_listed(refused),
            unfinished=bool(refused) and _least(refused) < PERMANENT,
        )

    def _connected(self) -> smtplib.SMTP:
        if self._smtp is None or self._smtp.sock is None:
            self._smtp = self._connect()
        return self._smtp

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        try:
            smtp = self._opened(server)
            with _deadline(smtp, server.timeout):
                if server.security is Security.STARTTLS:
                    smtp.starttls(context=self._context())
                if server.user:
                    smtp.login(server.user, server.password)
        except smtplib.SMTPResponseException as e:
            raise Unreachable(f"{server.place} lets us not in: {_said(e.smtp_code, e.smtp_error)}") from e
        except (OSError, smtplib.SMTPException, UnicodeError) as e:
            raise Unreachable(f"{server.place} cannot be used: {e or type(e).__name__}") from e
        return smtp

    def _opened(self, server: Server) -> smtplib.SMTP:
        (host, port), name = server.place, server.sender.domain
        if server.security is Security.TLS:
            return smtplib.SMTP_SSL(host, port, name, timeout=server.timeout, context=self._context())
        return smtplib.SMTP(host, port, name, timeout=server.timeout)

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._server.ca)

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None


@contextmanager
def _deadline(smtp: smtplib.SMTP, seconds: float) -> Iterator[None]:
    """Cuts the connection when the block takes longer, whatever it waits for. A second handle makes that safe."""
    if smtp.sock is None:
        yield
        return
    with socket.socket(fileno=os.dup(smtp.sock.fileno())) as handle:
        timer = Timer(seconds, _cut, (handle,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def _cut(handle: socket.socket) -> None:
    with suppress(OSError):  # it has ended by itself
        handle.shutdown(socket.SHUT_RDWR)


Replies = Mapping[str, tuple[int, bytes]]


def _not_sent(code: int, error: str) -> NotSent:
    return Rejected(error) if code >= PERMANENT else NotSent(error)


def _least(replies: Replies) -> int:
    return min(code for code, _ in replies.values())


def _said(code: int, reply: bytes | str) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    return f"{code} {' '.join(text.split())}"


def _listed(replies: Replies) -> str:
    return "; ".join(f"{address}: {_said(*reply)}" for address, reply in replies.items())
