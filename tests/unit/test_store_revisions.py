"""An operator's word that an earlier state is meant, and forgetting what changed long ago: audited, on any database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from sqlalchemy import select
from typer.testing import CliRunner

from sidecar.cli.backoffice import files
from sidecar.core.model import DAY
from sync.feed.reading import changes_since, look
from sync.history import Way, way
from sync.sources import FailureKind, Position, SyncFailed
from sync.store import schema
from sync.store.audit import By, verify
from sync.store.revisions import HIGHEST, LEAP, Pruned, mean_restored, prune
from tests.storing import START, Shop, at, on_every_database, refused

pytestmark = on_every_database
NOON = at(START)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path / "store.db")
    for tenant_id in ("a", "b", "c"):
        shop.tenant(tenant_id)
    return shop


def position(shop: Shop) -> Position:
    with shop.store.reading() as conn:
        return look(conn, None).head.position


def way_from(shop: Shop, held: Position) -> Way:
    with shop.store.reading() as conn:
        return way(held, look(conn, held).head, whole=False, name="it")


def restored(shop: Shop, past: int | None = None) -> int:
    with shop.store.writing(By(operator="ann", at=NOON)) as writing:
        return mean_restored(writing, past)


def pruned(shop: Shop, before: int) -> Pruned:
    with shop.store.writing(By(operator="ann", at=NOON)) as writing:
        return prune(writing, before)


def last_entry(shop: Shop) -> tuple[str, str, object, object]:
    with shop.store.reading() as conn:
        assert not verify(conn).fault
        row = conn.execute(select(schema.audit).order_by(schema.audit.c.seq.desc()).limit(1)).one()
        details = json.loads(row.details)
    return row.action, row.operator, details["before"], details["after"]


def test_a_restored_store_is_taken_over_by_whoever_was_further(shop: Shop) -> None:
    ahead = Position(store_id=position(shop).store_id, revision=900, mark="f" * 64)
    with pytest.raises(SyncFailed) as caught:
        way_from(shop, ahead)
    assert caught.value.kind is FailureKind.HISTORY_WENT_BACK
    assert restored(shop, past=900) == 901
    assert way_from(shop, ahead) is Way.WHOLE
    assert last_entry(shop) == ("store.restored", "ann", {"revision": 3}, {"revision": 901})
    now = position(shop)
    assert (now.revision, way_from(shop, now)) == (901, Way.NOWHERE)
    shop.tenant("d")
    assert (position(shop).revision, way_from(shop, now)) == (902, Way.BY_CHANGES)


def test_without_a_word_of_how_far_it_was_a_million_further_is_taken(shop: Shop) -> None:
    held = position(shop)
    assert restored(shop) == 3 + LEAP + 1
    assert way_from(shop, held) is Way.WHOLE
    assert restored(shop, past=3 + LEAP + 1) == 3 + LEAP + 2


@pytest.mark.parametrize("past", [2, HIGHEST])
def test_it_cannot_go_back_itself_nor_without_end(shop: Shop, past: int) -> None:
    with refused("REVISION_NOT_PAST"):
        restored(shop, past)
    assert position(shop).revision == 3


def later(shop: Shop, tenant_id: str, days: int) -> None:
    """A change so many days after the others."""
    from sync.store.tenants import create_tenant

    with shop.store.writing(By(operator="ann", at=NOON + days * DAY)) as writing:
        create_tenant(writing, tenant_id, now=NOON + days * DAY)


def test_what_changed_long_ago_is_forgotten_and_later_changes_are_not(shop: Shop) -> None:
    early = position(shop)
    later(shop, "d", 10)
    between = position(shop)
    later(shop, "e", 20)
    done = pruned(shop, NOON + 5 * DAY)
    assert done == Pruned(changes=4, revisions=4, since=4)
    assert last_entry(shop) == ("store.prune", "ann", None, {"changes": 4, "revisions": 4, "since": 4})
    assert way_from(shop, early) is Way.WHOLE
    assert way_from(shop, between) is Way.BY_CHANGES
    with shop.store.reading() as conn:
        assert [tenant_id for tenant_id, _ in changes_since(conn, between.revision)] == ["e"]
        assert conn.scalars(select(schema.revision_log.c.revision)).all() == [4, 5]


def test_the_latest_revision_is_never_forgotten(shop: Shop) -> None:
    now = position(shop)
    assert pruned(shop, NOON + 900 * DAY).since == 3
    assert way_from(shop, now) is Way.NOWHERE
    shop.tenant("d")
    assert way_from(shop, now) is Way.BY_CHANGES


def test_nothing_to_forget_is_no_entry(shop: Shop) -> None:
    pruned(shop, NOON + 900 * DAY)
    entries = shop.store.status()
    with shop.store.reading() as conn:
        count = len(conn.scalars(select(schema.audit.c.seq)).all())
    assert pruned(shop, NOON + 900 * DAY) == Pruned(changes=0, revisions=0, since=3)
    with shop.store.reading() as conn:
        assert len(conn.scalars(select(schema.audit.c.seq)).all()) == count
    assert shop.store.status() == entries


# The commands


def run(shop: Shop, *args: str) -> tuple[int, str]:
    main = typer.Typer()
    main.add_typer(files.store)
    done = CliRunner().invoke(main, ["store", *args, "--store", shop.store.name, "--operator", "ann"])
    return done.exit_code, done.stdout + done.stderr


def test_the_commands_say_what_they_did(shop: Shop) -> None:
    assert run(shop, "restored", "--past", "50") == (
        0,
        "meant as it is, from revision 51 on: sidecars take it over\n",
    )
    assert last_entry(shop)[:2] == ("store.restored", "local:ann")
    code, told = run(shop, "prune", "--older-than", "P30D", "--json")
    assert (code, json.loads(told)["since"]) == (0, 51)
    assert run(shop, "restored", "--past", "50")[0] == 1
    assert "REVISION_NOT_PAST" in run(shop, "restored", "--past", "50")[1]
    code, told = run(shop, "prune", "--older-than", "30 days")
    assert (code, "P3M" in told) == (2, True)
    assert run(shop, "prune")[0] == 2
