"""Grad-CAM of one superclass, drawn on the recurrence plot and from there on time."""

import numpy as np
import torch
from captum.attr import LayerGradCam, LayerGradientXActivation
from numpy.typing import NDArray
from torch import Tensor, nn

from inference.explain.attribution import Attribution
from inference.explain.saved_network import logits_of
from inference.model import RecurrenceNet
from inference.recurrence import LAGS, N_CHANNELS
from inference.verdict import Superclass

SMOOTHING = 9  # samples of a Hann window: 50 ms wide at half height, less than a QRS


def grad_cam(net: RecurrenceNet, prepared_mv: NDArray[np.float32], superclass: Superclass) -> Attribution:
    """Where in the window, and at which returns of the plot, one logit comes from.

    Grad-CAM (Selvaraju et al. 2017, by captum, with the ReLU) of the last stage says where, in coarse steps. As
    in the paper's Guided Grad-CAM it gates a finer map, here gradient * activation of the plot itself (how we
    differ: no guided back-propagation, which survives weight randomisation, Adebayo et al. 2018). The gate is
    the Grad-CAM divided by its maximum, 0..1. The fine map is summed over the channels that draw the same lag.
    Each place (lag k, moment t) of the plot compares two moments, and time gets half of it at each,
    a_t = 1/2 (sum_k A[k, t] + sum_k A[k, t + k]), which keeps the total; it is then smoothed.

    Completeness: no theory promises it. `effect` is logit(window) - logit(flat plot), the plot of a line; the
    error is what the sum over time misses of it, as measured.

    Args:
        net: in eval mode.
        prepared_mv: (1000,) mV at 100 Hz, as the model sees a window.
        superclass: whose logit.
    """
    window = torch.from_numpy(prepared_mv[None].astype(np.float32))  # (1, 1000)
    target = list(Superclass).index(superclass)

    def forward(ecg_mv: Tensor) -> Tensor:
        return logits_of(net, ecg_mv)

    gate = coarse_map(net, window, target)
    fine = LayerGradientXActivation(forward, net.plot).attribute(window, target=target)
    by_lag = fine[0, :N_CHANNELS].detach().numpy().reshape(-1, len(LAGS), window.shape[1]).sum(axis=0)
    to_plot = gate / max(float(gate.max()), float(np.finfo(np.float32).tiny)) * by_lag
    to_time = smoothed(onto_time(to_plot))
    with torch.inference_mode():
        effect = float((forward(window) - forward(torch.zeros_like(window)))[0, target])
    return Attribution(
        to_time=to_time.astype(np.float32),
        to_plot=to_plot.astype(np.float32),
        effect=effect,
        completeness_error=abs(float(to_time.sum()) - effect),
    )


def coarse_map(net: RecurrenceNet, window: Tensor, target: int) -> NDArray[np.float64]:
    """Grad-CAM of the last stage over (1, samples) -> (samples,), never negative."""
    last: nn.Module = list(net.blocks)[-1]
    method = LayerGradCam(lambda ecg_mv: logits_of(net, ecg_mv), last)
    cells = method.attribute(window, target=target, relu_attributions=True)[0, 0].detach().numpy()  # (cells,)
    return stretched(cells, window.shape[1])


def stretched(cells: NDArray[np.floating], samples: int) -> NDArray[np.float64]:
    """(cells,) of a stage that halves the rate some times -> (samples,) by straight lines.

    Convolutions with even padding keep the first sample the centre of the first cell, so that cell i stands
    at i * stride; stretching the cells over the whole window would shift the map by half a cell.
    """
    stride = 2 ** round(np.log2(samples / len(cells)))
    return np.asarray(np.interp(np.arange(samples), stride * np.arange(len(cells)), cells), dtype=np.float64)


def onto_time(by_lag: NDArray[np.floating]) -> NDArray[np.float64]:
    """(lags, samples) over the lag plot -> (samples,): half at each of the two moments compared."""
    to_time = np.asarray(by_lag.sum(axis=0), dtype=np.float64) / 2
    for row, lag in zip(by_lag, LAGS, strict=True):
        to_time[:-lag] += row[lag:] / 2
        to_time[:lag] += row[:lag] / 2  # no partner there: all of it stays (it is 0 in the plot)
    return to_time


def smoothed(to_time: NDArray[np.float64], width: int = SMOOTHING) -> NDArray[np.float64]:
    """(samples,) -> (samples,) with the same total: a Hann window that is folded back at both ends."""
    kernel = np.hanning(width + 2)[1:-1] / np.hanning(width + 2).sum()
    edge = width // 2
    full = np.convolve(to_time, kernel)  # (samples + 2 * edge,)
    inside = full[edge:-edge].copy()
    inside[:edge] += full[:edge][::-1]
    inside[-edge:] += full[-edge:][::-1]
    return inside
