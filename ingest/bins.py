"""Samples of one lead at any rate -> their means over bins of 10 ms, however the stream was cut.

All sums are whole numbers (samples in eighths of a microvolt, edges in hundred-thousandths of a sample), so
that no bit of a mean depends on where chunks ended or on which devices were computed together.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BIN_HZ = 100
MIN_FS_HZ = 100.0  # below it a bin may hold no sample
STEPS_PER_MV = 8000  # an eighth of a microvolt, finer than any converter in wearables
LARGEST_MV = 1000.0  # a volt is no ECG; keeps the sums within 64 bits
_EDGE = 1000 * BIN_HZ  # parts of a sample in which edges are counted; a bin is the rate in mHz of them


class Binner:
    """The unfinished bin of one stream."""

    __slots__ = ("begun", "fs", "to_edge", "width")

    def __init__(self, fs: float) -> None:
        """Raise ValueError for a rate below 100 Hz."""
        if fs < MIN_FS_HZ:
            raise ValueError(f"fs is {fs} Hz, beats need at least {MIN_FS_HZ} Hz")
        self.fs = fs
        self.width = round(fs * 1000)  # of a bin, in parts of a sample
        self.restart()

    def go_on(self, to_edge: int, begun: int) -> None:
        """Take over what `bin_together` found."""
        self.to_edge, self.begun = to_edge, begun

    def restart(self) -> None:
        """Let the next sample begin a bin."""
        self.to_edge = self.width  # parts from the next sample to the end of the unfinished bin
        self.begun = 0  # sum of what it holds, in steps times parts


def bin_together(
    binners: Sequence[Binner], samples_mv: NDArray[np.floating]
) -> tuple[NDArray[np.float32], list[tuple[int, int]]]:
    """Means of the bins that the next samples (n_binners, n_samples) complete: (n_binners, n_bins), mV.

    The streams must agree in `width` and `to_edge`. They are left as they are: with each mean comes what
    `go_on` takes.
    """
    width, to_edge = binners[0].width, binners[0].to_edge
    n = samples_mv.shape[1]
    steps = samples_mv.clip(-LARGEST_MV, LARGEST_MV).astype(np.float64)
    steps *= STEPS_PER_MV
    np.rint(steps, out=steps)  # whole numbers
    sums = np.empty((len(binners), n + 1), np.int64)  # additions wait for each other, a seventh of floats'
    sums[:, 0] = 0
    np.copyto(sums[:, 1:], steps, casting="unsafe")
    np.cumsum(sums, axis=1, out=sums)
    n_bins = max(0, (n * _EDGE - to_edge) // width + 1)
    whole, part = np.divmod(to_edge + width * np.arange(n_bins), _EDGE)  # samples, and parts of the next
    upto = np.empty((len(binners), n_bins + 1), np.int64)  # sums from the first sample to each edge
    upto[:, 0] = [-each.begun for each in binners]
    cut = steps.take(np.minimum(whole, n - 1), axis=1).astype(np.int64)  # samples that edges lie in
    np.multiply(sums.take(whole, axis=1), _EDGE, out=upto[:, 1:])
    cut *= part
    upto[:, 1:] += cut
    means_mv = (upto[:, 1:] - upto[:, :-1]) / (width * float(STEPS_PER_MV))
    begun = (sums[:, -1] * _EDGE - upto[:, -1]).tolist()
    left = to_edge + width * n_bins - n * _EDGE
    return means_mv.astype(np.float32), [(left, rest) for rest in begun]
