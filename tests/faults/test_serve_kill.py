"""kill -9 while syncing and answering: whatever was answered from stays, whole, and no revision ever goes back.

Every commit sets the usage of two tenants to one number, so a copy that holds half a commit shows it.
"""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

from sync.store.demo import EXAMPLES
from sync.store.usage import Absolute, change_usage
from tests.serving import TESTER, Place, RunningSidecar

KILLS = 3
PAIR = ("acme", "initech")


class Writer:
    """Commits as fast as it can until told to stop."""

    def __init__(self, place: Place, first: int) -> None:
        self.units = first
        self.revision = 0
        self._place = place
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        store = self._place.store
        while not self._stopping.is_set():
            self.units += 1
            with store.writing(TESTER) as writing:
                for tenant in PAIR:
                    change_usage(writing, tenant, "meeting_room", Absolute(units=self.units))
            self.revision = writing.revision


def used(sidecar: RunningSidecar) -> tuple[int, int, int]:
    """The revision that both answers rest on, and what each tenant of the pair uses."""
    while True:
        answers = [sidecar.check(tenant, "booking.create", "meeting_room") for tenant in PAIR]
        first, second = (a.quota.used for a in answers if a.quota is not None)
        if answers[0].entitlement_revision == answers[1].entitlement_revision:
            return answers[0].entitlement_revision, first, second


def test_a_killed_sidecar_restarts_from_a_whole_copy_and_never_goes_back(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.use("acme", meeting_room=0)
    written = seen = (place.use("initech", meeting_room=0), 0, 0)
    with place.serve() as first:
        assert used(first) == written
        first.kill()
    for kill in range(KILLS):
        place.hide_store()
        with place.serve() as sidecar:
            held = used(sidecar)
            assert held[0] >= seen[0]
            assert held[1] == held[2] >= seen[1]
            assert sidecar.metric("tenants_held") == len(EXAMPLES)
            assert not sidecar.events("the local copy was set aside, and is rebuilt from the store")
            place.return_store()
            sidecar.wait(partial(lambda sidecar, written: used(sidecar) == written, sidecar, written))
            with Writer(place, written[1]) as writer:
                seen = watched(sidecar, until=written[0] + 20 + 7 * kill)  # another moment of the work each time
                sidecar.kill()
        written = (writer.revision, writer.units, writer.units)


def watched(sidecar: RunningSidecar, *, until: int) -> tuple[int, int, int]:
    """Asks until a revision is reached; gives what was last answered."""
    seen = used(sidecar)
    while seen[0] < until:
        later = used(sidecar)
        assert later[0] >= seen[0]
        assert later[1] == later[2]
        seen = later
    return seen
