"""The alarm rules: what was observed of one device -> what each rule sees, in words with value and limit.

Every reading is pure: (observed, now, limits) -> Present, ENDED or UNKNOWN. UNKNOWN means that the rule
cannot tell, or not yet: an alarm that is on stays on, none is raised. The figures are docs' alarm rules 1-8.
"""

from dataclasses import dataclass
from enum import Enum

from inference.alarms.alarm import AlarmKind, AlarmPriority, AlarmQueue
from inference.alarms.observed import POOR_SIGNAL, SECOND_US, Observed, Vote
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
TECHNICAL_AFTER_S = 4.0  # rule 4: shown within 5 s; the first record may be 1 s behind the event
NOISY_AFTER_S = 10.0  # noise is mostly movement and passes: two thirds of ignored alarms end within 19 s
TECHNICAL_ENDS_S = 5.0  # rule 4: flaps under 5 s are one episode
TECHNICAL_MEDIUM_S = 30.0  # rule 4
NO_DATA_S = 10.0  # rule 5
NO_DATA_MEDIUM_S = 60.0  # rule 5
BATTERY_LOW = 20  # per cent, rule 5
BATTERY_MEDIUM = 5  # per cent, rule 5
BATTERY_RISE = 3  # per cent above the limit before the alarm ends: gauges flicker by one or two
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Heart-rate limits of one patient in bpm; outside the outer pair is an extreme rate."""

    rate_low_bpm: float = 50.0
    rate_high_bpm: float = 120.0
    rate_extreme_low_bpm: float = 40.0
    rate_extreme_high_bpm: float = 150.0

    def __post_init__(self) -> None:
        """Raise ValueError unless extreme low <= low < high <= extreme high."""
        ordered = (
            self.rate_extreme_low_bpm,
            self.rate_low_bpm,
            self.rate_high_bpm,
            self.rate_extreme_high_bpm,
        )
        if list(ordered) != sorted(ordered) or self.rate_low_bpm == self.rate_high_bpm:
            raise ValueError(
                "heart-rate limits must rise from extreme low over low and high to extreme high: "
                f"got {', '.join(f'{limit:g}' for limit in ordered)} bpm"
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


class Sight(Enum):
    """What a rule sees when its condition is not there."""

    ENDED = "ended"
    UNKNOWN = "unknown"  # cannot be told, or not yet


@dataclass(frozen=True, slots=True)
class Present:
    """A condition that is there now."""

    priority: AlarmPriority
    text: str
    since_us: int  # wall clock when it began
    value: float  # in the text's unit
    excess: float  # grows with how far the value is from where it should be; the largest makes the peak
    model: str | None = None


Reading = Present | Sight


def queue_of(kind: AlarmKind) -> AlarmQueue:
    """Rule 1: physiological, technical or advisory."""
    if kind in ADVISORY:
        return AlarmQueue.ADVISORY
    if kind in BLINDING or kind is AlarmKind.BATTERY:
        return AlarmQueue.TECHNICAL
    return AlarmQueue.PHYSIOLOGICAL


def read_asystole(seen: Observed, at_us: int) -> Reading:
    """Rule 2. Silence counts only while the signal is good: beats during lead-off cannot be missed.

    Without any beat since the signal became good (a new device, a new session) it is asystole after 10 s; and
    likewise when noise comes and goes for 10 s and no beat shows in the good signal between.
    """
    if seen.signal is not SignalState.GOOD or seen.data_age_s > FRESH_S:
        return Sight.UNKNOWN
    good_s = (at_us - seen.signal_since_us) / SECOND_US
    limit_s = NO_BEAT_YET_S if seen.since_beat_s is None else ASYSTOLE_S
    if seen.since_beat_s is not None and seen.since_beat_s < limit_s:
        return Sight.ENDED
    silent_s = good_s if seen.since_beat_s is None else min(good_s, seen.since_beat_s)
    watched_s = min((at_us - seen.watched_since_us) / SECOND_US, seen.since_beat_s or 0.0)
    if watched_s >= NO_BEAT_YET_S and good_s >= GLIMPSE_S:
        silent_s = watched_s
    if silent_s < limit_s:
        return Sight.UNKNOWN
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
        return Sight.ENDED if at_us - inside_us >= INSIDE_S * SECOND_US else Sight.UNKNOWN
    sign, limit = ("<", low) if rate < low else (">", high)
    priority = AlarmPriority.HIGH if kind is AlarmKind.EXTREME_RATE else AlarmPriority.MEDIUM
    shown = f"{rate:.0f}" if round(rate) != round(limit) else f"{rate:.1f}"
    return Present(priority, f"HR {shown} {sign} {limit:g}", at_us, rate, abs(rate - limit))


def read_lead_off(seen: Observed, at_us: int) -> Reading:
    """Rule 4 for the electrode."""
    if seen.signal is SignalState.LEAD_OFF:
        return _read_run(seen, at_us, "Lead off", TECHNICAL_AFTER_S)
    return _read_end(seen, seen.lead_off_us, at_us)


def read_signal(seen: Observed, at_us: int) -> Reading:
    """Rule 4 for a signal that shows no heart; noise may last longer before it is shown."""
    if seen.signal in POOR_SIGNAL:
        is_noise = seen.signal is SignalState.NOISY
        after_s = NOISY_AFTER_S if is_noise else TECHNICAL_AFTER_S
        return _read_run(seen, at_us, seen.signal.value.capitalize(), after_s)
    return _read_end(seen, seen.poor_us, at_us)


def read_no_data(seen: Observed, at_us: int) -> Reading:
    """Rule 5, by the wall clock: silence of the device and silence of ingest look the same to the patient."""
    if seen.data_us is None:
        return Sight.UNKNOWN
    age_s = (at_us - seen.data_us) / SECOND_US
    if age_s < NO_DATA_S:
        return Sight.ENDED
    priority = AlarmPriority.MEDIUM if age_s >= NO_DATA_MEDIUM_S else AlarmPriority.LOW
    text = f"No data {in_words(age_s)}" + ("" if seen.online else ", device offline")
    return Present(priority, text, seen.data_us, age_s, age_s)


def read_battery(seen: Observed, at_us: int) -> Reading:
    """Rule 5 where the device reports its battery."""
    if seen.battery is None:
        return Sight.UNKNOWN
    if seen.battery > BATTERY_LOW:
        return Sight.ENDED if seen.battery >= BATTERY_LOW + BATTERY_RISE else Sight.UNKNOWN
    is_medium = seen.battery <= BATTERY_MEDIUM
    limit = BATTERY_MEDIUM if is_medium else BATTERY_LOW
    priority = AlarmPriority.MEDIUM if is_medium else AlarmPriority.LOW
    text = f"Battery {seen.battery} % ≤ {limit} %"
    return Present(priority, text, at_us, float(seen.battery), 100.0 - seen.battery)


@dataclass(frozen=True, slots=True)
class Ballot:
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
    if sum(ballot.is_against for ballot in ballots) >= VOTES_NEEDED:
        goes_on = kind is AlarmKind.AF and seen.irregular is True
        return Sight.UNKNOWN if goes_on else Sight.ENDED
    if len(agreeing) < VOTES_NEEDED:
        return Sight.UNKNOWN
    newest = agreeing[-1]
    p = newest.probability
    text = f"{newest.name} {len(agreeing)} of {len(ballots)} windows, p {p:.2f} ≥ {newest.threshold:.2f}"
    return Present(AlarmPriority.ADVISORY, text, at_us, p, p, newest.model)


def _ballot_of(vote: Vote, kind: AlarmKind) -> Ballot | None:
    """None where the window was not asked: no rhythm network read it, or it has no limit for AF."""
    if kind is AlarmKind.AF:
        return _ballot_on_af(vote)
    found = next((each for each in vote.findings if each.superclass is FINDINGS[kind]), None)
    if found is None:
        return None
    p, threshold = found.probability, found.threshold
    is_for = p >= threshold and found.presence is Presence.PRESENT
    return Ballot(found.superclass, p, threshold, is_for, p < threshold, vote.model)


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


def _read_run(seen: Observed, at_us: int, name: str, after_s: float) -> Reading:
    run_s = (at_us - seen.signal_since_us) / SECOND_US
    if run_s < after_s:
        return Sight.UNKNOWN
    priority = AlarmPriority.MEDIUM if run_s >= TECHNICAL_MEDIUM_S else AlarmPriority.LOW
    return Present(priority, f"{name} {in_words(run_s)}", seen.signal_since_us, run_s, run_s)


def _read_end(seen: Observed, last_us: int | None, at_us: int) -> Reading:
    if seen.signal is SignalState.NO_DATA:
        return Sight.UNKNOWN
    is_over = last_us is None or at_us - last_us >= TECHNICAL_ENDS_S * SECOND_US
    return Sight.ENDED if is_over else Sight.UNKNOWN
