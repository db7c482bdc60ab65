from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.beat_scores import score
from benchmarks.beats import FS, Noise, motion_of, noise_for, r_peaks_of, records_of
from ingest.beats import BeatDetector

RECORDINGS = Path("../shared/data/mitdb_360hz_part.npz")
NOISE = Path("../shared/data/nstdb_electrode_motion_360hz.npz")
RATES_HZ = [100.0, 129.97, 250.0, 360.0, 512.0, 1000.0]


def bump(t: NDArray[np.float64], centre_s: float, width_s: float, height_mv: float) -> NDArray[np.float64]:
    """Raised cosine."""
    inside = np.abs(t - centre_s) < width_s / 2
    return np.where(inside, height_mv * (0.5 + 0.5 * np.cos((t - centre_s) / width_s * 2 * np.pi)), 0.0)


def ecg(
    fs: float, beats_s: NDArray[np.float64], seconds: float, *, r_mv: float = 1.0, t_mv: float = 0.2
) -> NDArray[np.float32]:
    """P, QRS (90 ms) and T (180 ms, 350 ms after the Q) at the given R peaks."""
    t = np.arange(round(seconds * fs)) / fs
    x = np.zeros_like(t)
    for r_s in beats_s:
        x += bump(t, r_s - 0.16, 0.09, 0.12 * abs(r_mv)) + bump(t, r_s + 0.26, 0.18, t_mv)
        x += bump(t, r_s, 0.07, r_mv) + bump(t, r_s + 0.04, 0.05, -0.25 * r_mv)
    return x.astype(np.float32)


def r_peaks(fs: float, samples_mv: NDArray[np.float32], step_s: float = 1.0) -> NDArray[np.int64]:
    detector = BeatDetector(fs)
    step = max(1, round(step_s * fs))
    return np.concatenate([detector.push(samples_mv[k : k + step]) for k in range(0, len(samples_mv), step)])


def assert_found(
    found: NDArray[np.int64], beats_s: NDArray[np.float64], fs: float, within_s: float = 0.03
) -> None:
    assert len(found) == len(beats_s), (found / fs, beats_s)
    np.testing.assert_allclose(found / fs, beats_s, atol=within_s)


@pytest.mark.parametrize("fs", RATES_HZ)
@pytest.mark.parametrize("r_mv", [1.0, -1.0, 0.3, 4.0])
def test_every_beat_is_found_once_at_any_rate_polarity_and_size(fs: float, r_mv: float) -> None:
    beats_s = np.arange(0.6, 29.0, 0.83)
    assert_found(r_peaks(fs, ecg(fs, beats_s, 30.0, r_mv=r_mv, t_mv=0.2 * r_mv)), beats_s, fs)


@pytest.mark.parametrize("rate_bpm", [20, 40, 80, 150, 200, 240])
def test_every_beat_is_found_from_20_to_240_bpm(rate_bpm: int) -> None:
    beats_s = np.arange(0.6, 29.0, 60.0 / rate_bpm)
    t_mv = 0.2 if rate_bpm < 150 else 0.0  # above, T merges into the next beat
    assert_found(r_peaks(360.0, ecg(360.0, beats_s, 30.0, t_mv=t_mv)), beats_s, 360.0)


@pytest.mark.parametrize("fs", RATES_HZ)
@pytest.mark.parametrize("t_mv", [0.6, 1.2, -1.2])
def test_tall_t_waves_are_not_counted(fs: float, t_mv: float) -> None:
    beats_s = np.arange(0.6, 29.0, 0.75)
    assert_found(r_peaks(fs, ecg(fs, beats_s, 30.0, t_mv=t_mv)), beats_s, fs)


@pytest.mark.parametrize("fs", [129.97, 512.0])
@pytest.mark.parametrize("seed", range(5))
def test_beats_do_not_depend_on_how_the_stream_was_chunked(fs: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    beats_s = np.cumsum(rng.uniform(0.3, 1.4, 40))
    x = ecg(fs, beats_s, 30.0) + rng.normal(0, 0.05, round(30.0 * fs)).astype(np.float32)
    whole = BeatDetector(fs).push(x)
    detector = BeatDetector(fs)
    cuts = np.sort(rng.integers(0, len(x), 200))
    parts = np.concatenate([detector.push(part) for part in np.split(x, cuts)])
    assert len(whole) > 20
    np.testing.assert_array_equal(whole, parts)


@pytest.mark.parametrize("fs", RATES_HZ)
def test_a_beat_is_told_within_400_ms(fs: float) -> None:
    beats_s = np.arange(0.6, 19.0, 0.8)
    x = ecg(fs, beats_s, 20.0)
    detector = BeatDetector(fs)
    step = round(0.02 * fs)
    told_s = [(k + step) / fs for k in range(0, len(x), step) for _ in detector.push(x[k : k + step])]
    assert len(told_s) == len(beats_s)
    assert max(told_s - beats_s) <= 0.4


@pytest.mark.parametrize("fs", [129.97, 512.0])
@pytest.mark.parametrize("seed", range(5))
def test_asystole_gives_no_beats_from_wander_mains_and_noise(fs: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = ecg(fs, np.arange(0.6, 15.0, 0.8), 45.0)
    t = np.arange(len(x)) / fs
    x += (0.3 * np.sin(2 * np.pi * 0.25 * t) + 0.05 * np.sin(2 * np.pi * 50 * t)).astype(np.float32)
    x += rng.normal(0, 0.02, len(x)).astype(np.float32)
    found = r_peaks(fs, x)
    assert len(found) == 18
    assert found[-1] / fs < 15.0


def test_a_signal_without_beats_gives_none() -> None:
    assert len(r_peaks(512.0, np.full(5120, 1.7, np.float32))) == 0


def test_an_amplitude_that_falls_to_a_fifth_is_followed() -> None:
    beats_s = np.arange(0.6, 39.0, 0.8)
    x = ecg(360.0, beats_s, 40.0)
    x[round(19.8 * 360) :] *= 0.2
    found = r_peaks(360.0, x)
    assert len(beats_s) - 5 <= len(found) <= len(beats_s)
    np.testing.assert_allclose(found[-15:] / 360.0, beats_s[-15:], atol=0.03)


def test_a_gap_moves_the_index_and_keeps_what_beats_look_like() -> None:
    fs = 360.0
    beats_s = np.arange(0.6, 39.0, 0.8)
    x = ecg(fs, beats_s, 40.0) + 0.7
    low, high = round(10.2 * fs), round(17.0 * fs)
    detector = BeatDetector(fs)
    before = detector.push(x[:low])
    detector.gap(high - low)
    after = detector.push(x[high:])
    expected = beats_s[(beats_s < 10.1) | (beats_s > 17.2)]
    assert_found(np.concatenate([before, after]), expected, fs)


def test_pacing_spikes_are_not_counted_twice() -> None:
    fs = 512.0
    beats_s = np.arange(0.6, 29.0, 0.9)
    x = ecg(fs, beats_s, 30.0)
    x[np.round((beats_s - 0.08) * fs).astype(int)] += 2.0  # 2 ms, 2 mV
    assert_found(r_peaks(fs, x), beats_s, fs, within_s=0.1)


def test_a_rate_too_low_for_the_band_is_refused_with_both_figures() -> None:
    with pytest.raises(ValueError, match=r"fs is 50\.0 Hz.*100\.0 Hz"):
        BeatDetector(50.0)


@pytest.mark.skipif(not RECORDINGS.exists(), reason="needs the recordings beside the project")
def test_recorded_beats_are_found() -> None:
    wanted = {"101", "108", "119", "208"}
    records = [record for record in records_of(RECORDINGS) if record.name in wanted]
    assert {record.name for record in records} == wanted
    scores = {}
    for record in records:
        found = r_peaks_of(record.samples_mv, FS)
        scores[record.name] = score(found, record.at, record.symbols, FS, len(record.samples_mv))
        assert scores[record.name].ppv >= 0.992, record.name
    assert scores.pop("108").se >= 0.988  # complexes smaller than its P waves
    assert min(scored.se for scored in scores.values()) >= 0.996


@pytest.mark.skipif(
    not (RECORDINGS.exists() and NOISE.exists()), reason="needs the recordings beside the project"
)
@pytest.mark.parametrize(("level_db", "se", "ppv"), [(12, 0.994, 0.99), (6, 0.985, 0.96), (0, 0.94, 0.85)])
def test_recorded_beats_are_found_in_electrode_motion(level_db: int, se: float, ppv: float) -> None:
    noise = Noise(motion_of(NOISE), level_db)
    for record in records_of(RECORDINGS):
        if record.name not in {"101", "119"}:
            continue
        found = r_peaks_of(record.samples_mv + noise_for(record, noise), FS)
        scored = score(found, record.at, record.symbols, FS, len(record.samples_mv))
        assert scored.se >= se, record.name
        assert scored.ppv >= ppv, record.name


def test_who_has_begun_and_who_has_not_are_never_taken_together() -> None:
    begun, fresh = BeatDetector(1000.0), BeatDetector(1000.0)
    begun.push(np.zeros(3, np.float32))  # no bin is full yet
    assert begun.phase != fresh.phase


@pytest.mark.parametrize("offset_mv", [0.0, 250.0, -250.0])
def test_an_offset_of_the_electrode_makes_no_beat_and_hides_none_from_the_first_on(offset_mv: float) -> None:
    beats_s = np.arange(0.35, 9.6, 0.8)
    found = r_peaks(250.0, ecg(250.0, beats_s, 10.0) + np.float32(offset_mv))
    assert_found(found, beats_s, 250.0)
