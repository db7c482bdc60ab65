"""Every English word of the patient page: as the server lays it out, and as its scripts say it (SCRIPT)."""

from typing import Any

from dashboard import texts
from inference.explain.extra import REMEDY

INTERVALS_TITLE = "Heart rate variability and rhythm"
INTERVALS = {
    "rmssd": ("RMSSD", "Differences from beat to beat, of the normal beats of the last 5 minutes"),
    "sdnn": ("SDNN", "Spread of the intervals between normal beats of the last 5 minutes"),
    "ectopic": ("Early beats", "Beats of the last minute that came too early"),
    "regularity": ("Intervals", "Irregular as in atrial fibrillation, and for how long"),
}
REVIEW = "Review"

PAPER_LABEL = "Live trace. Keys: F freezes, plus and minus change the gain, less and greater the speed."
KEYS = "Keys on the paper: F freezes, + - gain, < > speed"
GAINS = ("Gain", "mm/mV", (5, 10, 20))
SPEEDS = ("Speed", "mm/s", (12.5, 25, 50))
FREEZE = "Freeze"
SCREEN_SIZE = "Screen size"
SCREEN_SIZE_TITLE = "Measure this screen, so that a millimetre on the paper is one"
LIVE_AGAIN = "Live again"
CALIPERS_LABEL = "Calipers"
BETWEEN_MARKS = "Between A and B"
ON_TRACE = "Marks lie on the trace"
MARCH_OUT = "March out"
MARKS_HERE = "Marks here"
SCROLL = "Back through the last minute"
MEASURE_WARNING = (
    "The 0.5-40 Hz filter bends ST segments and rounds sharp waves: measure intervals here, "
    "no ST levels. Marks stand on samples; nothing is read between them."
)

WHY = "Why?"
WHY_TITLE = "Why"
WHY_CLOSE = "Close"
WHY_HELP = (
    "What the networks see of these 10 s, and which parts of it speak for the answer or against it. "
    "It tells how the model reads, not what the heart has."
)
WHY_ANSWERS = "Answer to explain"
WHY_BARE = "Show the plots alone"
WHY_FOR = "speaks for"
WHY_AGAINST = "speaks against"
WHY_WAVE = "Grad-CAM over the waveform"
WHY_SHAP = "GradientShap over the waveform"
WHY_LAG = "Lag plot, with Grad-CAM"
WHY_LAG_HELP = (
    "Each row compares every moment with one a fixed time before: light is higher, dark is lower. "
    "Short times show the shape of a wave, long ones whether it comes back."
)
WHY_RHYTHM = "Rhythm plot, with Grad-CAM"
WHY_RHYTHM_HELP = (
    "The same of the steepness of the signal: a regular rhythm draws level lines, "
    "atrial fibrillation breaks them."
)
WHY_BEAT = "Beat plot, with Grad-CAM"
WHY_BEAT_HELP = "Each point compares two moments of the mean beat of these 10 s."
SHAP_ASK = "Ask for GradientShap"

TRENDS_TITLE = "Trends"
TRENDS_SPAN = ("Time shown", "h", (1, 8, 24))
TRENDS_LOADING = "Looking for the trends."
TRENDS_HELP = "Dashed: the limits in force. The band goes from the least to the most; gaps were not known."

NOTES_TITLE = "Notes"
NOTES_LOADING = "Looking for notes."
NOTE_LABEL = "New note"
NOTE_ADD = "Add"
NOTE_MOST = 500  # characters; inference.alarms.annotations refuses more

WINDOW_GONE = "Nothing of this window is left: its samples are kept no longer, or were never stored."
WINDOW_INCOMPLETE = "No plots: samples of this window are missing, and it is not stored yet."
WINDOW_UNSUPPORTED = "No plots: the window is not 10 s of a signal of 50 Hz or more."
WINDOW_LIVE = "Drawn from the newest samples; the window itself is not stored yet."

SCRIPT: dict[str, Any] = {
    "scale": "{speed} mm/s · {gain} mm/mV · 0.5-40 Hz",
    "unmeasured": "scale not checked",
    "frozen": "FROZEN",
    "frozen_since": "at {time}, {age} ago",
    "frozen_ends": "live again in {age}",
    "mark": "Mark {name}",
    "mark_value": "{age} before the freeze, {mv}",
    "mv": "{mv} mV",
    "ms": "{ms} ms",
    "mark_hint": "Arrow keys move it, with Shift ten times as far",
    "resolution": "To {ms} ms: the device sends {fs} samples a second",
    "scroll_back": "{age} back",
    "freeze": FREEZE,
    "live_again": LIVE_AGAIN,
    "scroll_label": SCROLL,
    "screen_title": "Measure this screen",
    "screen_help": (
        "Hold a bank card to the screen and drag the slider until the bar is as long as its {side} side. "
        "Or measure the bar with a ruler and write its length below."
    ),
    "screen_side": {"long": "long (85.6 mm)", "short": "short (54 mm)"},
    "screen_slider": "Length of the bar",
    "screen_length": "The bar is so long",
    "screen_factor": "{factor} pixels are a millimetre. Measure again after the browser's zoom was changed.",
    "screen_fault": "Want a length from 20 to 300 mm that makes a millimetre {least} to {most} pixels.",
    "screen_save": "Save",
    "screen_reset": "Not measured",
    "verdict_age": "{age} old",
    "why_of": "Window {from} to {to}, read as {lead}, model {model}",
    "why_newer": "A newer window has been judged since. This one stays until it is closed.",
    "why_loading": "Looking for the window.",
    "why_unreachable": "This window cannot be had from the server: {reason}",
    "why_none": "There is nothing to explain in this window: the model could not tell.",
    "why_asking": "Asking the explain service.",
    "why_queued": "Waiting for its turn.",
    "why_running": "Computing: {share} %",
    "why_done": "Done, fetching it.",
    "why_refused": "The explain service refused: {reason}",
    "why_silent": "The explain service has not answered.",
    "why_again": "Ask again",
    "shap_ask": SHAP_ASK,
    "shap_about": "Not asked for yet: it is computed when somebody asks.",
    "wave_label": "The waveform that the networks see",
    "why_no_service": (
        "The explain service is not running, so no new explanations are made. `wristlead run` and `wristlead "
        f"demo` start it by themselves once it is installed ({REMEDY}); alone it is `wristlead explain`."
    ),
    "why_not_live": "This page is not live: nothing can be asked.",
    "why_other_model": "The stored explanation is of another model ({model}) and is not shown.",
    "why_error": (
        "The parts add up to {sum} logits; against a flat line the window moved the answer by {effect}. "
        "They miss {error}: {word}."
    ),
    "why_error_words": {
        "good": "they account for it",
        "fair": "a rough account",
        "poor": "a poor account, a hint at most",
    },
    "why_made": "model {model}, made {time}",
    "why_scale": "full colour: {value} logits",
    "why_most": "{method}: speaks most for it at {for} s, most against it at {against} s",
    "methods": {"grad_cam": "Grad-CAM", "gradient_shap": "GradientShap"},
    "no_server": "the server does not answer",
    "trend_rate": "Heart rate",
    "trend_rmssd": "RMSSD",
    "trend_sdnn": "SDNN",
    "trends_of": "Up to {time}",
    "trends_failed": "The trends cannot be had: {reason}",
    "trends_failed_old": "As of {age} ago: new values cannot be had ({reason}).",
    "notes_none": "No notes yet.",
    "notes_cut": "The newest {most} are shown; the review page has all.",
    "notes_failed": "The notes cannot be had: {reason}",
    "notes_failed_old": "As of {age} ago: the list cannot be read anew ({reason}).",
    "note_label": NOTE_LABEL,
    "note_most": NOTE_MOST,
    "note_by": "{time} · {who}",
    "note_stored": "Stored.",
    "note_empty": "Write something first.",
    "note_remove": "Remove",
    "note_remove_of": "Remove the note of {who}, {time}",
    "note_remove_title": "Remove this note?",
    "note_remove_help": "It leaves every list. Who removed it, and when, stays in the store.",
    "rhythm_question": "AF",
    "unknown": texts.UNKNOWN,
}
