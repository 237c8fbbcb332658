"""From a store's URL to what follows it. Each kind's library is imported only where it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sidecar.core.errors import DeskgateError
from sync import storeurl
from sync.sources import Source

if TYPE_CHECKING:
    from sync.feed.channel import FeedTarget


class UnknownSource(DeskgateError):
    """A store that this version cannot follow, or not as it was told to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What it takes to follow a store, beside its URL. Each kind looks at what concerns it."""

    interval: float = 0.025
    """Seconds between two looks at a file."""
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    """What a feed server knows this sidecar by; or the file that holds it, and nothing else."""
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    """PEM files: who vouches for the feed servers; and the certificate that shows who we are, with its key."""
    keepalive: float = 20.0
    """Seconds after which an idle connection to a feed server is tried."""
    only: tuple[str, ...] = ()
    """The tenants to follow over a feed; none: every one."""
    instance: str = ""
    """Our name in a feed server's log."""
    license_keys: Path | None = None
    """The JWKS file of those whose licenses are trusted."""
    usage_store: Path | None = None
    """Where usage is kept under a license."""


def open_source(url: str, options: SourceOptions = SourceOptions()) -> Source:
    """The source that a URL, or the path of a file, names. Nothing is opened yet, but tokens and keys are read.

    Raises UnknownSource.
    """
    try:
        known = storeurl.parsed(url)
    except ValueError as e:
        raise UnknownSource(str(e)) from e
    return OPENERS[storeurl.kind_of(known)](known, options)


def feed_target(url: str, options: SourceOptions) -> FeedTarget:
    """The feed servers that a deskgate:// URL names, and what lets us in. Raises UnknownSource."""
    from sync.feed.channel import FeedTarget, parse_target

    try:
        addresses = parse_target(url)
    except ValueError as e:
        raise UnknownSource(str(e)) from e
    return FeedTarget(
        addresses=addresses,
        token=_token(options),
        ca=_pem(options.ca),
        cert=_pem(options.cert),
        key=_pem(options.key),
        keepalive=options.keepalive,
    )


def _sqlite(url: str, options: SourceOptions) -> Source:
    from sync.sqlitefile import SqliteSource

    return SqliteSource(Path(storeurl.path_of(url)), interval=options.interval)


def _postgresql(url: str, options: SourceOptions) -> Source:
    from sync.postgressource import PostgresSource
    from sync.store.errors import StoreError

    if options.only:
        raise UnknownSource("a database is followed as a whole: it is the feed (deskgate://) that gives some tenants")
    try:
        return PostgresSource(url)
    except StoreError as e:
        raise UnknownSource(str(e)) from e


def _feed(url: str, options: SourceOptions) -> Source:
    from sync.feed.client import FeedSource

    return FeedSource(feed_target(url, options), only=options.only, instance=options.instance)


def _license(url: str, options: SourceOptions) -> Source:
    from sync.licensesource import LicenseSource

    if options.license_keys is None or options.usage_store is None:
        raise UnknownSource(
            "a license needs license_keys, the file of the keys that are trusted, and a state directory"
        )
    return LicenseSource(
        Path(storeurl.path_of(url)),
        keys=options.license_keys,
        usage_store=options.usage_store,
        interval=options.interval,
    )


OPENERS: Final[Mapping[str, Callable[[str, SourceOptions], Source]]] = {
    storeurl.SQLITE: _sqlite,
    storeurl.POSTGRESQL: _postgresql,
    storeurl.DESKGATE: _feed,
    storeurl.LICENSE: _license,
}


def _pem(path: Path | None) -> bytes | None:
    return None if path is None else _read(path)


def _token(options: SourceOptions) -> str:
    path = options.token_file
    if not options.token and path is None:
        return ""
    given = options.token.encode(errors="surrogatepass") if path is None else _read(path)
    try:
        token = given.decode("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable() or " " in token:
        raise UnknownSource(f"{path or 'store_token'} holds no token: one line of letters, digits and signs is needed")
    return token


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise UnknownSource(f"{path} cannot be read: {e.strerror}") from e
