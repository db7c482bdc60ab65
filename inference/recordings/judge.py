"""A finished recording -> verdicts of its windows, and one for the whole.

A finding's log odds are the mean over the windows that have findings: the five superclasses are about the
heart, not about a moment, and each window is another look at it. Windows without findings do not vote. The
limits are those of one window, so that one window, or several equal ones, are the recording. The rhythm is
the fitted power mean of `inference.rhythm`. `python -m benchmarks.aggregation` sets rules side by side.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from inference.classifier import Classifier
from inference.recordings.follow import follow_each, mean_rate_bpm
from inference.recordings.judged import Judged
from inference.recordings.windows import windows_of
from inference.verdict import Finding, Indeterminate, Rhythm, RhythmFinding, Superclass, Verdict
from ingest.recordings import Recording
from ingest.vitals import Vitals

AT_ONCE = 256  # windows handed to the classifier
LEAST_SHARE = 1e-9  # keeps log odds finite


def judge(recording: Recording, classifier: Classifier, decided_us: int = 0) -> Judged:
    """Everything that is said of a recording; `decided_us` (wall clock) only stamps the verdicts."""
    (judged,) = judge_each([recording], classifier, decided_us)
    return judged


def judge_each(recordings: Sequence[Recording], classifier: Classifier, decided_us: int = 0) -> list[Judged]:
    """The same of several side by side, each as if it were alone."""
    windows = [windows_of(recording) for recording in recordings]
    flat = list(chain.from_iterable(windows))
    verdicts: list[Verdict] = []
    for first in range(0, len(flat), AT_ONCE):
        verdicts += classifier.classify(flat[first : first + AT_ONCE], decided_us)
    told = iter(verdicts)
    each = [tuple(islice(told, len(own))) for own in windows]
    followed = follow_each(recordings)
    return [
        _judged(recording, classifier, own, *beats)
        for recording, own, beats in zip(recordings, each, followed, strict=True)
    ]


def _judged(
    recording: Recording,
    classifier: Classifier,
    verdicts: tuple[Verdict, ...],
    r_peaks: NDArray[np.int64],
    vitals: tuple[Vitals, ...],
) -> Judged:
    lead, findings = combined_findings(verdicts, classifier)
    rhythm, main_rhythm = combined_rhythm(verdicts, classifier)
    return Judged(
        recording=recording,
        model=classifier.version,
        windows=verdicts,
        vitals=vitals,
        r_peaks=r_peaks,
        heart_rate_bpm=mean_rate_bpm(recording, r_peaks, vitals),
        findings=findings,
        indeterminate=None if findings else _main_reason(verdicts),
        rhythm=rhythm,
        main_rhythm=main_rhythm,
        lead=lead,
    )


def combined_findings(
    verdicts: Sequence[Verdict], classifier: Classifier
) -> tuple[str | None, tuple[Finding, ...]]:
    """The lead as which most windows were read, and their findings in one; none where none has any.

    Nor where more windows look swapped than have findings.
    """
    voting = [verdict for verdict in verdicts if verdict.findings]
    n_swapped = sum(verdict.indeterminate is Indeterminate.INVERTED for verdict in verdicts)
    if not voting or n_swapped > len(voting):
        return None, ()
    lead = Counter(str(verdict.lead) for verdict in voting).most_common(1)[0][0]
    shares = np.array(
        [[f.probability for f in verdict.findings] for verdict in voting if verdict.lead == lead]
    )
    limits = classifier.card.by_lead[lead].served.classes
    return lead, tuple(
        Finding(superclass, share, limit.threshold, limit.presence(share))
        for superclass, share, limit in zip(
            Superclass, mean_by_log_odds(shares).tolist(), limits, strict=True
        )
    )


def mean_by_log_odds(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, classes) probabilities -> (classes,) whose log odds are the mean of theirs."""
    within = np.clip(shares, LEAST_SHARE, 1 - LEAST_SHARE)
    return np.asarray(expit(logit(within).mean(axis=0)))


def combined_rhythm(
    verdicts: Sequence[Verdict], classifier: Classifier
) -> tuple[tuple[RhythmFinding, ...], Rhythm | None]:
    """The rhythm's four probabilities and the one to name; nothing where no window told one."""
    reader = classifier.rhythm_reader
    told = [[f.probability for f in verdict.rhythm] for verdict in verdicts if verdict.rhythm]
    if reader is None or not told:
        return (), None
    shares = reader.aggregate(np.array(told))
    return reader.findings(shares), reader.decide(shares)


def _main_reason(verdicts: Sequence[Verdict]) -> Indeterminate:
    """Why most windows had none."""
    reasons = Counter(each.indeterminate for each in verdicts if each.indeterminate is not None)
    return reasons.most_common(1)[0][0]
