"""The thread that keeps a sink up with its source, for as long as the process lives."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from sync.sources import FailureKind, Sink, Source, SyncFailed


class Follower:
    """Makes step after step, as far apart as the source's pace says."""

    def __init__(self, source: Source, sink: Sink, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: in seconds, and never set back."""
        self._source: Final = source
        self._sink: Final = sink
        self._clock: Final = clock
        self._stopping: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="deskgate-follower", daemon=True)
        self._log: Final = structlog.get_logger(component="sync")

    def start(self) -> None:
        """Begins to follow. Once only."""
        self._thread.start()

    def stop(self) -> None:
        """Asks it to end; a step under way is given up, which loses nothing."""
        self._stopping.set()
        self._source.interrupt()

    def join(self, timeout: float | None = None) -> bool:
        """Waits for its end. True when it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pace = self._source.pace
        while not self._stopping.is_set():
            again = pace.well if self._step() else pace.failed
            self._stopping.wait(again(self._clock()))
        self._source.close()

    def _step(self) -> bool:
        try:
            self._source.step(self._sink)
        except Exception as e:  # whatever it is, entitlements must go on coming
            if not self._stopping.is_set():
                self._report(e)
            return False
        return True

    def _report(self, error: Exception) -> None:
        if not isinstance(error, SyncFailed):
            self._log.exception("following the store failed unexpectedly", exc_info=error)
            error = SyncFailed(FailureKind.UNEXPECTED, f"{type(error).__name__}: {error}")
        try:
            self._sink.failed(error)
        except Exception as e:
            self._log.exception("a failure to follow the store could not be reported", exc_info=e)
