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

from sidecar.address import Address
from sidecar.cli.backoffice import account, audit, catalog, files, operator, order, plan, tenant, usage
from sync.backoffice.front import BackOfficeFront
from sync.store.db import Store, open_store
from sync.store.schema import SCHEMA_VERSION
from tests import postgresql
from tests.storing import meddle, on_every_database, place, stored

pytestmark = on_every_database

main = typer.Typer()
main.add_typer(catalog.products, name="product")
main.add_typer(catalog.editions, name="edition")
for _module in (account, audit, operator, order, plan, tenant, usage):
    main.add_typer(_module.app)
main.add_typer(files.store)
main.add_typer(files.demo)

NOW = "2026-07-14T09:30:00Z"
Run = Callable[..., Result]


@pytest.fixture
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the store of the test is, or comes to be."""
    if "demo" in request.fixturenames:
        return stored(tmp_path / "store.db", seeded)
    if place() == "postgresql":
        return postgresql.url(postgresql.empty())
    return str(tmp_path / "var" / "store.db")


@pytest.fixture
def run(where: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on the store of the test; arguments are split at blanks."""
    monkeypatch.setenv("DESKGATE_STORE", where)

    def invoke(line: str, *more: str, text: str | None = None) -> Result:
        return CliRunner().invoke(main, [*line.split(), *more], input=text)

    return invoke


def seeded(store: Store) -> None:
    assert CliRunner().invoke(main, ["demo", "seed", "--at", NOW, "--store", store.name]).exit_code == 0


@pytest.fixture
def demo(run: Run) -> Run:
    return run


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def test_a_store_is_made_asked_and_made_again(run: Run, where: str) -> None:
    assert "store init" in run("store status").stderr
    made = told(run("store init --json"))
    assert (made["url" if place() == "postgresql" else "path"], made["revision"]) == (where, 0)
    for command in ("store init --json", "store migrate --json", "store status --json"):
        assert told(run(command)) == made
    assert f"schema_version: {SCHEMA_VERSION}" in run("store status").stdout


def test_migrating_makes_no_store(run: Run, where: str) -> None:
    result = run("store migrate")
    assert (result.exit_code, result.stderr.split(":")[0]) == (1, "STORE_MISSING")
    assert not Path(where).exists()
    assert run("store status").exit_code == 1


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
    created = told(
        run(
            "tenant create acme --zone Asia/Shanghai --language zh-CN --tag a --tag b --edition basic"
            " --contact a@acme.example --json",
            "--name",
            "Acme & Co",
        )
    )
    assert (created["revision"], created["tenant"]["id"], created["tenant"]["name"]) == (1, "acme", "Acme & Co")
    assert run("tenant create labs --parent acme").stdout == "labs is created (revision 2)\n"
    for command in (
        "tenant update acme --tag c --zone UTC --edition trial --contact b@acme.example --expected-version 1",
        "tenant block acme fraud --from 2026-01-01 --until 2026-01-31 --cascade",
        "tenant block acme operator",
        "tenant unblock acme operator",
        "tenant move labs --root",
        "tenant move labs --parent acme",
        f"tenant archive labs --retention-days 30 --at {NOW}",
    ):
        assert run(command).exit_code == 0, command
    shown = told(run("tenant show labs --json"))
    assert (shown["tenant"]["archived_at"], shown["tenant"]["erase_after"]) == (NOW, "2026-08-13T09:30:00Z")
    assert [(b["name"], b["ends_at"]) for b in shown["record"]["blocks"]] == [("fraud", 1769904000000000)]
    assert told(run("tenant restore labs --json"))["revision"] == 10
    listed = told(run("tenant list --json"))["tenants"]
    assert [(t["id"], t["parent_id"], t["tags"], t["edition"], t["contacts"]) for t in listed] == [
        ("acme", "", ["c"], "trial", ["b@acme.example"]),
        ("labs", "acme", [], "", []),
    ]


def test_a_tenant_is_erased_once_its_retention_is_over(run: Run) -> None:
    run("store init")
    run("tenant create acme --contact a@acme.example")
    assert "kept until 2026-07-15T09:30:00Z" in run(f"tenant archive acme --retention-days 1 --at {NOW}").stdout
    assert run(f"tenant erase acme --at {NOW}").stderr.startswith("RETENTION_RUNNING: ")
    assert run(f"tenant erase --due --at {NOW}").stdout == "no retention is over\n"
    assert run(f"tenant erase acme --due --at {NOW}").exit_code == 2
    run("tenant create globex")
    run(f"tenant archive globex --retention-days 0 --at {NOW}")
    assert run(f"tenant erase --due --at {NOW}").stdout == "erased: globex\n"
    assert run("tenant erase acme --at 2026-07-15T09:30:00Z").exit_code == 0
    assert "a@acme.example" not in run("tenant show acme").stdout
    assert "erased" in run("tenant list").stdout
    assert run("tenant restore acme").stderr.startswith("TENANT_ERASED: ")
    assert "with details erased" in run("audit verify").stdout


def test_an_empty_option_takes_away(run: Run) -> None:
    run("store init")
    run("tenant create acme --tag a --edition basic --contact a@acme.example")
    run("tenant update acme", "--tag", "", "--edition", "", "--contact", "")
    tenant = told(run("tenant show acme --json"))["tenant"]
    assert (tenant["tags"], tenant["edition"], tenant["contacts"]) == ([], "", [])


def test_tenants_are_shown_readably(demo: Run) -> None:
    assert "acme-labs   -     acme" in demo("tenant list").stdout
    for tenant_id, words in (
        ("umbrella", ("fixed_desk", "order:5", "USED")),
        ("acme-labs", ("shares the services of: acme",)),
        ("wonka", ("operator", "lifted")),
        ("globex", ("trial",)),
        ("vandelay", ("no end",)),
    ):
        shown = demo(f"tenant show {tenant_id}").stdout
        assert all(word in shown for word in words), shown


def test_lists_are_filtered_and_go_on_where_they_ended(demo: Run) -> None:
    assert [t["id"] for t in told(demo("tenant list --parent acme --json"))["tenants"]] == ["acme-labs"]
    assert [t["id"] for t in told(demo("tenant list --archived --json"))["tenants"]] == ["tyrell"]
    assert [t["id"] for t in told(demo("tenant list --text VAN --json"))["tenants"]] == ["vandelay"]
    page = demo("tenant list --limit 2")
    assert [line.split()[0] for line in page.stdout.splitlines()] == ["TENANT", "acme", "acme-labs", "..."]
    token = page.stdout.split()[-1]
    assert told(demo(f"tenant list --limit 1 --page-token {token} --json"))["tenants"][0]["id"] == "drafthouse"


def test_a_product_is_read_from_a_file_or_standard_input(run: Run, tmp_path: Path) -> None:
    run("store init")
    document = {"id": "p", "license_template": [{"name": "desk", "amount": 1, "amount_calculation": "per_qty"}]}
    file = tmp_path / "p.json"
    file.write_text(json.dumps(document))
    created = told(run(f"product create {file} --json"))["product"]
    assert (created["id"], created["version"]) == ("p", 1)
    document |= {"trial": {"count": 2, "unit": "week"}, "features": [{"name": "timesheet"}], "downgrade": "at_end"}
    assert told(run("product update - --json", text=json.dumps(document)))["product"]["version"] == 2
    assert told(run("product show p")) == document
    late = run("product update - --expected-version 1", text=json.dumps(document | {"name": "P"}))
    assert (late.exit_code, late.stderr.split(":")[0]) == (1, "CONFLICT")
    assert run("product update - --expected-version 2", text=json.dumps(document)).exit_code == 0
    assert [p["downgrade"] for p in told(run("product list --json"))["products"]] == ["at_end"]
    assert "desk (1 units each), timesheet" in run("product list").stdout


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"id": "p"}', "x" * 300_000])
def test_a_product_that_is_none_is_bad_usage(run: Run, text: str) -> None:
    run("store init")
    result = run("product create -", text=text)
    assert (result.exit_code, result.stderr.split(":")[0]) == (2, "INVALID")


def test_a_product_file_that_is_missing_or_not_text_is_bad_usage(run: Run, tmp_path: Path) -> None:
    run("store init")
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    for name in ("missing", "latin"):
        assert run(f"product create {tmp_path / name}").exit_code == 2


def test_editions_have_a_cap_and_prices(demo: Run) -> None:
    put = told(demo("edition put basic --cap 500 --price CNY:fixed_desk:1:50 --price CNY:fixed_desk:10:45.5 --json"))
    assert [(p["from_quantity"], p["unit_price"]) for p in put["edition"]["prices"]] == [(1, "50"), (10, "45.5")]
    assert "fixed_desk from 10: 45.5 CNY" in demo("edition list").stdout
    assert demo("edition put basic --cap 500 --price 45.5").exit_code == 2
    placed = told(demo(f"order new tempo fixed-desk=10 --years 1 --currency CNY --edition basic --at {NOW} --json"))
    assert placed["order"]["total"] == "455"


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
        ("new", 4),
        ("renew", 2),
        ("upgrade", 9),
        ("renew", 1),
    ]
    assert "ended early" in demo("order list new").stdout
    assert demo(f"order new new shared-desk=1 --perpetual --at {NOW}").stdout.count("no end") == 1
    assert "trial" in demo(f"order new new desk-trial=1 --trial --at {NOW}").stdout
    assert {o["kind"] for o in told(demo("order list --kind renew --json"))["orders"]} == {"renew"}


def test_an_order_may_be_tried_paid_delivered_and_voided(demo: Run) -> None:
    demo("tenant create new")
    order = "order new new fixed-desk=2@5000 timesheet=10@500 --years 1 --currency EUR --billing-periods 1"
    tried = demo(f"{order} --dry-run --at {NOW}")
    assert "this would be the order" in tried.stdout
    assert "total: 15000 EUR" in tried.stdout
    assert told(demo("order list new --json"))["orders"] == []
    placed = told(demo(f"{order} --coupon SPRING --coupon-amount 100.50 --credit 99.5 --at {NOW} --json"))["order"]
    assert placed["total"] == "14800"
    number = placed["id"]
    assert "14700 are due" in demo(f"order pay {number} 100 --reference bank-1 --on 2026-07-15").stdout
    payment = told(demo(f"order payments --order {number} --json"))["payments"][0]["id"]
    assert "14740 are due" in demo(f"order pay {number} -40 --corrects {payment}").stdout
    assert demo(f"order provision {number} --when 2026-07-16").exit_code == 0
    history = demo("order history new").stdout
    assert "total 14800 EUR, paid 60, due 14740" in history
    assert "grants fixed_desk" in history
    assert "provisioned 2026-07-16" in history
    voided = demo(f"order void {number} --from 2026-08-01", "--note", "wrong customer").stdout
    assert f"order {number} is void from 2026-08-01T00:00:00Z" in voided
    assert "2026-08-01T00:00:00Z" in demo(f"order show {number}").stdout
    assert demo(f"order void {number} --from 2026-08-01").stderr.startswith("ALREADY_VOID: ")


def test_a_downgrade_has_a_price_of_its_own(demo: Run) -> None:
    entry = {"name": "fixed_desk", "amount": 1, "amount_calculation": "per_qty"}
    product = {"id": "flexible", "downgrade": "at_end", "license_template": [entry]}
    demo("product create -", text=json.dumps(product))
    demo("tenant create new")
    assert demo(f"order new new flexible=5 --years 1 --at {NOW}").exit_code == 0
    lowered = demo("order downgrade new flexible=2@10 --years 1 --currency EUR --credit 5")
    assert (lowered.exit_code, "total: 15 EUR" in lowered.stdout) == (0, True)


def test_plans_are_made_assigned_and_taken_away(demo: Run) -> None:
    demo("tenant create new")
    assert (
        demo("plan create team fixed-desk=5 timesheet=1 --basis money --allowed -50 --deferral-days 3").exit_code == 0
    )
    assert "team-copy is created: team (copy)" in demo("plan duplicate team").stdout
    assert told(demo("plan assign team new --json"))["replaced_plan_id"] == ""
    assert "in place of team" in demo("plan assign team-copy new").stdout
    assert "plan: team-copy" in demo("tenant show new").stdout
    shown = demo("plan show team-copy").stdout
    assert "money, down to -50, 3 days of deferral" in shown
    assert "tenants: new" in shown
    assert demo("plan update team-copy fixed-desk=1").stderr.startswith("PLAN_ASSIGNED: ")
    assert "version 2" in demo("plan update team fixed-desk=6", "--name", "Team").stdout
    assert demo("plan delete team").stderr.startswith("PLAN_NOT_ARCHIVED: ")
    assert [demo(f"plan {verb} team").exit_code for verb in ("archive", "restore", "archive", "delete")] == [0] * 4
    assert [p["id"] for p in told(demo("plan list --active --json"))["plans"]] == ["team-copy"]
    assert "not on team-copy any more" in demo("plan unassign new").stdout
    assert demo("plan create x fixed-desk=1@5").exit_code == 2
    assert demo("plan create x fixed-desk=1 --allowed 5").exit_code == 2


def test_accounts_are_opened_and_changed(demo: Run) -> None:
    day = "2026-01-01T00:00:00Z"
    options = "--basis money --balance 100 --charge 60 --first-due 2026-02-01 --every-months 1 --deferral-days 5"
    opened = told(demo(f"account open acme {options} --at {day} --json"))["account"]
    assert (opened["balance"], opened["charge"], opened["first_due"]) == ("100", "60", "2026-02-01T00:00:00Z")
    assert "40 at" in demo("account charge acme 12.5 --every-days 7 --at 2026-02-02").stdout
    assert "60.25 at" in demo("account top-up acme 20.25 --reference bank-1 --at 2026-02-02").stdout
    assert "59.25 at" in demo("account correct acme -1 --reason typo --at 2026-02-02").stdout
    changed = told(demo("account settings acme --allowed -10 --deferral-days 1 --at 2026-02-03 --json"))["account"]
    assert (changed["allowed_balance"], changed["deferral_days"], changed["period"]["count"]) == ("-10", 1, 7)
    ledger = told(demo("account ledger acme --json"))["entries"]
    assert [(e["kind"], e["amount"]) for e in ledger] == [
        ("OPENED", "100"),
        ("CHARGES", "-60"),
        ("TOP_UP", "20.25"),
        ("CORRECTED", "-1"),
    ]
    assert "30 days at" in demo("account basis acme --basis days --balance 30 --at 2026-02-03").stdout
    assert "30 were left" in demo("account close acme --reason moved --at 2026-02-03").stdout
    assert "8 days at" in demo("account open umbrella --basis days --balance 8 --at 2026-01-01").stdout


def test_an_account_is_shown_with_what_comes(demo: Run) -> None:
    shown = told(demo("account show stark --json"))
    assert shown["account"]["standing"] == "blocked"
    assert (shown["account"]["balance"], shown["account"]["owed_charge"]) == ("40", "60")
    readable = demo(f"account show stark --as-of {NOW}").stdout
    assert "60 owed since" in readable
    assert "standing: BLOCKED" in readable


def test_usage_is_stated(demo: Run) -> None:
    assert told(demo("usage set tempo fixed_desk 4 --json"))["usage"]["units"] == 4
    first = told(demo("usage adjust tempo fixed_desk --by -3 --idempotency-key k --json"))
    assert first["usage"]["units"] == 1
    assert told(demo("usage adjust tempo fixed_desk --by -3 --idempotency-key k --json")) == first
    assert "seats ada, linus, zoe" in demo("usage assign drafthouse designer ada linus zoe").stdout
    assert told(demo("usage revoke drafthouse designer linus --json"))["usage"]["seats"] == ["ada", "zoe"]
    shown = {u["key"]: u for u in told(demo("usage show drafthouse --json"))["usage"]}
    assert shown["designer"] == {"key": "designer", "units": 0, "seats": ["ada", "zoe"]}
    assert "ada, zoe" in demo("usage show drafthouse").stdout


def test_usage_is_reconciled_with_a_count(demo: Run) -> None:
    demo("usage assign tempo designer ada linus")
    counted = ("usage reconcile tempo shared_desk=7 --seat designer=linus --seat designer=zoe",)
    tried = demo(*counted, "--dry-run").stdout
    assert told(demo("usage show tempo --json"))["usage"][0]["seats"] == ["ada", "linus"]
    assert demo(*counted).stdout == tried
    assert all(word in tried for word in ("shared_desk", "6", "7", "ada", "zoe"))
    assert demo(*counted).stdout == "no difference\n"
    assert demo("usage reconcile tempo shared_desk").exit_code == 2
    assert demo("usage reconcile tempo shared_desk=many").exit_code == 2
    assert demo("usage reconcile tempo --seat designer").exit_code == 2
    assert "designer" in demo("usage reconcile tempo --complete").stdout


def test_identities_of_sidecars(demo: Run) -> None:
    added = told(demo("operator add desk-7 --role sidecar --tenant globex --tenant acme --json"))
    assert (added["operator"]["role"], added["operator"]["tenants"]) == ("sidecar", ["acme", "globex"])
    assert "acme, globex" in demo("operator list").stdout


def test_operators_and_their_tokens(demo: Run) -> None:
    added = told(demo("operator add ada --role viewer --json"))
    assert (added["operator"]["role"], len(added["token"])) == ("viewer", 43)
    assert demo("operator rotate ada").stdout.splitlines()[-1] != added["token"]
    assert "ada is admin" in demo("operator role ada --role admin").stdout
    assert demo("operator disable ada").exit_code == 0
    assert "disabled" in demo("operator list").stdout
    assert demo("operator enable ada").exit_code == 0
    once = demo("operator add bob --idempotency-key k").stdout
    assert "`rotate` gives a new one" in demo("operator add bob --idempotency-key k").stdout
    assert once != ""


def test_the_audit_trail_names_who_what_and_when(demo: Run, where: str) -> None:
    demo("tenant update acme --tag vip --operator ada")
    entries = told(demo("audit list --tenant acme --action tenant.update --json"))["entries"]
    assert [(e["operator"], e["subject"]) for e in entries] == [("local:ada", "tenant:acme")]
    assert json.loads(entries[0]["after_json"])["tags"] == ["vip"]
    assert "vip" in demo("audit list --by local:ada --details").stdout
    assert demo("audit list --tenant nobody").stderr.startswith("UNKNOWN_TENANT: ")
    assert demo("plan list --owner nobody").stderr.startswith("UNKNOWN_TENANT: ")
    assert demo("audit list --since 2100-01-01 --until 2101-01-01").stdout.count("\n") == 1
    assert "hold together" in demo("audit verify").stdout
    meddle(open_store(where), "UPDATE audit SET operator = 'local:eve' WHERE seq = 3")
    broken = demo("audit verify")
    assert (broken.exit_code, broken.stdout) == (1, "NOT INTACT: entry 3 is not as it was written\n")


def test_a_back_office_elsewhere_is_asked_instead(demo: Run, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    token = told(demo("operator add ada --role viewer --json"))["token"]
    front = BackOfficeFront(open_store(where), Address("127.0.0.1", 0))
    front.start()
    monkeypatch.setenv("DESKGATE_STORE", "/nowhere")
    monkeypatch.setenv("DESKGATE_BACKOFFICE", str(front.address))
    try:
        nobody = demo("tenant list")
        assert (nobody.exit_code, nobody.stderr.split(":")[1]) == (2, " token")
        monkeypatch.setenv("DESKGATE_TOKEN", token)
        assert "acme-labs" in demo("tenant list").stdout
        refused = demo("tenant block acme fraud")
        assert (refused.exit_code, refused.stderr.split(":")[0]) == (1, "NOT_ALLOWED")
        assert demo("tenant show nobody").stderr.startswith("UNKNOWN_TENANT: ")
        assert demo("tenant list --token-file /nowhere").exit_code == 2
    finally:
        front.stop(0)
    gone = demo("tenant list")
    assert (gone.exit_code, gone.stderr.split(":")[0]) == (1, "UNREACHABLE")


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
        "usage set acme fixed_desk 99999999999999999999",
        "tenant archive acme --retention-days 99999999999",
        "order show 99999999999999999999",
        "order new tempo fixed-desk=1 --years 99999999999",
        "order pay 1 -5 --corects 1",
        "tenant create \udcff",
        "order list --page-token \udcff",
        "tenant fly acme",
    ],
)
def test_bad_usage_exits_2_and_changes_nothing(demo: Run, where: str, command: str) -> None:
    before = open_store(where).status()
    result = demo(command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr
    assert open_store(where).status() == before
