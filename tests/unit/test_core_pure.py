"""The core imports nothing impure: what it knows of time, chance and the outside comes in as arguments."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ALLOWED = {
    "__future__",
    "bisect",
    "calendar",
    "collections",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fnmatch",
    "functools",
    "itertools",
    "operator",
    "re",
    "types",
    "typing",
    "zoneinfo",
}
CLOCKS = {"now", "utcnow", "today", "time_ns"}
ROOMS = {
    "sidecar/core": ("sidecar.core",),
    "sidecar/policy": ("sidecar.core", "sidecar.policy"),
    "sidecar/state": (
        *("sidecar._gen", "sidecar.core", "sidecar.state", "sidecar.records"),
        *("sync.digest", "sync.sources"),
    ),
}


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return found | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("path", sorted((ROOT / "sidecar/core").glob("*.py")), ids=lambda p: p.name)
def test_the_core_is_pure(path: Path) -> None:
    outside = {
        name for name in imports(path) if name.split(".")[0] not in ALLOWED and not name.startswith("sidecar.core")
    }
    assert outside == set()
    called = {
        n.func.attr
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
    }
    assert not called & CLOCKS


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room: str) -> None:
    for path in (ROOT / room).rglob("*.py"):
        own = {name for name in imports(path) if name.split(".")[0] in ("sidecar", "sync")}
        assert {name for name in own if not name.startswith(ROOMS[room])} == set(), path


def test_sync_never_imports_serving() -> None:
    for path in (ROOT / "sync").rglob("*.py"):
        assert not {name for name in imports(path) if name.startswith(("sidecar.serving", "sidecar.cli"))}, path
