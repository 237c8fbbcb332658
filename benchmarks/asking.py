"""Asking one question again and again, for what is measured in time until an answer and not in answers a second."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.loadgen import Job, Loop
from benchmarks.setup import CHECK
from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb


class Asker:
    """A connection that asks one question at a time. Raises OSError and ProtocolError as the generator does."""

    def __init__(self, target: str, request: bytes) -> None:
        self._loop = Loop(Job(target=target, path=CHECK, bodies=[request], in_flight=1, seconds=0))

    def ask(self) -> pb.CheckResponse | None:
        """The answer; None when the call failed, as before the data is complete."""
        self._loop.reset()
        self._loop.run_through()
        answer = self._loop.answers.get(0)
        return None if answer is None else pb.CheckResponse.FromString(answer[5:])

    def close(self) -> None:
        """Ends the connection."""
        self._loop.drain()


def first_right(
    target: str, request: bytes, right: Callable[[pb.CheckResponse], bool], *, seconds: float = 60
) -> float:
    """The instant (perf_counter) of the first right answer, asking from before anybody listens.

    Raises RuntimeError when the time is up.
    """
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        try:
            asker = Asker(target, request)
        except OSError:
            time.sleep(0.002)
            continue
        try:
            while time.perf_counter() < deadline:
                answer = asker.ask()
                if answer is not None and right(answer):
                    return time.perf_counter()
                time.sleep(0.002)
        finally:
            asker.close()
    raise RuntimeError(f"no right answer from {target} in {seconds:g} s")
