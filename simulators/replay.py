"""Recorded ECGs -> endless replays of them, cut and joined at R peaks.

A replay plays its recording forward and jumps from an R peak near the end back to a similar one near the
start. RR intervals are therefore always real ones; the beat at a join is a cross-fade of two real beats, and
the difference in baseline is spread over the following second.
"""

from collections import deque
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ingest.chunk import Lead

RECORDINGS = Path(__file__).with_name("recordings")
FADE_S = 0.02  # half the cross-fade at a join: within the QRS, whose two versions lie on each other
LEVEL_S = 0.25  # half the stretch around an R peak whose median is its baseline
SETTLE_S = 1.0  # over which a difference in baseline is taken back
EDGE_S = 0.3  # recordings may end in a held value; joins keep away from both ends
ALIKE = 0.9  # least correlation of a beat with the recording's median beat to be a place for a join
SIMILAR_PLACES = 4  # a jump goes to one of this many best-fitting places, at random
TRUTH_LENGTH = 10_000  # newest R peaks kept; two hours of beats


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One recorded ECG with its R peaks."""

    name: str  # such as "PTB-XL 153"
    label: str
    fs: float
    leads: tuple[Lead, ...]
    samples_mv: NDArray[np.float32]  # (n_samples, n_leads)
    r_peaks: NDArray[np.int64]


@cache
def recordings() -> dict[str, tuple[Recording, ...]]:
    """All committed recordings by label: NORM, MI, STTC, CD, HYP, AF (PTB-XL), PVC and SVE (MIT-BIH)."""
    found: dict[str, list[Recording]] = {}
    with np.load(RECORDINGS / "ptbxl.npz") as archive:
        samples_uv = np.cumsum(archive["dx_uv"], axis=-1, dtype=np.int16)
        peaks = np.split(archive["r_peaks"], archive["r_peaks_end"][:-1])
        for label, ecg_id, record_uv, r_peaks in zip(
            archive["label"].tolist(), archive["ecg_id"].tolist(), samples_uv, peaks, strict=True
        ):
            samples_mv = (record_uv.T / 1000).astype(np.float32)
            one = Recording(f"PTB-XL {ecg_id}", label, 500.0, (Lead.I, Lead.II), samples_mv, r_peaks)
            found.setdefault(label, []).append(one)
    with np.load(RECORDINGS / "mitdb.npz") as archive:
        for record, label in (("119", "PVC"), ("209", "SVE")):
            record_uv = np.cumsum(archive[f"dx_uv_{record}"], dtype=np.int16)
            samples_mv = (record_uv[:, None] / 1000).astype(np.float32)
            r_peaks = archive[f"r_peaks_{record}"]
            one = Recording(f"MIT-BIH {record}", label, 360.0, (Lead.II,), samples_mv, r_peaks)
            found.setdefault(label, []).append(one)
    return {label: tuple(those) for label, those in found.items()}


class Replay:
    """An endless replay of one lead of one recording; cutting the stream differently never changes it.

    Raises ValueError for a lead that the recording does not hold.
    """

    source = "replay"

    def __init__(self, recording: Recording, rng: Generator, lead: Lead | None = None) -> None:
        if lead is not None and lead not in recording.leads:
            held = ", ".join(known.name for known in recording.leads)
            raise ValueError(f"{recording.name} holds lead {held}, not {lead.name}: choose another lead")
        self.fs = recording.fs
        self.lead = recording.leads[0] if lead is None else lead
        self.description = f"{recording.name}, {recording.label}"
        self._ecg_mv = recording.samples_mv[:, recording.leads.index(self.lead)].astype(np.float64)
        self._r_peaks = recording.r_peaks
        self._rng = rng
        self._fade = round(FADE_S * self.fs)
        self._places = self._alike_beats()
        early = self._places[: (len(self._places) + 1) // 2]
        self._from = int(rng.choice(early))  # where the piece being played begins
        self._step_mv = np.zeros(0)  # what is added to its first samples
        self._made: deque[NDArray[np.float64]] = deque()
        self._n_made = 0
        self._at = 0
        self._truth: deque[int] = deque(maxlen=TRUTH_LENGTH)
        self._joins: deque[int] = deque(maxlen=TRUTH_LENGTH)

    def next_samples(self, n: int) -> NDArray[np.float32]:
        """The next n samples, mV, shape (n,)."""
        self._at += n
        while self._n_made < self._at:
            self._add_piece()
        parts = []
        while n:
            head = self._made.popleft()
            if len(head) > n:
                self._made.appendleft(head[n:])
            parts.append(head[:n])
            n -= len(parts[-1])
        return np.concatenate(parts).astype(np.float32)

    def truth_r_peaks(self) -> NDArray[np.int64]:
        """Sample indices of the R peaks so far, int64, the newest 10,000."""
        return np.array([at for at in self._truth if at < self._at], np.int64)

    def joins(self) -> NDArray[np.int64]:
        """Sample indices of the R peaks at which the replay jumped, so far."""
        return np.array([at for at in self._joins if at < self._at], np.int64)

    def _add_piece(self) -> None:
        """Play on to a later place, then choose where the next piece begins and how it is faded in."""
        half = self._places[(len(self._places) + 1) // 2 :]
        later = half[half > self._from + SETTLE_S * self.fs]
        until = int(self._rng.choice(later if len(later) else self._places[-1:]))
        piece = self._ecg_mv[self._from : until].copy()
        piece[: len(self._step_mv)] += self._step_mv[: len(piece)]
        inside = self._r_peaks[(self._r_peaks >= self._from) & (self._r_peaks < until)]
        self._truth.extend((inside - self._from + self._n_made).tolist())
        self._n_made += len(piece)
        self._joins.append(self._n_made)
        fresh = self._jump_from(until)
        # Fade the coming beat's left flank in here, its right flank at the head of the next piece.
        flank = slice(fresh - self._fade, fresh)
        weight = 0.5 * np.arange(1, self._fade + 1) / self._fade
        level_mv = self._level_mv(until) - self._level_mv(fresh)
        piece[-self._fade :] += weight * (self._ecg_mv[flank] + level_mv - piece[-self._fade :])
        self._made.append(piece)
        old = self._ecg_mv[until : until + self._fade]
        new = self._ecg_mv[fresh : fresh + self._fade] + level_mv
        settle = np.linspace(1, 0, round(SETTLE_S * self.fs))
        self._step_mv = level_mv * settle
        self._step_mv[: self._fade] = level_mv + (0.5 - weight) * (old - new)
        self._from = fresh

    def _jump_from(self, until: int) -> int:
        """A place in the first half whose surroundings resemble those of `until`."""
        early = self._places[: max(1, len(self._places) // 2)]
        here = self._beat(until)
        misfit = [float(np.abs(self._beat(int(at)) - here).max()) for at in early]
        best = early[np.argsort(misfit, kind="stable")[:SIMILAR_PLACES]]
        return int(self._rng.choice(best))

    def _alike_beats(self) -> NDArray[np.int64]:
        """R peaks that look like the median beat, away from both ends: where the stream may be cut."""
        edge = round(EDGE_S * self.fs)
        inner = self._r_peaks[(self._r_peaks >= edge) & (self._r_peaks < len(self._ecg_mv) - edge)]
        beats = np.array([self._beat(int(at)) for at in inner])
        typical = np.median(beats, axis=0)
        alike = np.array([np.corrcoef(beat, typical)[0, 1] >= ALIKE for beat in beats])
        places: NDArray[np.int64] = inner[alike]
        return places

    def _beat(self, at: int) -> NDArray[np.float64]:
        reach = round(0.1 * self.fs)
        return self._ecg_mv[at - reach : at + reach] - self._level_mv(at)

    def _level_mv(self, at: int) -> float:
        reach = round(LEVEL_S * self.fs)
        return float(np.median(self._ecg_mv[at - reach : at + reach]))
