"""The last good set of policies, kept on disk so that a start with a bad set can serve it (architecture 5).

One file holds the whole set and replaces the former one atomically: it is whole or it is the former one.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any, Final

from sidecar.core.errors import DeskgateError
from sidecar.policy.sources import Source, Sources

FILE: Final = "last-good-policies.json"
FORMAT: Final = 1


class NotKept(DeskgateError):
    """There is no last good set that can be read; the message says why."""


def keep(sources: Sources, state_dir: Path) -> None:
    """Makes these files the last good set. Durable when it returns; raises OSError when it cannot be written."""
    files = [{"path": s.path, "content": base64.b64encode(s.content).decode()} for s in sources.files]
    kept = {"format": FORMAT, "revision": sources.revision, "files": files}
    state_dir.mkdir(parents=True, exist_ok=True)
    target = state_dir / FILE
    partial = target.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(kept, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)
    _sync_directory(state_dir)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def kept(state_dir: Path) -> Sources:
    """The files of the last good set. Raises NotKept when there are none or they are not what was kept."""
    path = state_dir / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        sources = Sources(tuple(map(_source, found["files"])))
        whole = found["format"] == FORMAT and found["revision"] == sources.revision
    except FileNotFoundError:
        raise NotKept(f"no last good policies are kept in {state_dir}") from None
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise NotKept(f"the last good policies in {path} cannot be read: {type(e).__name__}: {e}") from None
    if not whole:
        raise NotKept(f"the last good policies in {path} are not what was kept")
    return sources


def _source(file: Any) -> Source:
    return Source(str(file["path"]), base64.b64decode(file["content"], validate=True))
