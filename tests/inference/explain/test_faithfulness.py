"""Whether maps show what this network looks at: on real recordings, for both methods."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.explain import finished, found_cases, nearness_to_r_peaks, score
from inference.explain.attribution import Attribution
from inference.explain.explainer import attribute, for_picture
from inference.explain.explanation import ExplanationMethod
from inference.explain.grad_cam import onto_time, stretched
from inference.explain.saved_network import LeadReader
from inference.recurrence import LAGS
from tests.inference.explain.conftest import Case
from tests.inference.explain.likeness import likeness, weakened

PTBXL = Path(__file__).parents[4] / "shared" / "data"
GRAD_CAM, GRADIENT_SHAP = ExplanationMethod

Maps = list[NDArray[np.float32]]


def explain(net: LeadReader, cases: list[Case], method: ExplanationMethod) -> list[Attribution]:
    return [finished(attribute(net, ecg, superclass, method)) for ecg, superclass in cases]


def maps(found: list[Attribution]) -> Maps:
    return [each.to_time for each in found]


@pytest.mark.parametrize("method", ExplanationMethod)
def test_forgetting_the_weights_destroys_the_map(
    net: LeadReader, cases: list[Case], method: ExplanationMethod
) -> None:
    some = cases[::2]
    before = maps(explain(net, some, method))
    after = [likeness(before, maps(explain(weak, some, method))).mean() for weak in weakened(net, 0)]
    assert max(after) < 0.5
    assert abs(after[-1]) < 0.3


@pytest.mark.parametrize("method", ExplanationMethod)
def test_five_per_cent_of_noise_leaves_the_map(
    net: LeadReader, cases: list[Case], method: ExplanationMethod
) -> None:
    rng = np.random.default_rng(5)
    noisy = [
        (np.asarray(ecg + rng.normal(0, 0.05 * ecg.std(), ecg.shape), dtype=np.float32), superclass)
        for ecg, superclass in cases
    ]
    alike = likeness(maps(explain(net, cases, method)), maps(explain(net, noisy, method)))
    assert alike.mean() >= 0.7


@pytest.mark.skipif(not PTBXL.is_dir(), reason="needs the recordings in ../shared/data")
def test_maps_lead_to_what_the_answer_rests_on(net: LeadReader) -> None:
    """On average over recordings: better than any order that does not know the model."""
    cases = found_cases(PTBXL, 5)
    assert len(cases) == 20
    rng = np.random.default_rng(0)
    random = np.mean([score(net, ecg, each, rng.random(1000)) for ecg, each in cases])
    r_peaks = np.mean([score(net, ecg, each, nearness_to_r_peaks(ecg)) for ecg, each in cases])
    for method in ExplanationMethod:
        found = maps(explain(net, cases, method))
        scores = [score(net, ecg, c, each) for (ecg, c), each in zip(cases, found, strict=True)]
        assert np.mean(scores) > max(random, r_peaks), method


def test_gradient_shap_adds_up_to_what_it_explains(net: LeadReader, cases: list[Case]) -> None:
    found = explain(net, cases[::2], GRADIENT_SHAP)
    for each in found:
        assert abs(each.to_time.sum() - each.effect) == pytest.approx(each.completeness_error, abs=1e-3)
    errors = np.array([each.completeness_error for each in found])
    effects = np.array([abs(each.effect) for each in found])
    assert errors.sum() <= 0.25 * effects.sum()


def test_the_same_window_has_the_same_map(net: LeadReader, cases: list[Case]) -> None:
    for method in ExplanationMethod:
        first, again = (explain(net, cases[:1], method)[0] for _ in range(2))
        np.testing.assert_array_equal(first.to_time, again.to_time)


def test_grad_cam_lies_on_both_plots_and_keeps_its_total_on_time(net: LeadReader, cases: list[Case]) -> None:
    for found in explain(net, cases, GRAD_CAM):
        assert found.to_plot is not None
        assert found.to_plot.shape == (len(LAGS), 1000)
        assert found.to_plot.any()
        assert found.to_beat_plot is not None
        assert found.to_beat_plot.any()
        total = found.to_plot.sum(dtype=np.float64) + found.to_beat_plot.sum(dtype=np.float64)
        assert found.to_time.sum() == pytest.approx(total, abs=1e-3)
        assert for_picture(found.to_plot).sum() == pytest.approx(found.to_plot.sum(), abs=1e-3)


def test_a_place_of_the_plot_is_shared_by_the_two_moments_it_compares() -> None:
    plot = np.zeros((len(LAGS), 1000))
    plot[-1, 500] = 2.0
    to_time = onto_time(plot, LAGS)
    assert {int(t): to_time[t] for t in np.flatnonzero(to_time)} == {500 - LAGS[-1]: 1.0, 500: 1.0}


@pytest.mark.parametrize("at", [96, 480, 800])
def test_the_coarse_map_stands_where_its_stage_looks(net: LeadReader, at: int) -> None:
    """A bump in the window moves the last stage most around its own moment."""
    quiet = torch.zeros(1, 1000)
    bump = quiet.clone()
    bump[0, at - 4 : at + 5] = torch.from_numpy(np.hanning(11)[1:-1].astype(np.float32))
    features: list[torch.Tensor] = []
    hook = net.last_stage.register_forward_hook(lambda _module, _inputs, output: features.append(output))
    with torch.inference_mode():
        net(quiet)
        net(bump)
    hook.remove()
    moved = (features[1] - features[0]).abs().sum(dim=1)[0].numpy()  # (cells,)
    weight = stretched(moved, 1000)
    centre = float((weight * np.arange(1000)).sum() / weight.sum())
    assert abs(centre - (at + LAGS[-1] / 2)) < 70  # it also moves the rows up to 1.3 s later
