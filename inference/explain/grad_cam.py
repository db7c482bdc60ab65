"""Grad-CAM of one superclass, drawn on the recurrence plot and from there on time."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from captum.attr import LayerGradCam, LayerGradientXActivation
from numpy.typing import NDArray
from torch import Tensor, nn

from inference.explain.attribution import Attribution, smoothed
from inference.explain.saved_network import LeadReader
from inference.recurrence import LAGS, N_CHANNELS
from inference.verdict import Superclass


def grad_cam(net: LeadReader, prepared_mv: NDArray[np.float32], superclass: Superclass) -> Attribution:
    """Where in the window, and at which returns of the plot, one logit comes from.

    Grad-CAM (Selvaraju et al. 2017, by captum) of the last stage says where, in coarse steps. As in the
    paper's Guided Grad-CAM it gates a finer map, here gradient * activation of the plot (how we differ: no
    guided back-propagation, which survives weight randomisation, Adebayo et al. 2018). The gate is the
    Grad-CAM moved and scaled to 0..1, without the ReLU (how we differ again): with it, one found window in 25
    had an empty map. The fine map is summed over the channels of the same lag and keeps its sign. Each place
    (lag k, moment t) of the plot compares two moments, and time gets half of it at each,
    a_t = 1/2 (sum_k A[k, t] + sum_k A[k, t + k]), which keeps the total; it is then smoothed.

    Completeness: no theory promises it. `effect` is logit(window) - logit(flat line), whose plot is 0
    everywhere; `completeness_error` is what the sum over time misses of it, as measured.

    Args:
        net: in eval mode.
        prepared_mv: (1000,) mV at 100 Hz, as the model sees a window.
        superclass: whose logit.
    """
    window = torch.from_numpy(prepared_mv[None].astype(np.float32))  # (1, 1000)
    target = list(Superclass).index(superclass)

    gate = coarse_map(net, window, target)
    fine = LayerGradientXActivation(net, net.plot).attribute(window, target=target)
    by_lag = fine[0, :N_CHANNELS].detach().numpy().reshape(-1, len(LAGS), window.shape[1]).sum(axis=0)
    to_plot = gate * by_lag
    to_time = smoothed(onto_time(to_plot, LAGS))
    with torch.inference_mode():
        effect = float((net(window) - net(torch.zeros_like(window)))[0, target])
    return Attribution(
        to_time=to_time.astype(np.float32),
        to_plot=to_plot.astype(np.float32),
        effect=effect,
        completeness_error=abs(float(to_time.sum()) - effect),
    )


class Staged(Protocol):
    """A network whose last stage is a map over time."""

    last_stage: nn.Module


def coarse_map(net: Staged, window: Tensor, target: int) -> NDArray[np.float64]:
    """Grad-CAM of the last stage over (1, samples) -> (samples,), its least value 0 and its greatest 1."""
    method = LayerGradCam(net, net.last_stage)
    cells = method.attribute(window, target=target)[0, 0].detach().numpy()  # (cells,)
    span = float(np.ptp(cells))
    gate = (cells - cells.min()) / span if span > 0 else np.ones_like(cells)  # all alike: nothing is gated
    return stretched(gate, window.shape[1])


def stretched(cells: NDArray[np.floating], samples: int) -> NDArray[np.float64]:
    """(cells,) of a stage that halves the rate some times -> (samples,) by straight lines.

    Convolutions with even padding keep the first sample the centre of the first cell, so that cell i stands
    at i * stride; stretching the cells over the whole window would shift the map by half a cell.
    """
    stride = 2 ** round(np.log2(samples / len(cells)))
    return np.asarray(np.interp(np.arange(samples), stride * np.arange(len(cells)), cells), dtype=np.float64)


def onto_time(by_lag: NDArray[np.floating], lags: Sequence[int]) -> NDArray[np.float64]:
    """(lags, columns) over a plot of these lags -> (columns,): half at each of the two moments compared."""
    to_time = np.asarray(by_lag.sum(axis=0), dtype=np.float64) / 2
    for row, lag in zip(by_lag, lags, strict=True):
        to_time[:-lag] += row[lag:] / 2
        to_time[:lag] += row[:lag] / 2  # no partner there: all of it stays (it is 0 in the plot)
    return to_time
