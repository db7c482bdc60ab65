"""Every sentence that can be said, in order, each with its condition; docs/narrative.md is made from it.

A sentence is said when its condition holds. `{...}` are filled from the facts alone. A fixed sentence stays
as it is; the others may be put in other words by a language model (`rephrase.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from inference.narrative.facts import Advice, Facts, RateBand
from inference.verdict import SUPERCLASS_NAMES, Indeterminate, Presence, Rhythm, Superclass
from ingest.quality import SignalState

MI, STTC, CD, HYP, NORM = (Superclass(name) for name in ("MI", "STTC", "CD", "HYP", "NORM"))
PRESENT, UNCERTAIN, ABSENT = Presence.PRESENT, Presence.UNCERTAIN, Presence.ABSENT


class Section(StrEnum):
    """What a sentence is about."""

    SEEN = "What was seen"
    SURE = "How sure this is"
    CANNOT = "What it cannot mean"
    WHEN = "When to see someone"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One row of the table."""

    key: str
    section: Section
    condition: str  # in words
    text: str
    applies: Callable[[Facts], bool]
    is_fixed: bool = False


def _seen(key: str, condition: str, text: str, applies: Callable[[Facts], bool]) -> Sentence:
    return Sentence(key, Section.SEEN, condition, text, applies)


def _sure(key: str, condition: str, text: str, applies: Callable[[Facts], bool]) -> Sentence:
    return Sentence(key, Section.SURE, condition, text, applies)


def _fixed(
    key: str, section: Section, condition: str, text: str, applies: Callable[[Facts], bool]
) -> Sentence:
    return Sentence(key, section, condition, text, applies, is_fixed=True)


def _finds_nothing(facts: Facts) -> bool:
    """Judged, and neither present nor uncertain: MI, STTC, CD, HYP."""
    return facts.is_judged and not facts.those(PRESENT) and not facts.those(UNCERTAIN)


def _cannot_tell(reason: Indeterminate, text: str) -> Sentence:
    condition = f"no findings, as: {reason}"
    return _seen(
        f"cannot-tell-{reason.name.lower()}", condition, text, lambda facts: facts.indeterminate is reason
    )


def _present(superclass: Superclass, text: str) -> Sentence:
    key, name = f"{superclass.lower()}-present", SUPERCLASS_NAMES[superclass]
    return _seen(key, f"{name} ({superclass}) present", text, lambda facts: facts.has(superclass, PRESENT))


def _uncertain(superclass: Superclass, text: str) -> Sentence:
    key, name = f"{superclass.lower()}-uncertain", SUPERCLASS_NAMES[superclass]
    return _seen(
        key, f"{name} ({superclass}) uncertain", text, lambda facts: facts.has(superclass, UNCERTAIN)
    )


def _figure(superclass: Superclass, text: str) -> Sentence:
    return _sure(
        f"{superclass.lower()}-figure",
        f"{superclass} present or uncertain",
        text,
        lambda facts: facts.has(superclass, PRESENT) or facts.has(superclass, UNCERTAIN),
    )


def _signal(state: SignalState, text: str) -> Sentence:
    return _seen(
        f"signal-{state.name.lower()}", f"signal: {state}", text, lambda facts: facts.signal is state
    )


def _advice(advice: Advice, condition: str, text: str) -> Sentence:
    return _fixed(
        f"when-{advice.name.lower()}", Section.WHEN, condition, text, lambda facts: facts.advice is advice
    )


WHAT_WAS_READ = (
    _seen("not-judged", "neither findings nor a reason", "The model has judged no ECG yet.",
          lambda f: not f.is_judged and f.indeterminate is None),
    _seen("read", "findings; lead known", "The model has read {length} of lead {lead}.",
          lambda f: f.is_judged and f.lead is not None and not f.lead_inferred),
    _seen("read-inferred", "findings; lead recognised by the model",
          "The model has read {length} of ECG, and took it for lead {lead}; the device does not say which "
          "it is.",
          lambda f: f.is_judged and f.lead is not None and f.lead_inferred),
    _seen("read-untold", "findings; lead not known", "The model has read {length} of ECG.",
          lambda f: f.is_judged and f.lead is None),
    _seen("partly-readable", "findings; less than 95 % readable",
          "Only {readable} % of the recording could be read.",
          lambda f: f.is_judged and f.readable_share is not None and f.readable_share < 0.95),
    _cannot_tell(Indeterminate.MISSING_DATA,
                 "The shape of the beats cannot be judged, as samples are missing."),
    _cannot_tell(Indeterminate.LEAD_OFF,
                 "The shape of the beats cannot be judged, as an electrode has no contact."),
    _cannot_tell(Indeterminate.FLAT,
                 "The shape of the beats cannot be judged, as the line is flat."),
    _cannot_tell(Indeterminate.SATURATED,
                 "The shape of the beats cannot be judged, as the signal is beyond what the device can "
                 "measure."),
    _cannot_tell(Indeterminate.NOISY,
                 "The shape of the beats cannot be judged, as the signal is too noisy."),
    _cannot_tell(Indeterminate.UNSUPPORTED_LEAD,
                 "The shape of the beats cannot be judged, as it has not learned this lead."),
    _cannot_tell(Indeterminate.UNKNOWN_LEAD,
                 "The shape of the beats cannot be judged, as nobody knows which lead this is."),
    _cannot_tell(Indeterminate.INVERTED,
                 "The shape of the beats cannot be judged, as the trace looks upside down: "
                 "the electrodes may be swapped."),
    _cannot_tell(Indeterminate.UNSUPPORTED_RATE,
                 "The shape of the beats cannot be judged, as the device measures too seldom."),
)  # fmt: skip

SHAPE = (
    _seen("norm-present", "NORM present; nothing else present or uncertain; no atrial fibrillation found",
          "The shape of the beats looks normal to the model.",
          lambda f: f.has(NORM, PRESENT) and _finds_nothing(f) and not f.has_af),
    _seen("norm-likely", "NORM present; something uncertain, nothing else present; no atrial fibrillation",
          "The shape of the beats fits a normal ECG best, but the model is not sure.",
          lambda f: f.has(NORM, PRESENT) and bool(f.those(UNCERTAIN)) and not f.those(PRESENT)
          and not f.has_af),
    _seen("norm-beside-af", "nothing present or uncertain; atrial fibrillation found",
          "The model has found nothing else that it knows in the shape of the beats.",
          lambda f: _finds_nothing(f) and f.has_af),
    _seen("norm-contradicts", "NORM present, and MI, STTC, CD or HYP present",
          "The answers of the model contradict each other, so what follows is less sure than it looks.",
          lambda f: f.has(NORM, PRESENT) and bool(f.those(PRESENT))),
    _seen("norm-unsure", "NORM uncertain; nothing present or uncertain; no atrial fibrillation found",
          "The model has found nothing that it knows, but it is not sure that the shape of the beats is "
          "normal.",
          lambda f: f.has(NORM, UNCERTAIN) and _finds_nothing(f) and not f.has_af),
    _seen("norm-absent", "NORM absent; nothing present or uncertain; no atrial fibrillation found",
          "The shape of the beats does not look normal to the model, and it cannot say why.",
          lambda f: f.has(NORM, ABSENT) and _finds_nothing(f) and not f.has_af),
    _present(MI, "The beats resemble those of people who have had a heart attack at some time."),
    _present(STTC, "The part of each beat in which the heart recovers seems changed (ST segment or T wave)."),
    _present(CD, "The electrical impulse seems to spread through the heart in an unusual way, "
                 "as in a bundle branch block."),
    _present(HYP, "The size of the waves fits a thickened heart muscle."),
    _uncertain(MI, "The model is not sure whether the beats resemble those after a heart attack."),
    _uncertain(STTC, "The model is not sure whether the part of each beat in which the heart recovers is "
                     "changed."),
    _uncertain(CD, "The model is not sure whether the electrical impulse spreads in an unusual way."),
    _uncertain(HYP, "The model is not sure whether the size of the waves fits a thickened heart muscle."),
)  # fmt: skip

RHYTHM = (
    _seen("rhythm-unknown", "no rhythm judged", "The rhythm was not judged.", lambda f: f.rhythm is None),
    _seen("rhythm-noisy", "rhythm: noisy", "The rhythm cannot be told, as the signal is too noisy.",
          lambda f: f.rhythm is Rhythm.NOISY),
    _seen("rhythm-usual", "rhythm: normal; intervals not irregular",
          "The model has found no disturbance of the rhythm.",
          lambda f: f.rhythm is Rhythm.NORMAL and f.irregular is not True),
    _seen("rhythm-usual-irregular", "rhythm: normal; intervals irregular",
          "The model has found no disturbance of the rhythm, yet the time from beat to beat is irregular: "
          "the two do not agree.",
          lambda f: f.rhythm is Rhythm.NORMAL and f.irregular is True),
    _seen("af", "rhythm: atrial fibrillation, above its limit; intervals not regular",
          "The rhythm looks like atrial fibrillation.",
          lambda f: f.has_af and f.irregular is not False),
    _seen("af-regular", "rhythm: atrial fibrillation, above its limit; intervals regular",
          "The rhythm looks like atrial fibrillation, yet the time from beat to beat is regular: "
          "the two do not agree.",
          lambda f: f.has_af and f.irregular is False),
    _seen("af-possible", "rhythm: atrial fibrillation, below its limit",
          "The rhythm may be atrial fibrillation, but the model is not sure.", lambda f: f.may_have_af),
    _seen("rhythm-other", "rhythm: other",
          "The rhythm looks unusual, and the model cannot name it.", lambda f: f.rhythm is Rhythm.OTHER),
    _seen("irregular", "intervals irregular; rhythm unknown, noisy or other",
          "The time from beat to beat is irregular.",
          lambda f: f.irregular is True and f.rhythm in (None, Rhythm.NOISY, Rhythm.OTHER)),
)  # fmt: skip

RATE = (
    _seen("rate-unknown", "heart rate unknown", "The heart rate is not known.",
          lambda f: f.band is RateBand.UNKNOWN),
    _seen("rate-very-slow", "heart rate below 40",
          "The heart rate is {rate} beats a minute, which is very slow.",
          lambda f: f.band is RateBand.VERY_SLOW),
    _seen("rate-slow", "heart rate 40 to below 60",
          "The heart rate is {rate} beats a minute, which is slow; in sleep and in trained people it "
          "often is.",
          lambda f: f.band is RateBand.SLOW),
    _seen("rate-usual", "heart rate 60 to 100",
          "The heart rate is {rate} beats a minute, which is usual at rest.",
          lambda f: f.band is RateBand.USUAL),
    _seen("rate-fast", "heart rate above 100 to 150",
          "The heart rate is {rate} beats a minute, which is fast at rest; after effort it often is.",
          lambda f: f.band is RateBand.FAST),
    _seen("rate-very-fast", "heart rate above 150",
          "The heart rate is {rate} beats a minute, which is very fast at rest.",
          lambda f: f.band is RateBand.VERY_FAST),
    _signal(SignalState.LEAD_OFF, "An electrode has no contact at the moment."),
    _signal(SignalState.FLAT, "The line is flat at the moment: an electrode or the device fails."),
    _signal(SignalState.SATURATED, "The signal is beyond what the device can measure at the moment."),
    _signal(SignalState.NOISY, "The signal is noisy at the moment."),
    _signal(SignalState.SLOW_SAMPLING, "The device measures too seldom to find beats."),
    _signal(SignalState.NO_DATA, "Nothing comes from the device at the moment."),
)  # fmt: skip

HOW_SURE = (
    _figure(MI, "For a heart attack at some time the model gives {mi} %."),
    _figure(STTC, "For a changed recovery of the heart the model gives {sttc} %."),
    _figure(CD, "For an unusual spread of the impulse the model gives {cd} %."),
    _figure(HYP, "For a thickened heart muscle the model gives {hyp} %."),
    _sure("af-figure", "atrial fibrillation most probable; its probability known",
          "For atrial fibrillation the model gives {rhythm} %.",
          lambda f: f.rhythm is Rhythm.AF and f.rhythm_probability is not None),
    _sure("figures", "any of these figures is given",
          "These figures were checked on recordings of other people; for you they may be off.",
          lambda f: bool(f.those(PRESENT) or f.those(UNCERTAIN))
          or (f.rhythm is Rhythm.AF and f.rhythm_probability is not None)),
    _sure("short", "findings; shorter than a minute",
          "This rests on {length} alone: what comes and goes can be missed.",
          lambda f: f.is_judged and f.length_s is not None and f.length_s < 60.0),
)  # fmt: skip

LIMITS = (
    _fixed("hint", Section.CANNOT, "MI, STTC, CD or HYP present, or atrial fibrillation found",
           "What was found is a hint for a doctor, not a diagnosis: such findings also come up in healthy "
           "people.",
           lambda f: bool(f.those(PRESENT)) or f.has_af),
    _fixed("not-ruled-out", Section.CANNOT, "any of MI, STTC, CD, HYP absent",
           "What was not found can be there all the same.", lambda f: bool(f.those(ABSENT))),
    _fixed("one-lead", Section.CANNOT, "always",
           "One lead sees the heart from one side only: it cannot rule out a heart attack or too little "
           "blood to the heart muscle.", lambda _: True),
    _fixed("research", Section.CANNOT, "always",
           "Wristlead is made for education and research; it is not a medical device.", lambda _: True),
)  # fmt: skip

WHEN = (
    _fixed("emergency", Section.WHEN, "always",
           "With chest pain or pressure, fainting, trouble breathing, or sudden weakness or trouble "
           "speaking, call the emergency number at once, whatever is written here.", lambda _: True),
    _advice(Advice.TODAY, "heart rate below 40 or above 150",
            "If this is the heart rate at rest, speak to a doctor today."),
    _advice(Advice.SOON, "none of the above; MI or STTC present, or atrial fibrillation found",
            "Show this recording to a doctor in the next days, also if you feel well; "
            "an ECG with twelve leads can tell more."),
    _advice(Advice.VISIT, "none of the above; CD or HYP present, anything uncertain, atrial fibrillation "
            "possible, another rhythm, irregular intervals, or a heart rate below 60 or above 100",
            "Mention this to a doctor at your next visit, and earlier if it comes again or you feel unwell."),
    _advice(Advice.AGAIN, "none of the above, and not all of: NORM present, rhythm normal, heart rate known, "
            "signal good, half of the recording readable",
            "Too little could be judged to say more: sit still, check the electrodes, and record lead I or "
            "II again."),
    _advice(Advice.NONE, "none of the above",
            "Nothing here asks for a doctor; if you feel unwell, trust that more than this text."),
)  # fmt: skip

SENTENCES: tuple[Sentence, ...] = (*WHAT_WAS_READ, *SHAPE, *RHYTHM, *RATE, *HOW_SURE, *LIMITS, *WHEN)
