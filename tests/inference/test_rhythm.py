import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from inference import card as classifier_card
from inference.card import RELEASED_WEIGHTS
from inference.classifier import Classifier, ClassifierError
from inference.preprocess import prepare_batch
from inference.rhythm import CARD_NAME, MODEL_NAME, RhythmError, RhythmReader, aggregate, aggregate_each
from inference.training.rhythm.external import external_figures
from inference.verdict import Indeterminate, Rhythm
from ingest.chunk import Lead
from ingest.window import Window

REPLAY = Path("../shared/data/ptbxl_500hz_replay.npz")
AF, NOISY = tuple(Rhythm).index(Rhythm.AF), tuple(Rhythm).index(Rhythm.NOISY)


@pytest.fixture(scope="module")
def reader() -> RhythmReader:
    return RhythmReader.load(RELEASED_WEIGHTS)


def beats(rr_s: np.ndarray, p_wave_mv: float = 0.12, noise_mv: float = 0.01, seed: int = 0) -> np.ndarray:
    """(1000,) prepared mV: P, R, S and T waves of each beat; without P waves the atria fibrillate."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(1000) / 100
    ecg = rng.normal(0, noise_mv, 1000)
    if p_wave_mv == 0:
        ecg += 0.05 * np.sin(2 * np.pi * (6 * time_s + 0.3 * np.sin(2 * np.pi * 0.7 * time_s)))
    waves = ((p_wave_mv, -0.16, 0.025), (1.0, 0.0, 0.015), (-0.2, 0.04, 0.015), (0.2, 0.28, 0.06))
    for r_s in 0.3 + np.concatenate([[0.0], np.cumsum(rr_s)]):
        for height_mv, after_s, width_s in waves:
            ecg += height_mv * np.exp(-(((time_s - r_s - after_s) / width_s) ** 2))
    return np.asarray(prepare_batch(ecg[None])[0])


def window(samples_mv: np.ndarray) -> Window:
    return Window(
        device="ward/1",
        session=7,
        first_sample=0,
        wall_time_us=0,
        fs=100.0,
        lead=Lead.I,
        samples_mv=samples_mv.astype(np.float32),
        coverage=1.0,
        lead_off=0.0,
        clipped=0.0,
        historic=False,
    )


REGULAR = beats(np.full(12, 0.8))


def test_probabilities_are_shares_and_do_not_depend_on_the_batch(reader: RhythmReader) -> None:
    rng = np.random.default_rng(0)
    windows = np.stack([beats(rng.uniform(0.5, 1.1, 20), seed=seed) for seed in range(35)])
    together = reader.probabilities(windows)
    np.testing.assert_allclose(together.sum(axis=1), 1.0)
    alone = np.concatenate([reader.probabilities(window[None]) for window in windows])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert reader.probabilities(np.zeros((0, 1000), dtype=np.float32)).shape == (0, 4)


def test_a_regular_rhythm_is_less_like_fibrillation_than_an_irregular_one(reader: RhythmReader) -> None:
    rng = np.random.default_rng(1)
    regular = np.stack([beats(np.full(16, rr_s), seed=3) for rr_s in (0.6, 0.7, 0.8, 0.9, 1.0)])
    irregular = np.stack([beats(rng.uniform(0.4, 1.2, 25), p_wave_mv=0, seed=seed) for seed in range(5)])
    assert reader.probabilities(regular)[:, AF].max() < reader.probabilities(irregular)[:, AF].min()


@pytest.mark.skipif(not REPLAY.is_file(), reason="needs the recordings in ../shared/data")
def test_fibrillation_is_told_from_sinus_rhythm_in_hospital_recordings(reader: RhythmReader) -> None:
    figures = external_figures(reader, REPLAY.parent)
    assert figures is not None
    assert figures["ptbxl_500hz"]["auroc_af_against_sinus"] > 0.98
    assert figures["ptbxl_100hz"]["called_af_of_sinus"] < 0.01


def test_holding_the_electrodes_the_wrong_way_round_barely_matters(reader: RhythmReader) -> None:
    rng = np.random.default_rng(2)
    windows = np.stack([beats(rng.uniform(0.7, 0.9, 20), seed=seed) for seed in range(20)])
    upright, inverted = reader.probabilities(windows), reader.probabilities(-windows)
    assert np.abs(upright - inverted).mean() < 0.1


def test_noise_alone_is_called_noisy(reader: RhythmReader) -> None:
    noise = prepare_batch(np.random.default_rng(0).normal(0, 0.3, (5, 1000)))
    probability = reader.probabilities(noise)
    assert all(reader.is_noisy(row) for row in probability)
    assert not reader.is_noisy(reader.probabilities(REGULAR[None])[0])


def test_findings_are_in_order_and_only_fibrillation_carries_a_limit(reader: RhythmReader) -> None:
    findings = reader.findings(np.array([0.1, 0.2, 0.3, 0.4]))
    assert [each.rhythm for each in findings] == list(Rhythm)
    assert [each.probability for each in findings] == [0.1, 0.2, 0.3, 0.4]
    limits = [each.threshold for each in findings]
    assert limits == [None, reader.card.calibration.af_limit, None, None]


EXPONENTS = [(0.0, 0.0, 0.0, 0.0), (-4.0, -0.2, 3.0, -1.0)]


@pytest.mark.parametrize("exponents", EXPONENTS)
def test_a_recording_of_equal_windows_is_like_each_of_them(exponents: tuple[float, ...]) -> None:
    row = np.array([0.5, 0.3, 0.15, 0.05])
    np.testing.assert_allclose(aggregate(row[None], exponents), row)
    np.testing.assert_allclose(aggregate(np.tile(row, (7, 1)), exponents), row)


@pytest.mark.parametrize("exponents", EXPONENTS)
def test_a_recording_does_not_depend_on_the_order_of_its_windows(exponents: tuple[float, ...]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        windows = rng.dirichlet(np.ones(4), size=6)
        whole = aggregate(windows, exponents)
        assert whole.sum() == pytest.approx(1.0)
        np.testing.assert_allclose(aggregate(rng.permutation(windows), exponents), whole)
        np.testing.assert_allclose(aggregate(np.tile(windows, (3, 1)), exponents), whole)


def test_one_window_with_another_rhythm_takes_the_recording_from_normal() -> None:
    normal, other = [0.9, 0.02, 0.07, 0.01], [0.1, 0.02, 0.87, 0.01]
    windows = np.array([normal] * 4 + [other])
    geometric, power = (aggregate(windows, exponents) for exponents in EXPONENTS)
    assert geometric[0] > geometric[2]
    assert power[2] > power[0]


def test_many_recordings_at_once_are_as_each_alone() -> None:
    rng = np.random.default_rng(1)
    counts = rng.integers(1, 8, size=30)
    windows = rng.dirichlet(np.ones(4), size=int(counts.sum()))
    first = np.cumsum(counts) - counts
    together = aggregate_each(windows, first, EXPONENTS[1])
    alone = [aggregate(part, EXPONENTS[1]) for part in np.split(windows, first[1:])]
    np.testing.assert_allclose(together, alone)


def test_a_recording_without_windows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one window"):
        aggregate(np.zeros((0, 4)), EXPONENTS[0])


def test_the_most_probable_rhythm_is_named_unless_an_offset_speaks_for_a_rare_one(
    reader: RhythmReader,
) -> None:
    for code, rhythm in enumerate(Rhythm):
        assert reader.decide(np.eye(4)[code]) is rhythm


def test_the_card_describes_the_weights(reader: RhythmReader) -> None:
    card = reader.card
    assert card.parity <= 1e-4
    assert 0 < card.calibration.af_limit < 1
    assert 0 < card.calibration.noisy_limit < 1
    low, high = card.figures["ci95"]["mean_f1"]
    assert low < card.figures["mean_f1"] < high


def test_the_cross_validated_f1_stays_above_its_floor(reader: RhythmReader) -> None:
    assert reader.card.figures["mean_f1"] >= 0.80


def test_a_verdict_tells_the_rhythm_of_its_window_wherever_it_stands_in_a_batch() -> None:
    classifier = Classifier.load()
    irregular = beats(np.random.default_rng(5).uniform(0.4, 1.2, 25), p_wave_mv=0)
    flat = np.zeros(1000)
    verdicts = classifier.classify([window(each) for each in (flat, REGULAR, flat, irregular)], 0)
    assert [bool(verdict.rhythm) for verdict in verdicts] == [False, True, False, True]
    for verdict, each in ((verdicts[1], REGULAR), (verdicts[3], irregular)):
        alone = classifier.classify([window(each)], 0)[0].rhythm
        assert [f.rhythm for f in verdict.rhythm] == list(Rhythm)
        np.testing.assert_allclose(
            [f.probability for f in verdict.rhythm], [f.probability for f in alone], atol=1e-4
        )
    assert verdicts[1].rhythm[AF].probability < verdicts[3].rhythm[AF].probability


def test_a_window_that_only_the_rhythm_network_finds_noisy_is_refused_and_says_why() -> None:
    classifier = Classifier.load()
    assert classifier.rhythm_reader is not None
    rng = np.random.default_rng(0)
    spiky = [window(0.2 * rng.standard_t(2.5, 1000).clip(-8, 8)) for _ in range(40)]  # passes as an ECG would
    gate_only = Classifier.load()
    gate_only.rhythm_reader = None
    through = [i for i, verdict in enumerate(gate_only.classify(spiky, 0)) if verdict.findings]
    assert through
    limit = classifier.rhythm_reader.card.calibration.noisy_limit
    for verdict in classifier.classify([spiky[i] for i in through], 0):
        is_noisy = verdict.rhythm[NOISY].probability >= limit
        assert (verdict.indeterminate is Indeterminate.NOISY) == is_noisy
        assert bool(verdict.findings) != is_noisy
    refused = [bool(verdict.indeterminate) for verdict in classifier.classify(spiky, 0)]
    assert sum(refused) > len(spiky) - len(through)


def test_a_folder_without_a_rhythm_network_tells_none_and_half_of_one_is_refused(tmp_path: Path) -> None:
    for name in (classifier_card.MODEL_NAME, classifier_card.CARD_NAME):
        shutil.copy(RELEASED_WEIGHTS / name, tmp_path)
    verdict = Classifier.load(tmp_path).classify([window(REGULAR)], 0)[0]
    assert verdict.findings
    assert verdict.rhythm == ()
    shutil.copy(RELEASED_WEIGHTS / MODEL_NAME, tmp_path)
    with pytest.raises(ClassifierError, match=f"{CARD_NAME} cannot be read"):
        Classifier.load(tmp_path)


@pytest.mark.parametrize("name", [MODEL_NAME, CARD_NAME])
def test_missing_weights_are_named_with_their_remedy(tmp_path: Path, name: str) -> None:
    for each in (MODEL_NAME, CARD_NAME):
        shutil.copy(RELEASED_WEIGHTS / each, tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(RhythmError, match=f"{name} cannot be read.*restore the released weights"):
        RhythmReader.load(tmp_path)


def test_weights_of_another_card_are_refused(tmp_path: Path) -> None:
    content = (RELEASED_WEIGHTS / MODEL_NAME).read_bytes()
    (tmp_path / MODEL_NAME).write_bytes(content[:-1] + b"?")
    shutil.copy(RELEASED_WEIGHTS / CARD_NAME, tmp_path)
    with pytest.raises(RhythmError, match=r"wrong SHA-256"):
        RhythmReader.load(tmp_path)


def test_a_card_that_is_none_or_names_other_classes_is_refused(tmp_path: Path) -> None:
    shutil.copy(RELEASED_WEIGHTS / MODEL_NAME, tmp_path)
    (tmp_path / CARD_NAME).write_text("{}")
    with pytest.raises(RhythmError, match="is not a rhythm card"):
        RhythmReader.load(tmp_path)
    card = json.loads((RELEASED_WEIGHTS / CARD_NAME).read_text())
    (tmp_path / CARD_NAME).write_text(json.dumps(card | {"classes": ["a", "b"]}))
    with pytest.raises(RhythmError, match="names the classes"):
        RhythmReader.load(tmp_path)
