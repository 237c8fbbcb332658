"""`deskgate notices`: run, list, retry, preview, and every way in which they say no."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from sidecar.cli.backoffice import mailing
from sidecar.cli.backoffice.notices import app
from sidecar.core.calendar import format_instant
from sidecar.core.errors import InvalidRequest
from sidecar.core.model import DAY
from sidecar.settings import OTHER_VARIABLES
from sync.notices.smtp import Security
from sync.store import notices
from sync.store.audit import By
from tests.mailserver import MailServer, mail_server, until_kept
from tests.serving import COMMAND, ROOT, environment, wait_for
from tests.storing import Shop, on_every_database, per_unit, until

pytestmark = on_every_database

FROM = "Desking <desking@seller.example>"


@pytest.fixture(scope="module")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with mail_server(tmp_path_factory.mktemp("mail")) as server:
        yield server


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A tenant whose term ends in three days and a half."""
    shop = Shop(tmp_path / "store.db")
    shop.product(per_unit("fd", "fixed_desk"))
    shop.tenant("acme", contacts=["ann@acme.example"], zone="Asia/Shanghai", language="zh-CN")
    end = format_instant(now() + 3 * DAY + DAY // 2)
    shop.new("acme", {"fd": 1}, format_instant(now() - 300 * DAY), until(end))
    return shop


def now() -> int:
    return time.time_ns() // 1000


def pay(shop: Shop, number: int, tenant: str = "acme") -> None:
    with shop.store.writing(By(operator="ann", at=now())) as writing:
        facts = {"order_id": number, "amount": 5}
        notices.queue(writing, tenant, "payment_recorded", facts, dedupe=f"payment:{number}", now=now())


def fail(shop: Shop, number: int) -> None:
    pay(shop, number)
    with shop.store.writing(By(operator="notices", at=now())) as writing:
        found = notices.list_notices(writing.conn)[-1]
        notices.unsendable(writing, found.id, "no contacts")


def command(shop: Shop, mail: MailServer, *more: str) -> list[str]:
    given = ["--store", shop.store.name, "--smtp", f"127.0.0.1:{mail.port}", "--from", FROM, "--smtp-tls", "none"]
    return [*COMMAND, "notices", "run", *given, *more]


def ran(line: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    given = environment() | env
    return subprocess.run(line, cwd=ROOT, env=given, capture_output=True, text=True, timeout=60, check=False)


def invoke(shop: Shop, *args: str) -> Result:
    return CliRunner().invoke(app, [args[0], "--store", shop.store.name, *args[1:]])


def told(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_once(shop: Shop, mail: MailServer) -> None:
    before = mail.count()
    for _ in range(2):
        done = ran(command(shop, mail, "--once"))
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
    (got,) = mail.mails()[before:]
    assert (got.to, got.message["From"]) == (["ann@acme.example"], FROM)
    assert got.subject.startswith("订阅将在 ")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [e["event"] for e in events] == ["running", "planned", "stopped"]
    assert "ann@" not in done.stderr


def test_by_variables_and_what_could_not_be_sent_is_an_exit_status(
    shop: Shop, mail: MailServer, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    mail.behave(rcpt={"ann@acme.example": "550 unknown"})
    env = {
        "DESKGATE_STORE": shop.store.name,
        "DESKGATE_SMTP_SERVER": f"127.0.0.1:{mail.port}",
        "DESKGATE_SMTP_FROM": "desking@seller.example",
        "DESKGATE_SMTP_TLS": "none",
        "DESKGATE_SMTP_TIMEOUT": "5",
        "DESKGATE_NOTICES_OFFSETS": "4",
        "DESKGATE_NOTICES_LEASE": "20",
    }
    done = ran([*COMMAND, "notices", "run", "--once"], **env)
    mail.behave()
    assert done.returncode == 1, done.stderr
    (event,) = [e for e in map(json.loads, done.stderr.splitlines()) if e["event"] == "failed"]
    assert event["problem"] == "***@acme.example: 550 unknown"
    (row,) = told(invoke(shop, "list", "--json"))[0]["notices"]
    assert (row["state"], row["error"], row["attempts"]) == ("failed", "ann@acme.example: 550 unknown", 1)
    env |= {"DESKGATE_SMTP_USER": "desking", "DESKGATE_SMTP_PASSWORD_FILE": str(password)}
    pay(shop, 1)
    done = ran([*COMMAND, "notices", "run", "--once"], **env)
    assert done.returncode == 1, "this server knows nobody by a password"
    assert "secret" not in done.stderr


def test_it_runs_until_it_is_told_to_stop(shop: Shop, mail: MailServer) -> None:
    before = mail.count()
    line = command(shop, mail, "--look-every", "0.02", "--plan-every", "0.1", "--log-format", "console")
    running = subprocess.Popen(line, cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True)
    try:
        until_kept(mail, before + 1)
        pay(shop, 1)
        until_kept(mail, before + 2)
        wait_for(lambda: len(told(invoke(shop, "list", "--state", "sent", "--json"))[0]["notices"]) == 2)
        running.send_signal(signal.SIGTERM)
        _, said = running.communicate(timeout=30)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 0, said
    assert "stopped" in said


def test_policies_that_change_are_followed(shop: Shop, mail: MailServer, tmp_path: Path, monkeypatch: Any) -> None:
    """Their grace is in the next letter, bad ones are refused."""
    policies = tmp_path / "own.yaml"
    text = (ROOT / "policies" / "desking.yaml").read_text()
    policies.write_text(text)
    loaded = mailing.load_or_last_good([policies], None)
    planner = mailing.Planner(mailing.Book(loaded.policy_set))
    monkeypatch.setattr(mailing, "POLICY_POLL_SECONDS", 0.02)
    with mailing._following([policies], loaded, planner):
        policies.write_text("nonsense: [")
        policies.write_text(text.replace("grace: P3M", "grace: P5M"))
        wait_for(lambda: planner.book.general.terms.grace.months == 5, "the new policies")
        policies.write_text("nonsense: [")
    assert planner.book.general.terms.grace.months == 5


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--offsets", "60,x"], "offsets: '60,x': days from 1 to 3660 are needed"),
        (["--offsets", "0"], "offsets: "),
        (["--offsets", "4000"], "offsets: "),
        (["--since", "soon"], "'soon' is not an instant"),
        (["--lease", "5"], "lease: at least four times"),
        (["--smtp-timeout", "0"], "smtp: a timeout is a number of seconds above 0"),
        (["--smtp-user", "u"], "smtp: a user and a password go together"),
        (["--smtp-user", "u", "--smtp-password-file", "/nowhere"], "smtp_password_file: /nowhere cannot be read"),
        (["--smtp-ca", "/nowhere"], "smtp_ca: /nowhere cannot be used"),
        (["--smtp", "a b"], "smtp: "),
        (["--from", "nobody"], "from: 'nobody' is not an e-mail address"),
        (["--from", "<a@b.example> c"], "from: "),
        (["--templates", "/nowhere"], "/nowhere is not a folder of templates"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_sent(
    shop: Shop, mail: MailServer, more: list[str], problem: str
) -> None:
    before = mail.count()
    result = CliRunner().invoke(app, [*command(shop, mail, "--once", *more)[len(COMMAND) + 1 :]])
    assert (result.exit_code, problem in result.stderr) == (2, True), result.stderr
    assert mail.count() == before


def test_bad_templates_and_policies_keep_it_from_starting(shop: Shop, mail: MailServer, tmp_path: Path) -> None:
    (tmp_path / "own" / "en").mkdir(parents=True)
    (tmp_path / "own" / "en" / "ended.txt").write_text("fine\n{{ nobody }}")
    (tmp_path / "bad.yaml").write_text("nonsense: [")
    line = command(shop, mail, "--once")[len(COMMAND) + 1 :]
    for more, problem in (
        (["--templates", tmp_path / "own"], f"{tmp_path}/own/en/ended.txt:2: 'nobody' is undefined"),
        (["--policies", tmp_path / "bad.yaml"], "bad.yaml:2:1: this is not YAML"),
    ):
        result = CliRunner().invoke(app, [*line, *map(str, more)])
        assert (result.exit_code, problem in result.stderr) == (2, True), result.stderr
    missing = CliRunner().invoke(app, [*line, "--store", str(tmp_path / "no.db")])
    assert (missing.exit_code, missing.stderr.split(":")[0]) == (1, "STORE_MISSING")


@pytest.mark.parametrize(
    ("text", "tls", "place"),
    [
        ("mail.example", Security.STARTTLS, "mail.example:587"),
        ("mail.example", Security.TLS, "mail.example:465"),
        ("mail.example", Security.NONE, "mail.example:25"),
        ("mail.example:2525", Security.TLS, "mail.example:2525"),
        ("[::1]", Security.NONE, "[::1]:25"),
        ("[::1]:26", Security.NONE, "[::1]:26"),
    ],
)
def test_where_the_server_listens(text: str, tls: Security, place: str) -> None:
    assert str(mailing._place(text, tls)) == place


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("a@b.example", "", "a@b.example"),
        ("<a@b.example>", "", "a@b.example"),
        ("Desking Ltd <a@b.example>", "Desking Ltd", "a@b.example"),
        ('"Desking, Ltd" <a@b.example>', "Desking, Ltd", "a@b.example"),
    ],
)
def test_who_writes(text: str, name: str, address: str) -> None:
    sender = mailing._sender(text)
    assert (sender.display_name, sender.addr_spec) == (name, address)
    with pytest.raises(InvalidRequest, match="from"):
        mailing._sender(f"x\ny {text}")


def test_variables_of_the_runner_do_not_keep_a_sidecar_from_starting() -> None:
    run = next(command for command in app.registered_commands if command.callback is mailing.run)
    assert run.callback is not None
    given = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "300"}).stdout
    named = {word.strip("[]│,") for word in given.split() if word.startswith("DESKGATE_")}
    assert len(named) > 15
    assert named - {"DESKGATE_STORE", "DESKGATE_POLICIES"} <= OTHER_VARIABLES
    assert "DESKGATE_SMTP_PASSWORD" in OTHER_VARIABLES
    assert "--smtp-password " not in given


# --- list, retry, preview ---


def test_notices_are_listed_and_tried_again(shop: Shop) -> None:
    fail(shop, 1)
    fail(shop, 2)
    pay(shop, 3)
    assert "payment_recorded  failed" in invoke(shop, "list").stdout
    (page,) = told(invoke(shop, "list", "--state", "failed", "--limit", "1", "--json"))
    assert [n["id"] for n in page["notices"]] == [1]
    assert "--page-token" in invoke(shop, "list", "--limit", "1").stdout
    (rest,) = told(invoke(shop, "list", "--state", "failed", "--page-token", page["next_page_token"], "--json"))
    assert [n["id"] for n in rest["notices"]] == [2]
    assert invoke(shop, "retry", "1").stdout == "notice 1 is pending again\n"
    assert [a["notice"]["id"] for a in told(invoke(shop, "retry", "--failed", "--json"))] == [2]
    assert told(invoke(shop, "retry", "--failed", "--json")) == []
    assert told(invoke(shop, "list", "--state", "failed", "--json"))[0]["notices"] == []


def test_the_same_retry_is_done_once_for_its_key(shop: Shop) -> None:
    for number in (1, 2):
        fail(shop, number)
    first = told(invoke(shop, "retry", "1", "2", "--idempotency-key", "k", "--json"))
    assert told(invoke(shop, "retry", "1", "2", "--idempotency-key", "k", "--json")) == first
    fail(shop, 3)
    assert invoke(shop, "retry", "--failed", "--tenant", "labs").stderr.startswith("UNKNOWN_TENANT: ")
    shop.tenant("labs")
    assert told(invoke(shop, "retry", "--failed", "--tenant", "labs", "--json")) == []
    assert len(told(invoke(shop, "retry", "--failed", "--tenant", "acme", "--kind", "payment_recorded", "--json"))) == 1


@pytest.mark.parametrize(
    ("args", "status", "code"),
    [
        (["retry"], 2, "INVALID"),
        (["retry", "1", "--failed"], 2, "INVALID"),
        (["retry", "1"], 1, "NOTICE_NOT_FAILED"),
        (["retry", "9"], 1, "UNKNOWN_NOTICE"),
        (["preview", "9"], 1, "UNKNOWN_NOTICE"),
        (["preview", "fax"], 2, "INVALID"),
        (["preview", "\u00b2"], 2, "INVALID"),
        (["preview", "9" * 20], 2, "INVALID"),
        (["retry", "9" * 20], 2, "INVALID"),
        (["preview", "ended", "--zone", "Mars/Olympus"], 2, "INVALID"),
        (["preview", "ended", "--language", "no way"], 2, "INVALID"),
        (["preview", "ended", "--templates", "/nowhere"], 2, "INVALID"),
    ],
)
def test_no_is_said_as_everywhere(shop: Shop, args: list[str], status: int, code: str) -> None:
    pay(shop, 1)
    result = invoke(shop, *args)
    assert (result.exit_code, result.stderr.split(":")[0]) == (status, code)


def test_a_notice_is_shown_as_it_would_be_sent(shop: Shop) -> None:
    pay(shop, 7)
    assert invoke(shop, "preview", "1").stdout.startswith("订单 7：已登记您的付款\n\n致 acme 的各位联系人：\n")
    english = invoke(shop, "preview", "1", "--language", "en").stdout
    assert english.startswith("Your payment has been recorded: order 7\n\nTo the contacts of acme\n")


def test_a_kind_is_shown_by_a_sample(shop: Shop, tmp_path: Path) -> None:
    shown = invoke(shop, "preview", "expiring", "--zone", "Asia/Tokyo").stdout
    assert "(Asia/Tokyo)" in shown
    assert shown.startswith("Your subscription ends in 7 days\n\nTo the contacts of Acme\n")
    assert "(UTC)" in invoke(shop, "preview", "expiring").stdout
    assert invoke(shop, "preview", "ended", "--language", "zh-CN", "--html").stdout.startswith("<!doctype html>")
    (tmp_path / "own" / "en").mkdir(parents=True)
    (tmp_path / "own" / "en" / "ended.txt").write_text("Over.")
    assert invoke(shop, "preview", "ended", "--templates", str(tmp_path / "own")).stdout.endswith("\n\nOver.\n")
