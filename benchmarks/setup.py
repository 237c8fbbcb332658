"""What every question needs: how much effort to spend, the tenants, the questions, and a place for files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from benchmarks import peer
from benchmarks.loadgen import Job, Outcome, run
from benchmarks.processes import CLIENT_CORE
from benchmarks.workload import Question, questions
from benchmarks.world import HOT, Hot, hot_tenants, write_store
from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb

CHECK: Final = "/desking.entitlements.v1.AuthorizationService/Check"
CHECK_BATCH: Final = "/desking.entitlements.v1.AuthorizationService/CheckBatch"
BATCH: Final = peer.RESOURCES_A_CALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How often and how long things are measured."""

    pairs: int
    repeats: int
    seconds: float


FULL: Final = Effort(pairs=10, repeats=10, seconds=2.0)
QUICK: Final = Effort(pairs=3, repeats=3, seconds=0.5)
TENANTS: Final = 100_000


class Setup:
    """Shared by the questions of one run. Stores are made on first use."""

    def __init__(self, folder: Path, effort: Effort) -> None:
        self.folder = folder
        self.effort = effort
        self.now = time.time_ns() // 1000
        self._stores: dict[int, Path] = {}

    @cached_property
    def hot(self) -> list[Hot]:
        """The tenants that are asked about."""
        return hot_tenants(self.now)

    @cached_property
    def asked(self) -> list[Question]:
        """The questions, distinct, in the stated mix."""
        return questions(self.hot, self.now)

    def store(self, total: int = HOT) -> Path:
        """A central store of so many tenants, the hot ones among them. It is shared: nobody may write to it."""
        if total not in self._stores:
            path = self.folder / f"store-{total}.db"
            write_store(path, self.now, total)
            self._stores[total] = path
        return self._stores[total]


def chunks(asked: Sequence[Question]) -> list[Sequence[Question]]:
    """The questions in batches of BATCH."""
    return [asked[i : i + BATCH] for i in range(0, len(asked) - len(asked) % BATCH, BATCH)]


def ask_all(target: str, path: str, bodies: Sequence[bytes], in_flight: int = 8) -> list[bytes]:
    """Every body's answer, in order. Raises RuntimeError when a call fails."""
    job = Job(target=target, path=path, bodies=bodies, in_flight=in_flight, seconds=0, once=True, core=CLIENT_CORE)
    outcome = run(job)
    _all_answered(outcome)
    return [outcome.answers[i] for i in range(len(bodies))]


def _all_answered(outcome: Outcome) -> None:
    if outcome.failed:
        raise RuntimeError(f"{outcome.failed} calls failed")


def check_ours(asked: Sequence[Question], answers: dict[int, bytes]) -> None:
    """Raises RuntimeError unless every answer gives the effect and the reason due."""
    for i, data in answers.items():
        _check_one(asked[i], pb.CheckResponse.FromString(data))


def check_our_batches(batches: Sequence[Sequence[Question]], answers: dict[int, bytes]) -> None:
    """As `check_ours`, of batches."""
    for i, data in answers.items():
        results = pb.CheckBatchResponse.FromString(data).results
        for question, result in zip(batches[i], results, strict=True):
            _check_one(question, result.response)


def _check_one(question: Question, answer: pb.CheckResponse) -> None:
    effect = pb.EFFECT_DENY if question.reason else pb.EFFECT_ALLOW
    if (answer.effect, answer.reason) != (effect, question.reason):
        due = question.reason or "allow"
        raise RuntimeError(f"{question.action} {question.resource_id}: {due} is due, got\n{answer}\n{question.facts}")


def check_theirs(batches: Sequence[Sequence[Question]], answers: dict[int, bytes]) -> None:
    """Raises RuntimeError unless the peer's every effect is the one due, which is also ours."""
    for i, data in answers.items():
        due = [not question.reason for question in batches[i]]
        if peer.allowed(data) != due:
            raise RuntimeError(f"the peer differs on {batches[i][0].action} {batches[i][0].facts}")


def check_outcome(outcome: Outcome, check: object, asked: object) -> Outcome:
    """The outcome, its failures and every answer looked at. Raises RuntimeError."""
    _all_answered(outcome)
    check(asked, outcome.answers)  # type: ignore[operator]
    return outcome
