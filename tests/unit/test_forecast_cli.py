"""`deskgate forecast`: what it writes, in every format, to standard output and to a file, and how it says no."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from sidecar.cli.backoffice.forecast import forecast
from sidecar.cli.backoffice.foretold import write_table
from sidecar.core.calendar import parse_instant as at
from sync.forecast.events import Event, Kind
from sync.store.blocks import block_tenant
from sync.store.bulk import seed_many
from tests.shipped import POLICIES
from tests.storing import TESTER, Shop, filling, months, on_every_database, per_unit, until

pytestmark = on_every_database

main = typer.Typer()
main.command()(forecast)

Run = Callable[..., Result]
FORMULA = "=cmd|' /C calc'!A0"


@filling
def filled(shop: Shop) -> None:
    """A store in which one of most things comes about in March 2026."""
    shop.product(per_unit("desk", "fixed_desk"))
    shop.product(per_unit("room", "meeting_room"))
    shop.tenant("acme")
    shop.new("acme", {"desk": 10, "room": 1}, "2026-01-01", until("2026-03-10"))
    shop.tenant("globex")
    shop.new("globex", {"desk": 10}, "2026-01-01", until("2026-03-05"))
    shop.renew("globex", {"desk": 8}, "2026-02-01", months(12))
    shop.use("globex", fixed_desk=10)
    shop.tenant("labs", parent_id="globex")
    shop.tenant("一号", parent_id="globex")
    shop.tenant(FORMULA)
    with shop.store.writing(TESTER) as writing:
        block_tenant(writing, FORMULA, "-1+1", starts_at=at("2026-03-20"))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store.db", filled)


@pytest.fixture
def run(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DESKGATE_STORE", shop.store.name)
    monkeypatch.setenv("DESKGATE_POLICIES", str(POLICIES))

    def invoke(line: str, *more: str) -> Result:
        return CliRunner().invoke(main, ["--from", "2026-03-01", *line.split(), *more])

    return invoke


def test_a_table_for_people(run: Run) -> None:
    ended = run("")
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "AT                    TENANT              WHAT           KEY                       DETAILS",
        "2026-03-05T00:00:00Z  globex              over_quota     fixed_desk                10 units used of 8:"
        " 2 too many; shared by 2: labs, 一号",
        "2026-03-10T00:00:00Z  acme                coverage_ends  fixed_desk, meeting_room  ACTIVE -> GRACE,"
        " grace ends 2026-06-10T00:00:00Z",
        "2026-03-20T00:00:00Z  =cmd|' /C calc'!A0  suspended      -                         OPEN -> SUSPENDED: -1+1",
    ]


def test_a_table_of_nothing_says_so(run: Run) -> None:
    assert run("--days 1").stdout == "nothing comes about by itself in that time\n"


def test_csv_has_a_header_and_no_formula(run: Run) -> None:
    ended = run("--format csv")
    rows = list(csv.DictReader(io.StringIO(ended.stdout)))
    assert [row["kind"] for row in rows] == ["over_quota", "coverage_ends", "coverage_ends", "suspended"]
    assert rows[0] == {
        "at": "2026-03-05T00:00:00Z",
        "tenant": "globex",
        "kind": "over_quota",
        "key": "fixed_desk",
        "before": "within",
        "after": "over",
        "counted": "units",
        "limit": "8",
        "used": "10",
        "excess": "2",
        "shared_by": "2",
        "shared_with": "labs;一号",
    } | dict.fromkeys(("term_ends_at", "grace_ends_at", "top_up", "blocks", "shares_services_of"), "")
    assert (rows[1]["term_ends_at"], rows[1]["grace_ends_at"]) == ("2026-03-10T00:00:00Z", "2026-06-10T00:00:00Z")
    assert (rows[3]["tenant"], rows[3]["blocks"]) == (f"'{FORMULA}", "'-1+1")


def test_csv_of_nothing_is_the_header(run: Run) -> None:
    assert run("--format csv --days 1").stdout.startswith("at,tenant,kind,key,")
    assert len(run("--format csv --days 1").stdout.splitlines()) == 1


def test_json_is_one_array(run: Run) -> None:
    told: list[dict[str, Any]] = json.loads(run("--format json").stdout)
    assert [(event["tenant"], event["kind"]) for event in told][-1] == (FORMULA, "suspended")
    assert told[0]["shared_with"] == ["labs", "一号"]
    assert told[0]["grace_ends_at"] is None
    assert json.loads(run("--format json --days 1").stdout) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--kind coverage_ends --kind suspended", ["acme", "acme", FORMULA]),
        ("--kind grace_ends", []),
        ("--tenant labs", ["globex"]),
        ("--tenant acme --tenant globex", ["globex", "acme", "acme"]),
        ("--tenant acme --kind over_quota", []),
        ("--days 10", ["globex", "acme", "acme"]),
        ("--days 9", ["globex"]),
    ],
)
def test_only_what_is_asked_for(run: Run, line: str, told: list[str]) -> None:
    found = [event["tenant"] for event in json.loads(run(f"--format json {line}").stdout)]
    assert found == told


@pytest.mark.usefixtures("run")
def test_now_is_the_default() -> None:
    (event,) = json.loads(
        CliRunner()
        .invoke(main, ["--days", "3660", "--format", "json", "--kind", "coverage_ends", "--tenant", "globex"])
        .stdout
    )
    assert event["at"] == "2027-03-05T00:00:00Z"


def test_a_policy_changes_what_is_told(run: Run, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "apiVersion: deskgate/v1\nkind: Policy\nmetadata: {name: own}\n"
        "spec: {applies_to: {tenants: [globex]}, terms: {overage: 25%}}\n"
    )
    ended = run(f"--format json --policies {POLICIES},{own} --kind over_quota")
    assert json.loads(ended.stdout) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--days 0", "--days"),
        ("--days 3661", "--days"),
        ("--days many", "--days"),
        ("--kind expired", "--kind"),
        ("--format xml", "--format"),
        ("--from yesterday", "from: 'yesterday' is not an instant"),
        ("--from 0001-01-01", "from: "),
        ("--policies ,", "no policy file was given"),
        ("--policies nowhere.yaml", "nowhere.yaml: cannot be read"),
    ],
)
def test_bad_usage_exits_2_and_says_what_is_wrong(run: Run, line: str, told: str) -> None:
    ended = run(line)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert told in ended.stderr


def test_bad_policies_are_told_with_their_places(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("apiVersion: deskgate/v1\nkind: Policy\nmetadata: {name: bad}\nspec: {terms: {grase: P3M}}\n")
    output = tmp_path / "out.csv"
    output.write_text("kept")
    ended = run(f"--policies {bad}", "--output", str(output))
    assert ended.exit_code == 2
    assert f"{bad}:4:16: " in ended.stderr
    assert "did you mean 'grace'" in ended.stderr
    assert output.read_text() == "kept"


@pytest.mark.parametrize(
    ("line", "told"),
    [("--tenant nobody", "UNKNOWN_TENANT: "), ("--store nowhere.db", "STORE_MISSING: ")],
)
def test_what_is_not_there_is_refused(run: Run, line: str, told: str) -> None:
    ended = run(line)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith(told)


def test_an_empty_store(run: Run, tmp_path: Path) -> None:
    empty = Shop(tmp_path / "empty.db")
    assert run(f"--store {empty.store.name}").stdout == "nothing comes about by itself in that time\n"
    assert json.loads(run(f"--store {empty.store.name} --format json").stdout) == []


def test_a_file_is_written_whole(run: Run, tmp_path: Path) -> None:
    output = tmp_path / "out.json"
    ended = run("--format json", "--output", str(output))
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", "")
    assert json.loads(output.read_text()) == json.loads(run("--format json").stdout)


def test_a_file_that_cannot_be_written_is_told_at_once(run: Run, tmp_path: Path) -> None:
    ended = run("--output", str(tmp_path / "missing" / "out.csv"))
    assert ended.exit_code == 2
    assert "out.csv cannot be written: No such file or directory" in ended.stderr


@pytest.mark.parametrize("line", ["--tenant nobody", "--store nowhere.db"])
def test_what_comes_to_nothing_leaves_the_file_as_it_was(run: Run, tmp_path: Path, line: str) -> None:
    output = tmp_path / "out" / "forecast.csv"
    output.parent.mkdir()
    output.write_text("of last week")
    assert run(line, "--output", str(output)).exit_code == 1
    assert output.read_text() == "of last week"
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.parametrize(
    ("tenants", "status", "told"),
    [
        pytest.param(400, 2, "forecast.csv cannot be written: File too large", id="where the file goes"),
        pytest.param(2000, 1, "NO_ROOM: no room to put the events in order", id="where the events wait"),
    ],
)
def test_a_disk_that_fills_up_leaves_the_file_as_it_was(
    shop: Shop, tmp_path: Path, tenants: int, status: int, told: str
) -> None:
    """No file of the process may grow beyond 100 kB, so that a write fails as it does on a full disk."""
    seed_many(shop.store, tenants, at("2026-03-01"))
    output = tmp_path / "out" / "forecast.csv"
    output.parent.mkdir()
    output.write_text("of last week")
    script = (
        "import resource, signal\n"
        "import sidecar.cli.backoffice.forecast\n"
        "from sidecar.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "main()\n"
    )
    ended = _process(["-B", "-c", script], shop, "--days", "400", "--format", "csv", "--output", str(output))
    assert ended.returncode == status, ended.stderr
    assert told in ended.stderr
    assert output.read_text() == "of last week"
    assert list(output.parent.iterdir()) == [output]


def _process(how: list[str], shop: Shop, *more: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *how, "forecast", "--store", shop.store.name, "--policies", str(POLICIES)]
    command += ["--from", "2026-03-01", *more]
    given = {"capture_output": True} | options
    return subprocess.run(command, text=True, timeout=60, check=False, **given)


def test_progress_is_for_a_terminal(shop: Shop) -> None:
    ours, theirs = pty.openpty()
    streams = {"capture_output": False, "stdout": subprocess.PIPE, "stderr": theirs}
    ended = _process(["-m", "sidecar"], shop, "--format", "json", **streams)
    os.close(theirs)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    assert json.loads(ended.stdout)
    assert "forecast" in shown
    assert "100%" in shown


def lines(*events: Event) -> list[str]:
    out = io.StringIO()
    write_table(out, events)
    return out.getvalue().splitlines()[1:]


def test_what_would_harm_a_terminal_is_not_printed() -> None:
    (line,) = lines(Event(tenant_id="a\x1b[2Jb", at=0, kind=Kind.GRACE_ENDS, before="GRACE", after="EXPIRED"))
    assert "a\ufffd[2Jb" in line


def test_many_who_share_are_counted_and_some_named() -> None:
    owing = {"kind": Kind.PAST_DUE, "before": "GOOD", "after": "PAST_DUE", "top_up": 20_500_000}
    (line,) = lines(Event(tenant_id="acme", at=0, sharers=7, shared_with=("a", "b"), **owing))
    assert line.endswith("GOOD -> PAST_DUE, top up 20.5; shared by 7: a, b, ...")


def test_whose_services_are_shared_and_that_seats_are_counted() -> None:
    held = {"before": "OPEN", "after": "SUSPENDED", "blocks": ("fraud", "legal"), "holder_id": "acme"}
    over = {"before": "within", "after": "over", "limit": 1, "used": 3, "excess": 2, "seats": True}
    first, second = lines(
        Event(tenant_id="labs", at=0, kind=Kind.SUSPENDED, **held),
        Event(tenant_id="labs", at=1, kind=Kind.OVER_QUOTA, key="pro", **over),
    )
    assert first.endswith("OPEN -> SUSPENDED: fraud, legal; shares the services of acme")
    assert second.endswith("pro  3 seats used of 1: 2 too many")
