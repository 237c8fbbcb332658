"""Importing: each row once, good ones kept where others are bad, and a try that leaves no trace."""

from __future__ import annotations

import csv
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sidecar.cli.backoffice import importing
from sidecar.core.errors import InvalidRequest
from sync.store import audit, once, schema
from sync.store.audit import By
from sync.store.db import Store
from sync.store.errors import StoreLocked, StoreUnavailable
from sync.store.tenants import get_tenant
from sync.transfer.drafts import CannotWrite
from sync.transfer.importing import BATCH, Import, Summary
from sync.transfer.items import Item
from sync.transfer.kinds import KINDS
from sync.transfer.modes import Files, Mode, run
from sync.transfer.report import Outcome, Told
from sync.transfer.scratch import copy_of
from sync.transfer.sheet import BadSheet
from tests.storing import Shop, again, at, on_every_database, on_sqlite

pytestmark = on_every_database

NOW = at("2026-07-14T09:30:00Z")
HEADER = "tenant,parent,tags,edition"


class Desk:
    """A store, a file to import, and what is told of it."""

    def __init__(self, folder: Path) -> None:
        self.shop = Shop(folder / "store.db")
        self.file = folder / "f.csv"
        self.report = folder / "report.csv"
        self.rejects = folder / "rejects.csv"
        self.steps: list[int] = []
        self.seen: list[tuple[Item, Told]] = []

    def write(self, *lines: str, header: str = HEADER) -> None:
        self.file.write_text("\n".join([header, *lines]) + "\n")

    def take(
        self, kind: str = "tenants", mode: Mode = Mode.KEEP_GOOD, file: Path | None = None, **more: Any
    ) -> Summary:
        step = more.pop("step", lambda rows, read: self.steps.append(rows))
        store = more.pop("store", self.shop.store)

        def make(trial: Outcome | None) -> Import:
            settings = {"operator": "local:ada", "now": NOW, "clock": lambda: NOW + 1, "step": step}
            return Import(KINDS[kind], trial=trial, **(settings | more))

        files = Files(name=str(file or self.file), report=self.report, rejects=self.rejects)
        return run(make, store, files, mode, lambda item, told: self.seen.append((item, told)))

    def told(self) -> list[list[str]]:
        """The report, its header apart."""
        return table(self.report)[1:]

    def outcomes(self) -> list[str]:
        return [row[1] for row in self.told()]

    def state(self) -> Mapping[str, list[Any]]:
        """All that the store holds."""
        with self.shop.store.reading() as conn:
            return {
                t.name: [tuple(row) for row in conn.execute(select(t).order_by(*t.primary_key))]
                for t in schema.metadata.sorted_tables
            }

    def tenants(self) -> list[tuple[str, str | None]]:
        t = schema.tenant
        with self.shop.store.reading() as conn:
            return [(row.id, row.parent_id) for row in conn.execute(select(t).order_by(t.c.id))]


def table(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


BAD = ("c,nobody,,", "d,,,nonesuch", 'e,"f,,', "b,a,,")
"""A parent, an edition, quotes and a tenant that cannot be."""


def test_good_rows_are_taken_and_bad_ones_told(desk: Desk) -> None:
    desk.write("a,,x;y,", "b,a,,basic", *BAD, "g,b,,")
    summary = desk.take()
    assert (summary.rows, summary.bad, summary.revision) == (7, 4, 1)
    assert summary.outcomes == {Outcome.DONE: 3, Outcome.BAD: 4}
    assert desk.tenants() == [("a", None), ("b", "a"), ("g", "b")]
    assert [row[:3] for row in desk.told()] == [
        ["2", "done", ""],
        ["3", "done", ""],
        ["4", "bad", "UNKNOWN_TENANT"],
        ["5", "bad", "UNKNOWN_EDITION"],
        ["6", "bad", "INVALID"],
        ["7", "bad", "TENANT_EXISTS"],
        ["8", "done", ""],
    ]
    assert [row[4] for row in desk.told() if row[4]] == ["tenant:a", "tenant:b", "tenant:g"]
    assert "nobody" in desk.told()[2][3]
    assert [told.outcome for _, told in desk.seen] == desk.outcomes()


def test_changes_are_audited_in_the_name_of_whoever_imports(desk: Desk) -> None:
    desk.write("a,,,", "b,a,,")
    desk.take()
    with desk.shop.store.reading() as conn:
        entries = audit.entries(conn, audit.Sought())
        assert audit.verify(conn).fault == ""
    assert [(e.operator, e.action, e.subject, e.idempotency_key, e.recorded_at) for e in entries] == [
        ("local:ada", "tenant.create", f"tenant:{name}", "import:tenants", NOW + 1) for name in "ab"
    ]


def test_the_same_file_twice_changes_nothing_at_all(desk: Desk) -> None:
    desk.write("a,,,", "b,a,,", *BAD)
    desk.take()
    before = desk.state()
    summary = desk.take()
    assert summary.outcomes == {Outcome.ALREADY: 2, Outcome.BAD: 4}
    assert desk.state() == before
    assert desk.told()[0] == ["2", "already", "", "", "tenant:a"]


def test_under_another_name_the_same_rows_are_tried_anew(desk: Desk) -> None:
    desk.write("a,k,5", header="tenant,key,units")
    desk.shop.tenant("a")
    for units, name in ((5, ""), (7, None), (5, "july")):
        if name is None:
            desk.shop.use("a", k=7)
        else:
            desk.take("usage", run=name)
        assert desk.shop.record("a").usage["k"].units == units


def test_an_import_that_was_cut_off_is_run_again(desk: Desk) -> None:
    names = [f"t{n:04}" for n in range(2 * BATCH + 5)]
    desk.write(*(f"{name},{names[0] if n else ''},," for n, name in enumerate(names)))

    def cut(rows: int, read: int) -> None:
        raise KeyboardInterrupt

    desk.report.write_text("of another day")
    with pytest.raises(KeyboardInterrupt):
        desk.take(step=cut)
    assert len(desk.tenants()) == BATCH
    assert desk.report.read_text() == "of another day"
    assert not list(desk.file.parent.glob(".*"))
    assert desk.take().outcomes == {Outcome.ALREADY: BATCH, Outcome.DONE: BATCH + 5}
    assert desk.steps == [BATCH, 2 * BATCH, 2 * BATCH + 5]
    assert len(desk.tenants()) == len(names)


def test_a_key_that_is_given_makes_a_row_once(desk: Desk) -> None:
    head = "tenant,tags,id_key"
    desk.write("x,,k1", "x,,k1", "y,,k1", "z z ,,k2", "z,,k2", header=head)
    desk.take()
    assert [row[1:3] for row in desk.told()] == [
        ["done", ""],
        ["already", ""],
        ["bad", "IDEMPOTENCY_CONFLICT"],
        ["bad", "INVALID"],
        ["done", ""],
    ]
    assert desk.tenants() == [("x", None), ("z", None)]


def test_a_key_that_another_call_has_used_is_a_conflict_of_its_row_alone(desk: Desk) -> None:
    with desk.shop.store.writing(By(operator="o", at=NOW)) as writing:
        once.remember(writing.conn, [("k1", "another", {"tenant": {}})], at=NOW)
    desk.write("x,k1", "y,k2", header="tenant,id_key")
    desk.take()
    assert [row[1:3] for row in desk.told()] == [["bad", "IDEMPOTENCY_CONFLICT"], ["done", ""]]


def test_bad_rows_come_back_as_they_were_and_can_be_mended(desk: Desk) -> None:
    desk.write("a,,'=1,", *BAD, "b,a,,", "b,a,,")
    desk.take()
    header, *rows = table(desk.rejects)
    assert header == ["tenant", "parent", "tags", "edition", "id_key", "line", "reason"]
    assert [row[:4] for row in rows] == [
        ["c", "nobody", "", ""],
        ["d", "", "", "nonesuch"],
        ["", "", "", ""],
        ["b", "a", "", ""],
        ["b", "a", "", ""],
    ]
    assert [row[5] for row in rows] == ["3", "4", "5", "7", "8"]
    assert rows[2][6] == 'a quote is not closed; the row is: e,"f,,'
    mended = desk.rejects.read_text().replace("nobody", "a").replace("nonesuch", "basic")
    desk.file.write_text(mended.replace("\n,,,,", "\ne,a,,,"))
    assert desk.take().outcomes == {Outcome.DONE: 3, Outcome.BAD: 2}
    assert [name for name, _ in desk.tenants()] == ["a", "b", "c", "d", "e"]


def test_a_row_sent_back_that_stood_twice_is_not_taken_for_its_twin(desk: Desk) -> None:
    """The second of two equal rows is refused, sent back, and done once what stood in its way is gone."""
    desk.shop.product({"id": "p", "license_template": [{"name": "k", "amount": 1}]})
    desk.shop.tenant("a")
    row = "a,NEW,p,1,1,2026-07-14"
    desk.write(row, row, header="tenant,kind,product,quantity,months,starts")
    assert desk.take("orders").outcomes == {Outcome.DONE: 1, Outcome.BAD: 1}
    late = at("2026-09-01")
    shutil.copy(desk.rejects, desk.file)
    assert desk.take("orders", now=late).outcomes == {Outcome.BAD: 1}
    desk.file.write_text(desk.rejects.read_text().replace("2026-07-14", "2026-09-14"))
    assert desk.take("orders", now=late).outcomes == {Outcome.DONE: 1}


def test_orders_of_one_name_that_come_back_together_are_not_taken_for_one(desk: Desk) -> None:
    """Nor is an order taken whose neighbor could not be read, until that is mended."""
    desk.shop.product({"id": "p", "license_template": [{"name": "k", "amount": 1}]})
    desk.shop.product({"id": "q", "license_template": [{"name": "k", "amount": 1}]})
    desk.shop.tenant("a")
    header = "order,tenant,product,quantity,months"
    desk.write("1,z,p,1,1", "2,a,p,1,1", "1,z,q,1,1", "3,a,q,1,1", '"3,a', header=header)
    assert desk.take("orders").outcomes == {Outcome.DONE: 1, Outcome.BAD: 4}
    shutil.copy(desk.rejects, desk.file)
    assert desk.take("orders").outcomes == {Outcome.BAD: 4}
    desk.file.write_text(desk.rejects.read_text().replace("1,z,p", "1,b,p").replace("1,z,q", "1,c,q"))
    desk.shop.tenant("b")
    desk.shop.tenant("c")
    assert desk.take("orders").outcomes == {Outcome.DONE: 2, Outcome.BAD: 2}


def test_files_hold_no_formula_of_the_imported_text(desk: Desk) -> None:
    desk.write('"=cmd()",,,', '"x,=1",,')
    desk.take()
    assert [row[0] for row in table(desk.rejects)[1:]] == [""]
    assert desk.tenants() == [("=cmd()", None)]
    assert desk.told()[0][4] == "tenant:=cmd()"


def test_a_dry_run_says_the_same_and_changes_nothing(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    desk.write("a,,,", "b,a,,", *BAD)
    before = desk.state()
    seen: list[int] = []

    def look(rows: int, read: int) -> None:
        seen.extend(os.stat(f).st_mode & 0o077 for f in scratch.iterdir())

    tried = desk.take(mode=Mode.DRY_RUN, step=look)
    assert (tried.outcomes, tried.revision) == ({Outcome.DONE: 2, Outcome.BAD: 4}, 0)
    assert desk.state() == before
    assert (seen, list(scratch.iterdir())) == ([0], [])
    said = [row[:4] for row in desk.told()]
    assert desk.told()[0][4] == ""
    desk.take()
    assert [row[:4] for row in desk.told()] == said


def test_nobody_waits_for_a_dry_run_nor_it_for_them(desk: Desk) -> None:
    desk.write(*(f"t{n:04},,," for n in range(2 * BATCH)))
    eager = again(desk.shop.store, busy_timeout=0)

    def meanwhile(rows: int, read: int) -> None:
        with eager.writing(By(operator="o", at=NOW)) as writing:
            writing.audit("a.b", "c:d")

    with eager.writing(By(operator="o", at=NOW)):
        assert desk.take(mode=Mode.DRY_RUN).outcomes == {Outcome.DONE: 2 * BATCH}
    desk.take(mode=Mode.DRY_RUN, step=meanwhile)
    with eager.reading() as conn:
        assert len(audit.entries(conn, audit.Sought())) == 2


def test_others_come_to_write_between_two_batches(desk: Desk) -> None:
    desk.write(*(f"t{n:04},,," for n in range(2 * BATCH)))
    eager = again(desk.shop.store, busy_timeout=0)

    def meanwhile(rows: int, read: int) -> None:
        with eager.writing(By(operator="o", at=NOW)) as writing:
            writing.audit("a.b", "c:d")

    assert desk.take(step=meanwhile).outcomes == {Outcome.DONE: 2 * BATCH}


def test_an_import_that_finds_the_store_locked_says_so_and_goes_on_the_next_time(desk: Desk) -> None:
    desk.write("a,,,")
    hasty = again(desk.shop.store, busy_timeout=0)
    with hasty.writing(By(operator="o", at=NOW)), pytest.raises(StoreLocked):
        desk.take(store=hasty)
    assert desk.take(store=hasty).outcomes == {Outcome.DONE: 1}


def test_an_import_that_states_no_instant_has_that_at_which_its_turn_comes(desk: Desk) -> None:
    """What others did while it waited was before."""
    hasty = again(desk.shop.store, busy_timeout=0)

    def clock() -> int:
        with pytest.raises(StoreLocked), hasty.writing(By(operator="o", at=NOW)):
            pass
        return NOW + 7

    desk.write("a,,,")
    assert desk.take(now=None, clock=clock).outcomes == {Outcome.DONE: 1}
    with desk.shop.store.reading() as conn:
        assert get_tenant(conn, "a").created_at == NOW + 7


def test_all_or_nothing_does_not_say_nothing_when_another_came_between(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """All rows were good when they were tried; then somebody took the name of one."""
    between = iter([lambda: desk.shop.tenant("b")])
    desk.write("a,,,", "b,,,")
    summary = desk.take(mode=Mode.ALL_OR_NOTHING, step=lambda rows, read: next(between, int)())
    assert summary.outcomes == {Outcome.DONE: 1, Outcome.BAD: 1}
    assert desk.outcomes() == ["done", "bad"]
    importing._tell(False, summary, Mode.ALL_OR_NOTHING)
    assert capsys.readouterr().out.endswith(": 1 done, 0 already, 1 bad (revision 2)\n")


def test_all_or_nothing_takes_nothing_when_a_row_is_bad(desk: Desk) -> None:
    desk.write("old,,,")
    desk.take()
    before = desk.state()
    desk.write("old,,,", "a,,,", "b,a,,", BAD[0])
    summary = desk.take(mode=Mode.ALL_OR_NOTHING)
    assert desk.state() == before
    assert summary.outcomes == {Outcome.ALREADY: 1, Outcome.WITHHELD: 2, Outcome.BAD: 1}
    assert summary.revision == 1
    assert desk.outcomes() == ["already", "withheld", "withheld", "bad"]
    assert [row[0] for row in table(desk.rejects)[1:]] == ["c"]


def test_all_or_nothing_takes_all_when_all_are_good(desk: Desk) -> None:
    desk.write("a,,,", "b,a,,")
    summary = desk.take(mode=Mode.ALL_OR_NOTHING)
    assert (summary.outcomes, summary.revision) == ({Outcome.DONE: 2}, 1)
    assert [name for name, _ in desk.tenants()] == ["a", "b"]
    assert [row[1:] for row in desk.told()] == [["done", "", "", "tenant:a"], ["done", "", "", "tenant:b"]]
    assert len(table(desk.rejects)) == 1


class Pipe(io.BytesIO):
    """What cannot be read a second time."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise OSError("a pipe goes one way")


@pytest.mark.parametrize("mode", list(Mode))
def test_standard_input_is_read_in_every_mode(desk: Desk, mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.TextIOWrapper(Pipe(f"{HEADER}\na,,,\nb,a,,\n".encode()))
    monkeypatch.setattr(sys, "stdin", pipe)
    assert desk.take(mode=mode, file=Path("-")).outcomes == {Outcome.DONE: 2}
    assert len(desk.tenants()) == (0 if mode is Mode.DRY_RUN else 2)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("header", ["", "parent", "tenant,tenant", "tenant,colour"])
def test_a_file_with_other_columns_is_not_begun(desk: Desk, header: str, mode: Mode) -> None:
    desk.write("a,b", header=header)
    with pytest.raises(BadSheet):
        desk.take(mode=mode)
    assert not desk.report.exists()
    assert desk.tenants() == []


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_a_file_that_cannot_be_read_is_told(desk: Desk, name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^file: .+ cannot be read"):
        desk.take(file=desk.file.parent / name)


def test_files_that_cannot_be_written_are_told_before_anything_is_done(desk: Desk) -> None:
    desk.write("a,,,")
    desk.report = desk.report.parent / "no such folder" / "report.csv"
    with pytest.raises(CannotWrite, match="cannot be written: No such file"):
        desk.take()
    assert desk.tenants() == []


@on_sqlite
def test_no_file_that_is_needed_is_written_over(desk: Desk) -> None:
    desk.write("a,,,")
    link = desk.file.with_name("link")
    link.symlink_to(desk.file)
    kept = [desk.file.read_bytes(), desk.shop.store.path.read_bytes()]
    for report, rejects, field in (
        (desk.report, desk.report, "rejects"),
        (desk.file, desk.rejects, "report"),
        (desk.report, link, "rejects"),
        (desk.shop.store.path, desk.rejects, "report"),
    ):
        desk.report, before = report, desk.report
        desk.rejects = rejects
        with pytest.raises(InvalidRequest, match=f"^{field}: .+ give another file"):
            desk.take()
        desk.report = before
    assert kept == [desk.file.read_bytes(), desk.shop.store.path.read_bytes()]
    assert desk.tenants() == []


def test_a_full_disk_leaves_the_files_as_they_were(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write("a,,,")
    desk.report.write_text("old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWrite, match="No space left"):
        desk.take()
    assert desk.report.read_text() == "old"
    assert not list(desk.file.parent.glob(".*"))
    assert desk.tenants() == [("a", None)]


def test_a_report_may_go_where_it_is_not_kept(desk: Desk) -> None:
    desk.write("a,,,")
    desk.report = Path("/dev/null")
    assert desk.take().outcomes == {Outcome.DONE: 1}
    assert not Path("/dev/null").is_file()


def test_a_report_under_a_link_goes_where_the_link_leads(desk: Desk, tmp_path: Path) -> None:
    desk.write("a,,,")
    place = tmp_path / "kept.csv"
    desk.report.symlink_to(place)
    desk.take()
    assert desk.report.is_symlink()
    assert "done" in place.read_text()


@on_sqlite
def test_a_store_that_cannot_be_copied_is_told(desk: Desk, tmp_path: Path) -> None:
    store: Store = desk.shop.store
    store.path.rename(tmp_path / "gone")
    with pytest.raises(StoreUnavailable, match="cannot be copied"), copy_of(store):
        pass


def test_an_empty_file_is_good(desk: Desk) -> None:
    desk.write()
    assert desk.take().rows == 0
    assert (desk.told(), len(table(desk.rejects))) == ([], 1)
