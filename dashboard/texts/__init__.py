"""Every English word on the pages as the server writes them; those of the scripts are in scripts.py."""

from inference.alarms.alarm import AlarmKind, AlarmPriority, AlarmState
from inference.verdict import Indeterminate

PRODUCT = "Wristlead"
UNKNOWN = "--"

RESEARCH_USE = "For education and research. Not a medical device: do not use it to watch or treat a patient."
NOTICE_TITLE = "Before you start"
NOTICE_TEXT = (
    "Wristlead shows live ECGs from wearables, with heart rates, alarms and findings that a model computed "
    "from a single lead. It is made for education and research. It is not a medical device, has not been "
    "cleared by any authority, and must not be used to watch, diagnose or treat a patient."
)
NOTICE_WHO = "Your name or initials"
NOTICE_WHO_HELP = "Stored in this browser, and written down with every alarm that you acknowledge."
NOTICE_ACCEPT = "I understand"
NOTICE_OPEN = "Notice and name"
SCALE = "25 mm/s · 10 mm/mV · 0.5-40 Hz monitor filter"
FILTER_WARNING = "The filter bends ST segments: do not measure them here."
NO_SCRIPT = "This page draws live waveforms and needs JavaScript."

THEME_LABEL = "Colours"
THEMES = {"dark": "Dark", "light": "Light", "system": "System"}

CHANNELS_HELP = "Ways by which people are told of alarms. Messages can be late or lost: rely on none of them."
CHANNELS_LOADING = "Looking for channels."
CHANNEL_COLUMNS = ("Channel", "State", "Is told", "Last delivery", "Sent, failed", "Test")
CHANNELS_NONE = "No channel is set up"
CHANNELS_NONE_HOW = "Write a file, for example channels.toml:"
CHANNELS_NONE_FILE = '[[channel]]\nname = "ward-phone"\nurl = "ntfys://ntfy.example.org/ward"'
CHANNELS_NONE_RUN = "and start Wristlead with it:"
CHANNELS_NONE_COMMAND = "wristlead run --notify-config channels.toml"
CHANNELS_NONE_MORE = "E-mail, chat, webhooks and who is told when: docs/notify.md."
SOUND_TEST = "Try the sounds"

NAV_LABEL = "Pages"
SKIP = "Skip to the content"
# (address, its name in the style sheet, word); the wall is the product's name too
NAVIGATION = (
    ("/", "wall", "Wall"),
    ("/alarms", "alarms", "Alarms"),
    ("/review", "review", "Review"),
    ("/recordings", "recordings", "Recordings"),
    ("/devices", "devices", "Devices"),
    ("/model", "model", "Model"),
    ("/settings", "settings", "Settings"),
)

WALL_TITLE = "All patients"
EMPTY_TITLE = "No device has been heard yet"
EMPTY_DEVICE = "Connect a device: let it publish wire v1 chunks to this broker, on the topic"
EMPTY_TOPIC = "ecg/v1/{site}/{device}/chunk"
EMPTY_DEMO = "Or start simulated patients in a second terminal:"
EMPTY_COMMAND = "wristlead simulate --patients 4"
LOADING = "Looking for patients"

BACK = "All patients"
NOT_FOUND = "There is no such page."
HEART_RATE = "Heart rate"
BPM = "bpm"
ALARMS_TITLE = "Alarms"
ACKNOWLEDGE = "Acknowledge"
LIMITS_EDIT = "Limits"
DISCHARGE = "Discharge"
LIVE_TITLE = "Live trace"
MINUTE_TITLE = "Last minute"
MINUTE_SCALE = "5 mm/mV"
RHYTHM_LABEL = "Rhythm"
VERDICT_TITLE = "What the model finds"
VERDICT_HELP = "The line is the threshold. Between a clear yes and a clear no, a finding is uncertain."

KINDS = {
    AlarmKind.ASYSTOLE: "Asystole",
    AlarmKind.EXTREME_RATE: "Extreme heart rate",
    AlarmKind.RATE_LIMIT: "Heart rate beyond its limits",
    AlarmKind.LEAD_OFF: "Lead off",
    AlarmKind.SIGNAL: "Poor signal",
    AlarmKind.NO_DATA: "No data",
    AlarmKind.BATTERY: "Battery",
    AlarmKind.FINDING_MI: "Model: MI",
    AlarmKind.FINDING_STTC: "Model: STTC",
    AlarmKind.FINDING_CD: "Model: CD",
    AlarmKind.FINDING_HYP: "Model: HYP",
    AlarmKind.AF: "Model: atrial fibrillation",
    AlarmKind.NOTIFIER: "Notification channel fails",
    AlarmKind.SERVICE: "Part of Wristlead is silent",
}
PRIORITIES = {
    AlarmPriority.HIGH: "High",
    AlarmPriority.MEDIUM: "Medium",
    AlarmPriority.LOW: "Low",
    AlarmPriority.ADVISORY: "Model finding",
}
STATES = {
    AlarmState.ON: "On",
    AlarmState.LATCHED: "Ended, not yet seen",
    AlarmState.ACK: "Acknowledged",
    AlarmState.OFF: "Off",
}

# (digits, unit) in which an alarm's peak is read
PEAKS = {
    AlarmKind.ASYSTOLE: (0, "s"),
    AlarmKind.EXTREME_RATE: (0, "bpm"),
    AlarmKind.RATE_LIMIT: (0, "bpm"),
    AlarmKind.LEAD_OFF: (0, "s"),
    AlarmKind.SIGNAL: (0, "s"),
    AlarmKind.NO_DATA: (0, "s"),
    AlarmKind.BATTERY: (0, "%"),
    AlarmKind.FINDING_MI: (2, ""),
    AlarmKind.FINDING_STTC: (2, ""),
    AlarmKind.FINDING_CD: (2, ""),
    AlarmKind.FINDING_HYP: (2, ""),
    AlarmKind.AF: (2, ""),
    AlarmKind.SERVICE: (0, "s"),
}
SERVICES = {
    "ingest": "Ingest",
    "inference": "Inference",
    "alarms": "The alarm service",
    "explain": "The explain service",
    "notify": "The notifier",
    "dashboard": "The dashboard",
}
CHANNEL_NAME = "Notification channel {name}"
ACTIVE_TITLE = "Now"
ACTIVE_COLUMNS = (
    "Priority",
    "Patient",
    "Alarm",
    "Since",
    "Lasts",
    "Times",
    "Peak",
    "State",
    "Strip",
    "To do",
)
LOADING_ALARMS = "Looking for alarms."
PAUSE = "Pause all for 2 min"
HISTORY_TITLE = "Past and present"
HISTORY_COLUMNS = ("Priority", "Patient", "Alarm", "Since", "Lasted", "Times", "Peak", "State", "Strip")
HISTORY_EMPTY = "No alarm of this kind in this time."
HISTORY_CUT = "The newest {most} are shown; choose a shorter time or a patient to see others."
HISTORY_LASTS = "lasts"
HISTORY_LATE = "Late data"
ESCALATED = "passed on: {count}"
SEEN_BY = "seen by {who}"
STRIP_LINK = "Strip"
SPANS = {
    "1": "Last hour",
    "8": "Last 8 hours",
    "24": "Last 24 hours",
    "168": "Last 7 days",
    "720": "Last 30 days",
}
FILTER_SPAN = "Time"
FILTER_DEVICE = "Patient"
FILTER_KIND = "Kind"
FILTER_PRIORITY = "Priority"
FILTER_STATE = "State"
FILTER_ANY = "Any"
NOISIEST_TITLE = "Most alarms an hour, last 24 hours"
NOISIEST_EMPTY = "No alarm in the last 24 hours."
NOISE_RATE = "{rate} an hour"
NOISE_PARTS = "{parts} · in {span}"
NOISE_HOURS, NOISE_MINUTES = "{count:.1f} h", "{count:.0f} min"
NOISE_WORDS = ("high", "medium", "low", "of the model")

ALARMS_LINK = "Alarms"
SINCE = "since"
STRIP_TITLE = "10 s before to 20 s after"
LOADING_STRIP = "Looking for the samples."
LOG_TITLE = "What became of it"
LOG_STRIP = "strip of this moment"
LOG_EMPTY = "Nothing is stored of this alarm."
LOG_WHO = "by {who}"
LOG_LIMITS = "limits {low}-{high}, extreme {lowest}-{highest} bpm"
LOG_MODEL = "model {model}"
EVENT_UNKNOWN = (
    "No such alarm is known here. The link may be mistyped, or lead to another installation of Wristlead."
)
EVENT_TO_COME = "The last {seconds} s are still to come; this strip fills in by itself."
EVENT_EMPTY = "No samples came around this time, so there is no strip."
EVENT_GONE = "The samples of this time are gone: they are kept for {days} days."
STORE_UNREADABLE = "The store cannot be read: {reason}"

# What to do where the model cannot tell; the reason itself is the value of `Indeterminate`.
REMEDIES = {
    Indeterminate.MISSING_DATA: "Samples of this window never came. Check the connection.",
    Indeterminate.LEAD_OFF: "Check the contact of the electrodes.",
    Indeterminate.FLAT: "Check the contact of the electrodes.",
    Indeterminate.SATURATED: "Check the contact of the electrodes, and keep still.",
    Indeterminate.NOISY: "Keep still, and check the contact of the electrodes.",
    Indeterminate.UNSUPPORTED_LEAD: "The model reads leads I and II only.",
    Indeterminate.UNKNOWN_LEAD: "The device does not say which lead this is, and the model is not sure.",
    Indeterminate.INVERTED: "The trace looks upside down. Check left and right.",
    Indeterminate.UNSUPPORTED_RATE: "The device samples too slowly, or in windows of another length.",
}

# What a wrong unit, rate or clock makes of a good trace: a doubt about these stands before such a reason.
DOUBTFUL = (Indeterminate.FLAT, Indeterminate.SATURATED, Indeterminate.NOISY)

STARS = {
    AlarmPriority.HIGH: "***",
    AlarmPriority.MEDIUM: "**",
    AlarmPriority.LOW: "*",
    AlarmPriority.ADVISORY: "Model:",
}
