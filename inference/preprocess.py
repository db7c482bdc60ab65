"""A window of one lead at any rate becomes the model's input: 1000 samples at 100 Hz, 0.5-40 Hz, in mV.

Serving and training share this file, so that the model never sees anything it was not trained on:
training records are at 100 Hz already and skip the resampling only. There is no z-score and no min-max: the
scale stays mV, as hypertrophy is read from amplitude.

Missing samples (NaN) are bridged by straight lines only so that the filter does not ring, and are then 0
in the model's input; training shows the network the same in its segment masks. Nothing is made up.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt, sosfilt_zi
from scipy.sparse import csr_array

MODEL_FS = 100.0  # Hz; 500 Hz does not help PTB-XL superclasses (Strodthoff et al. 2021)
MODEL_LENGTH_S = 10.0
MODEL_SAMPLES = 1000
LENGTH_TOLERANCE_S = 0.1  # a window cut by a measured fs is a few samples longer or shorter
BAND_HZ = (0.5, 40.0)  # monitor band; below it lies wander, above it mains and muscle
EDGE_S = 3.0  # mirrored before filtering; an odd extension jumps by twice an R wave that lies on the edge
STOP_HZ = 60.0  # anti-aliasing stops here: what lies at 50-60 Hz folds to 50-40 Hz, outside the band
STOP_DB = 70.0
MIN_FS_HZ = 50.0  # below it there is no QRS shape left to classify

_BAND = butter(2, BAND_HZ, btype="bandpass", fs=MODEL_FS, output="sos")  # designed once: 1 ms
_SETTLED = sosfilt_zi(_BAND)[:, None, :]  # (sections, 1, 2), the state after a constant 1 mV; 0.2 ms


def is_supported(n_samples: int, fs: float) -> bool:
    """Whether a window of that many samples at fs Hz is 10 s of a signal fast enough to classify."""
    return MIN_FS_HZ <= fs < np.inf and abs(n_samples / fs - MODEL_LENGTH_S) <= LENGTH_TOLERANCE_S


def prepare_window(samples_mv: NDArray[np.floating], fs: float) -> NDArray[np.float32]:
    """One 10 s window at any rate -> the model's input.

    Args:
        samples_mv: (n_samples,) mV, NaN where samples never came; not changed.
        fs: Hz, may be fractional.

    Returns:
        (1000,) float32, mV at 100 Hz, 0 where samples never came.

    Raises:
        ValueError: fs below 50 Hz, or a window that is not 10 s long.
    """
    ecg: NDArray[np.float32] = prepare_windows([samples_mv], [fs])[0]
    return ecg


def prepare_windows(samples_mv: Sequence[NDArray[np.floating]], fs: Sequence[float]) -> NDArray[np.float32]:
    """The same for many windows of any rates, each as it would be alone; one product a rate, one filter run.

    Args:
        samples_mv: n windows, each (n_samples,) mV, NaN where samples never came; not changed.
        fs: their n rates, Hz.

    Returns:
        (n, 1000) float32, mV at 100 Hz, 0 where samples never came.

    Raises:
        ValueError: fs below 50 Hz, or a window that is not 10 s long.
    """
    alike: dict[tuple[int, float], list[int]] = {}  # windows of one length and rate
    for row, (samples, rate) in enumerate(zip(samples_mv, fs, strict=True)):
        if not is_supported(len(samples), rate):
            raise ValueError(
                f"a window of {len(samples)} samples at {rate} Hz cannot be classified: the model needs "
                f"{MODEL_LENGTH_S:g} s at {MIN_FS_HZ:g} Hz or more"
            )
        alike.setdefault((len(samples), rate), []).append(row)
    filled_mv = np.empty((len(samples_mv), MODEL_SAMPLES))
    is_missing = np.empty(filled_mv.shape, dtype=np.bool_)
    for (n_samples, rate), rows in alike.items():
        filled, missing = _bridge_each(np.array([samples_mv[row] for row in rows], dtype=np.float64))
        if rate != MODEL_FS or n_samples != MODEL_SAMPLES:
            nearest = np.rint(np.arange(MODEL_SAMPLES) * (rate / MODEL_FS)).astype(int)
            missing = missing[:, np.minimum(nearest, n_samples - 1)]
            filled = resample(filled, rate, MODEL_SAMPLES)
        filled_mv[rows], is_missing[rows] = filled, missing
    return finish(filled_mv, is_missing)


def prepare_batch(ecg_mv: NDArray[np.floating]) -> NDArray[np.float32]:
    """The same for training records.

    Args:
        ecg_mv: (n, 1000) mV at 100 Hz, NaN where masked; not changed.

    Returns:
        (n, 1000) float32 mV, 0 where masked.
    """
    return finish(*_bridge_each(np.array(ecg_mv, dtype=np.float64)))


def bridge(samples_mv: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(n,) with NaN -> (n,) with lines over the holes, 0 if nothing came; and (n,) True where missing."""
    missing = np.isnan(samples_mv)
    if not missing.any():
        return samples_mv, missing
    if missing.all():
        return np.zeros_like(samples_mv), missing
    index = np.arange(len(samples_mv))
    filled = np.interp(index, index[~missing], samples_mv[~missing])  # holes only: no rate changes here
    return filled, missing


def finish(filled_mv: NDArray[np.float64], missing: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(n, samples) at 100 Hz without NaN -> (n, samples) float32 in the band, zero-phase, 0 where missing."""
    ecg = _zero_phase(filled_mv, min(round(EDGE_S * MODEL_FS), filled_mv.shape[-1] - 1)).astype(np.float32)
    ecg[missing] = 0.0
    return ecg


def _bridge_each(samples_mv: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(n, samples) with NaN -> the same array, each row bridged in place; and where a sample was missing."""
    missing = np.isnan(samples_mv)
    for row in np.flatnonzero(missing.any(axis=1)):
        samples_mv[row], _ = bridge(samples_mv[row])
    return samples_mv, missing


def _zero_phase(samples_mv: NDArray[np.float64], edge: int) -> NDArray[np.float64]:
    """The same as sosfiltfilt with even padding, bit for bit, without what that does anew in each call."""
    extended = np.pad(samples_mv, ((0, 0), (edge, edge)), mode="reflect")
    for _ in range(2):  # forwards, then backwards
        extended = sosfilt(_BAND, extended, zi=_SETTLED * extended[None, :, :1])[0][:, ::-1]
    return np.asarray(extended[:, edge : edge + samples_mv.shape[1]])


def resample(samples_mv: NDArray[np.float64], fs: float, n_out: int) -> NDArray[np.float64]:
    """(..., n) at fs -> (..., n_out) at 100 Hz from the same first moment; anti-aliased, ends mirrored."""
    operator, edge = _resampler(round(fs, 2), samples_mv.shape[-1], n_out)
    extended = np.pad(samples_mv, [(0, 0)] * (samples_mv.ndim - 1) + [(edge, edge)], mode="reflect")
    return np.asarray((operator @ extended.T).T, dtype=np.float64)


@lru_cache(maxsize=64)  # one entry a rate, to 0.01 Hz (0.2 ms in 10 s); 1.8 MB each at 512 Hz
def _resampler(fs: float, n_in: int, n_out: int) -> tuple[csr_array, int]:
    """A Kaiser-windowed sinc at the exact output moments: any ratio, fractional too, is one sparse product.

    A polyphase filter is the same with a rational ratio; 100 / 511.422 has none below 50,000 phases.
    """
    stop = min(STOP_HZ, fs / 2 + (fs / 2 - BAND_HZ[1])) if fs / 2 > BAND_HZ[1] else fs / 2
    passing = min(BAND_HZ[1], 0.8 * stop)
    cutoff, width = (passing + stop) / 2, stop - passing
    half_s = (STOP_DB - 8.0) / (2.285 * 2 * np.pi * width) / 2  # Kaiser's length formula
    beta = 0.1102 * (STOP_DB - 8.7)
    edge = int(np.ceil(half_s * fs)) + 1
    centre = np.arange(n_out) * (fs / MODEL_FS)  # in input samples
    taps = np.floor(centre).astype(int)[:, None] + np.arange(-edge + 1, edge + 1)[None, :]
    offset_s = (taps - centre[:, None]) / fs
    shape = np.sqrt(np.clip(1.0 - (offset_s / half_s) ** 2, 0.0, None))
    weights = np.sinc(2 * cutoff * offset_s) * np.i0(beta * shape) * (np.abs(offset_s) <= half_s)
    weights /= weights.sum(axis=1, keepdims=True)  # a constant stays itself
    columns = np.clip(taps + edge, 0, n_in + 2 * edge - 1)
    rows = np.broadcast_to(np.arange(n_out)[:, None], taps.shape)
    shape_out = (n_out, n_in + 2 * edge)
    return csr_array((weights.ravel(), (rows.ravel(), columns.ravel())), shape=shape_out), edge
