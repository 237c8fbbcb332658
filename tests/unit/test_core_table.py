"""The index of rules: what it holds, what it matches, and why a rule does not match, in words."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from sidecar.core.actions import ACTIONS, GUARDED, NEEDS_KIND, UNLICENSED_IS_FREE, is_about_seats
from sidecar.core.facts import SHAPES, Facts, Judged
from sidecar.core.model import Freshness, Group, Phase, Standing, Status
from sidecar.core.rules import Booked, Room, Rule, Seated, Used
from sidecar.core.table import build, known_actions, mismatches, names_action
from sidecar.core.timeline import Segment, State

WITHIN = Judged(10, 8, Used.WITHIN, Room.FITS, False)
FULL = Judged(20, 25, Used.OVER, Room.EXCEEDS, True)
STATE = State(Status.OPEN, Standing.GOOD, Phase.ACTIVE, cuts=("early",))


def rule(id_: str = "r", **given: Any) -> Rule:
    return Rule(policy="p", id=id_, **({"actions": ("*",)} | given))


def facts(**given: Any) -> Facts:
    state = given.pop("state", STATE)
    plain = {
        "shape": SHAPES["booking.create"],
        "action": "booking.create",
        "kind": "desk",
        "segment": Segment(0, 1, state, True),
        "licensed": True,
        "seat": Seated.UNSEATED,
        "own": WITHIN,
        "pools": (),
        "n": 0,
        "window": Booked.NONE,
        "freshness": Freshness.LIVE,
    }
    return Facts(**(plain | given))


def matches(one: Rule, seen: Facts) -> bool:
    """By the index and in words, which must agree."""
    by_index = build([one], {"desks": ("desk",)}).match(seen) == (one,)
    assert by_index is (mismatches(one, seen) == [])
    return by_index


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"actions": ("space.*",)}, "it is not for booking.create"),
        ({"actions": ()}, "it is not for booking.create"),
        ({"actions": (), "action_groups": frozenset({Group.READ})}, "it is not for booking.create"),
        ({"keys": ("room",)}, "it is not for desk"),
        ({"keys": ()}, "it is not for desk"),
        ({"status": frozenset({Status.SUSPENDED, Status.ARCHIVED})}, "status is OPEN, not ARCHIVED or SUSPENDED"),
        ({"phase": frozenset({Phase.TRIAL})}, "phase is ACTIVE, not TRIAL"),
        ({"standing": frozenset({Standing.BLOCKED})}, "standing is GOOD, not BLOCKED"),
        ({"licensed": False}, "licensed is True, not False"),
        ({"seat": frozenset({Seated.NONE})}, "seat is unseated, not none"),
        ({"window": frozenset({Booked.BEYOND})}, "window is none, not beyond"),
        ({"freshness": frozenset({Freshness.BLIND})}, "freshness is LIVE, not BLIND"),
        ({"expiring_soon": True}, "expiring_soon is False, not True"),
        ({"usage": frozenset({Used.OVER})}, "usage is within, not over"),
        ({"room": frozenset({Room.EXCEEDS})}, "room is fits, not exceeds"),
        ({"near_quota": True}, "near_quota is False, not True"),
        ({"cuts": {"early": False}}, "cut early is True, not False"),
        ({"cuts": {"late": True}}, "cut late is False, not True"),
    ],
)
def test_why_a_rule_does_not_match(given: dict[str, Any], why: str) -> None:
    assert mismatches(rule(**given), facts()) == [why]
    assert not matches(rule(**given), facts())


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"actions": ("booking.create",)},
        {"actions": ("space.*", "booking.?reate")},
        {"actions": (), "action_groups": frozenset({Group.USE, Group.READ})},
        {"actions": ("nothing",), "action_groups": frozenset({Group.USE})},
        {"keys": ("desk",)},
        {"keys": ("room", "d*")},
        {"status": frozenset(Status)},
        {"phase": frozenset({Phase.ACTIVE, Phase.TRIAL})},
        {"licensed": True},
        {"seat": frozenset({Seated.UNSEATED})},
        {"expiring_soon": False, "near_quota": False},
        {"usage": frozenset({Used.WITHIN}), "room": frozenset({Room.FITS})},
        {"cuts": {"early": True, "late": False}},
        {"judge_by": "desks"},
    ],
)
def test_a_rule_that_matches(given: dict[str, Any]) -> None:
    assert matches(rule(**given), facts())


def test_every_reason_is_told() -> None:
    strict = rule(keys=("room",), licensed=False, usage=frozenset({Used.OVER}), cuts={"early": False})
    assert len(mismatches(strict, facts())) == 4


def test_a_question_without_a_key_matches_only_rules_that_name_none() -> None:
    seen = facts(kind="", own=None)
    assert mismatches(rule(keys=("*",)), seen) == ["it is not for a question without a key"]
    assert not matches(rule(keys=("*",)), seen)
    assert matches(rule(), seen)


def test_without_figures_nothing_is_counted_and_all_fits() -> None:
    seen = facts(own=None)
    assert matches(rule(usage=frozenset({Used.UNCOUNTED}), room=frozenset({Room.FITS}), near_quota=False), seen)
    for name, value in (("usage", Used.WITHIN), ("usage", Used.OVER), ("room", Room.EXCEEDS)):
        assert not matches(rule(**{name: frozenset({value})}), seen)
    assert not matches(rule(near_quota=True), seen)


def test_a_rule_that_judges_by_a_group_looks_at_its_figures_alone() -> None:
    seen = facts(pools=(("desks", FULL, 9),))
    over = frozenset({Used.OVER})
    own, grouped, elsewhere = rule("1", usage=over), rule("2", usage=over, judge_by="desks"), rule("3", judge_by="x")
    table = build([own, grouped, elsewhere], {"desks": ("desk",), "x": ("y",), "idle": ("desk",)})
    assert table.match(seen) == (grouped, elsewhere)
    assert table.match(facts()) == (elsewhere,)
    assert dict(table.groups) == {"desks": ("desk",), "x": ("y",)}  # only those that some rule judges by
    within = rule("4", usage=frozenset({Used.WITHIN}), judge_by="desks")
    assert build([within], {"desks": ("desk",)}).match(seen) == ()


def test_of_two_groups_each_rule_looks_at_its_own() -> None:
    seen = facts(pools=(("desks", FULL, 9), ("rooms", WITHIN, 9)))
    over = frozenset({Used.OVER})
    by_desks, by_rooms = rule("1", usage=over, judge_by="desks"), rule("2", usage=over, judge_by="rooms")
    assert build([by_desks, by_rooms], {"desks": ("desk",), "rooms": ("desk",)}).match(seen) == (by_desks,)
    assert build([by_rooms, by_desks], {"desks": ("desk",), "rooms": ("desk",)}).match(seen) == (by_desks,)


def test_rules_match_in_their_order() -> None:
    rules = [rule(str(n), **({"keys": ("room",)} if n % 3 == 0 else {})) for n in range(100)]
    assert build(rules, {}).match(facts()) == tuple(r for n, r in enumerate(rules) if n % 3)
    assert build([], {}).match(facts()) == ()


def test_an_action_that_nobody_named_is_matched_by_globs() -> None:
    glob, named = rule("1", actions=("desk.*",)), rule("2", actions=("desk.sell",))
    table = build([glob, named], {})
    assert table.match(facts(action="desk.dance")) == (glob,)
    assert table.match(facts(action="desk.sell")) == (glob, named)
    assert table.match(facts(action="Desk.sell")) == ()


def test_known_actions_are_the_domains_and_those_named_without_a_glob() -> None:
    rules = [rule(actions=("desk.sell", "desk.*", "desk.?", "desk.[ab]")), rule(actions=("room.paint",))]
    assert known_actions(rules) == ACTIONS.keys() | {"desk.sell", "room.paint"}
    assert build(rules, {}).actions.keys() == known_actions(rules)


def test_an_unknown_action_is_in_no_group() -> None:
    assert not names_action(rule(actions=(), action_groups=frozenset(Group)), "desk.dance")


def test_the_table_cannot_be_changed() -> None:
    table = build([rule(judge_by="desks")], {"desks": ("desk",)})
    for mapping in (table.actions, table.groups, table.judged_by, *(m for _, m in (*table.enums, *table.judged))):
        assert isinstance(mapping, MappingProxyType)


# --- actions (domain.md 2) ---


def test_actions_and_their_groups() -> None:
    grouped = {group: {a for a, g in ACTIONS.items() if g is group} for group in Group}
    assert grouped == {
        Group.SPEND: {"space.create", "space.license", "space.convert", "license.assign"},
        Group.USE: {"booking.create", "booking.update", "binding.create", "feature.use"},
        Group.ATTEND: {"booking.check_in"},
        Group.UNDO: {
            *("booking.cancel", "booking.check_out", "booking.finish", "binding.release"),
            *("space.unlicense", "space.delete", "license.revoke"),
        },
        Group.READ: {"tenant.read", "tenant.export"},
    }
    assert NEEDS_KIND == GUARDED == {Group.SPEND, Group.USE, Group.ATTEND}
    assert {"space.create", "space.convert"} == UNLICENSED_IS_FREE
    assert {a for a in ACTIONS if is_about_seats(a)} == {"license.assign", "license.revoke"}
