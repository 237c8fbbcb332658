"""A sidecar without a central store serves what its license grants and what exists on the spot: renewed in place, never
by an older or an altered license, and not for longer by a clock that is turned back (domain.md 3, 4 and 7).
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sidecar import records
from sidecar.core.model import DAY, SECOND, Instant, Record, Seat
from sidecar.state.applier import Applier
from sidecar.state.clock import Clock
from sidecar.state.clockfile import ClockFile
from sidecar.state.copyfile import CopyFailed, CopyKind
from sidecar.state.localcopy import LocalCopy
from sync.license import License
from sync.licensed import SHIFT, split
from sync.licensesource import KEPT, LicenseSource
from sync.sources import FailureKind, SyncFailed
from sync.store.audit import Sought, entries
from sync.store.db import Store, open_store
from sync.store.errors import Refused
from sync.store.licenses import Asked, issue
from sync.store.revisions import LEAP, mean_restored
from sync.store.tenants import archive_tenant, create_tenant
from sync.store.usage import Absolute, Delta, SeatChange, Seats, adjust_usage
from sync.usagestore import VisibleAt
from tests.fakes import FakeWorld, Hands, digest_of
from tests.licensing import ENDS, ISSUED, grant, key, license_of, record, token, write_keys
from tests.storing import TESTER, Shop, empty_store, months, per_unit

USAGE_STORE = "usage.db"
START = ISSUED + DAY
"""What the machine's clock says: a day after the first license was issued."""
ACME = record("acme", grant(amount=10), grant("layout_designer", None, users=3))
LABS = record("acme-labs", holder_id="acme")


class Site:
    """An installation: a license's file, the keys that it trusts, and a sidecar's state."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self.keys = folder, folder / "license.jwt", folder / "keys.jwks"
        self.state = folder / "state"
        self.usage_path = self.state / USAGE_STORE
        self.state.mkdir()
        self.hands = Hands(START)
        write_keys(self.keys)
        self.begin()

    def begin(self) -> None:
        """A sidecar's process starts."""
        self.source = LicenseSource(self.path, keys=self.keys, usage_store=self.usage_path)
        self.world = FakeWorld()
        self.clock = Clock(ClockFile(self.state / "clock"), machine=self.hands)
        self.copy = LocalCopy(self.state / "copy.db")
        self.sink = Applier(copy=self.copy, clock=self.clock, publish=self.world.publish)

    def end(self) -> None:
        self.source.close()
        self.sink.close()

    def restart(self) -> None:
        self.clock.save()
        self.end()
        self.begin()
        self.sink.load()

    def drop(self, *given: Record | License, **more: Any) -> None:
        """Puts a license where it is looked for, as a copy of a file does."""
        made = given[0] if given and isinstance(given[0], License) else license_of(*given, **more)  # type: ignore[arg-type]
        self.write(token(made) + "\n")

    def write(self, text: str) -> None:
        draft = self.folder / "draft"
        draft.write_text(text)
        draft.replace(self.path)

    def step(self) -> None:
        self.source.step(self.sink)

    def fails(self, kind: FailureKind, word: str, *, contact: bool = False) -> None:
        """One step, as the follower makes it, that fails, and tells of no contact unless that is said."""
        self.hands.micros += SECOND
        before = self.sink.last_contact
        with pytest.raises(SyncFailed) as e:
            self.step()
        assert e.value.kind is kind, e.value
        assert word in e.value.problem
        self.sink.failed(e.value)
        assert (self.sink.last_contact != before) == contact

    @property
    def usage(self) -> Store:
        return open_store(self.usage_path)

    def use(self, tenant: str, key: str, change: Any) -> int:
        """States usage as the sidecar's writer does; gives the revision at which answers show it."""
        self._statements = getattr(self, "_statements", 0) + 1
        name = f"s{self._statements}"
        used = adjust_usage(self.usage, tenant, key, change, idempotency_key=name, now=self.clock.now())
        return VisibleAt(self.usage_path)(used.revision)

    def seat(self, tenant: str, *users: str, held: bool = True, key: str = "layout_designer") -> int:
        changes = tuple(SeatChange(user_id=user, held=held) for user in users)
        return self.use(tenant, key, Seats(changes=changes))

    def served(self, tenant: str = "acme") -> Record:
        return records.decode(self.world.tenants[tenant])

    def units(self, tenant: str = "acme", key: str = "fixed_desk") -> int:
        usage = self.served(tenant).usage
        return usage[key].units if key in usage else 0

    def amount(self) -> Any:
        return self.served().grants[0].amount

    @property
    def at(self) -> tuple[int, int]:
        """Serial and usage revision that are served; the copy on disk holds exactly that."""
        held = self.sink.held
        assert held is not None
        assert dict(self.copy.rows()) == self.world.tenants
        assert self.copy.position == held
        assert self.copy.stamp is not None
        assert self.copy.stamp.digest == digest_of(self.copy.rows())
        assert all(1 <= records.decode(r).revision <= held.revision for r in self.world.tenants.values())
        return split(held.revision)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.usage_path.write_bytes(empty_store())  # made once for all tests; see test_the_usage_store_is_made
    yield site
    site.end()


# What comes


def test_the_usage_store_is_made_with_the_licenses_tenants(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.drop(ACME, LABS)
    site.step()
    assert site.at == (1, 1)
    assert site.sink.held is not None
    assert site.sink.held.store_id == "license:site"
    assert sorted(site.world.tenants) == ["acme", "acme-labs"]
    assert site.served().grants == ACME.grants
    assert site.usage.status().tenants == 2
    with site.usage.reading() as conn:
        (installed,) = entries(conn, Sought(action="license.install"))
    assert (installed.subject, installed.operator) == ("license:site", "license")
    site.end()


def test_usage_comes_with_a_revision_that_answers_can_be_asked_for(site: Site) -> None:
    site.drop(ACME, LABS)
    site.step()
    first = site.use("acme", "fixed_desk", Delta(units=4))
    assert first == 1 << SHIFT | 2
    site.step()
    assert (site.sink.revision, site.units()) == (first, 4)
    site.use("acme", "fixed_desk", Absolute(units=11))
    site.step()
    assert site.units() == 11  # over what is granted, and said so: usage is never refused for quota
    assert (site.amount(), site.at) == (10, (1, 3))
    assert site.world.snapshots == 1


def test_nothing_new_is_contact_and_nothing_is_published(site: Site) -> None:
    site.drop(ACME)
    site.step()
    site.hands.micros += 60 * SECOND
    site.step()
    assert (site.sink.last_contact, len(site.world.revisions)) == (START + 60 * SECOND, 1)


def test_a_pool_is_added_up_and_its_seats_are_in_one_order(site: Site) -> None:
    other = record("globex", grant(amount=5))
    site.drop(ACME, LABS, record("acme-old", holder_id="acme", archived=True), other)
    site.step()
    for tenant, units in (("acme", 6), ("acme-labs", 3), ("acme-old", 50), ("globex", 1)):
        site.use(tenant, "fixed_desk", Delta(units=units))
    site.seat("acme-labs", "ada")
    site.seat("acme", "bob")
    site.seat("acme-labs", "cyd")
    site.seat("acme-old", "dan")
    site.seat("acme-labs", "ada", held=False)
    site.seat("acme-labs", "ada")
    site.step()
    usage = site.served().usage
    assert usage["fixed_desk"].units == 9  # of archived ones nothing counts
    assert usage["layout_designer"].seats == (Seat("", "bob"), Seat("acme-labs", "cyd"), Seat("acme-labs", "ada"))
    assert (site.units("globex"), dict(site.served("acme-labs").usage)) == (1, {})
    site.use("acme-labs", "fixed_desk", Delta(units=-3))
    site.step()
    assert (site.units(), site.at[0]) == (6, 1)
    globex = site.served("globex").revision
    assert globex < site.served().revision == site.sink.revision  # each record has the revision of its last change


@pytest.mark.parametrize("archived", ["acme-old", "acme"])
def test_a_seat_of_an_archived_tenant_is_not_in_the_pool_however_it_is_read(site: Site, archived: str) -> None:
    """Whole, as after a start or a renewal, or by what changed since."""
    site.drop(ACME, record("acme-old", holder_id="acme"))
    site.step()
    site.seat(archived, "dan")
    other = {"acme", "acme-old"} - {archived}
    site.seat(*other, "bob")
    kept = (Seat("" if other == {"acme"} else "acme-old", "bob"),)
    given = [ACME, record("acme-old", holder_id="acme")]
    site.drop(*(replace(r, archived=r.tenant_id == archived) for r in given), serial=2)
    site.step()
    assert site.served().usage["layout_designer"].seats == kept
    site.use("acme-old", "fixed_desk", Delta(units=1))
    site.step()
    assert site.served().usage["layout_designer"].seats == kept
    site.restart()
    site.use("acme-old", "fixed_desk", Delta(units=1))
    site.step()
    assert site.served().usage["layout_designer"].seats == kept
    assert (site.world.snapshots, site.at[0]) == (1, 2)  # the copy's own, at the start: no digest was wrong


def test_changes_alone_come_after_a_restart_too(site: Site) -> None:
    site.drop(ACME, LABS, record("globex", grant()))
    site.step()
    site.use("globex", "fixed_desk", Delta(units=2))
    site.step()
    site.restart()
    before = site.world.revisions.copy()
    site.step()
    assert site.world.revisions == before  # nothing had changed
    site.use("acme-labs", "fixed_desk", Delta(units=5))
    site.step()
    assert (site.units(), site.units("globex"), site.at) == (5, 2, (1, 3))
    assert site.world.snapshots == 1  # the copy's own


def test_an_idempotency_key_is_taken_once(site: Site) -> None:
    site.drop(ACME)
    site.step()
    given = {"idempotency_key": "a", "now": START}
    first = adjust_usage(site.usage, "acme", "fixed_desk", Delta(units=2), **given)  # type: ignore[arg-type]
    assert adjust_usage(site.usage, "acme", "fixed_desk", Delta(units=2), **given) == first  # type: ignore[arg-type]
    with pytest.raises(Refused, match="IDEMPOTENCY_CONFLICT"):
        adjust_usage(site.usage, "acme", "fixed_desk", Delta(units=3), **given)  # type: ignore[arg-type]
    site.step()
    assert site.units() == 2


def test_a_copy_that_came_out_wrong_is_taken_anew(site: Site) -> None:
    site.drop(ACME)
    site.step()
    site.sink.failed(SyncFailed(FailureKind.WRONG_DIGEST, "so it was said"))
    site.use("acme", "fixed_desk", Delta(units=1))
    site.step()
    assert (site.world.snapshots, site.units(), site.at) == (2, 1, (1, 2))


def test_what_is_served_is_what_a_central_store_would_say(site: Site) -> None:
    """The same statements made there and here come to the same records, whoever shares whose pool."""
    shop = Shop(site.folder / "vendor.db")
    shop.product(per_unit("desk", "fixed_desk"))
    parents = {"acme": None, "labs": "acme", "lab-1": "labs", "shop": "acme", "till": "shop", "gone": "acme"}
    for tenant, parent in parents.items():
        shop.tenant(tenant, parent_id=parent)
    for tenant in ("acme", "shop"):
        shop.new(tenant, {"desk": 5}, "2026-01-01", months(24))
    with shop.store.writing(TESTER) as writing:
        archive_tenant(writing, "gone", now=ISSUED)
    asked = Asked(tenant_id="acme", children=True)
    made, text = issue(shop.store, asked, key(), operator="ada", clock=lambda: ISSUED)
    site.write(text)
    site.step()
    draw = random.Random(7)
    for number in range(60):
        tenant = draw.choice(list(parents))
        user = SeatChange(user_id=draw.choice("abcd"), held=draw.random() < 0.7)
        change = draw.choice([Absolute(units=draw.randrange(9)), Seats(changes=(user,))])
        for store in (shop.store, site.usage):
            adjust_usage(store, tenant, "fixed_desk", change, idempotency_key=f"n{number}", now=ISSUED)
        if number % 3 == 0:
            site.step()
            for record_ in made.records:
                there, here = shop.record(record_.tenant_id), site.served(record_.tenant_id)
                assert replace(here, revision=1) == replace(there, revision=1)
    assert site.at[0] == 1


# Renewals


def test_a_newer_license_dropped_in_place_renews_and_usage_stays(site: Site) -> None:
    site.drop(ACME, LABS)
    site.step()
    site.use("acme", "fixed_desk", Delta(units=9))
    site.seat("acme", "ada")
    site.step()
    renewed = record("acme", grant(amount=8), grant("layout_designer", None, users=3))
    site.drop(renewed, LABS, record("acme-new", holder_id="acme"), serial=2)
    site.step()
    assert (site.at, site.amount(), site.units()) == ((2, 4), 8, 9)
    assert site.served().usage["layout_designer"].seats == (Seat("", "ada"),)
    assert "acme-new" in site.world.tenants
    assert site.use("acme-new", "fixed_desk", Delta(units=1)) == 2 << SHIFT | 5
    site.step()
    assert (site.at, site.units()) == ((2, 5), 10)


def test_a_license_that_names_a_tenant_no_more_takes_it_away(site: Site) -> None:
    site.drop(ACME, LABS)
    site.step()
    site.use("acme-labs", "fixed_desk", Delta(units=3))
    site.step()
    site.drop(ACME, serial=2)
    site.step()
    assert (list(site.world.tenants), site.units()) == (["acme"], 0)
    site.use("acme-labs", "fixed_desk", Delta(units=1))
    site.step()
    site.drop(ACME, LABS, serial=3)
    site.step()
    assert site.units() == 4  # what exists does not go with the license


def test_a_renewal_while_the_sidecar_was_down(site: Site) -> None:
    site.drop(ACME)
    site.step()
    site.use("acme", "fixed_desk", Delta(units=1))
    site.drop(record("acme", grant(amount=20)), serial=7)
    site.restart()
    assert (site.at, site.amount()) == ((1, 1), 10)
    site.step()
    assert (site.at, site.amount(), site.units()) == ((7, 2), 20, 1)


def test_a_statement_during_a_renewal_is_seen_by_its_revision(site: Site) -> None:
    """Between the license's being on record and the look at what exists, the new serial is answered."""
    site.drop(ACME)
    site.step()
    site.drop(ACME, serial=2)
    accept, answered = site.source._usage.accept, []

    def meddling(license_: License) -> None:
        answered.append(site.use("acme", "fixed_desk", Delta(units=1)))
        accept(license_)
        answered.append(site.use("acme", "fixed_desk", Delta(units=1)))

    site.source._usage.accept = meddling  # type: ignore[method-assign]
    site.step()
    assert answered == [1 << SHIFT | 2, 2 << SHIFT | 3]
    assert (site.sink.revision >= max(answered), site.units()) == (True, 2)


@pytest.mark.parametrize("down", [False, True])
def test_a_renewal_that_cannot_be_kept_is_made_up_for(site: Site, down: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the disk is full, or the process is killed, once the license is on record and nothing else is done."""
    site.drop(ACME)
    site.step()
    site.hands.micros = START + 1000 * DAY
    assert site.clock.now() == site.hands.micros
    site.hands.micros = START
    with monkeypatch.context() as broken:
        broken.setattr(site.copy, "apply", _full)
        site.drop(record("acme", grant(amount=20)), serial=2)
        site.fails(FailureKind.LOCAL_COPY, "no room")
    assert (site.at, site.amount(), site.clock.now()) == ((1, 1), 10, START + 1000 * DAY)
    used = site.use("acme", "fixed_desk", Delta(units=1))
    if down:
        site.restart()
    site.step()
    assert (site.at, site.amount(), site.sink.revision) == ((2, 2), 20, used)
    assert site.clock.now() < START + 2 * DAY


def _full(*_: object, **__: object) -> None:
    raise CopyFailed(CopyKind.FULL, "no room left on the disk")


def test_the_same_license_again_is_no_news(site: Site) -> None:
    site.drop(ACME)
    site.step()
    site.drop(ACME)
    site.step()
    os.utime(site.path)
    site.step()
    assert len(site.world.revisions) == 1


def test_keys_are_rotated_in_place(site: Site) -> None:
    site.drop(ACME)
    site.step()
    site.drop(license_of(ACME, serial=2, key_id="k2"))
    site.fails(FailureKind.LICENSE, "LICENSE_UNKNOWN_KEY")
    assert site.at == (1, 1)
    write_keys(site.keys, "k1", "k2")
    site.step()
    assert site.at == (2, 1)
    write_keys(site.keys, "k1")  # the key of the license in use is trusted no more
    site.fails(FailureKind.LICENSE, "LICENSE_UNKNOWN_KEY")


# Licenses that are not followed


def torn(text: str) -> str:
    return text[: len(text) // 2]


def altered(text: str) -> str:
    head, payload, signature = text.split(".")
    return f"{head}.{payload[:-1]}{'A' if payload[-1] != 'A' else 'B'}.{signature}"


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (torn, "LICENSE_"),
        (altered, "LICENSE_ALTERED"),
        (lambda _: "", "LICENSE_NOT_SIGNED"),
        (lambda _: token(license_of(ACME, license_id="other", serial=9)), "LICENSE_OTHER_LICENSE"),
        (lambda _: token(license_of(record("acme", grant(amount=99)), serial=4)), "LICENSE_OLDER"),
        (lambda _: token(license_of(record("acme", grant(amount=99)), serial=5)), "LICENSE_SAME_SERIAL"),
    ],
)
@pytest.mark.parametrize("down", [False, True])
def test_a_bad_license_is_not_followed_and_what_was_served_is(site: Site, bad: Any, word: str, down: bool) -> None:
    good = token(license_of(ACME, serial=5))
    site.write(good)
    site.step()
    site.write(bad(good))
    if down:
        site.restart()
    site.fails(FailureKind.LICENSE, word)
    assert (site.at, site.amount()) == ((5, 1), 10)
    site.use("acme", "fixed_desk", Delta(units=3))
    site.fails(FailureKind.LICENSE, word)
    assert (site.at, site.units()) == ((5, 2), 3)  # usage goes on under the license that is in use
    site.write(good)
    site.step()
    assert site.sink.failing is None


ALL = ["copy.db", "clock", KEPT, USAGE_STORE]


@pytest.mark.parametrize("left", ["copy.db", KEPT, USAGE_STORE])
def test_an_older_license_is_refused_whatever_part_of_the_state_is_left(site: Site, left: str) -> None:
    site.drop(ACME, serial=5)
    site.step()
    site.end()
    for name in ALL:
        if name != left:
            remove(site.state / name)
    site.begin()
    site.sink.load()
    site.drop(record("acme", grant(amount=99)), serial=4)
    site.fails(FailureKind.LICENSE, "LICENSE_OLDER")


def test_without_its_file_a_sidecar_serves_what_it_held(site: Site) -> None:
    site.drop(ACME)
    site.step()
    site.path.unlink()
    site.restart()
    assert (site.at, site.amount()) == ((1, 1), 10)
    site.fails(FailureKind.LICENSE, "LICENSE_MISSING")
    site.use("acme", "fixed_desk", Delta(units=2))
    site.fails(FailureKind.LICENSE, "LICENSE_MISSING")
    assert site.units() == 2
    (site.state / KEPT).unlink()
    site.restart()
    site.use("acme", "fixed_desk", Delta(units=2))
    site.fails(FailureKind.LICENSE, "LICENSE_MISSING")
    assert site.units() == 2  # nobody knows the license any more
    site.drop(ACME)
    site.step()
    assert site.units() == 4


def test_without_a_license_nothing_is_complete(site: Site) -> None:
    site.fails(FailureKind.LICENSE, "deskgate license install")
    assert not site.sink.complete
    site.keys.unlink()
    site.drop(ACME)
    site.fails(FailureKind.LICENSE, "LICENSE_KEYS")


def test_what_is_no_file_is_not_waited_for(site: Site) -> None:
    os.mkfifo(site.path)
    site.fails(FailureKind.LICENSE, "LICENSE_UNREADABLE")
    site.path.unlink()
    site.path.mkdir()
    site.fails(FailureKind.LICENSE, "LICENSE_UNREADABLE")
    site.path.rmdir()
    site.path.write_bytes(b"a" * (5 << 20))
    site.fails(FailureKind.LICENSE, "LICENSE_TOO_LARGE")


def test_the_state_of_another_store_is_not_taken_over(site: Site) -> None:
    site.drop(ACME, license_id="one")
    site.step()
    site.drop(ACME, license_id="two", serial=3)
    site.restart()
    site.fails(FailureKind.LICENSE, "LICENSE_OTHER_LICENSE")
    (site.state / "copy.db").unlink()
    site.restart()
    site.fails(FailureKind.LICENSE, "LICENSE_OTHER_LICENSE")  # the usage store knows


# The usage store


def remove(path: Path) -> None:
    for sign in ("", "-wal", "-shm"):
        Path(f"{path}{sign}").unlink(missing_ok=True)


def put(path: Path, content: bytes) -> None:
    remove(path)
    path.write_bytes(content)


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("serial", [1, 2])
@pytest.mark.parametrize("how", ["removed", "emptied", "made anew", "made anew and ahead", "restored"])
def test_a_usage_store_that_went_back_is_not_followed(site: Site, how: str, serial: int, down: bool) -> None:
    site.drop(ACME)
    site.step()
    site.use("acme", "fixed_desk", Delta(units=1))
    site.step()
    with closing(sqlite3.connect(site.usage_path)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    backup = site.usage_path.read_bytes()
    site.use("acme", "fixed_desk", Delta(units=8))
    site.step()
    site.drop(ACME, serial=serial)
    if how == "removed":
        remove(site.usage_path)
    elif how == "emptied":
        put(site.usage_path, b"")
    elif how == "restored":
        put(site.usage_path, backup)
    else:
        put(site.usage_path, empty_store(_other))
        if how == "made anew and ahead":
            for _ in range(9):
                site.use("acme", "fixed_desk", Delta(units=1))
    if down:
        site.restart()
    site.fails(FailureKind.HISTORY_WENT_BACK, "usage.db")
    assert (site.units(), site.at, site.sink.history_gone_back) == (9, (1, 3), True)


def _other(store: Store) -> None:
    with store.writing(TESTER) as writing:
        create_tenant(writing, "acme", now=0)


def test_an_operator_can_mean_an_earlier_usage_store(site: Site) -> None:
    site.drop(ACME)
    site.step()
    with closing(sqlite3.connect(site.usage_path)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    backup = site.usage_path.read_bytes()
    site.use("acme", "fixed_desk", Delta(units=8))
    site.step()
    put(site.usage_path, backup)
    site.fails(FailureKind.HISTORY_WENT_BACK, "deskgate store restored")
    with site.usage.writing(TESTER) as writing:
        mean_restored(writing)
    site.step()
    assert (site.at, site.units()) == ((1, LEAP + 2), 0)
    site.use("acme", "fixed_desk", Delta(units=1))
    site.step()
    assert (site.at, site.units()) == ((1, LEAP + 3), 1)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"no database at all" * 100, FailureKind.FOREIGN), (None, FailureKind.NEWER_SCHEMA)],
)
def test_a_usage_store_that_cannot_be_used_is_told(site: Site, content: bytes | None, kind: FailureKind) -> None:
    site.drop(ACME)
    if content is None:
        with closing(sqlite3.connect(site.usage_path, isolation_level=None)) as conn:
            conn.execute("UPDATE store SET schema_version = 99")
    else:
        site.usage_path.write_bytes(content)
    site.fails(kind, "usage.db")
    assert not site.sink.complete


def test_a_locked_usage_store_is_waited_for_at_the_next_step(site: Site) -> None:
    site.drop(ACME)
    with closing(sqlite3.connect(site.usage_path, isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        site.fails(FailureKind.LOCKED, "locked")
        conn.execute("ROLLBACK")
    site.step()
    assert site.at == (1, 1)


def test_interrupting_ends_it(site: Site) -> None:
    site.source.interrupt()
    site.fails(FailureKind.INTERRUPTED, "no longer followed")


# Time


def phase(site: Site, now: Instant) -> str:
    """Whether the term holds by what is served."""
    (first, *_) = site.served().grants
    return "running" if first.starts_at <= now < first.ends_at else "over"


def test_a_clock_turned_back_does_not_stretch_a_license(site: Site) -> None:
    """Worked case 26, by a license."""
    site.drop(ACME)
    site.step()
    assert phase(site, site.clock.now()) == "running"
    site.hands.micros = ENDS
    site.step()
    assert phase(site, site.clock.now()) == "over"
    site.hands.micros = ENDS - 2 * DAY
    site.step()
    assert phase(site, site.clock.now()) == "over"
    site.restart()
    site.step()
    assert (phase(site, site.clock.now()), site.clock.now()) == ("over", ENDS)
    site.drop(ACME)  # the same license again settles nothing
    site.step()
    assert phase(site, site.clock.now()) == "over"


def test_a_license_issued_later_settles_the_clock_once(site: Site) -> None:
    site.drop(ACME)
    site.step()
    site.hands.micros = START + 1000 * DAY  # a bad clock, for a minute
    assert site.clock.now() == START + 1000 * DAY
    site.hands.micros = START
    renewed = license_of(ACME, serial=2, issued_at=START - SECOND)
    site.drop(renewed)
    with capture_logs() as logs:
        site.step()
    assert site.clock.now() == START
    (line,) = [line for line in logs if line["event"] == "the clock was settled"]
    assert line["by"] == "a license issued later"
    site.hands.micros = START + 1000 * DAY
    assert site.clock.now() == START + 1000 * DAY
    site.hands.micros = START
    site.restart()
    site.step()
    site.drop(ACME)  # an older one is refused, and settles nothing
    site.fails(FailureKind.LICENSE, "LICENSE_OLDER")
    site.drop(renewed)
    site.step()
    assert site.clock.now() == START + 1000 * DAY


def test_now_is_never_before_the_license_was_issued(site: Site) -> None:
    site.hands.micros = ISSUED - 30 * DAY
    site.restart()
    site.drop(ACME)
    site.step()
    assert site.clock.now() == ISSUED
    site.restart()
    assert site.clock.now() == ISSUED


def test_a_clock_that_cannot_be_kept_fails_the_step_and_is_settled_later(site: Site) -> None:
    site.drop(ACME)
    (site.state / "clock").mkdir()
    site.fails(FailureKind.LOCAL_COPY, "clock", contact=True)
    (site.state / "clock").rmdir()
    site.step()
    assert site.clock.rule.floor == ISSUED or site.clock.now() > ISSUED
    assert ClockFile(site.state / "clock").read().licensed == ISSUED  # type: ignore[union-attr]


def test_a_license_that_cannot_be_kept_fails_the_step(site: Site) -> None:
    site.drop(ACME)
    (site.state / KEPT).mkdir()
    site.fails(FailureKind.LOCAL_COPY, KEPT, contact=True)
    (site.state / KEPT).rmdir()
    site.step()
    assert (site.state / KEPT).read_text() == site.path.read_text()
