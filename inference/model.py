"""A prepared window becomes logits: its recurrence plot, then a one-dimensional residual network on it.

Nothing but the plot enters the network. The whole model is this file; shapes are (batch, channels, time).
ReLU only, a new instance for each use and never in place: attribution methods need that (docs in `explain`).
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from inference.lead_view import SERVED_LEADS, LeadView
from inference.recurrence import CLIP_MV, LAGS, N_CHANNELS, SOFT_SCALES_MV
from inference.verdict import Superclass

WIDTHS = (48, 64, 96, 128)  # channels of the four stages; each halves the rate
KERNEL = 5  # samples; five at 25 Hz see 0.2 s
STEM_WIDTH = 32
STEM_KERNEL = 7
DROPOUT = 0.25


class LagPlot(nn.Module):
    """`recurrence.lag_plot` inside the graph; by slices, as aten::diff does not export."""

    channels = N_CHANNELS

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
        self.short_cut = nn.Conv1d(width_in, width, 1, bias=False)
        self.short_cut_norm = nn.BatchNorm1d(width)
        self.out_relu = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """(batch, width_in, time) -> (batch, width, ceil(time / 2))."""
        inner = self.first_relu(self.first_norm(self.first(features)))  # (batch, width, time / 2)
        inner = self.second_norm(self.second(inner))  # (batch, width, time / 2)
        short = self.short_cut_norm(self.short_cut(halve(features)))  # (batch, width, time / 2)
        out: Tensor = self.out_relu(inner + short)  # (batch, width, time / 2)
        return out


def halve(features: Tensor) -> Tensor:
    """(batch, channels, time) -> means of neighbours, half the time rounded up; an odd last one stays."""
    even, odd = features[..., ::2], features[..., 1::2]
    if even.shape[-1] > odd.shape[-1]:
        odd = torch.cat([odd, even[..., -1:]], dim=-1)
    return (even + odd) * 0.5  # AvgPool1d is four times as slow on a CPU


class PlotNet(nn.Module):
    """Superclass and lead logits from the features of a plot of 10 s of one lead at 100 Hz in mV."""

    width: int  # of the features
    head: nn.Linear
    lead_head: nn.Linear

    def add_heads(self, width: int) -> None:
        """Put the two heads on features of this width; called last by those who build one."""
        self.width = width
        self.head = nn.Linear(width, len(SERVED_LEADS) * len(Superclass))
        self.lead_head = nn.Linear(width, len(LeadView))

    def features(self, ecg_mv: Tensor) -> Tensor:
        """(batch, 1000) mV -> (batch, width)."""
        raise NotImplementedError

    def forward(self, ecg_mv: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 1000) mV -> logits of the superclasses for each lead it may be, and of the lead.

        Returns:
            (batch, 2, 5) in SERVED_LEADS and Superclass order, and (batch, 5) in LeadView order.
        """
        pooled = self.features(ecg_mv)
        superclasses = self.head(pooled).reshape(-1, len(SERVED_LEADS), len(Superclass))
        return superclasses, self.lead_head(pooled)


class RecurrenceNet(PlotNet):
    """The lag plot, or another along time, and a residual network on it."""

    def __init__(self, plot: nn.Module | None = None, channels: int = N_CHANNELS) -> None:
        """Build it with random weights.

        Args:
            plot: (batch, time) mV -> (batch, channels, time); None means the lag plot. Ablations give others.
            channels: of the plot.
        """
        super().__init__()
        self.plot = LagPlot() if plot is None else plot
        self.plot_norm = nn.BatchNorm1d(channels)
        self.stem = nn.Conv1d(
            channels, STEM_WIDTH, STEM_KERNEL, stride=2, padding=STEM_KERNEL // 2, bias=False
        )
        self.stem_norm = nn.BatchNorm1d(STEM_WIDTH)
        self.stem_relu = nn.ReLU()
        stages = zip((STEM_WIDTH, *WIDTHS[:-1]), WIDTHS, strict=True)
        self.blocks = nn.Sequential(
            OrderedDict((f"stage_{n}", ResidualBlock(a, b)) for n, (a, b) in enumerate(stages, 1))
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.add_heads(2 * WIDTHS[-1])

    def features(self, ecg_mv: Tensor) -> Tensor:
        """(batch, 1000) mV -> (batch, width): mean and greatest activation over time."""
        features = self.plot_norm(self.plot(ecg_mv))  # (batch, 36, 1000)
        features = self.stem_relu(self.stem_norm(self.stem(features)))  # (batch, 32, 500)
        features = self.blocks(features)  # (batch, 128, 32)
        pooled: Tensor = self.dropout(torch.cat([features.mean(dim=-1), features.amax(dim=-1)], dim=1))
        return pooled


def count_parameters(net: nn.Module) -> int:
    """Trained numbers in a network."""
    return sum(weight.numel() for weight in net.parameters() if weight.requires_grad)


def count_macs(net: nn.Module, samples: int = 1000) -> int:
    """Multiply-adds of convolutions and heads for one window; the plot itself adds some 50,000."""
    total = 0

    def add(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, (nn.Conv1d, nn.Conv2d)):
            total += module.weight.numel() * output[0, 0].numel()
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
