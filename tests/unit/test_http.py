"""HTTP beside gRPC: the pages, what they say when things go wrong, and that slow or many peers cannot stall it."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from sidecar.address import Address
from sidecar.observe.metrics import Metrics
from sidecar.observe.status import (
    ClockStatus,
    OutboxStatus,
    PolicyStatus,
    ServingStatus,
    Status,
    StoreStatus,
    TenantStatus,
)
from sidecar.serving import http
from sidecar.serving.http import AT_ONCE, CannotListen, HttpFront, Probes

OUTBOX = OutboxStatus(
    file="outbox.db",
    usable=True,
    pending=4,
    oldest_at="2026-01-01T00:00:00Z",
    not_sent_because="nobody answers",
    refused=1,
    set_aside=("outbox.db.aside-1",),
)
STATUS = Status(
    version="1.2.3",
    settings_digest="0123456789ab",
    serving=ServingStatus(
        ready=True, not_ready_because=(), addresses=("127.0.0.1:9290",), in_flight=0, started_at="2026-01-01T00:00:00Z"
    ),
    policies=PolicyStatus(
        revision="p1",
        names=("desking",),
        sources=("policies",),
        in_force_since="2026-01-01T00:00:00Z",
        last_reload_at="2026-01-02T00:00:00Z",
        last_reload_ok=False,
        last_error="desking.yaml:3:5: <script>alert(1)</script>",
    ),
    store=StoreStatus(
        source="sqlite:///x.db",
        store_id="s",
        revision=7,
        last_contact_at="",
        last_applied_at="",
        freshness="LIVE",
        history_gone_back=False,
        last_error="",
    ),
    outbox=None,
    clock=ClockStatus(now="n", machine="m", offset_seconds=0.5, floor="f", source="machine"),
    tenants=TenantStatus(held=12, compiled=3),
)


@dataclass
class World:
    """What the pages are made from, to be changed by a test."""

    live: bool = True
    unready: Sequence[str] = ()
    status: Callable[[], Status] = field(default=lambda: STATUS)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def front(world: World) -> Iterator[HttpFront]:
    probes = Probes(live=lambda: world.live, unready=lambda: world.unready, status=lambda: world.status())
    front = HttpFront(address=Address("127.0.0.1", 0), metrics=Metrics(version="1.2.3"), probes=probes)
    front.start()
    yield front
    front.stop()


def get(front: HttpFront, path: str, *, method: str = "GET", accept: str = "") -> tuple[int, str, str]:
    request = urllib.request.Request(
        f"http://{front.address}{path}", method=method, headers={"Accept": accept} if accept else {}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.headers["Content-Type"], e.read().decode()


def connect(front: HttpFront) -> socket.socket:
    return socket.create_connection(front.address, timeout=10)


def test_metrics_come_in_the_format_asked_for(front: HttpFront) -> None:
    status, kind, body = get(front, "/metrics")
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    assert "deskgate_build_info{" in body
    _, kind, body = get(front, "/metrics", accept="application/openmetrics-text;version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert body.endswith("# EOF\n")


def test_live_and_ready_say_so(front: HttpFront) -> None:
    assert get(front, "/livez")[::2] == (200, "live\n")
    assert get(front, "/readyz")[::2] == (200, "ready\n")


def test_not_live_and_not_ready_say_why(front: HttpFront, world: World) -> None:
    world.live = False
    world.unready = ("no complete data yet", "draining")
    assert get(front, "/livez")[::2] == (503, "not live\n")
    assert get(front, "/readyz")[::2] == (503, "not ready: no complete data yet; draining\n")


@pytest.mark.parametrize(("path", "accept"), [("/statusz?format=json", ""), ("/statusz", "application/json")])
def test_status_for_machines_is_the_whole_of_it(front: HttpFront, path: str, accept: str) -> None:
    status, kind, body = get(front, path, accept=accept)
    assert (status, kind) == (200, "application/json")
    told = json.loads(body)
    assert told["policies"]["last_error"] == STATUS.policies.last_error
    assert told["store"]["revision"] == 7
    assert told["settings_digest"] == "0123456789ab"


def test_status_for_people_shows_everything_and_escapes_it(front: HttpFront) -> None:
    status, kind, body = get(front, "/statusz")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert "&lt;script&gt;" in body
    assert "<script>" not in body
    for text in ("last error", "0123456789ab", "1.2.3", "freshness", "offset seconds", "held", "<td>no", "<td>yes"):
        assert text in body


def test_the_outbox_is_shown_where_there_is_one(front: HttpFront, world: World) -> None:
    assert "outbox" not in get(front, "/statusz")[2]
    assert json.loads(get(front, "/statusz?format=json")[2])["outbox"] is None
    world.status = lambda: replace(STATUS, outbox=OUTBOX)
    body = get(front, "/statusz")[2]
    for text in ("<h2>outbox", "not sent because", "nobody answers", "outbox.db.aside-1"):
        assert text in body
    assert json.loads(get(front, "/statusz?format=json")[2])["outbox"]["pending"] == 4


def test_head_has_no_body_and_other_pages_and_methods_are_refused(front: HttpFront) -> None:
    assert get(front, "/metrics", method="HEAD")[::2] == (200, "")
    status, _, body = get(front, "/")
    assert (status, "/statusz" in body) == (404, True)
    assert get(front, "/metrics", method="POST")[0] == 501


def test_a_page_that_fails_says_so_and_the_next_one_works(front: HttpFront, world: World) -> None:
    def broken() -> Status:
        raise RuntimeError("no status")

    world.status = broken
    assert get(front, "/statusz")[0] == 500
    assert get(front, "/livez")[0] == 200


def test_a_taken_address_is_refused_with_its_name(front: HttpFront) -> None:
    with pytest.raises(CannotListen, match=f"http_address: {front.address} cannot be listened on"):
        HttpFront(
            address=front.address,
            metrics=Metrics(version="1"),
            probes=Probes(live=lambda: True, unready=lambda: (), status=lambda: STATUS),
        )


def test_ipv6_is_served() -> None:
    try:
        front = HttpFront(
            address=Address("::1", 0),
            metrics=Metrics(version="1"),
            probes=Probes(live=lambda: True, unready=lambda: (), status=lambda: STATUS),
        )
    except CannotListen:
        pytest.skip("this machine has no IPv6")
    front.start()
    assert get(front, "/livez")[0] == 200
    front.stop()


def test_it_can_be_stopped_without_having_been_started_and_twice() -> None:
    front = HttpFront(
        address=Address("127.0.0.1", 0),
        metrics=Metrics(version="1"),
        probes=Probes(live=lambda: True, unready=lambda: (), status=lambda: STATUS),
    )
    front.stop()
    front.stop()


def test_beyond_the_bound_connections_are_closed_and_places_come_back(front: HttpFront) -> None:
    idle = [connect(front) for _ in range(AT_ONCE)]
    with connect(front) as further:
        assert further.recv(1) == b""
    for peer in idle:
        peer.close()
    deadline = time.monotonic() + 10
    while True:
        try:
            assert get(front, "/livez")[0] == 200
            return
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, "no place came back"


def test_a_peer_that_trickles_is_cut_off(front: HttpFront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "WHOLE_SECONDS", 0.2)
    with connect(front) as peer:
        peer.sendall(b"GET /livez HTTP/1.1\r\n")
        assert peer.recv(1) == b""


def test_stopping_cuts_off_those_who_are_still_there(front: HttpFront) -> None:
    with connect(front) as peer:
        peer.sendall(b"GET /livez")
        assert get(front, "/livez")[0] == 200
        front.stop()
        assert peer.recv(1) == b""
    with pytest.raises(OSError, match="refused"):
        connect(front)


def test_garbage_is_answered_with_an_error_and_hurts_nobody(front: HttpFront) -> None:
    for garbage in (b"\x00\xff\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"G" * 70_000 + b"\r\n"):
        with connect(front) as peer:
            peer.sendall(garbage)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(4096):
                continue
    assert get(front, "/livez")[0] == 200
