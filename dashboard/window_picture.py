"""The samples behind a verdict -> what the networks see of them and what was explained, as JSON; pure."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dashboard.texts import patient as words
from dashboard.window_source import Stretch
from inference.beat_plot import beat_plot
from inference.explain.explanation import Explanation, QuantisedMap, quantise
from inference.preprocess import MODEL_FS, is_supported, prepare_window
from inference.recurrence import LAGS, lag_differences
from inference.rhythm_plot import LAGS as RHYTHM_NET_LAGS
from inference.rhythm_plot import RHYTHM_LAGS, RHYTHM_STRIDE, diagonals, rhythm_plot


@dataclass(frozen=True, slots=True)
class LaggedPlot:
    """A plot in its close-returns form: row k compares each moment with the one `lags_s[k]` before."""

    values: QuantisedMap  # (lags, columns); the columns share the window evenly
    lags_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Plots:
    """What the networks see; mV but for the rhythm plot, which has no unit."""

    ecg: QuantisedMap  # (1, 1000), at `fs` Hz
    fs: float
    lag: LaggedPlot
    beat: QuantisedMap  # (64, 64): row i, column j is b_i - b_j of the mean beat
    rhythm_lag: LaggedPlot
    rhythm: LaggedPlot


@dataclass(frozen=True, slots=True)
class WindowPicture:
    """One window; `note` says in words why there are no plots, or what to know of them."""

    note: str
    plots: Plots | None
    missing_s: tuple[tuple[float, float], ...] = ()  # stretches without samples, 0 in the plots
    explanations: tuple[Explanation, ...] = field(default=())


def picture_of(
    stretch: Stretch | None, explanations: tuple[Explanation, ...] = (), trouble: str = ""
) -> WindowPicture:
    """The window as the networks see it.

    Args:
        stretch: its samples; None where nothing of it is left.
        explanations: what is stored of it.
        trouble: why the store could not be asked, in words.
    """
    if stretch is None:
        return WindowPicture(trouble or words.WINDOW_GONE, None, (), explanations)
    is_missing = np.isnan(stretch.samples_mv)
    if not stretch.is_stored and is_missing.any():
        return WindowPicture(trouble or words.WINDOW_INCOMPLETE, None)
    if not is_supported(len(stretch.samples_mv), stretch.fs):
        return WindowPicture(words.WINDOW_UNSUPPORTED, None, (), explanations)
    note = "" if stretch.is_stored else trouble or words.WINDOW_LIVE
    ecg_mv = prepare_window(stretch.samples_mv, stretch.fs)
    return WindowPicture(note, plots_of(ecg_mv), _runs_s(is_missing, stretch.fs), explanations)


def plots_of(ecg_mv: NDArray[np.float32]) -> Plots:
    """(1000,) mV at 100 Hz, as `prepare_window` gives it -> the plots that the networks see."""
    return Plots(
        ecg=quantise(ecg_mv),
        fs=MODEL_FS,
        lag=LaggedPlot(quantise(lag_differences(ecg_mv)), _seconds(LAGS)),
        beat=quantise(beat_plot(ecg_mv)),
        rhythm_lag=LaggedPlot(quantise(diagonals(ecg_mv, RHYTHM_NET_LAGS)), _seconds(RHYTHM_NET_LAGS)),
        rhythm=LaggedPlot(quantise(rhythm_plot(ecg_mv)), _seconds(RHYTHM_LAGS, RHYTHM_STRIDE)),
    )


def _seconds(lags: tuple[int, ...], stride: int = 1) -> tuple[float, ...]:
    return tuple(lag * stride / MODEL_FS for lag in lags)


def _runs_s(is_true: NDArray[np.bool_], fs: float) -> tuple[tuple[float, float], ...]:
    """(n,) -> where it is true, as [from, to) in seconds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_true, [False]]).astype(np.int8)))
    return tuple(
        (float(low / fs), float(high / fs)) for low, high in zip(edges[::2], edges[1::2], strict=True)
    )
