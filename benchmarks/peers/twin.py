"""The one-dimensional twin: the released network's trunk on the waveform itself, without recurrence plots.

Everything else is the product's own: preparation, quality gate, export, calibration. Weights are random, as
speed does not need training; its verdicts mean nothing.
"""

import torch

from inference.model import PlotNet
from inference.training.export import shipped_bytes
from inference.training.variants import TWIN, VARIANTS


def build(seed: int = 0) -> PlotNet:
    """The network with random weights."""
    torch.manual_seed(seed)
    return VARIANTS[TWIN]().eval()


def onnx_bytes(net: PlotNet) -> bytes:
    """As the released network is shipped."""
    return shipped_bytes(net)
