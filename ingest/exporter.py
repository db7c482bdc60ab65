"""Heartbeats of this process -> `/metrics`, `/health/live` and `/health/ready` on a loopback port.

The service's loop hands over one immutable snapshot a second; a daemon thread answers from the newest.
"""

import json
import logging
import os
import socketserver
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

import psutil
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from ingest.gauges import Buckets
from ingest.metrics import METRICS, SHARED, Kind, Metric, Observe

HOST = "127.0.0.1"
# A loop turns each 0.2 s. It stands still for 10 s at most while the store is locked by another program, 5 s
# while a broker's host does not answer; beyond that it hangs.
LIVE_WITHIN_S = 30.0
STARTING_S = 600.0  # to read the model, to restore a fleet, to wait for the broker
REQUEST_WITHIN_S = 5.0
STORE_OK = "ok"  # as ingest.store.schema has it; that loads SQLAlchemy, which devices do without

logger = logging.getLogger(__name__)


class Exporter(Collector):
    """The newest heartbeat of a service, as metrics and as health."""

    def __init__(self, service: str, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._clock_s = clock_s
        self._started_s = clock_s()
        self._newest: tuple[Mapping[str, Any], float] | None = None  # replaced whole: read by another thread
        self._process = psutil.Process()

    def observe(self, beat: Mapping[str, Any]) -> None:
        """Take a heartbeat as `MqttLink.on_beat` tells it; nobody may change it afterwards."""
        self._newest = (beat, self._clock_s())

    @property
    def is_live(self) -> bool:
        """True while the loop turns; before its first turn, while starting may still take that long."""
        newest = self._newest
        if newest is None:
            return self._clock_s() - self._started_s <= STARTING_S
        return self._clock_s() - newest[1] <= LIVE_WITHIN_S

    def troubles(self) -> list[str]:
        """Why the service is not ready, one sentence each; empty when it is."""
        newest = self._newest
        if newest is None:
            return ["it is starting"]
        beat, found = newest[0], []
        if not self.is_live:
            found.append(f"its loop has not turned for {self._clock_s() - newest[1]:.0f} s")
        if not beat["connected"]:
            found.append("the broker is not connected")
        elif not beat["subscribed"]:
            found.append("the broker has not confirmed the subscriptions")
        store = beat["counters"].get("store", STORE_OK)
        if store != STORE_OK:
            found.append(str(store))
        return found

    def collect(self) -> Iterator[Family]:
        """All metrics of this moment; what is unknown is absent."""
        shared = self._shared()
        for metric in SHARED:
            if shared.get(metric.key) is not None:
                yield _family(metric, shared[metric.key])
        newest = self._newest
        counters = {} if newest is None else newest[0]["counters"]
        for metric in METRICS[self._service]:
            if counters.get(metric.key) is not None:
                yield _family(metric, counters[metric.key])

    def _shared(self) -> dict[str, Any]:
        newest = self._newest
        found: dict[str, Any] = {"live": self.is_live, "ready": not self.troubles()}
        if newest is not None:
            beat, at_s = newest
            found["heartbeat_age"] = self._clock_s() - at_s
            found |= {key: beat.get(key) for key in ("connected", "reconnects", "unsent")}
            found["store"] = beat["counters"].get("store")
        with self._process.oneshot():
            cpu = self._process.cpu_times()
            found["cpu"] = cpu.user + cpu.system
            found["rss"] = self._process.memory_info().rss
            found["started"] = self._process.create_time()
        return found


def _family(metric: Metric, value: Any) -> Family:
    if metric.kind is Kind.HISTOGRAM:
        return _histogram(metric, value)
    make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = make(metric.name, metric.help, labels=metric.labels)
    if metric.kind is Kind.STATE:
        family.add_metric((), float(value == STORE_OK))
    elif metric.kind is Kind.INFO:
        family.add_metric((str(value),), 1.0)
    else:
        for labels, number in _leaves(value, len(metric.labels)):
            family.add_metric(labels, number * metric.scale)
    return family


def _leaves(value: Any, depth: int) -> Iterator[tuple[tuple[str, ...], float]]:
    """A number, or a mapping `depth` levels deep -> its numbers with their labels."""
    if depth == 0:
        yield (), float(value)
        return
    for label, inner in value.items():
        for labels, number in _leaves(inner, depth - 1):
            yield (str(label), *labels), number


def _histogram(metric: Metric, buckets: Buckets) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help)
    upto = [(str(bound * metric.scale), float(n)) for bound, n in buckets.within]
    family.add_metric((), [*upto, ("+Inf", float(buckets.count))], buckets.sum_ms * metric.scale)
    return family


class Server(socketserver.ThreadingTCPServer):
    """Answers on loopback only. Not http.server's own: that asks a name server for our name first."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, exporter: Exporter) -> None:
        self.exporter = exporter
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(exporter)
        super().__init__((HOST, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = REQUEST_WITHIN_S

    def do_GET(self) -> None:
        exporter = self.server.exporter
        match self.path.partition("?")[0]:
            case "/metrics":
                self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self.server.registry))
            case "/health/live":
                self._tell(is_well=exporter.is_live, facts={"live": exporter.is_live})
            case "/health/ready":
                troubles = exporter.troubles()
                self._tell(is_well=not troubles, facts={"ready": not troubles, "why_not": troubles})
            case _:
                text = b"want /metrics, /health/live or /health/ready\n"
                self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        logger.debug(format, *args)

    def _tell(self, *, is_well: bool, facts: Mapping[str, Any]) -> None:
        status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, "application/json", json.dumps(facts).encode() + b"\n")

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(service: str, port: int) -> Observe | None:
    """Start answering on `port`; returns what takes heartbeats, or None when the port cannot be had."""
    exporter = Exporter(service)
    try:
        server = Server(port, exporter)
    except OSError as error:
        logger.warning(
            "no metrics and health: %s:%d cannot be listened on (%s); stop what uses it, or choose another "
            "--metrics-port",
            HOST,
            port,
            os.strerror(error.errno or 0),
        )
        return None
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    logger.info("metrics at http://%s:%d/metrics", HOST, port)
    return exporter.observe
