"""A bad set of policies never replaces a good one, and a good one is in force within a second however its files came to
change. The files are real, and so are the symlinks."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
import yaml

from sidecar.core.rules import PolicySet
from sidecar.policy import reload
from sidecar.policy.lastgood import FILE, NotKept, keep, kept
from sidecar.policy.load import PolicyErrors, load
from sidecar.policy.reload import Loaded, PolicyWatcher, load_or_last_good
from sidecar.policy.sources import Sources, read_sources

DEADLINE = 10.0
POLL = 0.03


def policy(name: str, *actions: str) -> str:
    rules = "".join(f"    - {{id: {name}-{a}, actions: [{a}], effect: allow}}\n" for a in actions)
    return f"apiVersion: deskgate/v1\nkind: Policy\nmetadata: {{name: {name}}}\nspec:\n  rules:\n{rules or '    []'}\n"


class Told:
    """What a watcher has told, and waits for it."""

    def __init__(self) -> None:
        self.sets: list[PolicySet] = []
        self.errors: list[PolicyErrors] = []
        self._news = Event()

    def changed(self, policies: PolicySet) -> None:
        self.sets.append(policies)
        self._news.set()

    def failed(self, errors: PolicyErrors) -> None:
        self.errors.append(errors)
        self._news.set()

    @property
    def rules(self) -> list[str]:
        """Rules of the set in force."""
        return [r.id for p in self.sets[-1].policies for r in p.rules] if self.sets else []

    def wait(self, reached: Callable[[], object]) -> None:
        until = time.monotonic() + DEADLINE
        while not reached():
            assert time.monotonic() < until, (self.rules, [str(e) for e in self.errors])
            self._news.wait(0.05)
            self._news.clear()


@contextmanager
def watching(
    path: Path, told: Told, *, state_dir: Path | None = None, started: Loaded | None = None, poll: float = POLL
) -> Iterator[PolicyWatcher]:
    watcher = PolicyWatcher([path], told.changed, told.failed, state_dir=state_dir, started=started, poll_seconds=poll)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "policies"
    made.mkdir()
    (made / "a.yaml").write_text(policy("a", "one"))
    return made


class Looks:
    """Counts how often the files were read, to wait until a watcher has looked and found nothing to tell."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        monkeypatch.setattr(reload, "read_sources", self._read)

    def _read(self, paths: Sequence[Path]) -> Sources:
        self.count += 1
        return read_sources(paths)

    def some_more(self, told: Told) -> None:
        enough = self.count + 5
        told.wait(lambda: self.count >= enough)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(monkeypatch)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def edit(path: Path) -> None:
    (path / "a.yaml").write_text(policy("a", "two"))


def edit_in_place_keeping_size_and_times(path: Path) -> None:
    before = (path / "a.yaml").stat()
    with (path / "a.yaml").open("r+") as file:
        file.write(policy("a", "two"))
    os.utime(path / "a.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))


def rename_over(path: Path) -> None:
    (path / "a.yaml.tmp").write_text(policy("a", "two"))
    (path / "a.yaml.tmp").replace(path / "a.yaml")


def delete_and_create(path: Path) -> None:
    (path / "a.yaml").unlink()
    (path / "a.yaml").write_text(policy("a", "two"))


def under_another_name(path: Path) -> None:
    (path / "b.yaml").write_text(policy("a", "two"))
    (path / "a.yaml").unlink()


def another_directory(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()
    (path / "a.yaml").write_text(policy("a", "two"))


def directory_swapped(path: Path) -> None:
    new = path.with_name("new")
    new.mkdir()
    (new / "a.yaml").write_text(policy("a", "two"))
    path.rename(path.with_name("old"))
    new.rename(path)


def symlink(path: Path) -> None:
    (path.parent / "elsewhere").write_text(policy("a", "two"))
    (path / "a.yaml").unlink()
    (path / "a.yaml").symlink_to(path.parent / "elsewhere")


WAYS = [
    *(edit, edit_in_place_keeping_size_and_times, rename_over, delete_and_create),
    *(under_another_name, another_directory, directory_swapped, symlink),
]


@pytest.mark.parametrize("way", WAYS, ids=lambda w: w.__name__)
def test_a_change_is_seen_however_it_is_made(directory: Path, way: Callable[[Path], None]) -> None:
    told = Told()
    with watching(directory, told, started=load_or_last_good([directory], None)):
        way(directory)
        told.wait(lambda: told.rules == ["a-two"])
    assert told.errors == []


def config_map(mount: Path, version: str, files: dict[str, str]) -> None:
    """What Kubernetes does to update a mounted ConfigMap: a new directory, then the link `..data` swapped over it."""
    (mount / version).mkdir()
    for name, text in files.items():
        (mount / version / name).write_text(text)
    former = os.readlink(mount / "..data") if (mount / "..data").is_symlink() else None
    (mount / "..data_tmp").symlink_to(version)
    (mount / "..data_tmp").replace(mount / "..data")
    for link in mount.glob("*.yaml"):
        if link.name not in files:
            link.unlink()
    for name in files:
        if not (mount / name).is_symlink():
            (mount / name).symlink_to(f"..data/{name}")
    if former:
        shutil.rmtree(mount / former)


def test_a_config_map_is_followed(tmp_path: Path) -> None:
    mount, told = tmp_path / "mount", Told()
    mount.mkdir()
    config_map(mount, "..2026_01", {"a.yaml": policy("a", "one"), "b.yaml": policy("b", "one")})
    started = load_or_last_good([mount], None)
    with watching(mount, told, started=started):
        config_map(mount, "..2026_02", {"a.yaml": policy("a", "two"), "b.yaml": policy("b", "two")})
        told.wait(lambda: told.rules == ["a-two", "b-two"])
        config_map(mount, "..2026_03", {"b.yaml": policy("b", "three"), "c.yaml": policy("c", "three")})
        told.wait(lambda: told.rules == ["b-three", "c-three"])
        config_map(mount, "..2026_04", {"c.yaml": "no: [policy"})
        told.wait(lambda: told.errors)
        assert told.rules == ["b-three", "c-three"]
        config_map(mount, "..2026_05", {"c.yaml": policy("c", "five")})
        told.wait(lambda: told.rules == ["c-five"])


def test_files_of_one_swap_are_never_mixed_with_those_of_another(tmp_path: Path) -> None:
    mount, told = tmp_path / "mount", Told()
    mount.mkdir()
    config_map(mount, "..0", {"a.yaml": policy("a", "n0"), "b.yaml": policy("b", "n0")})
    with watching(mount, told):
        told.wait(lambda: told.rules == ["a-n0", "b-n0"])
        for n in range(1, 40):
            config_map(mount, f"..{n}", {"a.yaml": policy("a", f"n{n}"), "b.yaml": policy("b", f"n{n}")})
        told.wait(lambda: told.rules == ["a-n39", "b-n39"])
    for found in told.sets:
        assert len({r.id.split("-")[1] for p in found.policies for r in p.rules}) == 1


def test_files_that_come_and_go(directory: Path) -> None:
    told = Told()
    with watching(directory, told, started=load_or_last_good([directory], None)):
        (directory / "b.yaml").write_text(policy("b", "one"))
        told.wait(lambda: told.rules == ["a-one", "b-one"])
        (directory / "a.yaml").unlink()
        told.wait(lambda: told.rules == ["b-one"])
        (directory / "b_test.yaml").write_text("not: a policy")
        (directory / ".b.yaml.swp").write_text("not: a policy")
        (directory / "c.yml").write_text(policy("c", "one"))
        told.wait(lambda: told.rules == ["b-one", "c-one"])
    assert told.errors == []


def test_a_single_file_is_followed(directory: Path) -> None:
    told = Told()
    with watching(directory / "a.yaml", told):
        told.wait(lambda: told.rules == ["a-one"])
        rename_over(directory)
        told.wait(lambda: told.rules == ["a-two"])


def test_a_bad_set_changes_nothing_and_is_told_once(directory: Path, looks: Looks) -> None:
    told = Told()
    with watching(directory, told, started=load_or_last_good([directory], None)):
        (directory / "b.yaml").write_text(policy("a", "two"))
        told.wait(lambda: told.errors)
        (directory / "b.yaml").touch()
        (directory / "notes.txt").write_text("nothing to do with it")
        looks.some_more(told)
        assert [len(e.errors) for e in told.errors] == [1]
        assert told.errors[0].refused
        assert "duplicate policy name 'a'" in str(told.errors[0])
        assert told.sets == []
        (directory / "b.yaml").write_text("also: bad")
        told.wait(lambda: len(told.errors) == 2)
        (directory / "b.yaml").unlink()
        told.wait(lambda: told.rules == ["a-one"])


@pytest.mark.parametrize("missing", [lambda d: (d / "a.yaml").unlink(), shutil.rmtree], ids=["empty", "gone"])
def test_an_empty_or_missing_directory_is_a_bad_set(directory: Path, missing: Callable[[Path], None]) -> None:
    told = Told()
    with watching(directory, told, started=load_or_last_good([directory], None)):
        missing(directory)
        told.wait(lambda: told.errors)
        assert told.sets == []
        directory.mkdir(exist_ok=True)
        edit(directory)
        told.wait(lambda: told.rules == ["a-two"])


def test_a_half_written_file_is_bad_until_it_is_complete(directory: Path) -> None:
    told = Told()
    whole = json.dumps(yaml.safe_load(policy("a", *(f"action{i}" for i in range(50)))))
    with watching(directory, told, started=load_or_last_good([directory], None)):
        for end in (0, 1, len(whole) // 2, len(whole) - 1):
            errors = len(told.errors)
            (directory / "a.yaml").write_text(whole[:end])
            told.wait(lambda n=errors: len(told.errors) > n)
        assert told.sets == []
        (directory / "a.yaml").write_text(whole)
        told.wait(lambda: len(told.rules) == 50)


def test_a_file_that_is_valid_though_cut_short_is_not_in_force_while_it_is_written(directory: Path) -> None:
    told = Told()
    whole = policy("a", *(f"action{i}" for i in range(200)))
    longest, last = 0.0, time.monotonic()
    with watching(directory, told, poll=0.2, started=load_or_last_good([directory], None)):
        with (directory / "a.yaml").open("w") as file:
            for line in whole.splitlines(keepends=True):
                file.write(line)
                file.flush()
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
        told.wait(lambda: len(told.rules) == 200)
    if longest < reload.SETTLE_SECONDS / 2:  # else this machine stalled for as long as a file must be left alone
        assert len(told.sets) == 1


def test_a_change_is_in_force_within_a_second(directory: Path) -> None:
    told = Told()
    watcher = PolicyWatcher([directory], told.changed, told.failed, started=load_or_last_good([directory], None))
    watcher.start()
    try:
        began = time.monotonic()
        edit(directory)
        told.wait(lambda: told.rules == ["a-two"])
        assert time.monotonic() - began < 1
    finally:
        watcher.stop()


def test_what_was_loaded_at_start_is_not_told_again_and_later_changes_are(directory: Path, looks: Looks) -> None:
    told = Told()
    started = load_or_last_good([directory], None)
    edit(directory)
    with watching(directory, told, started=started):
        told.wait(lambda: told.rules == ["a-two"])
        looks.some_more(told)
    assert len(told.sets) == 1


def test_a_failure_to_put_a_set_into_force_is_told_and_ends_nothing(directory: Path) -> None:
    told = Told()

    def refuses(policies: PolicySet) -> None:
        if "bad" in told_rules(policies):
            raise RuntimeError("out of order")
        told.changed(policies)

    watcher = PolicyWatcher([directory], refuses, told.failed, poll_seconds=POLL)
    watcher.start()
    try:
        told.wait(lambda: told.rules == ["a-one"])
        (directory / "a.yaml").write_text(policy("a", "bad"))
        told.wait(lambda: told.errors)
        assert "cannot be put into force: RuntimeError: out of order" in str(told.errors[0])
        edit(directory)
        told.wait(lambda: told.rules == ["a-two"])
    finally:
        watcher.stop()


def told_rules(policies: PolicySet) -> str:
    return " ".join(r.id for p in policies.policies for r in p.rules)


def test_stop_ends_the_thread_at_once_and_may_come_before_start(directory: Path) -> None:
    told = Told()
    watcher = PolicyWatcher([directory], told.changed, told.failed, poll_seconds=60)
    watcher.start()
    began = time.monotonic()
    watcher.stop()
    assert time.monotonic() - began < 5
    PolicyWatcher([directory], told.changed, told.failed).stop()


# --- the last good set ---


def test_a_start_with_a_bad_set_serves_the_last_good_one_and_says_so(directory: Path, state: Path) -> None:
    good = load_or_last_good([directory], state)
    assert (good.last_good, good.errors) == (False, None)
    (directory / "a.yaml").write_text("no: [policy")
    bad = load_or_last_good([directory], state)
    assert bad.last_good
    assert bad.policy_set == good.policy_set
    assert "a.yaml:2:1: this is not YAML" in str(bad.errors)


def test_a_bad_start_is_not_told_again_and_recovers(directory: Path, state: Path, looks: Looks) -> None:
    load_or_last_good([directory], state)
    (directory / "a.yaml").write_text("no: [policy")
    told = Told()
    with watching(directory, told, state_dir=state, started=load_or_last_good([directory], state)):
        looks.some_more(told)
        assert (told.sets, told.errors) == ([], [])
        edit(directory)
        told.wait(lambda: told.rules == ["a-two"])


def test_a_set_seen_while_watching_is_kept_and_a_bad_one_is_not(directory: Path, state: Path) -> None:
    told = Told()
    with watching(directory, told, state_dir=state):
        told.wait(lambda: told.rules == ["a-one"])
        edit(directory)
        told.wait(lambda: told.rules == ["a-two"])
        (directory / "a.yaml").write_text("bad")
        told.wait(lambda: told.errors)
    assert load_or_last_good([directory], state).policy_set == told.sets[-1]


def test_with_no_last_good_set_a_bad_one_is_refused_saying_why(directory: Path, state: Path) -> None:
    (directory / "a.yaml").write_text("bad")
    with pytest.raises(PolicyErrors, match="expected a mapping") as caught:
        load_or_last_good([directory], state)
    assert "no last good policies are kept in" in str(caught.value)
    with pytest.raises(PolicyErrors):
        load_or_last_good([directory], None)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"format": 1, "revision": "x", "files": [{"path": "a"}]}', "cannot be read"),
        ('{"format": 1, "revision": "x", "files": [{"path": "a", "content": "%"}]}', "cannot be read"),
        ('{"format": 1, "revision": "x", "files": []}', "are not what was kept"),
    ],
)
def test_a_kept_set_that_was_damaged_is_not_served(directory: Path, state: Path, content: str, why: str) -> None:
    state.mkdir()
    (state / FILE).write_text(content)
    (directory / "a.yaml").write_text("bad")
    with pytest.raises(PolicyErrors, match=why):
        load_or_last_good([directory], state)


def test_a_kept_set_of_another_format_or_altered_is_not_served(directory: Path, state: Path) -> None:
    keep(read_sources([directory]), state)
    found = json.loads((state / FILE).read_text())
    for changed in ({**found, "format": 2}, {**found, "revision": "0" * 16}):
        (state / FILE).write_text(json.dumps(changed))
        with pytest.raises(NotKept, match="are not what was kept"):
            kept(state)


def test_a_kept_set_that_this_version_refuses_is_told_too(directory: Path, state: Path) -> None:
    (directory / "a.yaml").write_text("once: fine")
    keep(read_sources([directory]), state)
    with pytest.raises(PolicyErrors, match="unknown field 'once'"):
        load_or_last_good([directory], state)


def test_what_is_kept_is_what_was_read(directory: Path, state: Path) -> None:
    (directory / "b.yaml").write_text(policy("b", "zwei") + "# 中文\n")
    sources = read_sources([directory])
    keep(sources, state)
    assert kept(state) == sources
    assert sources.revision == load([directory]).revision
    assert [p.name for p in state.iterdir()] == [FILE]


def test_a_state_directory_that_takes_nothing_is_told_and_the_set_is_in_force(directory: Path, tmp_path: Path) -> None:
    state = tmp_path / "file"
    state.write_text("in the way")
    started = load_or_last_good([directory], state)
    assert started.policy_set.policies
    assert not started.last_good
    assert started.errors is not None
    assert not started.errors.refused
    told = Told()
    with watching(directory, told, state_dir=state, started=started):
        edit(directory)
        told.wait(lambda: told.errors)
    assert told.rules == ["a-two"]
    assert not told.errors[0].refused
    assert "cannot be kept" in str(told.errors[0])


def test_a_full_disk_leaves_the_former_set_whole(directory: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_or_last_good([directory], state).policy_set
    edit(directory)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    started = load_or_last_good([directory], state)
    monkeypatch.undo()
    assert "No space left on device" in str(started.errors)
    (directory / "a.yaml").write_text("bad")
    assert load_or_last_good([directory], state).policy_set == first


def test_the_default_pace_leaves_time_within_a_second() -> None:
    assert reload.POLL_SECONDS + reload.SETTLE_SECONDS < 0.5
