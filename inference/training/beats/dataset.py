"""Recordings with known beats, as means of 10 ms bins: annotated, agreed on by eight leads, and made up."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from inference.training.dataset import load_records
from inference.training.labels import DatasetError
from inference.training.unlabelled import (
    AMBULATORY_BASELINE,
    AMBULATORY_FS,
    AMBULATORY_PATTERN,
    AMBULATORY_UV,
    HANDHELD_FS,
    HANDHELD_PATTERN,
    NOISE_NAME,
    load_handheld,
)
from ingest.bins import BIN_HZ, Binner, bin_together

Floats = NDArray[np.float32]
Wave = tuple[float, float, float]  # height in mV, seconds from the R peak, standard deviation in s
BEATS = list("NLRBAaJSVrFejnE/fQ?")  # EC57
HALF_S = 0.05
SURE_SHARE, DOUBT_SHARE = 0.4, 0.15  # of the usual speed of a complex
INVENTED_BINS = 1400
SLOWEST_BPM, FASTEST_BPM = 15, 260
SHORTEST_T_RR_S = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """One lead of one recording with its beats."""

    name: str
    bins_mv: Floats  # (n_bins,)
    beats: NDArray[np.float64]  # bins
    doubts: NDArray[np.float64]  # bins around which nobody knows whether a beat stands
    size_mv: float  # peak to peak of its usual complex
    unreadable: float | None = None  # 1.0 or 0.0 where a person said so of the whole; then no beat is known


def annotated(directory: Path) -> list[Strip]:
    """Both leads of each MIT-BIH recording; ventricular flutter is in doubt."""
    strips = []
    for path in sorted(directory.glob(AMBULATORY_PATTERN)):
        with np.load(path) as recordings:
            for name in (k.removeprefix("dx_") for k in recordings.files if k.startswith("dx_")):
                units = np.cumsum(recordings[f"dx_{name}"], axis=-1, dtype=np.int16)
                leads_mv = (units.astype(np.float64) - AMBULATORY_BASELINE) * AMBULATORY_UV / 1000
                at, symbols = recordings[f"ann_s_{name}"], recordings[f"ann_y_{name}"]
                beats = at[np.isin(symbols, BEATS)] / AMBULATORY_FS * BIN_HZ
                doubts = at[np.isin(symbols, ["!"])] / AMBULATORY_FS * BIN_HZ
                each = (to_bins(lead_mv, AMBULATORY_FS) for lead_mv in leads_mv)
                strips += [strip_of(name, bins_mv, beats, doubts) for bins_mv in each]
    if not strips:
        raise DatasetError(f"{directory} holds no {AMBULATORY_PATTERN}")
    return strips


def to_bins(samples_mv: NDArray[np.floating], fs: float) -> Floats:
    """(n_samples,) at fs Hz -> (n_bins,) as the detector sees them."""
    bins_mv: Floats = bin_together([Binner(fs)], samples_mv[None])[0][0]
    return bins_mv


def strip_of(name: str, bins_mv: Floats, beats: NDArray[np.float64], doubts: NDArray[np.float64]) -> Strip:
    """With the size of its usual complex."""
    half = round(HALF_S * BIN_HZ)
    at = np.round(beats).astype(int)
    at = at[(at >= half) & (at < len(bins_mv) - half)]
    size = np.median(np.ptp(bins_mv[at[:, None] + np.arange(-half, half + 1)], axis=1)) if len(at) else 0.0
    return Strip(name, bins_mv, beats, doubts, float(size))


def motion(directory: Path) -> Floats:
    """(channels, n) recorded electrode motion in bins, unit variance."""
    with np.load(directory / NOISE_NAME) as recorded:
        noise = recorded["x"].astype(np.float64)
    noise = (noise - noise.mean(axis=1, keepdims=True)) / noise.std(axis=1, keepdims=True)
    return np.stack([to_bins(each, AMBULATORY_FS) for each in noise])


def handheld(directory: Path) -> list[Strip]:
    """CinC 2017: recordings that cardiologists could not read, and those that they could."""
    recordings = load_handheld(directory)
    if recordings is None:
        raise DatasetError(f"{directory} holds no {HANDHELD_PATTERN}")
    strips = []
    for k, (ecg_uv, label) in enumerate(zip(recordings.ecg_uv, recordings.label, strict=True)):
        bins_mv = to_bins(ecg_uv / 1000.0, HANDHELD_FS)
        size_mv = float(np.median(np.ptp(bins_mv[: len(bins_mv) // 100 * 100].reshape(-1, 100), axis=1)))
        strips.append(
            Strip(f"cinc-{k}", bins_mv, np.zeros(0), np.zeros(0), size_mv, 1.0 if label == "~" else 0.0)
        )
    return strips


def agreed(directory: Path, folds: Sequence[int]) -> list[Strip]:
    """Each lead of PTB-XL recordings, with the beats on which eight leads together leave no doubt."""
    records = load_records(directory, unlabelled=True).of_folds(folds)
    strips = []
    for ecg_id, leads_uv in zip(records.ecg_id, records.ecg_uv, strict=True):
        leads_mv = leads_uv.astype(np.float32) / 1000
        beats, doubts = spatial_beats(leads_mv)
        if len(beats) < 3:
            continue
        limbs = [leads_mv[1] - leads_mv[0], *leads_mv]  # III, I, II, V1-V6
        strips += [strip_of(f"ptbxl-{ecg_id}", lead_mv, beats, doubts) for lead_mv in limbs]
    return strips


def spatial_beats(leads_mv: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(leads, n) at 100 Hz -> places of complexes, and of what may be one, by the speed of all leads.

    The spatial velocity of vectorcardiography, taken from eight leads as they are.
    """
    speed = np.sqrt(np.sum(np.square(leads_mv[:, 2:] - leads_mv[:, :-2]), axis=0))
    hull = gaussian_filter1d(speed, 3.0)
    places, _ = find_peaks(hull, distance=20)
    if not len(places):
        return np.zeros(0), np.zeros(0)
    heights = hull[places]
    usual = float(np.median(np.sort(heights)[-8:]))
    is_beat, is_doubt = heights >= SURE_SHARE * usual, heights >= DOUBT_SHARE * usual
    middle = places + 1.0  # of the two bins whose difference is the speed
    return np.asarray(middle[is_beat]), np.asarray(middle[is_doubt & ~is_beat])


def invented(rng: np.random.Generator, n: int) -> list[Strip]:
    """Sums of Gaussian waves, 14 s each, at 15 to 260 bpm: tall T, broad, paced and P-only rhythms."""
    return [_invented_strip(rng) for _ in range(n)]


def _invented_strip(rng: np.random.Generator) -> Strip:
    t = np.arange(INVENTED_BINS) / BIN_HZ
    rr_s = 60 / float(np.exp(rng.uniform(np.log(SLOWEST_BPM), np.log(FASTEST_BPM))))
    spread = rng.choice([0.01, 0.05, 0.2])
    beats_s = np.cumsum(rr_s * np.maximum(0.4, rng.normal(1, spread, 60))) - rng.uniform(0, rr_s)
    beats_s = beats_s[(beats_s > -1) & (beats_s < t[-1] + 1)]
    complexes, others = _invented_waves(rng, rr_s)
    is_silent = rng.random() < 0.15  # P waves without any ventricular beat
    x = np.zeros(len(t))
    for beat_s in beats_s:
        for height, at_s, width_s in others[1:] if is_silent else complexes + others:
            x += height * np.exp(-0.5 * ((t - beat_s - at_s) / width_s) ** 2)
    if rng.random() < 0.25:  # pacing spikes of 2 ms, at the beats or where nothing answers
        before_s = rng.uniform(0.02, 0.2)
        spikes_s = beats_s - before_s if rng.random() < 0.7 else np.arange(0.5, 10, rng.uniform(0.4, 1.2))
        at = np.round(spikes_s * BIN_HZ).astype(int)
        x[at[(at >= 0) & (at < len(x))]] += rng.uniform(0.05, 0.4) * rng.choice([-1, 1])
    beats = np.zeros(0) if is_silent else beats_s * BIN_HZ
    return Strip("invented", x.astype(np.float32), beats, np.zeros(0), 1.0)


def _invented_waves(rng: np.random.Generator, rr_s: float) -> tuple[list[Wave], list[Wave]]:
    """Those of a complex of about 1 mV, and its T and P wave, which rates from 170 bpm on have none of."""
    is_broad = rng.random() < 0.3
    sd_s = rng.uniform(0.02, 0.045) if is_broad else rng.uniform(0.007, 0.018)
    complexes = [
        (1.0, 0.0, sd_s),
        (rng.uniform(-0.6, 0), 2.2 * sd_s, sd_s),
        (rng.uniform(-0.4, 0), -2.2 * sd_s, sd_s),
    ]
    if rr_s <= SHORTEST_T_RR_S:
        return complexes, []
    reach = min(1.0, rr_s) ** 0.5
    t_mv = rng.choice(
        [rng.uniform(-0.4, 0.4), rng.uniform(0.6, 1.3), rng.uniform(-1.3, -0.6)], p=[0.7, 0.2, 0.1]
    )
    t_wave = (float(t_mv), rng.uniform(0.24, 0.34) * reach, rng.uniform(0.035, 0.06) * reach)
    p_mv = rng.choice([rng.uniform(0, 0.2), rng.uniform(0.3, 1.0)], p=[0.7, 0.3])  # some as tall as a QRS
    p_wave = (float(p_mv), -rng.uniform(0.13, 0.22) * reach, rng.uniform(0.018, 0.03))
    return complexes, [t_wave, p_wave]
