import numpy as np
import pytest

from inference.recurrence import (
    CLIP_MV,
    LAGS,
    N_CHANNELS,
    SOFT_SCALES_MV,
    lag_differences,
    lag_plot,
)

ECG = np.random.default_rng(3).normal(0, 0.5, 1000).astype(np.float32)


def test_each_row_is_a_diagonal_of_the_full_signed_plot() -> None:
    full = ECG[:, None] - ECG[None, :]
    for row, lag in zip(lag_differences(ECG), LAGS, strict=True):
        np.testing.assert_array_equal(row[lag:], np.diagonal(full, offset=-lag))
        assert not row[:lag].any()


def test_lags_span_ten_milliseconds_to_one_beat_at_forty_six_a_minute() -> None:
    assert LAGS[0] == 1
    assert LAGS[-1] == 130
    assert list(LAGS) == sorted(set(LAGS))


def test_an_inverted_lead_inverts_the_signed_channels_and_leaves_the_soft_ones() -> None:
    upright, inverted = lag_plot(ECG), lag_plot(-ECG)
    n = len(LAGS)
    np.testing.assert_array_equal(inverted[:n], -upright[:n])
    np.testing.assert_array_equal(inverted[n:], upright[n:])
    assert np.abs(upright[:n]).max() > 0.5


def test_a_taller_signal_gives_another_plot() -> None:
    assert np.abs(lag_plot(2 * ECG) - lag_plot(ECG)).max() > 0.5


def test_an_offset_does_not_enter_the_plot() -> None:
    np.testing.assert_allclose(lag_plot(ECG + np.float32(0.25)), lag_plot(ECG), atol=1e-5)


def test_signed_channels_are_clipped_and_soft_ones_lie_between_zero_and_one() -> None:
    plot = lag_plot(20 * ECG)
    assert plot.shape == (N_CHANNELS, 1000)
    assert plot.dtype == np.float32
    assert np.abs(plot[: len(LAGS)]).max() == CLIP_MV
    assert plot[len(LAGS) :].min() >= 0
    assert plot[len(LAGS) :].max() < 1


@pytest.mark.parametrize("scale_mv", SOFT_SCALES_MV)
def test_soft_recurrence_is_one_half_at_its_scale(scale_mv: float) -> None:
    step = np.zeros(1000, dtype=np.float32)
    step[500:] = scale_mv
    row = len(LAGS) * (1 + SOFT_SCALES_MV.index(scale_mv))
    assert lag_plot(step)[row, 500] == pytest.approx(0.5)
