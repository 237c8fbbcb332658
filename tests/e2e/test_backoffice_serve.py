"""`deskgate backoffice serve` as a process: what it says, whom it serves, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from sidecar._gen.desking.entitlements.v1 import backoffice_pb2 as pb
from sync.backoffice.contract import CALLS, SERVICE
from sync.backoffice.desk import LocalDesk, RemoteDesk
from sync.store.db import Store
from tests import postgresql
from tests.desks import ask
from tests.serving import COMMAND, PATIENCE, ROOT, deskgate, environment, wait_for
from tests.storing import TESTER, Shop


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Shop(tmp_path / "store.db").store


class Served:
    """A process that serves a store."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def event(self, name: str) -> dict[str, Any]:
        """The first event of a name in its log."""

        def found() -> list[dict[str, Any]]:
            lines = [line for line in self._log.read_text().splitlines(keepends=True) if line.endswith("}\n")]
            events = [each for each in map(json.loads, lines) if each["event"] == name]
            assert events or self.process.poll() is None, self._log.read_text()
            return events

        return dict(wait_for(found, self._log.read_text)[0])


@contextmanager
def served(store: Store, *flags: str) -> Iterator[Served]:
    log = store.path.with_suffix(".log")
    with log.open("wb") as out:
        command = [*COMMAND, "backoffice", "serve", f"--store={store.path}", "--address=127.0.0.1:0", *flags]
        process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=out, stderr=subprocess.STDOUT)
    try:
        yield Served(process, log)
    finally:
        process.kill()
        process.wait()


def added(store: Store) -> str:
    """The token of the first operator: made where the store is."""
    return str(ask(LocalDesk(store, "root"), "AddOperator", name="ann", role=pb.OPERATOR_ROLE_ADMIN).token)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_change_that_has_begun_is_answered_before_the_end(store: Store, how: signal.Signals) -> None:
    token = added(store)
    with served(store) as office:
        told = office.event("serving")
        assert told["security"] == "none: this machine alone"
        with grpc.insecure_channel(told["address"]) as channel:
            look, add = (made(channel, method, token) for method in ("ListOperators", "AddOperator"))
            assert look(pb.ListOperatorsRequest()).result().operators
            with store.writing(TESTER) as writing:  # others wait
                held = add(pb.AddOperatorRequest(idempotency_key="k", name="bob", role=pb.OPERATOR_ROLE_VIEWER))
                assert look(pb.ListOperatorsRequest()).result().operators  # so what was sent before has arrived
                office.process.send_signal(how)
                assert office.event("draining")
                assert not held.done()
                assert writing.revision == 0
            assert held.result().token
        assert office.process.wait(PATIENCE) == 0
        assert office.event("stopped")
    assert [o.name for o in ask(LocalDesk(store), "ListOperators").operators] == ["ann", "bob"]


def made(channel: grpc.Channel, method: str, token: str) -> Callable[[Any], Any]:
    """Begins a call, in the order of calls on its channel."""
    kinds = CALLS[method]
    call = channel.unary_unary(
        f"/{SERVICE}/{method}",
        request_serializer=kinds.request.SerializeToString,
        response_deserializer=kinds.response.FromString,
    )
    metadata = (("authorization", f"Bearer {token}"),)
    return lambda request: call.future(request, metadata=metadata, timeout=PATIENCE)


def test_over_mtls_it_serves_whoever_has_a_certificate(store: Store, tmp_path: Path) -> None:
    token, ca = added(store), trustme.CA()
    server, client = ca.issue_cert("127.0.0.1"), ca.issue_cert("ann@example.com")
    paths = {name: tmp_path / name for name in ("cert", "key", "ca")}
    server.cert_chain_pems[0].write_to_path(str(paths["cert"]))
    server.private_key_pem.write_to_path(str(paths["key"]))
    ca.cert_pem.write_to_path(str(paths["ca"]))
    flags = (f"--tls-cert={paths['cert']}", f"--tls-key={paths['key']}", f"--tls-client-ca={paths['ca']}")
    with served(store, *flags) as office:
        told = office.event("serving")
        assert told["security"] == "mtls"
        pair = {"tls_cert": client.cert_chain_pems[0].bytes(), "tls_key": client.private_key_pem.bytes()}
        with RemoteDesk(told["address"], token, tls_ca=ca.cert_pem.bytes(), **pair) as desk:
            assert ask(desk, "ListOperators").operators


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--address=0.0.0.0:0",), "--tls-cert"),
        (("--address=nowhere",), "host:port"),
        (("--tls-cert=x",), "go together"),
        (("--tls-client-ca=x",), "needs both"),
        (("--tls-cert=/nonexistent", "--tls-key=/nonexistent"), "cannot be read"),
        (("--store=/nonexistent/store.db",), "there is no store"),
    ],
)
def test_what_cannot_be_served_is_told_without_a_trace(store: Store, flags: tuple[str, ...], problem: str) -> None:
    done = deskgate("backoffice", "serve", f"--store={store.path}", *flags)
    assert done.returncode in (1, 2)
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["backoffice", "feed", "notices"])
def test_the_password_of_a_store_is_not_in_the_log(tmp_path: Path, command: str) -> None:
    """Whatever is started over a store in PostgreSQL says which one it is, and not how it is let in."""
    url = postgresql.fresh().replace("postgres@", "postgres:s3cret@")
    flags = {
        "backoffice": ("serve", "--address=127.0.0.1:0"),
        "feed": ("serve", "--address=127.0.0.1:0"),
        "notices": ("run", "--smtp=127.0.0.1:1", "--from=desking@example.com", "--smtp-tls=none"),
    }[command]
    log = tmp_path / "log"
    with log.open("wb") as out:
        line = [*COMMAND, command, *flags, f"--store={url}"]
        process = subprocess.Popen(line, cwd=ROOT, env=environment(), stdout=out, stderr=subprocess.STDOUT)
    try:
        event = Served(process, log).event("running" if command == "notices" else "serving")
        assert event["store"] == url.replace(":s3cret", "")
        process.terminate()
        assert process.wait(PATIENCE) == 0
        assert "s3cret" not in log.read_text()
    finally:
        process.kill()
        process.wait()
