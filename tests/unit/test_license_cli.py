"""`deskgate license`: keys are made, licenses issued with a serial on record, looked at, verified and installed."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import select
from typer.testing import CliRunner

from sidecar.cli import license as commands
from sidecar.core.model import Instant
from sync.license import LAST_SERIAL, verify
from sync.licensekeys import load_private, load_public
from sync.store import audit, schema
from sync.store.audit import Sought, entries
from sync.store.licenses import Asked, issue, preview
from sync.store.tenants import archive_tenant
from tests.licensing import DAY, ISSUED, key, license_of, record, token, trusted, write_keys
from tests.storing import TESTER, Shop, at, filling, months, on_every_database, per_unit, refused

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command where the test's files are."""
    monkeypatch.chdir(tmp_path)

    def invoke(*line: object, text: str | None = None) -> Result:
        words = [word for part in line for word in (part.split() if isinstance(part, str) else [str(part)])]
        return CliRunner().invoke(commands.app, words, input=text)

    return invoke


@filling
def filled(shop: Shop) -> None:
    """Acme has desks and a child that shares them, and one that has its own; globex has nothing."""
    shop.product(per_unit("desk", "fixed_desk"))
    for tenant, parent in (("acme", None), ("labs", "acme"), ("shop", "acme"), ("old", "acme"), ("globex", None)):
        shop.tenant(tenant, parent_id=parent, zone="Europe/Zurich")
    shop.new("acme", {"desk": 10}, "2026-01-01", months(12))
    shop.new("shop", {"desk": 3}, "2026-01-01", months(12))
    shop.use("acme", fixed_desk=7)
    shop.seat("labs", "layout_designer", "ada")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "store.db", filled)


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def keyed(run: Run) -> None:
    assert run("keygen --key-id k1 --out private.jwk --public public.jwks").exit_code == 0


# Issuing, as the store does it


def issued(shop: Shop, when: Instant = ISSUED, **asked: Any) -> Any:
    return issue(shop.store, Asked(**{"tenant_id": "acme"} | asked), key(), operator="local:ada", clock=lambda: when)


@on_every_database
def test_a_license_says_what_the_store_does_and_nothing_of_usage(shop: Shop) -> None:
    made, text = issued(shop, children=True, note="for the site in Bern")
    assert verify(text, trusted()) == made
    assert (made.license_id, made.serial, made.issued_at, made.note) == ("acme", 1, ISSUED, "for the site in Bern")
    assert made.issuer == f"deskgate-store:{shop.store.status().store_id}"
    found = {r.tenant_id: r for r in made.records}
    assert sorted(found) == ["acme", "labs", "old", "shop"]
    assert (found["labs"].holder_id, found["shop"].holder_id) == ("acme", "")
    assert found["acme"].grants == shop.record("acme").grants
    assert not any(r.usage for r in made.records)
    assert shop.record("acme").usage  # the store has it


@on_every_database
def test_whose_services_are_shared_comes_along(shop: Shop) -> None:
    made, _ = issued(shop, tenant_id="labs", license_id="lab-site")
    assert [r.tenant_id for r in made.records] == ["acme", "labs"]
    assert (made.tenant_id, made.license_id) == ("labs", "lab-site")


@on_every_database
def test_each_serial_is_given_out_once_and_is_on_record(shop: Shop) -> None:
    revision = shop.revision()
    assert [issued(shop, ISSUED + n)[0].serial for n in range(3)] == [1, 2, 3]
    assert issued(shop, license_id="other")[0].serial == 1
    assert preview(shop.store, Asked(tenant_id="acme"), "k1", now=ISSUED + DAY).serial == 4
    assert issued(shop, ISSUED + DAY)[0].serial == 4
    assert shop.revision() == revision  # no record changes by it
    with shop.store.reading() as conn:
        rows = conn.execute(select(schema.issued_license).order_by("license_id", "serial")).all()
        trail = entries(conn, Sought(action="license.issue"))
        assert not audit.verify(conn).fault
    assert [(r.license_id, r.serial) for r in rows] == [("acme", n) for n in (1, 2, 3, 4)] + [("other", 1)]
    assert {(r.operator, r.key_id, r.tenants) for r in rows} == {("local:ada", "k1", '["acme"]')}
    assert [(e.subject, e.tenant_id) for e in trail[:1]] == [("license:acme", "acme")]
    assert trail[0].details is not None
    assert trail[0].details["after"]["serial"] == 1


@on_every_database
def test_what_cannot_be_licensed_is_refused_and_uses_no_serial_up(shop: Shop) -> None:
    with refused("UNKNOWN_TENANT"):
        issued(shop, tenant_id="nobody")
    issued(shop, ISSUED)
    with refused("CLOCK_WENT_BACK"):
        issued(shop, ISSUED - 1)
    with refused("LICENSE_OF_ANOTHER"):
        issued(shop, tenant_id="globex", license_id="acme")
    assert issued(shop, ISSUED)[0].serial == 2
    with shop.store.writing(TESTER) as writing:
        writing.conn.execute(schema.issued_license.update().values(serial=LAST_SERIAL).where(_serial() == 2))
    with refused("NO_SERIAL_LEFT"):
        issued(shop, ISSUED)


def _serial() -> Any:
    return schema.issued_license.c.serial


def test_an_archived_tenants_license_says_so(shop: Shop) -> None:
    with shop.store.writing(TESTER) as writing:
        archive_tenant(writing, "labs", now=at("2026-02-01"))
    made, _ = issued(shop, children=True)
    assert {r.tenant_id for r in made.records if r.archived} == {"labs"}


# The commands


def test_keys_are_made_and_the_set_of_public_ones_grows(run: Run, tmp_path: Path) -> None:
    keyed(run)
    again = run("keygen --key-id k2 --out second.jwk --public public.jwks --json")
    assert told(again) == {"key_id": "k2", "private": "second.jwk", "public": "public.jwks"}
    assert sorted(load_public(tmp_path / "public.jwks")) == ["k1", "k2"]
    assert load_private(tmp_path / "second.jwk").key_id == "k2"
    assert stat.S_IMODE((tmp_path / "private.jwk").stat().st_mode) == 0o600
    for line, word in (
        ("keygen --key-id k3 --out second.jwk --public public.jwks", "never written over"),
        ("keygen --key-id k2 --out third.jwk --public public.jwks", "already"),
    ):
        result = run(line)
        assert (result.exit_code, word in result.stderr) == (1, True)
    assert not (tmp_path / "third.jwk").exists()
    assert sorted(load_public(tmp_path / "public.jwks")) == ["k1", "k2"]


def test_from_issue_to_install(run: Run, shop: Shop, tmp_path: Path) -> None:
    keyed(run)
    line = f"issue --store {shop.store.name} --tenant acme --with-children --key private.jwk --operator ada"
    dry = told(run(line, "--dry-run --json"))
    assert (dry["dry_run"], dry["serial"], "token" in dry) == (True, 1, False)
    assert "nothing was signed" in run(line, "--dry-run").stdout
    first = told(run(line, "--out one.jwt --json"))
    assert (first["serial"], first["path"], len(first["tenants"])) == (1, "one.jwt", 4)
    second = told(run(line, "--license-id acme --json"))
    assert (second["serial"], second["token"].count(".")) == (2, 2)
    assert run(line).stdout.count(".") == 2  # the text alone

    inspected = run("inspect one.jwt")
    assert inspected.stdout.startswith("NOT VERIFIED")
    assert "fixed_desk  10" in inspected.stdout
    assert told(run("inspect one.jwt --json"))["verified"] is False
    verified = told(run("verify one.jwt --keys public.jwks --json"))
    assert (verified["verified"], verified["license_id"], verified["key_id"]) == (True, "acme", "k1")
    assert run("verify one.jwt --keys public.jwks").stdout.startswith("verified: license acme, serial 1")

    broken = "\r\n".join(second["token"][n : n + 60] for n in range(0, len(second["token"]), 60))
    (tmp_path / "var").mkdir()
    installed = told(run("install - --keys public.jwks --to var/license.jwt --json", text=broken))
    assert (installed["serial"], installed["path"]) == (2, "var/license.jwt")
    assert (tmp_path / "var/license.jwt").read_text() == second["token"] + "\n"
    assert run("install", second["token"], "--keys public.jwks --to var/license.jwt").exit_code == 0  # again is fine
    older = run("install one.jwt --keys public.jwks --to var/license.jwt")
    assert (older.exit_code, "LICENSE_OLDER" in older.stderr) == (1, True)
    assert (tmp_path / "var/license.jwt").read_text() == second["token"] + "\n"


def test_what_is_wrong_is_told_with_its_code(run: Run, tmp_path: Path) -> None:
    write_keys(tmp_path / "keys")
    good = token(license_of(record("acme"), serial=3))
    (tmp_path / "here.jwt").write_text(good)
    for line, code in (
        (f"verify {good[:-1]}x --keys keys", "LICENSE_ALTERED"),
        ("verify here.jwt --keys nothing", "LICENSE_KEYS"),
        ("verify nothing.jwt --keys keys", "LICENSE_MISSING"),
        (f"verify {token(license_of(key_id='k2'))} --keys keys", "LICENSE_UNKNOWN_KEY"),
        (f"install {token(license_of(serial=2))} --keys keys --to here.jwt", "LICENSE_OLDER"),
        (f"install {token(license_of(serial=3))} --keys keys --to here.jwt", "LICENSE_SAME_SERIAL"),
        (f"install {token(license_of(license_id='b', serial=9))} --keys keys --to here.jwt", "LICENSE_OTHER_LICENSE"),
        ("inspect keys", "LICENSE_NOT_SIGNED"),
    ):
        result = run(line, "--json")
        assert (result.exit_code, json.loads(result.stderr)["error"]["code"]) == (1, code), line
    assert (tmp_path / "here.jwt").read_text() == good
    empty = run("verify - --keys keys", text=" \n")
    assert (empty.exit_code, "there is no text" in empty.stderr) == (2, True)


def test_what_nobody_can_use_is_replaced_and_that_is_told(run: Run, tmp_path: Path) -> None:
    write_keys(tmp_path / "keys")
    (tmp_path / "here.jwt").write_text("damaged")
    result = run(f"install {token()} --keys keys --to here.jwt")
    assert (result.exit_code, "what was there is replaced: LICENSE_NOT_SIGNED" in result.stderr) == (0, True)
    assert (tmp_path / "here.jwt").read_text() == token() + "\n"


def test_no_serial_is_used_up_where_nothing_can_be_written(run: Run, shop: Shop) -> None:
    keyed(run)
    line = f"issue --store {shop.store.name} --tenant acme --key private.jwk"
    assert run(line, "--out no/such/folder.jwt").exit_code == 2
    assert told(run(line, "--json"))["serial"] == 1


def test_a_tenant_that_is_not_there_is_refused(run: Run, shop: Shop) -> None:
    keyed(run)
    result = run(f"issue --store {shop.store.name} --tenant nobody --key private.jwk --json")
    assert (result.exit_code, json.loads(result.stderr)["error"]["code"]) == (1, "UNKNOWN_TENANT")
