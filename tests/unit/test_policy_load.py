"""Every mistake in a policy file is told with its place, the rule it is in and what was probably meant; all at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sidecar.core.model import SECOND, Effect, Group, Period, Phase
from sidecar.core.rules import CutFrom, Remedy
from sidecar.policy.load import PolicyErrors, load
from tests.unit.policy_mistakes import ALLOW, BAD, DENY, HEAD, RULES, spec


@pytest.mark.parametrize(("text", "place", "words"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_a_mistake_is_told_with_its_place_and_what_was_meant(
    tmp_path: Path, text: str | bytes, place: str, words: str
) -> None:
    told = errors(tmp_path, {"p.yaml": text})
    assert [t for t in told if t.startswith(f"p.yaml:{place}: ") and words in t], told
    assert len(told) == 1, told


def errors(directory: Path, files: dict[str, str | bytes]) -> list[str]:
    """What is told of a set of files, each error as people see it."""
    for name, text in files.items():
        (directory / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PolicyErrors) as caught:
        load([directory])
    assert str(caught.value) == "\n".join(map(str, caught.value.errors))
    return [str(e).replace(f"{directory}/", "") for e in caught.value.errors]


def test_all_errors_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    many = (
        RULES
        + "      effect: den\n      phase: [X, TRIAL, Y]\n      when: a && b\n      reason: NOPE\n      judge_by: g\n"
    )
    told = errors(
        tmp_path, {"b.yaml": many + "      colour: red\n", "a.yaml": "\t", "c.yaml": ALLOW.replace("p}", "q}")}
    )
    assert [t.split(": ")[0] for t in told] == [
        "a.yaml:1:1",
        *("b.yaml:8:15", "b.yaml:9:15", "b.yaml:9:25", "b.yaml:10:13", "b.yaml:10:18", "b.yaml:13:7"),
        *("c.yaml:6:11",),
    ]
    assert "duplicate rule id 'r' (the first is at b.yaml:6)" in told[-1].replace(str(tmp_path) + "/", "")


def test_a_mistake_in_one_field_hides_none_in_another(tmp_path: Path) -> None:
    rule = "      effect: deny\n      phase: [X]\n      reason: NOPE\n      judge_by: g\n      cuts: {c: true}\n"
    told = errors(tmp_path, {"p.yaml": RULES + rule})
    assert [t.split(": ")[0] for t in told] == [f"p.yaml:{p}" for p in ("9:15", "10:15", "11:17", "12:14")]


def test_names_are_not_missed_while_a_file_that_may_declare_them_cannot_be_read(tmp_path: Path) -> None:
    told = errors(tmp_path, {"a.yaml": DENY.replace("OVER_QUOTA", "MINE") + "  overrides: [x]\n", "b.yaml": "a: [\n"})
    assert len(told) == 1
    assert told[0].startswith("b.yaml:2:1")


def test_names_are_unique_in_the_set(tmp_path: Path) -> None:
    declares = """
        reasons: {MINE: {class: POLICY, retry: NEVER, message: {en: x}}}
        cuts: {c: {from: term_end, for: P1D}}
        key_groups: {g: [k]}
    """
    told = errors(tmp_path, {"a.yaml": spec(declares), "b.yaml": spec(declares)})
    for place, what in (("3:18", "policy name"), ("5:13", "reason"), ("6:10", "cut"), ("7:16", "key group")):
        assert any(t.startswith(f"b.yaml:{place}: duplicate {what}") for t in told), (place, told)
    assert len(told) == 4


def test_an_override_names_a_rule_of_a_more_general_layer(tmp_path: Path) -> None:
    edition = spec("applies_to: {editions: [basic]}\noverrides: [r]").replace("{name: p}", "{name: e}")
    other = spec("applies_to: {editions: [flagship], tags: []}\noverrides: [e1]").replace("{name: p}", "{name: f}")
    one = spec("applies_to: {editions: [basic]}\nrules: [{id: e1, actions: [a], effect: allow}]")
    (tmp_path / "a.yaml").write_text(ALLOW)
    (tmp_path / "b.yaml").write_text(edition)
    assert load([tmp_path]).policies[1].overrides == {"r"}
    told = errors(
        tmp_path, {"c.yaml": other.replace(", tags: []", ""), "d.yaml": one.replace("{name: p}", "{name: g}")}
    )
    assert [t.split(" (")[0] for t in told] == [
        "c.yaml:6:15: overrides: rule 'e1' is not in a more general policy than this one"
    ]


def test_a_threshold_left_out_is_that_of_the_general_policies(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(spec("freshness: {blind_after: PT48H}"))
    own = "applies_to: {tenants: [t]}\nfreshness: {stale_after: PT36H}"
    (tmp_path / "b.yaml").write_text(spec(own).replace("{name: p}", "{name: q}"))
    assert load([tmp_path]).policies[1].stale_after == 36 * 3600 * SECOND


def test_a_directory_is_its_policies_alone(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(ALLOW)
    (tmp_path / "b.yml").write_text(ALLOW.replace("{name: p}", "{name: q}").replace("id: r", "id: s"))
    for ignored in ("a_test.yaml", ".hidden.yaml", "notes.txt", "..data"):
        (tmp_path / ignored).write_text("not: [a policy")
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "c.yaml").write_text("neither")
    assert [p.name for p in load([tmp_path]).policies] == ["p", "q"]


def test_what_cannot_be_read_is_told_and_never_an_empty_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dir.yaml").mkdir()
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PolicyErrors) as caught:
        load([tmp_path, tmp_path / "empty", tmp_path / "absent.yaml", Path("/dev/zero")])
    told = {e.file.rpartition("/")[2]: e.problem for e in caught.value.errors}
    assert told == {
        "dir.yaml": "cannot be read: it is not a file",
        "gone.yaml": "cannot be read: No such file or directory",
        "empty": "no policy file is in the directory",
        "absent.yaml": "cannot be read: No such file or directory",
        "zero": "cannot be read: it is not a file",
    }
    with pytest.raises(PolicyErrors, match="no policy file was given"):
        load([])

    def denied(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", denied)
    with pytest.raises(PolicyErrors, match="cannot be read: Permission denied"):
        load([tmp_path])


BOMBS = {
    "aliases": "a: &a [x]\n"
    + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{f'*{chr(97 + i)},' * 9}]\n" for i in range(20)),
    "brackets": "[" * 200_000,
    "braces": "{" * 200_000,
    "question marks": "? " * 100_000,
    "dashes": "- " * 100_000,
    "indentation": "".join(" " * i + "a:\n" for i in range(700)),
    "keys": "".join(f"k{i}: 1\n" for i in range(24_000)),
    "same key": "k: 1\n" * 50_000,
    "rules": RULES + "    - {}\n" * 25_000,
    "anchors": "[" + "&a a," * 40_000 + "]",
    "one long line": "a: " + "x" * 250_000,
    "braces in a message": DENY + '      message: {en: "' + "{" * 100_000 + '"}\n',
    "expression": ALLOW + "      when: " + "(" * 4000 + "\n",
    "unknown names": HEAD + "  overrides: [" + "abcdefgh, " * 20_000 + "]\n",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_fast_and_in_few_words(tmp_path: Path, text: str) -> None:
    began = time.monotonic()
    told = errors(tmp_path, {"p.yaml": text})
    assert time.monotonic() - began < 5
    assert 1 <= len(told) <= 101
    assert sum(map(len, told)) < 200_000


def test_more_errors_than_anyone_reads_are_counted(tmp_path: Path) -> None:
    told = errors(tmp_path, {"p.yaml": "k: 1\n" * 1_000})
    assert len(told) == 101
    assert "more errors follow" in told[-1]


def test_everything_a_policy_may_say_is_compiled(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        spec("""
        applies_to: {editions: [basic], tags: [t], tenants: [acme]}
        terms: {grace: P1Y2M, expiring_soon: P2W, near_quota: 80%, overage: 10%}
        freshness: {stale_after: PT1M30.5S, blind_after: PT2H}
        key_groups: {desks: [fixed_desk, shared_desk]}
        cuts: {early: {from: term_end, for: P14D}, last: {from: grace_end, for: -P7DT12H}}
        reasons: {MINE: {class: POLICY, retry: NEVER, message: {en: no}}}
        rules:
          - id: deny
            description: says no
            actions: [booking.*]
            action_groups: [spend]
            keys: [fixed_desk]
            phase: [TRIAL, ACTIVE]
            licensed: true
            usage: [over]
            near_quota: false
            cuts: {early: true, last: false}
            judge_by: desks
            when: "quantity > 1"
            effect: deny
            reason: MINE
            message: {en: "{used}", zh-CN: "“{used}”"}
            remedies: [release]
            warnings: [{code: W, message: {en: w}}]
    """).replace("message: {en: no}", 'message: {en: "no"}')
    )
    (policy,) = load([tmp_path]).policies
    assert (policy.applies_to.layer, policy.grace, policy.expiring_soon) == (3, Period(months=14), Period(days=14))
    assert (policy.near_quota, policy.overage) == (80, 10)
    assert (policy.stale_after, policy.blind_after) == (90_500_000, 7200 * SECOND)
    assert policy.key_groups == {"desks": ("fixed_desk", "shared_desk")}
    assert (policy.cuts["early"].from_, policy.cuts["early"].length) == (CutFrom.TERM_END, Period(days=14))
    assert policy.cuts["last"].length == Period(days=-7, micros=-12 * 3600 * SECOND)
    assert policy.reasons["MINE"].remedies == (Remedy.CONTACT,)
    (rule,) = policy.rules
    assert (rule.policy, rule.id, rule.line, rule.effect, rule.reason) == ("p", "deny", 12, Effect.DENY, "MINE")
    assert (rule.actions, rule.action_groups, rule.keys) == (("booking.*",), {Group.SPEND}, ("fixed_desk",))
    assert (rule.phase, rule.status, rule.licensed, rule.near_quota) == ({Phase.TRIAL, Phase.ACTIVE}, None, True, False)
    assert (rule.cuts, rule.judge_by, rule.remedies) == ({"early": True, "last": False}, "desks", (Remedy.RELEASE,))
    assert rule.when is not None
    assert rule.when.source == "quantity > 1"
    assert (rule.message["zh-CN"], rule.warnings[0].code) == ("“{used}”", "W")


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(b"\xef\xbb\xbf" + ALLOW.replace("\n", "\r\n").encode())
    assert load([tmp_path]).policies[0].rules[0].id == "r"
    told = errors(tmp_path, {"p.yaml": ALLOW.replace("\n", "\r\n") + "      when: foo\r\n"})
    assert told[0].startswith("p.yaml:9:13: ")


def test_the_revision_is_of_names_and_contents(tmp_path: Path) -> None:
    def revision(place: str, files: dict[str, str]) -> str:
        (tmp_path / place).mkdir()
        for name, text in files.items():
            (tmp_path / place / name).write_text(text)
        return load([tmp_path / place]).revision

    other = ALLOW.replace("{name: p}", "{name: q}").replace("id: r", "id: s")
    here, there = (revision(p, {"a.yaml": ALLOW, "b.yaml": other}) for p in ("here", "there"))
    assert here == there
    assert len(here) == 16
    assert revision("renamed", {"a.yaml": ALLOW, "c.yaml": other}) != here
    assert revision("edited", {"a.yaml": ALLOW + "# more\n", "b.yaml": other}) != here
    assert revision("swapped", {"a.yaml": other, "b.yaml": ALLOW}) != here
