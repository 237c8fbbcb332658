"""`deskgate notices run`: plans reminders, and sends what is due."""

from __future__ import annotations

import os
import re
import signal
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.headerregistry import Address
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from sidecar.address import Address as Place
from sidecar.address import parse_address
from sidecar.cli.backoffice.common import DEFAULT_STORE, StorePath, told
from sidecar.cli.options import given
from sidecar.core.book import Book
from sidecar.core.calendar import parse_instant
from sidecar.core.errors import DeskgateError, InvalidRequest
from sidecar.core.model import SINCE_EVER, Instant
from sidecar.observe.logs import configure, log
from sidecar.policy.reload import PolicyWatcher, load_or_last_good
from sync.notices.letters import Letters
from sync.notices.planner import Planner
from sync.notices.planning import MOST_DAYS, OFFSETS
from sync.notices.runner import Pace, Runner
from sync.notices.smtp import PORTS, Security, Server
from sync.store.db import open_store
from sync.store.names import checked_address, checked_title
from sync.store.terms import in_calendar

POLICY_POLL_SECONDS: Final = 5.0
UNSENT: Final = 1
"""Exit status of `run --once` when something could not be sent."""
PORT: Final = re.compile(r":\d+$")
SENDER: Final = re.compile(r"(?:(?P<name>[^<>]*)<(?P<address>[^<>]+)>|(?P<bare>[^<>]+))")
MAIL, PLANNING = "Mail server", "Planning and pace"
_log: Final = log("notices")


def _option(panel: str, flag: str, variable: str, about: str, **more: Any) -> Any:
    return typer.Option(flag, envvar=f"DESKGATE_{variable}", help=about, rich_help_panel=panel, **more)


Smtp = Annotated[str, _option(MAIL, "--smtp", "SMTP_SERVER", "The mail server.", metavar="HOST[:PORT]")]
Sender = Annotated[
    str, _option(MAIL, "--from", "SMTP_FROM", 'Who writes: me@example.com, or "Desking <me@example.com>".')
]
Tls = Annotated[Security, _option(MAIL, "--smtp-tls", "SMTP_TLS", "How it is secured.")]
User = Annotated[
    str, _option(MAIL, "--smtp-user", "SMTP_USER", "With the password in DESKGATE_SMTP_PASSWORD, or in a file.")
]
PasswordFile = Annotated[
    Path | None, _option(MAIL, "--smtp-password-file", "SMTP_PASSWORD_FILE", "Holds the password.")
]
Ca = Annotated[
    Path | None,
    _option(MAIL, "--smtp-ca", "SMTP_CA", "The authority of its certificate, PEM; default: those this machine trusts."),
]
Timeout = Annotated[
    float, _option(MAIL, "--smtp-timeout", "SMTP_TIMEOUT", "Seconds to reach it, and for each letter as a whole.")
]
Policies = Annotated[
    str,
    _option(
        PLANNING,
        "--policies",
        "POLICIES",
        "Policy files, and folders of them, separated by commas: they say how long grace is.",
    ),
]
Offsets = Annotated[
    str, _option(PLANNING, "--offsets", "NOTICES_OFFSETS", "Days before an end to remind of it, separated by commas.")
]
Since = Annotated[
    str | None,
    _option(
        PLANNING,
        "--since",
        "NOTICES_SINCE",
        "Leave reminders alone that were due by this instant, as when a store is reminded of for the first time.",
    ),
]
PlanEvery = Annotated[
    float, _option(PLANNING, "--plan-every", "NOTICES_PLAN_EVERY", "Seconds between looks at all tenants.", min=0.1)
]
LookEvery = Annotated[
    float, _option(PLANNING, "--look-every", "NOTICES_LOOK_EVERY", "Seconds between looks for what is due.", min=0.01)
]
Lease = Annotated[
    float,
    _option(
        PLANNING,
        "--lease",
        "NOTICES_LEASE",
        "Seconds after which another runner takes over what this one has begun; at least four times --smtp-timeout.",
    ),
]
Attempts = Annotated[
    int,
    _option(PLANNING, "--attempts", "NOTICES_ATTEMPTS", "Tries before a notice has failed.", min=1, max=1000),
]
Templates = Annotated[
    Path | None,
    typer.Option(envvar="DESKGATE_NOTICES_TEMPLATES", help="Your own texts, such as en/ended.html, in place of ours."),
]
LogFormat = Annotated[Literal["json", "console"], typer.Option(help="json or console.")]
DEFAULT_OFFSETS: Final = ",".join(map(str, OFFSETS))


def _server(
    smtp: Smtp,
    sender: Sender,
    tls: Tls = Security.STARTTLS,
    user: User = "",
    password_file: PasswordFile = None,
    ca: Ca = None,
    timeout: Timeout = 30.0,
) -> Server:
    _check_ca(ca)
    return Server(
        place=_place(smtp, tls),
        sender=_sender(sender),
        security=tls,
        user=user,
        password=_password(password_file) if user else "",
        ca=ca,
        timeout=timeout,
    )


def _check_ca(ca: Path | None) -> None:
    try:
        ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as e:
        raise InvalidRequest("smtp_ca", f"{ca} cannot be used: {e}") from e


def _place(text: str, tls: Security) -> Place:
    try:
        return parse_address(text if PORT.search(text) else f"{text}:{PORTS[tls]}")
    except ValueError as e:
        raise InvalidRequest("smtp", str(e)) from e


def _sender(text: str) -> Address:
    match = SENDER.fullmatch(text.strip())
    if match is None:
        raise InvalidRequest("from", f"{text!r} is neither an address nor of the form: Name <address>")
    name = (match["name"] or "").strip().strip('"')
    address = checked_address("from", (match["address"] or match["bare"]).strip())
    return Address(display_name=checked_title("from", name), addr_spec=address)


def _password(file: Path | None) -> str:
    if file is None:
        return os.environ.get("DESKGATE_SMTP_PASSWORD", "")
    try:
        return file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as e:
        raise InvalidRequest("smtp_password_file", f"{file} cannot be read: {e}") from e


def _pace(
    plan_every: PlanEvery = 300.0, look_every: LookEvery = 1.0, lease: Lease = 300.0, attempts: Attempts = 24
) -> Pace:
    return Pace(plan_every=plan_every, look_every=look_every, lease=lease, attempts=attempts)


@told
@given("server", _server)
@given("pace", _pace)
def run(
    server: Server,
    pace: Pace,
    once: Annotated[bool, typer.Option("--once", help="Plan once, send what is due, and end.")] = False,
    offsets: Offsets = DEFAULT_OFFSETS,
    since: Since = None,
    templates: Templates = None,
    policies: Policies = "policies",
    store: StorePath = DEFAULT_STORE,
    log_format: LogFormat = "json",
) -> None:
    """Plan reminders and send what is due, until SIGTERM or SIGINT. Several may run on one store.

    Exits 1 with --once when something could not be sent.
    """
    paths = [Path(name.strip()) for name in policies.split(",") if name.strip()]
    loaded = load_or_last_good(paths, None)
    planner = Planner(Book(loaded.policy_set), _offsets(offsets), _since(since))
    opened = open_store(store)
    runner = Runner(opened, planner, Letters(templates), server, pace=pace)
    configure(log_format=log_format, level="info")
    with _stopping(runner), _following(paths, loaded, planner):
        _log.info("running", runner=runner.name, store=opened.name, server=str(server.place))
        if once:
            runner.once()
        else:
            runner.run()
        _log.info("stopped", **runner.tally)
    if once and (runner.tally["failed"] or runner.tally["postponed"]):
        raise typer.Exit(UNSENT)


def _offsets(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= MOST_DAYS for part in parts):
        raise InvalidRequest("offsets", f"{text!r}: days from 1 to {MOST_DAYS} are needed, separated by commas")
    return [int(part) for part in parts]


def _since(text: str | None) -> Instant:
    if not text:
        return SINCE_EVER
    instant = parse_instant(text)
    in_calendar("since", instant)
    return instant


@contextmanager
def _stopping(runner: Runner) -> Iterator[None]:
    """Signals end the runner, after the letter that is on its way."""
    before = {number: signal.signal(number, lambda *_: runner.stop()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _following(paths: list[Path], loaded: Any, planner: Planner) -> Iterator[None]:
    """Policies that change are planned by from then on; bad ones never replace good ones."""

    def changed(policy_set: Any) -> None:
        planner.book = Book(policy_set)
        _log.info("policies in force", revision=policy_set.revision)

    def bad(errors: DeskgateError) -> None:
        _log.error("policies refused", problem=str(errors))

    watcher = PolicyWatcher(paths, changed, bad, started=loaded, poll_seconds=POLICY_POLL_SECONDS)
    watcher.start()
    try:
        yield
    finally:
        watcher.stop()
