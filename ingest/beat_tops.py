"""The beat network's answers -> their tops, and what the signal does around each."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.beat_network import DELAY_FRAMES, FRAME_HZ

AROUND = 2  # frames to each side over which a top must be the highest
FIRST_FRAME = DELAY_FRAMES + 3  # the network has seen too little before
SEARCH_S = 0.08  # the R peak lies within this of the top; broad complexes have theirs far from the middle
SMOOTH_S = 0.016  # over which its place is looked for: noise moves the highest single sample
EDGE_S = 0.015  # at each end of that stretch, whose mean is the level that R and S rise from

Floats = NDArray[np.float32]


class Top(NamedTuple):  # a fifth of what a frozen dataclass costs to make
    """A frame that is surer of a beat than those around it, and the signal there."""

    logit: float
    unreadable: float  # logit that beats are told wrongly about here
    highest: int  # sample, counted from the first of the stream
    lowest: int
    above_mv: float  # how far the highest sample rises above the level
    below_mv: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Stretch:
    """The newest samples of several streams of one rate, and what the network says of them."""

    fs: float
    samples_mv: Floats  # (n_streams, n_samples)
    oldest: NDArray[np.int64]  # (n_streams,) sample of the stream with which they begin
    origin: NDArray[np.int64]  # (n_streams,) sample with which frame 0 begins
    logits: Floats  # (n_streams, n_frames, outputs); the first and last AROUND are no tops
    first_frame: NDArray[np.int64]  # (n_streams,) number of the first of them


def tops_of(stretch: Stretch, least: float) -> list[list[Top]]:
    """Of each stream the frames, at least so sure and the highest of those around, in order."""
    sure = stretch.logits[:, :, 0]
    middle = sure[:, AROUND:-AROUND]
    n = middle.shape[1]
    is_top = middle > least
    for step in range(1, AROUND + 1):
        is_top &= (middle >= sure[:, AROUND - step :][:, :n]) & (middle > sure[:, AROUND + step :][:, :n])
    is_top &= stretch.first_frame[:, None] + AROUND + np.arange(n) >= FIRST_FRAME
    rows, columns = np.divmod(np.flatnonzero(is_top), n) if n else (np.zeros(0, np.int64),) * 2
    tops: list[list[Top]] = [[] for _ in sure]
    if len(rows):
        answers = stretch.logits[rows, columns + AROUND]
        about = zip(*answers.T.tolist(), *_signal_at(stretch, rows, columns + AROUND), strict=True)
        for row, top in zip(rows.tolist(), about, strict=True):
            tops[row].append(Top._make(top))
    return tops


def _signal_at(
    stretch: Stretch, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[list[int], list[int], list[float], list[float]]:
    """Highest and lowest sample around each frame, and how far they lie above and below the level there."""
    fs, oldest = stretch.fs, stretch.oldest[rows]
    frames = stretch.first_frame[rows] + columns - DELAY_FRAMES + 0.5  # the middle of what the frame tells of
    middle = stretch.origin[rows] + np.rint(frames * (fs / FRAME_HZ)).astype(np.int64)
    search, half, edge = round(SEARCH_S * fs), int(SMOOTH_S * fs / 2), max(1, round(EDGE_S * fs))
    n_around = 2 * (search + half) + 1
    first = np.clip(middle - search - half - oldest, 0, stretch.samples_mv.shape[1] - n_around)
    around_mv = _smoothed(stretch.samples_mv[rows[:, None], first[:, None] + np.arange(n_around)], half)
    level_mv = (np.add.reduce(around_mv[:, :edge], 1) + np.add.reduce(around_mv[:, -edge:], 1)) / (2 * edge)
    highest, lowest = around_mv.argmax(axis=1), around_mv.argmin(axis=1)
    each, begin = np.arange(len(rows)), first + half + oldest
    return (
        (begin + highest).tolist(),
        (begin + lowest).tolist(),
        (around_mv[each, highest] - level_mv).tolist(),
        (level_mv - around_mv[each, lowest]).tolist(),
    )


def _smoothed(rows_mv: Floats, half: int) -> NDArray[np.float64]:
    """Means over `half` samples to each side (n_rows, n_samples - 2 * half)."""
    sums = np.cumsum(rows_mv, axis=1, dtype=np.float64)
    sums = np.concatenate([np.zeros((len(sums), 1)), sums], axis=1)
    width = 2 * half + 1
    return np.asarray((sums[:, width:] - sums[:, :-width]) / width)
