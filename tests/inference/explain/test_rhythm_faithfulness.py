"""Whether the maps of atrial fibrillation show what the rhythm network looks at."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.explain import called_af, finished, score
from inference.explain.explainer import Explainer, attribute
from inference.explain.explanation import ExplanationMethod
from inference.explain.rhythm_grad_cam import RhythmOdds, onto_samples
from inference.explain.saved_network import LeadReader
from inference.preprocess import MODEL_FS
from inference.rhythm_plot import LAGS, RHYTHM_LAGS
from inference.verdict import Rhythm
from ingest.chunk import Lead
from ingest.window import Window
from tests.inference.explain.conftest import RhythmCase
from tests.inference.explain.likeness import likeness, weakened

HANDHELD = Path(__file__).parents[4] / "shared" / "data"
GRAD_CAM, GRADIENT_SHAP = ExplanationMethod

Maps = list[NDArray[np.float32]]


def maps(net: RhythmOdds, cases: list[RhythmCase], method: ExplanationMethod) -> Maps:
    return [finished(attribute(net, ecg, rhythm, method)).to_time for ecg, rhythm in cases]


@pytest.mark.parametrize("method", ExplanationMethod)
def test_forgetting_the_weights_destroys_the_map(
    rhythm_net: RhythmOdds, af_cases: list[RhythmCase], method: ExplanationMethod
) -> None:
    before = maps(rhythm_net, af_cases, method)
    after = [likeness(before, maps(weak, af_cases, method)).mean() for weak in weakened(rhythm_net, 0)]
    assert max(after) < 0.5
    assert abs(after[-1]) < 0.3


@pytest.mark.parametrize("method", ExplanationMethod)
def test_five_per_cent_of_noise_leaves_the_map(
    rhythm_net: RhythmOdds, af_cases: list[RhythmCase], method: ExplanationMethod
) -> None:
    rng = np.random.default_rng(5)
    noisy = [
        (np.asarray(ecg + rng.normal(0, 0.05 * ecg.std(), ecg.shape), dtype=np.float32), rhythm)
        for ecg, rhythm in af_cases
    ]
    alike = likeness(maps(rhythm_net, af_cases, method), maps(rhythm_net, noisy, method))
    assert alike.mean() >= 0.7


@pytest.mark.skipif(not HANDHELD.is_dir(), reason="needs the recordings in ../shared/data")
def test_maps_lead_to_what_calls_atrial_fibrillation(rhythm_net: RhythmOdds) -> None:
    cases = called_af(HANDHELD, 12)
    assert len(cases) == 12
    rng = np.random.default_rng(0)
    random = np.array([score(rhythm_net, ecg, each, rng.random(1000)) for ecg, each in cases])
    for method in ExplanationMethod:
        found = maps(rhythm_net, cases, method)
        scores = [score(rhythm_net, ecg, c, each) for (ecg, c), each in zip(cases, found, strict=True)]
        gain = np.array(scores) - random
        assert gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(gain)), method


def test_a_map_lies_on_both_plots_and_keeps_its_total_on_time(
    rhythm_net: RhythmOdds, af_cases: list[RhythmCase]
) -> None:
    for ecg, rhythm in af_cases:
        found = finished(attribute(rhythm_net, ecg, rhythm, GRAD_CAM))
        assert found.to_plot is not None
        assert found.to_rhythm_plot is not None
        assert found.to_plot.shape == (len(LAGS), 1000)
        assert found.to_rhythm_plot.shape == (len(RHYTHM_LAGS), 250)
        assert found.to_rhythm_plot.any()
        total = found.to_plot.sum(dtype=np.float64) + found.to_rhythm_plot.sum(dtype=np.float64)
        assert found.to_time.sum() == pytest.approx(total, abs=1e-3)
        assert abs(found.to_time.sum() - found.effect) == pytest.approx(found.completeness_error, abs=1e-3)


@pytest.mark.parametrize("point", [0, 1, 100, 249])
def test_a_point_of_energy_is_spread_over_the_samples_it_averages(point: int) -> None:
    to_energy = np.zeros(250)
    to_energy[point] = 3.0
    to_time = onto_samples(to_energy, 1000)
    assert to_time.sum() == pytest.approx(3.0)
    where = np.flatnonzero(to_time)
    assert where[0] == max(0, 4 * point - 4)
    assert where[-1] == min(999, 4 * point + 7)


def test_an_explainer_without_a_rhythm_network_says_so(net: LeadReader, af_cases: list[RhythmCase]) -> None:
    window = Window(
        "ward/bed-1", 7, 0, 0, MODEL_FS, Lead.I, af_cases[0][0].copy(), 1.0, 0.0, 0.0, historic=False
    )
    work = Explainer(net.net, "lagplot").explain(window, Rhythm.AF, GRAD_CAM)
    with pytest.raises(ValueError, match="no rhythm network"):
        next(work)


def test_a_network_is_not_asked_what_it_does_not_tell(net: LeadReader, af_cases: list[RhythmCase]) -> None:
    with pytest.raises(ValueError, match="LeadReader does not tell atrial fibrillation"):
        finished(attribute(net, af_cases[0][0], Rhythm.AF, GRAD_CAM))
