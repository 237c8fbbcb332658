"""The shipped policies, loaded once."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from sidecar.core.book import Book
from sidecar.core.rules import PolicySet
from sidecar.policy.load import load

POLICIES = Path(__file__).parent.parent / "policies"


@cache
def book() -> Book:
    return Book(load([POLICIES / "desking.yaml"]))


def without(rule_id: str) -> Book:
    """The shipped policies without one rule."""
    policies = book().policy_set
    kept = tuple(replace(p, rules=tuple(r for r in p.rules if r.id != rule_id)) for p in policies.policies)
    return Book(PolicySet(policies=kept, revision="without"))
