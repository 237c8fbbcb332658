"""`deskgate outbox`: what it prints, in words and in JSON, and how it exits."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from sidecar.cli import outbox as outbox_cli
from sidecar.core.errors import DeskgateError
from sidecar.outbox.file import Outbox
from sidecar.outbox.rows import NotThere, OutboxDamaged
from sidecar.outbox.writer import draft_of
from sidecar.serving.adjust import Adjustment

AT = 1_790_000_000_000_000
Run = Callable[..., Result]


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    outbox = Outbox(tmp_path / "outbox.db", limit=10)
    for key, change in (
        ("k1", {"delta": -3}),
        ("k2", {"absolute": 12}),
        ("k3", {"seats": (("ann", True), ("bob\x1b[31m", False))}),
    ):
        outbox.put(draft_of(Adjustment(tenant_id="acme", key="desk", idempotency_key=key, **change)), AT)
    first = outbox.oldest()
    assert first is not None
    outbox.refused(first, "USAGE_BELOW_ZERO", "acme has 1 of desk")
    return outbox


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return lambda *args: CliRunner().invoke(outbox_cli.app, [*args, "--state-dir", str(tmp_path)])


@pytest.mark.usefixtures("outbox")
def test_it_lists_what_there_is(run: Run) -> None:
    told = json.loads(run("list", "--json").output)
    assert told[0] == {
        "idempotency_key": "k1",
        "at": "2026-09-21T14:13:20Z",
        "tenant_id": "acme",
        "key": "desk",
        "change": "-3",
        "state": "refused",
        "attempts": 1,
        "code": "USAGE_BELOW_ZERO",
        "why": "acme has 1 of desk",
    }
    assert [t["change"] for t in told] == ["-3", "=12", "assign ann, revoke bob\x1b[31m"]
    assert [t["idempotency_key"] for t in json.loads(run("list", "--refused", "--json").output)] == ["k1"]
    lines = run("list").output.splitlines()
    assert len(lines) == 4
    assert " ".join(lines[1].split()) == (
        "k1 2026-09-21T14:13:20Z acme desk -3 refused USAGE_BELOW_ZERO 1 acme has 1 of desk"
    )
    assert "revoke bob?[31m" in lines[3]


def test_it_lists_nothing(run: Run, outbox: Outbox) -> None:
    for key in ("k1", "k2", "k3"):
        assert run("drop", key, "--pending").exit_code == 0
    assert run("list").output == "the outbox is empty\n"
    assert run("list", "--refused").output == "none was refused\n"
    assert run("list", "--json").output == "[]\n"


def test_one_is_retried_and_one_dropped(run: Run, outbox: Outbox) -> None:
    assert run("retry", "k1").output == "k1 is to be sent once more\n"
    oldest = outbox.oldest()
    assert oldest is not None
    assert oldest.idempotency_key == "k1"
    outbox.refused(oldest, "UNKNOWN_TENANT", "no")
    assert run("drop", "k1").output == "dropped: acme desk -3, stated at 2026-09-21T14:13:20Z\n"
    assert not outbox.holds("k1")


@pytest.mark.usefixtures("outbox")
def test_what_cannot_be_done_is_told(run: Run) -> None:
    for args in (("retry", "k2"), ("drop", "k2"), ("retry", "k9")):
        done = run(*args)
        assert isinstance(done.exception, NotThere)


@pytest.mark.usefixtures("outbox")
def test_a_request_that_was_altered_is_told(run: Run, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as conn, conn:
        conn.execute("UPDATE statement SET request = x'ff' WHERE idempotency_key = 'k2'")
    assert [t["change"] for t in json.loads(run("list", "--json").output)][1] == "altered on disk"


def test_where_there_is_no_outbox_or_a_damaged_one(run: Run, tmp_path: Path) -> None:
    assert isinstance(run("list").exception, NotThere)
    (tmp_path / "outbox.db").write_bytes(b"nothing of the kind" * 100)
    damaged = run("list").exception
    assert isinstance(damaged, OutboxDamaged)
    assert isinstance(damaged, DeskgateError), "told in a line, exit status 2"
