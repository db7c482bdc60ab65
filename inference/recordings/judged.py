"""What came of one finished recording: each window's verdict, the whole's, the heart, and the quality."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.verdict import Finding, Indeterminate, Presence, Rhythm, RhythmFinding, Superclass, Verdict
from ingest.quality import SignalState
from ingest.recordings import Recording
from ingest.vitals import Vitals


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: arrays have no single truth value
class Judged:
    """A recording with everything that is said of it; can be shown, stored and reported as it is.

    Either five findings in Superclass order or `indeterminate`, as a verdict has them.
    """

    recording: Recording
    model: str  # version of the weights
    windows: tuple[Verdict, ...]  # of 10 s, one each 5 s, oldest first
    vitals: tuple[Vitals, ...]  # one at the end of each second
    r_peaks: NDArray[np.int64]  # samples of the recording
    heart_rate_bpm: float | None  # mean of all intervals in readable stretches
    findings: tuple[Finding, ...] = ()
    indeterminate: Indeterminate | None = None
    rhythm: tuple[RhythmFinding, ...] = ()  # in Rhythm order, of sum 1; empty where no window told one
    main_rhythm: Rhythm | None = None  # the one to name
    lead: str | None = None  # as which it was read: I or II

    @property
    def present(self) -> tuple[Finding, ...]:
        """The findings that are present, most probable first."""
        found = [finding for finding in self.findings if finding.presence is Presence.PRESENT]
        return tuple(sorted(found, key=lambda finding: -finding.probability))

    @property
    def is_abnormal(self) -> bool:
        """Whether something other than a normal ECG in normal rhythm is found."""
        has_disease = any(finding.superclass is not Superclass.NORM for finding in self.present)
        return has_disease or self.main_rhythm in (Rhythm.AF, Rhythm.OTHER)

    @property
    def n_voting(self) -> int:
        """Windows with findings; the others did not vote."""
        return sum(bool(verdict.findings) for verdict in self.windows)

    @property
    def readable_share(self) -> float:
        """Share of seconds of which most samples are there and in which beats could be told, 0..1."""
        recording = self.recording
        bounds = np.rint(np.arange(len(self.vitals) + 1) * recording.fs).astype(np.int64)
        bounds[-1] = recording.n_samples
        n_missing = np.concatenate([[0], np.cumsum(np.isnan(recording.samples_mv))])[bounds]
        is_here = 2 * np.diff(n_missing) < np.diff(bounds)
        is_good = np.array([each.signal is SignalState.GOOD for each in self.vitals])
        return float(np.mean(is_here & is_good))

    @property
    def rate_range_bpm(self) -> tuple[float, float] | None:
        """Lowest and highest displayed rate; None where no rate was known."""
        rates = [each.heart_rate_bpm for each in self.vitals if each.heart_rate_bpm is not None]
        return (min(rates), max(rates)) if rates else None

    @property
    def reasons(self) -> Counter[Indeterminate]:
        """Why windows had no findings, and how many."""
        return Counter(each.indeterminate for each in self.windows if each.indeterminate is not None)
