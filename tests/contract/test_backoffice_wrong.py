"""Whatever is wrong with a call, it is told: no field of any call, wrong in any way, makes the back office fail.

Invariant: a call is either done, or ends with a typed error, and then neither revision nor audit trail has moved. A
value that is wrong is named by a field of the request.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from sidecar.core.errors import InvalidRequest
from sync.backoffice.contract import CALLS
from sync.backoffice.desk import Desk, RemoteDesk
from sync.store.db import Store, open_store
from sync.store.errors import Refused
from sync.store.operators import Role
from sync.store.place import Place
from tests.desks import Here, furnished, marks, serving, token_of, valid
from tests.storing import on_every_database, place, stored
from tests.wrong import variants

pytestmark = on_every_database

VALID = valid()
SOAK = bool(os.environ.get("DESKGATE_SOAK"))


class _Undone(Exception):
    """A change that was done, and is not to stay."""


class Undoing:
    """A place that undoes each change instead of committing it: a new database for each would take much longer."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def __getattr__(self, name: str) -> Any:
        return getattr(self._place, name)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with suppress(_Undone), self._place.writing() as conn:
            yield conn
            raise _Undone


class Outcomes:
    """A furnished store, and what came of each call."""

    def __init__(self, path: Path) -> None:
        self.store = Store(Undoing(open_store(stored(path, furnished)).place))
        self.desk = Here(self.store, Role.ADMIN)
        self.before = marks(self.store)

    def of(self, method: str, request: Any) -> Refused | InvalidRequest | None:
        """What a call ended with; None: it was done."""
        error: Refused | InvalidRequest
        try:
            self.desk.call(method, request)
        except (Refused, InvalidRequest) as e:
            error = e
        else:
            return None
        assert marks(self.store) == self.before, f"{error}, and yet something was changed"
        return error


@pytest.fixture
def outcomes(tmp_path: Path) -> Outcomes:
    return Outcomes(tmp_path / "store.db")


def test_there_is_a_valid_request_for_every_call() -> None:
    assert set(VALID) == set(CALLS)


@pytest.mark.parametrize("method", VALID)
def test_what_is_valid_is_done(outcomes: Outcomes, method: str) -> None:
    assert outcomes.of(method, VALID[method]) is None


@pytest.mark.parametrize("method", VALID)
def test_a_call_with_a_wrong_field_is_done_or_told_and_changes_nothing_unless_it_is_done(
    outcomes: Outcomes, method: str
) -> None:
    names = {field.name for field in VALID[method].DESCRIPTOR.fields}
    wrong = variants(VALID[method], leaving_out=() if method == "ArchivePlan" else ("idempotency_key",))
    for path, request in islice(wrong, None, None, 1 if place() == "sqlite" or SOAK else 3):
        error = outcomes.of(method, request)
        if isinstance(error, InvalidRequest):
            assert error.field.split(".")[0].split("[")[0] in names, f"{path}: {error}"
            assert error.problem
        if isinstance(error, Refused):
            assert error.code.isupper()
            assert error.advice


def test_what_cannot_be_right_is_told(outcomes: Outcomes) -> None:
    for method, request, field in _hopeless():
        error = outcomes.of(method, request)
        assert isinstance(error, InvalidRequest), f"{method}: {field} was taken"
        assert error.field.startswith(field), f"{method}: {error}"


def _hopeless() -> Iterator[tuple[str, Any, str]]:
    """Requests that are wrong whatever they are about."""
    for method, request in VALID.items():
        for field in request.DESCRIPTOR.fields:
            if field.type == field.TYPE_STRING and not field.is_repeated:
                for value in ("x" * 5000, "a\x00b"):
                    yield method, _set(request, field.name, value), field.name
        if hasattr(request, "idempotency_key"):
            for key in ("", "x" * 257, " x"):
                yield method, _set(request, "idempotency_key", key), "idempotency_key"
        if hasattr(request, "page_size"):
            for size in (-1, 1001):
                yield method, _set(request, "page_size", size), "page_size"


def _set(request: Any, name: str, value: Any) -> Any:
    copy = type(request)()
    copy.CopyFrom(request)
    setattr(copy, name, value)
    return copy


@pytest.mark.parametrize("seed", range(4))
def test_over_grpc_the_same_comes_of_it(tmp_path: Path, seed: int) -> None:
    """Two stores alike, one here and one behind a server, are put to the same calls, with two fields wrong at once."""
    chosen = random.Random(seed)
    near, far = (_copied(tmp_path / name) for name in ("near.db", "far.db"))
    token_of(near, Role.ADMIN)
    here, taken = Here(near, Role.ADMIN), 0
    with serving(far) as target, RemoteDesk(target, token_of(far, Role.ADMIN)) as there:
        for number in range(150):
            method = chosen.choice(list(VALID))
            request = _wrong_twice(chosen, VALID[method], f"key {number}")
            outcome = _ending(here, method, request)
            assert _ending(there, method, request) == outcome, request
            taken += outcome == ""
        assert marks(near)[3:5] == marks(far)[3:5]
    assert 10 < taken < 140


def _copied(path: Path) -> Store:
    return open_store(stored(path, furnished))


def _wrong_twice(chosen: random.Random, request: Any, key: str) -> Any:
    for _ in range(2):
        found = [wrong for _, wrong in variants(request, leaving_out=("idempotency_key",))]
        request = chosen.choice(found) if found else request
    if hasattr(request, "idempotency_key"):
        request.idempotency_key = key
    return request


def _ending(desk: Desk, method: str, request: Any) -> str:
    """What a call ended with; "": it was done."""
    try:
        desk.call(method, request)
    except InvalidRequest as e:
        return f"INVALID {e.field}"
    except Refused as e:
        return e.code
    return ""
