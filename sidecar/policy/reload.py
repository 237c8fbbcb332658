"""Policies that follow their files: a bad set never replaces a good one, not even in part (architecture 5).

Files are watched by content, so it does not matter how they come to change: edits, atomic renames, deletes and
re-creates, or the symlink swap by which Kubernetes updates a ConfigMap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Final

from sidecar.core.rules import PolicySet
from sidecar.policy.lastgood import NotKept, keep, kept
from sidecar.policy.load import load_sources
from sidecar.policy.problems import PolicyError, PolicyErrors
from sidecar.policy.sources import Sources, read_sources

POLL_SECONDS: Final = 0.25
SETTLE_SECONDS: Final = 0.1
"""Files must be the same for this long before they are judged: a file cut short while it is written may be valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The policies to start with. `errors`: what is wrong with the files, or why they could not be kept."""

    policy_set: PolicySet
    fingerprint: str
    """Of the files as they were found, good or bad; a watcher goes on from there."""
    last_good: bool = False
    """Whether the files are bad, and the last good set stands in for them."""
    errors: PolicyErrors | None = None


def load_or_last_good(paths: Sequence[Path], state_dir: Path | None) -> Loaded:
    """The policies in files and directories; of a bad set, the last good one kept in `state_dir`, saying so.

    Raises PolicyErrors when the set is bad and no good one is kept.
    """
    sources = read_sources(paths)
    try:
        policy_set = load_sources(sources)
    except PolicyErrors as e:
        return _last_good(state_dir, sources.fingerprint, e)
    return Loaded(policy_set=policy_set, fingerprint=sources.fingerprint, errors=_kept(sources, state_dir))


def _last_good(state_dir: Path | None, fingerprint: str, errors: PolicyErrors) -> Loaded:
    if state_dir is None:
        raise errors
    try:
        policy_set = load_sources(kept(state_dir))
    except NotKept as e:
        raise PolicyErrors([*errors.errors, _of(state_dir, str(e))]) from None
    except PolicyErrors as e:
        raise PolicyErrors([*errors.errors, *e.errors]) from None
    return Loaded(policy_set=policy_set, fingerprint=fingerprint, last_good=True, errors=errors)


def _kept(sources: Sources, state_dir: Path | None) -> PolicyErrors | None:
    """Keeps a good set. A disk that cannot take it is told, and is no reason not to serve the set."""
    if state_dir is None:
        return None
    try:
        keep(sources, state_dir)
    except OSError as e:
        return PolicyErrors([_of(state_dir, f"the last good policies cannot be kept: {e}")], refused=False)
    return None


def _of(state_dir: Path, problem: str) -> PolicyError:
    return PolicyError(str(state_dir), 0, 0, "", problem)


class PolicyWatcher:
    """A thread that looks at the policy files and tells of every new set.

    `on_change` is called with each good set, also with the one in force when bad files become good again; `on_error`
    once for each distinct bad content and, with `refused` False, when a good set cannot be kept. Both are called on the
    watcher's thread.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        on_change: Callable[[PolicySet], None],
        on_error: Callable[[PolicyErrors], None],
        *,
        state_dir: Path | None = None,
        started: Loaded | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """Watches `paths`. With `started`, what was loaded at start is taken as seen; else all is told anew."""
        self._paths: Final = tuple(paths)
        self._on_change: Final = on_change
        self._on_error: Final = on_error
        self._state_dir: Final = state_dir
        self._poll_seconds: Final = poll_seconds
        self._settle_seconds: Final = min(SETTLE_SECONDS, poll_seconds)
        self._seen = started.fingerprint if started else ""
        self._stop: Final = Event()
        self._thread: Final = Thread(target=self._run, name="deskgate-policies", daemon=True)

    def start(self) -> None:
        """Begins to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the watch, and returns once the thread has ended."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            self._look()

    def _look(self) -> None:
        """One look at the files; a change is judged once it has settled."""
        sources = read_sources(self._paths)
        if sources.fingerprint == self._seen or not self._settled(sources):
            return
        self._seen = sources.fingerprint
        try:
            self._judge(sources)
        except Exception as e:  # what no policy should cause must not end the watch; it is told like a bad set
            problem = f"the policies cannot be put into force: {type(e).__name__}: {e}"
            self._on_error(PolicyErrors([PolicyError(str(self._paths[0]), 0, 0, "", problem)]))

    def _settled(self, sources: Sources) -> bool:
        return not self._stop.wait(self._settle_seconds) and read_sources(self._paths) == sources

    def _judge(self, sources: Sources) -> None:
        try:
            policy_set = load_sources(sources)
        except PolicyErrors as e:
            self._on_error(e)
            return
        self._on_change(policy_set)
        problems = _kept(sources, self._state_dir)
        if problems:
            self._on_error(problems)
