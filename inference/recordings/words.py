"""A summary -> the lines that people read, in the terminal and in reports alike."""

from inference.narrative.narrative import narrate
from inference.narrative.recording import facts_of_recording
from inference.narrative.sentences import Section
from inference.recordings.summary import Summary
from inference.verdict import SUPERCLASS_NAMES, Finding, Presence, Rhythm, Superclass

UNKNOWN = "--"
PRESENCES = (
    "Present and absent: beyond the limits that were set for each finding when the model was calibrated, "
    "which for rare ones lie far below one half; between them it is uncertain."
)
NAME_WIDTH = 48
DISCLAIMER = (
    "For education and research. Not a medical device, not a diagnosis. A finding can be wrong, and one lead "
    "cannot show everything: a heart attack may be invisible in it. If you feel unwell, call for help; do "
    "not wait for, or rely on, this report."
)


def name(file: str) -> str:
    """The end of a file's name, which tells recordings apart."""
    last = file.rpartition("/")[2]
    return last if len(last) <= NAME_WIDTH else f"...{last[3 - NAME_WIDTH :]}"


def length(summary: Summary) -> str:
    """`30.0 s`, `12 min 5 s`, `3 h 20 min`."""
    seconds = summary.length_s
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    return f"{minutes} min {rest_s} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def rate(summary: Summary) -> str:
    """`72 bpm`, with the range where it is wider than 5 bpm."""
    if summary.heart_rate_bpm is None:
        return UNKNOWN
    text = f"{summary.heart_rate_bpm:.0f} bpm"
    if summary.lowest_rate_bpm is None or summary.highest_rate_bpm is None:
        return text
    is_wide = summary.highest_rate_bpm - summary.lowest_rate_bpm > 5
    return f"{text} ({summary.lowest_rate_bpm:.0f}-{summary.highest_rate_bpm:.0f})" if is_wide else text


def readable(summary: Summary) -> str:
    """`100 %`."""
    return f"{summary.readable_share:.0%}".replace("%", " %")


def started(summary: Summary) -> str:
    """With its zone; or as the file has it, and that there is none."""
    if summary.start is not None:
        return summary.start.replace("T", " ")
    if summary.local_start is not None:
        return f"{summary.local_start.replace('T', ' ')} (time zone not told)"
    return UNKNOWN


def vendor(summary: Summary) -> str:
    """The vendor's verdict and rate."""
    rate_bpm = None if summary.vendor_rate_bpm is None else f"{summary.vendor_rate_bpm:.0f} bpm"
    return ", ".join(each for each in (summary.vendor_verdict, rate_bpm) if each) or UNKNOWN


def found(summary: Summary) -> str:
    """What is found, in one line: the rhythm, then what is present, most probable first."""
    rhythm = rhythm_line(summary)
    if summary.indeterminate is not None:
        return "; ".join(each for each in (rhythm, f"cannot tell: {summary.indeterminate}") if each)
    present = sorted(
        (each for each in summary.findings if each.presence is Presence.PRESENT),
        key=lambda each: -each.probability,
    )
    texts = [f"{SUPERCLASS_NAMES[each.superclass]} {share(each.probability)}" for each in present]
    return "; ".join(each for each in (rhythm, ", ".join(texts) or "no finding is certain") if each)


def rhythm_line(summary: Summary) -> str | None:
    """`normal rhythm .97`; None where no rhythm was told."""
    if summary.main_rhythm is None:
        return None
    told = {each.rhythm: each.probability for each in summary.rhythm}
    return f"{summary.main_rhythm} {share(told[summary.main_rhythm])}"


def share(probability: float) -> str:
    """`.97`, never a certainty."""
    return f"{min(0.99, max(0.01, probability)):.2f}"[1:]


def presence(finding: Finding) -> str:
    """A finding's presence for a table: `present`, `absent`, `uncertain`."""
    return str(finding.presence)


def finding_rows(summary: Summary) -> list[tuple[str, str, float, str]]:
    """(name, probability in words, probability, presence) of the five superclasses and the four rhythms."""
    rows = [
        (SUPERCLASS_NAMES[each.superclass], share(each.probability), each.probability, presence(each))
        for each in summary.findings
    ]
    named = {summary.main_rhythm: "named"}
    rows += [
        (str(each.rhythm), share(each.probability), each.probability, named.get(each.rhythm, ""))
        for each in summary.rhythm
        if each.rhythm is not Rhythm.NOISY or each.probability >= 0.01
    ]
    return rows


def fact_rows(summary: Summary) -> list[tuple[str, str]]:
    """(what, value) of a recording for a report."""
    lead = summary.lead or UNKNOWN
    told = "" if summary.lead_told == lead else f" (told: {summary.lead_told})"
    rows = [
        ("Started", started(summary)),
        ("Length", length(summary)),
        ("Device", summary.device or UNKNOWN),
        ("Lead", f"{lead}{told}"),
        ("Rate of samples", f"{summary.fs:g} Hz"),
        ("Heart rate", rate(summary)),
        ("Beats found", str(summary.beats)),
        ("Readable", f"{readable(summary)} of its seconds"),
        (
            "Windows of 10 s",
            f"{summary.windows_voting} of {summary.windows} gave findings{_why_not(summary)}",
        ),
        ("The device's own verdict", vendor(summary)),
        ("Model", summary.model),
    ]
    return [*rows, ("Found", found(summary))]


def plain(summary: Summary) -> list[tuple[str, str]]:
    """What was found in plain words: a heading and its sentences each."""
    narrative = narrate(facts_of_recording(summary))
    return [(str(section), narrative.of(section)) for section in Section if narrative.of(section)]


def note_lines(summary: Summary) -> list[str]:
    """Everything that was guessed or is to be known."""
    lines = [f"Guessed: {note.text}." if note.is_guess else f"{note.text}." for note in summary.notes]
    if summary.other_leads:
        lines.append(f"The file also holds {', '.join(summary.other_leads)}.")
    if any(each.superclass is Superclass.MI for each in summary.findings):
        lines.append("Most heart attacks cannot be seen in a single lead; that none is found rules none out.")
    return [line[0].upper() + line[1:] for line in lines]


def _why_not(summary: Summary) -> str:
    why = ", ".join(f"{n} {reason}" for reason, n in summary.reasons.items())
    return f"; not: {why}" if why else ""
