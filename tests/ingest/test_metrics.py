"""Laws of metrics and health: what the heartbeat told is what is scraped, and ready is not alive."""

import json
import logging
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ingest.exporter import LIVE_WITHIN_S, STARTING_S, Exporter, Server
from ingest.exporter import STORE_OK as OK
from ingest.gauges import DurationHistogram
from ingest.intake import WRONG
from ingest.metrics import METRICS, SHARED, Kind, Metric
from ingest.metrics_port import PORT_OFFSETS, serve_metrics
from ingest.settings import SettingsError, load_settings
from ingest.store.schema import STORE_OK

ROOT = Path(__file__).parent.parent.parent
ALL = [(service, metric) for service, table in METRICS.items() for metric in (*SHARED, *table)]


def beat(**counters: Any) -> dict[str, Any]:
    return {
        "connected": True,
        "subscribed": True,
        "reconnects": 0,
        "unsent": 0,
        "counters": {"store": STORE_OK} | counters,
    }


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def scraped(exporter: Exporter) -> dict[str, float]:
    """Samples by name and labels, read back as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(exporter)
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def example(metric: Metric) -> Any:
    """A counter of the heartbeat as this metric reads it."""
    match metric.kind:
        case Kind.HISTOGRAM:
            return DurationHistogram().buckets()
        case Kind.STATE | Kind.INFO:
            return STORE_OK
        case _:
            value: Any = 3
            for label in metric.labels:
                value = {f"a {label}": value}
            return value


@pytest.mark.parametrize("service", METRICS)
def test_every_metric_of_the_table_is_exported_with_its_help(service: str) -> None:
    exporter = Exporter(service)
    exporter.observe(beat(**{metric.key: example(metric) for metric in METRICS[service]}))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(exporter)
    text = generate_latest(registry).decode()
    for metric in (*SHARED, *METRICS[service]):
        assert f"# HELP {metric.name} {metric.help}\n" in text
        kind = metric.kind if metric.kind in (Kind.COUNTER, Kind.HISTOGRAM) else Kind.GAUGE
        assert f"# TYPE {metric.name} {kind}\n" in text
    assert len(re.findall("# TYPE ", text)) == len(SHARED) + len(METRICS[service])


@pytest.mark.parametrize(("service", "metric"), ALL, ids=lambda x: x if isinstance(x, str) else x.name)
def test_names_follow_the_conventions_of_prometheus(service: str, metric: Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z]", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert metric.name.startswith(("process_", "wristlead_"))
    assert not re.search(r"_(ms|mb|us|s)(_total)?$", metric.name), "base units: seconds, bytes"
    if metric not in SHARED:
        assert metric.name.startswith(f"wristlead_{service}_")
    assert metric.help.endswith(".")


def test_numbers_come_through_in_base_units() -> None:
    exporter = Exporter("ingest")
    histogram = DurationHistogram()
    for duration_ms in (3.0, 30.0, 300.0):
        histogram.add(duration_ms)
    exporter.observe(
        beat(chunks=7, refused_by={"wire": 2}, chunk_stored=histogram.buckets(), disk_free_mb=5, commit=None)
    )
    found = scraped(exporter)
    assert found["wristlead_ingest_chunks_total"] == 7
    assert found["wristlead_ingest_refused_total{reason=wire}"] == 2
    assert found["wristlead_ingest_disk_free_bytes"] == 5e6
    assert found["wristlead_ingest_chunk_stored_seconds_bucket{le=0.005}"] == 1
    assert found["wristlead_ingest_chunk_stored_seconds_bucket{le=0.05}"] == 2
    assert found["wristlead_ingest_chunk_stored_seconds_bucket{le=+Inf}"] == 3
    assert found["wristlead_ingest_chunk_stored_seconds_sum"] == pytest.approx(0.333)
    assert found["wristlead_store_ok"] == 1.0
    assert found["process_resident_memory_bytes"] > 1e6
    assert not any("commit" in name for name in found), "unknown is absent, not 0"


def test_labels_go_as_deep_as_the_counter() -> None:
    exporter = Exporter("alarms")
    exporter.observe(beat(shown={"asystole": {"on": 1, "ack": 2}, "battery": {"on": 3}}))
    found = scraped(exporter)
    assert found["wristlead_alarms_shown{kind=asystole,state=ack}"] == 2
    assert found["wristlead_alarms_shown{kind=battery,state=on}"] == 3


def test_a_service_is_alive_while_its_loop_turns_and_ready_when_all_it_needs_is_there() -> None:
    clock = Clock()
    exporter = Exporter("ingest", clock)
    assert exporter.is_live
    assert exporter.troubles() == ["it is starting"]
    clock.now_s += STARTING_S + 1.0
    assert not exporter.is_live
    exporter.observe(beat())
    assert exporter.is_live
    assert exporter.troubles() == []
    clock.now_s += LIVE_WITHIN_S + 1.0
    assert not exporter.is_live
    assert exporter.troubles() == ["its loop has not turned for 31 s"]
    assert scraped(exporter)["wristlead_live"] == 0.0


@pytest.mark.parametrize(
    ("changed", "why_not"),
    [
        ({"connected": False, "subscribed": False}, "the broker is not connected"),
        ({"subscribed": False}, "the broker has not confirmed the subscriptions"),
        ({"counters": {"store": "the disk is full"}}, "the disk is full"),
    ],
)
def test_what_is_missing_makes_a_service_unready_but_not_dead(changed: dict[str, Any], why_not: str) -> None:
    exporter = Exporter("ingest")
    exporter.observe(beat() | changed)
    assert exporter.troubles() == [why_not]
    assert exporter.is_live
    assert scraped(exporter)["wristlead_ready"] == 0.0


def test_both_modules_mean_the_same_by_a_store_that_works() -> None:
    assert OK == STORE_OK


@pytest.fixture
def server() -> Iterator[Server]:
    exporter = Exporter("ingest")
    exporter.observe(beat(chunks=7))
    serving = Server(0, exporter)
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield serving
    serving.shutdown()
    thread.join()
    serving.server_close()


def get(server: Server, path: str) -> tuple[int, bytes]:
    host, port = server.socket.getsockname()
    assert host == "127.0.0.1"
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_health_answers_with_the_status_that_orchestrators_read(server: Server) -> None:
    assert get(server, "/health/live") == (200, b'{"live": true}\n')
    assert get(server, "/health/ready") == (200, b'{"ready": true, "why_not": []}\n')
    server.exporter.observe(beat() | {"connected": False})
    status, body = get(server, "/health/ready")
    assert (status, json.loads(body)["why_not"]) == (503, ["the broker is not connected"])
    assert get(server, "/health/live")[0] == 200
    assert b"wristlead_ready 0.0" in get(server, "/metrics")[1]
    assert get(server, "/")[0] == 404


def test_a_busy_port_is_a_warning_and_not_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert serve_metrics("alarms", port - PORT_OFFSETS["alarms"]) is None
    assert f"127.0.0.1:{port} cannot be listened on" in caplog.text
    assert "--metrics-port" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize("value", ["none", "0"])
def test_metrics_can_be_switched_off(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRISTLEAD_METRICS_PORT", value)
    for settings in (load_settings(), load_settings(metrics_port=value)):
        assert not settings.metrics_port
        assert serve_metrics("ingest", settings.metrics_port) is None


def test_an_unusable_port_is_named() -> None:
    with pytest.raises(SettingsError, match="metrics_port"):
        load_settings(metrics_port="65535")


def test_a_service_without_metrics_does_not_load_what_serves_them() -> None:
    code = (
        "import sys, ingest.metrics_port as m; m.serve_metrics('ingest', None);"
        "raise SystemExit('prometheus_client' in sys.modules or 'http.server' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_operations_page_lists_exactly_what_is_exported() -> None:
    wanted = [
        f"| `{each.name}` | {each.kind if each.kind in ('counter', 'histogram') else 'gauge'} | "
        f"{', '.join(each.labels)} | {each.help} |"
        for each in (*SHARED, *(metric for table in METRICS.values() for metric in table))
    ]
    page = (ROOT / "docs" / "operations.md").read_text()
    listed = [line for line in page.splitlines() if re.match(r"\| `(wristlead|process)_[a-z_]+` ", line)]
    assert listed == wanted, "these lines belong into docs/operations.md:\n" + "\n".join(wanted)


@pytest.mark.parametrize("reason", WRONG)
def test_the_operations_page_explains_each_reason_of_a_refusal(reason: str) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert f"`{reason}`" in page.partition("\nIngest. ")[2].partition("\n\n")[0]


def test_alerts_and_examples_name_metrics_that_exist() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    exported = {metric.name for _, metric in ALL}
    histograms = {metric.name for _, metric in ALL if metric.kind is Kind.HISTOGRAM}
    exported |= {f"{name}_{part}" for name in histograms for part in ("bucket", "sum", "count")}
    named = set(re.findall(r"\b(?:wristlead|process)_[a-z_]+[a-z]", page))
    assert named
    assert named <= exported


def test_ports_are_one_a_service() -> None:
    assert sorted(PORT_OFFSETS) == sorted(METRICS)
    assert sorted(PORT_OFFSETS.values()) == list(range(len(METRICS)))
