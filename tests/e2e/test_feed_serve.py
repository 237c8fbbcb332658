"""`deskgate feed serve` as a process: what it says, how it ends, and a real sidecar behind it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from typer.testing import CliRunner

from sidecar.address import parse_address
from sidecar.cli.feed import app
from sync.feed.channel import FeedTarget
from sync.feed.client import FeedSource
from sync.store.db import open_store
from tests.faults.postgres import Postgres
from tests.feeding import Held, Watch, follow, position_of, rows_of, sidecar_token
from tests.serving import COMMAND, PATIENCE, ROOT, Place, RunningSidecar, deskgate, environment
from tests.storing import Shop


@contextmanager
def served(store: Path, *flags: str) -> Iterator[RunningSidecar]:
    """A feed server that runs, with a log."""
    log = store.with_name(f"feed-{time.monotonic_ns()}.log")
    with log.open("wb") as out:
        command = [*COMMAND, "feed", "serve", f"--store={store}", "--address=127.0.0.1:0", *flags]
        process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=out, stderr=subprocess.STDOUT)
    running = RunningSidecar(process, log)
    try:
        running.wait_for_event("serving")
        yield running
    finally:
        process.kill()
        process.wait()


def to(feed: RunningSidecar, token: str) -> FeedTarget:
    return FeedTarget(addresses=(parse_address(feed.wait_for_event("serving")["address"]),), token=token)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    shop.tenant("a")
    return shop


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop_and_drains(shop: Shop, how: signal.Signals) -> None:
    token = sidecar_token(shop.store)
    with served(shop.store.path, "--heartbeat-seconds=0.2") as feed:
        told = feed.wait_for_event("serving")
        assert (told["security"], told["store"]) == ("none: this machine alone", str(shop.store.path))
        with Watch(to(feed, token)) as watch:
            assert watch.update()[1] == rows_of(shop.store)
            shop.tenant("b")
            assert set(watch.update()[1]) == {"b"}
            began = time.monotonic()
            feed.process.send_signal(how)
            ended = watch.ended()
        assert (ended.status.name, ended.code) == ("UNAVAILABLE", "STOPPING")
        assert feed.process.wait(PATIENCE) == 0
        assert time.monotonic() - began < 5
        assert feed.wait_for_event("draining")
        assert feed.wait_for_event("stopped")
        assert token not in feed.log
        assert "Traceback" not in feed.log


def test_it_stops_though_its_store_hangs(tmp_path: Path) -> None:
    database = Postgres()
    try:
        url = database.create("deskgate")
        token = sidecar_token(open_store(url, create=True))
        with served(tmp_path / "none", f"--store={url}", "--heartbeat-seconds=0.2") as feed:
            with Watch(to(feed, token)) as watch:
                watch.update()
                database.halt()
                watch.until(lambda event: bool(getattr(event, "problem", "")))
                feed.process.send_signal(signal.SIGTERM)
                assert feed.process.wait(PATIENCE) == 0
            assert feed.wait_for_event("stopped")
    finally:
        database.halt(signal.SIGCONT)
        database.end()


def test_over_tls_with_metrics(shop: Shop, tmp_path: Path) -> None:
    sidecar_token(shop.store)
    ca = trustme.CA()
    server, client = ca.issue_cert("127.0.0.1"), ca.issue_cert("desk.test", common_name="desk-1")
    paths = {name: tmp_path / name for name in ("cert", "key", "ca")}
    server.cert_chain_pems[0].write_to_path(str(paths["cert"]))
    server.private_key_pem.write_to_path(str(paths["key"]))
    ca.cert_pem.write_to_path(str(paths["ca"]))
    with socket.create_server(("127.0.0.1", 0)) as found:
        metrics = f"127.0.0.1:{found.getsockname()[1]}"
    flags = [f"--tls-cert={paths['cert']}", f"--tls-key={paths['key']}", f"--tls-client-ca={paths['ca']}"]
    with served(shop.store.path, *flags, f"--metrics-address={metrics}") as feed:
        assert feed.wait_for_event("serving")["security"] == "mtls"
        address = parse_address(feed.wait_for_event("serving")["address"])
        shown = FeedTarget(
            addresses=(address,),
            ca=ca.cert_pem.bytes(),
            cert=client.cert_chain_pems[0].bytes(),
            key=client.private_key_pem.bytes(),
        )
        with Watch(shown) as watch:
            assert watch.update()[1] == rows_of(shop.store)
            with urllib.request.urlopen(f"http://{metrics}/metrics") as page:
                text = page.read().decode()
        assert "deskgate_feed_watchers 1.0" in text
        assert "deskgate_feed_in_touch 1.0" in text


def test_what_it_cannot_do_it_says(shop: Shop) -> None:
    store = f"--store={shop.store.path}"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        cases = {
            "is it in use": (f"--address={address}",),
            "metrics cannot be served": ("--address=127.0.0.1:0", f"--metrics-address={address}"),
            "--tls-cert and --tls-key": ("--address=0.0.0.0:0",),
        }
        with ThreadPoolExecutor(2) as pool:
            ended = list(pool.map(lambda flags: deskgate("feed", "serve", store, *flags), cases.values()))
    for said, done in zip(cases, ended, strict=True):
        assert done.returncode != 0
        assert said in done.stderr.replace("\n", " "), done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--tls-cert=x"], "go together"),
        (["--tls-client-ca=x"], "needs both"),
        (["--store=/nowhere/store.db"], "there is no store"),
        (["--heartbeat-seconds=0"], "--heartbeat-seconds"),
        (["--keepalive-seconds=0"], "--keepalive-seconds"),
        (["--address=nonsense"], "address"),
        (["--metrics-address=nonsense"], "metrics_address"),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_told(flags: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["serve", *flags], env={"TERM": "dumb", "COLUMNS": "200"})
    assert done.exit_code != 0
    assert said in done.output + str(done.exception or "")


def test_checks_of_a_sidecar_behind_it_follow_each_commit_and_no_log_holds_its_token(place: Place) -> None:
    token = sidecar_token(place.store)
    (file := place.folder / "token").write_text(token)
    with served(place.store_path, "--heartbeat-seconds=0.5") as feed:
        address = feed.wait_for_event("serving")["address"]
        with place.serve(store=f"deskgate://{address}", store_token_file=file) as sidecar:
            for units in (3, 10_000, 4):
                revision = place.use("acme", fixed_desk=units)
                answer = sidecar.check("acme", "booking.create", "fixed_desk", min_revision=revision)
                assert answer.entitlement_revision >= revision
                assert answer.reason == "OVER_QUOTA" if units == 10_000 else answer.allowed, answer
            feed.stop()
            answer = sidecar.check("acme", "booking.create", "fixed_desk")
            assert answer.allowed
            for log in (sidecar.log, feed.log, sidecar.page("/statusz?format=json")[1], sidecar.page("/metrics")[1]):
                assert token not in log
            assert sidecar.stop() == 0
            assert "Traceback" not in sidecar.log
        assert token not in json.dumps(feed.log)


def test_a_wrong_token_is_told_and_shown_nowhere(place: Place) -> None:
    sidecar_token(place.store)
    wrong = "not-a-token-" * 3
    (file := place.folder / "token").write_text(wrong)
    with served(place.store_path) as feed:
        address = feed.wait_for_event("serving")["address"]
        with place.serve(ready=False, store=f"deskgate://{address}", store_token_file=file) as sidecar:
            sidecar.wait(lambda: "denied" in sidecar.log)
            assert sidecar.page("/readyz")[0] != 200
            feed.wait(lambda: feed.events("a call was not let in"))
            for log in (sidecar.log, feed.log, sidecar.page("/statusz?format=json")[1]):
                assert wrong not in log


def test_two_replicas_take_turns(shop: Shop) -> None:
    token = sidecar_token(shop.store)
    with served(shop.store.path) as one, served(shop.store.path) as two:
        both = FeedTarget(addresses=to(one, token).addresses + to(two, token).addresses, token=token)
        sinks = [(FeedSource(both), Held()) for _ in range(4)]
        for source, held in sinks:
            follow(source, held, lambda held=held: held.contacts)  # type: ignore[misc]
        ending = threading.Thread(target=one.stop)
        ending.start()
        shop.tenant("b")
        for source, held in sinks:
            follow(source, held, lambda held=held: held.held == position_of(shop.store), failing=True)  # type: ignore[misc]
            assert held.snapshots == 1
            source.close()
        ending.join()
