"""A prepared window becomes logits by another plot: the full recurrence plot of its mean beat.

    B[i, j] = b_i - b_j,  b the mean beat from -0.24 to +0.40 s about R, 64 x 64            (mV)

drawn signed, clip(B, -2 mV, +2 mV), and soft, |B| / (|B| + e), e = 0.05 and 0.25 mV, as in `recurrence`. A
beat is found at each peak of QRS energy, the size of the signal's 6 to 20 Hz band averaged over 0.11 s, that
is the highest within +-0.25 s and at least 0.4 of the usual. All is built inside the graph; where the beats
are is a choice and has no slope, what they are like can be differentiated.

ReLU only, a new instance for each use and never in place, as in `model`.
"""

import torch
from scipy.signal import firwin
from torch import Tensor, nn

from inference.beat_plot import (
    AFTER,
    BEFORE,
    PEAK_SHARE,
    QRS_BAND_HZ,
    QRS_TAPS,
    REFRACTORY,
    SMOOTH,
    USUAL_SPAN,
)
from inference.model import DROPOUT, PlotNet, RecurrenceNet
from inference.preprocess import MODEL_FS
from inference.recurrence import CLIP_MV, SOFT_SCALES_MV

WIDTHS = (32, 64, 96, 128)  # channels of the four stages; each halves both sides


class QrsEnergy(nn.Module):
    """Hills where QRS complexes are."""

    def __init__(self) -> None:
        super().__init__()
        taps = firwin(QRS_TAPS, QRS_BAND_HZ, fs=MODEL_FS, pass_zero=False)
        self.register_buffer("taps", torch.tensor(taps.copy(), dtype=torch.float32)[None, None])
        self.register_buffer("mean", torch.full((1, 1, SMOOTH), 1 / SMOOTH))

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, 1, time) mV."""
        band = nn.functional.conv1d(ecg_mv[:, None], self.get_buffer("taps"), padding=QRS_TAPS // 2)
        return nn.functional.conv1d(band.abs(), self.get_buffer("mean"), padding=SMOOTH // 2)


class BeatPlot(nn.Module):
    """Full plot of the mean beat."""

    channels = 1 + len(SOFT_SCALES_MV)

    def __init__(self) -> None:
        super().__init__()
        self.energy = QrsEnergy()

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, 3, 64, 64); all 0 where no whole beat was found."""
        beat = self.mean_beat(ecg_mv)  # (batch, 64)
        difference = beat[:, :, None] - beat[:, None, :]
        size = difference.abs()
        soft = [size / (size + scale) for scale in SOFT_SCALES_MV]
        plot: Tensor = torch.stack([difference.clamp(-CLIP_MV, CLIP_MV), *soft], dim=1)
        return plot

    def mean_beat(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, 64) mV about the peaks of QRS energy."""
        begins = self.begins(ecg_mv)  # (batch, time - 64)
        time = begins.shape[1]
        shifted = [ecg_mv[:, shift : shift + time] for shift in range(BEFORE + AFTER)]
        beats = (torch.stack(shifted, dim=1) @ begins[:, :, None])[:, :, 0]  # (batch, 64)
        mean: Tensor = beats / begins.sum(dim=1, keepdim=True).clamp(min=1)
        return mean

    def begins(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, time - 64): 1 where a whole beat begins, 0.24 s before its peak."""
        energy = self.energy(ecg_mv)  # (batch, 1, time)
        usual = nn.functional.max_pool1d(energy, USUAL_SPAN, USUAL_SPAN).mean(dim=-1, keepdim=True)
        summit = nn.functional.max_pool1d(energy, REFRACTORY, 1, REFRACTORY // 2)
        is_peak = (energy >= summit) & (energy > PEAK_SHARE * usual)  # (batch, 1, time)
        begins: Tensor = is_peak[:, 0, BEFORE:-AFTER].to(ecg_mv.dtype)
        return begins


class PlaneBranch(nn.Module):
    """A full plot -> its features, by two-dimensional convolutions that halve both sides each time."""

    def __init__(self, plot: nn.Module, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.plot = plot
        self.norm = nn.BatchNorm2d(channels)
        layers: list[nn.Module] = []
        for width_in, width in zip((channels, *widths[:-1]), widths, strict=True):
            kernel = 5 if width_in == channels else 3
            layers += [
                nn.Conv2d(width_in, width, kernel, stride=2, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers)
        self.width = 2 * widths[-1]

    def features(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, width): mean and greatest activation over the plane."""
        plane = self.layers(self.norm(self.plot(ecg_mv)))
        return torch.cat([plane.mean(dim=(-1, -2)), plane.amax(dim=(-1, -2))], dim=1)


class BeatBranch(PlaneBranch):
    """The branch on the beat plot."""

    plot: BeatPlot


class BeatNet(PlotNet):
    """The beat plot and a convolutional network on it."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = BeatBranch(BeatPlot(), BeatPlot.channels, WIDTHS)
        self.dropout = nn.Dropout(DROPOUT)
        self.add_heads(self.branch.width)

    def features(self, ecg_mv: Tensor) -> Tensor:
        """(batch, 1000) mV -> (batch, width)."""
        pooled: Tensor = self.dropout(self.branch.features(ecg_mv))
        return pooled


class PairNet(nn.Module):
    """The lag plot and the beat plot, each with a network of its own; they answer by their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.lag = RecurrenceNet()
        self.beat = BeatNet()

    def forward(self, ecg_mv: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 1000) mV -> logits as `PlotNet` gives them."""
        by_lag, lead_by_lag = self.lag(ecg_mv)
        by_beat, lead_by_beat = self.beat(ecg_mv)
        return (by_lag + by_beat) / 2, (lead_by_lag + lead_by_beat) / 2
