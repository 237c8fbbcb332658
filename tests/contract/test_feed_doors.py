"""Who is let in at a feed server, by what, to which tenants, and for how long."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from structlog.testing import capture_logs

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as auth
from sidecar._gen.desking.entitlements.v1 import feed_pb2 as pb
from sidecar.address import Address
from sync.feed import eye
from sync.feed.channel import FeedTarget
from sync.feed.client import FeedSource
from sync.feed.doors import LONGEST
from sync.feed.server import FeedTuning
from sync.listening import CannotServe, ServerTls
from sync.sources import FailureKind
from sync.store.operators import Role, add_operator, enable_operator, rotate_token
from tests.feeding import (
    Ended,
    Feed,
    Held,
    Watch,
    called,
    caught_up,
    disabled,
    feeding,
    follow,
    refused,
    rows_of,
    sidecar_token,
    target,
)
from tests.serving import wait_for
from tests.storing import START, TESTER, Shop, at, filling, on_every_database, on_sqlite

pytestmark = on_every_database


@filling
def fill(shop: Shop) -> None:
    """Three tenants."""
    for tenant_id in ("a", "b", "c"):
        shop.tenant(tenant_id)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store.db", fill)


@pytest.fixture
def feed(shop: Shop) -> Iterator[Feed]:
    with feeding(shop.store) as feed:
        yield feed


def person(shop: Shop, role: Role) -> str:
    with shop.store.writing(TESTER) as writing:
        return add_operator(writing, role.name.lower(), role, now=at(START))


def ended_call(to: FeedTarget, method: str = "Get", **fields: object) -> tuple[str, str]:
    """How a single call about a tenant is refused."""
    given = {"tenant_id": "a"} | fields
    if method == "AdjustUsage":
        request: object = auth.AdjustUsageRequest(key="desk", idempotency_key="k", delta=1, **given)  # type: ignore[arg-type]
    else:
        request = pb.GetRequest(**given)  # type: ignore[arg-type]
    with pytest.raises(Ended) as ended:
        called(to, method, request, pb.GetResponse)
    return ended.value.status.name, ended.value.code


# Tokens

WRONG = {"none": "", "unknown": "x" * 43, "a part": "-", "much too long": "x" * (LONGEST + 1)}


@pytest.mark.parametrize("token", WRONG.values(), ids=WRONG)
def test_without_a_token_that_is_known_nobody_is_let_in(feed: Feed, token: str) -> None:
    to = target(feed, token)
    ended = refused(to)
    assert (ended.status.name, ended.code) == ("UNAUTHENTICATED", "NOT_LET_IN")
    assert ended_call(to) == ended_call(to, "AdjustUsage") == ("UNAUTHENTICATED", "NOT_LET_IN")


@pytest.mark.parametrize("value", ["Basic eDp5", "Bearer", "Bearer ", "token", "Bearer a b", ""])
def test_other_ways_to_say_who_one_is_are_refused(shop: Shop, feed: Feed, value: str) -> None:
    @dataclass(frozen=True)
    class Said(FeedTarget):
        @property
        def metadata(self) -> tuple[tuple[str, str], ...]:
            return (("authorization", value),)

    assert refused(Said(addresses=(feed.address,))).status.name == "UNAUTHENTICATED"


def test_the_scheme_may_be_written_in_any_case(shop: Shop, feed: Feed) -> None:
    @dataclass(frozen=True)
    class Said(FeedTarget):
        @property
        def metadata(self) -> tuple[tuple[str, str], ...]:
            return (("authorization", f"bearer  {self.token}"),)

    with Watch(Said(addresses=(feed.address,), token=sidecar_token(shop.store))) as watch:
        assert watch.update()[1] == rows_of(shop.store)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SIDECAR])
def test_people_are_not_let_in(shop: Shop, feed: Feed, role: Role) -> None:
    ended = refused(target(feed, person(shop, role)))
    assert (ended.status.name, ended.code) == ("UNAUTHENTICATED", "NOT_LET_IN")
    assert f"is {role.name.lower()}, not a sidecar" in ended.text


def test_what_is_refused_is_logged_without_its_token_and_told_by_the_client(shop: Shop, feed: Feed) -> None:
    token = "very-secret-" * 3
    source, held = FeedSource(target(feed, token)), Held()
    with capture_logs() as logs:
        follow(source, held, lambda: held.failures, failing=True)
    assert held.failures[0].kind is FailureKind.DENIED
    assert str(feed.address) in held.failures[0].problem
    assert any(log["event"] == "a call was not let in" for log in logs)
    assert token not in repr(logs) + repr(held.failures)
    source.close()


def test_a_sidecar_just_added_is_let_in_and_stays(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though what the replica knows of who may is a little old."""
    monkeypatch.setattr(eye, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(eye, "DOORS_EVERY", 0.02)
    with feeding(shop.store, tuning=FeedTuning(interval=0.01)) as feed:
        for n in range(10):
            with Watch(target(feed, sidecar_token(shop.store, f"desk-{n}"))) as watch:
                for _ in range(12):
                    watch.next()


@pytest.mark.parametrize("how", ["disabled", "rotated"])
@pytest.mark.parametrize("tenants", [(), ("a",)], ids=["all", "some"])
def test_a_token_that_is_void_ends_its_watch_in_seconds(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, how: str, tenants: tuple[str, ...]
) -> None:
    """However rarely heartbeats come."""
    monkeypatch.setattr(eye, "DOORS_EVERY", 0.2)
    token, other = sidecar_token(shop.store), sidecar_token(shop.store, "desk-2")
    with (
        feeding(shop.store, tuning=FeedTuning(interval=60.0)) as feed,
        Watch(target(feed, token), tenants=tenants) as watch,
        Watch(target(feed, other), tenants=tenants) as stays,
    ):
        watch.update(), stays.update()
        if how == "disabled":
            disabled(shop.store)
        else:
            with shop.store.writing(TESTER) as writing:
                token = rotate_token(writing, "desk-1")
        ended = watch.ended()
        assert (ended.status.name, ended.code) == ("UNAUTHENTICATED", "NOT_LET_IN")
        shop.use("a", desk=1)
        stays.update()
        with shop.store.writing(TESTER) as writing:
            enable_operator(writing, "desk-1")
        with Watch(target(feed, token)) as again:
            again.update()


# Only some tenants


def test_one_limited_to_some_tenants_gets_those_and_no_others(shop: Shop, feed: Feed) -> None:
    to = target(feed, sidecar_token(shop.store, tenants=["a", "b", "later"]))
    for asked, given in (((), {"a", "b"}), (("a",), {"a"}), (("b", "later"), {"b"})):
        with Watch(to, tenants=asked) as watch:
            batch, changes, _ = watch.update()
            assert set(changes) == given
            assert batch.digest != batch.position.mark
    for asked in (("c",), ("a", "c"), ("nobody",)):
        ended = refused(to, tenants=asked)
        assert (ended.status.name, ended.code) == ("PERMISSION_DENIED", "NOT_ITS_TENANTS")
        assert repr(asked[-1]) in ended.text


def test_one_limited_to_some_tenants_asks_and_tells_about_no_others(shop: Shop, feed: Feed) -> None:
    to = target(feed, sidecar_token(shop.store, tenants=["a"]))
    assert called(to, "Get", pb.GetRequest(tenant_id="a"), pb.GetResponse).records[0].tenant_id == "a"
    for method in ("Get", "AdjustUsage"):
        for tenant_id in ("b", "nobody"):
            assert ended_call(to, method, tenant_id=tenant_id) == ("PERMISSION_DENIED", "NOT_ITS_TENANTS")


@pytest.mark.parametrize("only", [(), ("a", "b")])
def test_a_limited_sidecar_holds_its_tenants_whether_it_names_them_or_not(
    shop: Shop, feed: Feed, only: tuple[str, ...]
) -> None:
    token = sidecar_token(shop.store, tenants=["a", "b"])
    source, held = FeedSource(target(feed, token), only=only), Held()
    caught_up(source, held, shop.store)
    assert set(held.rows) == {"a", "b"}
    source.close()


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@dataclass(frozen=True, kw_only=True)
class Files:
    """A server's TLS files."""

    cert: Path
    key: Path
    ca: Path

    def tls(self, *, clients: bool) -> ServerTls:
        return ServerTls(cert=self.cert, key=self.key, client_ca=self.ca if clients else None)


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> Files:
    made = authority.issue_cert("127.0.0.1")
    files = Files(cert=tmp_path / "server.pem", key=tmp_path / "server.key", ca=tmp_path / "ca.pem")
    files.cert.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
    files.key.write_bytes(made.private_key_pem.bytes())
    authority.cert_pem.write_to_path(str(files.ca))
    return files


def shown(
    feed: Feed, authority: trustme.CA, name: str | None, by: trustme.CA | None = None, token: str = ""
) -> FeedTarget:
    """A target that is known by the authority, and shows a certificate with this common name."""
    ca = authority.cert_pem.bytes()
    if name is None:
        return FeedTarget(addresses=(feed.address,), ca=ca, token=token)
    made = (by or authority).issue_cert("client.test", common_name=name)
    cert = b"".join(pem.bytes() for pem in made.cert_chain_pems)
    return FeedTarget(addresses=(feed.address,), ca=ca, cert=cert, key=made.private_key_pem.bytes(), token=token)


def test_the_common_name_of_a_certificate_is_the_sidecars(shop: Shop, authority: trustme.CA, files: Files) -> None:
    sidecar_token(shop.store, "desk-1")
    limited = sidecar_token(shop.store, "desk-2", tenants=["a"])
    person(shop, Role.ADMIN)
    with feeding(shop.store, tls=files.tls(clients=True)) as feed:
        with Watch(shown(feed, authority, "desk-1")) as watch:
            assert watch.update()[1] == rows_of(shop.store)
        with Watch(shown(feed, authority, "desk-2")) as watch:
            assert set(watch.update()[1]) == {"a"}
        with Watch(shown(feed, authority, "desk-1", token=limited)) as watch:  # who says who it is, is that
            assert set(watch.update()[1]) == {"a"}
        for name in ("nobody", "admin", "DESK-1", "desk-1 "):
            assert refused(shown(feed, authority, name)).status.name == "UNAUTHENTICATED"
        for nobody in (shown(feed, authority, None), shown(feed, authority, "desk-1", by=trustme.CA())):
            assert refused(nobody).status.name == "UNAVAILABLE"


def test_a_certificates_name_that_is_let_in_no_more_ends_its_watch(
    shop: Shop, authority: trustme.CA, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eye, "DOORS_EVERY", 0.2)
    sidecar_token(shop.store)
    with (
        feeding(shop.store, tls=files.tls(clients=True)) as feed,
        Watch(shown(feed, authority, "desk-1")) as watch,
    ):
        watch.update()
        disabled(shop.store)
        assert watch.ended().code == "NOT_LET_IN"


def test_tls_alone_lets_nobody_in(shop: Shop, authority: trustme.CA, files: Files) -> None:
    token = sidecar_token(shop.store)
    with feeding(shop.store, tls=files.tls(clients=False)) as feed:
        assert refused(shown(feed, authority, None)).code == "NOT_LET_IN"
        assert refused(shown(feed, authority, "desk-1")).code == "NOT_LET_IN"  # nobody asked for a certificate
        with Watch(shown(feed, authority, None, token=token)) as watch:
            assert watch.update()[1] == rows_of(shop.store)
        strangers = FeedTarget(addresses=(feed.address,), token=token, ca=trustme.CA().cert_pem.bytes())
        plain = FeedTarget(addresses=(feed.address,), token=token)
        for to in (strangers, plain):
            source, held = FeedSource(to), Held()
            follow(source, held, lambda held=held: held.failures, failing=True)  # type: ignore[misc]
            assert held.failures[0].kind is FailureKind.UNREACHABLE
            assert token not in str(held.failures[0])
            source.close()


@on_sqlite
def test_a_certificate_that_is_over_is_not_let_in(shop: Shop, authority: trustme.CA, files: Files) -> None:
    sidecar_token(shop.store)
    over = authority.issue_cert(
        "client.test", common_name="desk-1", not_after=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    )
    with feeding(shop.store, tls=files.tls(clients=True)) as feed:
        to = FeedTarget(
            addresses=(feed.address,),
            ca=authority.cert_pem.bytes(),
            cert=over.cert_chain_pems[0].bytes(),
            key=over.private_key_pem.bytes(),
        )
        assert refused(to).status.name == "UNAVAILABLE"


@on_sqlite
def test_what_cannot_be_served_is_told(shop: Shop, files: Files) -> None:
    anywhere = Address("0.0.0.0", 0)
    with pytest.raises(CannotServe, match="--tls-cert"):
        Feed(shop.store, address=anywhere).start()
    with pytest.raises(CannotServe, match="cannot be read"):
        Feed(shop.store, tls=ServerTls(cert=files.cert, key=files.key.with_name("none"))).start()
    wrong = ServerTls(cert=files.ca, key=files.key)
    with pytest.raises(CannotServe, match="belong together"):
        Feed(shop.store, tls=wrong).start()
    with feeding(shop.store) as feed, pytest.raises(CannotServe, match="is it in use"):
        Feed(shop.store, address=feed.address).start()
    with feeding(shop.store, address=anywhere, tls=files.tls(clients=True)) as feed:
        wait_for(lambda: feed.within(lambda: feed.server.hub.head))
