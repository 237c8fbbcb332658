"""Tests of the store run on every database that it can be kept in: their modules say `on_every_database`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import storing


@pytest.fixture(scope="module", params=storing.PLACES)
def each_place(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a module's stores are made."""
    storing.run_on(request.param)
    yield request.param
    storing.run_on("sqlite")
    _drop(0)


@pytest.fixture(autouse=True)
def _no_database_is_left() -> Iterator[None]:
    kept = storing.postgresql.count()
    yield
    _drop(kept)


def _drop(kept: int) -> None:
    if storing.postgresql.count() > kept:
        storing.postgresql.drop(kept)
