"""What a set of policies must keep to across fields, rules and files. Works on the files' values as they are, so that a
mistake in one field hides none in another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sidecar.core.model import Effect
from sidecar.core.reasons import REASONS
from sidecar.core.rules import Thresholds
from sidecar.policy.problems import PolicyError, meant
from sidecar.policy.values import duration
from sidecar.policy.yamltree import Path, Place, Tree

_ONLY_OF_DENIALS: Final = ("reason", "message", "remedies")


@dataclass(frozen=True)
class File:
    """A policy file that has been read, whatever is wrong with it."""

    name: str
    tree: Tree

    def mapping(self, *path: str | int) -> Mapping[str, Any]:
        """The mapping at a path; empty when there is none."""
        found = self.tree.get(path)
        return found if isinstance(found, dict) else {}

    def sequence(self, *path: str | int) -> Sequence[Any]:
        """The list at a path; empty when there is none."""
        found = self.tree.get(path)
        return found if isinstance(found, list) else ()

    @cached_property
    def rules(self) -> tuple[tuple[Path, Mapping[str, Any]], ...]:
        """Every rule that is a mapping, with its path."""
        rules = self.sequence("spec", "rules")
        return tuple((("spec", "rules", i), r) for i, r in enumerate(rules) if isinstance(r, dict))

    @property
    def layer(self) -> int:
        """The layer its applies_to makes it (core/rules.py AppliesTo.layer)."""
        to = self.mapping("spec", "applies_to")
        return 3 if to.get("tenants") else 2 if to.get("tags") else 1 if to.get("editions") else 0

    def rule_at(self, path: Path) -> str:
        """The id of the rule that a path leads into; empty outside rules."""
        found = self.tree.get((*path[:3], "id")) if path[:2] == ("spec", "rules") and len(path) > 2 else None
        return found if isinstance(found, str) else ""

    def error(self, path: Path, problem: str, hint: str = "", place: Place | None = None) -> PolicyError:
        """A problem at a path."""
        line, column = place or self.tree.place(path)
        return PolicyError(self.name, line, column, self.rule_at(path), problem, hint)


def check(files: Sequence[File]) -> Iterator[PolicyError]:
    """Every problem of the set that the documents' types do not see."""
    names = Names(files)
    for file in files:
        for path, rule in file.rules:
            yield from _verdict(file, path, rule)
            yield from _references(file, path, rule, names)
        yield from _overrides(file, names)
        yield from _thresholds(file, files)
    yield from _duplicates(files)
    yield from _reserved_reasons(files)


class Names:
    """Every name that the set declares. `complete` is False when a file that may declare more could not be read."""

    def __init__(self, files: Sequence[File]) -> None:
        self.complete = all(f.tree.whole for f in files)
        self.reasons = REASONS.keys() | _declared(files, "reasons")
        self.cuts = _declared(files, "cuts")
        self.groups = _declared(files, "key_groups")
        self.layers = {r["id"]: f.layer for f in reversed(files) for _, r in f.rules if isinstance(r.get("id"), str)}


def _declared(files: Iterable[File], section: str) -> set[str]:
    return {name for f in files for name in f.mapping("spec", section)}


def _verdict(file: File, path: Path, rule: Mapping[str, Any]) -> Iterator[PolicyError]:
    effect = rule.get("effect")
    at_key = file.tree.key_place(path)
    if effect is None and "effect" not in rule and "warnings" not in rule:
        yield file.error(path, "the rule has neither effect nor warnings", "add effect: deny or allow", at_key)
    if effect == Effect.DENY and "reason" not in rule:
        yield file.error(path, "a rule that denies needs a reason", "", at_key)
    if "actions" not in rule and "action_groups" not in rule:
        yield file.error(path, "the rule is for no action", 'add actions or action_groups; all: actions: ["*"]', at_key)
    if effect == Effect.ALLOW or "effect" not in rule:
        for name in (n for n in _ONLY_OF_DENIALS if n in rule):
            key = (*path, name)
            yield file.error(key, f"{name} belongs to effect: deny", "leave it out", file.tree.key_place(key))


def _references(file: File, path: Path, rule: Mapping[str, Any], names: Names) -> Iterator[PolicyError]:
    if not names.complete:
        return
    reason, group, cuts = rule.get("reason"), rule.get("judge_by"), rule.get("cuts")
    if isinstance(reason, str) and reason not in names.reasons:
        hint = meant(reason, names.reasons) or "declare it under spec.reasons"
        yield file.error((*path, "reason"), f"reason {reason} is neither built in nor declared", hint)
    if isinstance(group, str) and group not in names.groups:
        hint = meant(group, names.groups) or "declare it under spec.key_groups"
        yield file.error((*path, "judge_by"), f"no key group is called {group!r}", hint)
    for cut in cuts if isinstance(cuts, dict) else ():
        if cut not in names.cuts:
            key = (*path, "cuts", cut)
            hint = meant(cut, names.cuts) or "declare it under spec.cuts"
            yield file.error(key, f"no cut is called {cut!r}", hint, file.tree.key_place(key))


def _overrides(file: File, names: Names) -> Iterator[PolicyError]:
    for i, rule_id in enumerate(file.sequence("spec", "overrides")):
        path = ("spec", "overrides", i)
        if not isinstance(rule_id, str):
            continue
        if rule_id not in names.layers:
            if names.complete:
                yield file.error(path, f"overrides: no rule is called {rule_id!r}", meant(rule_id, names.layers))
        elif names.layers[rule_id] >= file.layer:
            hint = "the order is: general, edition, tag, tenant"
            yield file.error(path, f"overrides: rule {rule_id!r} is not in a more general policy than this one", hint)


def _thresholds(file: File, files: Iterable[File]) -> Iterator[PolicyError]:
    """A threshold that a policy leaves out is taken from the general policies, else the default."""
    given = file.mapping("spec", "freshness")
    if not given.keys() & {"stale_after", "blind_after"}:
        return
    general = [f for f in files if f.layer == 0]
    layers = [f.mapping("spec", "freshness") for f in (*general, file)]
    stale, blind = (_latest(layers, name) for name in ("stale_after", "blind_after"))
    if stale is not None and blind is not None and stale > blind:
        name = "stale_after" if "stale_after" in given else "blind_after"
        other = "" if len(given) > 1 else "; the other is taken from the general policies or the default"
        path = ("spec", "freshness", name)
        yield file.error(path, f"freshness: stale_after is longer than blind_after{other}", "STALE comes before BLIND")


def _latest(layers: Sequence[Mapping[str, Any]], name: str) -> int | None:
    """Microseconds; None when one that is given cannot be read, which is told elsewhere."""
    given = [layer[name] for layer in layers if name in layer]
    try:
        return duration(given[-1]) if given else int(getattr(Thresholds(), name))
    except (ValueError, TypeError):
        return None


def _duplicates(files: Sequence[File]) -> Iterator[PolicyError]:
    """Names that must be unique in the set: each later one is told, with where the first is."""
    yield from _repeated("policy name", ((f, ("metadata", "name"), f.tree.get(("metadata", "name"))) for f in files))
    yield from _repeated("rule id", ((f, (*path, "id"), rule.get("id")) for f in files for path, rule in f.rules))
    for word, section in (("reason", "reasons"), ("cut", "cuts"), ("key group", "key_groups")):
        named = ((f, ("spec", section, name), name) for f in files for name in f.mapping("spec", section))
        yield from _repeated(word, named)


def _repeated(word: str, named: Iterable[tuple[File, Path, object]]) -> Iterator[PolicyError]:
    first: dict[str, str] = {}
    for file, path, name in named:
        if not isinstance(name, str):
            continue
        place = file.tree.place(path) if path[-1] in {"id", "name"} else file.tree.key_place(path)
        if name in first:
            yield file.error(path, f"duplicate {word} {name!r}", f"the first is at {first[name]}", place)
        first.setdefault(name, f"{file.name}:{place[0]}")


def _reserved_reasons(files: Iterable[File]) -> Iterator[PolicyError]:
    for file in files:
        for code in file.mapping("spec", "reasons"):
            if code in REASONS:
                path = ("spec", "reasons", code)
                hint = "give the rule a message of its own instead"
                yield file.error(path, f"reason {code} is built in", hint, file.tree.key_place(path))
