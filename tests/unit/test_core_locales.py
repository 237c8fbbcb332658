"""The language of an answer: RFC 4647 look-up, then the tenant's language, then English."""

from __future__ import annotations

import pytest

from sidecar.core.errors import InvalidRequest
from sidecar.core.locales import Languages, pick

LANGUAGES = Languages(frozenset({"en", "zh-CN", "zh-TW", "pt-BR", "fr"}))


@pytest.mark.parametrize(
    ("locale", "tenant", "chain"),
    [
        ("", "", ("en",)),
        ("en", "", ("en",)),
        ("zh-CN", "", ("zh-CN", "zh-TW", "en")),
        ("ZH-cn", "", ("zh-CN", "zh-TW", "en")),
        ("zh-TW-x-y", "", ("zh-TW", "zh-CN", "en")),  # shortened step by step, then its kin
        ("zh-Hans-CN", "", ("zh-CN", "zh-TW", "en")),  # no prefix of it is there: its kin, in order
        ("zh", "", ("zh-CN", "zh-TW", "en")),
        ("pt-PT", "", ("pt-BR", "en")),
        ("fr-CA", "", ("fr", "en")),
        ("de", "", ("en",)),
        ("de", "fr", ("fr", "en")),
        ("", "fr", ("fr", "en")),
        ("pt", "fr", ("pt-BR", "fr", "en")),
        ("fr", "fr", ("fr", "en")),
        ("en-GB", "zh-TW", ("en", "zh-TW", "zh-CN")),
    ],
)
def test_languages_to_try(locale: str, tenant: str, chain: tuple[str, ...]) -> None:
    assert LANGUAGES.chain(locale, tenant) == chain
    assert LANGUAGES.chain(locale, tenant) == chain  # remembered


def test_english_is_tried_even_when_no_message_has_it() -> None:
    assert Languages(frozenset({"fr"})).chain("fr", "") == ("fr", "en")


@pytest.mark.parametrize(
    "locale", ["x", "zh_CN", "-", "en-", "-en", "1234", "toolonglang", "en-" + "x" * 9, "en" + "-a" * 8, "en\n", " en"]
)
def test_malformed_locales(locale: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a language tag such as zh-CN") as caught:
        LANGUAGES.chain(locale, "fr")
    assert caught.value.field == "locale"


@pytest.mark.parametrize("locale", ["ab", "abcdefgh", "en-" + "x" * 8, "en" + "-a" * 7])
def test_the_longest_and_shortest_locales(locale: str) -> None:
    assert LANGUAGES.chain(locale, "")[-1] == "en"


def test_of_an_endless_locale_only_the_beginning_is_shown() -> None:
    with pytest.raises(InvalidRequest) as caught:
        LANGUAGES.chain("x" * 64 + "y" * 1000, "")
    assert caught.value.problem == f"'{'x' * 64}' is not a language tag such as zh-CN"


def test_1024_chains_are_remembered_and_no_more() -> None:
    languages = Languages(frozenset({"en"}))
    first = [languages.chain(f"de-{n}", "fr") for n in range(1025)]
    again = [languages.chain(f"de-{n}", "fr") for n in range(1025)]
    assert [a is b for a, b in zip(first, again, strict=True)] == [True] * 1024 + [False]


@pytest.mark.parametrize(
    ("chain", "text"),
    [(("fr", "en"), "hello"), (("zh-CN", "en"), "你好"), (("en", "zh-CN"), "hello"), (("fr",), ""), ((), "")],
)
def test_a_message_in_the_first_language_it_has(chain: tuple[str, ...], text: str) -> None:
    assert pick({"en": "hello", "zh-CN": "你好"}, chain) == text


def test_an_empty_message_is_one() -> None:
    assert pick({"fr": "", "en": "hello"}, ("fr", "en")) == ""
