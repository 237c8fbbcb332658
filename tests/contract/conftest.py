"""Every front, and the service without one, behind one way to call: `Caller`. Contract tests run over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from sidecar.core.model import Freshness, Instant, Record
from sidecar.core.rules import Thresholds
from sidecar.observe.metrics import Metrics
from sidecar.records import encode
from sidecar.serving.adjust import Adjustment
from sidecar.serving.answers import Code
from sidecar.serving.fetching import Fetch
from sidecar.serving.fronts.grpcio import GrpcioFront
from sidecar.serving.service import SERVICE, Service
from sidecar.state.world import Worlds
from tests import shipped
from tests.worked import instant

NOW = instant("2026-06-01")
Caller = Callable[..., tuple[Code, bytes, str]]


@dataclass
class Stage:
    """A service on records of the test's choosing, at an instant and freshness of its choosing."""

    metrics: Metrics = field(default_factory=lambda: Metrics(version="test"))
    now: Instant = NOW
    freshness: Freshness = Freshness.LIVE
    invalid: list[str] = field(default_factory=list)
    adjust: Callable[[Adjustment], Any] = lambda _: pytest.fail("nothing was to be adjusted")
    patience: Callable[[float], None] = lambda _: None
    """Told how long each statement of usage may wait."""
    pause: Callable[[], None] = lambda: None
    """Called in the middle of every check."""
    max_waiting: int = 2
    fetch: Fetch | None = None
    partial: bool = False

    def __post_init__(self) -> None:
        self.worlds = Worlds(
            book=shipped.book(), compiled_bound=100, on_invalid=lambda tenant, _: self.invalid.append(tenant)
        )
        self.service = Service(
            worlds=self.worlds,
            now=lambda: self.now,
            freshness_of=self._freshness,
            metrics=self.metrics,
            adjust=self._adjusted,
            max_waiting=self.max_waiting,
            instance="test",
            fetch=self.fetch,
            partial=self.partial,
        )

    def _adjusted(self, adjustment: Adjustment, patience: float) -> Any:
        self.patience(patience)
        return self.adjust(adjustment)

    def _freshness(self, thresholds: Thresholds, now: Instant) -> Freshness:
        self.pause()
        return self.freshness

    def put(self, *records: Record, revision: int = 1, snapshot: bool = False) -> None:
        changes = [(r.tenant_id, encode(r)) for r in records]
        self.worlds.publish(store_id="store", revision=revision, snapshot=snapshot, changes=changes)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture(params=["direct", "inline tcp", "inline unix", "threads tcp"])
def call(request: pytest.FixtureRequest, stage: Stage, tmp_path: Path) -> Iterator[Caller]:
    """Calls a method with bytes: its code, answer bytes and detail."""
    if request.param == "direct":
        yield lambda method, data, timeout=None: tuple(stage.service.handle(method, data, (), timeout))
        return
    socket = tmp_path / "s"
    inline = request.param.startswith("inline")
    front = front_of(stage, address="127.0.0.1:0", socket_path=socket, inline=inline)
    assert front.inline is inline
    front.start()
    target = f"unix:{socket}" if "unix" in request.param else f"127.0.0.1:{front.port}"
    with grpc.insecure_channel(target) as channel:
        yield lambda method, data, timeout=10.0: over_grpc(channel, method, data, timeout)
    front.stop(0)


def front_of(
    stage: Stage,
    *,
    address: str | None = None,
    socket_path: Path | None = None,
    inline: bool = True,
    **limits: int,
) -> GrpcioFront:
    given = {"threads": 4, "max_in_flight": 64} | limits
    return GrpcioFront(
        service=stage.service,
        metrics=stage.metrics,
        address=address,
        socket_path=socket_path,
        socket_mode=0o660,
        inline=inline,
        **given,
    )


def over_grpc(channel: grpc.Channel, method: str, data: bytes, timeout: float | None) -> tuple[Code, bytes, str]:
    try:
        return Code.OK, channel.unary_unary(f"/{SERVICE}/{method}")(data, timeout=timeout), ""
    except grpc.RpcError as e:
        return Code(e.code().value[0]), b"", e.details() or ""  # type: ignore[attr-defined]
