"""What documents and deployment files name is there: metrics, settings, alerts, ports."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.main import get_command, get_group

from sidecar.cli import feed as feed_command
from sidecar.cli.feed import DRAIN_SECONDS
from sidecar.cli.health import health
from sidecar.observe.metrics import CATALOGUE, COUNTERS, GAUGES, LATENCY, PREFIX
from sidecar.settings import KEYS, load
from sync.feed.hub import Hub
from sync.feed.metrics import FeedMetrics

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "deploy" / "prometheus-alerts.yaml"
OPERATIONS = ROOT / "docs" / "operations.md"
KUBERNETES = ROOT / "deploy" / "kubernetes" / "desking.yaml"
FEED_SERVERS = ROOT / "deploy" / "kubernetes" / "feed.yaml"
SUFFIXES = ("_bucket", "_sum", "_count")


def of_the_feed() -> dict[str, set[str]]:
    """A feed server's metrics, and their labels."""
    metrics = FeedMetrics(Hub(), lambda: 0)
    metrics.calls.labels("Get", "OK")
    samples = [sample for metric in metrics.registry.collect() for sample in metric.samples]
    named = [sample for sample in samples if sample.name.startswith(PREFIX) and not sample.name.endswith("_created")]
    return {sample.name: set(sample.labels) for sample in named}


FEED = of_the_feed()
LABELS = {PREFIX + d.name: set(d.labels) for d in (*COUNTERS, LATENCY, *GAUGES)} | FEED


def named(text: str) -> set[str]:
    """Every metric that a text names, a histogram's parts by the histogram's name."""
    names = set(re.findall(r"\bdeskgate_[a-z_]+", text))
    return {next((n.removesuffix(s) for s in SUFFIXES if n.removesuffix(s) in CATALOGUE), n) for n in names}


def alerts() -> list[dict[str, Any]]:
    document = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_the_operations_page_tells_of_every_metric_and_of_no_other() -> None:
    assert named(OPERATIONS.read_text(encoding="utf-8")) == set(CATALOGUE) | FEED.keys()


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_and_labels_that_are_there(rule: dict[str, Any]) -> None:
    expression = rule["expr"]
    assert named(expression) <= LABELS.keys()
    for name, matchers in re.findall(r"\b(deskgate_[a-z_]+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= LABELS[name]
    assert rule["annotations"]["summary"]
    assert rule["labels"]["severity"] in ("warning", "critical")


def test_every_alert_has_its_advice_and_every_advice_its_alert() -> None:
    advised = set(re.findall(r"\*\*(Deskgate\w+)\*\*", OPERATIONS.read_text(encoding="utf-8")))
    assert advised == {rule["alert"] for rule in alerts()}


def test_freshness_states_in_alerts_are_those_there_are() -> None:
    states = set(re.findall(r'deskgate_freshness\{state="(\w+)"\}', ALERTS.read_text(encoding="utf-8")))
    assert states == {"STALE", "BLIND"}


def test_variables_of_the_image_are_settings() -> None:
    given = dict(re.findall(r"(DESKGATE_\w+)=(\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8")))
    assert given
    assert load(flags={}, environ=given).settings.http_address is not None


def test_the_pod_asks_for_pages_and_settings_that_are_there() -> None:
    document = yaml.safe_load(KUBERNETES.read_text(encoding="utf-8"))
    pod = document["spec"]["template"]["spec"]
    (sidecar,) = (c for c in pod["containers"] if c["name"] == "deskgate")
    given = {variable["name"]: variable["value"] for variable in sidecar["env"]}
    settings = load(flags={}, environ=given).settings
    assert pod["terminationGracePeriodSeconds"] > settings.drain_seconds
    assert {sidecar[f"{p}Probe"]["httpGet"]["path"] for p in ("startup", "readiness", "liveness")} == {
        "/livez",
        "/readyz",
    }
    mounted = {mount["name"] for mount in sidecar["volumeMounts"]}
    volumes = {v["name"] for v in pod["volumes"]} | {
        c["metadata"]["name"] for c in document["spec"]["volumeClaimTemplates"]
    }
    assert mounted <= volumes


def test_feed_servers_are_started_and_probed_by_options_that_are_there() -> None:
    deployment, service = yaml.safe_load_all(FEED_SERVERS.read_text(encoding="utf-8"))
    pod = deployment["spec"]["template"]["spec"]
    (feed,) = pod["containers"]
    asked = [feed[f"{probe}Probe"]["exec"]["command"] for probe in ("startup", "readiness")]
    assert asked[0] == asked[1]
    alone = typer.Typer()
    alone.command()(health)
    for command, words in (
        (get_group(feed_command.app).commands["serve"], feed["args"][2:]),
        (get_command(alone), asked[0][2:]),
    ):
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word.partition("=")[0] for word in words} <= known
    assert deployment["spec"]["replicas"] >= 2
    assert pod["terminationGracePeriodSeconds"] > DRAIN_SECONDS
    assert {mount["name"] for mount in feed["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    ports = {port["name"] for port in feed["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} | {
        feed["livenessProbe"]["httpGet"]["port"]
    } == ports
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]


def test_settings_that_documents_name_are_there() -> None:
    for page in (OPERATIONS, ROOT / "README.md"):
        text = page.read_text(encoding="utf-8")
        variables = set(re.findall(r"\bDESKGATE_([A-Z_]+)\b", text)) - {"CONFIG", "TARGET", "PORT", "SOAK"}
        assert {name.lower() for name in variables} <= set(KEYS), page
