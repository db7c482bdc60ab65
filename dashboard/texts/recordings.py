"""Words of the pages of recordings; SCRIPT is what assets/recording*.mjs say."""

from typing import Any

TITLE = "Recordings"
ABOUT = (
    "Files of finished ECGs, from a watch, a phone, a strap or a recorder. Each is judged whole, and its "
    "device's own verdict stands beside ours. Names and birth dates are dropped on reading."
)
DROP = "Drop files here"
DROP_MORE = (
    "Apple Health (also export.zip), Samsung, Health Auto Export, Polar, WFDB with its files, EDF, FHIR, CSV "
    "and JSON, up to 1 GB."
)
CHOOSE = "Choose files"
HINTS_TITLE = "Say what the files do not tell"
HINTS_HELP = (
    "What you say goes before what a file says and before every guess. Leave empty what you do not know."
)
FIELDS = {
    "format": "Kind of file",
    "fs": "Rate",
    "unit": "Unit",
    "lead": "Lead",
    "column": "Column",
    "zone": "Time zone",
}
FIELD_HELP = {
    "format": "recognised by content",
    "fs": "Hz, such as 512",
    "unit": "mV, uV, or 2.5 uV",
    "lead": "I or II",
    "column": "name, or number from 1",
    "zone": "Europe/Berlin or +02:00",
}
DEMO_TITLE = "No file at hand?"
DEMO_HELP = "Add a demonstration ECG, recorded (PTB-XL, MIT-BIH) or simulated."
DEMO_KIND, DEMO_SECONDS, DEMO_ADD = "Kind", "Seconds", "Add demo ECG"
DEMO_KINDS = {
    "replay:NORM": "Normal",
    "replay:MI": "Myocardial infarction",
    "replay:STTC": "ST or T change",
    "replay:CD": "Conduction disturbance",
    "replay:HYP": "Hypertrophy",
    "replay:AF": "Atrial fibrillation",
    "replay:PVC": "Ventricular early beats",
    "replay:SVE": "Supraventricular early beats",
    "sinus:NORM": "Simulated: normal",
    "brady:NORM": "Simulated: slow",
    "tachy:NORM": "Simulated: fast",
    "af:NORM": "Simulated: atrial fibrillation",
    "ectopy:NORM": "Simulated: early beats",
    "sinus:MI": "Simulated: infarction",
    "sinus:STTC": "Simulated: ST or T change",
    "sinus:CD": "Simulated: conduction disturbance",
    "sinus:HYP": "Simulated: hypertrophy",
}
UPLOADS = "Files of this visit"
LIST = "Kept recordings"
LIST_LOADING = "Looking for recordings."
COLUMNS = ("Recording", "Length", "Readable", "Heart rate", "We find", "Its device says", "Its page")

UNKNOWN_RECORDING = "there is no such recording: it was removed, or comes in a moment"
NOT_STORED = "its samples are not in the store: not yet, or no longer"
DEMO_FAILED = "the simulator failed; the dashboard's log says how"
TOO_MANY_UPLOADS = "{most} files are being sent already: wait for one of them"
TOO_MANY_REPLAYS = "{most} recordings are being replayed: stop one of them first"

BACK = "Recordings"
LOADING = "Looking for this recording."
TRACE_TITLE = "ECG"
TRACE_HELP = "Drag to move, turn the wheel or pinch to zoom. Keys: arrows move, + and - zoom, Home and End."
POSITION = "Place in the recording"
WHOLE = "Whole recording"
WINDOWS_TITLE = "Windows of 10 s"
WINDOWS_HELP = "Choose one to see its verdict, its place in the trace, and why."
WORDS_TITLE = "In plain words"
FACTS_TITLE = "This recording"
TAKE_TITLE = "Take it away"
TAKE_PAPER = "Paper"
FILES = {
    "report/html": "Report (HTML)",
    "report/pdf": "Report (PDF)",
    "export/wfdb": "WFDB",
    "export/edf": "EDF+",
    "export/csv": "CSV",
    "report/fhir": "FHIR",
}
REPLAY = "Replay as live"
REMOVE = "Remove"

SCRIPT: dict[str, Any] = {
    "failed": "The recordings cannot be listed: {reason}",
    "none": "No recordings yet.",
    "waiting": "Waiting",
    "sending": "Sending {share} %",
    "reading": "Reading and judging",
    "reading_of": "Reading and judging: {done} of {of} files",
    "done_one": "1 recording",
    "done_many": "{count} recordings",
    "done_refused": "{count}, {refused} refused",
    "refused_only": "Refused",
    "broken": "Failed: {reason}",
    "lost": "the connection to the server broke",
    "line": "line {line}: {reason}",
    "more": "and {count} more",
    "again": "Read again",
    "again_help": "Wrong? Say it better above and read the file again.",
    "cancel": "Cancel",
    "guess": "guessed",
    "note": "note",
    "recognised": "{format}, {fs} Hz, lead {lead}, started {started}",
    "open": "Open",
    "columns": list(COLUMNS),
    "added": "added {time}",
    "demo": "Demo ECG: {kind}, {seconds} s",
    "unavailable": "This recording cannot be shown: {reason}",
    "settling": "It is being stored: windows and trace come in a few seconds.",
    "gone": "Its samples are kept no longer: add the file again to see its trace.",
    "whole": WHOLE,
    "window": "{from} to {to} s",
    "verdict_of": "{span}, read as {lead}, model {model}",
    "at": "{from} to {to} s of {length} s",
    "trace_label": "ECG, {from} to {to} s of {length} s, lead {lead}",
    "no_samples": "no samples",
    "windows_cut": "The first {count} windows are shown.",
    "unread": "cannot tell: {reason}",
    "nothing": "nothing certain",
    "making": "Making the file.",
    "made": "Done.",
    "not_made": "Not made: {reason}",
    "replay": REPLAY,
    "replay_stop": "Stop the replay",
    "replay_open": "It is replayed as a live device: open it",
    "replay_starting": "Starting the replay.",
    "replay_failed": "The replay cannot begin: {reason}",
    "remove_title": "Remove this recording?",
    "remove_help": (
        "It leaves this list for everybody. Its samples leave the store with all others of their age."
    ),
    "remove": REMOVE,
    "removed": "Removed.",
}
