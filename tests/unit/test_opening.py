"""A store's URL opens what follows it, and says clearly when it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync.feed.client import FeedSource
from sync.licensesource import LicenseSource
from sync.opening import SourceOptions, UnknownSource, feed_target, open_source
from sync.pace import Steady
from sync.postgressource import PostgresSource
from sync.sources import Source
from sync.sqlitefile import SqliteSource


@pytest.mark.parametrize("url", ["sqlite:///var/store.db", "sqlite:////var/store.db", "sqlite:///a b%20?c#d", "x.db"])
def test_a_stores_url_names_its_file(url: str) -> None:
    source = open_source(url, SourceOptions(interval=0.5))
    assert isinstance(source, SqliteSource)
    assert source._path == Path(url.removeprefix("sqlite:///"))
    assert isinstance(source.pace, Steady)
    assert source.pace.interval == 0.5


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("postgresql://u:p@127.0.0.1:1/d", PostgresSource),
        ("deskgate://127.0.0.1:1", FeedSource),
        ("license:///l.jwt", LicenseSource),
    ],
)
def test_each_kind_has_its_own(url: str, kind: type[Source], tmp_path: Path) -> None:
    source = open_source(url, SourceOptions(license_keys=tmp_path / "keys", usage_store=tmp_path / "usage.db"))
    assert type(source) is kind
    source.close()


@pytest.mark.parametrize(
    ("url", "options", "why"),
    [
        ("", SourceOptions(), "missing"),
        ("sqlite://", SourceOptions(), "sqlite:///"),
        ("sqlite://host/x", SourceOptions(), "sqlite:///"),
        ("mysql://host/x", SourceOptions(), "postgresql://"),
        ("postgresql://u:s3cret@host:port/x", SourceOptions(), "cannot be read"),
        ("postgresql://u:s3cret@host/x?nosuchoption=1", SourceOptions(), "cannot be read"),
        ("postgresql://host/x", SourceOptions(only=("a",)), "deskgate://"),
        ("deskgate://host", SourceOptions(), "host:port"),
        ("deskgate://h:1,h:1", SourceOptions(), "twice"),
        ("license:///x", SourceOptions(), "license_keys"),
        ("deskgate://h:1", SourceOptions(token_file=Path("/nowhere/token")), "No such file"),
        ("deskgate://h:1", SourceOptions(ca=Path("/nowhere/ca.pem")), "/nowhere/ca.pem"),
    ],
)
def test_what_cannot_be_followed_is_refused_clearly(url: str, options: SourceOptions, why: str) -> None:
    with pytest.raises(UnknownSource, match=why) as caught:
        open_source(url, options)
    assert "s3cret" not in str(caught.value)


def test_what_lets_us_in_is_read_from_files(tmp_path: Path) -> None:
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text(name)
    (tmp_path / "token").write_text("t0ken\n")
    options = SourceOptions(
        token_file=tmp_path / "token",
        ca=tmp_path / "ca",
        cert=tmp_path / "cert",
        key=tmp_path / "key",
        keepalive=7.0,
    )
    target = feed_target("deskgate://feed-0:9292,feed-1:9292", options)
    assert [str(address) for address in target.addresses] == ["feed-0:9292", "feed-1:9292"]
    assert (target.token, target.ca, target.cert, target.key) == ("t0ken", b"ca", b"cert", b"key")
    assert target.keepalive == 7.0
    assert feed_target("deskgate://h:1", SourceOptions(token="t")).token == "t"
    assert feed_target("deskgate://h:1", SourceOptions(token="t\n")).token == "t", "as from a secret in a variable"


@pytest.mark.parametrize("token", ["  ", "two words", "two\nlines", "schlüssel", "\udcff"])
def test_what_is_given_and_is_no_token_is_told_without_being_shown(token: str) -> None:
    with pytest.raises(UnknownSource, match="store_token holds no token"):
        feed_target("deskgate://h:1", SourceOptions(token=token))


@pytest.mark.parametrize("content", [b"", b"  \n", b"two words", b"two\nlines", b"\xff\xfe", "schlüssel".encode()])
def test_a_file_that_holds_no_token_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(UnknownSource, match="holds no token"):
        feed_target("deskgate://h:1", SourceOptions(token_file=tmp_path / "token"))
