"""`deskgate clock settle`: an operator's word that the machine's clock is right (domain.md 4).

A stopped sidecar's memory is changed in place. A running one holds its state directory, so the request is laid there;
it settles by itself and answers. Either way a line is added to the state directory's log of settlements, first.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path
from typing import Any, Final

from sidecar.core.errors import DeskgateError
from sidecar.state.clock import Clock, Settlement
from sidecar.state.clockfile import ClockFile, ClockFileUnusable
from sidecar.state.directory import StateDirectory, StateInUse

REQUEST: Final = "clock-settle-request.json"
ANSWER: Final = "clock-settle-answer.json"
LOG: Final = "clock-settlements.jsonl"
ASKED_EVERY: Final = 0.02
"""Seconds between two looks for an answer."""


class NotSettled(DeskgateError):
    """The clock was not settled; nothing has changed."""


def settle(state: Path, *, by: str, patience: float = 5.0) -> Settlement:
    """Settles the clock of the sidecar with this state directory, running or not; durable when it returns.

    Waits up to `patience` seconds for a running one. Raises NotSettled.
    """
    if not state.is_dir():
        raise NotSettled(f"there is no state directory {state}")
    try:
        held = StateDirectory(state)
    except StateInUse as e:
        return _ask(state, by, patience, str(e))
    try:
        return settle_here(Clock(ClockFile(held.clock)), state, by)
    except ClockFileUnusable as e:
        raise NotSettled(str(e)) from e
    finally:
        held.close()


def settle_here(clock: Clock, state: Path, by: str) -> Settlement:
    """Settles a clock whose state directory is this process' own. Raises NotSettled, ClockFileUnusable."""
    line = {"at_machine": clock.machine, "now_before": clock.now(), "by": by, "pid": os.getpid()}
    try:
        with open(state / LOG, "a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
            log.flush()
            os.fsync(log.fileno())
    except OSError as e:
        raise NotSettled(f"the settlement could not be logged, so it was not made: {e}") from e
    return clock.settle(by)


def answer_request(clock: Clock, state: Path) -> Settlement | None:
    """Does what a request in the state directory asks, and answers it; None: there is none. Raises OSError."""
    request = state / REQUEST
    try:
        asked = json.loads(request.read_bytes())
        number, by = str(asked["id"]), str(asked["by"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as e:
        request.unlink(missing_ok=True)
        raise NotSettled(f"{request} was no request: {e!r}") from e
    request.unlink()  # first: a request is never followed twice
    try:
        done = settle_here(clock, state, by)
    except DeskgateError as e:
        _lay(state / ANSWER, {"id": number, "problem": str(e)})
        raise
    _lay(state / ANSWER, {"id": number, "before": done.before, "after": done.after})
    return done


def _ask(state: Path, by: str, patience: float, who: str) -> Settlement:
    number = uuid.uuid4().hex
    try:
        _lay(state / REQUEST, {"id": number, "by": by})
    except OSError as e:
        raise NotSettled(f"{who}, and could not be asked: {e}") from e
    until = time.monotonic() + patience
    while time.monotonic() < until:
        told = _read_answer(state / ANSWER, number)
        if told is not None:
            return _settlement(told, by)
        time.sleep(ASKED_EVERY)
    (state / REQUEST).unlink(missing_ok=True)
    raise NotSettled(f"{who}, and did not answer within {patience:g} s: stop it and try again")


def _read_answer(path: Path, number: str) -> dict[str, Any] | None:
    try:
        told = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    if told.get("id") != number:
        return None
    path.unlink(missing_ok=True)
    return dict(told)


def _settlement(told: dict[str, Any], by: str) -> Settlement:
    if "problem" in told:
        raise NotSettled(str(told["problem"]))
    return Settlement(before=told["before"], after=told["after"], by=by)


def _lay(path: Path, content: dict[str, Any]) -> None:
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(content), encoding="utf-8")
    os.replace(draft, path)
