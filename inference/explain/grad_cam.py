"""Grad-CAM of one superclass, drawn on both recurrence plots and from there on time."""

from collections.abc import Sequence

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
    """Where in the window, and at which returns of either plot, one logit comes from.

    Grad-CAM (Selvaraju et al. 2017, by captum) of the last stage says where, in coarse steps. As in the
    paper's Guided Grad-CAM it gates a finer map, here gradient * activation of the plot (how we differ: no
    guided back-propagation, which survives weight randomisation, Adebayo et al. 2018). The gate is the
    Grad-CAM moved and scaled to 0..1, without the ReLU (how we differ again): with it, one found window in 25
    had an empty map. The fine map is summed over the channels of the same lag and keeps its sign. Each place
    (lag k, moment t) of the plot compares two moments, and time gets half of it at each,
    a_t = 1/2 (sum_k A[k, t] + sum_k A[k, t + k]), which keeps the total. A place of the beat plot compares
    two moments of the mean beat likewise, and each beat gets its even part. The sum is smoothed.

    Completeness: no theory promises it. `effect` is logit(window) - logit(flat line), whose plots are 0
    everywhere; `completeness_error` is what the sum over time misses of it, as measured.

    Args:
        net: in eval mode.
        prepared_mv: (1000,) mV at 100 Hz, as the model sees a window.
        superclass: whose logit.
    """
    window = torch.from_numpy(prepared_mv[None].astype(np.float32))  # (1, 1000)
    target = list(Superclass).index(superclass)

    gate = coarse_map(net, net.last_stage, window, target)
    fine = LayerGradientXActivation(net, net.plot).attribute(window, target=target)
    by_lag = fine[0, :N_CHANNELS].detach().numpy().reshape(-1, len(LAGS), window.shape[1]).sum(axis=0)
    to_plot = gate * by_lag
    to_beat_plot = _beat_evidence(net, window, target)
    to_time = smoothed(onto_time(to_plot, LAGS) + onto_beats(to_beat_plot, net, window))
    with torch.inference_mode():
        effect = float((net(window) - net(torch.zeros_like(window)))[0, target])
    return Attribution(
        to_time=to_time.astype(np.float32),
        to_plot=to_plot.astype(np.float32),
        to_beat_plot=to_beat_plot.astype(np.float32),
        effect=effect,
        completeness_error=abs(float(to_time.sum()) - effect),
    )


def coarse_map(net: nn.Module, stage: nn.Module, window: Tensor, target: int) -> NDArray[np.float64]:
    """Grad-CAM of a last stage along time over (1, samples) -> (samples,), its least 0 and its greatest 1."""
    return stretched(_gate(net, stage, window, target), window.shape[1])


def _beat_evidence(net: LeadReader, window: Tensor, target: int) -> NDArray[np.float64]:
    """(1, 1000) -> (64, 64) over the beat plot, gated as the lag plot is."""
    fine = LayerGradientXActivation(net, net.beat_plot).attribute(window, target=target)[0].sum(dim=0)
    by_place = np.asarray(fine.detach().numpy(), dtype=np.float64)
    cells = _gate(net, net.last_beat_stage, window, target)  # (4, 4)
    along_rows = np.stack([stretched(row, by_place.shape[1]) for row in cells])
    gate = np.stack([stretched(column, by_place.shape[0]) for column in along_rows.transpose()], axis=1)
    return gate * by_place


def onto_beats(by_place: NDArray[np.floating], net: LeadReader, window: Tensor) -> NDArray[np.float64]:
    """(64, 64) over the beat plot -> (samples,): half at each moment compared, shared by all beats."""
    to_beat = (by_place.sum(axis=0) + by_place.sum(axis=1)) / 2
    with torch.inference_mode():
        begins = net.net.beat.branch.plot.begins(window)[0].numpy()  # (samples - 64,)
    to_time = np.zeros(window.shape[1])
    spread = np.convolve(begins, to_beat) / max(1.0, begins.sum())
    to_time[: len(spread)] = spread
    return to_time


def _gate(net: nn.Module, stage: nn.Module, window: Tensor, target: int) -> NDArray[np.float64]:
    """Grad-CAM of a stage, moved and scaled to 0..1; all 1 where it is the same everywhere."""
    cells = LayerGradCam(net, stage).attribute(window, target=target)[0, 0].detach().numpy()
    span = float(np.ptp(cells))
    gate = (cells - cells.min()) / span if span > 0 else np.ones_like(cells)
    return np.asarray(gate, dtype=np.float64)


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
