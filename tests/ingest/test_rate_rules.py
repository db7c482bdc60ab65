"""The heart-rate rules of IEC 60601-2-27 and ANSI EC13 as far as public sources show them: the whole path.

A simulated ECG goes as 250 ms chunks through ordering, beats, quality and vitals, with a snapshot each
second, as ingest does it. Nothing here knows how the detector works.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.chunk import NO_FLAGS, Chunk, Lead
from ingest.pipeline import DevicePipeline
from ingest.vitals import SignalState, Vitals
from simulators.noise import QUIET, Noise, NoiseLevels
from simulators.rhythms import Beat, Origin
from simulators.waveform import SyntheticPatient

START_US = 1_790_000_000_000_000
CHUNK_S = 0.25
FS = 500.0
RESTING = NoiseLevels()  # the simulator's good electrode


def watched(samples_mv: NDArray[np.floating], fs: float = FS) -> list[Vitals]:
    """Vitals of each second of the signal."""
    pipeline, n = DevicePipeline("s/d"), round(CHUNK_S * fs)
    seen: list[Vitals] = []
    next_us = START_US + 1_000_000
    for k, first in enumerate(range(0, len(samples_mv) - n + 1, n)):
        taken_us = START_US + round(first / fs * 1e6)
        part = np.asarray(samples_mv[first : first + n, None], np.float32)
        chunk = Chunk("s/d", 7, k, first, taken_us, 0, fs, (Lead.I,), part, NO_FLAGS)
        arrived_us = START_US + round((first + n) / fs * 1e6)
        pipeline.push(chunk, arrived_us)
        if arrived_us >= next_us:
            pipeline.tick(arrived_us)
            vitals = pipeline.vitals(arrived_us)
            assert vitals is not None
            seen.append(vitals)
            next_us += 1_000_000
    return seen


def beats_at(rr_s: Sequence[float], origins: Sequence[Origin] = (Origin.SINUS,)) -> Iterator[Beat]:
    """Beats with these intervals and origins, both over and over."""
    at_s, k = 0.6, 0
    while True:
        yield Beat(at_s, rr_s[k % len(rr_s)], origins[k % len(origins)])
        k += 1
        at_s += rr_s[k % len(rr_s)]


def ecg(
    beats: Iterator[Beat],
    seconds: float,
    *,
    fs: float = FS,
    superclass: str = "NORM",
    levels: NoiseLevels = RESTING,
    seed: int = 0,
) -> NDArray[np.float32]:
    """The simulator's ECG in mV, (n_samples,)."""
    rng = np.random.default_rng(seed)
    patient = SyntheticPatient(beats, Noise(levels, rng, fs), rng, fs, superclass)
    n = round(seconds * fs)
    return np.concatenate([patient.next_samples(min(5000, n - k)) for k in range(0, n, 5000)])


def at(rate_bpm: float) -> Iterator[Beat]:
    return beats_at([60.0 / rate_bpm])


def rates(seen: list[Vitals]) -> list[float | None]:
    return [each.heart_rate_bpm for each in seen]


def assert_right_where_shown(seen: list[Vitals], rate_bpm: float, within_bpm: float) -> None:
    """The rate is right in every second that shows one; only where the signal is called unfit may one not.

    Which of these signals count as good is a rule of its own, at the end.
    """
    shown = [rate for rate in rates(seen) if rate is not None]
    assert shown
    assert shown == [pytest.approx(rate_bpm, abs=within_bpm)] * len(shown)
    assert all(each.heart_rate_bpm is not None for each in seen) or not are_good(seen)


def are_good(seen: list[Vitals]) -> bool:
    return {each.signal for each in seen} == {SignalState.GOOD}


def allowed_bpm(rate_bpm: float) -> float:
    return max(1.0, 0.01 * rate_bpm)


@pytest.mark.parametrize("fs", [125.0, 250.0, 512.0])
@pytest.mark.parametrize("rate_bpm", [20, 30, 40, 60, 80, 100, 120, 150, 180, 200, 220, 250, 280])
def test_a_clean_rate_is_right_within_one_beat_or_one_per_cent(rate_bpm: int, fs: float) -> None:
    seen = watched(ecg(at(rate_bpm), 60.0, fs=fs), fs)
    wanted = pytest.approx(rate_bpm, abs=allowed_bpm(rate_bpm))
    assert rates(seen)[20:] == [wanted] * len(seen[20:])


@pytest.mark.parametrize("rate_bpm", [16, 310, 340])
def test_a_rate_that_cannot_be_told_is_unknown_and_never_another(rate_bpm: int) -> None:
    """Below 15.9 bpm four seconds without a beat come each time; above 300 nothing is shown."""
    allowed = {None} if rate_bpm > 300 else {None, *range(15, 18)}
    seen = watched(ecg(at(rate_bpm), 60.0, levels=QUIET))
    assert {None if rate is None else round(rate) for rate in rates(seen)[20:]} <= allowed


def test_the_mean_is_of_twelve_intervals_without_the_longest_and_the_shortest() -> None:
    """One early beat and its pause among steady ones change nothing; of two in turn the mean is shown."""
    early = [0.8] * 11 + [0.55, 1.05]
    origins = [Origin.SINUS] * 12 + [Origin.VENTRICULAR]
    steady = rates(watched(ecg(beats_at(early, origins), 90.0)))
    assert steady[20:] == [pytest.approx(75.0, abs=1.0)] * 70
    mixed = rates(watched(ecg(beats_at([0.7, 0.9]), 60.0)))
    assert mixed[20:] == [pytest.approx(75.0, abs=1.0)] * 40


def test_three_intervals_over_1200_ms_make_it_the_mean_of_four() -> None:
    """80 bpm, then one beat each 1.4 s: the old intervals are gone with the fourth slow one."""
    rr_s = [0.75] * 30 + [1.4] * 20
    seen = watched(ecg(beats_at(rr_s), 50.0))
    began_s = 0.6 + 0.75 * 30
    fourth_s = began_s + 4 * 1.4 + 0.4  # with the detector's delay
    third = seen[int(began_s + 3 * 1.4 + 1.4)].heart_rate_bpm
    assert third is not None
    after = rates(seen)[int(np.ceil(fourth_s)) : 48]
    assert after == [pytest.approx(60 / 1.4, abs=0.5)] * len(after)
    just_under = watched(ecg(beats_at([0.75] * 30 + [1.19] * 20), 50.0))
    slow_s = int(0.6 + 0.75 * 30 + 5 * 1.19)
    assert just_under[slow_s].heart_rate_bpm == pytest.approx(60 / np.mean([0.75] * 6 + [1.19] * 4), abs=3.0)


@pytest.mark.parametrize("after_bpm", [40, 120])
@pytest.mark.parametrize("phase", [0.0, 0.2, 0.4, 0.6, 0.8])
def test_a_step_from_80_is_shown_within_ten_seconds(after_bpm: int, phase: float) -> None:
    """EC13: within a tenth of the step's end; from the first beat at the new rate."""
    n_before = 30
    rr_s = [0.75 + phase / n_before] * n_before + [60.0 / after_bpm] * 60
    stepped_s = 0.6 + sum(rr_s[:n_before]) - rr_s[0]
    seen = watched(ecg(beats_at(rr_s), stepped_s + 20))
    after = rates(seen)[int(np.ceil(stepped_s + 10)) - 1 :]
    assert after == [pytest.approx(after_bpm, rel=0.1)] * len(after)


def tall_t(t_mv: float, fs: float, rate_bpm: float = 80.0, seconds: float = 40.0) -> NDArray[np.float64]:
    """A QRS of 1 mV and 100 ms, a T wave of 180 ms, and a QT interval of 350 ms, as in EC13's test signal."""
    t = np.arange(round(seconds * fs)) / fs
    x = Noise(RESTING, np.random.default_rng(0), fs).next_samples(len(t))
    for r_s in np.arange(0.6, seconds - 1, 60.0 / rate_bpm):
        since = t - r_s
        x += np.clip(1.0 - np.abs(since) / 0.05, 0.0, None)
        since_t = since + 0.05 - 0.35 + 0.09
        x += np.where(np.abs(since_t) < 0.09, t_mv * (0.5 + 0.5 * np.cos(since_t / 0.09 * np.pi)), 0.0)
    return np.asarray(x)


@pytest.mark.parametrize("fs", [125.0, 250.0, 512.0])
@pytest.mark.parametrize("t_mv", [0.3, 0.6, 0.9, 1.2])
def test_a_tall_t_wave_does_not_double_the_rate(t_mv: float, fs: float) -> None:
    seen = watched(tall_t(t_mv, fs), fs)
    assert_right_where_shown(seen[15:38], 80.0, within_bpm=1.0)


def early(n_normal: int, share: float = 0.65) -> tuple[list[float], list[Origin]]:
    """Sinus beats at 0.8 s with a premature ventricular one after each n_normal, full pause."""
    rr_s = [0.8] * (n_normal - 1) + [0.8 * share, 0.8 * (2 - share)]
    return rr_s, [*[Origin.SINUS] * (n_normal - 1), Origin.VENTRICULAR, Origin.SINUS]


SINUS, WIDE = Origin.SINUS, Origin.VENTRICULAR
# EC13 4.1.2.1 e: A1 ventricular bigeminy (80), A2 slow alternating (60), A3 rapid alternating (120),
# A4 bidirectional systoles (90). The standard's own strips are not public; these have their order and rate.
IRREGULAR: dict[str, tuple[list[float], list[Origin], float]] = {
    "A1 ventricular bigeminy": ([0.55, 0.95], [SINUS, WIDE], 80.0),
    "A2 slow alternating bigeminy": ([0.6, 1.4], [SINUS, WIDE], 60.0),
    "A3 rapid alternating bigeminy": ([0.4, 0.6], [SINUS, WIDE], 120.0),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", IRREGULAR)
def test_bigeminy_has_the_rate_of_all_its_beats_and_is_not_irregular(name: str, seed: int) -> None:
    rr_s, origins, rate_bpm = IRREGULAR[name]
    seen = watched(ecg(beats_at(rr_s, origins), 90.0, seed=seed))
    assert_right_where_shown(seen[20:], rate_bpm, within_bpm=0.1 * rate_bpm)
    assert {each.irregular for each in seen[60:]} <= {False, None}
    assert seen[60].irregular is False


def bidirectional(seed: int) -> NDArray[np.float32]:
    """A4: wide beats that point up and down in turn, 90 bpm."""
    rr_s = 4 / 3
    downward = (Beat(each.r_peak_s + rr_s / 2, rr_s, WIDE) for each in beats_at([rr_s]))
    return ecg(beats_at([rr_s], [WIDE]), 60.0, seed=seed) - ecg(downward, 60.0, levels=QUIET)


@pytest.mark.parametrize("seed", range(3))
def test_bidirectional_systoles_have_the_rate_of_all_their_beats(seed: int) -> None:
    assert_right_where_shown(watched(bidirectional(seed))[20:], 90.0, within_bpm=9.0)


@dataclass(frozen=True, slots=True)
class Pacer:
    """Spikes of one amplitude and width, without tail (EC13 4.1.4.1)."""

    height_mv: float
    width_ms: float

    def spikes_mv(self, spikes_s: NDArray[np.float64], n: int, fs: float) -> NDArray[np.float64]:
        """What a converter that sums over each sample sees of them, (n,)."""
        x = np.zeros(n)
        width = self.width_ms * fs / 1000.0  # in samples
        for first in spikes_s * fs:
            for k in range(int(first), min(n, int(first + width) + 1)):
                x[k] += self.height_mv * max(0.0, min(k + 1.0, first + width) - max(float(k), first))
        return x


PACERS = [
    Pacer(height_mv, width_ms)
    for height_mv in (2.0, -2.0, 20.0, 200.0, 700.0, -700.0)
    for width_ms in (0.1, 0.5, 2.0)
]
PACED_RATES_HZ = (500.0, 1000.0)


def paced(pacer: Pacer, fs: float, rate_bpm: float, seconds: float = 40.0) -> NDArray[np.float64]:
    """Effective pacing: each spike 80 ms before its beat."""
    x = np.asarray(ecg(at(rate_bpm), seconds, fs=fs), np.float64)
    spikes_s = np.arange(0.6 - 0.08, seconds, 60.0 / rate_bpm)
    return x + pacer.spikes_mv(spikes_s, len(x), fs)


@pytest.mark.parametrize("fs", PACED_RATES_HZ)
@pytest.mark.parametrize("pacer", PACERS, ids=str)
def test_spikes_of_effective_pacing_are_not_counted_as_beats(pacer: Pacer, fs: float) -> None:
    seen = watched(paced(pacer, fs, 70.0), fs)
    assert_right_where_shown(seen[20:], 70.0, within_bpm=1.5)


@pytest.mark.parametrize("fs", PACED_RATES_HZ)
@pytest.mark.parametrize("pacer", PACERS, ids=str)
def test_spikes_without_capture_are_not_counted_beside_the_beats_that_are_there(
    pacer: Pacer, fs: float
) -> None:
    """EC13: spikes at 80 a minute that nothing answers, over beats at 30 (EC13's own) and at 60."""
    for rate_bpm in (30.0, 60.0):
        x = np.asarray(ecg(at(rate_bpm), 50.0, fs=fs), np.float64)
        x += pacer.spikes_mv(np.arange(0.33, 50.0, 60.0 / 80.0), len(x), fs)
        assert_right_where_shown(watched(x, fs)[25:], rate_bpm, within_bpm=max(5.0, 0.1 * rate_bpm))


@pytest.mark.parametrize("fs", PACED_RATES_HZ)
@pytest.mark.parametrize("pacer", PACERS, ids=str)
def test_asystole_behind_pacing_spikes_is_still_seen(pacer: Pacer, fs: float) -> None:
    """The heart stops answering: either there is no beat any more, or the signal is called unfit."""
    x = np.asarray(ecg(islice_beats(at(70.0), 24), 45.0, fs=fs), np.float64)
    stopped_s = 0.6 + 23 * 60.0 / 70.0
    x += pacer.spikes_mv(np.arange(0.6 - 0.08, 45.0, 60.0 / 70.0), len(x), fs)
    seen = watched(x, fs)
    assert rates(seen)[int(stopped_s) + 8 :] == [None] * len(seen[int(stopped_s) + 8 :])
    late = seen[int(stopped_s) + 10]
    is_asystole = late.signal is SignalState.GOOD and (late.since_beat_s or 0.0) > 4.0
    assert is_asystole or late.signal is not SignalState.GOOD


def islice_beats(beats: Iterator[Beat], n: int) -> Iterator[Beat]:
    """The first n beats, and then none for an hour."""
    yield from islice(beats, n)
    yield Beat(3600.0, 3600.0)


@pytest.mark.parametrize("superclass", ["NORM", "MI", "STTC", "CD", "HYP"])
@pytest.mark.parametrize("rate_bpm", [50, 75, 110, 150])
def test_every_shape_of_the_simulator_has_its_rate(superclass: str, rate_bpm: int) -> None:
    seen = watched(ecg(at(rate_bpm), 50.0, superclass=superclass))
    assert_right_where_shown(seen[20:], rate_bpm, within_bpm=allowed_bpm(rate_bpm))


@pytest.mark.parametrize("rhythm", [early(3), early(5), early(9)], ids=["trigeminy", "1 of 5", "1 of 9"])
def test_ectopic_beats_are_counted_by_the_minute(rhythm: tuple[list[float], list[Origin]]) -> None:
    rr_s, origins = rhythm
    seen = watched(ecg(beats_at(rr_s, origins), 120.0))
    per_min = 60.0 / 0.8 / len(rr_s)
    assert all(abs((each.ectopic_per_min or 0) - per_min) <= 1.5 for each in seen[75:])
    assert {each.irregular for each in seen[60:]} == {False}


def test_a_steady_rhythm_varies_by_no_more_than_the_detector_errs_and_a_breathing_one_by_what_it_does() -> (
    None
):
    steady = watched(ecg(at(75.0), 330.0))[-1]
    assert steady.rmssd_ms is not None
    assert steady.rmssd_ms < 6.0
    assert all(each.rmssd_ms is None for each in watched(ecg(at(75.0), 200.0)))
    breath_s = [0.8 + 0.04 * np.sin(2 * np.pi * k / 5) for k in range(5)]
    breathing = watched(ecg(beats_at(breath_s), 330.0))[-1]
    steps_ms = 1000 * np.diff([*breath_s, breath_s[0]])
    assert breathing.rmssd_ms == pytest.approx(np.sqrt(np.mean(steps_ms**2)), rel=0.1)
    assert breathing.sdnn_ms == pytest.approx(1000 * np.std(breath_s), rel=0.1)


GOOD_SIGNALS: dict[str, Callable[[], NDArray[np.floating]]] = {
    **{name: partial(ecg, at(75.0), 40.0, superclass=name) for name in ("NORM", "MI", "STTC", "CD", "HYP")},
    **{f"T wave of {t_mv} mV": partial(tall_t, t_mv, FS) for t_mv in (0.3, 0.6, 0.9, 1.2)},
    **{name: partial(ecg, beats_at(*each[:2]), 90.0) for name, each in IRREGULAR.items()},
    "A4 bidirectional systoles": partial(bidirectional, 0),
}


@pytest.mark.parametrize("name", GOOD_SIGNALS)
def test_a_signal_by_which_monitors_are_tested_counts_as_good(name: str) -> None:
    """A monitor that hides the rate of these has not shown it."""
    assert are_good(watched(GOOD_SIGNALS[name]()))
