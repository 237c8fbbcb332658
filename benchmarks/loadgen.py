"""The load generator: a closed loop of calls on one connection, every call with a body of its own.

It runs in a process of its own, pinned to its own core (`python -m benchmarks.loadgen JOB`), and neither encodes nor
decodes anything while the clock runs: frames are built before, answers are kept as bytes and read afterwards by whoever
asked. How fast it can go is measured against a responder that does nothing (ceiling.py).
"""

from __future__ import annotations

import gc
import os
import pickle
import socket
import struct
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks import http2
from benchmarks.http2 import Call, Frames, ProtocolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to send. `target` is "host:port" or "unix:PATH"; calls go round the bodies from `first`.

    With `once` every body is sent once, in order, and `seconds` does not count.
    """

    target: str
    path: str
    bodies: Sequence[bytes]
    in_flight: int
    seconds: float
    warm_seconds: float = 0.2
    first: int = 0
    once: bool = False
    core: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came back in the timed stretch. `latencies` are seconds, from sending to the end of the answer."""

    seconds: float
    latencies: array[float]
    indices: array[int]
    """Of the body that each latency belongs to."""
    answers: dict[int, bytes]
    """By body: the latest answer's message, without the five-byte prefix."""
    failed: int
    """Calls that ended without a message."""
    send_bytes: int
    receive_bytes: int

    @property
    def calls_per_second(self) -> float:
        """Answered calls a second."""
        return len(self.latencies) / self.seconds


def run(job: Job) -> Outcome:
    """Runs a job in a process of its own. Raises RuntimeError, saying what that said, when it fails."""
    with tempfile.TemporaryDirectory(prefix="deskgate-bench-") as folder:
        todo, done = Path(folder, "job"), Path(folder, "outcome")
        todo.write_bytes(pickle.dumps(job))
        command = [sys.executable, "-m", "benchmarks.loadgen", str(todo), str(done)]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        if finished.returncode:
            raise RuntimeError(f"the load generator failed: {finished.stderr.strip()}")
        return pickle.loads(done.read_bytes())  # type: ignore[no-any-return]


class Loop:
    """One connection with a fixed number of calls in flight."""

    def __init__(self, job: Job) -> None:
        self._calls = [Call(body) for body in job.bodies]
        self._next_call = job.first % len(self._calls)
        self._next_stream = 1
        self._in_flight = job.in_flight
        self._credit = http2.FIRST_WINDOW
        self._stream_window = http2.FIRST_WINDOW
        self._due = 0
        self._left = sys.maxsize
        self._frames = Frames()
        self._open: dict[int, tuple[int, float, list[bytes]]] = {}
        first, later = http2.header_blocks(job.path, "localhost")
        self._first, self._later = http2.open_headers(first), http2.open_headers(later)
        self._socket = connect(job.target)
        self._socket.sendall(
            http2.PREFACE
            + http2.settings({2: 0, 4: http2.WINDOW})
            + http2.window_update(0, http2.WINDOW - http2.FIRST_WINDOW)
        )
        self.reset()

    def reset(self) -> None:
        """Forgets what was measured; calls in flight go on."""
        self.latencies = array("d")
        self.indices = array("l")
        self.answers: dict[int, bytes] = {}
        self.failed = self.sent = self.received = 0

    def run_for(self, seconds: float) -> float:
        """Keeps calls in flight for that long; returns the time it really took."""
        began = perf_counter()
        until = began + seconds
        self._fill()
        while self._turn() < until:
            self._fill()
        return perf_counter() - began

    def run_through(self) -> float:
        """Sends every body once and waits for all the answers; returns the time it took."""
        began = perf_counter()
        self._left = len(self._calls)
        self._fill()
        while self._open:
            self._turn()
            self._fill()
        return perf_counter() - began

    def run_one(self) -> None:
        """Sends the next body and waits for its answer."""
        self._left = 1
        self._fill()
        while self._open:
            self._turn()

    def drain(self) -> None:
        """Waits for what is in flight, starting nothing, and closes the connection."""
        while self._open:
            self._turn()
        self._socket.close()

    def _fill(self) -> None:
        out, now = [], perf_counter()
        while len(self._open) < self._in_flight and self._left:
            index = self._next_call
            call = self._calls[index]
            if call.size > self._credit:
                break
            if call.size > self._stream_window:
                raise ProtocolError(f"a body of {call.size} bytes is over the peer's window of {self._stream_window}")
            stream = self._next_stream
            out.append(call.on(struct.pack(">I", stream), self._later if stream > 1 else self._first))
            self._open[stream] = (index, now, [])
            self._credit -= call.size
            self._left -= 1
            self._next_stream = stream + 2
            self._next_call = index + 1 if index + 1 < len(self._calls) else 0
        if out:
            data = b"".join(out)
            self.sent += len(data)
            self._socket.sendall(data)

    def _turn(self) -> float:
        """Takes in what has arrived; returns when that was."""
        data = spin(self._socket)
        if not data:
            raise ProtocolError("the server closed the connection")
        now = perf_counter()
        self.received += len(data)
        open_ = self._open
        for kind, flags, stream, payload in self._frames.feed(data):
            if kind == http2.DATA:
                self._due += len(payload)
                open_[stream][2].append(payload)
                if flags & http2.END_STREAM:
                    self._end(stream, now)
            elif kind == http2.HEADERS:
                if flags & http2.END_STREAM:
                    self._end(stream, now)
            else:
                self._control(kind, flags, stream, payload, now)
        if self._due > 1 << 20:
            self._socket.sendall(http2.window_update(0, self._due))
            self._due = 0
        return now

    def _end(self, stream: int, now: float) -> None:
        index, sent, parts = self._open.pop(stream)
        answer = parts[0] if len(parts) == 1 else b"".join(parts)
        if not answer:
            self.failed += 1
            return
        self.latencies.append(now - sent)
        self.indices.append(index)
        self.answers[index] = answer

    def _control(self, kind: int, flags: int, stream: int, payload: bytes, now: float) -> None:
        if kind == http2.PING and not flags & http2.ACK:
            self._socket.sendall(http2.frame(http2.PING, http2.ACK, 0, payload))
        elif kind == http2.SETTINGS and not flags & http2.ACK:
            self._agree(payload)
        elif kind == http2.WINDOW_UPDATE and stream == 0:
            self._credit += int.from_bytes(payload, "big")
        elif kind == http2.RST_STREAM and stream in self._open:
            self._open[stream][2].clear()
            self._end(stream, now)
        elif kind == http2.GOAWAY:
            raise ProtocolError(f"the server said goodbye: {payload[8:]!r}")

    def _agree(self, payload: bytes) -> None:
        values = dict(struct.iter_unpack(">HI", payload))
        self._stream_window = values.get(4, self._stream_window)
        self._socket.sendall(http2.frame(http2.SETTINGS, http2.ACK, 0))


def spin(source: socket.socket) -> bytes:
    """What arrives next. It spins, on a core of its own: a sleeper's wake-up would count as the server's."""
    while True:
        try:
            return source.recv(262_144, socket.MSG_DONTWAIT)
        except BlockingIOError:
            continue


def connect(target: str) -> socket.socket:
    """A connected socket. Raises OSError."""
    if target.startswith("unix:"):
        client = socket.socket(socket.AF_UNIX)
        client.connect(target.removeprefix("unix:"))
        return client
    host, port = target.rsplit(":", 1)
    client = socket.create_connection((host, int(port)), timeout=10)
    client.settimeout(None)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def measure(job: Job) -> Outcome:
    """Runs a job here: warms up, measures, and waits for the last answers outside the timed stretch."""
    if job.core is not None:
        os.sched_setaffinity(0, {job.core})
    loop = Loop(job)
    gc.collect()
    gc.disable()
    if job.warm_seconds and not job.once:
        loop.run_for(job.warm_seconds)
        loop.reset()
    seconds = loop.run_through() if job.once else loop.run_for(job.seconds)
    outcome = Outcome(
        seconds=seconds,
        latencies=loop.latencies,
        indices=loop.indices,
        answers={index: answer[5:] for index, answer in loop.answers.items()},
        failed=loop.failed,
        send_bytes=loop.sent,
        receive_bytes=loop.received,
    )
    loop.drain()
    gc.enable()
    return outcome


def _main(todo: str, done: str) -> None:
    from benchmarks import loadgen  # the module, not __main__, so that the outcome can be read where it was asked for

    Path(done).write_bytes(pickle.dumps(loadgen.measure(pickle.loads(Path(todo).read_bytes()))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
