"""The store's commands: what they print, in words and in JSON, and how they exit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from sidecar.cli.store import APPS
from sync.store.db import open_store

main = typer.Typer()
for _name, _app in APPS.items():
    main.add_typer(_app, name=_name)

NOW = "2026-07-14T09:30:00Z"
Run = Callable[..., Result]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "store.db"


@pytest.fixture
def run(path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on the store of the test; arguments are split at blanks."""
    monkeypatch.setenv("DESKGATE_STORE", str(path))

    def invoke(line: str, *more: str, text: str | None = None) -> Result:
        return CliRunner().invoke(main, [*line.split(), *more], input=text)

    return invoke


@pytest.fixture
def demo(run: Run) -> Run:
    assert run(f"demo seed --at {NOW}").exit_code == 0
    return run


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def test_a_store_is_made_asked_and_made_again(run: Run, path: Path) -> None:
    assert "store init" in run("store status").stderr
    made = told(run("store init --json"))
    assert (made["path"], made["revision"]) == (str(path), 0)
    for command in ("store init --json", "store migrate --json", "store status --json"):
        assert told(run(command)) == made
    assert "schema_version: 1" in run("store status").stdout


def test_migrating_makes_no_store(run: Run, path: Path) -> None:
    result = run("store migrate")
    assert (result.exit_code, result.stderr.split(":")[0]) == (1, "STORE_MISSING")
    assert not path.exists()


def test_the_store_may_be_named_by_an_option(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    assert run(f"store init --store sqlite:///{other}").exit_code == 0
    assert open_store(other).status().revision == 0


def test_the_demo_is_seeded_once(demo: Run) -> None:
    assert "there already" in demo("demo seed").stdout
    assert told(demo("demo seed --json")) == {"tenants": {}}


def test_synthetic_tenants_are_counted(run: Run) -> None:
    made = told(run(f"demo many 40 --seed 3 --at {NOW} --json"))["made"]
    assert sum(made.values()) == 40
    assert "active" in run("demo many 40 --prefix x").stdout


def test_a_tenant_from_its_creation_to_its_end(run: Run) -> None:
    run("store init")
    created = run("tenant create acme --zone Asia/Shanghai --language zh-CN --tag a --tag b --edition basic --json")
    assert told(created) == {"tenant_id": "acme", "revision": 1}
    assert run("tenant create labs --parent acme").stdout == "labs is created (revision 2)\n"
    for command in (
        "tenant update acme --tag c --zone UTC --edition trial",
        "tenant block acme fraud --from 2026-01-01 --until 2026-02-01 --cascade",
        "tenant block acme operator",
        "tenant unblock acme operator",
        "tenant move labs --root",
        "tenant move labs --parent acme",
        f"tenant archive labs --at {NOW}",
    ):
        assert run(command).exit_code == 0, command
    shown = told(run("tenant show labs --json"))
    assert shown["tenant"]["archived_at"] == NOW
    assert shown["record"]["blocks"] == [
        {"name": "fraud", "from": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}
    ]
    assert told(run("tenant restore labs --json"))["revision"] == 10
    listed = told(run("tenant list --json"))["tenants"]
    assert [(t["id"], t["parent"], t["tags"], t["edition"]) for t in listed] == [
        ("acme", None, ["c"], "trial"),
        ("labs", "acme", [], None),
    ]


def test_an_empty_option_takes_away(run: Run) -> None:
    run("store init")
    run("tenant create acme --tag a --edition basic")
    run("tenant update acme", "--tag", "", "--edition", "")
    tenant = told(run("tenant show acme --json"))["tenant"]
    assert (tenant["tags"], tenant["edition"]) == ([], None)


def test_tenants_are_shown_readably(demo: Run) -> None:
    assert "acme-labs   acme" in demo("tenant list").stdout
    for tenant, words in (
        ("umbrella", ("fixed_desk", "order:5", "USED")),
        ("acme-labs", ("shares the services of: acme",)),
        ("wonka", ("operator", "lifted")),
        ("globex", ("trial",)),
        ("vandelay", ("no end",)),
    ):
        shown = demo(f"tenant show {tenant}").stdout
        assert all(word in shown for word in words), shown


def test_a_product_is_read_from_a_file_or_standard_input(run: Run, tmp_path: Path) -> None:
    run("store init")
    document = {"id": "p", "license_template": [{"name": "desk", "amount": 1, "amount_calculation": "per_qty"}]}
    file = tmp_path / "p.json"
    file.write_text(json.dumps(document))
    assert told(run(f"product create {file} --json")) == {"product_id": "p", "version": 1}
    document |= {"trial": {"count": 2, "unit": "week"}, "features": [{"name": "timesheet"}]}
    assert told(run("product update - --json", text=json.dumps(document)))["version"] == 2
    assert told(run("product show p")) == {"product": document, "version": 2}
    assert told(run("product list --json"))["products"] == [{"product": document, "version": 2}]
    assert "desk (1 units each), timesheet" in run("product list").stdout


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"id": "p"}', "x" * 300_000])
def test_a_product_that_is_none_is_bad_usage(run: Run, text: str) -> None:
    run("store init")
    result = run("product create -", text=text)
    assert (result.exit_code, result.stderr.split(":")[0]) == (2, "INVALID")


def test_a_product_file_that_is_missing_or_not_text_is_bad_usage(run: Run, tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    for name in ("missing", "latin"):
        assert run(f"product create {tmp_path / name}").exit_code == 2


def test_orders_are_placed_and_listed(demo: Run) -> None:
    demo("tenant create new --zone Asia/Shanghai")
    placed = told(demo(f"order new new fixed-desk=4 --starts 2026-07-01 --ends 2026-07-31 --at {NOW} --json"))
    assert placed["order"]["lines"][0]["ends_at"] == "2026-07-31T16:00:00Z"
    assert demo(f"order renew new fixed-desk=2 --years 1 --months 1 --at {NOW}").exit_code == 0
    upgraded = demo(f"order upgrade new fixed-desk=9 --at {NOW}").stdout
    assert "note: order" in upgraded
    assert "keeps its quantity 2" in upgraded
    late = demo("order renew new fixed-desk=1 --days 40 --anchor old_end --at 2028-01-01")
    assert late.exit_code == 0
    orders = told(demo("order list new --json"))["orders"]
    assert [(o["kind"], o["lines"][0]["quantity"]) for o in orders] == [
        ("NEW", 4),
        ("RENEW", 2),
        ("UPGRADE", 9),
        ("RENEW", 1),
    ]
    assert "superseded" in demo("order list new").stdout
    assert demo(f"order new new shared-desk=1 --perpetual --at {NOW}").stdout.count("no end") == 1
    assert "trial" in demo(f"order new new desk-trial=1 --trial --at {NOW}").stdout


def test_accounts_are_opened_and_changed(demo: Run) -> None:
    day = "2026-01-01T00:00:00Z"
    options = "--basis money --balance 100 --charge 60 --first-due 2026-02-01 --every-months 1 --deferral-days 5"
    opened = told(demo(f"account open acme {options} --at {day} --json"))["account"]
    assert (opened["balance"], opened["charge"], opened["first_due"]) == ("100", "60", "2026-02-01T00:00:00Z")
    assert "40 at" in demo("account charge acme 12.5 --every-days 7 --at 2026-02-02").stdout
    assert "60.25 at" in demo("account top-up acme 20.25 --at 2026-02-02").stdout
    changed = told(demo("account settings acme --allowed -10 --deferral-days 1 --at 2026-02-03 --json"))["account"]
    assert (changed["allowed_balance"], changed["deferral_days"], changed["period_days"]) == ("-10", 1, 7)
    assert "8 days at" in demo("account open umbrella --basis days --balance 8 --at 2026-01-01").stdout


def test_an_account_is_shown_with_what_comes(demo: Run) -> None:
    shown = told(demo(f"account show stark --at {NOW} --json"))
    assert (shown["standing"], shown["account"]["balance"], shown["account"]["owed_charge"]) == ("BLOCKED", "40", "60")
    assert shown["blocked_from"] < NOW
    assert "60 owed since" in demo(f"account show stark --at {NOW}").stdout


def test_usage_is_stated(demo: Run) -> None:
    assert told(demo("usage set tempo fixed_desk 4 --json"))["units"] == 4
    first = told(demo("usage adjust tempo fixed_desk --by -3 --idempotency-key k --json"))
    assert first["units"] == 1
    assert told(demo("usage adjust tempo fixed_desk --by -3 --idempotency-key k --json")) == first
    assert "seats ada, linus, zoe" in demo("usage assign drafthouse designer ada linus zoe").stdout
    assert told(demo("usage revoke drafthouse designer linus --json"))["seats"] == ["ada", "zoe"]
    assert told(demo("usage show drafthouse --json"))["usage"]["designer"] == {"units": 0, "seats": ["ada", "zoe"]}
    assert "ada, zoe" in demo("usage show drafthouse").stdout


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("tenant show nobody", "UNKNOWN_TENANT"),
        ("tenant create acme", "TENANT_EXISTS"),
        ("tenant move acme --parent acme-labs", "PARENT_CYCLE"),
        ("tenant unblock acme fraud", "UNKNOWN_BLOCK"),
        ("product show nothing", "UNKNOWN_PRODUCT"),
        (f"order new acme fixed-desk=1 --months 1 --at {NOW}", "TERM_RUNNING"),
        (f"order upgrade acme fixed-desk=1 --at {NOW}", "DOWNGRADE_NOT_ALLOWED"),
        ("order downgrade acme fixed-desk=1", "DOWNGRADE_NOT_ALLOWED"),
        ("order upgrade acme fixed-desk=20000", "EDITION_CAP_EXCEEDED"),
        ("account show acme", "NO_ACCOUNT"),
        ("account charge vandelay 1", "BASIS_MISMATCH"),
        ("usage adjust acme fixed_desk --by -1000", "USAGE_BELOW_ZERO"),
    ],
)
def test_refusals_name_their_code_and_say_what_to_do(demo: Run, command: str, code: str) -> None:
    result = demo(command)
    assert (result.exit_code, result.stdout) == (1, "")
    named, advice = result.stderr.split(": ", 1)
    assert named == code
    assert len(advice.split()) > 4


def test_a_refusal_may_be_read_by_a_program(demo: Run) -> None:
    error = json.loads(demo("order downgrade acme fixed-desk=1 --json").stderr)["error"]
    assert error["code"] == "DOWNGRADE_NOT_ALLOWED"
    assert "RENEW" in error["message"]


@pytest.mark.parametrize(
    "command",
    [
        "order new tempo fixed-desk --months 1",
        "order new tempo fixed-desk=0 --months 1",
        "order new tempo fixed-desk=1 fixed-desk=2 --months 1",
        "order new tempo fixed-desk=1",
        "order new tempo fixed-desk=1 --perpetual --months 1",
        "order new tempo fixed-desk=1 --months 1 --at yesterday",
        "order new tempo fixed-desk=1 --months 1 --at 0001-01-01",
        "order new tempo",
        "tenant create x --zone Mars/Olympus",
        "tenant move acme",
        "tenant move acme --root --parent tempo",
        "account open acme --basis money --balance 5",
        "account open acme --basis points",
        "account top-up stark 1.2345678",
        "account top-up stark NaN",
        "account top-up stark lots",
        "usage set acme fixed_desk -1",
        "tenant fly acme",
    ],
)
def test_bad_usage_exits_2_and_changes_nothing(demo: Run, path: Path, command: str) -> None:
    before = open_store(path).status()
    result = demo(command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
    assert open_store(path).status() == before
