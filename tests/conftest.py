"""Tests of the store run on every database that it can be kept in: their modules say `on_every_database`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import postgresql, storing


@pytest.fixture(scope="module", params=storing.PLACES)
def each_place(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a module's stores are made."""
    storing.run_on(request.param)
    with postgresql.kept_engines():
        yield request.param
    storing.run_on("sqlite")
    _let_go(0, 0)


@pytest.fixture(autouse=True)
def _no_database_is_left() -> Iterator[None]:
    kept = postgresql.count(), postgresql.lent()
    yield
    _let_go(*kept)


def _let_go(made: int, lent: int) -> None:
    postgresql.give_back(lent)
    postgresql.drop(made)
