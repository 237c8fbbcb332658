"""The files a set of policies is made of, as bytes, read so that what is judged is what was there at one time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Final

from sidecar.policy.problems import PolicyError
from sidecar.policy.yamltree import LARGEST

SUFFIXES: Final = (".yaml", ".yml")
SUITES: Final = ("_test.yaml", "_test.yml")


@dataclass(frozen=True, slots=True)
class Source:
    """One file: `path` for people, and its content."""

    path: str
    content: bytes

    @property
    def name(self) -> str:
        """By which it is ordered, and known to the revision: the same wherever the files lie."""
        return Path(self.path).name


@dataclass(frozen=True, slots=True)
class Sources:
    """All files of a set in order of their names, and what kept others from being read."""

    files: tuple[Source, ...]
    errors: tuple[PolicyError, ...] = ()

    @property
    def revision(self) -> str:
        """A digest of names and contents, in hex: the same files give the same one everywhere."""
        return _digest(part for f in self.files for part in (f.name.encode(), f.content))[:16]

    @property
    def fingerprint(self) -> str:
        """A digest of all that was found, errors included: changes whenever anything does."""
        errors = "\n".join(map(str, self.errors)).encode()
        return _digest([errors, *(part for f in self.files for part in (f.path.encode(), f.content))])


def _digest(parts: Iterator[bytes] | Sequence[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def read_sources(paths: Sequence[Path]) -> Sources:
    """The files at `paths`. Of a directory: its *.yaml and *.yml but for *_test.yaml and dotfiles, not recursing."""
    files: list[Source] = []
    errors: list[PolicyError] = []
    for path in dict.fromkeys(p for given in paths for p in _listed(given, errors)):
        try:
            files.append(Source(str(path), _content(path)))
        except OSError as e:
            errors.append(_whole(path, f"cannot be read: {e.strerror or e}"))
    files.sort(key=lambda f: (f.name, f.path))
    return Sources(tuple(files), tuple(errors))


def _whole(path: Path, problem: str, hint: str = "") -> PolicyError:
    return PolicyError(str(path), 0, 0, "", problem, hint)


def _listed(path: Path, errors: list[PolicyError]) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        found = sorted(p for p in path.iterdir() if _is_policy(p.name))
    except OSError as e:
        errors.append(_whole(path, f"cannot be read: {e.strerror or e}"))
        return []
    if not found:
        errors.append(_whole(path, "no policy file is in the directory", "policies end in .yaml"))
    return found


def _is_policy(name: str) -> bool:
    return name.endswith(SUFFIXES) and not name.endswith(SUITES) and not name.startswith(".")


def _content(path: Path) -> bytes:
    """At most a little more than a file may have, so that a large one is seen to be too large without reading it."""
    if not S_ISREG(path.stat().st_mode):
        raise OSError("it is not a file")
    with path.open("rb") as file:
        return file.read(LARGEST + 1)
