"""What is remembered of one device between events: signal runs, rate, age of the data, battery and votes."""

from dataclasses import dataclass, field

from inference.alarms.alarm import AlarmKind
from inference.alarms.events import ServiceStatus
from inference.verdict import Finding, Indeterminate, RhythmFinding, Verdict
from ingest.quality import Noise
from ingest.vitals import SignalState, Vitals

SECOND_US = 1_000_000
RHYTHM_READABLE = (None, Indeterminate.UNKNOWN_LEAD, Indeterminate.INVERTED)
CLOCK_STEP_S = (
    60.0  # a redelivered record is seconds old; one older than this means that the clock was set back
)
RUN_GAP_S = 5.0  # vitals come each second; after a longer silence nothing is known to have lasted
SESSIONS_KEPT = 4
VOTES_KEPT = 5  # alarms.md rule 6: of the last five windows

POOR_SIGNAL = frozenset(
    {SignalState.FLAT, SignalState.SATURATED, SignalState.NOISY, SignalState.SLOW_SAMPLING}
)
WATCHED = frozenset({SignalState.GOOD, SignalState.NOISY})


@dataclass(frozen=True, slots=True)
class Vote:
    """One window that passed quality: its place, when it was decided, and what the model said of it."""

    first_sample: int
    decided_us: int
    model: str
    findings: tuple[Finding, ...]
    rhythm: tuple[RhythmFinding, ...] = ()  # as in `Verdict`


@dataclass(slots=True)
class Observed:
    """The facts the rules read; all times are Unix microseconds, None is unknown."""

    vitals_us: int | None = None  # of the newest vitals
    session: int | None = None
    earlier_sessions: list[int] = field(default_factory=list)  # whose vitals can only be repetitions
    last_sample: int = 0  # of the session, one past the newest used
    signal: SignalState = SignalState.NO_DATA
    signal_since_us: int = 0  # start of the current run of good, lead-off, poor or missing signal
    watched_since_us: int = 0  # since when beats could be seen, if only between noise
    lead_off_us: int | None = None  # newest vitals with the lead off
    poor_us: int | None = None  # newest vitals with a poor signal
    data_us: int | None = None  # arrival of the newest sample
    noise: Noise | None = None  # what makes the signal noisy
    data_age_s: float = 0.0
    heart_rate_bpm: float | None = None
    since_beat_s: float | None = None
    irregular: bool | None = None  # what the newest RR intervals tell
    inside_us: dict[AlarmKind, int] = field(default_factory=dict)  # since when the rate is inside its limits
    online: bool = True
    battery: int | None = None  # per cent
    service_us: int | None = None  # newest heartbeat of a part of Wristlead
    service_online: bool = True
    votes: list[Vote] = field(default_factory=list)  # oldest first, at most VOTES_KEPT
    rhythm_votes: list[Vote] = field(default_factory=list)  # likewise, of windows whose rhythm can be told


def observe_vitals(seen: Observed, vitals: Vitals) -> bool:
    """Take in newer vitals; False when they are a repetition or older than what is known.

    Newer samples, or a session never heard of, with an older time mean that the clock was set back, however
    little.
    """
    at_us = vitals.at_us
    if seen.vitals_us is not None and at_us <= seen.vitals_us:
        if not has_new_data(seen, vitals) and at_us > seen.vitals_us - CLOCK_STEP_S * SECOND_US:
            return False
        _forget_times(seen)
    goes_on = (
        seen.vitals_us is not None
        and at_us - seen.vitals_us <= RUN_GAP_S * SECOND_US
        and vitals.session == seen.session
    )
    if not goes_on or _signal_group(vitals.signal) != _signal_group(seen.signal):
        seen.signal_since_us = at_us
    if not goes_on or seen.signal not in WATCHED or vitals.signal not in WATCHED:
        seen.watched_since_us = at_us
    if vitals.signal is SignalState.LEAD_OFF:
        seen.lead_off_us = at_us
    if vitals.signal in POOR_SIGNAL:
        seen.poor_us = at_us
    arrived_us = at_us - round(vitals.data_age_s * SECOND_US)
    seen.data_us = arrived_us if seen.data_us is None else max(seen.data_us, arrived_us)
    if seen.session is not None and seen.session != vitals.session:
        known = [*seen.earlier_sessions, seen.session]
        seen.earlier_sessions = [each for each in known if each != vitals.session][-SESSIONS_KEPT:]
    seen.vitals_us, seen.session, seen.signal = at_us, vitals.session, vitals.signal
    seen.last_sample, seen.noise = vitals.last_sample, vitals.noise
    seen.data_age_s, seen.since_beat_s = vitals.data_age_s, vitals.since_beat_s
    seen.heart_rate_bpm, seen.irregular = vitals.heart_rate_bpm, vitals.irregular
    seen.battery = seen.battery if vitals.battery is None else vitals.battery
    return True


def has_new_data(seen: Observed, vitals: Vitals) -> bool:
    """True for newer samples or a session never heard of; vitals go on for minutes after a last sample."""
    if vitals.session == seen.session:
        return vitals.last_sample > seen.last_sample
    return vitals.session not in seen.earlier_sessions


def observe_time(seen: Observed, at_us: int) -> None:
    """Let the clock go on; after it was set back silence counts from now."""
    if seen.data_us is not None:
        seen.data_us = min(seen.data_us, at_us)
    if seen.service_us is not None:
        seen.service_us = min(seen.service_us, at_us)


def observe_service(seen: Observed, service: ServiceStatus) -> None:
    """A heartbeat is a sign of life; a goodbye is none, and a service that was never heard is not missed."""
    seen.service_online = service.is_online
    if service.is_online:
        seen.service_us = service.at_us


def observe_verdict(seen: Observed, verdict: Verdict) -> bool:
    """Take in a newer verdict that passed quality; False when it is late, indeterminate or a repetition.

    An unknown or inverted lead has no findings, but its rhythm is as good as any: it votes on that alone.
    """
    if verdict.historic or verdict.indeterminate not in RHYTHM_READABLE:
        return False
    vote = Vote(verdict.first_sample, verdict.decided_us, verdict.model, verdict.findings, verdict.rhythm)
    is_new = bool(vote.rhythm) and _cast(seen.rhythm_votes, vote)
    return (verdict.indeterminate is None and _cast(seen.votes, vote)) or is_new


def _cast(votes: list[Vote], vote: Vote) -> bool:
    """Append a vote unless it is late or a repetition; after a clock step the older ones are forgotten."""
    newest = votes[-1] if votes else None
    place = (vote.decided_us, vote.first_sample)  # windows of one batch are decided at one moment
    if newest is not None and place <= (newest.decided_us, newest.first_sample):
        is_clock_step = vote.decided_us < newest.decided_us - CLOCK_STEP_S * SECOND_US
        if not is_clock_step:
            return False
        votes.clear()
    votes.append(vote)
    del votes[:-VOTES_KEPT]
    return True


def _signal_group(signal: SignalState) -> SignalState:
    """All that is poor is one run: they share an alarm."""
    return SignalState.NOISY if signal in POOR_SIGNAL else signal


def _forget_times(seen: Observed) -> None:
    """After the clock was set back no remembered moment can be compared with new ones."""
    seen.vitals_us = seen.lead_off_us = seen.poor_us = seen.data_us = None
    seen.inside_us.clear()
