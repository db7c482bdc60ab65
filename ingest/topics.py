"""The names of all topics: what devices publish (ecg/v1) and what the services say (wl/v1)."""

import re

OWN_SITE = "wristlead"  # the site of Wristlead's own parts, whose alarms are technical and nobody's panel
RECORDING_SITE = "recordings"  # of finished recordings: historic chunks alone, so that none is ever a patient
REPLAY_SITE = "replay"  # of a finished recording that is played as if it were live
UNKNOWN_DEVICE = "?"  # whose messages came on topics that name none; no device can be called so
ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")

DEVICE_CHUNKS = "ecg/v1/+/+/chunk"
DEVICE_BACKFILL = "ecg/v1/+/+/backfill"
DEVICE_META = "ecg/v1/+/+/meta"
DEVICE_STATUS = "ecg/v1/+/+/status"

MAPPED_CHUNKS = "wl/v1/chunk/#"
WINDOWS = "wl/v1/window/#"
VITALS = "wl/v1/vitals/#"
VERDICTS = "wl/v1/verdict/#"
ALARMS = "wl/v1/alarm/#"
SERVICES = "wl/v1/service/+"
ACKNOWLEDGE = "wl/v1/acknowledge/#"
PAUSE = "wl/v1/pause"
PAUSED = "wl/v1/paused"
LIMITS = "wl/v1/limits/#"
LIMITS_IN_FORCE = "wl/v1/limits_in_force/#"
NAMES = "wl/v1/name/#"
NAMES_IN_FORCE = "wl/v1/name_in_force/#"
RETENTION = "wl/v1/retention"
RETENTION_IN_FORCE = "wl/v1/retention_in_force"
DISCHARGE = "wl/v1/discharge/#"
ANNOTATE = "wl/v1/annotate/#"
ANNOTATIONS = "wl/v1/annotation/#"
CHANNELS = "wl/v1/channel/+"
CHANNEL_TESTS = "wl/v1/channel_test/+"
REFUSALS = "wl/v1/refusal/#"
EXPLAIN = "wl/v1/explain/#"
EXPLAIN_PROGRESS = "wl/v1/explain_progress/#"
EXPLANATIONS = "wl/v1/explanation/#"
RECORDINGS = "wl/v1/recording/+"

# What a broker says of itself, at each of its intervals; Mosquitto and amqtt both do.
BROKER_VERSION = "$SYS/broker/version"
BROKER_CLIENTS = "$SYS/broker/clients/connected"
BROKER_RATE = "$SYS/broker/load/messages/received/1min"
BROKER_FACTS = (BROKER_VERSION, BROKER_CLIENTS, BROKER_RATE)


def device_topic(device: str, kind: str) -> str:
    """`ecg/v1/{site}/{device}/{kind}` for a device "site/device" and a kind such as chunk or status."""
    return f"ecg/v1/{device}/{kind}"


def device_of(topic: str) -> str:
    """The "site/device" part of an `ecg/v1/...` or `wl/v1/<what>/...` topic.

    Raises ValueError when the ids are not two of `[A-Za-z0-9_-]{1,64}`.
    """
    parts = topic.split("/")
    ids = parts[2:4] if parts[0] == "ecg" else parts[3:5]
    if len(ids) != 2 or not all(ID_PATTERN.fullmatch(part) for part in ids):
        raise ValueError(f"topic {topic!r} names no device: want two ids of [A-Za-z0-9_-], 1 to 64 long")
    return "/".join(ids)


def is_device(device: str) -> bool:
    """True of "site/device", two of `[A-Za-z0-9_-]{1,64}`."""
    ids = device.split("/")
    return len(ids) == 2 and all(ID_PATTERN.fullmatch(each) for each in ids)


def is_scope(scope: str) -> bool:
    """True of a patient "site/device" and of a whole "site"."""
    return is_device(scope) or ID_PATTERN.fullmatch(scope) is not None


def check_site(device: str) -> None:
    """Raise ValueError for a device of the reserved site, whose alarms are those of Wristlead itself."""
    if device.startswith(f"{OWN_SITE}/"):
        raise ValueError(
            f"device is {device}, want another site: {OWN_SITE} is that of Wristlead's own parts"
        )


def mapped_chunk_topic(device: str) -> str:
    """Where ingest publishes, as wire v1, the live chunks that it made of foreign payloads."""
    return f"wl/v1/chunk/{device}"


def window_topic(device: str) -> str:
    """Where ingest publishes closed windows (msgpack)."""
    return f"wl/v1/window/{device}"


def vitals_topic(site: str) -> str:
    """Where ingest publishes, each second, a JSON list of `Vitals` of one site."""
    return f"wl/v1/vitals/{site}"


def verdict_topic(device: str) -> str:
    """Where inference publishes a JSON `Verdict`."""
    return f"wl/v1/verdict/{device}"


def alarm_topic(device: str, kind: str) -> str:
    """Where the newest state of an alarm is retained as JSON; empty payload when it is off."""
    return f"wl/v1/alarm/{device}/{kind}"


def acknowledge_topic(device: str, kind: str) -> str:
    """Where a dashboard asks the alarm service to acknowledge; JSON `{"who": ...}`."""
    return f"wl/v1/acknowledge/{device}/{kind}"


def limits_topic(scope: str) -> str:
    """Where anybody asks for limits of a patient "site/device", or of a whole "site"."""
    return f"wl/v1/limits/{scope}"


def limits_in_force_topic(scope: str) -> str:
    """Where the limits that count for a patient, or for who has none at a site, are retained."""
    return f"wl/v1/limits_in_force/{scope}"


def name_topic(scope: str) -> str:
    """Where a dashboard asks for a name of a patient "site/device", or of a whole "site"."""
    return f"wl/v1/name/{scope}"


def name_in_force_topic(scope: str) -> str:
    """Where the name that people gave to a patient or site is retained; empty when they gave none."""
    return f"wl/v1/name_in_force/{scope}"


def scope_of_name(topic: str) -> str:
    """The patient or site of a `wl/v1/name_in_force/...` topic; raises ValueError where it is none."""
    scope = topic.removeprefix("wl/v1/name_in_force/")
    if not is_scope(scope):
        raise ValueError(f"topic {topic!r} names no patient and no site")
    return scope


def discharge_topic(device: str) -> str:
    """Where a dashboard says that a patient has left; JSON `{"who": ...}`."""
    return f"wl/v1/discharge/{device}"


def annotate_topic(device: str) -> str:
    """Where anybody asks to write, change or remove an annotation of a device."""
    return f"wl/v1/annotate/{device}"


def annotation_topic(device: str) -> str:
    """Where the alarm service says a JSON `Annotation` once it is stored."""
    return f"wl/v1/annotation/{device}"


def channel_topic(name: str) -> str:
    """Retained JSON `{"ok": ..., "reason": ...}` of a notification channel."""
    return f"wl/v1/channel/{name}"


def channel_test_topic(name: str) -> str:
    """Where a dashboard asks the notifier to send a test on one channel."""
    return f"wl/v1/channel_test/{name}"


def summary_topic(device: str) -> str:
    """Where the notifier retains a small JSON of one device's state, for home automation."""
    return f"wl/v1/summary/{device}"


def refusal_topic(request_topic: str) -> str:
    """Where the alarm service says why it refused what was asked on `request_topic`."""
    return f"wl/v1/refusal/{request_topic.removeprefix('wl/v1/')}"


def explain_topic(device: str) -> str:
    """Where anybody asks for an explanation; JSON `ExplainRequest`."""
    return f"wl/v1/explain/{device}"


def explain_progress_topic(device: str) -> str:
    """Where the explain service says how far a request is; JSON `ExplainProgress`."""
    return f"wl/v1/explain_progress/{device}"


def explanation_topic(device: str) -> str:
    """Where the explain service publishes a JSON `Explanation`, made for an alarm or on request."""
    return f"wl/v1/explanation/{device}"


def service_topic(service: str) -> str:
    """Retained JSON presence and heartbeat of a service; also its MQTT will."""
    return f"wl/v1/service/{service}"


def recording_topic(recording_id: str) -> str:
    """Where what was found in a finished recording is retained; empty when it was removed."""
    return f"wl/v1/recording/{recording_id}"


def replay_topic(recording_id: str) -> str:
    """Where anybody asks that the replay of a finished recording ends."""
    return f"wl/v1/replay/{recording_id}"
