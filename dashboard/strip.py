"""Stored chunks around a moment -> the strip of an event: samples by seconds from that moment, and R peaks.

The moment is our clock's (an alarm's `since_us`); samples are placed by when they arrived. Of the chunks of
one session the one that was under way for the shortest time tells where all of its samples belong: lateness
only ever adds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.beats import MIN_FS_HZ, BeatDetector
from ingest.store.rows import ReceivedChunk

BEFORE_S, AFTER_S = 10.0, 20.0  # rule 10 of the alarm rules
RUN_IN_S = 5.0  # read before the strip, so that the beat detector knows what beats look like here
SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where the samples of one session lie that belong to a strip."""

    session: int
    fs: float  # Hz, as claimed by the device
    lead: str
    first_sample: int  # at RUN_IN_S before the strip
    n_samples: int
    offset_s: float  # of first_sample, from the moment


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: two arrays have no single truth value
class Piece:
    """What is drawn of one session."""

    offset_s: float  # of the first sample, from the moment
    fs: float
    lead: str
    samples_mv: NDArray[np.float32]  # (n_samples,); NaN where none came: a break
    r_peaks_s: tuple[float, ...]  # seconds from the moment


def stretches_around(moment_us: int, arrived: Sequence[ReceivedChunk]) -> list[Stretch]:
    """Chunks that came live around the moment, in order of arrival -> one stretch for each session."""
    sessions: dict[int, list[ReceivedChunk]] = {}
    for each in arrived:
        sessions.setdefault(each.chunk.session, []).append(each)
    return [_stretch(moment_us, chunks) for chunks in sessions.values()]


def _stretch(moment_us: int, arrived: Sequence[ReceivedChunk]) -> Stretch:
    chunk = arrived[-1].chunk
    fs = chunk.fs
    zero_us = min(each.received_us - each.chunk.end_sample / fs * SECOND_US for each in arrived)
    at_moment = (moment_us - zero_us) / SECOND_US * fs  # the sample under way at the moment
    first = max(0, round(at_moment - (BEFORE_S + RUN_IN_S) * fs))
    end = max(first, round(at_moment + AFTER_S * fs))
    lead = chunk.leads[0].name
    return Stretch(chunk.session, fs, lead, first, end - first, (first - at_moment) / fs)


def piece_of(stretch: Stretch, samples_mv: NDArray[np.float32]) -> Piece | None:
    """The samples (n_samples,) of a stretch, NaN where none came -> what is drawn; None when nothing is."""
    fs = stretch.fs
    peaks_s = [stretch.offset_s + peak / fs for peak in r_peaks(samples_mv, fs)]
    start = max(0, round((-BEFORE_S - stretch.offset_s) * fs))
    came = np.flatnonzero(~np.isnan(samples_mv[start:]))
    if not len(came):
        return None
    low, high = start + int(came[0]), start + int(came[-1]) + 1
    offset_s = stretch.offset_s + low / fs
    shown = tuple(peak_s for peak_s in peaks_s if peak_s >= offset_s)
    return Piece(offset_s, fs, stretch.lead, samples_mv[low:high], shown)


def r_peaks(samples_mv: NDArray[np.float32], fs: float) -> list[int]:
    """R peaks as indices into samples (n_samples,) with NaN where none came; none below 100 Hz."""
    if fs < MIN_FS_HZ:
        return []
    detector = BeatDetector(fs)
    found: list[int] = []
    is_missing = np.isnan(samples_mv)
    cuts = [0, *(np.flatnonzero(np.diff(is_missing)) + 1).tolist(), len(samples_mv)]
    for low, high in pairwise(cuts):
        if is_missing[low:high].all():
            detector.gap(high - low)
        else:
            found += map(int, detector.push(samples_mv[low:high]))
    detector.gap(1)  # decides what was still looking ahead
    return found + [int(peak) for peak in detector.push(samples_mv[:0])]


def strip_data(pieces: Sequence[Piece]) -> dict[str, Any]:
    """The strip as JSON for assets/event.mjs: whole microvolts, null where no sample came."""
    return {
        "from_s": -BEFORE_S,
        "to_s": AFTER_S,
        "pieces": [
            {
                "offset_s": piece.offset_s,
                "fs": piece.fs,
                "lead": piece.lead,
                "uv": [None if np.isnan(mv) else round(float(mv) * 1000) for mv in piece.samples_mv],
                "r_s": list(piece.r_peaks_s),
            }
            for piece in pieces
        ],
    }
