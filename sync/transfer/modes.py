"""Ways to import a file: keeping what is good, only trying, or all of it or nothing."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final, cast

from sidecar.core.errors import InvalidRequest
from sync.store.db import Store
from sync.transfer.drafts import Draft, draft, refuse_same
from sync.transfer.importing import Import, Summary
from sync.transfer.report import Listener, Outcome, Rejects, Report
from sync.transfer.scratch import copy_of
from sync.transfer.sheet import Sheet

STDIN: Final = "-"


class Mode(StrEnum):
    """KEEP_GOOD: bad rows are left out. DRY_RUN: nothing is changed. ALL_OR_NOTHING: nothing, if one row is bad."""

    KEEP_GOOD = "keep_good"
    DRY_RUN = "dry_run"
    ALL_OR_NOTHING = "all_or_nothing"


MakeImport = Callable[[Outcome | None], Import]


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The file that is imported ("-": standard input), and those that are written of it."""

    name: str
    report: Path | None = None
    rejects: Path | None = None

    @contextmanager
    def opened(self, *, twice: bool) -> Iterator[BinaryIO]:
        """The file to be read; with `twice` it can be read again. Raises InvalidRequest."""
        with ExitStack() as stack:
            stream: BinaryIO = sys.stdin.buffer if self.name == STDIN else stack.enter_context(_opened(Path(self.name)))
            if twice and not stream.seekable():
                spooled = cast("BinaryIO", stack.enter_context(tempfile.TemporaryFile()))
                shutil.copyfileobj(stream, spooled)
                spooled.seek(0)
                stream = spooled
            yield stream


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        stream = path.open("rb")
    except OSError as e:
        raise InvalidRequest("file", f"{path} cannot be read: {e.strerror}") from e
    with stream:
        yield stream


def run(make: MakeImport, store: Store, files: Files, mode: Mode, told: Listener) -> Summary:
    """Imports a file. `make` gives the import, for a trial or to stay.

    Raises BadSheet, InvalidRequest, CannotWrite, or StoreError: then what was done until then stays done.
    """
    taken = [path for path in (store.file, None if files.name == STDIN else Path(files.name)) if path is not None]
    for field, path in (("report", files.report), ("rejects", files.rejects)):
        if path is not None:
            refuse_same(field, path, taken)
            taken.append(path)
    with files.opened(twice=mode is Mode.ALL_OR_NOTHING) as stream:
        if mode is Mode.KEEP_GOOD:
            return _pass(make(None), store, files, stream, told)
        label = Outcome.DONE if mode is Mode.DRY_RUN else Outcome.WITHHELD
        before = store.status().revision
        with copy_of(store) as copy:
            tried = _pass(make(label), copy, files, stream, told, only_bad=mode is Mode.ALL_OR_NOTHING)
        if mode is Mode.DRY_RUN or tried.bad:
            return replace(tried, revision=before)
        stream.seek(0)
        done = _pass(make(None), store, files, stream, told)
        return replace(done, seconds=tried.seconds + done.seconds)


def _pass(
    made: Import, store: Store, files: Files, stream: BinaryIO, told: Listener, *, only_bad: bool = False
) -> Summary:
    """Reads the file once. The files about it are kept; with `only_bad`, only if some row is bad."""
    sheet = Sheet(stream, files.name)
    sheet.check(made.kind.shape.known, made.kind.shape.needed)
    with ExitStack() as stack:
        tells: list[Listener] = [told]
        drafts: list[Draft] = []
        if files.report is not None:
            drafts.append(stack.enter_context(draft(files.report)))
            tells.append(Report(drafts[-1]))
        if files.rejects is not None:
            drafts.append(stack.enter_context(draft(files.rejects)))
            tells.append(Rejects(drafts[-1], sheet.header, made.kind.shape))
        summary = made.into(store, sheet, tells)
        for each in drafts:
            each.wanted = bool(summary.bad) or not only_bad
        return summary
