"""The alarm rules: what was observed of one device -> what each rule sees, in words with value and limit.

Every reading is pure: (observed, now, limits) -> Present, Ended or None. None means that the rule cannot
tell, or not yet: an alarm that is on stays on, none is raised. The figures are those of docs/alarms.md; the
technical rules are in technical.py.
"""

from dataclasses import dataclass
from typing import NamedTuple

from inference.alarms.alarm import AlarmKind, AlarmPriority, AlarmQueue
from inference.alarms.observed import SECOND_US, Observed, Vote
from inference.verdict import Presence, Rhythm, Superclass
from ingest.settings import Settings
from ingest.vitals import SignalState

ASYSTOLE_S = 4.0  # rule 2: no QRS for 4 s
NO_BEAT_YET_S = (
    10.0  # no beat since the signal became good: time for a detector to settle, then it is asystole
)
GLIMPSE_S = 2.0  # of good signal between noise: a beat of 40 bpm would have shown, and was found 0.4 s later
FRESH_S = 5.0  # older data describes the past; from 10 s on the no-data alarm takes over
INSIDE_S = 3.0  # rule 3: a rate alarm ends after 3 s inside the limit ...
INSIDE_BPM = 3.0  # ... by 3 bpm
VOTES_NEEDED = 3  # rule 6: 3 of the last 5 windows

FINDINGS = {
    AlarmKind.FINDING_MI: Superclass.MI,
    AlarmKind.FINDING_STTC: Superclass.STTC,
    AlarmKind.FINDING_CD: Superclass.CD,
    AlarmKind.FINDING_HYP: Superclass.HYP,
}
ADVISORY = (*FINDINGS, AlarmKind.AF)
LATCHING = frozenset({AlarmKind.ASYSTOLE, AlarmKind.EXTREME_RATE})
BLINDING = frozenset(
    {AlarmKind.LEAD_OFF, AlarmKind.SIGNAL, AlarmKind.NO_DATA}
)  # nothing can be seen of the lead
TECHNICAL = BLINDING | {AlarmKind.BATTERY, AlarmKind.NOTIFIER, AlarmKind.SERVICE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Heart-rate limits of one patient in bpm; outside the outer pair is an extreme rate."""

    rate_low_bpm: float = 50.0
    rate_high_bpm: float = 120.0
    rate_extreme_low_bpm: float = 40.0
    rate_extreme_high_bpm: float = 150.0

    def __post_init__(self) -> None:
        """Raise ValueError unless extreme low <= low < high <= extreme high, and an alarm can end between."""
        if list(self.ordered) != sorted(self.ordered) or self.rate_low_bpm == self.rate_high_bpm:
            raise ValueError(
                "heart-rate limits must rise from extreme low over low and high to extreme high: "
                f"got {', '.join(f'{limit:g}' for limit in self.ordered)} bpm"
            )
        if self.rate_high_bpm - self.rate_low_bpm < 2 * INSIDE_BPM:
            raise ValueError(
                f"the limits {self.rate_low_bpm:g} and {self.rate_high_bpm:g} bpm are too near: want "
                f"at least {2 * INSIDE_BPM:g} bpm between, as an alarm ends {INSIDE_BPM:g} bpm inside of both"
            )

    @property
    def ordered(self) -> tuple[float, float, float, float]:
        """Extreme low, low, high, extreme high."""
        return (
            self.rate_extreme_low_bpm,
            self.rate_low_bpm,
            self.rate_high_bpm,
            self.rate_extreme_high_bpm,
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> "Limits":
        """The limits every device has unless it has its own."""
        return cls(
            rate_low_bpm=settings.rate_low_bpm,
            rate_high_bpm=settings.rate_high_bpm,
            rate_extreme_low_bpm=settings.rate_extreme_low_bpm,
            rate_extreme_high_bpm=settings.rate_extreme_high_bpm,
        )

    def of(self, kind: AlarmKind) -> tuple[float, float]:
        """Lower and upper limit of a rate alarm."""
        if kind is AlarmKind.EXTREME_RATE:
            return self.rate_extreme_low_bpm, self.rate_extreme_high_bpm
        return self.rate_low_bpm, self.rate_high_bpm


@dataclass(frozen=True, slots=True)
class Present:
    """A condition that is there now."""

    priority: AlarmPriority
    text: str
    since_us: int  # wall clock when it began
    value: float  # in the text's unit
    excess: float  # grows with how far the value is from where it should be; the largest makes the peak
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A condition that is over, with the words for an alarm that goes off with it."""

    text: str


Reading = Present | Ended | None  # None: the rule cannot tell, or not yet


def queue_of(kind: AlarmKind) -> AlarmQueue:
    """Rule 1: physiological, technical or advisory."""
    if kind in ADVISORY:
        return AlarmQueue.ADVISORY
    if kind in TECHNICAL:
        return AlarmQueue.TECHNICAL
    return AlarmQueue.PHYSIOLOGICAL


def read_asystole(seen: Observed, at_us: int) -> Reading:
    """Rule 2. Silence counts only while the signal is good: beats during lead-off cannot be missed.

    Without any beat since the signal became good (a new device, a new session) it is asystole after 10 s; and
    likewise when noise comes and goes for 10 s and no beat shows in the good signal between.
    """
    if seen.signal is not SignalState.GOOD or seen.data_age_s > FRESH_S:
        return None
    good_s = (at_us - seen.signal_since_us) / SECOND_US
    limit_s = NO_BEAT_YET_S if seen.since_beat_s is None else ASYSTOLE_S
    if seen.since_beat_s is not None and seen.since_beat_s < limit_s:
        return Ended("Beats seen again")
    silent_s = good_s if seen.since_beat_s is None else min(good_s, seen.since_beat_s)
    watched_s = min((at_us - seen.watched_since_us) / SECOND_US, seen.since_beat_s or 0.0)
    if watched_s >= NO_BEAT_YET_S and good_s >= GLIMPSE_S:
        silent_s = watched_s
    if silent_s < limit_s:
        return None
    since_us = at_us - round(silent_s * SECOND_US)
    return Present(AlarmPriority.HIGH, f"ASYSTOLE {in_words(silent_s)}", since_us, silent_s, silent_s)


def note_inside(seen: Observed, kind: AlarmKind, limits: Limits, at_us: int) -> None:
    """Remember since when the rate has been inside its limits by the margin; call it once for each vitals."""
    low, high = limits.of(kind)
    rate = _visible_rate(seen)
    if rate is not None and low + INSIDE_BPM <= rate <= high - INSIDE_BPM:
        seen.inside_us.setdefault(kind, at_us)
    else:
        seen.inside_us.pop(kind, None)


def read_rate(seen: Observed, kind: AlarmKind, limits: Limits, at_us: int) -> Reading:
    """Rule 3 for the extreme rate and the rate limit."""
    low, high = limits.of(kind)
    rate = _visible_rate(seen)
    if rate is None or low <= rate <= high:
        inside_us = seen.inside_us.get(kind, at_us)
        is_over = rate is not None and at_us - inside_us >= INSIDE_S * SECOND_US
        return Ended(f"HR {rate:.0f}, within {low:g}-{high:g}") if is_over else None
    sign, limit = ("<", low) if rate < low else (">", high)
    priority = AlarmPriority.HIGH if kind is AlarmKind.EXTREME_RATE else AlarmPriority.MEDIUM
    shown = f"{rate:.0f}" if round(rate) != round(limit) else f"{rate:.1f}"
    return Present(priority, f"HR {shown} {sign} {limit:g}", at_us, rate, abs(rate - limit))


class Ballot(NamedTuple):
    """What one window says of one advisory condition; it may speak neither for it nor against it."""

    name: str  # as the alarm's text names the condition
    probability: float
    threshold: float
    is_for: bool
    is_against: bool
    model: str


def read_advisory(seen: Observed, kind: AlarmKind, at_us: int) -> Reading:
    """Rule 6 over the last five windows that passed quality: three must agree, that it is there or not.

    Fibrillation does not end while the RR intervals are irregular: windows waver, an episode does not.
    """
    votes = seen.rhythm_votes if kind is AlarmKind.AF else seen.votes
    ballots = [ballot for vote in votes if (ballot := _ballot_of(vote, kind)) is not None]
    agreeing = [ballot for ballot in ballots if ballot.is_for]
    against = [ballot for ballot in ballots if ballot.is_against]
    if len(against) >= VOTES_NEEDED:
        if kind is AlarmKind.AF and seen.irregular is True:
            return None  # the intervals are as irregular as ever: it goes on
        name, p = against[-1].name, against[-1].probability
        return Ended(f"{name} over: {len(against)} of {len(ballots)} windows against it, p {p:.2f}")
    if len(agreeing) < VOTES_NEEDED:
        return None
    newest = agreeing[-1]
    p = newest.probability
    text = f"{newest.name} {len(agreeing)} of {len(ballots)} windows, p {p:.2f} ≥ {newest.threshold:.2f}"
    return Present(AlarmPriority.ADVISORY, text, at_us, p, p, newest.model)


def _ballot_of(vote: Vote, kind: AlarmKind) -> Ballot | None:
    """None where the window was not asked: no rhythm network read it, or it has no limit for AF."""
    if kind is AlarmKind.AF:
        return _ballot_on_af(vote)
    superclass = FINDINGS[kind]
    for found in vote.findings:
        if found.superclass is superclass:
            p, threshold = found.probability, found.threshold
            is_for = p >= threshold and found.presence is Presence.PRESENT
            return Ballot(superclass, p, threshold, is_for, p < threshold, vote.model)
    return None


def _ballot_on_af(vote: Vote) -> Ballot | None:
    """For atrial fibrillation where it is the most probable rhythm, and at or above its limit."""
    af = next((each for each in vote.rhythm if each.rhythm is Rhythm.AF), None)
    if af is None or af.threshold is None:
        return None
    is_most_probable = all(af.probability >= other.probability for other in vote.rhythm)
    is_for = is_most_probable and af.probability >= af.threshold
    return Ballot("AF", af.probability, af.threshold, is_for, not is_for, vote.model)


def in_words(seconds: float) -> str:
    """Whole seconds below a minute, then whole minutes, then whole hours; never rounded up."""
    if seconds < 60:
        return f"{int(seconds)} s"
    return f"{int(seconds / 60)} min" if seconds < 3600 else f"{int(seconds / 3600)} h"


def _visible_rate(seen: Observed) -> float | None:
    """The rate where the signal is good and the data fresh; None counts for nothing, neither in nor out."""
    is_visible = seen.signal is SignalState.GOOD and seen.data_age_s <= FRESH_S
    return seen.heart_rate_bpm if is_visible else None
