"""Sequences put to the model and to a real store, step by step; and made short when something differs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sidecar.core.model import Record
from tests import shipped
from tests.model import compare, sequences
from tests.model.author import Author
from tests.model.real import Look, Outcome, Real
from tests.model.state import Office, Order, Plain, Ruling
from tests.model.tenants import judge
from tests.storing import for_a_while

SHIPPED = {"trial": 100, "basic": 10_000, "advanced": 50_000, "flagship": 100_000}
FOLDER = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
"""Where stores are made: in memory where that can be, since a sequence is hundreds of transactions."""


class Difference(Exception):
    """After some operations, what is not as it should be."""

    def __init__(self, ops: list[Plain], at: Plain, found: list[str]) -> None:
        super().__init__(f"{at}:\n  " + "\n  ".join(found[:8]))
        self.ops = ops
        self.kind = at["op"]


class Bench:
    """One sequence under way."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.real = Real(folder)
        self.rng = rng
        self.office = Office()
        self.office.editions = {name: {"cap": cap, "prices": {}} for name, cap in SHIPPED.items()}
        self.done: list[Plain] = []
        self.accepted = 0
        self.seen = self.real.look()

    def step(self, op: Plain) -> None:
        """Does one operation on both sides. Raises Difference."""
        self.done.append(op)
        ruling = judge(self.office, op)
        before, outcome = self.seen, self.did(op)
        found = [*agreed(ruling, outcome)]
        if not found:
            if outcome.code == "":
                self.accepted += 1
                found += same_order(ruling.do(), outcome)
            self.seen = self.real.look()
            found += self.unlike(op, outcome, before)
        if found:
            raise Difference(self.done, op, found)

    def did(self, op: Plain) -> Outcome:
        try:
            return self.real.do(op)
        except Exception as e:
            raise Difference(self.done, op, [f"the store failed: {e!r}"]) from e

    def unlike(self, op: Plain, outcome: Outcome, before: Look) -> Iterator[str]:
        yield from compare.differences(self.office, self.seen.records)
        yield from trail(op, outcome, before, self.seen)
        yield from money(self.office, self.seen)
        yield from plans(self.office, before, self.seen)
        if outcome.code == "" and op["op"] == "order.place":
            tenant = op["tenant"]
            yield from downgraded(op, self.office, before.records.get(tenant), self.seen.records.get(tenant))

    def probe(self, now: int) -> None:
        """Decisions at every kind of instant, and the audit trail as a whole. Raises Difference."""
        found = compare.decisions(self.rng, self.office, self.seen.records, shipped.book(), now)
        fault = self.real.fault()
        if fault:
            found.append(fault)
        if found:
            raise Difference(self.done, {"op": "probe", "at": now}, found)


def trail(op: Plain, outcome: Outcome, before: Look, after: Look) -> Iterator[str]:
    """The revision never falls, and rises when records change; what changes any row has one entry in the trail."""
    entries, changed = after.entries - before.entries, before.records != after.records
    if after.revision < before.revision or (changed and after.revision == before.revision):
        yield f"revision {after.revision} after {before.revision}"
    if outcome.code and (entries or after != before):
        yield f"refused with {outcome.code}, yet something was written"
    there_and_back = op["op"] == "usage.seats" and entries == 1  # assigned and revoked in one: both are told
    if entries != (after.digest != before.digest) and not there_and_back:
        yield f"{entries} entries in the audit trail, and rows that changed: {after.digest != before.digest}"


def money(office: Office, seen: Look) -> Iterator[str]:
    """A ledger adds up to its balance; totals and what was paid are as agreed."""
    for tenant_id, tenant in office.tenants.items():
        told, meant = seen.ledgers.get(tenant_id, []), [amount for _, amount in tenant.ledger]
        if sum(told) != seen.balances.get(tenant_id, 0):
            yield f"{tenant_id}: the ledger {told} is not the balance, {seen.balances.get(tenant_id)}"
        if sum(told) != sum(meant):
            yield f"{tenant_id}: by the model the ledger is {meant}, by the store {told}"
    sums = {o.id: (o.total, sum(amount for _, amount, _ in o.payments)) for o in office.orders}
    if seen.sums != sums:
        yield f"totals and payments of orders are {seen.sums} in the store, {sums} in the model"


def plans(office: Office, before: Look, after: Look) -> Iterator[str]:
    """The same plans; and what is edited has a higher version than before."""
    meant = {plan.id: (plan.owner, plan.name, plan.archived) for plan in office.plans.values()}
    if after.plans != meant:
        yield f"plans: the model has {meant}, the store {after.plans}"
    for edited, (version, of) in after.versions.items():
        was, what = before.versions.get(edited, (0, None))
        if version < was or (version == was and of != what):
            yield f"{edited} has version {version} after {was}"


def agreed(ruling: Ruling, outcome: Outcome) -> Iterator[str]:
    """Both accept or both refuse, for a reason that applies."""
    if outcome.code == "" and ruling.must:
        yield f"accepted, where the model refuses with {sorted(ruling.must)}"
    elif outcome.code != "" and outcome.code not in ruling.must | ruling.may:
        why = sorted(ruling.must | ruling.may) or "nothing"
        yield f"refused with {outcome.code} ({outcome.advice}), where the model knows of {why}"


def same_order(meant: object, outcome: Outcome) -> Iterator[str]:
    if isinstance(meant, Order) and outcome.order_id is not None:
        if outcome.order_id != meant.id:
            yield f"the order has number {outcome.order_id}, not {meant.id}"
        if meant.kind == "UPGRADE" and outcome.noticed is not meant.noticed:
            yield f"the operator is told of a renewal that is queued: {outcome.noticed}, should be {meant.noticed}"


def downgraded(op: Plain, office: Office, before: Record | None, after: Record | None) -> Iterator[str]:
    """No order lowers what paid license templates grant, save one that names a product marked for it."""
    lowered = compare.lowered(before, after)
    if op["kind"] == "DOWNGRADE":
        for order in office.orders:
            for line in order.lines:
                if line.product["id"] in op["products"] and "downgrade" in line.product:
                    lowered -= {e["name"] for e in line.product["license_template"] + line.product["features"]}
    if lowered:
        yield f"{op['kind']} lowers {sorted(lowered)}"


@contextmanager
def bench(rng: random.Random, folder: Path | None = None) -> Iterator[Bench]:
    with for_a_while(folder or FOLDER) as own:
        made = Bench(own, rng)
        yield made
        made.real.close()


def run(seed: int, steps: int, probe_every: int = 10) -> int:
    """One sequence by its seed: how many operations were accepted. Raises Difference."""
    rng = random.Random(seed)
    with bench(rng) as under_way:
        author = Author(rng, under_way.office)
        for op in sequences.opening(author):
            under_way.step(op)
        for number in range(1, steps + 1):
            under_way.step(sequences.following(author))
            if number % probe_every == 0:
                under_way.probe(author.now)
        under_way.probe(author.now)
        return under_way.accepted


def replay(ops: list[Plain]) -> Difference | None:
    """The same operations anew: what differs first."""
    with bench(random.Random(0)) as under_way:
        try:
            for op in ops:
                under_way.step(op)
                under_way.probe(op["at"])
        except Difference as e:
            return e
    return None


def shortest(ops: list[Plain], kind: str) -> list[Plain]:
    """As few of the operations as still differ in the same place: ever smaller pieces are left out."""
    size = len(ops) // 2
    while size:
        start = 0
        while start < len(ops):
            fewer = ops[:start] + ops[start + size :]
            found = replay(fewer)
            if found is not None and found.kind == kind:
                ops = fewer
            else:
                start += size
        size //= 2
    return ops


def told(difference: Difference) -> str:
    """A difference, and the shortest sequence found that leads to it."""
    ops = shortest(difference.ops, difference.kind)
    return "\n".join([str(replay(ops) or difference), "after:", *map(str, ops)])
