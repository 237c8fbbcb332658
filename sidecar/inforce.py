"""The policies in force: what the watcher brings is adopted, and how it went is remembered for metrics and status."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from sidecar.core.book import Book
from sidecar.core.calendar import format_instant
from sidecar.core.model import Instant
from sidecar.core.rules import PolicySet
from sidecar.observe.logs import log
from sidecar.observe.metrics import Metrics
from sidecar.observe.status import PolicyStatus
from sidecar.policy.problems import PolicyErrors
from sidecar.policy.reload import Loaded, PolicyWatcher

_log = log("policy")


class PoliciesInForce:
    """Adopts policy sets as their files change. Its attributes may be read by any thread."""

    def __init__(
        self,
        *,
        paths: tuple[Path, ...],
        loaded: Loaded,
        adopt: Callable[[Book], None],
        metrics: Metrics,
        machine: Callable[[], Instant],
        state_dir: Path,
        poll_seconds: float,
    ) -> None:
        """`loaded` is in force already; `machine` is the machine's clock, by which people look up when it was."""
        self._paths: Final = paths
        self._adopt: Final = adopt
        self._metrics: Final = metrics
        self._machine: Final = machine
        self.policy_set = loaded.policy_set
        self.last_reload_ok = loaded.errors is None or not loaded.errors.refused
        self.last_reload_at = self._since = machine()
        self._error = str(loaded.errors or "")
        self._from_last_good = loaded.last_good
        self._watcher: Final = PolicyWatcher(
            paths, self._changed, self._failed, state_dir=state_dir, started=loaded, poll_seconds=poll_seconds
        )
        metrics.policy_reload(ok=self.last_reload_ok)
        if loaded.errors is not None:
            told = (
                "bad policies: the last good ones serve" if loaded.last_good else "policies in force could not be kept"
            )
            _log.error(told, errors=[str(e) for e in loaded.errors.errors])

    def start(self) -> None:
        """Begins to watch the files."""
        self._watcher.start()

    def stop(self) -> None:
        """Ends the watch."""
        self._watcher.stop()

    def status(self) -> PolicyStatus:
        """For people."""
        return PolicyStatus(
            revision=self.policy_set.revision,
            names=tuple(p.name for p in self.policy_set.policies),
            sources=tuple(map(str, self._paths)),
            in_force_since=format_instant(self._since),
            last_reload_at=format_instant(self.last_reload_at),
            last_reload_ok=self.last_reload_ok,
            last_error=self._error,
            from_last_good=self._from_last_good,
        )

    def _changed(self, policy_set: PolicySet) -> None:
        self._adopt(Book(policy_set))
        self.policy_set = policy_set
        self._since = self._machine()
        self._from_last_good = False
        self._told(ok=True, error="")
        _log.info("policies are in force", revision=policy_set.revision, names=[p.name for p in policy_set.policies])

    def _failed(self, errors: PolicyErrors) -> None:
        self._told(ok=not errors.refused, error=str(errors))
        _log.error(
            "bad policies: those in force stay" if errors.refused else "policies in force could not be kept",
            errors=[str(e) for e in errors.errors],
            in_force=self.policy_set.revision,
        )

    def _told(self, *, ok: bool, error: str) -> None:
        self.last_reload_ok, self.last_reload_at, self._error = ok, self._machine(), error
        self._metrics.policy_reload(ok=ok)
