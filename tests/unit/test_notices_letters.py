"""What notices say: both languages, times on the tenant's clock, and an operator's own templates."""

from __future__ import annotations

import re
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.calendar import parse_instant
from sidecar.core.model import FOREVER
from sync.notices.letters import FACTS, LANGUAGES, NAMES, OURS, BadFacts, BadTemplate, Letter, Letters, Reader, sample

CONTACT_US = "如需购买、续费、增加授权数量，请点击“联系我们”"
NOW = parse_instant("2026-06-23T16:00:00Z")
END = parse_instant("2026-06-30T16:00:00Z")
REMINDER: dict[str, Any] = {
    "ends_at": END,
    "grace_ends_at": parse_instant("2026-09-30T16:00:00Z"),
    "count": 7,
    "keys": ["desk", "room"],
    "trials": [],
}


@cache
def ours() -> Letters:
    return Letters()


def reader(language: str = "en", zone: str = "Asia/Shanghai", name: str = "Acme") -> Reader:
    return Reader(tenant_id="acme", name=name, zone=zone, language=language)


def write(kind: str, facts: dict[str, Any], to: Reader | None = None, now: int = NOW) -> Letter:
    return ours().write(kind, facts, to or reader(), now)


def visible(html: str) -> str:
    """What a reader sees of HTML."""
    body = html[html.index("<body") :]
    return unescape(" ".join(re.sub(r"<[^>]*>", " ", body).split()))


def test_there_is_a_template_for_each_thing_that_can_be_said() -> None:
    found = {path.relative_to(OURS).as_posix() for path in OURS.rglob("*.*")}
    assert found == set(NAMES)


def test_the_end_is_told_on_the_tenants_clock() -> None:
    letter = write("expiring", REMINDER)
    assert letter.subject == "Your subscription ends in 7 days"
    assert "at 2026-07-01 00:00 (Asia/Shanghai):\n\n- desk\n- room\n" in letter.text
    assert "you can renew until 2026-10-01 00:00 (Asia/Shanghai)." in letter.text
    assert "2026-06-30 16:00 (UTC)" in write("expiring", REMINDER, reader(zone="UTC")).text
    odd = write("expiring", {**REMINDER, "ends_at": END + 5_000_000}, reader(zone="UTC"))
    assert "2026-06-30 16:00:05 (UTC)" in odd.text


@pytest.mark.parametrize("language", ["zh", "zh-CN", "ZH-Hant-TW"])
def test_chinese_for_those_who_read_it(language: str) -> None:
    letter = write("expiring", REMINDER, reader(language))
    assert letter.subject == "订阅将在 7 天后到期"
    assert "2026年07月01日 00:00 (Asia/Shanghai)" in letter.text
    assert '<html lang="zh">' in letter.html


@pytest.mark.parametrize("language", ["", "en", "de", "zhx"])
def test_english_for_everybody_else(language: str) -> None:
    letter = write("expiring", REMINDER, reader(language))
    assert letter.subject.startswith("Your subscription")
    assert '<html lang="en">' in letter.html


@pytest.mark.parametrize("kind", ["expiring", "ended", "grace_monthly"])
@pytest.mark.parametrize("trials", [[], ["desk"], ["desk", "room"]])
def test_chinese_reminders_end_with_how_to_buy(kind: str, trials: list[str]) -> None:
    letter = write(kind, {**REMINDER, "trials": trials}, reader("zh-CN"))
    assert letter.text.endswith(f"\n{CONTACT_US}\n")
    assert visible(letter.html).endswith(CONTACT_US)


@pytest.mark.parametrize(
    ("kind", "language", "all_", "some"),
    [
        ("expiring", "en", "Your trial of", "- desk (trial)"),
        ("ended", "en", "Your trial of", "- desk (trial)"),
        ("grace_monthly", "en", "Your trial of", "- desk (trial)"),
        ("expiring", "zh", "以下试用", "- desk（试用）"),
        ("ended", "zh", "以下试用", "- desk（试用）"),
        ("grace_monthly", "zh", "以下试用", "- desk（试用）"),
    ],
)
def test_trials_are_called_so(kind: str, language: str, all_: str, some: str) -> None:
    whole = write(kind, {**REMINDER, "trials": ["desk", "room"]}, reader(language))
    part = write(kind, {**REMINDER, "trials": ["desk"]}, reader(language))
    none = write(kind, REMINDER, reader(language))
    assert all_ in whole.text
    assert some not in whole.text
    assert some in part.text
    assert all_ not in part.text
    assert some[2:] in visible(part.html)
    words = ("trial", "试用")
    assert not any(word in said for said in (none.text, none.html, none.subject) for word in words)


@pytest.mark.parametrize(
    ("when", "days"), [("2026-06-23T16:00:00Z", "in 7 days"), ("2026-06-29T16:00:00Z", "tomorrow")]
)
def test_days_left_are_counted_on_the_calendar(when: str, days: str) -> None:
    assert write("expiring", REMINDER, now=parse_instant(when)).subject.endswith(days)


def test_an_end_later_on_the_same_day_is_today() -> None:
    assert write("expiring", REMINDER, reader(zone="UTC"), parse_instant("2026-06-30")).subject.endswith("today")
    assert write("expiring", REMINDER, reader("zh", "UTC"), parse_instant("2026-06-30")).subject == "订阅今天到期"


def test_grace_is_told_as_it_is() -> None:
    assert "renew until 2026-10-01" in write("ended", REMINDER, now=END).text
    over = write("ended", {**REMINDER, "grace_ends_at": END}, now=END)
    assert "cannot be used any more" in over.text
    assert "cannot be used any more" in over.html
    assert "renew until" not in write("expiring", {**REMINDER, "grace_ends_at": END}).text
    endless = {**REMINDER, "grace_ends_at": FOREVER}
    for kind in ("expiring", "ended", "grace_monthly"):
        assert "renew at any time" in write(kind, endless, now=END).text
        assert "renew at any time" in write(kind, endless, now=END).html


def test_months_since_the_end_are_told() -> None:
    assert "ended a month ago" in write("grace_monthly", {**REMINDER, "count": 1}, now=END).subject
    assert "ended 2 months ago" in write("grace_monthly", {**REMINDER, "count": 2}, now=END).text


def test_payments_and_provisioning_are_told() -> None:
    facts = {"order_id": 7, "amount": 15_000_500_000, "currency": "CNY", "paid_on": "2026-06-30", "reference": "R-1"}
    paid = write("payment_recorded", facts)
    assert "For order 7, 15,000.50 CNY has been recorded as paid on 2026-06-30." in paid.text
    assert "Reference: R-1" in paid.text
    back = write("payment_recorded", {**facts, "amount": -12_000_000, "reference": ""})
    assert back.subject == "A payment was taken back: order 7"
    assert "12 CNY has been taken back" in back.text
    assert "Reference" not in back.text
    bare = write("payment_recorded", {"order_id": 7, "amount": 1})
    assert "For order 7, 0.000001 has been recorded as paid." in bare.text
    ready = write("provisioned", {"order_id": 7, "provisioned_at": END})
    assert "order 7 has been provisioned at 2026-07-01 00:00 (Asia/Shanghai)." in ready.text
    assert "has been provisioned." in write("provisioned", {"order_id": 7}).text
    assert "订单 7 已登记付款 15,000.50 CNY，日期：2026-06-30。" in write("payment_recorded", facts, reader("zh")).text


def test_names_are_text_and_never_markup() -> None:
    facts = {**REMINDER, "keys": ["<b>desk</b>"]}
    letter = write("expiring", facts, reader(name="A & <script>"))
    assert "<script>" not in letter.html
    assert "A &amp; &lt;script&gt;" in letter.html
    assert "&lt;b&gt;desk&lt;/b&gt;" in letter.html
    assert "To the contacts of A & <script>" in letter.text
    assert "To the contacts of acme\n" in write("expiring", REMINDER, reader(name="")).text


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("expiring", {**REMINDER, "ends_at": "soon"}),
        ("expiring", {**REMINDER, "keys": 3}),
        ("payment_recorded", {"amount": "much"}),
        ("provisioned", {"provisioned_at": None}),
    ],
)
def test_facts_that_are_none_are_said_to_be(kind: str, facts: dict[str, Any]) -> None:
    with pytest.raises(BadFacts, match=kind):
        write(kind, facts)


def test_a_sample_of_each_kind_can_be_shown() -> None:
    letters = ours()
    for kind in FACTS:
        for language in LANGUAGES:
            letter = letters.write(kind, sample(kind), reader(language), NOW)
            assert letter.subject
            assert "\n" not in letter.subject
            assert not re.search(r"\n{3,}", letter.text), "no holes in the text"


# --- an operator's own ---


def put(folder: Path, name: str, text: str | bytes) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_an_operators_own_texts_come_before_ours(tmp_path: Path) -> None:
    put(tmp_path, "en/ended.txt", "Dear {{ tenant }}, it is over: {{ keys | join(', ') }}")
    put(tmp_path, "layout.html", "<main>{% block title %}{% endblock %}: {% block body %}{% endblock %}</main>")
    put(tmp_path, ".git/config", "not ours")
    letters = Letters(tmp_path)
    ended = letters.write("ended", REMINDER, reader(), END)
    assert ended.text == "Dear Acme, it is over: desk, room\n"
    assert ended.html.startswith("<main>Your subscription has ended: ")
    assert ended.subject == "Your subscription has ended"
    assert "以下订阅" in letters.write("ended", REMINDER, reader("zh"), END).text


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("en/ended.txt", "fine\n{% if %}\n", "en/ended.txt:2: "),
        ("en/ended.txt", "a\nb\n{{ who }}\n", "en/ended.txt:3: 'who' is undefined"),
        ("zh/expiring.subject.txt", "\n{{ 1 / 0 }}", "zh/expiring.subject.txt:2: division by zero"),
        ("en/ended.html", '{% extends "base.html" %}', "en/ended.html:1: base.html"),
        (
            "layout.html",
            "<p>\n{{ nobody.knows }}{% block body %}{% endblock %}",
            "layout.html:2: 'nobody' is undefined",
        ),
        ("en/ended.txt", b"\xff\xfe", "en/ended.txt:1: it cannot be read as UTF-8 text"),
        (
            "en/endded.txt",
            "x",
            "en/endded.txt:1: nothing is read from a file of this name (did you mean en/ended.txt?)",
        ),
        ("readme", "x", "readme:1: nothing is read from a file of this name (they are named LANGUAGE/KIND.PART"),
        ("en/payment_recorded.txt", "{{ amount + 1 }}", "en/payment_recorded.txt:1: "),
        ("en/ended.txt", "{{ keys | nope }}", "en/ended.txt:1: No filter named 'nope'."),
    ],
)
def test_a_bad_template_is_told_by_file_and_line_at_the_start(
    tmp_path: Path, name: str, text: str | bytes, problem: str
) -> None:
    put(tmp_path, name, text)
    with pytest.raises(BadTemplate) as told:
        Letters(tmp_path)
    assert str(told.value).startswith(f"{tmp_path}/{problem}")


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadTemplate, match="not a folder"):
        Letters(tmp_path / "missing")


def test_what_fails_only_on_some_facts_is_told_when_it_does(tmp_path: Path) -> None:
    put(tmp_path, "en/payment_recorded.txt", "\n{% if order_id == 13 %}{{ 1 / 0 }}{% endif %}")
    letters = Letters(tmp_path)
    with pytest.raises(BadTemplate, match=r"en/payment_recorded\.txt:2: division by zero"):
        letters.write("payment_recorded", {"order_id": 13}, reader(), NOW)
