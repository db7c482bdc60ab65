"""GradientShap of one answer, end to end through the recurrence plots onto the waveform."""

from collections.abc import Generator

import numpy as np
import torch
from captum.attr import GradientShap
from numpy.typing import NDArray
from torch import Tensor, nn

from inference.explain.attribution import Attribution, smoothed

# Random points of the way from a baseline to the window, five for each seed. Of the seeds below 300,000 these
# are the ones whose points together lie most evenly, each within 0.015 of (i + 1/2) / 20: twenty points of an
# arbitrary seed miss 17 to 29 % of the effect (median over 24 windows), evenly spread ones 3 %.
SEEDS = (70_257, 23_467, 114_508, 285_352)
PART = 5
BASELINE_SEED = 1953
BASELINES = 20
BASELINE_NOISE_MV = 0.01  # what an amplifier and the skin leave on a line without a heart


def gradient_shap(
    net: nn.Module, prepared_mv: NDArray[np.float32], target: int
) -> Generator[float, None, Attribution]:
    """Expected gradients of one logit over the waveform; the same window always gives the same answer.

    GradientShap (Lundberg & Lee 2017; Erion et al. 2021; captum): the mean of gradient * (window - baseline)
    at random points between baselines and the window. A baseline is the isoelectric line with noise of 10 uV
    rms: everything in its plot has come back, and nothing speaks for or against any heart. Other patients'
    ECGs are no baselines, as attributions would then fall where *their* QRS stood. Single samples are no
    evidence (5 % of noise reorders them), so that the map is smoothed; its total stays.

    Completeness: `effect` is logit(window) - mean logit(baselines drawn). With infinitely many points
    attributions add up to it (Sundararajan et al. 2017); `completeness_error` is what 20 points miss.

    Args:
        net: (batch, 1000) mV -> logits; in eval mode.
        prepared_mv: (1000,) mV at 100 Hz, as the model sees a window.
        target: column of the logit.

    Yields:
        The share of the work done, 0..1, after each part.

    Returns:
        The attribution; it has no map on the plot.
    """
    window = torch.from_numpy(prepared_mv[None].astype(np.float32))  # (1, 1000)
    generator = torch.Generator().manual_seed(BASELINE_SEED)
    baselines = BASELINE_NOISE_MV * torch.randn(BASELINES, window.shape[1], generator=generator)
    method = GradientShap(net)
    attributions: list[NDArray[np.float64]] = []
    errors: list[float] = []
    for seed in SEEDS:
        attributed, delta = _attribute(method, window, baselines, target, seed)
        attributions.append(attributed)
        errors.append(delta)
        yield len(errors) / len(SEEDS)
    to_time = smoothed(np.mean(attributions, axis=0))
    delta = float(np.mean(errors))
    return Attribution(
        to_time=to_time.astype(np.float32),
        to_plot=None,
        effect=float(to_time.sum()) - delta,
        completeness_error=abs(delta),
    )


def _attribute(
    method: GradientShap, window: Tensor, baselines: Tensor, target: int, seed: int
) -> tuple[NDArray[np.float64], float]:
    """One part: (1000,) attributions, and their sum less what it should be."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - captum draws its points from NumPy's global generator
        attributed, delta = method.attribute(
            window,
            baselines=baselines,
            n_samples=PART,
            stdevs=0.0,
            target=target,
            return_convergence_delta=True,
        )
    return attributed[0].detach().numpy().astype(np.float64), float(delta.mean())
