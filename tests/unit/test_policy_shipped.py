"""policies/desking.yaml is section 7 of the rules: its rows in order, each reason, warning, message and remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sidecar.cli.policy import app
from sidecar.core.actions import ACTIONS
from sidecar.core.model import DAY, SECOND, Effect, Freshness, Group, Period, Phase, Standing, Status
from sidecar.core.reasons import REASONS
from sidecar.core.rules import Booked, Policy, Remedy, Room, Rule, Seated, Used
from sidecar.policy.documents import json_schema, schema_text
from sidecar.policy.load import load

POLICIES = Path(__file__).parents[2] / "policies"
CALL = "如需购买、续费、增加授权数量，请点击“联系我们”。"
SPEND, USE, ATTEND, UNDO, READ = Group.SPEND, Group.USE, Group.ATTEND, Group.UNDO, Group.READ
COVERED = {Phase.TRIAL, Phase.ACTIVE}
BOOK = ("booking.create", "booking.update", "binding.create")
MATCHERS = (
    *("keys", "status", "phase", "standing", "licensed", "seat", "usage", "room", "window", "freshness"),
    *("expiring_soon", "near_quota", "judge_by", "when"),
)

DENIALS = [
    ("TENANT_ARCHIVED", ("*",), set(), {"status": {Status.ARCHIVED}}),
    ("TENANT_SUSPENDED", (), {SPEND, USE, ATTEND}, {"status": {Status.SUSPENDED}}),
    ("NOT_LICENSED", (), {SPEND, USE, ATTEND}, {"phase": {Phase.UNLICENSED}}),
    ("NOT_STARTED", (), {SPEND, USE, ATTEND}, {"phase": {Phase.PENDING}}),
    ("GRACE_ENDED", (), {SPEND, USE, ATTEND, UNDO}, {"phase": {Phase.EXPIRED}}),
    ("SUBSCRIPTION_EXPIRED", (), {SPEND, USE}, {"phase": {Phase.GRACE}}),
    ("ACCOUNT_BLOCKED", (), {SPEND, USE}, {"standing": {Standing.BLOCKED}}),
    ("SPACE_UNLICENSED", BOOK, set(), {"licensed": False}),
    ("SEAT_NOT_HELD", ("feature.use",), set(), {"seat": {Seated.NONE}}),
    ("OVER_QUOTA", BOOK, set(), {"phase": COVERED, "usage": {Used.OVER}}),
    ("OVER_QUOTA", ("feature.use",), set(), {"phase": COVERED, "seat": {Seated.EXCESS}}),
    ("QUOTA_REACHED", (), {SPEND}, {"phase": COVERED, "room": {Room.EXCEEDS}}),
    ("DATA_TOO_OLD", (), {SPEND, USE, ATTEND}, {"freshness": {Freshness.BLIND}}),
]
WARNINGS = [
    ("EXPIRING_SOON", ("*",), set(), {"expiring_soon": True}),
    ("NEAR_QUOTA", (), {SPEND}, {"near_quota": True}),
    ("PAYMENT_PAST_DUE", ("*",), set(), {"standing": {Standing.PAST_DUE}}),
    ("IN_TRIAL", ("*",), set(), {"phase": {Phase.TRIAL}}),
    ("BEYOND_TERM", ("booking.create", "booking.update"), set(), {"window": {Booked.BEYOND}}),
    ("STALE_DATA", ("*",), set(), {"freshness": {Freshness.STALE, Freshness.BLIND}}),
]


@pytest.fixture(scope="module")
def desking() -> Policy:
    (policy,) = load([POLICIES]).policies
    return policy


def stated(rule: Rule) -> tuple[tuple[str, ...], set[Group], dict[str, object]]:
    given = {name: value for name in MATCHERS if (value := getattr(rule, name)) is not None}
    return rule.actions, set(rule.action_groups), given


def test_the_denials_are_those_of_the_rules_in_their_order(desking: Policy) -> None:
    denials = [(r.reason, *stated(r)) for r in desking.rules if r.effect is Effect.DENY]
    assert denials == DENIALS
    assert not any(r.cuts for r in desking.rules)


def test_the_warnings_are_those_of_the_rules_in_their_order(desking: Policy) -> None:
    assert [(r.warnings[0].code, *stated(r)) for r in desking.rules if r.warnings] == WARNINGS
    assert all(len(r.warnings) == 1 and r.effect is None for r in desking.rules if r.warnings)


def test_the_last_rule_allows_the_known_actions_and_no_other(desking: Policy) -> None:
    (allow,) = [r for r in desking.rules if r.effect is Effect.ALLOW]
    assert allow is desking.rules[-1]
    assert stated(allow) == ((), set(Group), {})
    assert set(ACTIONS.values()) == set(Group)


def test_terms_and_thresholds_are_the_default_ones(desking: Policy) -> None:
    assert (desking.grace, desking.expiring_soon) == (Period(months=3), Period(days=30))
    assert (desking.near_quota, desking.overage) == (90, 0)
    assert (desking.stale_after, desking.blind_after) == (300 * SECOND, DAY)
    assert desking.applies_to.layer == 0


def test_every_message_is_in_english_and_chinese(desking: Policy) -> None:
    messages = [r.message for r in desking.rules if r.effect is Effect.DENY]
    messages += [w.message for r in desking.rules for w in r.warnings]
    assert len(messages) == len(DENIALS) + len(WARNINGS)
    assert all(m.keys() == {"en", "zh-CN"} for m in messages)
    assert all(m["en"].isascii() and not m["zh-CN"].isascii() for m in messages)


@pytest.mark.parametrize("reason", ["OVER_QUOTA", "QUOTA_REACHED", "SUBSCRIPTION_EXPIRED", "GRACE_ENDED"])
def test_over_quota_and_expiry_end_in_how_to_get_more(desking: Policy, reason: str) -> None:
    found = [r.message["zh-CN"] for r in desking.rules if r.reason == reason]
    assert found
    assert all(m.endswith(CALL) for m in found)


def test_remedies_are_those_of_the_table(desking: Policy) -> None:
    remedies = {r.reason: r.remedies for r in desking.rules if r.effect is Effect.DENY}
    assert remedies == {code: REASONS[code].remedies for code, *_ in DENIALS}
    assert remedies["QUOTA_REACHED"] == (Remedy.RELEASE, Remedy.UPGRADE, Remedy.CONTACT)


def test_the_examples_load_with_the_shipped_policy() -> None:
    policies = {p.name: p for p in load([POLICIES, POLICIES / "examples"]).policies}
    assert {name: p.applies_to.layer for name, p in policies.items()} == {
        "desking": 0,
        "basic-edition": 1,
        "no-booking-beyond-term": 2,
        "tenant-globex": 3,
    }
    (weekend,) = policies["basic-edition"].rules
    assert weekend.when is not None
    assert not weekend.when.reads_time
    globex = policies["tenant-globex"]
    assert (globex.grace, globex.overage) == (Period(months=6), 10)
    assert {r.judge_by for r in globex.rules} == {None, "desks"}
    assert globex.overrides <= {r.id for r in policies["desking"].rules}


def test_the_schema_for_editors_is_that_of_the_documents() -> None:
    assert (POLICIES / "policy.schema.json").read_text(encoding="utf-8") == schema_text(), "run: deskgate policy schema"


def test_the_schema_says_what_a_rule_may_have() -> None:
    rule = json_schema()["$defs"]["RuleShape"]
    assert {f.replace("from_", "from") for f in rule["properties"]} == {*MATCHERS, *OTHER_FIELDS}
    assert rule["additionalProperties"] is False
    assert '"null"' not in schema_text()


OTHER_FIELDS = {
    *("id", "description", "actions", "action_groups", "cuts", "effect", "reason", "message", "remedies", "warnings"),
}


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_check_says_what_was_found() -> None:
    code, out, _ = run("check", str(POLICIES / "desking.yaml"))
    assert code == 0
    assert out.startswith("ok: desking; 20 rules, revision ")
    code, out, _ = run("check", "--json", str(POLICIES))
    assert json.loads(out)["policies"] == ["desking"]


def test_check_tells_every_error_and_fails(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: Policy\nspec: {rule: []}\n")
    code, out, err = run("check", str(tmp_path))
    assert (code, out) == (1, "")
    assert f"{tmp_path}/a.yaml:2:8: unknown field 'rule' (did you mean 'rules'?)" in err
    assert err.endswith("3 errors\n")
    code, out, err = run("check", "--json", str(tmp_path), str(tmp_path / "absent.yaml"))
    assert code == 1
    errors = json.loads(out)["errors"]
    assert {e["line"] for e in errors} == {0, 1, 2}
    assert json.loads(out)["ok"] is False


def test_schema_prints_the_schema() -> None:
    assert run("schema") == (0, schema_text(), "")
