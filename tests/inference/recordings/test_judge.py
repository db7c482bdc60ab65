"""A recording is judged by the parts that judge live windows, and all of it counts."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.recording_files import ecg_uv
from inference.classifier import Classifier
from inference.recordings.judge import judge, judge_each, mean_by_log_odds
from inference.recordings.windows import windows_of
from inference.verdict import Indeterminate, Presence, Rhythm
from ingest.chunk import Lead
from ingest.recordings import Format, Recording
from ingest.recordings.draft import MAX_MV
from ingest.window import window_samples
from simulators.noise import Noise, NoiseLevels
from simulators.replay import recordings
from simulators.rhythms import RHYTHMS
from simulators.waveform import SyntheticPatient

FS = 512.414


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


def recording(samples_mv: NDArray[np.floating], fs: float = FS, lead: Lead = Lead.I) -> Recording:
    return Recording(samples_mv.astype(np.float32), fs, lead, Format.APPLE, "ecg.csv")


def synthetic(seconds: float = 30.0, fs: float = FS, rhythm: str = "sinus", of: str = "NORM") -> Recording:
    return recording(ecg_uv(seconds, fs, rhythm=rhythm, of=of) / 1000, fs)


@given(st.floats(0.5, 95), st.sampled_from([100.0, 130.0, 250.0, 300.0, 511.422]))
def test_windows_overlap_cover_the_recording_and_end_with_it(seconds: float, fs: float) -> None:
    one = recording(np.arange(max(1, round(seconds * fs)), dtype=np.float64), fs)
    windows = windows_of(one)
    length = window_samples(fs)
    assert all(len(window.samples_mv) == length for window in windows)
    starts = [window.first_sample for window in windows]
    assert starts[0] == 0
    assert all(0 < later - earlier <= 5 * fs + 1 for earlier, later in pairwise(starts))
    assert one.n_samples - (starts[-1] + length) < fs  # less than a second is left over
    if one.n_samples >= length:
        assert not any(np.isnan(window.samples_mv).any() for window in windows)
        for window in windows:
            assert window.samples_mv[0] == np.float32(window.first_sample)
    else:
        assert windows[0].coverage == pytest.approx(one.n_samples / length)


def test_a_recording_of_one_window_gets_that_windows_verdict(classifier: Classifier) -> None:
    judged = judge(synthetic(10.0), classifier)
    (verdict,) = judged.windows
    assert [f.probability for f in judged.findings] == pytest.approx(
        [f.probability for f in verdict.findings]
    )
    assert [f.presence for f in judged.findings] == [f.presence for f in verdict.findings]
    assert [f.probability for f in judged.rhythm] == pytest.approx([f.probability for f in verdict.rhythm])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_equal_windows_are_the_recording_and_others_lie_between(shares: list[float]) -> None:
    mean = mean_by_log_odds(np.array(shares)[:, None])[0]
    assert min(shares) - 1e-8 <= mean <= max(shares) + 1e-8
    assert mean_by_log_odds(np.full((len(shares), 1), shares[0]))[0] == pytest.approx(shares[0], abs=1e-8)


def test_the_whole_is_judged_and_not_its_first_10_seconds(classifier: Classifier) -> None:
    normal, af = ecg_uv(20, FS), ecg_uv(40, FS, rhythm="af")
    judged = judge(recording(np.concatenate([normal, af]) / 1000), classifier)
    assert judge(recording(normal / 1000), classifier).main_rhythm is Rhythm.NORMAL
    assert judged.main_rhythm in (Rhythm.AF, Rhythm.OTHER)
    assert judged.is_abnormal


def test_what_cannot_be_read_does_not_vote(classifier: Classifier) -> None:
    good = ecg_uv(20, FS) / 1000
    flat = np.zeros(round(20 * FS))
    judged, alone = (
        judge(recording(np.concatenate([good, flat])), classifier),
        judge(recording(good), classifier),
    )
    assert judged.n_voting < len(judged.windows)
    assert set(judged.reasons) == {Indeterminate.FLAT}
    assert [f.presence for f in judged.findings] == [f.presence for f in alone.findings]
    assert judged.readable_share == pytest.approx(0.5, abs=0.1)
    assert alone.readable_share == 1.0


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (lambda ecg: ecg[: round(4 * FS)], Indeterminate.MISSING_DATA),
        (lambda ecg: 0 * ecg, Indeterminate.FLAT),
        (lambda ecg: -ecg, Indeterminate.INVERTED),
    ],
)
def test_a_recording_without_findings_says_why(
    classifier: Classifier, changed: object, reason: Indeterminate
) -> None:
    ecg_mv = recordings()["NORM"][0].samples_mv[:, 0]
    fs = recordings()["NORM"][0].fs
    assert callable(changed)
    judged = judge(recording(changed(ecg_mv), fs), classifier)
    assert (judged.findings, judged.indeterminate) == ((), reason)
    assert not judged.present


def test_a_chest_strap_has_its_heart_rate_and_no_findings(classifier: Classifier) -> None:
    judged = judge(replace(synthetic(30, 130.0), lead=Lead.CHEST), classifier)
    assert judged.indeterminate is Indeterminate.UNSUPPORTED_LEAD
    assert judged.heart_rate_bpm == pytest.approx(72, abs=2)


@pytest.mark.parametrize("fs", [125.0, 250.0, 511.422, 1000.0])
def test_r_peaks_and_heart_rate_are_those_of_the_heart_also_around_holes(
    classifier: Classifier, fs: float
) -> None:
    rng = np.random.default_rng(3)
    patient = SyntheticPatient(RHYTHMS["sinus"](rng), Noise(NoiseLevels(), rng.spawn(1)[0], fs), rng, fs)
    ecg_mv = patient.next_samples(round(40 * fs))
    truth = patient.truth_r_peaks()
    ecg_mv[: round(2.5 * fs)] = np.nan
    ecg_mv[round(20.3 * fs) : round(23.1 * fs)] = np.nan
    judged = judge(recording(ecg_mv, fs), classifier)
    clear = truth[(truth / fs > 4) & (truth / fs < 39) & ~((truth / fs > 19.9) & (truth / fs < 24.5))]
    nearest = [int(np.abs(judged.r_peaks - beat).min()) for beat in clear]
    assert max(nearest) <= 0.03 * fs
    assert not np.isnan(ecg_mv[judged.r_peaks]).any()
    mean_rate_bpm = 60 * fs / float(np.mean(np.diff(truth)))
    assert judged.heart_rate_bpm == pytest.approx(mean_rate_bpm, rel=0.03)
    assert judged.rate_range_bpm is not None
    assert len(judged.vitals) == 40


def test_recordings_are_judged_side_by_side_as_each_is_alone(classifier: Classifier) -> None:
    with_hole = ecg_uv(23.4, FS, seed=4) / 1000
    with_hole[3000:4000] = np.nan
    several = [
        synthetic(30),
        synthetic(12.3, rhythm="af"),
        recording(with_hole),
        synthetic(30, 250.0),
        synthetic(0.4),
        synthetic(20, 60.0),
    ]
    for one, alone in zip(
        judge_each(several, classifier), map(partial(judge, classifier=classifier), several), strict=True
    ):
        assert one.vitals == alone.vitals
        assert one.r_peaks.tolist() == alone.r_peaks.tolist()
        assert (one.heart_rate_bpm, one.indeterminate) == (alone.heart_rate_bpm, alone.indeterminate)
        assert [f.probability for f in one.findings] == pytest.approx(
            [f.probability for f in alone.findings], abs=1e-5
        )
    assert judge_each([], classifier) == []


def test_the_last_beats_are_found(classifier: Classifier) -> None:
    one = synthetic(30)
    judged = judge(one, classifier)
    longer = judge(synthetic(40), classifier)
    known = longer.r_peaks[longer.r_peaks < one.n_samples - 0.05 * FS]
    assert judged.r_peaks.tolist()[: len(known)] == known.tolist()


def test_neither_file_nor_moment_changes_what_is_found(classifier: Classifier) -> None:
    one = synthetic(20, of="HYP")
    other = replace(one, file="x", start=datetime(2026, 7, 26, tzinfo=UTC), vendor_verdict="Sinus Rhythm")
    a, b = judge(one, classifier), judge(other, classifier)
    assert (a.findings, a.rhythm, a.heart_rate_bpm) == (b.findings, b.rhythm, b.heart_rate_bpm)
    assert {finding.presence for finding in a.present} == {Presence.PRESENT}
    assert b.windows[1].wall_time_us - b.windows[0].wall_time_us == pytest.approx(5e6, abs=2000)


@pytest.mark.parametrize("fs", [1.0, 49.0, 99.0, 2000.0, 10_000.0])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1.0, MAX_MV])
def test_no_rate_and_no_size_of_samples_is_too_odd(classifier: Classifier, fs: float, size: float) -> None:
    ecg_mv = (np.random.default_rng(1).normal(0, 1, round(11 * fs)) * size).astype(np.float32)
    judged = judge(recording(ecg_mv, fs), classifier)
    assert judged.indeterminate is not None


def test_a_long_recording_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    named = list[str]()

    def device_of(one: Recording) -> str:
        named.append(one.file)
        return "file/a"

    monkeypatch.setattr("inference.recordings.windows.device_of", device_of)
    windows = windows_of(recording(np.zeros(600 * 100), 100.0))
    assert len(windows) > 100
    assert (
        len(named) == 1
    )  # a name is made of all samples: once a window it would cost the square of the length
