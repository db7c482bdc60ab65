import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from inference.preprocess import (
    MODEL_SAMPLES,
    is_supported,
    prepare_batch,
    prepare_window,
    prepare_windows,
)

MIDDLE = slice(200, 800)  # away from the ends, where any filter must guess
RATES = (125.0, 200.0, 250.0, 300.0, 500.0, 511.422, 512.0, 1000.0)


def tone(hz: float, fs: float, mv: float = 1.0) -> NDArray[np.float32]:
    time_s = np.arange(round(10 * fs)) / fs
    return np.asarray(mv * np.sin(2 * np.pi * hz * time_s), dtype=np.float32)


@pytest.mark.parametrize("fs", [200.0, 250.0, 360.0, 500.0, 511.422, 512.0, 1000.0])
@pytest.mark.parametrize("hz", [62.0, 70.0, 93.0])
def test_what_the_model_cannot_see_does_not_fold_into_its_band(fs: float, hz: float) -> None:
    assert np.abs(prepare_window(tone(hz, fs), fs)[MIDDLE]).max() < 0.01


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("hz", [2.0, 8.0, 20.0])
def test_the_band_passes_in_time_and_in_millivolts(fs: float, hz: float) -> None:
    wanted = np.sin(2 * np.pi * hz * np.arange(MODEL_SAMPLES) / 100)
    np.testing.assert_allclose(prepare_window(tone(hz, fs), fs)[MIDDLE], wanted[MIDDLE], atol=0.07)


@pytest.mark.parametrize("fs", RATES)
def test_an_electrode_offset_leaves_no_trace(fs: float) -> None:
    ecg = tone(8.0, fs)
    np.testing.assert_allclose(prepare_window(ecg + 40, fs), prepare_window(ecg, fs), atol=1e-3)


def test_scale_is_kept_not_normalised() -> None:
    ecg = tone(8.0, 500.0)
    np.testing.assert_allclose(prepare_window(3 * ecg, 500.0), 3 * prepare_window(ecg, 500.0), atol=1e-5)


@pytest.mark.parametrize("fs", [100.0, 500.0])
def test_missing_samples_are_zero_in_the_input_and_do_not_ring(fs: float) -> None:
    ecg = tone(8.0, fs) + np.float32(5.0)  # an offset would ring if a hole were filled with zeros
    whole = prepare_window(ecg, fs)
    holed = ecg.copy()
    holed[round(4 * fs) : round(4.25 * fs)] = np.nan
    prepared = prepare_window(holed, fs)
    assert not prepared[401:424].any()
    away = np.r_[0:380, 445:1000]
    np.testing.assert_allclose(prepared[away], whole[away], atol=0.1)
    assert np.isfinite(prepared).all()


def test_a_window_without_any_sample_is_silent() -> None:
    assert not prepare_window(np.full(5000, np.nan, dtype=np.float32), 500.0).any()


def test_training_and_serving_prepare_a_record_alike() -> None:
    rng = np.random.default_rng(5)
    records = rng.normal(0, 0.4, (5, MODEL_SAMPLES)).astype(np.float32)
    records[2, 300:340] = np.nan
    batch = prepare_batch(records)
    for row, record in zip(batch, records, strict=True):
        np.testing.assert_allclose(row, prepare_window(record, 100.0), atol=1e-6)


def test_preparing_changes_nothing_it_was_given() -> None:
    ecg = tone(8.0, 512.0)
    ecg[10:20] = np.nan
    before = ecg.copy()
    ecg.flags.writeable = False
    prepare_window(ecg, 512.0)
    np.testing.assert_array_equal(ecg, before)


@pytest.mark.parametrize(("n_samples", "fs"), [(320, 32.0), (4000, 500.0), (10, 0.0), (0, float("nan"))])
def test_a_window_that_is_too_slow_or_not_ten_seconds_is_refused_with_its_figures(
    n_samples: int, fs: float
) -> None:
    assert not is_supported(n_samples, fs)
    with pytest.raises(ValueError, match=rf"{n_samples} samples at {fs} Hz.*10 s at 50 Hz"):
        prepare_window(np.zeros(n_samples, dtype=np.float32), fs)


def test_windows_of_many_rates_prepare_together_as_each_would_alone() -> None:
    rng = np.random.default_rng(8)
    fs = [*RATES, 100.0, 512.0, 500.0]
    windows = [tone(8.0, rate) + rng.normal(0, 0.1, round(10 * rate)).astype(np.float32) for rate in fs]
    windows[4][2000:2100] = np.nan
    together = prepare_windows(windows, fs)
    for row, window, rate in zip(together, windows, fs, strict=True):
        np.testing.assert_allclose(row, prepare_window(window, rate), atol=1e-6)


def test_no_windows_prepare_to_nothing() -> None:
    assert prepare_windows([], []).shape == (0, MODEL_SAMPLES)


def test_the_filter_is_a_zero_phase_butterworth_with_mirrored_ends() -> None:
    ecg = np.cumsum(np.random.default_rng(3).normal(0, 0.1, (3, MODEL_SAMPLES)), axis=1)
    band = butter(2, (0.5, 40.0), btype="bandpass", fs=100.0, output="sos")
    wanted = sosfiltfilt(band, ecg, axis=-1, padtype="even", padlen=300)
    np.testing.assert_allclose(prepare_batch(ecg), wanted, atol=1e-6)
