"""Strips -> a batch as wearables could have sent it: stretched, of any size and polarity, with noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.training.beats.dataset import Floats, Strip
from ingest.beat_network import DELAY_FRAMES, STRIDE
from ingest.bins import BIN_HZ

BINS = 1000  # a crop
FRAMES = BINS // STRIDE
STRETCH = 0.15  # of time, natural logarithm, to either side
LEAST_MV = 0.05  # complexes smaller than this are not made larger
SIZES_MV = (0.15, 6.0)
SIZE_MEDIAN_MV, SIZE_SPREAD = 0.9, 0.7  # of complexes, log-normal
MOTION_SHARE, MOTION_DB = 0.5, (-4.0, 24.0)
NEAR, AROUND = 1.5, 3.5  # frames from a beat that count as the beat; that count as nothing
SILENT_SHARE = 0.06
PAUSE_SHARE, PAUSE_BINS, WAKE_BINS = 0.12, (150, 900), 30
FADE_SHARE, FADE = 0.12, (0.2, 0.8)  # an electrode that reads less from now on


@dataclass(frozen=True, slots=True)
class Source:
    """Strips of one kind, and the share of crops that come from it."""

    share: float
    strips: Sequence[Strip]


def batch_of(
    sources: Sequence[Source], motion: Floats, rng: np.random.Generator, n: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Crops as the network learns from them.

    Returns:
        (n, BINS) mV; (n, frames) whether a beat stood DELAY_FRAMES earlier, and what that answer counts;
        (n,) 1 where a person could not read the whole, 0 where one could, NaN where nobody was asked.
    """
    shares = np.array([source.share for source in sources])
    kinds = rng.choice(len(sources), n, p=shares / shares.sum())
    bins_mv, sizes_mv = np.zeros((n, BINS), np.float32), np.zeros(n)
    is_beat, weight = np.zeros((n, FRAMES), np.float32), np.ones((n, FRAMES), np.float32)
    told = np.full(n, np.nan, np.float32)
    is_silent = rng.random(n) < SILENT_SHARE
    for row, kind in enumerate(kinds):
        strips = sources[kind].strips
        strip = strips[int(rng.integers(len(strips)))]
        size_mv = float(np.clip(SIZE_MEDIAN_MV * np.exp(SIZE_SPREAD * rng.standard_normal()), *SIZES_MV))
        sizes_mv[row] = size_mv
        if is_silent[row]:
            continue
        crop, beats, doubts = _crop(strip, rng)
        if strip.unreadable is not None:
            bins_mv[row], sizes_mv[row] = crop * rng.choice([-1.0, 1.0]), 0.0
            told[row], weight[row] = strip.unreadable, 0.0
            continue
        bins_mv[row] = crop * (size_mv / max(strip.size_mv, LEAST_MV) * rng.choice([-1.0, 1.0]))
        if len(beats) > 2 and rng.random() < PAUSE_SHARE:
            beats = _pause(bins_mv[row], beats, rng)
        if rng.random() < FADE_SHARE:
            bins_mv[row, int(rng.integers(BINS)) :] *= np.float32(rng.uniform(*FADE))
        is_beat[row], weight[row] = _answer(beats, doubts)
    bins_mv += _noise(motion, rng, sizes_mv)
    weight[:, : DELAY_FRAMES + 8] = 0.0
    return bins_mv, is_beat, weight, told


def _answer(beats: NDArray[np.float64], doubts: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Frames of a crop -> whether a beat stood DELAY_FRAMES earlier, and what that counts; (FRAMES,) each."""
    frames = np.arange(FRAMES) - DELAY_FRAMES
    apart = _distance(frames, beats)
    is_unsure = ((apart > NEAR) & (apart <= AROUND)) | (
        (_distance(frames, doubts) <= 2 * AROUND) & (apart > NEAR)
    )
    return (apart <= NEAR).astype(np.float32), np.where(is_unsure, 0.0, 1.0).astype(np.float32)


def _pause(crop: Floats, beats: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Let the heart stop between two beats of the crop, in place; returns the beats that are left."""
    beats = np.sort(beats)
    last = int(rng.integers(len(beats) - 1))
    start = round(float(beats[last] + 0.6 * (beats[last + 1] - beats[last])) * 2)
    end = min(BINS, start + int(rng.integers(*PAUSE_BINS)))
    later = beats[beats * 2 > end]
    if len(later):  # wake again well before the next beat
        end = min(end, max(start, round(float(later[0]) * 2) - WAKE_BINS))
    start = max(0, start)
    if end - start < WAKE_BINS:
        return beats
    crop[start:end] = np.linspace(crop[start], crop[min(end, BINS - 1)], end - start)
    return beats[(beats * 2 < start) | (beats * 2 > end)]


def _crop(strip: Strip, rng: np.random.Generator) -> tuple[Floats, NDArray[np.float64], NDArray[np.float64]]:
    """Part of a strip, stretched; with beats and doubts in frames of the crop."""
    rate = float(np.exp(rng.uniform(-STRETCH, STRETCH)))
    length = len(strip.bins_mv)
    rate = min(rate, (length - 2) / BINS)
    start = rng.uniform(0, length - 1 - rate * BINS)
    at = start + rate * np.arange(BINS)
    crop = _interp(strip.bins_mv, at).astype(np.float32)
    return crop, (strip.beats - start) / rate / 2, (strip.doubts - start) / rate / 2


def _interp(x: NDArray[np.floating], at: NDArray[np.floating]) -> NDArray[np.float64]:
    low = at.astype(int)
    part = at - low
    return np.asarray(x[low] * (1 - part) + x[np.minimum(low + 1, len(x) - 1)] * part)


def _distance(frames: NDArray[np.int64], beats: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) frames to the nearest beat."""
    if not len(beats):
        return np.full(len(frames), np.inf)
    beats = np.sort(beats)
    after = np.searchsorted(beats, frames)
    left = np.abs(frames - beats[np.maximum(after - 1, 0)])
    right = np.abs(frames - beats[np.minimum(after, len(beats) - 1)])
    return np.minimum(left, right)


def _noise(motion: Floats, rng: np.random.Generator, sizes: NDArray[np.float64]) -> Floats:
    """(n, BINS) mV: electrode motion by its ratio to the complexes; muscle, mains, wander, steps, spikes."""
    n = len(sizes)
    is_clean = sizes == 0.0
    noise = np.zeros((n, BINS))
    t = np.arange(BINS) / BIN_HZ
    starts = rng.integers(0, motion.shape[1] - BINS, n)
    picked = motion[rng.integers(0, len(motion), n)[:, None], starts[:, None] + np.arange(BINS)]
    size = np.sqrt(sizes**2 / 8 / 10 ** (rng.uniform(*MOTION_DB, n) / 10))
    noise += (rng.random(n) < MOTION_SHARE)[:, None] * (size * rng.choice([-1, 1], n))[:, None] * picked
    white = rng.standard_normal((n, BINS))
    white[::2, 1:] = (white[::2, 1:] + white[::2, :-1]) * 0.7
    muscle_mv = np.exp(rng.uniform(np.log(0.003), np.log(0.25), n)) * np.minimum(1.0, sizes)
    burst = np.where(rng.random(n)[:, None] < 0.3, _bumps(rng, n, t), 1.0)
    noise += muscle_mv[:, None] * white * burst
    hz = rng.choice([40.0, 49.7, 25.0, 16.7], n, p=[0.5, 0.4, 0.05, 0.05])  # 60 Hz folds to 40
    mains_mv = (rng.random(n) < 0.25) * np.exp(rng.uniform(np.log(0.01), np.log(0.3), n))
    noise += mains_mv[:, None] * np.sin(2 * np.pi * (hz[:, None] * t + rng.random((n, 1))))
    for _ in range(2):
        wander_mv = (rng.random(n) < 0.5) * np.exp(rng.uniform(np.log(0.05), np.log(2.0), n))
        noise += wander_mv[:, None] * np.sin(
            2 * np.pi * (rng.uniform(0.05, 0.7, (n, 1)) * t + rng.random((n, 1)))
        )
    for row in np.flatnonzero(rng.random(n) < 0.12):  # an electrode that moved
        noise[row, rng.integers(BINS) :] += rng.normal(0, 1.0)
    for row in np.flatnonzero(rng.random(n) < 0.06):  # single samples that are wrong
        noise[row, rng.integers(0, BINS, 5)] += rng.normal(0, 1.0, 5)
    noise[is_clean] = 0.0
    return noise.astype(np.float32)


def _bumps(rng: np.random.Generator, n: int, t: NDArray[np.float64]) -> NDArray[np.float64]:
    centre, width = rng.uniform(0, 10, (n, 1)), rng.uniform(0.3, 3, (n, 1))
    return np.asarray(3 * np.exp(-0.5 * ((t - centre) / width) ** 2))
