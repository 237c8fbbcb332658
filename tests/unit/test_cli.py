"""The command line's root: what it lists is there, imported only when called; refusals come without a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from sidecar.cli import COMMANDS, main
from sidecar.settings import KEYS
from sidecar.version import VERSION


class Ended(NamedTuple):
    """How a run of the command line ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("COLUMNS", "200")

    def call(*args: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["deskgate", *args])
        with pytest.raises(SystemExit) as left:
            main()
        code = left.value.code
        assert code is None or isinstance(code, int)
        return Ended(code or 0, *capsys.readouterr())

    return call


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_listed_is_there_and_tells_how_it_is_used(run: Run, name: str) -> None:
    ended = run(name, "--help")
    assert ended.status == 0
    assert f"deskgate {name}" in ended.out


def test_help_lists_every_command(run: Run) -> None:
    ended = run("--help")
    assert all(f" {name} " in ended.out for name in COMMANDS)


def test_the_version_is_told(run: Run) -> None:
    assert run("--version") == Ended(0, f"deskgate {VERSION}\n", "")


def test_a_mistyped_command_is_told_the_near_one(run: Run) -> None:
    ended = run("polcy")
    assert ended.status == 2
    assert "'policy'" in ended.err


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, sidecar.cli\n"
        "try: sidecar.cli.root()(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = ('grpc', 'sqlalchemy', 'pydantic', 'google.protobuf', 'prometheus_client')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "[]"


def test_as_a_module_it_is_the_same() -> None:
    told = subprocess.run([sys.executable, "-m", "sidecar", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout == f"deskgate {VERSION}\n"


def test_config_show_tells_every_value_and_its_origin(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "deskgate.yaml"
    file.write_text("policies: [a, b]\n")
    monkeypatch.setenv("DESKGATE_MAX_WAITING", "3")
    ended = run("config", "show", "--config", str(file), "--threads", "5")
    assert ended.status == 0
    lines = {line.split()[0]: line for line in ended.out.splitlines()}
    assert set(lines) == set(KEYS)
    assert lines["threads"].split() == ["threads", "5", "--threads"]
    assert lines["max_waiting"].split() == ["max_waiting", "3", "DESKGATE_MAX_WAITING"]
    assert "a, b" in lines["policies"]
    assert lines["policies"].endswith(f"{file}:policies")
    assert lines["grpc_socket"].split() == ["grpc_socket", "-", "default"]


def test_config_show_as_json(run: Run) -> None:
    told = json.loads(run("config", "show", "--json", "--grpc-address", "[::1]:1").out)
    assert told["settings"]["grpc_address"] == {"value": "[::1]:1", "origin": "--grpc-address"}
    assert len(told["digest"]) == 12


def test_every_mistake_is_told_at_once_without_a_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESKGATE_THRED", "1")
    ended = run("config", "show", "--threads", "x", "--grpc-address", "0.0.0.0:9290")
    assert ended.status == 2
    assert ended.out == ""
    for text in ("DESKGATE_THRED", "--threads: ", "--grpc-address: "):
        assert text in ended.err
    assert "Traceback" not in ended.err


def test_config_schema_refuses_unknown_keys(run: Run) -> None:
    schema = json.loads(run("config", "schema").out)
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(KEYS)
