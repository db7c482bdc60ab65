"""The words of the page of the model; every number in them comes from the card's data."""

from inference.verdict import SUPERCLASS_NAMES

TITLE = "The model"
LOADING = "Reading the model's card."
MISSING = "The card of these weights cannot be read: {reason}"
IN_FORCE_TITLE = "In force now"
IN_FORCE = {
    "version": "Inference uses",
    "card": "This card is of",
    "checksum": "SHA-256",
    "file": "The file here",
    "rhythm": "Rhythm network",
    "trained": "Trained on",
    "size": "Size",
}
FILE_RIGHT = "is the one that the card describes"
FILE_WRONG = "is NOT the one that the card describes"
TRAINED = "{n:,} recordings of PTB-XL, leads I and II read on their own"
SIZE = "{parameters:,} parameters, {mmac:g} million multiply-adds for 10 s"
WAITING = "not heard yet"

PLAIN_TITLE = "What it can tell from one lead, and what it cannot"
PLAIN_INTRO = (
    "It looks at ten seconds of one lead. A heart seen from one side can look well while the other side "
    "does not. Nothing here is a diagnosis; whoever feels ill needs a 12-lead ECG and a person who reads "
    "it."
)
# heading, words; filled with `plain_figures` of model_view.py
PLAIN = {
    "Infarction (MI) is weak": (
        "Of 100 recordings with an infarction it calls {mi_present_i} present from lead I and "
        "{mi_present_ii} from lead II. It calls {mi_absent_i} and {mi_absent_ii} absent although it is "
        "there, and leaves the others open. “MI absent” rules nothing out."
    ),
    "Hypertrophy (HYP) rests on few examples": (
        "{hyp_share} of 100 recordings had it. Its figures (AUROC {hyp_auroc_i} and {hyp_auroc_ii}, of "
        "leads I and II) have wide intervals."
    ),
    "“Uncertain”": (
        "Between a clear yes and a clear no it does not choose. The limits are placed so that of "
        "recordings with a finding about 10 of 100 are called absent, and of those without about 10 of "
        "100 present. From lead I {uncertain_least} to {uncertain_most} of 100 answers stay uncertain, "
        "most for {uncertain_class}."
    ),
    "“Cannot tell”": (
        "Some windows get no findings at all: samples are missing, the lead is off or flat, the signal is "
        "noisy or saturated, the lead is neither I nor II, or the device samples too slowly. The "
        "patient's page says which, and what to do."
    ),
    "Swapped electrodes": (
        "It notices where a lead looks upside down, as with left and right swapped, and then gives no "
        "findings. An unusual heart can look so too, and not every swap shows: it asks, and does not "
        "know."
    ),
    "Atrial fibrillation (AF) is a matter of rhythm": (
        "A network of its own names it. Of 100 windows with AF it names {af_found}; of 100 windows with "
        "normal rhythm {af_false_normal}, with another rhythm {af_false_other}. An alarm needs three of "
        "five windows, and goes on while the intervals between beats are irregular."
    ),
    "Healthy people are often called abnormal": (
        "Of {handheld_n:,} handheld recordings that cardiologists labelled normal rhythm, "
        "{handheld_refused} of 100 were refused as unreadable. Of the rest {handheld_abnormal} of 100 "
        "were called abnormal. A normal rhythm can have an abnormal ECG, so not all of these are errors; "
        "most are reason for doubt."
    ),
    "It learnt from hospitals": (
        "Trained on clinical recordings at rest with gel electrodes, from one group of hospitals, where "
        "half of the patients are ill. At home far fewer are, and a “present” is wrong more often than "
        "its probability says."
    ),
}
CLASSES_TITLE = "By finding"
CLASSES_HELP = (
    "AUROC: of two recordings, one with and one without the finding, how often the one with it gets the "
    "higher number; .5 is guessing, 1 is always. The bar is its 95 % interval. Shares are of recordings: "
    "found, of those with it; missed (called absent), of those with it; false (called present), of those "
    "without."
)
CLASS_COLUMNS = ("Finding", "Lead", "AUROC", "95 %", "Has it", "Found", "Missed", "False", "Uncertain")
LIMITS_TITLE = "Thresholds in force"
LIMITS_HELP = (
    "Below the first number a finding is absent, above the second present, between them uncertain. The "
    "third is the line in the patient's bars: where one number decides best (F1)."
)
LIMIT_COLUMNS = ("Finding", "Lead", "Absent below", "Present above", "Line")
RHYTHM_TITLE = "Rhythm"
RHYTHM_HELP = (
    "{n:,} handheld recordings, {folds} folds: each is judged by a network that never met it. AF is "
    "called at {af_limit} and above, noise at {noisy_limit} and above."
)
RHYTHM_COLUMNS = (
    "Rhythm",
    "Recordings: F1",
    "95 %",
    "Windows: F1",
    "Windows: AUROC",
    "Called AF",
    "Called noisy",
)
RHYTHM_NAMES = {"N": "Normal", "A": "Atrial fibrillation", "O": "Other", "~": "Noisy"}
GROUPS_TITLE = "Whom it serves worse: lead {lead}"
GROUPS_HELP = "AUROC; -- where a group has fewer than ten recordings with or without the finding."
GROUP_COLUMNS = ("Group", "Recordings", "All findings", "95 %", "NORM", "MI", "STTC", "CD", "HYP")
CARD_TITLE = "The whole card"
CARD_MISSING = "These weights come without a written card."
NAMES = {str(superclass): name for superclass, name in SUPERCLASS_NAMES.items()}

SCRIPT = {
    "waiting": WAITING,
    "said": "{model}, said {age} ago",
    "other": "{model}: not the one of this card",
    "silent": "unknown: inference is not heard",
}
