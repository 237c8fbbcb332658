"""Each test has a place of its own, unless its module says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serving import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)
