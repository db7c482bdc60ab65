"""Words of the review page; SCRIPT is what assets/review*.mjs say."""

TITLE = "Review"
CHOOSE = "Choose a patient"
CHOOSE_HELP = "Everybody of whom samples are stored, also those who have left."
CHOOSE_LOADING = "Looking for stored patients."
DAY = "Day"
DAY_BEFORE = "Day before"
DAY_AFTER = "Day after"
SPANS_LABEL = "Time shown"
SPANS = {86_400: "24 h", 28_800: "8 h", 3600: "1 h", 600: "10 min", 60: "1 min", 10: "10 s", 1: "1 s"}
ZOOM_IN, ZOOM_OUT = "Closer", "Wider"
EARLIER, LATER = "Earlier", "Later"
NOW = "Now"
TRUE_SCALE = "25 mm/s"
TRUE_SCALE_HELP = "25 mm a second on this screen"
GAIN_HELP = "Height of a millivolt on this screen"
FILTER = "Filter"
FILTER_HELP = "0.5-40 Hz monitor filter; it bends ST segments"
ANNOTATE = "Annotate"
EXPORT = "Export"
LIVE_LINK = "Live"
ALARMS_TITLE = "Alarms in this time"
NOTES_TITLE = "Annotations in this time"
WINDOW_TITLE = "Window under the cursor"
CANVAS_HELP = (
    "Drag to move, turn the wheel or pinch to zoom. Keys: arrows move, + and - zoom, Page Up and Page Down "
    "go one picture, Home and End to the beginning and the end of the day, A annotates."
)
JUMP_FIRST, JUMP_LAST = "First stored", "Last stored"
LOADING = "Looking for what is stored."

SCRIPT = {
    "day": DAY,
    "choose_empty": "Nothing is stored yet.",
    "choose_last": "last samples {time}",
    "choose_failed": "The stored patients cannot be listed: {reason}",
    "lanes": {
        "alarms": "Alarms",
        "notes": "Annotations",
        "rate": "Heart rate, bpm",
        "findings": "Findings",
        "rhythm": "Rhythm",
        "quality": "Usable signal",
        "wave": "ECG",
        "wave_far": "The waveform is shown below {most}.",
        "wave_envelope": "least and most of each column",
    },
    "wave_of": "ECG, lead {lead}, {filter}",
    "gain": "{gain} mm/mV",
    "filter_on": "0.5-40 Hz",
    "filter_off": "unfiltered",
    "late": "came late",
    "no_data": "no samples",
    "loading": "Looking for what is stored.",
    "failed": "This cannot be read now: {reason}",
    "offline": "The server does not answer.",
    "empty": "Nothing is stored of this time.",
    "gone": "Nothing is stored of this time: the oldest samples are of {time}.",
    "future": "This time is still to come.",
    "never": "Nothing is stored of this patient.",
    "newer": "Newer: samples up to {time}.",
    "label": "From {from} to {to}. {alarms} alarms, {notes} annotations. Heart rate: {rate}.",
    "rate_band": "{least} to {most} bpm",
    "cursor": "{time}: {rate}",
    "rate_unknown": "rate unknown",
    "rate": "{value} bpm",
    "alarms_none": "No alarms.",
    "alarms_cut": "The newest {most} are shown.",
    "alarm_lasts": "still on",
    "alarm_lasted": "lasted {age}",
    "show": "Show",
    "strip": "Strip",
    "notes_none": "No annotations.",
    "notes_cut": "The newest {most} are shown.",
    "note_by": "{who}, {time}",
    "note_change": "Change",
    "note_remove": "Remove",
    "note_new": "New annotation",
    "note_edit": "Change annotation",
    "note_text": "Words (at most 500 characters)",
    "note_moment": "This moment: {time}",
    "note_span": "The time shown: {from} to {to}",
    "note_kept": "As it is: {from}",
    "note_kept_span": "As it is: {from} to {to}",
    "note_when": "Of",
    "note_save": "Save",
    "note_remove_title": "Remove this annotation?",
    "note_empty": "Write something first.",
    "window_none": "No verdict of this moment.",
    "window_far": "Zoom in to see verdicts of single windows.",
    "window_of": "{from} to {to}, model {model}",
    "export_title": "Export what is shown",
    "export_kinds": {
        "png": ["PNG", "The picture of the ECG", 60],
        "pdf": ["PDF", "The ECG on grid paper, 25 mm/s and 10 mm/mV", 600],
        "wfdb": ["WFDB", "As the device sent it, with verdicts and alarms (ZIP)", 86_400],
        "edf": ["EDF+", "As the device sent it, with verdicts and alarms (ZIP)", 86_400],
        "csv": ["CSV", "As the device sent it, one line a sample (ZIP)", 86_400],
    },
    "export_too_long": "at most {most}",
    "export_paper": "Paper",
    "export_papers": {"a4": "A4", "letter": "Letter"},
    "export_name": "Write the patient's display name on it",
    "export_get": "Download",
    "export_busy": "Making the file.",
    "export_done": "Done.",
}
