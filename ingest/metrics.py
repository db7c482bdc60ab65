"""What each service tells of itself as Prometheus metrics: one table, read from the heartbeat's counters.

docs/operations.md explains them; tests/ingest/test_metrics.py compares it with this table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Observe = Callable[[Mapping[str, Any]], None]  # takes each heartbeat, as `MqttLink.on_beat` tells it

# What a heartbeat says for people; each has a number or a histogram beside it.
FOR_PEOPLE = {
    "limits",
    "chunk_stored_ms",
    "commit_ms",
    "window_verdict_ms",
    "refused",
    "transitions",
}


class Kind(StrEnum):
    """What a counter of a heartbeat becomes."""

    COUNTER = "counter"  # only grows while the process lives
    GAUGE = "gauge"
    HISTOGRAM = "histogram"  # from `gauges.Buckets`, in seconds
    STATE = "state"  # a gauge: 1 where the word is "ok", else 0
    INFO = "info"  # a gauge that is 1, with the word as its only label


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, and the counter of the heartbeat that it is read from.

    With `labels` the counter is a mapping, one level deep for each label.
    """

    key: str
    name: str  # in full
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    scale: float = 1.0  # from the counter's unit to that of the metric


def _counter(service: str, key: str, text: str, *labels: str, name: str | None = None) -> Metric:
    return Metric(key, f"wristlead_{service}_{name or key}_total", Kind.COUNTER, text, labels)


def _gauge(service: str, key: str, text: str, *labels: str, name: str | None = None) -> Metric:
    return Metric(key, f"wristlead_{service}_{name or key}", Kind.GAUGE, text, labels)


def _seconds(service: str, key: str, text: str) -> Metric:
    return Metric(key, f"wristlead_{service}_{key}_seconds", Kind.HISTOGRAM, text, scale=1e-3)


def _model(service: str) -> Metric:
    text = "Version of the weights in use, as a label; always 1."
    return Metric("model", f"wristlead_{service}_model_info", Kind.INFO, text, ("version",))


# Of every service; no counters but facts of the process and its connection.
SHARED = (
    Metric("live", "wristlead_live", Kind.GAUGE, "1 while the service's loop turns."),
    Metric(
        "ready",
        "wristlead_ready",
        Kind.GAUGE,
        "1 while the service is live, connected and subscribed, and its store works.",
    ),
    Metric(
        "heartbeat_age",
        "wristlead_heartbeat_age_seconds",
        Kind.GAUGE,
        "Since the loop last turned; absent before the first time.",
    ),
    Metric("connected", "wristlead_broker_connected", Kind.GAUGE, "1 while the broker is connected."),
    Metric(
        "reconnects", "wristlead_broker_reconnects_total", Kind.COUNTER, "Connections after the first one."
    ),
    Metric(
        "unsent",
        "wristlead_unsent_total",
        Kind.COUNTER,
        "Publications dropped because too many waited for the broker.",
    ),
    Metric("store", "wristlead_store_ok", Kind.STATE, "1 while the store works; absent without a store."),
    Metric("cpu", "process_cpu_seconds_total", Kind.COUNTER, "CPU time of the process, user and system."),
    Metric("rss", "process_resident_memory_bytes", Kind.GAUGE, "Memory of the process that is in RAM."),
    Metric("started", "process_start_time_seconds", Kind.GAUGE, "When the process started, Unix time."),
)

_INGEST = "ingest"
INGEST = (
    _gauge(_INGEST, "devices", "Devices heard within the last 10 minutes."),
    _counter(_INGEST, "chunks", "Chunks received that could be read, duplicates included."),
    _counter(_INGEST, "stored", "Chunks stored: they are on the disk, and acknowledged."),
    _counter(_INGEST, "duplicates", "Chunks that were stored before; acknowledged again."),
    _counter(_INGEST, "refused_by", "Messages refused, by what was wrong.", "reason", name="refused"),
    _counter(_INGEST, "retained", "Chunks a device asked the broker to keep; ignored, as they may be old."),
    _counter(_INGEST, "over_limit", "Messages refused unread: their device sends too much, or is too many."),
    _gauge(_INGEST, "flooding", "Devices that are over their limit now."),
    _counter(_INGEST, "crowded", "Of those over the limit: because too many devices were known."),
    _counter(_INGEST, "flapping", "Statuses ignored of devices that come and go without end."),
    _counter(_INGEST, "windows", "Windows closed."),
    Metric(
        "vitals_cpu_s",
        "wristlead_ingest_vitals_cpu_seconds_total",
        Kind.COUNTER,
        "CPU time of the process that went into beats and vitals.",
    ),
    _counter(_INGEST, "faults", "Times a device's pipeline failed and started anew: a bug of ours."),
    _gauge(_INGEST, "lost_samples", "Samples missing from the present sessions of the devices heard."),
    _gauge(_INGEST, "late", "Chunks of the present sessions that came after their gap was closed."),
    _counter(_INGEST, "mapped", "Chunks that a mapper read from payloads of other formats."),
    _gauge(_INGEST, "bodies", "Large payloads that are being read, part by part."),
    _gauge(
        _INGEST, "doubted", "Devices whose claimed unit or rate cannot be true; the log and vitals say why."
    ),
    _gauge(_INGEST, "backlog", "Messages received and not yet acknowledged."),
    _gauge(_INGEST, "turned_away", "Messages left to the broker because the store fails; they come again."),
    _gauge(_INGEST, "batch", "Chunks in the newest commit."),
    _seconds(_INGEST, "chunk_stored", "From a chunk's arrival to its being on the disk."),
    _seconds(_INGEST, "commit", "How long a commit took."),
    _counter(_INGEST, "dropped_partitions", "Partitions of waveforms dropped for their age."),
    _counter(_INGEST, "dropped_windows", "Windows dropped for their age."),
    Metric(
        "disk_free_mb",
        "wristlead_ingest_disk_free_bytes",
        Kind.GAUGE,
        "Free space where the data directory is.",
        scale=1e6,
    ),
)

_INFERENCE = "inference"
INFERENCE = (
    _counter(_INFERENCE, "verdicts", "Verdicts stored."),
    _counter(_INFERENCE, "indeterminate", "Verdicts that cannot tell, by why.", "reason"),
    _counter(_INFERENCE, "found", "Findings in verdicts that can tell.", "superclass", "presence"),
    _seconds(_INFERENCE, "window_verdict", "From closing a live window to its verdict being stored."),
    _gauge(_INFERENCE, "backlog", "Windows that wait in memory."),
    _counter(_INFERENCE, "recovered", "Verdicts on windows that were found in the store."),
    _counter(_INFERENCE, "failed", "Windows that the model could not digest: a bug of ours."),
    _counter(_INFERENCE, "refused", "Messages that are no window."),
    _counter(_INFERENCE, "deferred", "Windows left to the store because too many waited in memory."),
    _model(_INFERENCE),
)

_ALARMS = "alarms"
ALARMS = (
    _counter(_ALARMS, "alarms", "Alarms raised.", name="raised"),
    _counter(
        _ALARMS, "transitions_by", "Alarms that changed, by new state.", "kind", "state", name="transitions"
    ),
    _gauge(_ALARMS, "active", "Alarms shown now, by priority.", "priority"),
    _gauge(_ALARMS, "shown", "Alarms shown now, by kind and state.", "kind", "state"),
    _gauge(_ALARMS, "unsaved", "Changes that wait for the store."),
    _counter(_ALARMS, "unsaved_dropped", "Changes never stored, as too many waited."),
    _counter(_ALARMS, "refused", "Messages that could not be understood."),
    _counter(_ALARMS, "crowded", "Messages of devices that are too many to be watched."),
    _gauge(_ALARMS, "devices", "Devices that are watched."),
)

_EXPLAIN = "explain"
EXPLAIN = (
    _counter(_EXPLAIN, "explanations", "Explanations made and stored."),
    _counter(_EXPLAIN, "served", "Requests answered from the store."),
    _counter(_EXPLAIN, "refused", "Requests that have no answer."),
    _counter(_EXPLAIN, "failed", "Explanations that failed: a bug of ours."),
    _gauge(_EXPLAIN, "backlog", "Requests and alarm windows that wait."),
    _model(_EXPLAIN),
)

_NOTIFY = "notify"
NOTIFY = (
    _gauge(_NOTIFY, "channels", "Channels that are configured."),
    _gauge(_NOTIFY, "failing", "Channels whose newest message was not taken."),
    _counter(_NOTIFY, "sent", "Messages that a channel took, tests included."),
    _counter(_NOTIFY, "failed", "Attempts that failed; they are repeated."),
    _counter(_NOTIFY, "tests", "Tests that somebody asked for."),
    _gauge(_NOTIFY, "waiting", "Alarms that wait to be told, over all channels."),
    _gauge(_NOTIFY, "hanging", "Attempts that were given up and have not returned."),
    _seconds(_NOTIFY, "delivery", "From a message being due to the channel having taken it."),
    _counter(_NOTIFY, "refused", "Messages that could not be understood."),
)

_DASHBOARD = "dashboard"
DASHBOARD = (
    _gauge(_DASHBOARD, "browsers", "Pages that are open."),
    _gauge(_DASHBOARD, "dropped", "Segments the open pages were too slow to take."),
    _counter(_DASHBOARD, "refused", "Messages that could not be understood."),
)

_SIMULATE = "simulate"
SIMULATE = (
    _gauge(_SIMULATE, "devices", "Devices that are simulated."),
    _gauge(_SIMULATE, "connected", "Of them, those connected now.", name="devices_connected"),
    _counter(_SIMULATE, "published", "Chunks published."),
    _counter(_SIMULATE, "acknowledged", "Chunks the broker acknowledged."),
    _counter(_SIMULATE, "duplicated", "Chunks sent twice on purpose."),
    _counter(_SIMULATE, "corrupted", "Chunks damaged on purpose."),
    _counter(_SIMULATE, "resent", "Chunks sent again after a reconnect."),
    _counter(_SIMULATE, "dropped", "Chunks left out on purpose."),
    _counter(_SIMULATE, "overflowed", "Chunks dropped because too many waited for the broker."),
    _counter(_SIMULATE, "reconnects", "Connections of devices after their first.", name="device_reconnects"),
    _gauge(_SIMULATE, "waiting", "Messages not yet acknowledged."),
    Metric(
        "latest_ms",
        "wristlead_simulate_latest_seconds",
        Kind.GAUGE,
        "The most that a turn of a fleet came late.",
        scale=1e-3,
    ),
    Metric(
        "cpu_s",
        "wristlead_simulate_cpu_seconds_total",
        Kind.COUNTER,
        "CPU time of a fleet since its first chunk.",
    ),
)

METRICS: Mapping[str, tuple[Metric, ...]] = {
    "ingest": INGEST,
    "inference": INFERENCE,
    "alarms": ALARMS,
    "explain": EXPLAIN,
    "dashboard": DASHBOARD,
    "simulate": SIMULATE,
    "notify": NOTIFY,
}
