"""The one-dimensional twin: the released network's trunk on the waveform itself, without recurrence plots.

Everything else is the product's own: preparation, quality gate, export, calibration. Weights are random, as
speed does not need training; its verdicts mean nothing.
"""

import torch
from torch import Tensor, nn

from inference.model import STEM_KERNEL, STEM_WIDTH, LagPlot, RecurrenceNet
from inference.training.export import onnx_bytes as exported


class Waveform(LagPlot):
    """In the place of the plot: the waveform as the only channel."""

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) -> (batch, 1, time)."""
        return ecg_mv[:, None, :]


def build(seed: int = 0) -> RecurrenceNet:
    """The network with random weights."""
    torch.manual_seed(seed)
    net = RecurrenceNet()
    net.plot = Waveform()
    net.plot_norm = nn.BatchNorm1d(1)
    net.stem = nn.Conv1d(1, STEM_WIDTH, STEM_KERNEL, stride=2, padding=STEM_KERNEL // 2, bias=False)
    return net.eval()


def onnx_bytes(net: RecurrenceNet) -> bytes:
    """As the released network is exported: input ecg_mv (batch, 1000), output logits (batch, 5)."""
    return exported(net)
