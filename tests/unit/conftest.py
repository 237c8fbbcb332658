"""What several modules of unit tests are given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sinks import Following


@pytest.fixture
def following(tmp_path: Path) -> Iterator[Following]:
    """A store's file and a sidecar that follows it, step by step."""
    following = Following(tmp_path)
    yield following
    following.source.close()
    following.sink.close()
