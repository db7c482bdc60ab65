"""The words of the page of devices and services."""

from dashboard import texts

TITLE = "Devices and services"
DEVICES_TITLE = "Devices"
DEVICES_HELP = (
    "What each device claims, and what arrives. Counts are of its present session. Press a heading to "
    "sort, a device's name to see all of it."
)
LOADING = "Looking for devices."
NONE = "No device has been heard yet"
NONE_HOW = "Let a device publish on ecg/v1/{site}/{device}/chunk, or start simulated ones:"
NONE_COMMAND = "wristlead simulate --patients 4"
# key, heading, what it means; numbers stand to the right
COLUMNS: tuple[tuple[str, str, str, bool], ...] = (
    ("name", "Device", "Its name, and its id below", False),
    ("state", "State", "Whether it is there, by what it says and what arrives", False),
    ("battery", "Battery", "As the device reports it", True),
    ("age", "Data age", "Since its newest samples arrived", True),
    ("rate", "Rate", "Measured against arrival, over the last minutes", True),
    ("off", "Off by", "How far the measured rate is from the one it claims", True),
    ("lost", "Lost", "Samples that never came, in this session", True),
    ("late", "Late", "Chunks that came after their gap was closed", True),
    ("duplicates", "Twice", "Chunks that had come before", True),
    ("refused", "Refused", "Messages that could not be read, or must not be true", True),
    ("offset", "Clock", "The device's clock less arrival: + is ahead", True),
    (
        "delay",
        "Delay",
        (
            "How old the oldest sample of a chunk is when it comes, in 95 of 100 chunks; what the quickest "
            "chunk took on its way is not known"
        ),
        True,
    ),
)
SERVICES_TITLE = "Services"
SERVICES_LOADING = "Looking for services."
SERVICE_COLUMNS = ("Service", "State", "Heartbeat", "CPU", "Memory", "Version", "What it does")
BROKER = "Broker"

# Of each service: what its counters say, in words. `{n}` is the number.
FACTS: dict[str, tuple[tuple[str, str, str], ...]] = {
    # (counter, how it is read, words)
    "ingest": (
        ("chunks", "per_s", "chunks {n}/s"),
        ("devices", "number", "devices {n}"),
        ("backlog", "number", "waiting {n}"),
        ("turned_away", "if_any", "left to the broker {n}"),
        ("refused", "if_any", "refused {n}"),
        ("flooding", "if_any", "flooding devices {n}"),
        ("doubted", "if_any", "devices in doubt {n}"),
        ("faults", "if_any", "faults {n}"),
        ("disk_free_mb", "gigabytes", "disk free {n} GB"),
    ),
    "inference": (
        ("verdicts", "per_s", "verdicts {n}/s"),
        ("backlog", "number", "waiting {n}"),
        ("deferred", "if_any", "left to the store {n}"),
        ("failed", "if_any", "failed {n}"),
    ),
    "alarms": (
        ("active", "number", "alarms shown {n}"),
        ("devices", "number", "watched {n}"),
        ("unsaved", "number", "unsaved {n}"),
        ("unsaved_dropped", "if_any", "never saved {n}"),
        ("refused", "if_any", "refused {n}"),
        ("crowded", "if_any", "turned away {n}"),
    ),
    "explain": (
        ("explanations", "number", "explanations {n}"),
        ("backlog", "number", "waiting {n}"),
        ("failed", "if_any", "failed {n}"),
    ),
    "notify": (
        ("channels", "number", "channels {n}"),
        ("failing", "number", "failing {n}"),
        ("waiting", "number", "waiting {n}"),
        ("sent", "number", "sent {n}"),
        ("failed", "if_any", "failed attempts {n}"),
    ),
    "dashboard": (
        ("browsers", "number", "browsers {n}"),
        ("dropped", "number", "pieces dropped {n}"),
        ("refused", "if_any", "refused {n}"),
    ),
    "simulators": (
        ("published", "per_s", "chunks {n}/s"),
        ("devices", "number", "devices {n}"),
        ("waiting", "number", "waiting {n}"),
        ("overflowed", "if_any", "dropped {n}"),
    ),
}
MODEL_FACT = "model {model}"
BROKER_CLIENTS = "clients {n}"
BROKER_RATE = "messages {n}/s"

UNKNOWN_DEVICE = "Unknown devices"
UNKNOWN_DEVICE_HELP = "Messages on topics that name no device, or a reserved one"

SCRIPT = {
    "columns": [key for key, _, _, _ in COLUMNS],
    "headings": {key: heading for key, heading, _, _ in COLUMNS},
    "loading": LOADING,
    "state": {
        "here": "Here",
        "late": "Silent {age}",
        "gone": "Gone {age}",
        "offline": "Said goodbye",
        "waiting": "Never sent",
        "only_refused": "Only refused",
        "unknown": "Unknown",
    },
    "service_state": {
        "well": "Well",
        "trouble": "In trouble",
        "silent": "Silent",
        "gone": "Not running",
        "never": "Never heard",
        "unknown": "Unknown",
    },
    "service_note": {
        "gone": "ended {age} ago",
        "never": "not since this page's server began, {age} ago",
        "optional": "optional; not started",
    },
    "service_name": {**texts.SERVICES, "simulators": "Simulated devices", "broker": BROKER},
    "service_columns": list(SERVICE_COLUMNS),
    "ago": "{age} ago",
    "hz": "{n} Hz",
    "ppm": "{n} ppm",
    "percent": "{n} %",
    "samples": "{n}",
    "samples_s": "{n} s",
    "ms": "{n} ms",
    "s": "{n} s",
    "h": "{n} h",
    "mb": "{n} MB",
    "open": "Details of {name}",
    "detail_claims": "What it says",
    "detail_arrives": "What arrives",
    "detail_refused": "Refused messages",
    "detail": {
        "device": "Id",
        "model": "Model",
        "firmware": "Firmware",
        "source": "Source",
        "lead": "Lead",
        "unit": "Unit",
        "time_zone": "Time zone",
        "fs_claimed": "Claimed rate",
        "fs_measured": "Measured rate",
        "rate_off": "Off by",
        "mapper": "Read by",
        "session": "Session",
        "lost": "Lost samples",
        "offset": "Clock offset",
        "delay": "Delay",
        "doubts": "Doubts",
    },
    "mapper": {"true": "a mapper (docs/mappers.md)", "false": "wire v1, as it comes"},
    "lost_of": "{n} ({seconds} s)",
    "refused_none": "No message of this device was refused, of those that are kept.",
    "refused_loading": "Looking for refused messages.",
    "refused_more": "The newest 20 of each device are kept; wristlead ingest --inspect shows all bytes.",
    "refused_cut": "{n}+",
    "refused_unknown": UNKNOWN_DEVICE,
    "refused_unknown_help": UNKNOWN_DEVICE_HELP,
    "unreadable": texts.STORE_UNREADABLE,
    "close": "Close",
    "not_live": "This page has lost its server: nothing here is known any more.",
    "device_one": "1 device",
    "device_many": "{count} devices",
}
