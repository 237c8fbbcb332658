"""Policies edited under a running sidecar: in force however the files change, a bad set never, and no call fails."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar._gen.desking.entitlements.v1 import authorization_pb2 as pb
from tests.serving import Place, RunningSidecar

POLL = {"policy_poll_seconds": 0.05}
BAD = """\
apiVersion: deskgate/v1
kind: Policy
metadata: {name: bad}
spec:
  rules:
    - {id: one, actions: [booking.create], effect: maybe}
    - {id: two, actions: [booking.create], efect: deny, reason: QUOTA_REACHED}
    - {id: three, actions: [booking.create], effect: deny, reason: NO_SUCH_REASON}
    - {id: four, actions: [booking.create], when: "tenant.edition + 1", effect: deny, reason: QUOTA_REACHED}
"""
PLACES = ("6:", "7:", "8:", "9:")


def saying(text: str, shipped: str) -> str:
    """The shipped policies, with other words for a trial."""
    assert "This is a trial." in shipped
    return shipped.replace("This is a trial.", text)


def said(sidecar: RunningSidecar) -> str:
    """The words for a trial that are in force."""
    (notice,) = [w for w in sidecar.check("globex", "booking.create", "shared_desk").warnings if w.code == "IN_TRIAL"]
    return notice.message


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("policies"))


@pytest.fixture(scope="module")
def shipped(place: Place) -> str:
    return place.policy.read_text()


@pytest.fixture(scope="module")
def sidecar(place: Place, shipped: str) -> Iterator[RunningSidecar]:
    with place.serve(**POLL) as sidecar:
        yield sidecar


def test_an_edit_in_place(place: Place, shipped: str, sidecar: RunningSidecar) -> None:
    before = sidecar.check("acme", "booking.create", "shared_desk").policy_revision
    place.policy.write_text(saying("Edited.", shipped))
    sidecar.wait(lambda: said(sidecar) == "Edited.")
    after = sidecar.check("acme", "booking.create", "shared_desk").policy_revision
    assert after != before
    assert sidecar.metric(f'policy_info{{revision="{after}"}}') == 1
    assert sidecar.status()["policies"]["revision"] == after


def test_an_atomic_rename(place: Place, shipped: str, sidecar: RunningSidecar) -> None:
    draft = place.folder / "draft.yaml"
    draft.write_text(saying("Renamed.", shipped))
    draft.replace(place.policy)
    sidecar.wait(lambda: said(sidecar) == "Renamed.")


def test_deleted_and_made_again(place: Place, shipped: str, sidecar: RunningSidecar) -> None:
    before = said(sidecar)
    place.policy.unlink()
    sidecar.wait(lambda: sidecar.metric("policy_last_reload_ok") == 0)
    assert said(sidecar) == before
    place.policy.write_text(saying("Made again.", shipped))
    sidecar.wait(lambda: said(sidecar) == "Made again.")
    assert sidecar.metric("policy_last_reload_ok") == 1


def test_a_bad_set_changes_nothing_and_is_told_of(place: Place, shipped: str, sidecar: RunningSidecar) -> None:
    bad = place.policies / "bad.yaml"
    before = said(sidecar)
    reloads = sidecar.metric('policy_reloads_total{result="bad"}')
    bad.write_text(BAD)
    sidecar.wait(lambda: sidecar.metric('policy_reloads_total{result="bad"}') == reloads + 1)
    place.policy.write_text(saying("Good, beside a bad one.", shipped))  # not in force either: not even in part
    sidecar.wait(lambda: sidecar.metric('policy_reloads_total{result="bad"}') == reloads + 2)
    assert said(sidecar) == before
    assert sidecar.metric("policy_last_reload_ok") == 0
    policies = sidecar.status()["policies"]
    assert (policies["last_reload_ok"], policies["from_last_good"]) == (False, False)
    event = sidecar.events("bad policies: those in force stay")[-1]
    for told in (policies["last_error"], "\n".join(event["errors"])):
        assert all(f"{bad}:{line}" in told for line in PLACES)
    assert event["in_force"] == policies["revision"]
    bad.unlink()
    sidecar.wait(lambda: said(sidecar) == "Good, beside a bad one.")
    assert sidecar.status()["policies"]["last_error"] == ""
    assert sidecar.metric("policy_last_reload_ok") == 1


def test_a_policy_added_denies_with_its_own_reason(place: Place, sidecar: RunningSidecar) -> None:
    assert sidecar.check("acme", "booking.create", "shared_desk").allowed
    added = place.policies / "closed.yaml"
    added.write_text(
        "apiVersion: deskgate/v1\nkind: Policy\nmetadata: {name: closed}\nspec:\n"
        '  reasons: {CLOSED: {class: POLICY, retry: AFTER_TIME, message: {en: "Closed.", zh-CN: "已关闭。"}}}\n'
        "  rules:\n    - {id: closed, actions: [booking.create], when: 'tenant.id == \"acme\"', effect: deny,"
        " reason: CLOSED}\n"
    )
    sidecar.wait(lambda: sidecar.check("acme", "booking.create", "shared_desk").reason == "CLOSED")
    answer = sidecar.check("acme", "booking.create", "shared_desk", locale="zh-CN")
    assert (answer.message, answer.policy, answer.rule) == ("已关闭。", "closed", "closed")
    assert sidecar.check("globex", "booking.create", "shared_desk").allowed
    added.unlink()
    sidecar.wait(lambda: sidecar.check("acme", "booking.create", "shared_desk").allowed)


class Callers:
    """Threads that check in a loop, each call once: the status of every call is kept."""

    def __init__(self, sidecar: RunningSidecar, threads: int) -> None:
        self.ended: list[str] = []
        self._sidecar = sidecar
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        question = pb.CheckRequest(
            tenant_id="globex", action="booking.create", resource=pb.Resource(kind="shared_desk")
        )
        while not self._stopping.is_set():
            code, answer = self._sidecar.call("Check", question)
            self.ended.append(code if code != "OK" or answer.effect == pb.EFFECT_ALLOW else answer.reason)


def test_reloads_under_load_fail_no_call(place: Place, shipped: str, sidecar: RunningSidecar) -> None:
    with Callers(sidecar, 3) as callers:
        for number in range(6):
            text = f"Under load, {number}."
            place.policy.write_text(BAD if number == 3 else saying(text, shipped))
            if number == 3:
                sidecar.wait(lambda: sidecar.metric("policy_last_reload_ok") == 0)
            else:
                sidecar.wait(lambda: said(sidecar) == text)  # noqa: B023
    assert len(callers.ended) > 100
    assert set(callers.ended) == {"OK"}


def test_the_symlink_swap_of_a_config_map(tmp_path: Path, shipped: str) -> None:
    place = Place(tmp_path)
    place.policy.unlink()

    def publish(version: str) -> None:
        folder = place.policies / f"..{version}"
        folder.mkdir()
        (folder / "desking.yaml").write_text(saying(version, shipped))
        (place.policies / "..data_tmp").symlink_to(folder.name)
        (place.policies / "..data_tmp").replace(place.policies / "..data")

    publish("v1")
    place.policy.symlink_to("..data/desking.yaml")
    with place.serve(**POLL) as sidecar:
        assert said(sidecar) == "v1"
        publish("v2")
        sidecar.wait(lambda: said(sidecar) == "v2")
        assert sidecar.metric('policy_reloads_total{result="bad"}') == 0


def test_a_start_with_a_bad_set(tmp_path: Path) -> None:
    place = Place(tmp_path)
    bad = place.policies / "bad.yaml"
    bad.write_text(BAD)
    also = place.policies / "also-bad.yaml"
    also.write_text("apiVersion: deskgate/v1\nkind: Policy\nmetadata: {name: also}\nspec: {rules: 7}\n")
    told = place.refused()
    assert all(f"{bad}:{line}" in told for line in PLACES)
    assert re.search(re.escape(f"{also}:4:"), told)
    assert "no last good policies are kept" in told
    bad.unlink()
    also.unlink()
    with place.serve() as good:
        words = said(good)
        assert good.stop() == 0
    bad.write_text(BAD)
    with place.serve(**POLL) as last_good:
        assert said(last_good) == words
        policies = last_good.status()["policies"]
        assert (policies["from_last_good"], policies["last_reload_ok"]) == (True, False)
        assert f"{bad}:6:" in policies["last_error"]
        assert last_good.metric("policy_last_reload_ok") == 0
        (event,) = last_good.events("bad policies: the last good ones serve")
        assert any(f"{bad}:6:" in e for e in event["errors"])
        bad.unlink()
        last_good.wait(lambda: last_good.metric("policy_last_reload_ok") == 1)
        assert last_good.status()["policies"]["from_last_good"] is False
