"""The starting project's pipeline, rebuilt from its description: one window -> a 72x72 plot -> class shares.

Described, and kept: 512 Hz brought to 100 Hz by np.interp without anti-aliasing, the first 10 s pooled to
72 points (7.2 Hz), min-max, |x_i - x_j|, a two-dimensional network with 64 channels of 337 MMAC, softmax,
run by eager torch at 63 windows/s.

Assumed, where the description is silent, always in its favour: pooling is by means of 13 or 14 points. The
network is five 3x3 convolutions with bias and ReLU and without normalisation, two at 72x72 and, after 2x2
max pooling, three at 36x36: of plain stacks with 64 channels, this one comes to 337 MMAC. It ends in the
mean over the plot and one dense layer to five classes. Weights are random: speed does not need training.
Windows of a batch go through the network together; the plots are built one by one, as each came. There is no
quality gate, no calibration, and missing samples are not looked for.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

FS = 100.0  # Hz, after np.interp
LENGTH_S = 10.0
SIDE = 72  # points of the plot: 7.2 Hz
WIDTH = 64  # channels
CLASSES = 5
DESCRIBED_MMAC = 337


def plot_of(samples_mv: NDArray[np.float32], fs: float) -> NDArray[np.float32]:
    """(n_samples,) mV at fs Hz -> (1, 72, 72), 0..1."""
    time_s = np.arange(round(LENGTH_S * FS)) / FS
    ecg = np.interp(time_s, np.arange(len(samples_mv)) / fs, samples_mv)
    edges = np.linspace(0, len(ecg), SIDE + 1).astype(int)
    pooled = np.add.reduceat(ecg, edges[:-1]) / np.diff(edges)
    scaled = (pooled - pooled.min()) / (pooled.max() - pooled.min())
    return np.asarray(np.abs(scaled[:, None] - scaled[None, :]), dtype=np.float32)[None]


def plots_of(samples_mv: Sequence[NDArray[np.float32]], fs: float) -> NDArray[np.float32]:
    """Many windows of one rate -> (n, 1, 72, 72)."""
    return np.stack([plot_of(samples, fs) for samples in samples_mv])


class PlotNet(nn.Module):
    """(batch, 1, 72, 72) -> (batch, 5) shares that sum to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _convolution(1),  # (batch, 64, 72, 72)
            _convolution(WIDTH),  # (batch, 64, 72, 72)
            nn.MaxPool2d(2),  # (batch, 64, 36, 36)
            *(_convolution(WIDTH) for _ in range(3)),  # (batch, 64, 36, 36)
        )
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, plots: Tensor) -> Tensor:
        """(batch, 1, 72, 72) -> (batch, 5)."""
        features = self.features(plots)  # (batch, 64, 36, 36)
        return torch.softmax(self.head(features.mean(dim=(2, 3))), dim=1)  # (batch, 5)


def _convolution(width_in: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(width_in, WIDTH, 3, padding=1), nn.ReLU())


def build(seed: int = 0) -> PlotNet:
    """A network ready to run, on one thread, with random weights."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    return PlotNet().eval()


def run_eager(net: PlotNet, plots: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 1, 72, 72) -> (n, 5), as it ran."""
    with torch.inference_mode():
        return np.asarray(net(torch.from_numpy(plots)).numpy())


def count_macs(net: PlotNet) -> int:
    """Multiply-adds of its convolutions and dense layer for one plot."""
    total = 0

    def add(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += module.weight.numel() * output.shape[-1] * output.shape[-2]
        elif isinstance(module, nn.Linear):
            total += module.weight.numel()

    hooks = [module.register_forward_hook(add) for module in net.modules()]
    run_eager(net, np.zeros((1, 1, SIDE, SIDE), dtype=np.float32))
    for hook in hooks:
        hook.remove()
    return total


def onnx_bytes(net: PlotNet) -> bytes:
    """The same network for onnxruntime: input plots (batch, 1, 72, 72), output shares (batch, 5)."""
    program = torch.onnx.export(
        net,
        (torch.zeros(2, 1, SIDE, SIDE),),
        input_names=["plots"],
        output_names=["shares"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch gave no ONNX program for the starting project's network")
    content: bytes = program.model_proto.SerializeToString()
    return content
