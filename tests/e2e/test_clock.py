"""A clock that is turned back revives nothing, and an operator can settle the matter (domain.md 4 and 8.26)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.serving import ROOT, Place, RunningSidecar, deskgate, told_by

DAY = 86_400
AHEAD = 300 * DAY
"""Acme's term ends in 265 days, and its grace three months later."""


class Machine:
    """A machine whose clock can be set."""

    def __init__(self, folder: Path) -> None:
        self._shift = folder / "shift"
        self.command = (sys.executable, str(ROOT / "tests" / "e2e" / "shifted.py"), str(self._shift))
        self.set(0)

    def set(self, ahead: int) -> None:
        """Sets the clock so many seconds ahead."""
        draft = self._shift.with_suffix(".draft")
        draft.write_text(str(ahead))
        draft.replace(self._shift)


@pytest.fixture
def machine(place: Place, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return Machine(place.folder)


def asked(sidecar: RunningSidecar) -> str:
    return sidecar.check("acme", "booking.create", "shared_desk").reason


def settled(place: Place, machine: Machine) -> dict[str, str]:
    options = ("--state-dir", place.state, "--store", place.store_path, "--by", "ops", "--json")
    done = deskgate("clock", "settle", *options, command=machine.command)
    assert done.returncode == 0, done.stderr
    told: dict[str, str] = json.loads(done.stdout)
    assert told["before"] > told["after"]
    (line,) = (place.state / "clock-settlements.jsonl").read_text().splitlines()
    assert json.loads(line)["by"] == "ops"
    assert ("the audit trail does not tell of it" in done.stderr) != place.store_path.exists()
    return told


def audited(place: Place) -> list[dict[str, str]]:
    """Settlements in the store's audit trail."""
    trail = told_by("audit", "list", "--action", "clock.settle", "--store", place.store_path)
    return list(trail["entries"])


def test_an_expiry_acted_on_stays_through_a_restart_and_is_lifted_by_settling(place: Place, machine: Machine) -> None:
    with place.serve(command=machine.command) as sidecar:
        assert asked(sidecar) == ""
        machine.set(AHEAD)
        assert asked(sidecar) == "SUBSCRIPTION_EXPIRED"
        machine.set(AHEAD - 2 * DAY)
        assert asked(sidecar) == "SUBSCRIPTION_EXPIRED"
        machine.set(0)
        assert asked(sidecar) == "SUBSCRIPTION_EXPIRED"
        assert sidecar.stop() == 0
    place.hide_store()
    with place.serve(command=machine.command) as again:
        assert asked(again) == "SUBSCRIPTION_EXPIRED"
        assert again.metric("clock_offset_seconds") < -AHEAD + DAY
        assert again.status()["clock"]["source"] == "floor"
        again.wait_for_event(
            "the machine's clock is far from the instant decided by; if it is right, run `deskgate clock settle`"
        )
        told = settled(place, machine)
        assert asked(again) == ""
        assert again.metric("clock_offset_seconds") == 0
        assert again.events("the clock was settled")[0]["by"] == "ops"
        assert again.check("acme", "tenant.read").as_of.isoformat() >= told["after"].rstrip("Z")  # type: ignore[union-attr]


def test_the_floor_outlives_kill_9_and_is_settled_while_stopped(place: Place, machine: Machine) -> None:
    machine.set(AHEAD)
    with place.serve(command=machine.command) as sidecar:
        assert asked(sidecar) == "SUBSCRIPTION_EXPIRED"
        sidecar.wait(lambda: (place.state / "clock").exists() and (place.state / "clock").stat().st_size)
        sidecar.kill()
    machine.set(0)
    with place.serve(command=machine.command) as again:
        assert asked(again) == "SUBSCRIPTION_EXPIRED"
        assert again.stop() == 0
    shown = deskgate("clock", "show", "--state-dir", place.state, "--json")
    assert json.loads(shown.stdout)["machine_behind_seconds"] > AHEAD - DAY
    told = settled(place, machine)
    (entry,) = audited(place)
    assert (entry["operator"], json.loads(entry["after_json"])) == ("local:ops", {"now": told["after"]})
    with place.serve(command=machine.command) as settled_one:
        assert asked(settled_one) == ""
        assert settled_one.status()["clock"]["source"] == "machine"
