"""A prepared window becomes four rhythm logits: two recurrence plots, then a small residual network on them.

Nothing but the plots enters the network, both in their close-returns form D[k, t] = x_t - x_{t-k} (see
`recurrence`), 0 where t < k:

    lag plot       of the ECG at 100 Hz, lags 10 ms to 1.6 s, drawn signed, clip(D, -2 mV, +2 mV), and
                   soft, |D| / (|D| + 0.1 mV)
    rhythm plot    of the QRS energy r at 25 Hz, lags 80 ms to 2.4 s: R[k, t] = r_t - r_{t-k} with
                       s_t = (|D[2, t]| + |D[3, t]|) averaged over 120 ms      (mV; slopes make a QRS)
                       r_t = s_t / (s_t + mean of s over the window)           (0 to 1; 1/2 is a usual slope)
                   At a beat, the row of its RR interval has come back to 0 and the others are near 1/2:
                   regular rhythm draws lines, atrial fibrillation breaks them, an early beat bends them.

r does not change with gain or polarity: handheld electrodes are often held the wrong way round. Shapes are
(batch, channels, time). ReLU only, a new instance for each use and never in place, as in `model`.
"""

import torch
from torch import Tensor, nn

from inference.recurrence import CLIP_MV
from inference.rhythm_plot import (
    ENERGY_LEAD,
    ENERGY_SPAN,
    LAGS,
    RHYTHM_LAGS,
    RHYTHM_STRIDE,
    SILENCE_MV,
    SLOPE_LAGS,
)
from inference.verdict import Rhythm

SOFT_SCALE_MV = 0.1
PICTURE_ROWS = 15  # 59 lags, halved twice

STEM_WIDTH = 40
RHYTHM_WIDTHS = (8, 16, 48)  # two steps over the picture, then all its lags together
WIDTHS = (48, 64, 64)
DILATIONS = (1, 2)  # of the last blocks, 3.1 steps a second
DROPOUT = 0.2


def differences(signal: Tensor, lags: tuple[int, ...]) -> Tensor:
    """(batch, time) -> (batch, lags, time) diagonals of the plot, by slices: aten::diff does not export."""
    rows = [nn.functional.pad(signal[:, lag:] - signal[:, :-lag], (lag, 0)) for lag in lags]
    return torch.stack(rows, dim=1)


class LagPlot(nn.Module):
    """The lag plot of this network, signed and soft."""

    channels = 2 * len(LAGS)

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV at 100 Hz -> (batch, channels, time)."""
        difference = differences(ecg_mv, LAGS)  # (batch, lags, time)
        size = difference.abs()  # (batch, lags, time)
        return torch.cat([difference.clamp(-CLIP_MV, CLIP_MV), size / (size + SOFT_SCALE_MV)], dim=1)


class RhythmPlot(nn.Module):
    """Recurrence plot of the QRS energy."""

    channels = len(RHYTHM_LAGS)

    def __init__(self) -> None:
        super().__init__()
        self.average = nn.AvgPool1d(ENERGY_SPAN, stride=RHYTHM_STRIDE, padding=ENERGY_LEAD)

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV at 100 Hz -> (batch, channels, time / 4)."""
        slope = differences(ecg_mv, SLOPE_LAGS).abs().sum(dim=1)  # (batch, time)
        energy = self.average(slope.unsqueeze(1)).squeeze(1)  # (batch, time / 4)
        relative = energy / (energy + energy.mean(dim=-1, keepdim=True) + SILENCE_MV)  # (batch, time / 4)
        return differences(relative, RHYTHM_LAGS)  # (batch, channels, time / 4)


class ConvNorm(nn.Sequential):
    """Convolution and batch normalisation that keep the length, or divide it by the stride."""

    def __init__(self, width_in: int, width: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        reach = dilation * (kernel // 2)
        conv = nn.Conv1d(width_in, width, kernel, stride, reach, dilation, bias=False)
        super().__init__(conv, nn.BatchNorm1d(width))


class PictureNorm(nn.Sequential):
    """The same over a picture; half the height and half the width out."""

    def __init__(self, width_in: int, width: int, kernel: int) -> None:
        conv = nn.Conv2d(width_in, width, kernel, stride=2, padding=kernel // 2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(width))


class ResidualBlock(nn.Module):
    """Two convolutions beside a short cut, half the rate out (as in `model`)."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.first = ConvNorm(width_in, width, 5, stride=2)
        self.first_relu = nn.ReLU()
        self.second = ConvNorm(width, width, 5)
        self.short_cut = ConvNorm(width_in, width, 1, stride=2)
        self.out_relu = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """(batch, width_in, time) -> (batch, width, ceil(time / 2))."""
        inner = self.second(self.first_relu(self.first(features)))  # (batch, width, time / 2)
        out: Tensor = self.out_relu(inner + self.short_cut(features))
        return out


class ContextBlock(nn.Module):
    """Two dilated convolutions on top of what came in: beats further apart, nothing lost."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.first = ConvNorm(width, width, 3, dilation=dilation)
        self.first_relu = nn.ReLU()
        self.second = ConvNorm(width, width, 3, dilation=dilation)
        self.out_relu = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """(batch, width, time) -> the same shape."""
        out: Tensor = self.out_relu(features + self.second(self.first_relu(self.first(features))))
        return out


class RhythmPicture(nn.Module):
    """Reads the rhythm plot as a picture: the same small shapes at any lag, whatever the heart rate."""

    def __init__(self) -> None:
        super().__init__()
        first, second, out = RHYTHM_WIDTHS
        self.plot = RhythmPlot()
        self.first = PictureNorm(1, first, 5)
        self.first_relu = nn.ReLU()
        self.second = PictureNorm(first, second, 3)
        self.second_relu = nn.ReLU()
        self.lags = ConvNorm(second * PICTURE_ROWS, out, 1)
        self.out_relu = nn.ReLU()

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV at 100 Hz -> (batch, 48, time / 16)."""
        picture = self.plot(ecg_mv).unsqueeze(1)  # (batch, 1, 59, time / 4)
        picture = self.first_relu(self.first(picture))  # (batch, 8, 30, time / 8)
        picture = self.second_relu(self.second(picture))  # (batch, 16, 15, time / 16)
        out: Tensor = self.out_relu(self.lags(picture.flatten(1, 2)))  # (batch, 48, time / 16)
        return out


class RhythmNet(nn.Module):
    """Four logits in Rhythm order from one lead at 100 Hz in mV; any length, made for 10 s."""

    def __init__(self) -> None:
        super().__init__()
        self.lag_plot = LagPlot()
        self.lag_norm = nn.BatchNorm1d(LagPlot.channels, affine=False)
        self.stem = ConvNorm(LagPlot.channels, STEM_WIDTH, 9, stride=4)
        self.stem_relu = nn.ReLU()
        self.shape = nn.Sequential(ResidualBlock(STEM_WIDTH, WIDTHS[0]), ResidualBlock(WIDTHS[0], WIDTHS[1]))
        self.rhythm = RhythmPicture()
        self.join = ResidualBlock(WIDTHS[1] + RHYTHM_WIDTHS[-1], WIDTHS[2])
        self.context = nn.Sequential(*(ContextBlock(WIDTHS[2], dilation) for dilation in DILATIONS))
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(2 * WIDTHS[2], len(Rhythm))

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, 1000) mV -> (batch, 4) logits."""
        shape = self.stem_relu(self.stem(self.lag_norm(self.lag_plot(ecg_mv))))  # (batch, 40, 250)
        shape = self.shape(shape)  # (batch, 64, 63)
        features = self.join(torch.cat([shape, self.rhythm(ecg_mv)], dim=1))  # (batch, 64, 32)
        features = self.context(features)  # (batch, 64, 32)
        pooled = torch.cat([features.mean(dim=-1), features.amax(dim=-1)], dim=1)  # (batch, 128)
        logits: Tensor = self.head(self.dropout(pooled))  # (batch, 4)
        return logits


def count_macs(net: RhythmNet, samples: int = 1000) -> int:
    """Multiply-adds of convolutions and the head for one window; the plots themselves add some 50,000."""
    total = 0

    def add(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv1d | nn.Conv2d):
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
