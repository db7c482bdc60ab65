"""Grad-CAM of one rhythm, drawn on both plots that the rhythm network reads and from there on time."""

import numpy as np
import torch
from captum.attr import LayerGradientXActivation
from numpy.typing import NDArray
from torch import Tensor, nn

from inference.explain.attribution import Attribution, smoothed
from inference.explain.grad_cam import coarse_map, onto_time
from inference.rhythm_model import RhythmNet
from inference.rhythm_plot import ENERGY_LEAD, ENERGY_SPAN, LAGS, RHYTHM_LAGS, RHYTHM_STRIDE
from inference.verdict import Rhythm


class RhythmOdds(nn.Module):
    """The rhythm network as log odds: of a window's four rhythms exactly one is there."""

    def __init__(self, net: RhythmNet) -> None:
        """Share the network's weights."""
        super().__init__()
        self.net = net
        self.last_stage: nn.Module = list(net.context)[-1]  # where Grad-CAM looks

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, 1000) mV -> (batch, 4) in Rhythm order: each logit less the other three together."""
        logits: Tensor = self.net(ecg_mv)
        alone = torch.eye(logits.shape[1], dtype=torch.bool)
        others = logits[:, None, :].masked_fill(alone, -torch.inf).logsumexp(dim=-1)  # (batch, 4)
        return logits - others


def rhythm_grad_cam(net: RhythmOdds, prepared_mv: NDArray[np.float32], rhythm: Rhythm) -> Attribution:
    """Where in the window, and at which returns of either plot, the log odds of a rhythm come from.

    As `grad_cam`, with two plots: the Grad-CAM of the last stage gates gradient * activation of each. A place
    of the lag plot belongs half to each of the two samples it compares. One of the rhythm plot compares two
    moments of the QRS energy, and each of those is an average over 120 ms: its half is spread over these.

    Completeness: no theory promises it. `effect` is the log odds of the window less those of a flat line,
    whose plots are 0 everywhere; `completeness_error` is what the sum over time misses of it, as measured.

    Args:
        net: in eval mode.
        prepared_mv: (1000,) mV at 100 Hz, as the model sees a window.
        rhythm: whose log odds, before calibration.
    """
    window = torch.from_numpy(prepared_mv[None].astype(np.float32))  # (1, 1000)
    target = list(Rhythm).index(rhythm)
    samples = window.shape[1]

    gate = coarse_map(net, net.last_stage, window, target)
    by_lag = _evidence(net, net.net.lag_plot, window, target).reshape(-1, len(LAGS), samples).sum(axis=0)
    by_rr = _evidence(net, net.net.rhythm.plot, window, target)  # (59, 250)
    to_plot, to_rhythm_plot = gate * by_lag, gate[::RHYTHM_STRIDE] * by_rr
    to_energy = onto_time(to_rhythm_plot, RHYTHM_LAGS)  # (250,)
    to_time = smoothed(onto_time(to_plot, LAGS) + onto_samples(to_energy, samples))
    with torch.inference_mode():
        effect = float((net(window) - net(torch.zeros_like(window)))[0, target])
    return Attribution(
        to_time=to_time.astype(np.float32),
        to_plot=to_plot.astype(np.float32),
        to_rhythm_plot=to_rhythm_plot.astype(np.float32),
        effect=effect,
        completeness_error=abs(float(to_time.sum()) - effect),
    )


def onto_samples(to_energy: NDArray[np.float64], samples: int) -> NDArray[np.float64]:
    """(points,) of the QRS energy at 25 Hz -> (samples,) at 100 Hz: even over what each averages."""
    to_time = np.zeros(samples)
    for point, value in enumerate(to_energy):
        first = RHYTHM_STRIDE * point - ENERGY_LEAD
        inside = slice(max(0, first), min(samples, first + ENERGY_SPAN))
        to_time[inside] += value / (inside.stop - inside.start)
    return to_time


def _evidence(net: RhythmOdds, plot: nn.Module, window: Tensor, target: int) -> NDArray[np.float64]:
    """(channels, columns) gradient * activation of a plot."""
    found = LayerGradientXActivation(net, plot).attribute(window, target=target)[0]
    return np.asarray(found.detach().numpy(), dtype=np.float64)
