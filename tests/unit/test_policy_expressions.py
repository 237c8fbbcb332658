"""`when:` expressions: only True and False count, whatever CEL makes of an error; and what no question could ever make
true or false is refused when it is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest

from sidecar.core.errors import ConditionFailed
from sidecar.core.rules import VARIABLES
from sidecar.policy.expressions import LONGEST, InvalidExpression, compile_condition

SATURDAY = datetime(2026, 1, 3, 12, tzinfo=UTC)
SUNDAY = SATURDAY + timedelta(days=1)
SAMPLES: Mapping[str, Any] = {
    "timestamp": SATURDAY,
    "string": "x",
    "int": 1,
    "bool": True,
    "list<string>": ("a", "b"),
    "map<string, string>": MappingProxyType({"entry": "manual"}),
}


def given(**changed: Any) -> Mapping[str, Any]:
    """Every variable with a value; those of a dotted name are given with two underscores."""
    named = {name.replace("__", "."): value for name, value in changed.items()}
    return MappingProxyType({**{name: SAMPLES[kind] for name, kind in VARIABLES.items()}, **named})


@pytest.mark.parametrize(
    ("source", "variables", "expected"),
    [
        ("quantity > 1", given(quantity=2), True),
        ("quantity > 1", given(quantity=1), False),
        ("window.starts_at.getDayOfWeek(tenant.time_zone) in [0, 6]", given(tenant__time_zone="UTC"), True),
        ("window.starts_at.getHours(tenant.time_zone) == 20", given(tenant__time_zone="Asia/Shanghai"), True),
        ("'b' in tenant.tags && size(tenant.tags) == 2", given(), True),
        ("resource.attributes.entry == 'manual'", given(), True),
        ("has(resource.attributes.colour)", given(), False),
        ("request.attributes['entry'].startsWith('man')", given(), True),
        ("window.ends_at - window.starts_at > duration('2h')", given(window__ends_at=SUNDAY), True),
        ("tenant.edition != 'flagship'", given(tenant__edition="flagship"), False),
        ("!quota.unlimited && quota.used * 2 > quota.limit", given(quota__unlimited=False), True),
        ("now < timestamp('2026-01-03T12:00:00.000001Z')", given(), True),
        ("true", {}, True),
    ],
)  # fmt: skip
def test_an_expression_is_true_or_false(source: str, variables: Mapping[str, Any], expected: bool) -> None:
    assert compile_condition(source).evaluate(variables) is expected


@pytest.mark.parametrize(
    ("source", "variables", "why"),
    [
        ("resource.attributes.colour == 'red'", given(), "Key not found in map"),
        ("quantity / quota.used == 1", given(quota__used=0), "divide by zero"),
        ("tenant.tags[5] == 'a'", given(), "index=5"),
        ("now.getHours(tenant.time_zone) == 1", given(tenant__time_zone="Mars/Base"), "Invalid timezone"),
        ("action.matches(tenant.id)", given(tenant__id="("), "invalid regular expression"),
        ("timestamp(tenant.id) < now", given(), "String to Timestamp"),
        ("quantity * quantity > 0", given(quantity=2**62), "overflow"),
        ("quantity > 0", {}, "no value for quantity"),
        ("quantity > 0", given(quantity=2**70), "int"),
        ("quantity > 0", given(quantity="many"), "Unexpected value type"),
        ("now > timestamp(0)", given(now=datetime(2026, 1, 1)), "must be a datetime with a zone"),  # noqa: DTZ001
        ("now > timestamp(0)", given(now=1_767_225_600_000_000), "must be a datetime with a zone"),
        ("'a' in tenant.tags", given(tenant__tags=None), "not iterable"),
        ("tenant.tags.all(a, tenant.tags.all(b, a != ''))", given(tenant__tags=["a"] * 200), "budget exceeded"),
    ],
)  # fmt: skip
def test_an_error_is_neither_true_nor_false(source: str, variables: Mapping[str, Any], why: str) -> None:
    with pytest.raises(ConditionFailed, match=why):
        compile_condition(source).evaluate(variables)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("now > timestamp('tomorrow')", "1:16 String to Timestamp conversion failed"),
        ("now - window.starts_at > duration('5x')", "1:34 String to Duration conversion failed"),
        ("now.getHours('Mars/Base') == 1", "1:13 Invalid timezone"),
        ("window.given &&\n now.getDayOfWeek('Mars') == 1", "2:18 Invalid timezone"),
        ("tenant.id.matches('(')", "1:18 invalid regular expression"),
        ("matches(tenant.id, '[')", "1:8 invalid regular expression"),
        ("quantity / 0 == 1", "1:10 divide by zero"),
        ("quantity % (2 - 2) == 1", "1:10 modulus by zero"),
        ("uint(quantity) / 0u == 1u", "1:16 divide by zero"),
        ("1 / 0 == 1", "1:3 divide by zero"),
        ("false && 1 / 0 == 1", "1:12 divide by zero"),
        ("true ? quantity > 1 : 1 / 0 > 1", "1:25 divide by zero"),
        ("[1, 2].exists(i, i == 1 || 1 / 0 == 1)", "1:30 divide by zero"),
        ("[1, 0].all(i, 1 / i == 1)", "1:11 divide by zero"),
        ("quantity > 9223372036854775807 + 1", "1:32 integer overflow"),
        ("['a'][1] == action", "1:6 Index error"),
        ("{'a': 1}['b'] == quantity", "1:9 Key not found"),
        ("tenant.tags.exists(t, t.matches('('))", "1:32 invalid regular expression"),
        ("tenant.id == 'never' && now.getHours('Mars') == 1", "1:37 Invalid timezone"),
    ],
)
def test_a_literal_that_fails_on_every_question_is_refused(source: str, fault: str) -> None:
    with pytest.raises(InvalidExpression) as caught:
        compile_condition(source)
    told = [f"{f.line}:{f.column} {f.problem}" for f in caught.value.faults]
    assert len(told) == 1
    assert told[0].startswith(fault)


@pytest.mark.parametrize(
    "source",
    [
        "resource.attributes['x'] == 'y'",
        "resource.attributes.x == 'y'",
        "tenant.tags[0] == 'a'",
        "quota.used / quota.limit > 1",
        "now.getHours(tenant.time_zone) == 1",
        "now.getHours('Asia/Shanghai') == 1 || now.getHours('+08:00') == 2 || now.getHours() == 1",
        "tenant.id.matches(tenant.edition)",
        "tenant.id.matches('^[a-z]+$')",
        "double(quantity) / 0.0 > 1.0",
        "[action].exists(action, action == 'a')",
        "timestamp(resource.attributes['until']) > now",
        "duration('1h30m') > now - window.starts_at",
        "quantity / 2 == 1 && 6 / 3 == 2",
    ],
)
def test_what_may_hold_on_some_question_is_not_refused(source: str) -> None:
    assert compile_condition(source).source == source


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("now > timestamp(0)", True),
        ("window.given && now.getHours() == 1", True),
        (".now > timestamp(0)", True),
        ("tenant.tags.exists(t, now > timestamp(0))", True),
        ("[now].exists(now, now > timestamp(0))", True),
        ("action == 'now'", False),
        ("[1, 2].exists(now, now == 1)", False),
        ("resource.attributes.now == 'x'", False),
        ("window.starts_at > timestamp(0)", False),
        ("true", False),
    ],
)
def test_reading_the_time_is_known(source: str, reads: bool) -> None:
    assert compile_condition(source).reads_time is reads


def test_only_what_is_read_need_be_given() -> None:
    condition = compile_condition("window.given && tenant.id == 'a' && resource.attributes.exists(k, k == 'x')")
    assert condition.reads == {"window.given", "tenant.id", "resource.attributes"}
    assert condition.evaluate({"window.given": True, "tenant.id": "b", "resource.attributes": {}}) is False


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_can_be_read(name: str) -> None:
    literal = {
        "timestamp": "timestamp('2026-01-03T12:00:00Z')",
        "string": "'x'",
        "int": "1",
        "bool": "true",
        "list<string>": "['a', 'b']",
        "map<string, string>": "{'entry': 'manual'}",
    }[VARIABLES[name]]
    assert compile_condition(f"{name} == {literal}").evaluate(given()) is True


@pytest.mark.parametrize("source", ["", "  ", "true || " * (LONGEST // 8) + "true"])
def test_an_expression_has_a_length(source: str) -> None:
    with pytest.raises(InvalidExpression, match="1 to 4096 characters"):
        compile_condition(source)


@pytest.mark.parametrize(
    "source", ["(" * 100 + "true" + ")" * 100, "+".join(["quantity"] * 200) + " > 0"], ids=["parentheses", "sums"]
)
def test_deep_nesting_is_refused(source: str) -> None:
    with pytest.raises(InvalidExpression, match="recursion"):
        compile_condition(source)


def test_loops_nested_too_deeply_are_refused() -> None:
    with pytest.raises(InvalidExpression, match="nested too deeply"):
        compile_condition("tenant.tags.exists(a, " * 25 + "a == 'x'" + ")" * 25)


@pytest.mark.parametrize("part", ["1+1==2", "'a'+'b'==action", "quantity/2==1", "[1].size()>0"])
def test_many_literals_are_looked_at_fast(part: str) -> None:
    began = time.monotonic()
    compile_condition("||".join([part] * (LONGEST // (len(part) + 2))))
    assert time.monotonic() - began < 2


def test_a_loop_over_literals_cannot_stall_the_load() -> None:
    with pytest.raises(InvalidExpression, match="budget exceeded"):
        compile_condition("[1,2,3,4,5,6,7,8,9,0].all(a, " * 8 + "true" + ")" * 8)


def test_the_ends_of_time_can_be_compared() -> None:
    condition = compile_condition("term.ends_at > window.starts_at && window.ends_at < window.starts_at")
    ends = {"term__ends_at": datetime.max.replace(tzinfo=UTC), "window__ends_at": datetime.min.replace(tzinfo=UTC)}
    assert condition.evaluate(given(**ends)) is True


def test_an_instant_is_the_same_in_any_zone() -> None:
    condition = compile_condition("now == window.starts_at && now.getHours() == 12")
    assert condition.evaluate(given(now=SATURDAY.astimezone(timezone(timedelta(hours=8))))) is True


def test_the_zone_of_the_machine_does_not_matter() -> None:
    program = (
        "from datetime import UTC, datetime\n"
        "from sidecar.policy.expressions import compile_condition\n"
        "c = compile_condition(\"now.getHours() == 12 && now == timestamp('2026-01-03T12:00:00Z')\")\n"
        "assert c.evaluate({'now': datetime(2026, 1, 3, 12, tzinfo=UTC)}) is True\n"
    )
    env = {**os.environ, "TZ": "Pacific/Auckland"}
    subprocess.run([sys.executable, "-c", program], env=env, check=True, timeout=60)


def test_a_condition_can_be_evaluated_from_several_threads() -> None:
    condition = compile_condition("quantity % 2 == 0 && tenant.tags.exists(t, t == 'b')")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: condition.evaluate(given(quantity=n)), range(2_000)))
    assert found == [n % 2 == 0 for n in range(2_000)]


def test_conditions_are_equal_by_their_text() -> None:
    assert compile_condition("true") == compile_condition("true")
    assert len({compile_condition("true"), compile_condition("false"), compile_condition("true")}) == 2
    assert repr(compile_condition("quantity > 1")) == "CelCondition('quantity > 1')"
