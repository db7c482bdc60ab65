"""A prepared window becomes five logits: its recurrence plot, then a one-dimensional residual network on it.

Nothing but the plot enters the network. The whole model is this file; shapes are (batch, channels, time).
ReLU only, a new instance for each use and never in place: attribution methods need that (docs in `explain`).
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from inference.recurrence import CLIP_MV, LAGS, N_CHANNELS, SOFT_SCALES_MV
from inference.verdict import Superclass

WIDTHS = (64, 96, 128, 192)  # channels of the four stages; each halves the rate
KERNEL = 5  # samples; five at 25 Hz see 0.2 s
STEM_WIDTH = 48
STEM_KERNEL = 7
DROPOUT = 0.25


class LagPlot(nn.Module):
    """`recurrence.lag_plot` inside the graph; by slices, as aten::diff does not export."""

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV at 100 Hz -> (batch, N_CHANNELS, time)."""
        rows = [nn.functional.pad(ecg_mv[:, lag:] - ecg_mv[:, :-lag], (lag, 0)) for lag in LAGS]
        difference = torch.stack(rows, dim=1)  # (batch, lags, time)
        size = difference.abs()  # (batch, lags, time)
        soft = [size / (size + scale) for scale in SOFT_SCALES_MV]  # each (batch, lags, time)
        return torch.cat([difference.clamp(-CLIP_MV, CLIP_MV), *soft], dim=1)  # (batch, 3 * lags, time)


class ResidualBlock(nn.Module):
    """Two convolutions beside a short cut, half the rate out (He et al. 2016, short cut as in xresnet)."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(width_in, width, KERNEL, stride=2, padding=KERNEL // 2, bias=False)
        self.first_norm = nn.BatchNorm1d(width)
        self.first_relu = nn.ReLU()
        self.second = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, bias=False)
        self.second_norm = nn.BatchNorm1d(width)
        self.pool = nn.AvgPool1d(2, ceil_mode=True, count_include_pad=False)
        self.short_cut = nn.Conv1d(width_in, width, 1, bias=False)
        self.short_cut_norm = nn.BatchNorm1d(width)
        self.out_relu = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """(batch, width_in, time) -> (batch, width, ceil(time / 2))."""
        inner = self.first_relu(self.first_norm(self.first(features)))  # (batch, width, time / 2)
        inner = self.second_norm(self.second(inner))  # (batch, width, time / 2)
        short = self.short_cut_norm(self.short_cut(self.pool(features)))  # (batch, width, time / 2)
        out: Tensor = self.out_relu(inner + short)  # (batch, width, time / 2)
        return out


class RecurrenceNet(nn.Module):
    """Five logits in Superclass order from 10 s of one lead at 100 Hz in mV."""

    def __init__(self) -> None:
        super().__init__()
        self.plot = LagPlot()
        self.plot_norm = nn.BatchNorm1d(N_CHANNELS)
        self.stem = nn.Conv1d(
            N_CHANNELS, STEM_WIDTH, STEM_KERNEL, stride=2, padding=STEM_KERNEL // 2, bias=False
        )
        self.stem_norm = nn.BatchNorm1d(STEM_WIDTH)
        self.stem_relu = nn.ReLU()
        stages = zip((STEM_WIDTH, *WIDTHS[:-1]), WIDTHS, strict=True)
        self.blocks = nn.Sequential(
            OrderedDict((f"stage_{n}", ResidualBlock(a, b)) for n, (a, b) in enumerate(stages, 1))
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(2 * WIDTHS[-1], len(Superclass))

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, 1000) mV -> (batch, 5) logits."""
        features = self.plot_norm(self.plot(ecg_mv))  # (batch, 36, 1000)
        features = self.stem_relu(self.stem_norm(self.stem(features)))  # (batch, 48, 500)
        features = self.blocks(features)  # (batch, 192, 32)
        pooled = torch.cat([features.mean(dim=-1), features.amax(dim=-1)], dim=1)  # (batch, 384)
        logits: Tensor = self.head(self.dropout(pooled))  # (batch, 5)
        return logits


def count_parameters(net: nn.Module) -> int:
    """Trained numbers in a network."""
    return sum(weight.numel() for weight in net.parameters() if weight.requires_grad)


def count_macs(net: RecurrenceNet, samples: int = 1000) -> int:
    """Multiply-adds of convolutions and the head for one window; the plot itself adds some 50,000."""
    total = 0

    def add(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv1d):
            total += module.weight.numel() * output.shape[-1]
        elif isinstance(module, nn.Linear):
            total += module.weight.numel()

    hooks = [module.register_forward_hook(add) for module in net.modules()]
    was_training = net.training
    with torch.inference_mode():
        net.eval()(torch.zeros(1, samples))
    net.train(was_training)
    for hook in hooks:
        hook.remove()
    return total
