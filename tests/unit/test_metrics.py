"""Metrics: no count is lost whatever threads do, label sets stay bounded, and what is shown is valid exposition."""

from __future__ import annotations

import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.observe.metrics import BOUNDS, CATALOGUE, COUNTERS, GAUGES, PREFIX, Metrics
from sidecar.observe.slots import Family


def shown(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its name and labels, as Prometheus' own parser reads them."""
    text, _ = metrics.exposition()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return shown(metrics).get((PREFIX + name, frozenset(labels.items())))


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(version="1.2.3")


def test_decisions_calls_and_memo_are_counted(metrics: Metrics) -> None:
    recorder = metrics.recorder()
    slot = metrics.decision_slot("booking.create", "deny", "OVER_QUOTA")
    for remembered in (False, True, False):
        recorder.decision(slot, remembered)
    recorder.call("Check", "OK")
    assert value(metrics, "decisions_total", action="booking.create", effect="deny", reason="OVER_QUOTA") == 3
    assert value(metrics, "calls_total", method="Check", status="OK") == 1
    assert value(metrics, "memo_hits_total") == 1
    assert value(metrics, "memo_misses_total") == 2


def test_the_same_labels_have_the_same_slot(metrics: Metrics) -> None:
    first = metrics.decision_slot("a", "allow", "")
    assert metrics.decision_slot("b", "allow", "") != first
    assert metrics.decision_slot("a", "allow", "") == first


def test_no_count_is_lost_between_threads_also_of_those_that_ended(metrics: Metrics) -> None:
    slot = metrics.decision_slot("a", "allow", "")
    begin = threading.Barrier(8)

    def count() -> None:
        recorder = metrics.recorder()
        begin.wait()
        for _ in range(20_000):
            recorder.decision(slot, True)
            recorder.latency(0.001)

    for _ in range(2):
        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            metrics.exposition()
        for thread in threads:
            thread.join()
    assert value(metrics, "decisions_total", action="a", effect="allow", reason="") == 320_000
    assert value(metrics, "check_seconds_count") == 320_000
    assert value(metrics, "decisions_total", action="a", effect="allow", reason="") == 320_000


def test_a_thread_has_one_recorder_and_no_two_share_theirs(metrics: Metrics) -> None:
    others: list[object] = []
    thread = threading.Thread(target=lambda: others.append(metrics.recorder()))
    thread.start()
    thread.join()
    assert metrics.recorder() is metrics.recorder()
    assert others[0] is not metrics.recorder()


def test_beyond_the_bound_labels_count_as_other(metrics: Metrics) -> None:
    for n in range(5_000):
        metrics.recorder().decision(metrics.decision_slot(f"a{n}", "allow", ""), True)
    series = {key: n for key, n in shown(metrics).items() if key[0] == "deskgate_decisions_total"}
    bound = next(d.bound for d in COUNTERS if d.name == "decisions_total")
    assert len(series) == bound
    assert sum(series.values()) == 5_000
    assert value(metrics, "decisions_total", action="other", effect="other", reason="other") == 5_000 - (bound - 1)


def test_a_family_hands_out_its_slots_and_no_others() -> None:
    family = Family(first=10, labels=("x",), bound=3)
    assert [family.slot(v) for v in ("a", "b", "c", "d", "a")] == [10, 11, 12, 12, 10]


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_latency_at_a_bound_is_within_it(metrics: Metrics, bound: float) -> None:
    metrics.recorder().latency(bound)
    metrics.recorder().latency(bound * 1.001)
    assert value(metrics, "check_seconds_bucket", le=str(bound)) == 1
    assert value(metrics, "check_seconds_bucket", le="+Inf") == 2
    assert value(metrics, "check_seconds_sum") == pytest.approx(2.001 * bound)


def test_latency_buckets_start_at_ten_microseconds() -> None:
    assert BOUNDS[0] == 0.00001
    assert list(BOUNDS) == sorted(BOUNDS)


def test_what_happens_rarely_is_counted_by_name(metrics: Metrics) -> None:
    metrics.shed()
    metrics.when_error("weekend")
    metrics.record_invalid()
    metrics.sync_failure("locked")
    metrics.local_copy_failure("disk_full")
    metrics.policy_reload(ok=True)
    metrics.policy_reload(ok=False)
    assert value(metrics, "calls_shed_total") == 1
    assert value(metrics, "when_errors_total", rule="weekend") == 1
    assert value(metrics, "records_invalid_total") == 1
    assert value(metrics, "sync_failures_total", kind="locked") == 1
    assert value(metrics, "local_copy_failures_total", kind="disk_full") == 1
    assert value(metrics, "policy_reloads_total", result="ok") == 1
    assert value(metrics, "policy_reloads_total", result="bad") == 1


def test_what_has_no_labels_or_was_declared_is_shown_at_zero(metrics: Metrics) -> None:
    metrics.declare("sync_failures_total", "locked")
    metrics.decision_slot("a", "allow", "")
    assert value(metrics, "sync_failures_total", kind="locked") == 0
    assert value(metrics, "calls_shed_total") == 0
    assert value(metrics, "policy_reloads_total", result="bad") == 0
    assert value(metrics, "decisions_total", action="a", effect="allow", reason="") is None


def test_gauges_are_asked_at_each_scrape_and_left_out_when_they_do_not_know(metrics: Metrics) -> None:
    answers: list[float | None] = [7, 8, None]
    metrics.gauge("tenants_held", lambda: answers.pop(0))
    metrics.gauge("freshness", lambda: {("LIVE",): 1, ("STALE",): 0, ("BLIND",): 0})
    assert value(metrics, "tenants_held") == 7
    assert value(metrics, "tenants_held") == 8
    assert value(metrics, "tenants_held") is None
    answers.append(1)
    assert value(metrics, "freshness", state="LIVE") == 1


def test_a_gauge_outside_the_catalogue_is_a_mistake(metrics: Metrics) -> None:
    with pytest.raises(KeyError, match="tenants_hold is not in the catalogue"):
        metrics.gauge("tenants_hold", lambda: 1)


def test_the_build_is_told(metrics: Metrics) -> None:
    assert any(name == "deskgate_build_info" and ("version", "1.2.3") in labels for name, labels in shown(metrics))


def test_two_sidecars_in_a_process_do_not_share_a_count(metrics: Metrics) -> None:
    other = Metrics(version="1")
    metrics.shed()
    assert value(other, "calls_shed_total") == 0


def test_an_accept_header_chooses_the_format(metrics: Metrics) -> None:
    text, plain = metrics.exposition()
    assert plain.startswith("text/plain")
    assert b"# EOF" not in text
    text, open_metrics = metrics.exposition("application/openmetrics-text; version=1.0.0")
    assert open_metrics.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


def test_names_have_the_prefix_base_units_and_never_a_tenant() -> None:
    for name, described in CATALOGUE.items():
        assert name.startswith("deskgate_")
        assert "tenant" not in described.labels
        assert described.help.endswith(".")
        assert not name.endswith(("_ms", "_milliseconds", "_percent"))
    assert all(d.name.endswith("_total") for d in COUNTERS)
    assert not any(d.name.endswith("_total") for d in GAUGES)
