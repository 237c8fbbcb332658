"""From policy files to a policy set: everything that is wrong with any of them is told at once (architecture 5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from sidecar.core.rules import PolicySet
from sidecar.policy.checks import File, check
from sidecar.policy.compile import compile_policy
from sidecar.policy.documents import PolicyDocument
from sidecar.policy.problems import PolicyError, PolicyErrors
from sidecar.policy.sources import Sources, read_sources
from sidecar.policy.wording import findings
from sidecar.policy.yamltree import read

__all__ = ["PolicyError", "PolicyErrors", "load", "load_sources"]

MOST_ERRORS: Final = 100
"""Of one file; more are not told apart."""


def load(paths: Sequence[Path]) -> PolicySet:
    """The set of policies in files and directories. Raises PolicyErrors with every error of every file."""
    return load_sources(read_sources(paths))


def load_sources(sources: Sources) -> PolicySet:
    """The set of policies in files that have been read. Raises PolicyErrors with every error of every file."""
    files = [File(s.path, read(s.content)) for s in sources.files]
    errors = list(sources.errors)
    documents = [_document(file, errors) for file in files]
    errors += check(files)
    if not files and not errors:
        errors.append(PolicyError("policies", 0, 0, "", "no policy file was given"))
    if errors:
        raise PolicyErrors(_bounded(errors, [f.name for f in files]))
    policies = (compile_policy(d, _lines(f)) for d, f in zip(documents, files, strict=True) if d is not None)
    return PolicySet(policies=tuple(policies), revision=sources.revision)


def _document(file: File, errors: list[PolicyError]) -> PolicyDocument | None:
    """The file's document; its errors are added to those given."""
    errors += [file.error(f.path, f.problem, f.hint, f.place) for f in file.tree.faults]
    if not file.tree.whole:
        return None
    try:
        return PolicyDocument.model_validate(file.tree.value)
    except ValidationError as e:
        errors += [file.error(f.path, f.problem, f.hint, f.place) for f in findings(e, file.tree)]
        return None


def _lines(file: File) -> list[int]:
    return [file.tree.place(path)[0] for path, _ in file.rules]


def _bounded(errors: Sequence[PolicyError], names: Sequence[str]) -> Iterator[PolicyError]:
    """The first errors of each file, and how many more there are."""
    for name in sorted({e.file for e in errors} | set(names)):
        own = sorted(e for e in errors if e.file == name)
        yield from islice(own, MOST_ERRORS)
        if len(own) > MOST_ERRORS:
            last = own[MOST_ERRORS - 1]
            yield PolicyError(name, last.line, last.column + 1, "", f"{len(own) - MOST_ERRORS} more errors follow")
