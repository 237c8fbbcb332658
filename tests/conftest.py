"""What holds for all tests: nothing of one is left for the next. Tests of the store run on every database that it can
be kept in: their modules say `on_every_database`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from tests import postgresql, storing


@pytest.fixture(scope="session", autouse=True)
def _statements_are_compiled_once() -> Iterator[None]:
    with storing.one_dialect():
        yield


@pytest.fixture(scope="module", params=storing.PLACES)
def each_place(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a module's stores are made."""
    storing.run_on(request.param)
    with postgresql.kept_engines():
        yield request.param
    storing.run_on("sqlite")
    _let_go(0, 0)


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command that is run in this process sends the log where its own output goes, which is closed after it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _no_database_is_left() -> Iterator[None]:
    kept = postgresql.count(), postgresql.lent()
    yield
    _let_go(*kept)


def _let_go(made: int, lent: int) -> None:
    postgresql.give_back(lent)
    postgresql.drop(made)
