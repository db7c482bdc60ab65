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
Top = tuple[float, float, int, int, float, float]  # of one frame what Tops tells after its row


class Tops(NamedTuple):
    """Frames that are surer of a beat than those around them, and the signal there; a list for each fact."""

    row: list[int]  # of the stream
    logit: list[float]
    unreadable: list[float]  # logit that beats are told wrongly about here
    highest: list[int]  # sample, counted from the first of the stream
    lowest: list[int]
    above_mv: list[float]  # how far the highest sample rises above the level
    below_mv: list[float]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Stretch:
    """The newest samples of several streams of one rate, and what the network says of them."""

    fs: float
    samples_mv: Floats  # (n_streams, n_samples)
    oldest: NDArray[np.int64]  # (n_streams,) sample of the stream with which they begin
    origin: NDArray[np.int64]  # (n_streams,) sample with which frame 0 begins
    sure: Floats  # (n_streams, n_frames) logits of a beat; the first and last AROUND are no tops
    unreadable: Floats  # (n_streams, n_frames) logits that beats are told wrongly
    first_frame: NDArray[np.int64]  # (n_streams,) number of the first of them


def tops_of(stretch: Stretch, least: float) -> Tops:
    """The frames at least so sure and the highest of those around, in order."""
    rows, columns = np.nonzero(_is_top(stretch.sure, least))
    columns += AROUND
    is_seen = stretch.first_frame[rows] + columns >= FIRST_FRAME
    rows, columns = rows[is_seen], columns[is_seen]
    if not len(rows):
        return Tops([], [], [], [], [], [], [])
    return Tops(
        rows.tolist(),
        stretch.sure[rows, columns].tolist(),
        stretch.unreadable[rows, columns].tolist(),
        *_signal_at(stretch, rows, columns),
    )


def _is_top(sure: Floats, least: float) -> NDArray[np.bool_]:
    """Of the frames between the first and last AROUND."""
    middle = sure[:, AROUND:-AROUND]
    n = middle.shape[1]
    is_top = middle > least
    for step in range(1, AROUND + 1):
        is_top &= middle >= sure[:, AROUND - step :][:, :n]
        is_top &= middle > sure[:, AROUND + step :][:, :n]
    return is_top


def _signal_at(
    stretch: Stretch, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[list[int], list[int], list[float], list[float]]:
    """Highest and lowest sample around each frame, and how far they lie above and below the level there."""
    fs, oldest = stretch.fs, stretch.oldest[rows]
    frames = stretch.first_frame[rows] + columns - DELAY_FRAMES + 0.5  # the middle of what the frame tells of
    middle = stretch.origin[rows] + np.rint(frames * (fs / FRAME_HZ)).astype(np.int64)
    search, half, edge = round(SEARCH_S * fs), int(SMOOTH_S * fs / 2), max(1, round(EDGE_S * fs))
    n_around = 2 * (search + half) + 1
    last = stretch.samples_mv.shape[1] - n_around
    first = np.minimum(np.maximum(middle - (search + half) - oldest, 0), last)
    around_mv = _smoothed(_pieces(stretch.samples_mv, n_around)[rows, first], half)
    level_mv = (np.add.reduce(around_mv[:, :edge], 1) + np.add.reduce(around_mv[:, -edge:], 1)) / (2 * edge)
    highest, lowest = around_mv.argmax(axis=1), around_mv.argmin(axis=1)
    each, begin = np.arange(len(rows)), first + half + oldest
    return (
        (begin + highest).tolist(),
        (begin + lowest).tolist(),
        (around_mv[each, highest] - level_mv).tolist(),
        (level_mv - around_mv[each, lowest]).tolist(),
    )


def _pieces(samples_mv: Floats, n: int) -> Floats:
    """A view (n_streams, n_samples - n + 1, n) of all pieces of n samples; numpy's own way costs 34 us."""
    n_streams, n_samples = samples_mv.shape
    along, step = samples_mv.strides
    shape, strides = (n_streams, n_samples - n + 1, n), (along, step, step)
    return np.ndarray(shape, np.float32, samples_mv, strides=strides)


def _smoothed(rows_mv: Floats, half: int) -> NDArray[np.float64]:
    """Means over `half` samples to each side (n_rows, n_samples - 2 * half)."""
    sums = np.zeros((len(rows_mv), rows_mv.shape[1] + 1))
    sums[:, 1:] = rows_mv
    np.cumsum(sums, axis=1, out=sums)
    width = 2 * half + 1
    return np.asarray((sums[:, width:] - sums[:, :-width]) / width)
