"""From the store's rows to entitlement records, and writing those that really changed (domain.md 3).

`record_of` is the pure heart: what it is given is all that a record is made of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, bindparam, insert, select, update

from sidecar import records
from sidecar.core.model import Account, Block, Instant, Record, Usage
from sync import digest
from sync.store import holdings, schema, upsert
from sync.store.lineage import Node, Nodes, above, chunks, holder, lineage
from sync.store.terms import Line, grants_of

E: Final = schema.entitlement
HELD: Final = select(E).where(E.c.tenant_id.in_(bindparam("ids", expanding=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a tenant's record is made of. `lines`, `usage` and `account` are its own pool's; empty for a sharer."""

    node: Node
    holder: Node | None = None
    blocks: tuple[Block, ...] = ()
    lines: tuple[Line, ...] = ()
    usage: Mapping[str, Usage] = field(default_factory=lambda: MappingProxyType({}))
    account: Account | None = None


def record_of(facts: Facts, revision: int) -> Record:
    """The record. Pure."""
    node, shared = facts.node, facts.holder
    return Record(
        tenant_id=node.id,
        revision=revision,
        zone=node.zone,
        language=node.language,
        edition=node.edition or (shared.edition if shared else ""),
        tags=node.tags,
        archived=node.archived,
        blocks=facts.blocks,
        holder_id=shared.id if shared else "",
        grants=grants_of(facts.lines),
        usage=facts.usage,
        account=facts.account,
    )


def project(conn: Connection, ids: Collection[str], revision: int, nodes: Nodes | None = None) -> Iterator[Record]:
    """The records of these tenants as the rows stand now. `nodes`: they and their ancestors, where they are known."""
    nodes = lineage(conn, ids) if nodes is None else nodes
    shared = {i: holder(nodes, i) for i in ids}
    owners = [i for i in ids if shared[i] is None]
    blocks = holdings.blocks(conn, nodes)
    lines = holdings.lines(conn, owners)
    planned = holdings.plan_lines(conn, owners)
    usage = holdings.pooled(conn, owners)
    accounts = holdings.accounts(conn, owners)
    for i in ids:
        facts = Facts(
            node=nodes[i],
            holder=shared[i],
            blocks=tuple(_blocks_on(nodes[i], nodes, blocks)),
            lines=(*lines.get(i, ()), *planned.get(i, ())),
            usage=MappingProxyType(usage.get(i, {})),
            account=accounts.get(i),
        )
        yield record_of(facts, revision)


def _blocks_on(node: Node, nodes: Nodes, blocks: Mapping[str, list[tuple[Block, bool]]]) -> Iterator[Block]:
    yield from (block for block, _ in blocks.get(node.id, ()))
    for ancestor in above(nodes, node):
        yield from (block for block, cascade in blocks.get(ancestor.id, ()) if cascade)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changed:
    """A record that is not as it was: as it was (None: it is new), and as it is."""

    tenant_id: str
    before: bytes | None
    after: bytes

    @property
    def mark(self) -> int:
        """By how much it moves the digest."""
        before = 0 if self.before is None else digest.row_mark(self.tenant_id, self.before)
        return digest.row_mark(self.tenant_id, self.after) - before


def write_changed(conn: Connection, touched: Collection[str], revision: int, at: Instant) -> int:
    """Writes the records of `touched` tenants and of their pools' owners that are not as they were, and the digest of
    all that there are then, as of `at`.

    Returns the revision at which the change can be seen: the next one, or `revision` when no record changed.
    """
    following = revision + 1
    done: set[str] = set()
    moved, written = 0, 0
    for chunk in chunks(sorted(touched)):
        nodes = lineage(conn, chunk)
        owners = {found.id for found in (holder(nodes, i) for i in chunk) if found}
        ids = sorted({*chunk, *owners} - done)
        done.update(ids)
        changed = list(_changed(conn, ids, following, nodes))
        _write(conn, changed, following)
        moved += sum(change.mark for change in changed)
        written += len(changed)
    if not written:
        return revision
    held = digest.as_text(digest.as_number(conn.scalars(select(schema.store.c.digest)).one()) + moved)
    conn.execute(update(schema.store).values(revision=following, digest=held))
    conn.execute(insert(schema.revision_log).values(revision=following, digest=held, at=at))
    return following


def _changed(conn: Connection, ids: Collection[str], revision: int, nodes: Nodes) -> Iterator[_Changed]:
    held = {row.tenant_id: row for row in conn.execute(HELD, {"ids": ids})}
    for record in project(conn, ids, revision, nodes):
        old = held.get(record.tenant_id)
        if old is None or records.encode(replace(record, revision=old.revision)) != old.record:
            before = old.record if old else None
            yield _Changed(tenant_id=record.tenant_id, before=before, after=records.encode(record))


def _write(conn: Connection, changed: Sequence[_Changed], revision: int) -> None:
    if changed:
        same = {"revision": revision}
        rows = [same | {"tenant_id": c.tenant_id, "record": c.after} for c in changed]
        conn.execute(upsert.replacing(conn, E, "tenant_id"), rows)
        conn.execute(insert(schema.change_log), [same | {"tenant_id": c.tenant_id} for c in changed])
