"""Handing letters to a real mail server, in each way in which it can say no, or nothing."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.headerregistry import Address
from pathlib import Path
from typing import Any

import pytest
import trustme

from sidecar.address import Address as Place
from sidecar.core.calendar import parse_instant
from sidecar.core.errors import InvalidRequest
from sync.notices.letters import Letter
from sync.notices.smtp import Delivery, Mailer, NotSent, Rejected, Security, Server, Unreachable, message
from tests.mailserver import MailServer, mail_server

SENDER = Address("Desking", addr_spec="desking@seller.example")
LETTER = Letter(subject="订阅即将到期", text="到期后\nends\n", html="<p>到期后</p>\n")
NOW = parse_instant("2026-06-30T16:00:00Z")
TO = ("ann@acme.example", "bob@acme.example")
ID = "<deskgate.1.x@seller.example>"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with mail_server(tmp_path_factory.mktemp("mail")) as server:
        yield server


@pytest.fixture
def mail(plain: MailServer) -> Iterator[MailServer]:
    """A server that behaves well, and has taken nothing yet."""
    plain.behave()
    for file in (plain.folder / "mail").iterdir():
        file.unlink()
    yield plain
    plain.behave()


def server_at(port: int, **more: Any) -> Server:
    given = {"place": Place("127.0.0.1", port), "sender": SENDER, "security": Security.NONE, "timeout": 5.0}
    return Server(**{**given, **more})


def send(to: Server, *addresses: str, letter: Letter = LETTER) -> Delivery:
    with Mailer(to) as mailer:
        return mailer.send(message(letter, sender=SENDER, to=TO, message_id=ID, at=NOW), addresses or TO)


def test_a_letter_arrives_as_it_was_written(mail: MailServer) -> None:
    assert send(server_at(mail.port)) == Delivery(accepted=TO, problem="", unfinished=False)
    (got,) = mail.mails()
    assert (got.id, got.subject, got.to) == (ID, LETTER.subject, list(TO))
    assert got.about["from"] == "desking@seller.example"
    assert got.about["hello"] == "seller.example"
    assert got.message["From"] == "Desking <desking@seller.example>"
    assert got.message["To"] == "ann@acme.example, bob@acme.example"
    assert got.message["Date"].datetime == datetime(2026, 6, 30, 16, tzinfo=UTC)
    assert got.message["Auto-Submitted"] == "auto-generated"
    assert got.message.get_content_type() == "multipart/alternative"
    assert (got.part("plain"), got.part("html")) == (LETTER.text, LETTER.html)


def test_a_letter_without_chinese_can_be_read_on_the_wire(mail: MailServer) -> None:
    send(server_at(mail.port), letter=Letter(subject="Your trial ends", text="tomorrow\n", html="<p>tomorrow</p>\n"))
    (raw,) = (mail.folder / "mail").glob("*.mail")
    assert b"\r\ntomorrow\r\n" in raw.read_bytes()


def test_several_letters_go_over_one_connection(mail: MailServer) -> None:
    with Mailer(server_at(mail.port)) as mailer:
        mailer.connect()
        for number in range(3):
            mailer.connect()
            one = message(LETTER, sender=SENDER, to=TO, message_id=f"<{number}@x>", at=NOW)
            mailer.send(one, TO)
    assert [got.id for got in mail.mails()] == ["<0@x>", "<1@x>", "<2@x>"]


@pytest.mark.parametrize(
    ("behavior", "kind", "problem"),
    [
        ({"data": "554 spam"}, Rejected, "554 spam"),
        ({"data": "452 full"}, NotSent, "452 full"),
        ({"mail": "553 not from you"}, Rejected, "553 not from you"),
        ({"mail": "451 greylisted"}, NotSent, "451 greylisted"),
        ({"mail": "421 going down"}, NotSent, "421 going down"),
        (
            {"rcpt": {TO[0]: "550 unknown", TO[1]: "550 left"}},
            Rejected,
            "ann@acme.example: 550 unknown; bob@acme.example: 550 left",
        ),
        ({"rcpt": {TO[0]: "550 unknown", TO[1]: "450 busy"}}, NotSent, "bob@acme.example: 450 busy"),
        ({"before": "drop"}, NotSent, "ended the conversation"),
    ],
)
def test_what_is_final_is_told_from_what_is_not(
    mail: MailServer, behavior: dict[str, Any], kind: type[NotSent], problem: str
) -> None:
    mail.behave(**behavior)
    with pytest.raises(NotSent, match=problem) as told:
        send(server_at(mail.port))
    assert (type(told.value), told.value.final) == (kind, kind is Rejected)
    assert mail.count() == 0


def test_the_connection_outlives_a_refusal_and_is_made_anew_when_lost(mail: MailServer) -> None:
    with Mailer(server_at(mail.port)) as mailer:
        for behavior in ({"data": "554 spam"}, {"mail": "421 going down"}, {"before": "drop"}):
            mail.behave(**behavior)
            with pytest.raises(NotSent):
                mailer.send(message(LETTER, sender=SENDER, to=TO, message_id=ID, at=NOW), TO)
            mail.behave()
            assert mailer.send(message(LETTER, sender=SENDER, to=TO, message_id=ID, at=NOW), TO).accepted == TO
    assert mail.count() == 3


@pytest.mark.parametrize(("reply", "unfinished"), [("550 unknown", False), ("450 busy", True)])
def test_some_may_be_refused(mail: MailServer, reply: str, unfinished: bool) -> None:
    mail.behave(rcpt={TO[0]: reply})
    done = send(server_at(mail.port))
    assert done == Delivery(accepted=TO[1:], problem=f"ann@acme.example: {reply}", unfinished=unfinished)
    (got,) = mail.mails()
    assert got.to == list(TO[1:])
    assert got.message["To"] == "ann@acme.example, bob@acme.example"


@pytest.mark.parametrize("how", ["hang", "drip"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_server_that_does_not_come_to_an_end_is_given_up(mail: MailServer, how: str, when: str) -> None:
    mail.behave(**{when: how})
    began = time.monotonic()
    with pytest.raises(NotSent, match="ended the conversation"):
        send(server_at(mail.port, timeout=0.5))
    assert 0.4 < time.monotonic() - began < 3
    assert mail.count() == (when == "after")


def test_a_server_that_is_not_there_cannot_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port} cannot be used: "), Mailer(server_at(port)) as mailer:
        mailer.connect()


def test_a_server_that_says_nothing_cannot_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(Unreachable, match="timed out"):
            send(server_at(port, timeout=0.3))


def test_a_server_that_greets_with_no_does_not_let_us_in() -> None:
    from threading import Thread

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse() -> None:
            conn, _ = listening.accept()
            conn.sendall(b"554 no service\r\n")
            conn.close()

        thread = Thread(target=refuse)
        thread.start()
        with pytest.raises(Unreachable, match="lets us not in: 554 no service"):
            send(server_at(listening.getsockname()[1]))
        thread.join()


# --- TLS, and who we are ---


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority's certificate, and a server's."""
    folder, ca = tmp_path_factory.mktemp("ca"), trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    cert = ca.issue_cert("127.0.0.1")
    cert.private_key_pem.write_to_path(folder / "key.pem")
    for pem in cert.cert_chain_pems:
        pem.write_to_path(folder / "cert.pem", append=True)
    return folder


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
def test_over_tls_with_a_password(tmp_path: Path, authority: Path, security: Security) -> None:
    options = ("--tls", security.value, "--cert", authority / "cert.pem", "--key", authority / "key.pem")
    secure = {"security": security, "ca": authority / "ca.pem", "user": "desking"}
    with mail_server(tmp_path, *options, "--login", "desking:secret") as mail:
        assert send(server_at(mail.port, password="secret", **secure)).accepted == TO
        (got,) = mail.mails()
        assert (got.about["tls"], got.about["login"]) == (True, "desking")
        with pytest.raises(Unreachable, match="lets us not in: 535"):
            send(server_at(mail.port, password="wrong", **secure))
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            send(server_at(mail.port, **{**secure, "password": "secret", "ca": None}))
        assert mail.count() == 1


def test_no_letter_goes_without_tls_that_was_asked_for(mail: MailServer) -> None:
    with pytest.raises(Unreachable, match="cannot be used: STARTTLS"):
        send(server_at(mail.port, security=Security.STARTTLS))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"user": "u"}, "a user and a password go together"),
        ({"password": "p"}, "a user and a password go together"),
        ({"user": "u", "password": "p", "place": Place("mail.example", 25)}, "in the clear"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
    ],
)
def test_servers_that_cannot_be_meant(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        server_at(25, **given)


def test_a_password_is_in_no_text() -> None:
    assert "secret" not in repr(server_at(25, user="u", password="secret"))


@pytest.mark.parametrize("to", ["ann@acme.example\nBcc: eve@evil.example", "ann"])
def test_no_mail_is_made_for_what_is_no_address(to: str) -> None:
    with pytest.raises(Rejected, match="no mail can be made of it"):
        message(LETTER, sender=SENDER, to=[to], message_id=ID, at=NOW)
