"""A signed license, and the store beside it of what exists, as an upstream: see tests/upstreams.py."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sync.opening import SourceOptions, open_source
from sync.sources import FailureKind, Position, Source
from sync.store.audit import By
from sync.store.db import Store, open_store
from sync.store.revisions import mean_restored, prune
from sync.store.usage import Absolute, change_usage
from tests.feeding import Held
from tests.licensing import DAY, ISSUED, grant, license_of, record, token, write_keys
from tests.storing import TESTER
from tests.upstreams import TENANTS, Ability

FIXED: Final = "its tenants are those that it was signed for"


class LicenseUpstream:
    """A license of three tenants, each with what exists there; what changes is how much that is."""

    lacks: Final = {
        Ability.ADD: FIXED,
        Ability.TAKE: FIXED,
        Ability.BE_ANOTHER: "another license is refused as a license, which tests/unit/test_license_source.py shows",
        Ability.CHANGE_SCHEMA: "the store beside it is its sidecar's own, which migrates it by itself",
        Ability.TELL_TIME: "a file has the machine's own clock",
    }
    away: Final = FailureKind.LICENSE
    secret: Final = ""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / "signed.jwt"
        self._usage, self._count = folder / "usage.db", 0
        write_keys(folder / "keys.jwks")
        records = [record(i, grant(amount=1_000)) for i in TENANTS]
        self._path.write_text(token(license_of(*records, issued_at=ISSUED - DAY)))
        self.position()  # which makes the store

    @property
    def _store(self) -> Store:
        return open_store(self._usage)

    def source(self) -> Source:
        options = SourceOptions(interval=0.005, license_keys=self._folder / "keys.jwks", usage_store=self._usage)
        return open_source(f"license:///{self._path}", options)

    def _seen(self) -> Held:
        """By one who sees it for the first time."""
        source, sink = self.source(), Held()
        source.step(sink)
        source.close()
        return sink

    def change(self, *ids: str) -> None:
        self._count += 1
        with self._store.writing(TESTER) as writing:
            for tenant_id in ids:
                change_usage(writing, tenant_id, "fixed_desk", Absolute(units=self._count))

    def position(self) -> Position:
        held = self._seen().held
        assert held is not None
        return held

    def records(self) -> dict[str, bytes]:
        return self._seen().rows

    def go_away(self) -> None:
        self._path.rename(self._folder / "away")

    def come_back(self) -> None:
        (self._folder / "away").rename(self._path)

    def remember(self) -> object:
        self._count += 1
        kept = self._folder / f"kept-{self._count}.db"
        with closing(sqlite3.connect(self._usage)) as conn:
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copyfile(self._usage, kept)
        return kept

    def go_back(self, to: object) -> None:
        assert isinstance(to, Path)
        draft = self._folder / "draft"
        shutil.copyfile(to, draft)
        self._put(draft)

    def be_emptied(self) -> None:
        draft = self._folder / "draft"
        draft.write_bytes(b"")
        self._put(draft)

    def _put(self, file: Path) -> None:
        for sign in ("-wal", "-shm"):
            Path(f"{self._usage}{sign}").unlink(missing_ok=True)
        file.replace(self._usage)

    def mean_it(self) -> None:
        with self._store.writing(TESTER) as writing:
            mean_restored(writing)

    def forget(self) -> None:
        with self._store.writing(By(operator="tester", at=2**60)) as writing:
            prune(writing, 2**60)

    def lose_changes(self, *ids: str) -> None:
        with closing(sqlite3.connect(self._usage)) as conn, conn:
            conn.executemany("DELETE FROM change_log WHERE tenant_id = ?", [(i,) for i in ids])

    def take(self, *ids: str) -> None:
        raise NotImplementedError(self.lacks[Ability.TAKE])

    def be_another(self) -> object:
        raise NotImplementedError(self.lacks[Ability.BE_ANOTHER])

    def change_schema(self, by: int) -> Any:
        raise NotImplementedError(self.lacks[Ability.CHANGE_SCHEMA])

    def close(self) -> None:
        pass
