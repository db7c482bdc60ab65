"""Laws that every patient keeps, synthetic or replayed; and what each promises beyond them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.chunk import Lead
from simulators.noise import QUIET, RESTLESS, Noise, NoiseLevels
from simulators.patients import Patient, build_patient, patient_names
from simulators.replay import Recording, Replay, recordings
from simulators.rhythms import RHYTHMS
from simulators.waveform import MORPHOLOGIES, SyntheticPatient

NAMES = patient_names()
ALL_RECORDINGS = [recording for those in recordings().values() for recording in those]


def patient_of(name: str, seed: int = 7) -> Patient:
    return build_patient(name, np.random.default_rng(seed))


def minute_of(patient: Patient, seconds: float = 60.0) -> NDArray[np.float32]:
    return patient.next_samples(round(seconds * patient.fs))


def silent_patient(rhythm: str, superclass: str = "NORM", seed: int = 7) -> SyntheticPatient:
    rng = np.random.default_rng(seed)
    return SyntheticPatient(RHYTHMS[rhythm](rng), Noise(QUIET, rng, 500.0), rng, 500.0, superclass)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_ecg_however_it_is_cut(name: str) -> None:
    whole, cut = patient_of(name), patient_of(name)
    ecg_mv = minute_of(whole, 20)
    rng = np.random.default_rng(1)
    cuts = np.unique([0, *rng.integers(1, len(ecg_mv), 40), len(ecg_mv)])
    parts = [cut.next_samples(int(n)) for n in np.diff(cuts)]
    np.testing.assert_array_equal(np.concatenate(parts), ecg_mv)
    np.testing.assert_array_equal(whole.truth_r_peaks(), cut.truth_r_peaks())
    assert not np.array_equal(minute_of(patient_of(name, seed=8), 20), ecg_mv)


@pytest.mark.parametrize("name", NAMES)
def test_the_ecg_is_plausible(name: str) -> None:
    patient = patient_of(name)
    ecg_mv = minute_of(patient)
    assert ecg_mv.dtype == np.float32
    assert np.isfinite(ecg_mv).all()
    assert 0.4 < np.ptp(ecg_mv) < 6.0
    r_peaks = patient.truth_r_peaks()
    assert 30 < len(r_peaks) < 190
    assert (np.diff(r_peaks) > 0.2 * patient.fs).all()
    assert r_peaks[-1] < len(ecg_mv)


@pytest.mark.parametrize("fs", [125.0, 360.0, 500.0])
def test_the_sampling_rate_changes_the_samples_and_not_the_heart(fs: float) -> None:
    rng = np.random.default_rng(2)
    patient = SyntheticPatient(RHYTHMS["sinus"](rng), Noise(QUIET, rng, fs), rng, fs)
    ecg_mv = patient.next_samples(round(60 * fs))
    r_peaks = patient.truth_r_peaks()
    assert len(r_peaks) == pytest.approx(72, abs=3)
    assert (ecg_mv[r_peaks] > 0.8).all()


@pytest.mark.parametrize("superclass", MORPHOLOGIES)
def test_the_r_peak_is_where_the_truth_says(superclass: str) -> None:
    patient = silent_patient("sinus", superclass)
    ecg_mv = minute_of(patient)
    for at in patient.truth_r_peaks()[:-1]:
        near = ecg_mv[max(0, at - 40) : at + 40]
        assert abs(int(np.argmax(near)) - min(at, 40)) <= 18  # a bundle branch block has two summits


def test_superclasses_look_different() -> None:
    beats = {}
    for superclass in MORPHOLOGIES:
        patient = silent_patient("sinus", superclass)
        ecg_mv = minute_of(patient, 10)
        at = patient.truth_r_peaks()[4]
        beats[superclass] = ecg_mv[at - 150 : at + 250]
    for one, beat in beats.items():
        for other, another in beats.items():
            assert one == other or np.abs(beat - another).max() > 0.15


def test_a_stopped_heart_is_silent() -> None:
    patient = silent_patient("asystole")
    ecg_mv = minute_of(patient)
    assert np.abs(ecg_mv[20_500:23_750]).max() < 0.02
    assert np.ptp(ecg_mv[: 40 * 500]) > 0.8
    r_peaks_s = patient.truth_r_peaks() / 500
    assert not ((r_peaks_s > 40) & (r_peaks_s < 48)).any()


def test_fibrillation_has_no_p_wave_but_a_restless_baseline() -> None:
    def before_qrs(rhythm: str) -> NDArray[np.float64]:
        patient = silent_patient(rhythm)
        ecg_mv = minute_of(patient)
        beats = [ecg_mv[at - 110 : at - 45] for at in patient.truth_r_peaks()[2:]]
        return np.asarray(np.mean(beats, axis=0))

    assert np.ptp(before_qrs("sinus")) > 0.08
    assert np.ptp(before_qrs("af")) < 0.05


def slopes_around(ecg_mv: NDArray[np.float64], at: NDArray[np.int64], reach: int) -> NDArray[np.float64]:
    """Differences of neighbouring samples within `reach` of each index, shape (indices, 2 * reach)."""
    inner = at[(at >= reach) & (at < len(ecg_mv) - reach - 1)]
    return np.array([np.diff(ecg_mv[i - reach : i + reach + 1]) for i in inner])


@pytest.mark.parametrize("recording", ALL_RECORDINGS, ids=lambda r: r.name)
def test_a_replay_has_no_steps_where_it_is_joined(recording: Recording) -> None:
    for lead in recording.leads:
        replay = Replay(recording, np.random.default_rng(3), lead)
        ecg_mv = minute_of(replay, 300).astype(np.float64)
        original_mv = recording.samples_mv[:, recording.leads.index(lead)].astype(np.float64)
        reach = round(0.1 * recording.fs)
        real = slopes_around(original_mv, recording.r_peaks, reach)
        joined = slopes_around(ecg_mv, replay.joins(), reach)
        assert len(joined) >= 2
        # No slope at a join differs by 0.05 mV a sample from those of the real beats at the same place.
        assert (joined < real.max(axis=0) + 0.05).all()
        assert (joined > real.min(axis=0) - 0.05).all()


@pytest.mark.parametrize("recording", ALL_RECORDINGS, ids=lambda r: r.name)
def test_a_replay_keeps_the_rr_intervals_of_its_recording(recording: Recording) -> None:
    replay = Replay(recording, np.random.default_rng(3))
    ecg_mv = minute_of(replay, 300)
    r_peaks = replay.truth_r_peaks()
    assert len(r_peaks) > 200
    assert set(np.diff(r_peaks)) <= set(np.diff(recording.r_peaks))
    np.testing.assert_allclose(
        np.median(ecg_mv[r_peaks]),
        np.median(recording.samples_mv[recording.r_peaks, 0]),
        atol=0.15,
    )


def test_a_replay_does_not_repeat_itself_exactly() -> None:
    replay = Replay(recordings()["NORM"][0], np.random.default_rng(3))
    minute_of(replay, 300)
    assert len(set(np.diff(replay.joins()))) > 4


def test_every_label_has_recordings_with_attribution() -> None:
    from simulators.replay import RECORDINGS  # noqa: PLC0415 - only here

    assert {label: len(those) for label, those in recordings().items()} == {
        "NORM": 3, "MI": 3, "STTC": 3, "CD": 3, "HYP": 3, "AF": 3, "PVC": 1, "SVE": 1,
    }  # fmt: skip
    text = (RECORDINGS / "ATTRIBUTION.md").read_text()
    assert "CC BY 4.0" in text
    assert "ODC-By 1.0" in text
    assert sum(path.stat().st_size for path in RECORDINGS.iterdir()) < 3_000_000


@pytest.mark.parametrize("name", ["replay:XYZ", "waltz", "sinus:XYZ", "replay", ""])
def test_an_unknown_patient_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match="unknown patient"):
        patient_of(name)


@pytest.mark.parametrize("name", ["replay:NORM", "sinus"])
def test_a_patient_is_seen_in_the_lead_asked_for(name: str) -> None:
    one, two = (build_patient(name, np.random.default_rng(7), lead=lead) for lead in (Lead.I, Lead.II))
    assert (one.lead, two.lead) == (Lead.I, Lead.II)
    differs = not np.array_equal(one.next_samples(1000), two.next_samples(1000))
    assert differs == (name == "replay:NORM")  # recorded in both leads; synthetic waves are the same


def test_a_lead_that_was_not_recorded_is_refused() -> None:
    with pytest.raises(ValueError, match="MIT-BIH 119 holds lead II, not I"):
        build_patient("replay:PVC", np.random.default_rng(7), lead=Lead.I)


@pytest.mark.parametrize("levels", [NoiseLevels(), RESTLESS, QUIET])
def test_noise_is_the_same_however_it_is_cut(levels: NoiseLevels) -> None:
    whole, cut = (Noise(levels, np.random.default_rng(1), 500.0) for _ in range(2))
    parts = [cut.next_samples(n) for n in (1, 999, 9_000, 20_000)]
    np.testing.assert_array_equal(np.concatenate(parts), whole.next_samples(30_000))


def test_noise_is_as_strong_as_asked() -> None:
    def noise(**levels: float) -> NDArray[np.float64]:
        asked = {"wander_mv": 0.0, "mains_mv": 0.0, "emg_mv": 0.0} | levels
        return Noise(NoiseLevels(**asked), np.random.default_rng(1), 500.0).next_samples(60_000)

    assert np.abs(noise()).max() == 0
    assert np.abs(noise(wander_mv=0.3)).max() == pytest.approx(0.3, rel=0.2)
    assert np.abs(noise(mains_mv=0.1)).max() == pytest.approx(0.1, rel=0.05)
    assert noise(emg_mv=0.05).std() == pytest.approx(0.05, rel=0.2)
    assert 0.5 < np.abs(noise(motion_per_min=6)).max() < 5
