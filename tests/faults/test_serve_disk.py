"""A disk that takes nothing more: an update that cannot be kept is not served, and comes as soon as there is room.

The limit on the size of files stands in for the disk; it is set on the running process and lifted again.
"""

from __future__ import annotations

import resource
from pathlib import Path

from sync.store.bulk import seed_many
from tests.serving import Place, RunningSidecar

ROOM = 64 * 1024
MANY = 400


def limit_files(sidecar: RunningSidecar, size: int) -> None:
    _, most = resource.prlimit(sidecar.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(sidecar.process.pid, resource.RLIMIT_FSIZE, (size, most))


def test_an_update_that_finds_no_room_is_not_served_until_there_is(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.serve() as sidecar:
        limit_files(sidecar, ROOM)
        seed_many(place.store, MANY, 1_790_000_000_000_000)
        revision = place.store.status().revision
        sidecar.wait(lambda: sidecar.metric('sync_failures_total{kind="local_copy"}') >= 2)
        assert str(place.copy) in sidecar.status()["store"]["last_error"]
        assert sum(n for name, n in sidecar.metrics().items() if name.startswith("local_copy_failures_total")) >= 2
        answer = sidecar.check("acme", "booking.create", "shared_desk")
        assert (answer.allowed, answer.entitlement_revision) == (True, 1)
        assert sidecar.check("t1", "tenant.read").reason == "UNKNOWN_TENANT"
        limit_files(sidecar, resource.RLIM_INFINITY)
        sidecar.wait(lambda: sidecar.metric("sync_revision") == revision)
        assert sidecar.metric("tenants_held") == 16 + MANY
        sidecar.wait(lambda: not sidecar.status()["store"]["last_error"])
        assert sidecar.stop() == 0
    place.hide_store()
    with place.serve() as again:
        assert again.metric("sync_revision") == revision
        assert again.metric("tenants_held") == 16 + MANY
