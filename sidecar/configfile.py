"""A settings file, YAML or TOML, as a plain mapping; what it holds is judged in sidecar/settings.py."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

MAX_FILE_BYTES: Final = 65_536


def read_config(file: Path) -> dict[str, object]:
    """The file's top-level keys and values. Raises ValueError saying in one line why it cannot be read."""
    readers: dict[str, Callable[[str], dict[str, object]]] = {
        ".toml": tomllib.loads,
        ".yaml": _read_yaml,
        ".yml": _read_yaml,
    }
    if file.suffix not in readers:
        raise ValueError("neither YAML nor TOML by its name: end it in .yaml, .yml or .toml")
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as e:
        raise ValueError(f"cannot be read: {e.strerror}") from e
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
    try:
        return readers[file.suffix](data.decode())
    except UnicodeDecodeError as e:
        raise ValueError(f"not UTF-8 at byte {e.start}") from e
    except ValueError as e:
        raise ValueError(" ".join(str(e).split())) from e


class _OnceLoader(yaml.SafeLoader):
    """Refuses what YAML lets pass: a key given twice, and aliases, of which bombs are made."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ValueError(f"line {self.peek_event().start_mark.line + 1}: aliases are not taken")  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise ValueError(f"line {key.start_mark.line + 1}: {key.value!r} is given twice")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _read_yaml(text: str) -> dict[str, object]:
    try:
        values = yaml.load(text, _OnceLoader)  # noqa: S506 - a SafeLoader, made stricter
    except RecursionError as e:
        raise ValueError("nested too deeply") from e
    except yaml.YAMLError as e:
        raise ValueError(f"not YAML: {e}") from e
    if values is not None and not isinstance(values, dict):
        raise ValueError("a mapping of settings is needed")
    return values or {}
