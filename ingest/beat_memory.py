"""What a beat detector remembers of its signal: one row of numbers, so that many are gathered by one call.

Rows of one length and rate have the same columns. A row belongs to its device alone: in a shared
array, one that falls silent would keep those of all that were taken with it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.beat_network import PAST_FRAMES, WIDTH
from ingest.beat_tops import AROUND

QUALITY_FRAMES = 100  # 2 s
NOTHING = -99.0  # logit
PAST = PAST_FRAMES * WIDTH // 4  # four activations in the place of one number
SURE = 2 * AROUND  # frames

Floats = NDArray[np.float32]


class Memory(NamedTuple):
    """Of several detectors; the last two are empty at the beginning."""

    past: NDArray[np.uint8]  # (n_detectors, PAST_FRAMES, WIDTH) of the network
    unreadable: Floats  # (n_detectors, QUALITY_FRAMES) logits of the newest frames
    sure: Floats  # (n_detectors, SURE) logits of the newest frames
    samples_mv: Floats  # (n_detectors, n_kept) the newest, freed of spikes
    ahead_mv: Floats  # (n_detectors, n_ahead) as many again, not yet freed
    bins_mv: Floats  # (n_detectors, n_bins) PAST_BINS of the network and what fills no frame yet


def beginning(n_kept: int) -> Floats:
    """The row of a detector to which the next sample is the first."""
    row = np.zeros(PAST + QUALITY_FRAMES + SURE + n_kept, np.float32)
    row[PAST : PAST + QUALITY_FRAMES + SURE] = NOTHING
    return row


def gathered(rows: Sequence[Floats], n_kept: int, n_ahead: int) -> Memory:
    """Of rows of one length; raises ValueError for others."""
    whole = np.concatenate(rows).reshape(len(rows), -1)  # a third of what np.array costs
    at = PAST + QUALITY_FRAMES
    return Memory(
        whole[:, :PAST].view(np.uint8).reshape(len(rows), PAST_FRAMES, WIDTH),
        whole[:, PAST:at],
        whole[:, at : at + SURE],
        whole[:, at + SURE : at + SURE + n_kept],
        whole[:, at + SURE + n_kept : at + SURE + n_kept + n_ahead],
        whole[:, at + SURE + n_kept + n_ahead :],
    )


def rows_of(memory: Memory) -> list[Floats]:
    """The row of each detector, as `gathered` takes it."""
    past = memory.past.reshape(len(memory.past), -1).view(np.float32)
    return [row.copy() for row in np.concatenate([past, *memory[1:]], axis=1)]


def newest_mv(row: Floats, n_kept: int, n_ahead: int) -> float | None:
    """The newest sample that a detector took; None at the beginning."""
    end = PAST + QUALITY_FRAMES + SURE + n_kept + n_ahead
    return float(row[end - 1]) if len(row) >= end else None
