"""What is known of a stretch of ECG and may be said of it; nothing else is.

Built from a verdict and vitals (`facts_of`), or by whoever has judged a whole recording. None is unknown.
"""

from dataclasses import dataclass
from enum import StrEnum

from inference.verdict import Finding, Indeterminate, Presence, Rhythm, Superclass, Verdict
from ingest.quality import SignalState
from ingest.vitals import RATE_RANGE_BPM, Vitals

WINDOW_S = 10.0
VERY_SLOW_BPM, SLOW_BPM, FAST_BPM, VERY_FAST_BPM = 40.0, 60.0, 100.0, 150.0
MOSTLY = 0.5  # share of a recording that must be readable before anybody is told that there is nothing
ABNORMAL = (Superclass.MI, Superclass.STTC, Superclass.CD, Superclass.HYP)
_PLACE = {superclass: at for at, superclass in enumerate(Superclass)}
URGENT = (Superclass.MI, Superclass.STTC)  # what may stand for the heart's blood supply


class RateBand(StrEnum):
    """Where a heart rate lies for an adult at rest."""

    UNKNOWN = "unknown"
    VERY_SLOW = "below 40"
    SLOW = "40 to below 60"
    USUAL = "60 to 100"
    FAST = "above 100 to 150"
    VERY_FAST = "above 150"


class Advice(StrEnum):
    """When to see somebody; one of them is always given, the first that applies."""

    TODAY = "today"  # the rate is very slow or very fast
    SOON = "in the next days"  # MI or STTC present, or atrial fibrillation found
    VISIT = "at the next visit"  # anything else that was found, or may be there
    AGAIN = "record again"  # too little could be judged to say anything
    NONE = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Either five findings in Superclass order, or the reason why there are none, or neither: not judged."""

    length_s: float | None  # of the ECG that was looked at
    readable_share: float | None = None  # of it, 0..1
    lead: str | None = None  # as which it was read: "I" or "II"
    lead_inferred: bool = False
    findings: tuple[Finding, ...] = ()
    indeterminate: Indeterminate | None = None
    rhythm: Rhythm | None = None  # the one to name
    rhythm_probability: float | None = None
    rhythm_is_sure: bool = True  # False: atrial fibrillation is most probable, and below its limit
    heart_rate_bpm: float | None = None
    irregular: bool | None = None  # the intervals, as in atrial fibrillation
    signal: SignalState | None = None  # of the newest seconds

    def __post_init__(self) -> None:
        """Refuse what no verdict can be."""
        if self.findings and tuple(each.superclass for each in self.findings) != tuple(Superclass):
            raise ValueError(f"findings are {self.findings}, want one for each of {', '.join(Superclass)}")
        if self.findings and self.indeterminate is not None:
            raise ValueError(f"findings and the reason {self.indeterminate}: want one of them")
        low, high = RATE_RANGE_BPM
        if self.heart_rate_bpm is not None and not low <= self.heart_rate_bpm <= high:
            raise ValueError(f"heart rate is {self.heart_rate_bpm} bpm, want {low:g} to {high:g}, or None")
        for name in ("rhythm_probability", "readable_share"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} is {value}, want 0 to 1, or None")

    def finding(self, superclass: Superclass) -> Finding | None:
        """That of one superclass; None when nothing was judged."""
        return self.findings[_PLACE[superclass]] if self.findings else None

    def has(self, superclass: Superclass, presence: Presence) -> bool:
        """True when it was judged so."""
        found = self.finding(superclass)
        return found is not None and found.presence is presence

    def those(self, presence: Presence) -> tuple[Superclass, ...]:
        """What of MI, STTC, CD and HYP was judged so."""
        return tuple(each for each in ABNORMAL if self.has(each, presence))

    @property
    def has_af(self) -> bool:
        """Atrial fibrillation is the rhythm, above its limit."""
        return self.rhythm is Rhythm.AF and self.rhythm_is_sure

    @property
    def may_have_af(self) -> bool:
        """Atrial fibrillation is most probable, and below its limit."""
        return self.rhythm is Rhythm.AF and not self.rhythm_is_sure

    @property
    def is_judged(self) -> bool:
        """There are findings."""
        return bool(self.findings)

    @property
    def band(self) -> RateBand:
        """Where the heart rate lies."""
        if self.heart_rate_bpm is None:
            return RateBand.UNKNOWN
        rate = round(self.heart_rate_bpm)  # as it is said, so that no sentence contradicts its own number
        if rate < VERY_SLOW_BPM:
            return RateBand.VERY_SLOW
        if rate < SLOW_BPM:
            return RateBand.SLOW
        if rate <= FAST_BPM:
            return RateBand.USUAL
        return RateBand.FAST if rate <= VERY_FAST_BPM else RateBand.VERY_FAST

    @property
    def advice(self) -> Advice:
        """The first that applies."""
        present = self.those(Presence.PRESENT)
        if self.band in (RateBand.VERY_SLOW, RateBand.VERY_FAST):
            return Advice.TODAY
        if self.has_af or any(each in URGENT for each in present):
            return Advice.SOON
        is_odd = self.may_have_af or self.rhythm is Rhythm.OTHER or self.irregular is True
        is_doubtful = bool(present or self.those(Presence.UNCERTAIN))
        if is_odd or is_doubtful or self.band in (RateBand.SLOW, RateBand.FAST):
            return Advice.VISIT
        is_whole = self.has(Superclass.NORM, Presence.PRESENT) and self.rhythm is Rhythm.NORMAL
        is_clear = self.signal in (None, SignalState.GOOD) and (self.readable_share or 1.0) >= MOSTLY
        return Advice.NONE if is_whole and is_clear and self.band is RateBand.USUAL else Advice.AGAIN


def facts_of(verdict: Verdict | None, vitals: Vitals | None) -> Facts:
    """The newest window of a device, and how its heart goes now; either may be missing."""
    rhythm = max(verdict.rhythm, key=lambda each: each.probability) if verdict and verdict.rhythm else None
    is_sure = rhythm is None or rhythm.threshold is None or rhythm.probability >= rhythm.threshold
    return Facts(
        length_s=None if verdict is None else WINDOW_S,
        lead=None if verdict is None else verdict.lead,
        lead_inferred=verdict is not None and verdict.lead_inferred,
        findings=() if verdict is None else verdict.findings,
        indeterminate=None if verdict is None else verdict.indeterminate,
        rhythm=None if rhythm is None else rhythm.rhythm,
        rhythm_probability=None if rhythm is None else rhythm.probability,
        rhythm_is_sure=is_sure,
        heart_rate_bpm=None if vitals is None else vitals.heart_rate_bpm,
        irregular=None if vitals is None else vitals.irregular,
        signal=None if vitals is None else vitals.signal,
    )
