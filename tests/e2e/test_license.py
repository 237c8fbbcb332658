"""An installation without a central store: a license is issued elsewhere, installed and renewed in place; it is neither
altered, exchanged nor stretched, and what exists is kept on the spot (domain.md 3, private deployments).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.serving import ROOT, Place, RunningSidecar, deskgate, told_by

DAY = 86_400
AHEAD = 300 * DAY
"""Acme's term ends in 265 days, and its grace three months later."""


class Vendor:
    """Who has the central store of demo tenants, and the private key."""

    def __init__(self, place: Place) -> None:
        self.place, self.key, self.keys = place, place.folder / "private.jwk", place.folder / "keys.jwks"
        told_by("license", "keygen", "--key-id", "k1", "--out", self.key, "--public", self.keys)

    def license(self, name: str, command: Any = None) -> Path:
        """Issues acme's next license."""
        path = self.place.folder / name
        line = ("license", "issue", "--store", self.place.store_path, "--tenant", "acme", "--with-children")
        more = {} if command is None else {"command": command}
        done = deskgate(*line, "--key", self.key, "--out", path, **more)
        assert done.returncode == 0, done.stderr
        return path


class Site:
    """The installation: it has the license's file and the public keys, and never sees the store."""

    def __init__(self, place: Place, vendor: Vendor) -> None:
        self.place, self.vendor, self.path = place, vendor, place.folder / "license.jwt"

    def install(self, license_: Path) -> int:
        line = ("license", "install", license_, "--keys", self.vendor.keys, "--to", self.path)
        return deskgate(*line).returncode

    def drop(self, content: bytes) -> None:
        """Puts a file in the license's place, as a copy of one does."""
        draft = self.place.folder / "draft"
        draft.write_bytes(content)
        draft.replace(self.path)

    def serve(self, **more: Any) -> Any:
        return self.place.serve(store=f"license:///{self.path}", license_keys=self.vendor.keys, **more)


@pytest.fixture
def vendor(place: Place) -> Vendor:
    return Vendor(place)


@pytest.fixture
def site(place: Place, vendor: Vendor) -> Site:
    return Site(place, vendor)


def desk(sidecar: RunningSidecar, tenant: str = "acme", **more: Any) -> str:
    return sidecar.check(tenant, "booking.create", "shared_desk", **more).reason


def space(sidecar: RunningSidecar, **more: Any) -> str:
    return sidecar.check("acme", "space.create", "shared_desk", **more).reason


def failures(sidecar: RunningSidecar) -> float:
    return sidecar.metric('sync_failures_total{kind="license"}')


def test_a_license_is_installed_counted_against_renewed_and_never_exchanged(site: Site, vendor: Vendor) -> None:
    first = vendor.license("one.jwt")
    assert site.install(first) == 0
    with site.serve() as sidecar:
        assert desk(sidecar) == ""
        assert sidecar.check("globex", "booking.create", "shared_desk").reason == "UNKNOWN_TENANT"
        client = sidecar.client
        used = client.adjust_usage("acme", "shared_desk", absolute=58, idempotency_key="a")
        assert space(sidecar, min_revision=used.revision) == ""
        used = client.adjust_usage("acme-labs", "shared_desk", delta=4, idempotency_key="b")  # the pool's, of 60
        assert client.adjust_usage("acme-labs", "shared_desk", delta=4, idempotency_key="b") == used
        assert space(sidecar, min_revision=used.revision) == "QUOTA_REACHED"
        assert desk(sidecar, min_revision=used.revision) == "OVER_QUOTA"
        assert desk(sidecar, "acme-labs") == "OVER_QUOTA"

        upgrade = ("order", "upgrade", "acme", "shared-desk=80@12.50", "--currency", "EUR")
        told_by(*upgrade, "--store", site.place.store_path)
        second = vendor.license("two.jwt").read_bytes()
        site.drop(second)
        sidecar.wait(lambda: desk(sidecar) == "")  # what exists stays, and is within the quota now
        assert space(sidecar, quantity=18) == ""
        assert space(sidecar, quantity=19) == "QUOTA_REACHED"
        assert failures(sidecar) == 0

        for number, bad in enumerate((first.read_bytes(), second.replace(b".", b".AA", 1), b"")):
            before = failures(sidecar)
            site.drop(bad)
            sidecar.wait(lambda: failures(sidecar) > before)  # noqa: B023 - waited for within the loop
            assert space(sidecar, quantity=19) == "QUOTA_REACHED"
            more = client.adjust_usage("acme", "shared_desk", delta=1, idempotency_key=f"c{number}")
            assert space(sidecar, quantity=18 - number, min_revision=more.revision) == "QUOTA_REACHED"
        assert site.install(first) == 0  # nobody can use what is there: the file alone does not know better
        assert sidecar.stop() == 0
    site.path.unlink()
    with site.serve() as again:
        assert space(again, quantity=15) == ""
        assert space(again, quantity=16) == "QUOTA_REACHED"
        more = again.client.adjust_usage("acme", "shared_desk", delta=-5, idempotency_key="d")
        assert space(again, quantity=16, min_revision=more.revision) == ""
        assert failures(again) > 0
        contact = again.metric("sync_last_contact_timestamp_seconds")
        site.drop(second)
        again.wait(lambda: again.events("the store is followed again"))
        assert again.metric("sync_last_contact_timestamp_seconds") > contact  # it had not moved without a license


def test_a_clock_turned_back_does_not_stretch_a_license(
    site: Site, vendor: Vendor, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Worked case 26; and a license issued later settles a clock that had been ahead."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    shift = place.folder / "shift"
    command = (sys.executable, str(ROOT / "tests" / "e2e" / "shifted.py"), str(shift))

    def set_clock(ahead: int) -> None:
        draft = shift.with_suffix(".draft")
        draft.write_text(str(ahead))
        draft.replace(shift)

    set_clock(0)
    assert site.install(vendor.license("one.jwt")) == 0
    with site.serve(command=command) as sidecar:
        assert desk(sidecar) == ""
        set_clock(AHEAD)
        assert desk(sidecar) == "SUBSCRIPTION_EXPIRED"
        set_clock(AHEAD - 2 * DAY)
        assert desk(sidecar) == "SUBSCRIPTION_EXPIRED"
        set_clock(0)
        assert desk(sidecar) == "SUBSCRIPTION_EXPIRED"
        assert sidecar.stop() == 0
    with site.serve(command=command) as again:
        used = again.client.adjust_usage("acme", "shared_desk", delta=1, idempotency_key="a")
        assert desk(again, min_revision=used.revision) == "SUBSCRIPTION_EXPIRED"  # the same license settles nothing
        site.drop(vendor.license("two.jwt").read_bytes())
        again.wait(lambda: desk(again) == "")
        assert again.wait_for_event("the clock was settled")["by"] == "a license issued later"
