"""The words of the page of settings."""

from dashboard import texts

TITLE = "Settings"
INTRO = (
    "What is set here counts for everybody, on every screen. It is checked by the service that owns it, "
    "and written down with who and when."
)
SECTIONS = {
    "sites": "Sites",
    "patients": "Patients",
    "channels": "Notifications",
    "keeping": "How long it is kept",
    "log": "What was changed",
}
SECTIONS_LABEL = "Sections of this page"
LOADING = "Asking what is set."
SITES_HELP = "A site's limits count for each of its patients that has none of their own."
SITE_COLUMNS = ("Site", "Name", "Patients", "Limits, bpm", "Change")
PATIENTS_HELP = (
    "A name ends with the patient's discharge, as do their own limits. It leaves the house in "
    "notifications only where a channel is told to show names (docs/notify.md)."
)
PATIENT_COLUMNS = ("Patient", "Name", "Device says", "Limits, bpm", "Change")
NOBODY = "Nobody is here yet. Patients appear when a device sends."
KEEPING_HELP = (
    "Waveforms, windows, verdicts and explanations are deleted when they are older. Alarms, names, notes "
    "and this log stay."
)
KEEPING_FIELDS = {"now": "Kept", "default": "Default", "set": "Set", "deletes": "Deletes"}
KEEPING_LABEL = "Keep for"
KEEPING_DAYS = "days"
KEEPING_ALL = "Keep everything"
KEEPING_SAVE = "Change"
KEEPING_RESET = "Default"
LOG_COLUMNS = ("When", "Who", "What", "Of", "Before", "After", "Undo")
LOG_NONE = "Nobody has changed anything yet."
LOG_HELP = "Undo sets the value of before again, which is written down too."

WHAT = {
    "limits": "Limits",
    "name": "Name",
    "pause": "Pause",
    "discharge": "Discharge",
    "retention": "Keeping",
    "annotation": "Note",
}
LIMIT_NAMES = {
    "rate_extreme_low_bpm": "extreme low",
    "rate_low_bpm": "low",
    "rate_high_bpm": "high",
    "rate_extreme_high_bpm": "extreme high",
}
LIMIT = "{name} {value}"
INHERITED = "inherited"
NONE = texts.UNKNOWN
KEEP_ALL = "for ever"
KEEP_DAYS = "{days} days"
KEEP_DEFAULT = "default"
PAUSE_WORDS = {"on": "on", "off": "off"}

SCRIPT = {
    "none": NONE,
    "nobody": NOBODY,
    "log_none": LOG_NONE,
    "keep_label": KEEPING_LABEL,
    "keep_unit": KEEPING_DAYS,
    "keep_everything": KEEPING_ALL,
    "keep_save": KEEPING_SAVE,
    "keep_reset": KEEPING_RESET,
    "site_default": "As installed",
    "site_reset": "As installed for all",
    "everything": "everything",
    "rename": "Rename",
    "rename_label": "Rename {name}",
    "limits": "Limits",
    "limits_label": "Limits of {name}",
    "name_title": "What is {scope} called?",
    "name_field": "Name",
    "name_help": "Up to 64 characters, on every screen. Without a name it is called {own}.",
    "name_long": "{count} characters are too many: want at most 64.",
    "name_save": "Save",
    "name_reset": "Take the name away",
    "given_by": "{who}, {time}",
    "patients": "{count}",
    "limits_sources": {"patient": "patient's own", "site": "set for the site", "settings": "installation's"},
    "extreme": "extreme {limits}",
    "site_column": list(SITE_COLUMNS),
    "patient_column": list(PATIENT_COLUMNS),
    "log_column": list(LOG_COLUMNS),
    "undo": "Undo",
    "undo_label": "Undo: {what} of {scope}, from {after} back to {before}",
    "undone": "Set back.",
    "asking": "Asking.",
    "refused": "Refused: {reason}",
    "no_answer": "No answer. Nothing is known to have changed.",
    "not_live": "This page is not live: nothing was changed.",
    "unreadable": texts.STORE_UNREADABLE,
    "keep_days": "for {days} days",
    "keep_all": "for ever",
    "keep_default": "{days} by the option --keep-days",
    "keep_by_default": "nobody has set another time",
    "keep_set": "by {who}, {time}",
    "keep_deletes": "what is older, from {time} on: until then undoing loses nothing",
    "keep_deletes_now": "what is older, once a minute",
    "keep_deletes_never": "nothing",
    "keep_unknown": "unknown: ingest has not said",
    "keep_range": "Want a number of days from 0.1 to 36,500.",
    "keep_title": "Keep only {wanted}?",
    "keep_loses": (
        "Everything that came before {before} will be deleted: at least {windows} windows of 10 s with "
        "their waveforms and verdicts, of {devices} devices, the oldest of {oldest}. It cannot be had "
        "back."
    ),
    "keep_loses_nothing": "Nothing that is stored now is that old. From now on what gets older is deleted.",
    "keep_grace": "Deleting begins 10 minutes after this, so that it can still be undone.",
    "keep_confirm": "Delete them",
    "keep_confirm_nothing": "Keep {wanted}",
    "saved": "Saved.",
}
