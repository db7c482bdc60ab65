"""Two readings of one device in a row -> how many samples are missing between them, or nobody can tell.

A number is given only where it is certain to the sample: a counter that cannot have gone round unseen, or a
clock whose steps are finer than half a sample over the gap.
"""

from dataclasses import dataclass

from ingest.mappers.device_clock import Stamp

CLOCK_RATE_DOUBT = 2e-3  # share by which a device's rate may differ from its claim, unless it was measured
MEASURED_RATE_DOUBT = 2.5e-4  # the same after 10 s of stamps of 1 ms
ARRIVAL_STRAYS_S = 10.0  # a reading can be this late; a counter that jumps further has started anew
CLOCK_STRAYS = (0.5, 0.02)  # s, and share of the gap, by which counter and clock may disagree


@dataclass(frozen=True, slots=True)
class LossRules:
    """What the configuration says about counter, clock and silence."""

    modulus: int | None = None  # of the counter; None: it never wraps
    counts_samples: bool = False  # else messages
    stamps_last: bool = False
    jitter_s: float = 0.0
    silence_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Arrived:
    """What is needed of a reading to see whether one is missing after it."""

    n: int
    sequence: int | None
    stamp: Stamp | None
    received_us: int


def samples_lost(
    before: Arrived, now: Arrived, fs: float, rules: LossRules, *, fs_is_measured: bool
) -> int | None:
    """Missing samples; negative when `now` lies before the end of `before`; None when nobody can tell."""
    elapsed_s = None
    if before.stamp is not None and now.stamp is not None:
        n = now.n if rules.stamps_last else before.n
        elapsed_s = (now.stamp.ns - before.stamp.ns) / 1e9 - n / fs
    if before.sequence is not None and now.sequence is not None:
        step = now.sequence - before.sequence
        return _by_counter(before, now, fs, rules, (step, elapsed_s))
    if elapsed_s is not None:
        strays_s = rules.jitter_s + (now.stamp.resolution_s if now.stamp is not None else 0.0)
        rate_doubt = MEASURED_RATE_DOUBT if fs_is_measured else CLOCK_RATE_DOUBT
        return _by_clock(elapsed_s * fs, min(now.n, before.n), strays_s * fs, rate_doubt)
    is_silent = now.received_us - before.received_us > (rules.silence_s + now.n / fs) * 1e6
    has_same_signs = (before.stamp is None) == (now.stamp is None)
    return 0 if has_same_signs and not is_silent else None


def _by_counter(
    before: Arrived, now: Arrived, fs: float, rules: LossRules, moved: tuple[int, float | None]
) -> int | None:
    """`moved` is by how much the counter and the device's clock went on."""
    step, elapsed_s = moved
    unit = 1 if rules.counts_samples else now.n
    lost = step - (before.n if rules.counts_samples else 1)
    arrival_s = (now.received_us - before.received_us) / 1e6 - now.n / fs
    if rules.modulus is not None:
        lost %= rules.modulus
        round_s = rules.modulus * unit / fs
        if elapsed_s is None:
            # Arrival strays by far more than a clock; half of a round is left for that.
            lost_or_none = lost if arrival_s < round_s / 2 and lost < rules.modulus // 2 else None
        else:
            near = min((lost, lost - rules.modulus), key=lambda each: abs(each * unit / fs - elapsed_s))
            strays_s = abs(near * unit / fs - elapsed_s)
            lost_or_none = near if strays_s < round_s / 4 else None
    elif elapsed_s is None:
        is_likely = 0 <= lost * unit / fs <= max(arrival_s, 0.0) + ARRIVAL_STRAYS_S
        lost_or_none = lost if is_likely else None
    else:
        strays_s = abs(lost * unit / fs - elapsed_s)
        lost_or_none = lost if strays_s <= CLOCK_STRAYS[0] + CLOCK_STRAYS[1] * abs(elapsed_s) else None
    if lost_or_none and not rules.counts_samples and now.n != before.n:
        return None  # how many samples the lost messages had is not known
    return None if lost_or_none is None else lost_or_none * unit


def _by_clock(elapsed: float, n: int, strays: float, rate_doubt: float) -> int | None:
    """None missing within half a reading; a gap where the clock is fine enough to count its samples.

    All in samples: by the clock, of the shorter reading, by which a stamp strays.
    """
    if abs(elapsed) <= max(0.5 * n, strays):
        return 0
    lost = round(elapsed)
    is_certain = abs(elapsed - lost) + strays + abs(elapsed) * rate_doubt < 0.5
    return lost if lost > 0 and is_certain else None
