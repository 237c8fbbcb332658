"""A mail server in a process of its own: what it takes is in a folder, durably, before it says so.

`behavior.json` in that folder says how it misbehaves, and is read anew at every step of every conversation:
  mail, data    a reply such as "451 later" in place of yes; `rcpt` one by address
  before        instead of an answer to a letter that is not kept: "drop" the connection, "hang", or "drip" forever
  after         the same, of one that is kept
  delay         seconds between keeping a letter and saying so
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
import warnings
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any

from tests.serving import ROOT, wait_for

NUMBERS = count()
READY = "ready"


class Handler:
    """What aiosmtpd asks at each step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        envelope.mail_from = address
        return self.behavior().get("mail") or "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        reply = self.behavior().get("rcpt", {}).get(address)
        if reply is None:
            envelope.rcpt_tos.append(address)
        return reply or "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        behavior = self.behavior()
        if reply := behavior.get("data"):
            return str(reply)
        await misbehave(server, behavior.get("before"))
        if "before" not in behavior:
            self.keep(envelope, session, server.transport.get_extra_info("ssl_object") is not None)
            await asyncio.sleep(behavior.get("delay", 0))
        await misbehave(server, behavior.get("after"))
        return "250 kept"

    def behavior(self) -> dict[str, Any]:
        file = self.folder / "behavior.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def keep(self, envelope: Any, session: Any, secure: bool) -> None:
        """Onto the disk, whole or not at all."""
        about = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "hello": session.host_name}
        about |= {"tls": secure, "login": str(session.auth_data or "")}
        file = self.folder / "mail" / f"{next(NUMBERS):06}-{os.getpid()}"
        with file.with_suffix(".tmp").open("wb") as out:
            out.write(json.dumps(about).encode() + b"\n" + envelope.content)
            out.flush()
            os.fsync(out.fileno())
        file.with_suffix(".tmp").rename(file.with_suffix(".mail"))
        folder = os.open(file.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


async def misbehave(server: Any, how: str | None) -> None:
    if how == "drop":
        server.transport.abort()
    elif how == "hang":
        await asyncio.sleep(3600)
    elif how == "drip":
        while not server.transport.is_closing():
            server.transport.write(b"250-still\r\n")
            await asyncio.sleep(0.05)


async def serve(folder: Path, tls: str, cert: Path, key: Path, login: str) -> None:
    from aiosmtpd.smtp import SMTP, AuthResult

    def authenticated(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        told = f"{data.login.decode()}:{data.password.decode()}"
        return AuthResult(
            success=told == login, handled=False, auth_data=data.login.decode() if told == login else None
        )

    context = None
    if tls != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
    loop = asyncio.get_running_loop()

    def session() -> SMTP:
        return SMTP(
            Handler(folder),
            loop=loop,
            hostname="mail.example",
            tls_context=context if tls == "starttls" else None,
            require_starttls=tls == "starttls",
            auth_require_tls=tls == "starttls",
            auth_required=bool(login),
            authenticator=authenticated,
        )

    server = await loop.create_server(session, "127.0.0.1", 0, ssl=context if tls == "tls" else None)
    print(READY, server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await server.serve_forever()


@dataclass(frozen=True)
class Mail:
    """A letter that was taken: its envelope, what is known of the sender, and itself."""

    about: dict[str, Any]
    message: EmailMessage

    @property
    def id(self) -> str:
        return str(self.message["Message-ID"])

    @property
    def to(self) -> list[str]:
        return list(self.about["to"])

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    def part(self, subtype: str) -> str:
        body = self.message.get_body((subtype,))
        assert body is not None
        return str(body.get_content()).replace("\r\n", "\n")


class MailServer:
    """A running one, from outside."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port

    def behave(self, **how: Any) -> None:
        """From the next step on."""
        draft = self.folder / "behavior.tmp"
        draft.write_text(json.dumps(how))
        draft.rename(self.folder / "behavior.json")

    def count(self) -> int:
        return len(list((self.folder / "mail").glob("*.mail")))

    def mails(self) -> list[Mail]:
        """All that was taken, in order."""
        return [read(file) for file in sorted((self.folder / "mail").glob("*.mail"))]


def read(file: Path) -> Mail:
    about, _, content = file.read_bytes().partition(b"\n")
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return Mail(json.loads(about), message)


@contextmanager
def mail_server(folder: Path, *more: object) -> Iterator[MailServer]:
    """A server in a process of its own, with what `main` takes."""
    (folder / "mail").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.mailserver", str(folder), *map(str, more)]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log)
        assert running.stdout is not None
        try:
            word, _, port = running.stdout.readline().decode().partition(" ")
            assert word == READY, (folder / "log").read_text()
            yield MailServer(folder, int(port))
        finally:
            running.kill()
            running.communicate()


def until_kept(server: MailServer, count: int, what: object = "") -> None:
    """Waits until so many letters were taken."""
    wait_for(lambda: server.count() >= count, what or f"{count} letters")


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tls", default="none")
    parser.add_argument("--cert", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--login", default="")
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # aiosmtpd warns of what is meant here: passwords without TLS
    asyncio.run(serve(given.folder, given.tls, given.cert, given.key, given.login))


if __name__ == "__main__":
    main()
