from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from inference.preprocess import prepare_window
from inference.quality_gate import GateLimits, kurtosis, rail_share, refuse, refuse_each
from inference.training.dataset import load_records
from inference.verdict import Indeterminate
from ingest.chunk import Lead
from ingest.window import Window

PTBXL = Path(__file__).parents[3] / "shared" / "data"
FS = 500.0
TIME_S = np.arange(5000) / FS


def beats(bpm: float = 72.0, r_mv: float = 1.0, until_s: float = 10.0) -> NDArray[np.float64]:
    """QRS and T waves of Gaussian shape on a quiet line."""
    ecg = np.zeros_like(TIME_S)
    for at_s in np.arange(0.4, until_s, 60 / bpm):
        ecg += r_mv * np.exp(-(((TIME_S - at_s) / 0.012) ** 2))
        ecg += 0.25 * r_mv * np.exp(-(((TIME_S - at_s - 0.25) / 0.05) ** 2))
    return ecg


def window(samples_mv: NDArray[np.float64]) -> Window:
    return Window(
        device="ward/1",
        session=1,
        first_sample=0,
        wall_time_us=0,
        fs=FS,
        lead=Lead.I,
        samples_mv=samples_mv.astype(np.float32),
        coverage=float(np.mean(~np.isnan(samples_mv))),
        lead_off=0.0,
        clipped=0.0,
        historic=False,
    )


def reason(candidate: Window) -> Indeterminate | None:
    return refuse(candidate, prepare_window(candidate.samples_mv, candidate.fs))


def noise(mv: float, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, mv, len(TIME_S))


@pytest.mark.parametrize("bpm", [35.0, 50.0, 72.0, 120.0, 180.0])
@pytest.mark.parametrize("r_mv", [0.3, 1.0, -1.0, 2.5])
def test_a_clean_ecg_passes_at_any_rate_height_and_polarity(bpm: float, r_mv: float) -> None:
    assert reason(window(beats(bpm, r_mv) + noise(0.01))) is None


def test_an_electrode_offset_and_slow_wander_pass() -> None:
    wander = 0.3 * np.sin(2 * np.pi * 0.25 * TIME_S)
    assert reason(window(beats() + wander + 40.0 + noise(0.01))) is None


@pytest.mark.parametrize("level_mv", [0.0, 3.3, -40.0])
def test_a_constant_value_is_flat(level_mv: float) -> None:
    assert reason(window(np.full(5000, level_mv))) == Indeterminate.FLAT


def test_a_line_that_falls_silent_half_way_is_flat() -> None:
    assert reason(window(beats(until_s=5.0) + noise(0.005))) == Indeterminate.FLAT


@pytest.mark.parametrize("rail_mv", [0.2, 0.5])
def test_waves_cut_off_at_a_rail_are_saturated(rail_mv: float) -> None:
    assert reason(window(np.clip(beats() + noise(0.01), -5.0, rail_mv))) == Indeterminate.SATURATED


def test_what_the_device_calls_clipped_is_saturated() -> None:
    assert reason(replace(window(beats() + noise(0.01)), clipped=0.06)) == Indeterminate.SATURATED


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("mv", [0.1, 0.5, 2.0])
def test_noise_alone_is_noisy(mv: float, seed: int) -> None:
    assert reason(window(noise(mv, seed))) == Indeterminate.NOISY


@pytest.mark.parametrize("seed", range(10))
def test_a_random_walk_is_noisy(seed: int) -> None:
    assert reason(window(np.cumsum(noise(0.05, seed)))) == Indeterminate.NOISY


def test_beats_drowned_in_muscle_noise_are_noisy() -> None:
    assert reason(window(beats(r_mv=0.5) + noise(0.5))) == Indeterminate.NOISY


def test_a_jump_of_the_electrode_is_noisy() -> None:
    jump = np.where(TIME_S > 6.0, 8.0, 0.0)
    assert reason(window(beats() + jump)) == Indeterminate.NOISY


def test_what_the_device_says_comes_first() -> None:
    silent = window(np.zeros(5000))
    assert reason(replace(silent, coverage=0.94)) == Indeterminate.MISSING_DATA
    assert reason(replace(silent, lead_off=0.06)) == Indeterminate.LEAD_OFF
    assert reason(replace(silent, coverage=0.5, lead_off=0.5)) == Indeterminate.MISSING_DATA


def test_limits_are_an_argument() -> None:
    clean = window(beats() + noise(0.01))
    prepared = prepare_window(clean.samples_mv, clean.fs)
    assert refuse(clean, prepared, GateLimits(min_stretch_mv=5.0)) == Indeterminate.FLAT
    assert refuse(clean, prepared, GateLimits(min_kurtosis=1000.0)) == Indeterminate.NOISY


def test_rail_share_counts_runs_and_not_single_extremes() -> None:
    ramp = np.linspace(-1, 1, 100, dtype=np.float32)
    assert rail_share(ramp) == 0.0
    assert rail_share(np.clip(ramp, -2, 0.5)) == pytest.approx(0.25, abs=0.02)


def test_kurtosis_knows_noise_from_a_sine() -> None:
    assert kurtosis(noise(1.0).astype(np.float32)) == pytest.approx(3.0, abs=0.2)
    assert kurtosis(np.sin(TIME_S * 20).astype(np.float32)) == pytest.approx(1.5, abs=0.05)


@pytest.mark.skipif(not PTBXL.is_dir(), reason="needs the PTB-XL arrays beside the project")
def test_at_most_three_in_a_hundred_clinical_recordings_are_refused() -> None:
    recordings = load_records(PTBXL).of_folds(range(1, 9)).lead_mv("I")[::4]
    refused = 0
    for ecg in recordings:
        one = replace(window(ecg.astype(np.float64)), fs=100.0)
        refused += reason(one) is not None
    assert len(recordings) > 800
    assert refused / len(recordings) <= 0.03


def test_windows_judged_together_get_the_reason_each_gets_alone() -> None:
    rng = np.random.default_rng(4)
    mixed = [
        window(beats(bpm) + rng.normal(0, mv, len(TIME_S))) for bpm in (40.0, 72.0) for mv in (0.01, 0.5)
    ]
    silent = window(np.zeros(5000))
    mixed += [silent, replace(silent, coverage=0.9), replace(silent, lead_off=0.5)]
    mixed += [replace(mixed[0], clipped=0.2), window(np.clip(beats(), -5.0, 0.3))]
    mixed += [replace(window(beats()[::4]), fs=125.0)]
    prepared = np.stack([prepare_window(one.samples_mv, one.fs) for one in mixed])
    together = refuse_each(mixed, prepared)
    assert together == [refuse(one, row) for one, row in zip(mixed, prepared, strict=True)]
    assert {None, "missing data", "lead off", "flat", "saturated", "noisy"} == set(together)


def test_no_windows_no_reasons() -> None:
    assert refuse_each([], np.zeros((0, 1000), dtype=np.float32)) == []
