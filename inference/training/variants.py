"""Networks that differ from the released one in one thing, to find out what does the work.

    lag plot               the released form
    without sign           |D| in place of D: an inverted lead looks the same
    without amplitude      each window scaled to one standard deviation first
    beat plot              the full plot of the mean beat, 64 x 64, signed and soft (`recurrence`)
    rhythm plot            the full plot of the QRS energy, 66 x 66, signed and soft
    lag, beat and rhythm   the three together
    pooled plot            72 x 72 of |x_i - x_j|, pooled to 7.2 Hz, scaled to 0..1
    waveform               no plot: the one-dimensional twin, the same trunk on x itself

The beat is the mean of the window's beats about the peaks of its QRS energy, so that everything is built
inside the graph and can be differentiated.
"""

from collections.abc import Callable, Mapping

import torch
from scipy.signal import firwin
from torch import Tensor, nn

from inference.lead_view import SERVED_LEADS, LeadView
from inference.model import DROPOUT, LagPlot, RecurrenceNet
from inference.preprocess import MODEL_FS
from inference.recurrence import CLIP_MV, LAGS, SOFT_SCALES_MV
from inference.verdict import Superclass

QRS_BAND_HZ = (6.0, 20.0)
QRS_TAPS = 41
SMOOTH = 11  # samples, 0.11 s: a QRS becomes one hill
REFRACTORY = 51  # samples, the hill must be highest within +-0.25 s
PEAK_SHARE = 0.4  # of the mean highest hill in 2 s
BEFORE, AFTER = 24, 40  # samples about the peak: -0.24 to +0.40 s
RHYTHM_STEP = 15  # samples: 66 points
RHYTHM_SCALE = 0.3  # half of full scale, in units of the window's mean energy
POOLED_POINTS = 72
STARTING_STD_MV = 0.25  # what a window without amplitude is scaled to
TWIN = "waveform (1-D twin)"
SMALL, LARGE = (
    (16, 32, 48, 64),
    (32, 64, 96, 128),
)  # widths of a plane's stages: beside the lag plot, and alone


class UnsignedLagPlot(LagPlot):
    """The lag plot of sizes only."""

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, 36, time)."""
        plot = super().forward(ecg_mv)
        return torch.cat([plot[:, : len(LAGS)].abs(), plot[:, len(LAGS) :]], dim=1)


class ScaledLagPlot(LagPlot):
    """The lag plot of a window that lost its amplitude."""

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, 36, time)."""
        centred = ecg_mv - ecg_mv.mean(dim=-1, keepdim=True)
        return super().forward(centred / (centred.std(dim=-1, keepdim=True) + 1e-3) * STARTING_STD_MV)


class Waveform(nn.Module):
    """No plot at all."""

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, 1, time)."""
        return ecg_mv[:, None]


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
        energy = self.energy(ecg_mv)  # (batch, 1, time)
        highest = nn.functional.max_pool1d(energy, 200, 200).mean(dim=-1, keepdim=True)
        summit = nn.functional.max_pool1d(energy, REFRACTORY, 1, REFRACTORY // 2)
        peak = ((energy >= summit) & (energy > PEAK_SHARE * highest)).float()[:, 0].detach()
        peak = peak[:, BEFORE:-AFTER]  # those with a whole beat about them
        time = peak.shape[1]
        shifted = [ecg_mv[:, shift : shift + time] for shift in range(BEFORE + AFTER)]
        beats = torch.einsum("sbt,bt->bs", torch.stack(shifted), peak)
        mean: Tensor = beats / peak.sum(dim=1, keepdim=True).clamp(min=1)
        return mean


class RhythmPlot(nn.Module):
    """Full plot of the QRS energy over the window."""

    channels = 2

    def __init__(self) -> None:
        super().__init__()
        self.energy = QrsEnergy()

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, 2, 66, 66)."""
        energy = nn.functional.max_pool1d(self.energy(ecg_mv), RHYTHM_STEP, RHYTHM_STEP)[:, 0]
        energy = energy / (energy.mean(dim=-1, keepdim=True) + 1e-3)
        difference = energy[:, :, None] - energy[:, None, :]
        size = difference.abs()
        return torch.stack([difference.clamp(-CLIP_MV, CLIP_MV), size / (size + RHYTHM_SCALE)], dim=1)


class PooledPlot(nn.Module):
    """The starting project's 72 x 72."""

    channels = 1

    def forward(self, ecg_mv: Tensor) -> Tensor:
        """(batch, time) mV -> (batch, 1, 72, 72) of 0..1."""
        pooled = nn.functional.adaptive_avg_pool1d(ecg_mv[:, None], POOLED_POINTS)[:, 0]
        low = pooled.amin(dim=-1, keepdim=True)
        scaled = (pooled - low) / (pooled.amax(dim=-1, keepdim=True) - low + 1e-3)
        return (scaled[:, :, None] - scaled[:, None, :]).abs()[:, None]


class PlaneBranch(nn.Module):
    """A full plot -> its features, by two-dimensional convolutions that halve it each time."""

    def __init__(self, plot: nn.Module, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = [plot, nn.BatchNorm2d(channels)]
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
        """(batch, time) mV -> (batch, width)."""
        plane = self.layers(ecg_mv)
        return torch.cat([plane.mean(dim=(-1, -2)), plane.amax(dim=(-1, -2))], dim=1)


class BranchedNet(RecurrenceNet):
    """Several branches side by side under the same heads."""

    def __init__(self, branches: list[PlaneBranch], *, lag: bool) -> None:
        super().__init__()
        self.lag = lag
        self.branches = nn.ModuleList(branches)
        self._features = [branch.features for branch in branches]
        self.width = (self.width if lag else 0) + sum(branch.width for branch in branches)
        self.drop = nn.Dropout(DROPOUT)
        self.head = nn.Linear(self.width, len(SERVED_LEADS) * len(Superclass))
        self.lead_head = nn.Linear(self.width, len(LeadView))
        if not lag:
            for part in (self.plot_norm, self.stem, self.stem_norm, self.blocks):
                part.requires_grad_(requires_grad=False)

    def features(self, ecg_mv: Tensor) -> Tensor:
        """(batch, 1000) mV -> (batch, width)."""
        parts = [super().features(ecg_mv)] if self.lag else []
        parts += [self.drop(features(ecg_mv)) for features in self._features]
        return torch.cat(parts, dim=1)


def _beat(widths: tuple[int, ...]) -> PlaneBranch:
    return PlaneBranch(BeatPlot(), BeatPlot.channels, widths)


def _rhythm(widths: tuple[int, ...]) -> PlaneBranch:
    return PlaneBranch(RhythmPlot(), RhythmPlot.channels, widths)


VARIANTS: Mapping[str, Callable[[], RecurrenceNet]] = {
    "lag plot": RecurrenceNet,
    "lag plot without sign": lambda: RecurrenceNet(UnsignedLagPlot()),
    "lag plot without amplitude": lambda: RecurrenceNet(ScaledLagPlot()),
    "beat plot": lambda: BranchedNet([_beat(LARGE)], lag=False),
    "rhythm plot": lambda: BranchedNet([_rhythm(LARGE)], lag=False),
    "lag, beat and rhythm plot": lambda: BranchedNet([_beat(SMALL), _rhythm(SMALL)], lag=True),
    "pooled 72 x 72 plot": lambda: BranchedNet(
        [PlaneBranch(PooledPlot(), PooledPlot.channels, LARGE)], lag=False
    ),
    TWIN: lambda: RecurrenceNet(Waveform(), channels=1),
}
