"""The beat network as it is trained: every value already lies on the grid of whole numbers it is served on.

    means of 10 ms (batch, bins), mV -> logits (batch, 2, frames): a beat stood earlier; beats told wrongly

`ingest/beat_network.py` computes the same in whole numbers. Rounding passes gradients straight through
(Bengio, Leonard, Courville, arXiv 1308.3432, 2013).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ingest.beat_network import (
    ACTIVATION_STEPS,
    DILATIONS,
    INPUT_STEPS,
    KERNEL,
    LAGS,
    LARGEST,
    OUTPUTS,
    SOFT_MV,
    STEM,
    STRIDE,
    WEIGHT_STEPS,
    WIDTH,
)


def on_grid(values: Tensor, steps: int, low: float, high: float) -> Tensor:
    """Nearest multiple of 1/steps within low/steps..high/steps; gradients pass as if nothing was done."""
    scaled = values * steps
    return values + (scaled.round().clamp(low, high) / steps - values).detach()


class GridConv(nn.Module):
    """A causal convolution over time whose weights and biases lie on the grid."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self._stride, self._dilation = stride, dilation
        self.bias_steps = WEIGHT_STEPS * (INPUT_STEPS if stride > 1 else ACTIVATION_STEPS)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, time) -> (batch, outputs, time / stride); before the beginning lies silence."""
        kernel = self.weight.shape[-1]
        x = nn.functional.pad(x, ((kernel - 1) * self._dilation - (self._stride - 1), 0))
        weight = on_grid(self.weight, WEIGHT_STEPS, -LARGEST // 2, LARGEST // 2)
        bias = on_grid(self.bias, self.bias_steps, -(2**20), 2**20)
        return nn.functional.conv1d(x, weight, bias, stride=self._stride, dilation=self._dilation)


class BeatNet(nn.Module):
    """A stem at 100 Hz, then residual convolutions at 50 Hz that look back 2.5 s."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = GridConv(len(LAGS), WIDTH, STEM, stride=STRIDE)
        blocks = [GridConv(WIDTH, WIDTH, KERNEL, dilation=dilation) for dilation in DILATIONS]
        for block in blocks:
            block.weight.data.mul_(0.5)  # what comes in is added: sums would grow from block to block
        self.blocks = nn.ModuleList(blocks)
        self.head = GridConv(WIDTH, OUTPUTS, 1)

    def forward(self, bins_mv: Tensor) -> Tensor:
        """(batch, bins) mV -> (batch, OUTPUTS, bins / 2) logits."""
        x = _active(self.stem(plot_of(bins_mv)))  # (batch, WIDTH, bins / 2)
        for block in self.blocks:
            x = _active(block(x) + x)
        logits: Tensor = self.head(x)
        return logits

    def layers(self) -> dict[str, GridConv]:
        """All convolutions, by the names that the served network reads."""
        blocks = {f"block{k}": block for k, block in enumerate(self.blocks) if isinstance(block, GridConv)}
        return {"stem": self.stem, **blocks, "head": self.head}


def plot_of(bins_mv: Tensor) -> Tensor:
    """(batch, bins) -> (batch, lags, bins): compressed differences, before the beginning all alike."""
    longest = max(LAGS)
    padded = torch.cat([bins_mv[:, :1].expand(-1, longest), bins_mv], dim=1)
    n = bins_mv.shape[1]
    differences = torch.stack([bins_mv - padded[:, longest - lag : longest - lag + n] for lag in LAGS], dim=1)
    return on_grid(differences / torch.sqrt(differences.abs() + SOFT_MV), INPUT_STEPS, -LARGEST, LARGEST)


def _active(x: Tensor) -> Tensor:
    return on_grid(torch.relu(x).clamp(max=LARGEST / ACTIVATION_STEPS), ACTIVATION_STEPS, 0, LARGEST)


def arrays_of(net: BeatNet) -> dict[str, NDArray[np.integer]]:
    """The weights as whole numbers, named as `ingest.beat_network.BeatNetwork` reads them."""
    found: dict[str, NDArray[np.integer]] = {}
    for name, layer in net.layers().items():
        weight = (layer.weight.detach() * WEIGHT_STEPS).round().clamp(-LARGEST // 2, LARGEST // 2)
        found[f"{name}_weight"] = weight.numpy().astype(np.int8)
        found[f"{name}_bias"] = (layer.bias.detach() * layer.bias_steps).round().numpy().astype(np.int32)
    return found
