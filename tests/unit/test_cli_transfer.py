"""`deskgate import` and `deskgate export`: options, what is printed where, and exit statuses."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from sidecar.cli import COMMANDS
from sidecar.cli.backoffice import exporting, importing
from sync.store.audit import Sought, entries
from sync.store.db import open_store
from sync.store.demo import seed_demo
from tests.serving import COMMAND, ROOT, environment
from tests.storing import Shop, at, on_every_database, on_sqlite, stored

pytestmark = on_every_database

main = typer.Typer()
main.add_typer(importing.app, name="import")
main.add_typer(exporting.app, name="export")

NOW = at("2026-07-14T09:30:00Z")
Run = Callable[..., Result]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store.db")


@pytest.fixture
def run(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in the test's folder, on its store; arguments are split at blanks."""
    monkeypatch.setenv("DESKGATE_STORE", shop.store.name)
    monkeypatch.chdir(tmp_path)

    def invoke(line: str, text: str | bytes | None = None) -> Result:
        return CliRunner().invoke(main, line.split(), input=text)

    return invoke


def test_the_commands_are_there() -> None:
    assert COMMANDS["import"][0] == "sidecar.cli.backoffice.importing:app"
    assert COMMANDS["export"][0] == "sidecar.cli.backoffice.exporting:app"


def test_a_good_file_is_imported(run: Run, shop: Shop) -> None:
    result = run("import tenants - --operator ada --at 2026-01-05", "tenant,parent\na,\nb,a\n")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("2 rows in ")
    assert result.stdout.endswith(" s: 2 done, 0 already, 0 bad (revision 1)\n")
    with shop.store.reading() as conn:
        first, _ = entries(conn, Sought())
    assert (first.operator, first.action) == ("local:ada", "tenant.create")


def test_bad_rows_are_told_by_file_and_line_and_the_exit_status(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("tenant,parent\na,\nb,nobody\nc\n")
    result = run("import tenants f.csv --json --report r.csv --rejects j.csv")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said.pop("seconds") >= 0
    assert said == {"rows": 3, "done": 1, "already": 0, "bad": 2, "withheld": 0, "revision": 1, "dry_run": False}
    assert result.stderr.splitlines() == [
        "f.csv:3: UNKNOWN_TENANT: there is no tenant 'nobody': see `deskgate tenant list`",
        "f.csv:4: INVALID: 2 cells are needed, it has 1",
    ]
    assert (tmp_path / "r.csv").read_text().count("\n") == 4
    assert (tmp_path / "j.csv").read_text().count("\n") == 3


def test_of_many_bad_rows_the_first_are_told(run: Run) -> None:
    result = run("import tenants -", "tenant\n" + " \n" * 30)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == importing.SHOWN + 1
    assert "--rejects" in result.stderr.splitlines()[-1]


def test_a_dry_run_says_that_nothing_was_changed(run: Run, shop: Shop) -> None:
    result = run("import tenants - --dry-run", "tenant\na\n")
    assert result.exit_code == 0
    assert result.stdout.endswith("1 done, 0 already, 0 bad (revision 0); a dry run: nothing was changed\n")
    assert json.loads(run("import tenants - --dry-run --json", "tenant\na\n").stdout)["dry_run"] is True
    assert shop.store.status().tenants == 0


def test_all_or_nothing_says_what_it_came_to(run: Run, shop: Shop) -> None:
    result = run("import tenants - --all-or-nothing", "tenant,parent\na,\nb,nobody\n")
    assert result.exit_code == 1
    assert result.stdout.endswith("0 done, 0 already, 1 bad, 1 withheld (revision 0); nothing was imported\n")
    assert shop.store.status().tenants == 0
    result = run("import tenants - --all-or-nothing", "tenant,parent\na,\n")
    assert (result.exit_code, result.stdout.split(": ")[1]) == (0, "1 done, 0 already, 0 bad (revision 1)\n")


def test_progress_is_told_now_and_then(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "EVERY", 1000)
    text = "tenant\n" + "".join(f"t{n}\n" for n in range(2500))
    result = run("import tenants - --all-or-nothing", text)
    assert result.stderr.splitlines() == ["1,000 rows", "2,000 rows"] * 2


def test_on_a_terminal_there_is_a_bar_which_is_gone_at_the_end(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("tenant,parent\n" + "".join(f"t{n},\n" for n in range(1500)) + "x,nobody\n")
    ours, theirs = pty.openpty()
    command = [*COMMAND, "import", "tenants", str(tmp_path / "f.csv"), "--store", shop.store.name]
    env = environment() | {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=theirs) as running:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        assert running.stdout is not None
        assert b"1,501 rows" in running.stdout.read()
    os.close(ours)
    assert running.returncode == 1
    assert b"1,000 rows" in shown
    assert b"UNKNOWN_TENANT" in shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # nobody has the other end any more
        return b""


def test_a_pipe_may_be_read_in_two_passes(shop: Shop) -> None:
    command = [*COMMAND, "import", "tenants", "-", "--all-or-nothing", "--store", shop.store.name]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), input=b"tenant\na\nb\n", capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert shop.store.status().tenants == 2


@pytest.mark.parametrize(
    ("line", "text", "words"),
    [
        ("import tenants missing.csv", None, "missing.csv cannot be read"),
        ("import tenants -", "", "INVALID: -:1: it is empty"),
        ("import tenants -", "tenant,color\na,b\n", "unknown column 'color'"),
        ("import tenants - --dry-run --all-or-nothing", "tenant\na\n", "give one of the two"),
        ("import tenants - --report no/such/r.csv", "tenant\na\n", "cannot be written"),
        ("import tenants - --report r.csv --rejects r.csv", "tenant\na\n", "another file"),
        ("import tenants - --at yesterday", "tenant\na\n", "is not an instant"),
        ("import tenants - --operator \x07", "tenant\na\n", "operator: "),
        ("import tenants - --run \x07", "tenant\na\n", "run: "),
        ("import payments -", "tenant\na\n", "No such command"),
        ("import tenants", None, "Missing argument"),
        ("export usage --since 2026-01-01", None, "since: "),
        ("export usage --since someday", None, "since: "),
        ("export usage --format xml", None, "--format"),
        ("export usage --format json --bom", None, "bom: "),
        ("export usage --output no/such/file.csv", None, "cannot be written"),
    ],
)
def test_bad_usage_exits_2_and_changes_nothing(run: Run, shop: Shop, line: str, text: str, words: str) -> None:
    result = run(line, text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert shop.store.status().tenants == 0


@on_sqlite
def test_the_store_is_not_written_over(run: Run, shop: Shop) -> None:
    result = run("export usage --output store.db")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give another file" in result.stderr
    assert shop.store.status().tenants == 0


def test_a_store_that_is_not_there_exits_1(run: Run, tmp_path: Path) -> None:
    for line in ("import tenants - --store none.db", "export tenants --store none.db"):
        result = run(line, "tenant\na\n")
        assert (result.exit_code, result.stderr.split(":")[0]) == (1, "STORE_MISSING")


def test_an_unknown_tenant_exits_1(run: Run) -> None:
    result = run("export usage --tenant nobody")
    assert (result.exit_code, result.stdout, result.stderr.split(":")[0]) == (1, "", "UNKNOWN_TENANT")


def test_exports_go_to_standard_output_or_a_file(run: Run, shop: Shop, tmp_path: Path) -> None:
    shop.tenant("大公司")
    shop.tenant("b")
    shown = run("export tenants --tenant 大公司 --format json")
    assert json.loads(shown.stdout)[0]["tenant"] == "大公司"
    plain = run("export tenants")
    assert (plain.exit_code, plain.stdout_bytes.count(b"\r\n")) == (0, 3)
    assert run("export tenants --bom --output t.csv").stdout == ""
    written = (tmp_path / "t.csv").read_bytes()
    assert written == b"\xef\xbb\xbf" + plain.stdout_bytes
    assert os.stat(tmp_path / "t.csv").st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_an_export_that_fails_leaves_the_old_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("old")
    assert run("export usage --since 2026-01-01 --output t.csv").exit_code == 2
    assert (tmp_path / "t.csv").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_times_and_open_tenants_are_told_by_options(run: Run, shop: Shop) -> None:
    seed_demo(shop.store, NOW)
    assert run("export audit --until 2026-07-14").stdout.count("\n") == 1
    assert run("export audit --since 2026-07-14").stdout.count("\n") > 10
    everyone, open_ones = run("export tenants").stdout, run("export tenants --open").stdout
    assert len(open_ones) < len(everyone)


def test_what_is_exported_can_be_piped_into_another_store(shop: Shop, tmp_path: Path) -> None:
    seed_demo(shop.store, NOW)
    other = stored(tmp_path / "other.db")
    deskgate = f"{sys.executable} -m sidecar"
    for kind in ("tenants", "usage"):
        line = f"{deskgate} export {kind} --open --store {shop.store.name} | {deskgate} import {kind} - --store {other}"
        subprocess.run(line, shell=True, cwd=ROOT, env=environment(), check=True, timeout=60, capture_output=True)
    assert open_store(other).status().tenants == shop.store.status().tenants - 1


def test_a_reader_that_goes_away_is_no_traceback(shop: Shop) -> None:
    seed_demo(shop.store, NOW)
    line = f"{sys.executable} -m sidecar export audit --store {shop.store.name} | head -c 1"
    done = subprocess.run(line, shell=True, cwd=ROOT, env=environment(), check=False, timeout=60, capture_output=True)
    assert b"Traceback" not in done.stderr
