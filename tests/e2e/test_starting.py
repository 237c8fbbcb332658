"""What keeps a sidecar from starting is told at once, all of it, and exits with 2."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

from tests.serving import Place, deskgate

FIVE = """\
stor: sqlite:///x.db
grpc_address: 0.0.0.0:9290
threads: many
drain_seconds: -1
log_format: xml
"""


def test_five_mistakes_in_a_file_are_told_together(tmp_path: Path) -> None:
    file = tmp_path / "deskgate.yaml"
    file.write_text(FIVE)
    done = deskgate("serve", "--config", file)
    assert (done.returncode, done.stdout) == (2, "")
    told = done.stderr.splitlines()
    for key in ("stor", "grpc_address", "threads", "drain_seconds", "log_format"):
        assert [line for line in told if f"{file}:{key}:" in line], key
    assert "did you mean store?" in done.stderr
    assert len(told) == 5


def test_a_grpc_address_beyond_loopback_is_refused(place: Place) -> None:
    assert "there is no TLS yet" in place.refused(grpc_address="0.0.0.0:0")
    assert not place.state.exists()


def test_what_another_sidecar_uses_is_refused_and_that_one_goes_on(place: Place, tmp_path: Path) -> None:
    other = {"state_dir": tmp_path / "other", "grpc_socket": None}
    with place.serve() as sidecar:
        told = place.refused(grpc_socket=None)
        assert "give each sidecar its own" in told
        assert f"process {sidecar.process.pid}" in told
        assert f"grpc_address: {sidecar.target}" in place.refused(**other | {"grpc_address": sidecar.target})
        assert "another process listens" in place.refused(**other | {"grpc_socket": place.socket})
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "{}:{}".format(*taken.getsockname())
            assert f"http_address: {address}" in place.refused(**other | {"http_address": address})
        assert sidecar.check("acme", "booking.create", "shared_desk").allowed


def test_the_sockets_mode_is_as_set(place: Place) -> None:
    with place.serve(grpc_socket_mode="0600") as sidecar:
        assert stat.S_IMODE(place.socket.stat().st_mode) == 0o600
        asked = deskgate("check", "acme", "booking.create", "shared_desk", "--target", f"unix:{place.socket}")
        assert asked.returncode == 0, asked.stderr
        assert sidecar.stop() == 0


def test_a_state_directory_that_cannot_be_made(place: Place) -> None:
    (place.folder / "file").write_text("")
    assert "state directory" in place.refused(state_dir=place.folder / "file" / "state")


def test_without_a_store_it_starts_and_waits_for_one(place: Place) -> None:
    place.hide_store()
    with place.serve(ready=False) as sidecar:
        sidecar.wait(lambda: sidecar.metric('sync_failures_total{kind="missing"}'))
        assert sidecar.health() == "NOT_SERVING"
        assert deskgate("health", "--target", sidecar.target).returncode == 1
        place.return_store()
        sidecar.wait(lambda: sidecar.health() == "SERVING")
