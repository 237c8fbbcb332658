"""Settings: later layers win key by key, and every mistake of every layer is reported at once, with its origin."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.address import Address
from sidecar.settings import FLAGS, KEYS, Loaded, Settings, SettingsError, flag_of, load


def given(text: str | None = None, *, path: Path | None = None, suffix: str = ".yaml", **variables: str) -> Loaded:
    file = None
    if text is not None:
        assert path is not None
        file = path / f"deskgate{suffix}"
        file.write_text(text, encoding="utf-8")
    return load(flags={}, environ=variables, config=file)


def told(**variables: str) -> Settings:
    """What variables without their prefix make."""
    return load(flags={}, environ={f"DESKGATE_{name}": value for name, value in variables.items()}).settings


def refused(*args: str, path: Path | None = None, suffix: str = ".yaml", **variables: str) -> str:
    with pytest.raises(SettingsError) as caught:
        given(*args, path=path, suffix=suffix, **variables)
    return str(caught.value)


def test_defaults_are_whole_and_come_from_nowhere_else() -> None:
    loaded = given()
    assert loaded.settings == Settings()
    assert set(loaded.origins) == set(KEYS)
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.settings.grpc_address == Address("127.0.0.1", 9290)
    assert loaded.settings.socket_mode == 0o660


def test_flags_win_over_variables_and_those_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "deskgate.yaml"
    file.write_text("threads: 3\nmax_waiting: 3\nmax_in_flight: 3\n")
    loaded = load(
        flags={"threads": "5", "log_level": None},
        environ={"DESKGATE_CONFIG": str(file), "DESKGATE_THREADS": "4", "DESKGATE_MAX_WAITING": "4", "PATH": "/bin"},
    )
    settings = loaded.settings
    assert (settings.threads, settings.max_waiting, settings.max_in_flight) == (5, 4, 3)
    assert loaded.origins["threads"] == "--threads"
    assert loaded.origins["max_waiting"] == "DESKGATE_MAX_WAITING"
    assert loaded.origins["max_in_flight"] == f"{file}:max_in_flight"
    assert loaded.origins["log_level"] == "default"


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".yaml", "store: a.db\npolicies: [p, q]\ngrpc_socket: run/d.sock\nhttp_address: null\n"),
        (".toml", 'store = "a.db"\npolicies = ["p", "q"]\ngrpc_socket = "run/d.sock"\nhttp_address = ""\n'),
    ],
)
def test_both_kinds_of_file_say_the_same(tmp_path: Path, suffix: str, text: str) -> None:
    settings = given(text, path=tmp_path, suffix=suffix).settings
    assert settings.store == "sqlite:///a.db"
    assert settings.written_store == "a.db"
    assert settings.policies == (Path("p"), Path("q"))
    assert settings.grpc_socket == Path("run/d.sock")
    assert settings.http_address is None


def test_an_empty_file_is_no_mistake(tmp_path: Path) -> None:
    assert given("", path=tmp_path).settings == Settings()


def test_five_mistakes_in_a_file_are_reported_together_each_by_its_key(tmp_path: Path) -> None:
    said = refused(
        "thread: 4\nmax_in_flight: many\ngrpc_address: 0.0.0.0:9290\nlog_format: xml\ngrpc_socket_mode: 660\n",
        path=tmp_path,
        DESKGATE_DRAIN_SECONDS="-1",
    ).splitlines()
    file = tmp_path / "deskgate.yaml"
    assert len(said) == 6
    for key in ("thread", "max_in_flight", "grpc_address", "log_format", "grpc_socket_mode"):
        assert any(line.startswith(f"{file}:{key}: ") for line in said), key
    assert any(line.startswith("DESKGATE_DRAIN_SECONDS: ") for line in said)
    assert any("did you mean threads?" in line for line in said)


def test_a_mistake_that_a_later_layer_hides_is_reported_all_the_same(tmp_path: Path) -> None:
    assert ":threads: " in refused("threads: x", path=tmp_path, DESKGATE_THREADS="4")


def test_an_unknown_variable_is_a_mistake_with_a_hint() -> None:
    assert "did you mean DESKGATE_STATE_DIR?" in refused(DESKGATE_STATEDIR="x")
    assert "config schema" in refused(DESKGATE_ZZZZZZZZ="x")


def test_an_unknown_flag_is_a_mistake_too() -> None:
    with pytest.raises(SettingsError, match="--thread: unknown setting"):
        load(flags={"thread": "1"}, environ={})


def test_what_kubernetes_adds_for_a_service_called_deskgate_is_none_of_ours() -> None:
    links = {
        "DESKGATE_SERVICE_HOST": "10.0.0.1",
        "DESKGATE_SERVICE_PORT_HTTP": "9291",
        "DESKGATE_PORT": "tcp://10.0.0.1:9291",
        "DESKGATE_PORT_9291_TCP_ADDR": "10.0.0.1",
        "DESKGATE_METRICS_SERVICE_HOST": "10.0.0.2",
        "DESKGATE_TARGET": "127.0.0.1:9290",
    }
    assert load(flags={}, environ=links).settings == Settings()


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.8.9.1:65535", "localhost:9290", "[::1]:9290"])
def test_loopback_addresses_are_taken(address: str) -> None:
    assert str(given(DESKGATE_GRPC_ADDRESS=address).settings.grpc_address) == address


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("0.0.0.0:9290", "no TLS yet"),
        ("[::]:9290", "no TLS yet"),
        ("sidecar.local:9290", "no TLS yet"),
        ("9290", "host:port"),
        ("127.0.0.1:65536", "host:port"),
        ("127.0.0.1:٩", "host:port"),
        ("[1::2::3]:1", "1::2::3"),
        ("a b:1", "neither a host name"),
    ],
)
def test_other_grpc_addresses_are_refused_with_the_way_out(address: str, why: str) -> None:
    assert why in refused(DESKGATE_GRPC_ADDRESS=address)


def test_http_may_be_reachable_from_outside() -> None:
    assert given(DESKGATE_HTTP_ADDRESS="0.0.0.0:9291").settings.http_address == Address("0.0.0.0", 9291)


def test_without_tcp_a_socket_is_needed() -> None:
    assert "nobody could ask" in refused(DESKGATE_GRPC_ADDRESS="")
    settings = given(DESKGATE_GRPC_ADDRESS="", DESKGATE_GRPC_SOCKET="d.sock").settings
    assert settings.grpc_address is None


# Where entitlements come from

PASSWORD = "s3cret%40pw"  # as a URL says s3cret@pw
DATABASE = f"postgresql://ann:{PASSWORD}@db.example:5433/desk?sslmode=verify-full&sslrootcert=/ca.pem"


@pytest.mark.parametrize(
    ("store", "kind", "written"),
    [
        ("x.db", "sqlite", "x.db"),
        ("/v/x.db", "sqlite", "/v/x.db"),
        ("sqlite:///x.db", "sqlite", "x.db"),
        ("sqlite:////v/x", "sqlite", "/v/x"),
        (DATABASE, "postgresql", DATABASE),
        ("postgres://db/x", "postgresql", "postgresql://db/x"),
        ("postgresql+psycopg://db/x", "postgresql", "postgresql://db/x"),
        ("postgresql://%2Frun%2Fpg/x", "postgresql", "postgresql://%2Frun%2Fpg/x"),
        ("postgresql://[::1]:5432,db2/x", "postgresql", "postgresql://[::1]:5432,db2/x"),
        ("deskgate://feed:9292", "deskgate", None),
        ("deskgate://feed-0:9292,feed-1:9292", "deskgate", None),
    ],
)
def test_a_store_is_a_url_or_a_path(store: str, kind: str, written: str | None) -> None:
    settings = given(DESKGATE_STORE=store).settings
    assert (settings.store_kind, settings.written_store) == (kind, written)


def test_under_a_license_usage_is_written_in_the_state_directory() -> None:
    settings = told(STORE="license:////etc/l.jwt", LICENSE_KEYS="/etc/keys.json", STATE_DIR="/var/s")
    assert (settings.store_kind, settings.written_store) == ("license", "/var/s/usage.db")
    assert settings.source_options.license_keys == Path("/etc/keys.json")
    assert settings.source_options.usage_store == Path("/var/s/usage.db")


def test_what_lets_us_in_at_a_feed(tmp_path: Path) -> None:
    text = (
        "store: deskgate://feed:9292\nstore_token_file: t\nstore_ca: ca\nstore_cert: c\nstore_key: k\n"
        "only_tenants: [acme, hooli]\nfeed_keepalive_seconds: 7\n"
    )
    options = given(text, path=tmp_path).settings.source_options
    assert (options.token_file, options.ca, options.cert, options.key) == (Path("t"), Path("ca"), Path("c"), Path("k"))
    assert (options.only, options.keepalive) == (("acme", "hooli"), 7.0)
    assert given(DESKGATE_STORE="deskgate://f:1", DESKGATE_ONLY_TENANTS="a, b").settings.only_tenants == ("a", "b")
    assert given(DESKGATE_STORE_CA="", DESKGATE_ONLY_TENANTS="").settings == Settings()


FEED = {"STORE": "deskgate://feed:9292"}


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"STORE_TOKEN": "t"}, "store_token is for feed servers, and store is sqlite://"),
        ({"STORE_TOKEN_FILE": "t"}, "store_token_file is for feed servers"),
        ({"ONLY_TENANTS": "a"}, "only_tenants is for feed servers"),
        ({"STORE": "postgresql://db/x", "STORE_CA": "ca"}, "goes into its URL"),
        ({"STORE": "postgresql://db/x", "ONLY_TENANTS": "a"}, "followed as a whole"),
        (FEED | {"STORE_TOKEN": "t", "STORE_TOKEN_FILE": "t"}, "both given"),
        (FEED | {"STORE_CERT": "c"}, "store_cert and store_key go together"),
        (FEED | {"STORE_KEY": "k"}, "store_cert and store_key go together"),
        (FEED | {"LICENSE_KEYS": "k"}, "license_keys is for a license"),
        ({"STORE": "license:///l"}, "trusted by the keys that license_keys names"),
        ({"STORE": "license:///l", "LICENSE_KEYS": "k", "STORE_TOKEN": "t"}, "store_token is for feed servers"),
    ],
)
def test_what_does_not_go_with_the_store_is_refused(variables: dict[str, str], why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        told(**variables)
    assert why in str(caught.value)


def test_neither_passwords_nor_tokens_are_ever_shown() -> None:
    database, feed = told(STORE=DATABASE), told(**FEED, STORE_TOKEN="t0ken")
    for shown in (repr(database), str(database), database.model_dump_json(), database.store_name):
        assert "s3cret" not in shown
    for shown in (repr(feed), str(feed), feed.model_dump_json(), repr(feed.source_options)):
        assert "t0ken" not in shown
    assert database.store_name == database.model_dump(mode="json")["store"] == "postgresql://ann@db.example:5433/desk"
    assert feed.source_options.token == "t0ken"


def test_the_digest_does_not_tell_a_password_or_a_token_either() -> None:
    assert told(STORE=DATABASE).digest == told(STORE=DATABASE.replace(PASSWORD, "other")).digest
    assert told(**FEED, STORE_TOKEN="a").digest == told(**FEED, STORE_TOKEN="b").digest
    assert told(**FEED, STORE_TOKEN="a").digest != told(**FEED).digest


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:s3cret@pw@db/x",
        "postgresql://ann:s3cret/pw@db/x",
        "postgresql://ann:s3cret#pw@db/x",
        "postgresql://ann:s3:cret@db/x",
        "postgresql://ann:s3cret@db:port/x",
        "deskgate://s3cret@feed:1",
    ],
)
def test_a_url_that_cannot_be_read_is_told_without_what_it_may_hide(url: str) -> None:
    said = refused(DESKGATE_STORE=url)
    assert "cret" not in said
    assert "write postgresql://" in said or "store_token_file" in said


def test_a_token_is_no_flag_which_others_could_see() -> None:
    assert "store_token" not in FLAGS
    assert "store_token_file" in FLAGS


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("STORE", "mysql://db/x", "not a store that this version knows"),
        ("STORE", "deskgate://feed", "host:port"),
        ("STORE", "deskgate://", "host:port"),
        ("STORE", "license://x", "license:///relative"),
        ("STORE", "license:///", "missing"),
        ("FEED_KEEPALIVE_SECONDS", "0", "greater than or equal to 1"),
        ("STORE", "sqlite://x.db", "sqlite:///relative"),
        ("STORE", "sqlite:///", "missing"),
        ("STATE_DIR", "a\0b", "NUL"),
        ("GRPC_SOCKET", "x" * 108, "107 bytes"),
        ("GRPC_SOCKET_MODE", "0888", "octal"),
        ("GRPC_SOCKET_MODE", "7777", "octal"),
        ("POLICIES", ",", "at least 1"),
        ("THREADS", "1", "greater than or equal to 2"),
        ("LOG_LEVEL", "loud", "'debug'"),
    ],
)
def test_bad_values_say_what_is_wrong(key: str, value: str, why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(flags={}, environ={f"DESKGATE_{key}": value})
    assert why in str(caught.value)


def test_a_truth_value_is_no_number(tmp_path: Path) -> None:
    assert "a number is needed" in refused("threads: true", path=tmp_path)


@pytest.mark.parametrize(
    ("suffix", "text", "why"),
    [
        (".yaml", "threads: 1\nthreads: 2\n", "given twice"),
        (".yaml", "policies: &a [p]\nstore: *a\n", "aliases are not taken"),
        (".yaml", "- threads\n", "a mapping of settings is needed"),
        (".yaml", "threads: [\n", "not YAML"),
        (".yaml", "[" * 5000, "nested too deeply"),
        (".yaml", "? [a]\n: b\n", "not YAML"),
        (".yaml", "#" * 70_000, "larger than 65536 bytes"),
        (".toml", "threads = \n", "Invalid value"),
        (".ini", "threads: 1\n", "neither YAML nor TOML"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, suffix: str, text: str, why: str) -> None:
    assert why in refused(text, path=tmp_path, suffix=suffix)


def test_a_missing_file_and_bytes_that_are_no_text_say_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(flags={}, environ={}, config=tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"store: \xff\n")
    with pytest.raises(SettingsError, match="not UTF-8 at byte 7"):
        load(flags={}, environ={}, config=tmp_path / "bytes.yaml")


def test_the_digest_tells_values_apart_and_not_where_they_came_from(tmp_path: Path) -> None:
    assert given("threads: 16", path=tmp_path).settings.digest == Settings().digest
    assert given(DESKGATE_THREADS="15").settings.digest != Settings().digest
    assert len(Settings().digest) == 12


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().threads = 3


def test_every_setting_is_described_and_has_a_flag() -> None:
    properties = Settings.model_json_schema()["properties"]
    assert all(properties[key]["description"] for key in KEYS)
    assert flag_of("state_dir") == "--state-dir"
