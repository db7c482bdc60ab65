"""Means of 10 ms bins -> for each 20 ms, how surely a beat stood there: a small causal network in numpy.

It reads a lag plot, x_t - x_(t-k) for three lags k, the diagonals of a recurrence plot in which a QRS complex
stands out, compressed so that 0.1 mV and 5 mV both show; then seven convolutions look back 2.5 s.
Inputs, weights and activations are whole numbers below 2^24 in single precision, where every sum is exact:
which devices are computed together, in which order and on which machine changes no bit.
Trained by `inference.training.beats`; what it was trained on and how well it does stands in docs/beats.md.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import sgemm

from ingest.bins import BIN_HZ

WEIGHTS = Path(__file__).parent / "weights" / "beats.npz"
LAGS = (2, 6, 20)  # bins: 20, 60 and 200 ms
SOFT_MV = 0.05  # differences far below count in proportion, far above by their square root
STRIDE = 2  # bins a frame
FRAME_HZ = BIN_HZ / STRIDE
STEM = 8  # bins that the first convolution sees
KERNEL = 3
DILATIONS = (1, 2, 4, 8, 16, 32)  # frames
WIDTH = 16
OUTPUTS = 2  # logits: a beat stood DELAY_FRAMES earlier; beats cannot be told here
DELAY_FRAMES = 13  # 0.26 s: T wave and noise after a complex help to tell it
LARGEST = 255  # of inputs (either sign) and activations; weights are at most half
INPUT_STEPS, ACTIVATION_STEPS, WEIGHT_STEPS = 64, 32, 64  # whole numbers for 1.0
# Frames of streams: in one thread, and below a million multiplications OpenBLAS packs nothing.
QUICK_ROWS = 3900
PAST_BINS = max(LAGS) + STEM - STRIDE  # that the next frame needs
PAST_FRAMES = sum(2 * dilation for dilation in DILATIONS)  # of all blocks, one after the other

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class BeatNetwork:
    """Weights as matrices of whole numbers, scaled so that each layer's sums come out in its own steps."""

    stem: tuple[Floats, Floats]  # (STEM * lags, WIDTH), (WIDTH,)
    blocks: tuple[tuple[Floats, Floats], ...]  # each (KERNEL * WIDTH, WIDTH), (WIDTH,)
    head: tuple[Floats, Floats]  # (WIDTH, OUTPUTS), (OUTPUTS,)

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> "BeatNetwork":
        """Read what `inference.training.beats` wrote; raises OSError or KeyError where it is none of that."""
        with np.load(path) as arrays:
            return cls.of_arrays({name: arrays[name] for name in arrays.files})

    @classmethod
    def of_arrays(cls, arrays: dict[str, NDArray[np.integer]]) -> "BeatNetwork":
        """Weights (outputs, inputs, kernel) and biases as whole numbers."""

        def layer(name: str, unit: int) -> tuple[Floats, Floats]:
            weight = arrays[f"{name}_weight"].astype(np.float32)
            matrix = weight.transpose(2, 1, 0).reshape(-1, weight.shape[0])  # (kernel * inputs, outputs)
            bias = arrays[f"{name}_bias"].astype(np.float32)
            return np.ascontiguousarray(matrix / np.float32(unit)), bias / np.float32(unit)

        blocks = []
        for k in range(len(DILATIONS)):
            matrix, bias = layer(f"block{k}", WEIGHT_STEPS)
            matrix[-WIDTH:] += np.eye(WIDTH, dtype=np.float32)  # what came in is added
            blocks.append((matrix, bias))
        stem = layer("stem", WEIGHT_STEPS * INPUT_STEPS // ACTIVATION_STEPS)
        return cls(stem, tuple(blocks), layer("head", WEIGHT_STEPS * ACTIVATION_STEPS))

    def logits(self, bins_mv: Floats, past: NDArray[np.uint8]) -> tuple[Floats, NDArray[np.uint8]]:
        """Logits of the next frames of several streams, each as if it were alone.

        Args:
            bins_mv: (n_streams, PAST_BINS + STRIDE * n_frames), the bins before the new ones first.
            past: (PAST_FRAMES, n_streams, WIDTH), zeros at the beginning of a stream.

        Returns:
            (n_frames, n_streams, OUTPUTS), and the past of the frames after them.
        """
        n_frames, at = (bins_mv.shape[1] - PAST_BINS) // STRIDE, 0
        later = np.empty_like(past)
        whole = _after(past[: 2 * DILATIONS[0]], n_frames)
        _begin(_plot(bins_mv), self.stem, whole[-n_frames:])
        for block, dilation, next_dilation in zip(self.blocks, DILATIONS, (*DILATIONS[1:], 0), strict=True):
            later[at : at + 2 * dilation] = whole[n_frames:]
            at += 2 * dilation
            seen, whole = whole, _after(past[at : at + 2 * next_dilation], n_frames)
            _convolve(seen, block, dilation, whole[-n_frames:])
        matrix, bias = self.head
        logits = matrix.T @ whole.reshape(-1, WIDTH).T + bias[:, None]  # two thirds of what rows of two cost
        return logits.reshape(OUTPUTS, n_frames, -1).transpose(1, 2, 0), later


@cache
def released() -> BeatNetwork:
    """The network that is shipped, read once."""
    return BeatNetwork.load()


def beginning(n_streams: int) -> NDArray[np.uint8]:
    """The past (PAST_FRAMES, n_streams, WIDTH) of streams that begin."""
    return np.zeros((PAST_FRAMES, n_streams, WIDTH), np.uint8)


def turned(past: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The past (PAST_FRAMES, n_streams, WIDTH) as (n_streams, PAST_FRAMES, WIDTH), and back; a copy.

    A frame's 16 activations move as one number of 16 bytes, at a third of what 16 numbers cost.
    """
    frames = past.view(np.complex128)[:, :, 0]
    return np.ascontiguousarray(frames.T)[:, :, None].view(np.uint8)


def _after(past: NDArray[np.uint8], n_frames: int) -> Floats:
    """Activations (frames, n_streams, WIDTH): those of the past, then room for the new ones."""
    whole = np.empty((len(past) + n_frames, *past.shape[1:]), np.float32)
    whole[: len(past)] = past
    return whole


def _plot(bins_mv: Floats) -> Floats:
    """(n_streams, PAST_BINS + new) -> (STEM - STRIDE + new, lags, n_streams) steps."""
    longest = max(LAGS)
    bins = np.ascontiguousarray(bins_mv.T)  # (bins, n_streams)
    n = len(bins) - longest
    plot = np.empty((n, len(LAGS), bins.shape[1]), np.float32)
    for k, lag in enumerate(LAGS):
        np.subtract(bins[longest:], bins[longest - lag : len(bins) - lag], out=plot[:, k])
    softness = np.abs(plot)
    softness += np.float32(SOFT_MV)
    plot /= np.sqrt(softness, out=softness)
    plot *= INPUT_STEPS
    np.rint(plot, out=plot)
    return np.clip(plot, -LARGEST, LARGEST, out=plot)


def _begin(plot: Floats, layer: tuple[Floats, Floats], out: Floats) -> None:
    """Into `out` (n_frames, n_streams, WIDTH): each frame from the STEM bins that end with it.

    These lie one after the other, so that a frame is one product: half of what STRIDE bins at a time cost.
    """
    matrix, bias = layer
    n_streams, step = plot.shape[2], STRIDE * plot.strides[0]
    strides = (step, plot.strides[2], plot.strides[1])
    seen = np.ndarray((len(out), n_streams, len(matrix)), np.float32, plot, strides=strides)
    np.matmul(seen, matrix, out=out)
    frames = out.reshape(len(out), -1)
    frames += np.tile(bias, n_streams)
    _activate(out)


def _convolve(seen: Floats, layer: tuple[Floats, Floats], apart: int, out: Floats) -> None:
    """Into `out` (n_frames, n_streams, WIDTH): taps `apart` frames from each other, the last one newest."""
    matrix, bias = layer
    out[0] = bias
    out[1:] = out[0]  # a quarter of what a bias for each row costs
    sums = out.reshape(-1, WIDTH).T
    for tap in range(KERNEL):  # BLAS adds to what is there, column by column: all is transposed
        weights, column = matrix[tap * WIDTH : (tap + 1) * WIDTH], seen[tap * apart :][: len(out)]
        sgemm(1.0, weights.T, column.reshape(-1, WIDTH).T, 1.0, sums, overwrite_c=1)
    _activate(out)


def _activate(sums: Floats) -> None:
    """To whole steps in place, none below 0 or above LARGEST."""
    np.rint(sums, out=sums)
    sums.clip(0, LARGEST, out=sums)  # a fifth of what maximum and minimum cost
